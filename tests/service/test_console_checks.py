"""What an administrator has looked at: commands that may say and do anything."""

from __future__ import annotations

import json
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.config import Settings
from lockd.service.console_checks import ConsoleChecks
from tests.patience import eventually

Make = Callable[..., ConsoleChecks]
DOCTOR = {"checks": [{"check": "board", "status": "ok", "text": "a board", "mend": ""}]}
CALIBRATED = {
    "people": 2, "templates": 4, "closest": {"people": ["Ada", "Grace"], "similarity": 0.3},
    "genuine": {"histogram": [0] * 40}, "impostor": {"histogram": [1] * 40},
    "suggested": {"accept": 0.4, "source": "reference", "genuine_refused": None,
                  "confusable": [{"people": ["Ada", "Grace"]}]},
    "configured": {"accept": 0.41},
}  # fmt: skip


@pytest.fixture
def checks() -> Iterator[Make]:
    """Makes them of a program that stands for `lockd`."""
    made: list[ConsoleChecks] = []

    def make(program: str, update: dict[str, Any] | None = None, **how: Any) -> ConsoleChecks:
        settings = Settings.model_validate({"update": update or {}})
        command = [sys.executable, "-c", textwrap.dedent(program)]
        made.append(ConsoleChecks(settings, command, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_doctor_says_what_it_found_though_it_found_a_problem(checks: Make) -> None:
    one = checks(f"print({json.dumps(DOCTOR)!r}); raise SystemExit(1)")
    said = one.run("doctor")
    assert (said["result"], said["findings"]) == ("ok", DOCTOR["checks"])
    kept = one.last()["checks"]["doctor"]
    assert (kept["findings"], kept["utc"]) == (said["findings"], said["utc"])


def test_thresholds_are_numbers_and_nobodys_name(checks: Make) -> None:
    written = f"open(sys.argv[3], 'w').write({json.dumps(CALIBRATED)!r})"
    program = f"import sys; print('Ada and Grace'); {written}"
    said = checks(program).run("thresholds")
    assert (said["accept"], said["suggested"], said["confusable"]) == (0.41, 0.4, 1)
    assert len(said["two_people"]) == 40
    assert "Ada" not in json.dumps(said)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit('error: nobody is enrolled')", "error: nobody is enrolled"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print('no JSON')", "nothing that is understood"),
        ("print('{}')", "nothing that is understood"),
        ("import time; time.sleep(600)", "took more than 1 s"),
    ],
)
def test_one_that_fails_says_why_and_what_was_known_stays(
    checks: Make, program: str, reason: str
) -> None:
    one = checks(program, longest_s=1.0 if "sleep" in program else 60.0)
    said = one.run("doctor")
    assert said["result"] == "refused"
    assert reason in said["reason"]
    assert one.last()["checks"] == {}


def test_what_a_check_started_ends_with_it(checks: Make) -> None:
    one = checks(
        """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
        time.sleep(600)
        """,
        longest_s=1.0,
    )
    began = time.monotonic()
    assert one.run("doctor")["reason"] == "took more than 1 s"
    assert time.monotonic() - began < 15.0


def test_one_at_a_time_and_it_ends_with_the_service(checks: Make, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    one = checks(f"import time; open({str(begun)!r}, 'w').close(); time.sleep(600)")
    found: list[dict[str, Any]] = []
    first = threading.Thread(target=lambda: found.append(one.run("doctor")))
    first.start()
    eventually(begun.exists)
    assert one.run("update")["result"] == "busy"
    one.close()
    first.join()
    assert found[0]["result"] == "refused"
    assert one.run("doctor")["result"] == "refused"


def test_whoever_is_asked_knows_that_there_is_a_service_and_is_none(
    checks: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    program = """
        import json, os, sys
        told = [os.environ.get(one) for one in ("LOCKD_ASKED_BY_SERVICE", "NOTIFY_SOCKET")]
        row = dict(check="x", status="ok", text=json.dumps([sys.argv[1:], told]), mend="")
        print(json.dumps({"checks": [row]}))
        """
    (row,) = checks(program).run("doctor")["findings"]
    assert json.loads(row["text"]) == [["doctor", "--json"], ["1", None]]


def test_an_update_is_looked_for_again_only_where_that_was_configured(checks: Make) -> None:
    program = """print('{"version": "1", "newer": "2", "date": "2027-01-01", "package": "x"}')"""
    listed = {"index": "https://releases.example/index.json"}
    assert not checks(program).last()["update_due"]
    assert not checks(program, listed).last()["update_due"]
    one = checks(program, {**listed, "check_h": 24})
    assert one.last()["update_due"]
    assert one.run("update")["newer"] == "2"
    assert not one.last()["update_due"]


def test_what_is_no_check_is_none(checks: Make) -> None:
    assert checks("").run("rm")["result"] == "malformed"
