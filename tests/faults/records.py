"""What the board and the service wrote down, and what must hold of it, always.

never open for nobody   the relay is on only while, or just after, somebody who is
                        enrolled stood before the camera, and the service says so
never left on           no longer in one go than it may
never pulsed            the line becomes an output, and is given back, locked
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEEN_BEFORE_S = 10.0
"""How long ago somebody may have left the picture when the door opens for them."""
TOLD_BEFORE_S = 1.0
"""How long before the relay the log may tell of it: pulses keep a distance."""
TOLD_WITHIN_S = 20.0
"""How long after the relay the log may tell of it: the door comes first."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a line.

    Attributes:
        t: monotonic seconds, the same clock in every process.
        pid: of the process that did it.
        pin: BCM number.
        what: ``claimed`` (became an output), ``level``, ``refused`` (the driver failed)
            or ``released`` (became an input).
        level: 0 or 1, asked for if it was refused.
    """

    t: float
    pid: int
    pin: int
    what: str
    level: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What the camera showed, from `t` until the next one."""

    t: float
    who: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the service's log, and the event that it tells of, if it does."""

    t: float
    pid: int
    level: str
    thread: str
    text: str
    event: dict[str, Any] | None = None


class Tail:
    """A file that grows by whole lines, each read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines that came since the last call."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return []
        self._read += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]


class Journal:
    """What every process of the service logged."""

    def __init__(self, file: Path) -> None:
        self._tail = Tail(file)
        self._lines: list[Line] = []
        self._events: list[dict[str, Any]] = []

    @property
    def lines(self) -> list[Line]:
        """All of it, in order."""
        for text in self._tail.lines():
            # A process that was killed may have left a line unfinished.
            if text.startswith("{") and text.endswith("}"):
                self._lines.append(Line(**json.loads(text)))
                if (event := self._lines[-1].event) is not None:
                    self._events.append(event)
        return self._lines

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that it tells of, in order."""
        return self._events if self.lines else []


@dataclass(frozen=True, slots=True)
class Opening:
    """The relay was on.

    Attributes:
        pid: of the process that switched it on.
        on: when; monotonic seconds.
        off: when it was switched off, or claimed locked; None if it is still on.
        off_by: the process that did.
    """

    pid: int
    on: float
    off: float | None
    off_by: int | None = None

    def seconds(self, now: float) -> float:
        """How long it was on, up to now if it still is."""
        return (now if self.off is None else self.off) - self.on


def openings(changes: Iterable[Change], active: int = 1) -> list[Opening]:
    """The times when a line was at its active level, whichever process it had."""
    found: list[Opening] = []
    for change in changes:
        is_open = bool(found) and found[-1].off is None
        if change.what == "level" and change.level == active and not is_open:
            found.append(Opening(change.pid, change.t, None))
        elif change.what in ("level", "claimed") and change.level != active and is_open:
            found[-1] = Opening(found[-1].pid, found[-1].on, change.t, change.pid)
    return found


def complaints(
    changes: Sequence[Change],
    journal: Sequence[Line],
    shown: Sequence[Shown],
    *,
    enrolled: Sequence[str],
    longest_s: float,
    now: float,
    killed: Sequence[int] = (),
    pressed: Sequence[float] = (),
    active: int = 1,
) -> list[str]:
    """Everything that should never have happened to the relay, in words.

    Args:
        changes: of the relay's line.
        journal: what the service logged.
        shown: what the camera showed.
        enrolled: whom the door is there for.
        longest_s: the longest that the relay may have been on in one go.
        now: monotonic seconds.
        pressed: when the exit button was, which lets people out.
        killed: processes that may have ended between opening and saying so.
        active: the level that unlocks.
    """
    wrong = []
    for change in changes:
        if change.what in ("claimed", "released") and change.level == active:
            wrong.append(f"{change.what} unlocked: {change}")
    told = defaultdict(list)
    for line in journal:
        if lets_through(line.event):
            told[line.pid].append(line.t)
    for one in openings(changes, active):
        if one.seconds(now) > longest_s:
            wrong.append(f"on for {one.seconds(now):.2f} s instead of {longest_s:g}: {one}")
        if not _take(told[one.pid], one.on) and one.pid not in killed:
            wrong.append(f"on without a grant in the log: {one}")
        seen = seen_before(one.on, shown)
        left = any(0 <= one.on - t < SEEN_BEFORE_S for t in pressed)
        if not left and not set(seen) & set(enrolled):
            wrong.append(f"on for {seen}: {one}")
    return wrong


def _take(told: list[float], opened: float) -> bool:
    """Take the first grant told of that may be the one of an opening, and those before it."""
    for index, t in enumerate(told):
        if -TOLD_BEFORE_S < t - opened < TOLD_WITHIN_S:
            del told[: index + 1]
            return True
    return False


def lets_through(event: dict[str, Any] | None) -> bool:
    """Whether an event is one that opens the door."""
    if event is None:
        return False
    kind, reason = event["type"], event.get("reason")
    return kind == "access_granted" or (kind == "exit_requested" and reason is None)


def seen_before(t: float, shown: Sequence[Shown]) -> list[str]:
    """Who was before the camera then, or shortly before."""
    seen = []
    for index, one in enumerate(shown):
        end = shown[index + 1].t if index + 1 < len(shown) else float("inf")
        if one.t <= t and end >= t - SEEN_BEFORE_S:
            seen.append(one.who)
    return seen


def undelivered(happened: list[dict[str, Any]], heard: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the events heard: any missing, out of order, or not told apart."""
    first: dict[str, dict[str, Any]] = {}
    wrong = []
    for event in heard:
        known = first.setdefault(event["id"], event)
        if known | {"delayed": event["delayed"]} != event:
            wrong.append(f"two events with the id of {event}")
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for event in first.values():
        numbers[event["series"]].append(event["seq"])
    for series, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            wrong.append(f"series {series} has gaps or is out of order")
    if len(numbers) != 1:
        wrong.append(f"{len(numbers)} series")
    missing = [event for event in happened if event["id"] not in first]
    return wrong + [f"nobody heard of {event}" for event in missing]
