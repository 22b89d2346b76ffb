"""`lockd-enroll report`: all that is held on somebody, and nothing of anybody else."""

from __future__ import annotations

import base64
import json
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.store import Details
from lockd.config import Settings
from lockd.identity.factors import FactorKind, hash_pin
from tests.conftest import PHOTOS
from tests.enroll.conftest import DETAILS, Enrol, opened
from tests.fakes import post
from tests.invoking import Run

NAME = '<script>alert("x")</script> & Zoë/..'
JPEG = (PHOTOS / "barack-obama.jpg").read_bytes()


class Words(HTMLParser):
    """The tags of a page, its pictures, and what is to be read in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [str(value) for key, value in attrs if key == "src"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def reported(run: Run, enrol: Enrol, tmp_path: Path) -> tuple[dict[str, Any], Words]:
    """What is written of somebody of whom there is all that can be; and of Grace there is, too."""
    enrol("Grace", 90, details=Details(notes="secret of Grace"))
    enrol(NAME, 0, 10, details=DETAILS, photographs=[JPEG, b"ftypheic"])
    keys = Settings().store.path().with_name("command-keys")
    with opened() as store:
        id_ = store.people.named(NAME).person.id
        store.factors.set_pin(NAME, hash_pin("123456"), by="tests")
        store.factors.note_wrong_tries(id_, 2)
        for number, values in enumerate(
            [
                {"person": NAME, "person_id": id_, "type": "access_granted"},
                {"person": "Grace", "person_id": "2", "type": "access_granted"},
                {"type": "command", "by": "mqtt:zoe", "command": "unlock"},
                {"type": "command", "by": "mqtt:grace", "command": "lock"},
            ]
        ):
            utc = f"2026-11-20T08:00:0{number}.000Z"
            post(store, {"utc": utc, "id": f"e{number}", **values}, "events", kept=True)
        store.audit.note_command("mqtt:zoe", "unlock: ok")
    keys.write_text(f"zoe {'0' * 64} {id_}\ngrace {'1' * 64}\n")
    keys.chmod(0o600)
    folder = tmp_path / "report"
    folder.mkdir()
    result = run("report", NAME, "--to", folder)
    assert result.exit_code == 0, result.output
    page, data = sorted(folder.iterdir())
    assert result.stdout.split() == [str(page), str(data)]
    assert [stat.S_IMODE(one.stat().st_mode) for one in (page, data)] == [0o600, 0o600]
    assert page.name.startswith("lockd-report-script-alert-x-script-Zoë-20")
    return json.loads(data.read_text("utf-8")), Words(page.read_text("utf-8"))


def test_everything_is_in_the_json(reported: tuple[dict[str, Any], Words]) -> None:
    data, _ = reported
    person = data["person"]
    assert (person["name"], person["notes"], person["consent_by"]) == (
        NAME,
        "works at night",
        "Ann",
    )
    assert len(person["templates"]) == 2
    assert [one["kind"] for one in person["factors"]] == [FactorKind.PIN]
    first, second = data["photographs"]
    assert base64.b64decode(first["base64"]) == JPEG
    assert (first["type"], second["type"]) == ("image/jpeg", "application/octet-stream")
    assert (data["wrong_pins_and_cards_in_a_row"], data["command_keys"]) == (2, ["zoe"])
    assert [one["id"] for one in data["events"]] == ["e2", "e0"]
    assert data["messages_on_their_way"] == 1
    assert [one["action"] for one in data["audit"]] == ["report", "command", "set_pin", "add"]


def test_the_page_says_the_same_and_runs_nothing(reported: tuple[dict[str, Any], Words]) -> None:
    data, page = reported
    assert not page.open
    assert "script" not in page.tags
    assert page.sources == [f"data:image/jpeg;base64,{data['photographs'][0]['base64']}"]
    for part in (
        *(NAME, "B-17", "works at night", "2026-11-01", "let in: <script>", "unlock: ok"),
        *("Key for commands: zoe", "Kept for 30 days", "blocks that the card"),
    ):
        assert part in page.words, part


def test_nothing_of_anybody_else_and_no_secret_is_in_it(
    reported: tuple[dict[str, Any], Words],
) -> None:
    data, page = reported
    for text in (json.dumps(data), page.words):
        assert "Grace" not in text
        assert "grace" not in text
        assert "argon2" not in text
        assert "0" * 64 not in text


def test_one_that_was_written_before_is_not_overwritten(
    run: Run, enrol: Enrol, tmp_path: Path
) -> None:
    enrol("Ada", 0)
    assert run("report", "Ada", "--to", tmp_path).exit_code == 0
    result = run("report", "Ada", "--to", tmp_path)
    assert (result.exit_code, "is there already" in result.stderr) == (5, True)
    assert "did you mean" in run("report", "Adda", "--to", tmp_path).stderr


def test_keys_that_cannot_be_read_are_told(run: Run, enrol: Enrol, tmp_path: Path) -> None:
    enrol("Ada", 0)
    Settings().store.path().with_name("command-keys").write_text("spoilt")
    result = run("report", "Ada", "--to", tmp_path)
    assert (result.exit_code, "which keys are theirs" in result.stderr) == (5, True)
    assert not list(tmp_path.glob("*.html"))
