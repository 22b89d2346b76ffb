"""The judgement of the relay's log, and of what was delivered, can fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.records import (
    Change,
    Journal,
    Line,
    Opening,
    Shown,
    complaints,
    openings,
    undelivered,
)

KNOWN, STRANGER = "Ada", "stranger"


def change(t: float, what: str, level: int, pid: int = 1) -> Change:
    return Change(t, pid, 17, what, level)


def told(t: float, kind: str = "access_granted", pid: int = 1) -> Line:
    return Line(t, pid, "INFO", "MainThread", kind, {"schema": 1, "type": kind})


GOOD = [change(0, "claimed", 0), change(10, "level", 1), change(11, "level", 0)]


def wrong(
    changes: list[Change] = GOOD,
    journal: tuple[Line, ...] = (told(10.1),),
    shown: tuple[Shown, ...] = (Shown(0, "nobody"), Shown(9, KNOWN)),
    **more: list[float] | list[int],
) -> list[str]:
    return complaints(changes, journal, shown, enrolled=[KNOWN], longest_s=1.5, now=100.0, **more)  # type: ignore[arg-type]


def test_a_door_that_did_nothing_wrong() -> None:
    assert wrong() == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ([change(0, "claimed", 1)], "claimed unlocked"),
        ([*GOOD, change(20, "released", 1)], "released unlocked"),
        ([*GOOD[:2], change(12, "level", 0)], "on for 2.00 s"),
        (GOOD[:2], "on for 90.00 s"),
    ],
)
def test_a_relay_that_was_on_when_or_longer_than_it_may(
    changes: list[Change], complaint: str
) -> None:
    assert complaint in wrong(changes)[0]


def test_open_without_a_word_or_by_another_process() -> None:
    assert "without a grant" in wrong(journal=())[0]
    assert "without a grant" in wrong(journal=(told(10.1, pid=2),))[0]
    assert "without a grant" in wrong(journal=(told(10.1, "stranger"),))[0]
    assert wrong(journal=(), killed=[1]) == []


def test_a_grant_is_the_word_for_one_opening_only() -> None:
    twice = [*GOOD, change(12, "level", 1), change(13, "level", 0)]
    assert "without a grant" in wrong(twice)[0]
    assert wrong(twice, journal=(told(10.1), told(10.5), told(12.1))) == []


def test_open_for_a_stranger_or_for_somebody_long_gone() -> None:
    assert "['stranger']" in wrong(shown=(Shown(0, STRANGER),))[0]
    assert wrong(shown=(Shown(-9, KNOWN), Shown(-1, STRANGER)))
    assert wrong(shown=(Shown(-9, KNOWN), Shown(8, STRANGER))) == []
    assert wrong(shown=(Shown(0, STRANGER),), pressed=[9.5]) == []


def test_an_opening_ends_when_another_process_claims_the_line_locked() -> None:
    changes = [*GOOD[:2], change(12, "refused", 0), change(13, "claimed", 0, pid=2)]
    assert openings(changes) == [Opening(1, 10, 13, 2)]


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    line = {
        "t": 1.0,
        "pid": 1,
        "level": "INFO",
        "thread": "x",
        "text": "let in: Ada",
        "event": {"schema": 1, "type": "a"},
    }
    file.write_text(json.dumps(line) + '\n{"t": 2.0, "pi\n' + json.dumps(line) + "\n")
    journal = Journal(file)
    assert len(journal.lines) == len(journal.lines) == 2
    assert [event["type"] for event in journal.events] == ["a", "a"]


def test_a_gap_a_wrong_order_and_a_missing_event_are_seen() -> None:
    def event(number: int, **more: Any) -> dict[str, Any]:
        return {"id": str(number), "series": "a", "seq": number, "delayed": False, **more}

    one, two, three = event(1), event(2), event(3)
    assert undelivered([one, two], [one, two, one | {"delayed": True}, three]) == []
    assert undelivered([], [one, three])
    assert undelivered([], [two, one])
    assert undelivered([three], [one, two])
    assert undelivered([], [one, one | {"seq": 2}])
    assert undelivered([], [one, event(2, series="b", seq=1)])
