"""The container's files say what the product is; its supervisor does what systemd does."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockd import paths
from lockd.commands.install import environment, steps
from lockd.config import ConsoleSettings, load
from tests.conftest import ROOT
from tests.patience import PATIENCE_S, eventually, running
from tests.test_systemd import directives
from tests.test_typed import mistake

FOLDER = ROOT / "container"
IMAGE = re.sub(r" *\\\n *", " ", (FOLDER / "Containerfile").read_text("utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
UNIT = directives((ROOT / "systemd/lockd.service").read_text("utf-8"))


def numbers(kind: str) -> dict[str, str]:
    """Users or groups that the image has, with their numbers."""
    words = {"user": "useradd --system --uid", "group": "groupadd --system --gid"}[kind]
    return {
        name: number for number, name in re.findall(rf"{words} (\d+) (?:--.* )??(\S+) && ", IMAGE)
    }


def test_the_image_has_the_products_users_and_folders() -> None:
    assert set(numbers("group")) == {paths.USER, paths.CONSOLE_USER}
    for user in (paths.USER, paths.CONSOLE_USER):
        number = numbers("group")[user]
        assert f"--uid {number} --gid {user} " in IMAGE
    for folder in (
        steps.CONFIG_FOLDER, steps.STATE, paths.CONSOLE_STATE, paths.CONSOLE_RUNTIME,
        steps.console.CERTIFICATES,
    ):  # fmt: skip
        assert re.search(rf"install -d -m \d+ -o \S+ -g \S+ {folder}( |\n)", IMAGE), folder
    assert environment.LINK in IMAGE
    assert re.findall(r"^USER (\S+)", IMAGE, re.M) == [paths.USER]
    assert f'CMD ["--config", "{steps.CONFIG}"]' in IMAGE


def test_folders_are_for_whom_systemd_would_make_them() -> None:
    for name in ("lockd", "lockd-console"):
        tmpfiles = (ROOT / f"systemd/{name}.tmpfiles").read_text("utf-8")
        for folder, mode, owner, group in re.findall(
            r"^d (\S+) +(\d+) (\S+) +(\S+) -", tmpfiles, re.M
        ):
            assert f"install -d -m {mode} -o {owner} -g {group} {folder}" in IMAGE


def test_all_that_is_installed_is_in_the_image_and_nothing_unlocked() -> None:
    copied = set(" ".join(re.findall(r"^COPY (?!--)(.+) \S+$", IMAGE, re.M)).split())
    assert copied - {"container/supervise.py"} == set(environment.PARTS)
    for name in (".containerignore", ".dockerignore"):
        let_in = re.findall(r"^!(\S+)$", (ROOT / name).read_text("utf-8"), re.M)
        assert set(let_in) == {*environment.PARTS, "container"}
    assert "--require-hashes" in IMAGE
    assert "--no-deps --no-build-isolation --no-index ." in IMAGE


def test_it_is_kept_in_as_the_units_keep_it_in() -> None:
    for service in SERVICES.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert "privileged" not in service
    assert SERVICES["lockd"]["mem_limit"] == UNIT["Service.MemoryMax"][0].lower()
    assert SERVICES["lockd"]["pids_limit"] == int(UNIT["Service.TasksMax"][0])
    assert not any("ports" in service for service in SERVICES.values())


def test_what_is_in_memory_belongs_to_the_images_users() -> None:
    group = numbers("group")
    runtime, console = (
        COMPOSE["volumes"][name]["driver_opts"]["o"] for name in ("runtime", "console-runtime")
    )
    service, pages = group[paths.USER], group[paths.CONSOLE_USER]
    assert runtime == f"uid={service},gid={service},mode=0750"
    assert console == f"uid={service},gid={pages},mode=2750"
    for name in ("lockd", "console"):
        assert f"console-runtime:{paths.CONSOLE_RUNTIME}" in SERVICES[name]["volumes"]


def test_what_it_runs_and_how_it_is_asked_for_its_health_are_commands_of_lockd() -> None:
    health = re.search(r'HEALTHCHECK .*CMD \["(.+)"\]', IMAGE)
    assert health is not None
    assert mistake(health[1].replace('", "', " ")) is None
    assert mistake(" ".join(SERVICES["console"]["entrypoint"])) is None
    assert str(ConsoleSettings().port) in " ".join(SERVICES["console"]["healthcheck"]["test"])
    assert f"EXPOSE {ConsoleSettings().port}\n" in IMAGE
    assert SERVICES["console"]["user"] == ConsoleSettings().user


def test_the_configuration_beside_it_is_one_and_names_the_broker() -> None:
    settings = load(FOLDER / "lockd.yaml")
    assert settings.mqtt.host in SERVICES
    assert settings.camera.source in SERVICES["lockd"]["devices"]


# --- the supervisor ------------------------------------------------------------------------------

SERVICE = """\
import os, signal, socket, sys, time
from pathlib import Path
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
say = lambda word: told.sendto(word.encode(), os.environ["NOTIFY_SOCKET"])
if sys.argv[1] == "relay-safe":
    Path("safe").write_text(Path("pid").read_text())
    sys.exit(int(Path("safe-fails").exists()))
