"""The JSON Schemas of commands and results, and the documentation, are what the door does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enroll.poses import Hint
from lockd.door.events import Refusal
from lockd.remote.commands import COMMANDS
from lockd.remote.judging import Judge, Result
from tests.conftest import ROOT
from tests.patience import PATIENCE_S
from tests.remote.orders import CANONICAL, KEY, NAMED, NAMED_SIGNATURE, NOW, ORDER, SIGNATURE
from tests.schemas import validator

DOCUMENT = (ROOT / "docs" / "commands.md").read_text("utf-8")
JUDGE = Judge("front", {one: ["anna"] for one in COMMANDS}, [], base_topic="lockd")
ODD = st.sampled_from(
    ["", "a b", "x" * 65, "ok", 0, 1, -1, 86_400, 86_401, NOW, None, True, [], {}]
)
KEYS = (
    "id",
    "base_topic",
    "door",
    "by",
    "nonce",
    "signature",
    "v",
    "time",
    "seconds",
    "name",
    "new_name",
    "more",
)


@given(
    command=st.sampled_from([*COMMANDS, "dance"]),
    given=st.sets(st.sampled_from(["seconds", "name", "new_name"])),
    odd=st.dictionaries(st.sampled_from(KEYS), ODD, max_size=1),
)
def test_the_schema_lets_through_what_the_door_reads(
    command: str, given: set[str], odd: dict[str, Any]
) -> None:
    arguments = {"seconds": 60, "name": "Ada", "new_name": "Eda"}
    fields = json.loads(ORDER.payload(KEY))
    fields |= {"command": command, **{one: arguments[one] for one in given}, **odd}
    said = JUDGE.signed(
        json.dumps(fields).encode(),
        retained=False,
        keys={},
        now=NOW,
        look=lambda order, key: None,
    )
    takes = COMMANDS.get(command)
    given |= odd.keys() & arguments.keys()
    fits = takes is not None and takes.needs <= given <= takes.needs | takes.may
    read = said.result is not Result.MALFORMED
    assert validator("command").is_valid(fields) == (read and fits)


def words() -> set[str]:
    """Every reason that is anywhere in the code."""
    found = {one.value for one in Refusal} - {"close_the_door"}
    for name, patterns in {
        "remote/judging.py": [
            r'Result\.\w+, "(\w+)"',
            r'"(too_old|in_the_future)"',
            r'else "(\w+)"',
        ],
        "remote/signing.py": [r'Malformed\("(\w+)"', r'return "(\w+)"', r'else "(value)"'],
        "service/remote_commands.py": [
            r'Result\.\w+, "(\w+)"',
            r'reason="(\w+)"',
            r'return "(\w+)"',
        ],
        "service/remote_handlers.py": [r'Outcome\("(\w+)"'],
        "service/remote_enrolment.py": [
            r'exit_code: "(\w+)"',
            r'return "(\w+)"',
            r'ended = "(\w+)"',
            r'"(failed)"',
        ],
        "service/service.py": [r'return "(off|no_picture)"', r'else "(no_face)"'],
    }.items():
        text = (ROOT / "lockd" / name).read_text("utf-8")
        for pattern in patterns:
            hits = re.findall(pattern, text)
            assert hits, (name, pattern)
            found.update(hits)
    return found


def test_every_reason_is_explained() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", DOCUMENT))
    assert words() - explained == set()
    assert {result.value for result in Result} <= explained
    assert {hint.value for hint in Hint} <= explained


def test_every_command_is_explained() -> None:
    assert set(COMMANDS) <= set(re.findall(r"`([a-z-]+)`", DOCUMENT))


def test_the_vectors_of_the_documentation_are_those_of_the_tests() -> None:
    for one in (CANONICAL.decode(), SIGNATURE, NAMED.canonical().decode(), NAMED_SIGNATURE):
        assert one in DOCUMENT
    assert KEY.hex() in DOCUMENT


def example(language: str) -> str:
    """A program in the documentation."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("language", "program"), [("sh", "sh"), ("python", "python3"), ("js", "node")]
)
def test_the_programs_of_the_documentation_sign_as_we_do(
    tmp_path: Path, language: str, program: str
) -> None:
    """Each prints the payload for its arguments; what it has of its own is the time and a nonce."""
    import shutil
    import sys

    from lockd.remote.signing import read

    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    runs = sys.executable if language == "python" else program
    file = tmp_path / f"program.{language}"
    file.write_text(example(language))
    (tmp_path / "anna.key").write_text(f"anna {KEY.hex()}\n")
    done = subprocess.run(
        [runs, file, "front", "unlock"],
        capture_output=True,
        cwd=tmp_path,
        check=True,
        timeout=PATIENCE_S,
    )
    order, signature = read(done.stdout.strip())
    assert (order.door, order.command, order.by) == ("front", "unlock", "anna")
    assert order.signed_by(KEY, signature)
