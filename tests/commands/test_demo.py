"""The demo: that it shows what it says, and that it would notice if it did not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lockd.commands.demo import Segment, mistakes, segments_of
from lockd.messages import Event, EventType
from lockd.service.parts import Tally
from tests.conftest import CLIP
from tests.patience import PATIENCE_S

# The demo in the recording's time: in its own a busy machine would leave frames out.
WHOLE = """
from functools import partial
from lockd.commands import demo
demo.open_service = partial(demo.open_service, as_fast_as_possible=True)
demo.demo()
"""
SEGMENTS = [
    Segment(0, 3, None),
    Segment(3, 10, "Ada"),
    Segment(12, 20, "stranger"),
]
GRANTED = Event(EventType.ACCESS_GRANTED, 5.0, "porch", person="Ada")
STRANGER = Event(EventType.STRANGER, 15.0, "porch")
RELAY = [(5.0, True), (10.0, False)]


def test_what_should_happen_is_no_mistake() -> None:
    assert mistakes(SEGMENTS, [GRANTED, STRANGER], Tally(relay=RELAY)) == []


@pytest.mark.parametrize(
    ("events", "relay"),
    [
        ([STRANGER], RELAY),
        ([GRANTED], RELAY),
        ([GRANTED, STRANGER], []),
        ([GRANTED, STRANGER], [(5.0, True)]),
        ([GRANTED, STRANGER], [(15.0, True), (16.0, False)]),
        ([GRANTED, STRANGER], [*RELAY, (15.0, True), (16.0, False)]),
        ([GRANTED, STRANGER, Event(EventType.STRANGER, 5.0, "porch")], RELAY),
        ([Event(EventType.ACCESS_GRANTED, 5.0, "porch", person="Bob"), STRANGER], RELAY),
        ([GRANTED, STRANGER, Event(EventType.ACCESS_GRANTED, 14.0, "porch", person="Ada")], RELAY),
        ([GRANTED, STRANGER, Event(EventType.ACCESS_GRANTED, 1.0, "porch", person="Ada")], RELAY),
    ],
)
def test_whatever_goes_wrong_is_a_mistake(
    events: list[Event], relay: list[tuple[float, bool]]
) -> None:
    assert mistakes(SEGMENTS, events, Tally(relay=relay))


def test_the_clip_has_somebody_enrolled_a_stranger_and_empty_stretches() -> None:
    people = [segment.person for segment in segments_of(CLIP)]
    assert people == [None, "Barack Obama", None, "stranger", None]


@pytest.mark.slow
def test_the_demo_succeeds_and_shows_each_part_of_the_path() -> None:
    command = [sys.executable, "-c", WHOLE]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=5 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for part in (
        "sees   a face",
        "knows  Barack Obama",
        "relay  ON, the door is unlocked",
        "relay  off, the door is locked",
        "knows  nobody: a stranger",
        "mqtt   lockd/porch/alerts/stranger",
        "mqtt   lockd/porch/availability offline",
        "-t 'lockd/#'",
        "for the right visit and for no other",
    ):
        assert part in done.stdout
    assert done.stderr == ""