def ends(*_):
    say("STOPPING=1")
    sys.exit(0)
signal.signal(signal.SIGHUP, lambda *_: Path("reloaded").touch())
signal.signal(signal.SIGTERM, ends)
signal.signal(signal.SIGABRT, signal.SIG_IGN)
Path("pid").write_text(str(os.getpid()))
mood = sys.argv[2]
if mood == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mood != "slow":
    say("READY=1")
while True:
    if mood == "patient":
        say("EXTEND_TIMEOUT_USEC=60000000")
    if mood in ("well", "deaf"):
        say("WATCHDOG=1")
    if mood == "fails":
        sys.exit(7)
    time.sleep(0.02)
"""
WATCH = """\
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import supervise
supervise.START_S, supervise.WATCHDOG_S, supervise.STOP_S, supervise.ABORT_S = {}
one = supervise.Supervisor([sys.executable, "service.py"], sys.argv[2:], Path())
sys.exit(one.run())
"""
LONG = 600.0


@contextmanager
def supervised(
    folder: Path, mood: str, start: float = LONG, watchdog: float = LONG, stop: float = LONG
) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "service.py").write_text(SERVICE)
    program = WATCH.format(f"{start}, {watchdog}, {stop}, 0.1")
    with running(sys.executable, "-c", program, FOLDER, mood, cwd=folder) as process:
        yield process


def locked_after(process: subprocess.Popen[bytes], folder: Path) -> int:
    """The exit code, once the relay was made safe after the service was gone."""
    code = process.wait(PATIENCE_S)
    assert (folder / "safe").read_text() == (folder / "pid").read_text()
    return code


@pytest.mark.parametrize(
    ("mood", "bounds"),
    [
        ("silent", {"watchdog": 0.5}),
        ("slow", {"start": 0.5}),
    ],
)
def test_a_service_that_hangs_is_ended_and_the_door_locked(
    mood: str, bounds: dict[str, float], tmp_path: Path
) -> None:
    with supervised(tmp_path, mood, **bounds) as process:
        assert locked_after(process, tmp_path) == 128 + signal.SIGKILL


@pytest.mark.parametrize("mood", ["well", "patient"])
def test_one_that_goes_on_is_left_alone_and_stops_when_asked(mood: str, tmp_path: Path) -> None:
    with supervised(tmp_path, mood, start=LONG if mood == "well" else 0.5) as process:
        eventually((tmp_path / "pid").exists)
        process.send_signal(signal.SIGHUP)
        eventually((tmp_path / "reloaded").exists)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert locked_after(process, tmp_path) == 0


def test_one_that_does_not_stop_is_killed_and_the_door_locked(tmp_path: Path) -> None:
    with supervised(tmp_path, "deaf", stop=0.5) as process:
        eventually((tmp_path / "pid").exists)
        process.send_signal(signal.SIGTERM)
        assert locked_after(process, tmp_path) == 128 + signal.SIGKILL


def test_the_door_is_locked_after_a_kill_and_after_a_failure(tmp_path: Path) -> None:
    with supervised(tmp_path, "well") as process:
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        subprocess.run(["kill", "-9", (tmp_path / "pid").read_text()], check=True)
        assert locked_after(process, tmp_path) == 128 + signal.SIGKILL
    with supervised(tmp_path, "fails") as process:
        assert locked_after(process, tmp_path) == 7


def test_a_door_that_could_not_be_locked_is_no_good_end(tmp_path: Path) -> None:
    (tmp_path / "safe-fails").touch()
    with supervised(tmp_path, "well") as process:
        eventually((tmp_path / "pid").exists)
        process.send_signal(signal.SIGTERM)
        assert locked_after(process, tmp_path) == 1


def test_its_patience_is_the_units() -> None:
    source = (FOLDER / "supervise.py").read_text("utf-8")
    said = {name: float(value) for name, value in re.findall(r"^([A-Z]+)_S = (\S+)$", source, re.M)}
    assert said == {
        "WATCHDOG": float(UNIT["Service.WatchdogSec"][0]),
        "START": float(UNIT["Service.TimeoutStartSec"][0]),
        "STOP": float(UNIT["Service.TimeoutStopSec"][0]),
        "ABORT": float(UNIT["Service.TimeoutAbortSec"][0]),
    }
    (grace,) = re.findall(r"stop_grace_period: (\d+)s", (FOLDER / "compose.yaml").read_text())
    assert float(grace) > 2 * said["STOP"] + said["ABORT"]
