"""Events as lines of the log."""

from __future__ import annotations

from typing import Any

import pytest

from lockd.messages import Event, EventType, public
from lockd.publishing.wording import LEADS, sentence


def line(kind: EventType, **details: Any) -> str:
    return sentence(public(Event(kind, 1.0, "front", **details), "always"))


def test_every_kind_of_event_has_words_of_its_own() -> None:
    assert set(LEADS) == set(EventType)
    assert len(set(LEADS.values())) == len(LEADS)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            {"kind": EventType.ACCESS_GRANTED, "person": "Ada Lovelace", "similarity": 0.7149},
            "let in: Ada Lovelace, 0.71",
        ),
        (
            {"kind": EventType.ACCESS_DENIED, "person": "Zoë", "reason": "holiday", "visit": 3},
            "not let in: Zoë, holiday",
        ),
        ({"kind": EventType.STRANGER, "visit": 3}, "a stranger"),
        ({"kind": EventType.STRANGER, "again": 3}, "a stranger: again: 3"),
        (
            {"kind": EventType.COMMAND, "command": "unlock", "by": "root", "result": "ok"},
            "commanded: unlock, by root, ok",
        ),
        ({"kind": EventType.EVENTS_LOST, "count": 12}, "messages were given up: 12"),
        (
            {"kind": EventType.CONFIG_PROBLEM, "reason": "lockd.yaml:\n  door.open_s: -3\n"},
            "the configuration has mistakes and stays as it was: lockd.yaml: door.open_s: -3",
        ),
    ],
)
def test_an_event_is_one_line(details: dict[str, Any], expected: str) -> None:
    assert line(**details) == expected


@pytest.mark.parametrize("values", [{}, {"type": "of another version", "similarity": "x"}])
def test_what_is_no_event_of_this_version_is_a_line_too(values: dict[str, Any]) -> None:
    assert sentence(values) in ("None", "of another version")
