"""Stories of a door, told in tests/scenarios: what happens, and what the strike does then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockd.door import transitions
from lockd.door.events import (
    Announce,
    Command,
    Denied,
    DoorEvent,
    DoorRules,
    Exit,
    Granted,
    HoldOpen,
    HoldOpenSchedule,
    Leaf,
    LiftLockDown,
    Lock,
    LockDown,
    LockNow,
    LockOut,
    Refuse,
    RelayFault,
    RelayFaultOver,
    Release,
    Relock,
    Tamper,
    Tick,
    Unlock,
)
from lockd.door.machine import DoorMachine
from tests.conftest import ROOT

FILES = sorted((ROOT / "tests" / "scenarios").glob("*.yaml"))
STORIES = [
    pytest.param(story, id=f"{file.stem}: {story['story']}")
    for file in FILES
    for story in yaml.safe_load(file.read_text("utf-8"))
]
WORDS: dict[str, DoorEvent] = {
    "granted": Granted(),
    "granted extended": Granted(extended=True),
    "stranger": Denied(),
    "exit button": Exit(),
    "door opens": Leaf(True),
    "door closes": Leaf(False),
    "command unlock": Unlock(),
    "command lock": LockNow(),
    "command lock down": LockDown(),
    "command lift": LiftLockDown(),
    "command hold open 100": HoldOpen(100.0),
    "schedule begins": HoldOpenSchedule(True, first_grant=False),
    "schedule begins, first grant": HoldOpenSchedule(True, first_grant=True),
    "schedule ends": HoldOpenSchedule(False, first_grant=False),
    "schedule ends, first grant": HoldOpenSchedule(False, first_grant=True),
    "box opened": Tamper(True),
    "box closed": Tamper(False),
    "relay fails": RelayFault("it does not obey"),
    "relay obeys": RelayFaultOver(),
    "time": Tick(),
}


class Telling:
    """A door to which a story happens."""

    def __init__(self, rules: DoorRules, leaf_open: bool | None) -> None:
        self.door = DoorMachine(rules, leaf_open=leaf_open)
        self.strike: list[list[Any]] = []
        self.told: list[list[Any]] = []

    def until(self, t: float) -> None:
        """Let time pass."""
        while (due := self.door.next_deadline) is not None and due <= t:
            self.hear(Tick(), due)
            assert self.door.next_deadline is None or self.door.next_deadline > due, "it hangs"

    def hear(self, event: DoorEvent, t: float) -> None:
        for command in self.door.handle(event, t):
            self._obey(command, round(t, 3))

    def _obey(self, command: Command, t: float) -> None:
        on = bool(self.strike) and self.strike[-1][1] == "on"
        match command:
            case Release():
                self.strike += [] if on else [[t, "on"]]
            case Lock():
                self.strike += [[t, "off"]] if on else []
            case Refuse(reason):
                self.told.append([t, f"refused: {reason.value}"])
            case Announce(notice):
                self.told.append([t, notice.value])


def rules_of(written: dict[str, Any]) -> DoorRules:
    lock_out = LockOut(**written.pop("lock_out", {}))
    if "relock" in written:
        written["relock"] = Relock(written["relock"])
    return DoorRules(**written, lock_out=lock_out)


def test_there_are_stories() -> None:
    assert len(STORIES) > 20


def tell(story: dict[str, Any]) -> None:
    contact = {"none": None, "closed": False, "open": True}[story.get("contact", "none")]
    telling = Telling(rules_of(dict(story.get("rules", {}))), contact)
    for t, word in story["happens"]:
        if not story.get("deaf"):
            telling.until(t)
        telling.hear(WORDS[word], t)
    telling.until(story.get("until", 1e6))
    assert telling.strike == story["strike"]
    assert telling.told == story.get("told", [])
    assert telling.door.state.value == story.get("ends", "locked")


@pytest.mark.parametrize("story", STORIES)
def test_the_strike_does_what_the_story_says(story: dict[str, Any]) -> None:
    tell(story)


# Nothing is released while a release waits, so these have nothing to lock. They do it anyway.
TO_BE_SURE = {"unlocking pause_over too_late: lock", "open pause_over too_late: lock"}


def poorer_tables() -> Iterator[tuple[str, tuple[transitions.Row, ...]]]:
    """The door's table without a row, a row's condition, its next state or one of its actions."""
    for index, row in enumerate(transitions.TABLE):
        before, after = transitions.TABLE[:index], transitions.TABLE[index + 1 :]
        name = f"{row.state.value} {row.event} {row.condition}"
        yield f"{name}: row", (*before, *after)
        if row.condition:
            yield f"{name}: condition", (*before, replace(row, condition=""), *after)
        if row.next is not row.state:
            yield f"{name}: next", (*before, replace(row, next=row.state), *after)
        for action in row.actions.split():
            actions = " ".join(one for one in row.actions.split() if one != action)
            yield f"{name}: {action}", (*before, replace(row, actions=actions), *after)


@pytest.mark.parametrize(
    "table",
    [pytest.param(table, id=name) for name, table in poorer_tables() if name not in TO_BE_SURE],
)
def test_nothing_can_be_left_out_of_the_table_unnoticed(
    table: tuple[transitions.Row, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "TABLE", table)
    for story in STORIES:
        try:
            tell(story.values[0])  # type: ignore[arg-type]
        except (AssertionError, KeyError):
            return
    pytest.fail("no story tells of it")


def test_every_word_is_used_in_a_story() -> None:
    used = {word for story in STORIES for _, word in story.values[0]["happens"]}  # type: ignore[index]
    assert used == WORDS.keys()


def test_the_stories_are_where_they_are_looked_for() -> None:
    assert [file.name for file in FILES] == [
        "alarms.yaml",
        "coming-in.yaml",
        "holding-open.yaml",
        "keeping-out.yaml",
        "leaving.yaml",
    ]
    assert Path(FILES[0]).parent.name == "scenarios"


def test_the_diagram_in_the_documents_is_the_table_of_the_code() -> None:
    from tools.door_diagram import DOCUMENT, written

    text = DOCUMENT.read_text("utf-8")
    assert written(text) == text, "run python tools/door_diagram.py"
    assert "LOCKED --> FORCED: leaf opened" in text
