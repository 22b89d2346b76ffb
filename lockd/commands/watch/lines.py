"""What a door says over MQTT, as lines for a terminal. Pure.

Whoever may publish on the broker may put anything at all into a payload: nothing of it
reaches the terminal but printable text of bounded length, and whatever cannot be read is a
line, too.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NoReturn

from lockd.console import printable

_LONGEST_TEXT = 300
_LARGEST = 64 * 1024  # bytes; no door says more at once but in a picture
_REMEMBERED_IDS = 10_000
_REMEMBERED_DOORS = 1_000
# While the store cannot be written, events come in a series of their own.
_REMEMBERED_SERIES = 8
# What every event has, and nobody wants to read each time.
_DULL = frozenset(
    ("schema", "id", "series", "seq", "utc", "t", "door", "type", "person_id", "visit", "delayed")
)
# What a challenge asks of whoever stands there.
_ASKED = {"front": "look at the camera", "left": "turn left", "right": "turn right"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was heard.

    Attributes:
        kind: availability, state, event, alert, result, snapshot, gap or unreadable.
        door: the door's id.
        text: printable, in one line.
        marks: what is odd about it: ``delayed``, ``seen before``, ``out of order``.
        word: what decides the colour: an event's type, an alert's kind, a state's word.
        values: the message, for programs: JSON values.
    """

    kind: str
    door: str
    text: str
    marks: tuple[str, ...] = ()
    word: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Door:
    """What is remembered of a door: its state, and the last number of each series."""

    state: dict[str, Any] = field(default_factory=dict)
    series: OrderedDict[str, int] = field(default_factory=OrderedDict)


class Follower:
    """Turns messages into lines, remembering what the last ones said.

    Args:
        base: what all topics begin with.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._doors: OrderedDict[str, _Door] = OrderedDict()
        self._ids: OrderedDict[tuple[str, str], None] = OrderedDict()

    def topics(self, door: str | None, *, events_only: bool = False) -> list[str]:
        """Return what to subscribe to.

        Args:
            door: one door's id, or None for every door's.
            events_only: leave out what repeats or sums them up.
        """
        names = ["events"]
        if not events_only:
            names += ["availability", "state", "alerts/+", "result", "snapshot"]
        return [f"{self._base}/{door or '+'}/{name}" for name in names]

    def hear(self, topic: str, payload: bytes) -> list[Line]:
        """Return the lines that a message is worth: none for a state that says nothing new."""
        door, _, name = topic.removeprefix(f"{self._base}/").partition("/")
        if name == "availability":
            word = _clipped(payload.decode("utf-8", "replace"))
            return [Line("availability", door, word, word=word, values={"availability": word})]
        if name == "snapshot":
            size = {"bytes": len(payload)}
            return [Line("snapshot", door, f"a picture, {len(payload) / 1000:.1f} kB", values=size)]
        values = _object(payload) if len(payload) <= _LARGEST else None
        if values is None:
            start = _clipped(payload[:_LONGEST_TEXT].decode("utf-8", "replace"))
            return [Line("unreadable", door, f"{_clipped(name)}: no message of a door: {start}")]
        if name == "state":
            return self._state(door, values)
        if name == "events":
            return self._event(door, values)
        kind = "alert" if name.startswith("alerts/") else "result"
        word = _clipped(str(values.get("alert") or name.rpartition("/")[2]))
        if kind == "result":
            word = _clipped(str(values.get("result")))
        marks = self._marks(kind, values)
        text = _details(values, lead=word if kind == "alert" else "")
        return [Line(kind, door, text, tuple(marks), word, values)]

    def _state(self, door: str, values: dict[str, Any]) -> list[Line]:
        known = self._door(door)
        before, known.state = known.state, values
        changed = {
            name: values.get(name)
            for name in [*values, *before]
            if before.get(name, ...) != values.get(name, ...)
        }
        parts = [
            f"{name}: {_value(before[name])} -> {_value(value)}"
            if name in before
            else f"{name}: {_value(value)}"
            for name, value in changed.items()
        ]
        if not parts:
            return []
        asked = _ASKED.get(str(changed.get("challenge")))
        text = ", ".join([f"asked: {asked}", *parts] if asked else parts)
        word = "asked" if asked else _clipped(str(values.get("lock", "")))
        return [Line("state", door, _clipped(text), word=word, values=values)]

    def _event(self, door: str, values: dict[str, Any]) -> list[Line]:
        marks = self._marks("event", values)
        lines = []
        if "seen before" not in marks:
            missing = self._missing(door, values)
            if missing > 0:
                text = f"{missing} event{'s are' if missing > 1 else ' is'} missing here"
                lines.append(Line("gap", door, text, values={"missing": missing}))
            elif missing < 0:
                marks.append("out of order")
        word = _clipped(str(values.get("type")))
        lines.append(Line("event", door, _details(values, lead=word), tuple(marks), word, values))
        return lines

    def _marks(self, kind: str, values: dict[str, Any]) -> list[str]:
        marks = ["delayed"] if values.get("delayed") is True else []
        message = values.get("id")
        if kind == "result":  # a command has several: what it is told of its progress
            message = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        if isinstance(message, str) and len(message) <= _LONGEST_TEXT:
            if (kind, message) in self._ids:
                marks.append("seen before")
            self._ids[kind, message] = None
            if len(self._ids) > _REMEMBERED_IDS:
                self._ids.popitem(last=False)
        return marks

    def _missing(self, door: str, values: dict[str, Any]) -> int:
        """Return how many events of a series are missing before this one; -1 if it is too early."""
        series, seq = values.get("series"), values.get("seq")
        if type(seq) is not int or not isinstance(series, str) or len(series) > _LONGEST_TEXT:
            return 0
        series_of_door = self._door(door).series
        before = series_of_door.get(series)
        if before is not None and seq <= before:
            return -1
        series_of_door[series] = seq
        if len(series_of_door) > _REMEMBERED_SERIES:
            series_of_door.popitem(last=False)
        return 0 if before is None else seq - before - 1

    def _door(self, door: str) -> _Door:
        known = self._doors.setdefault(door, _Door())
        if len(self._doors) > _REMEMBERED_DOORS:
            self._doors.popitem(last=False)
        return known


def happened(values: dict[str, Any]) -> datetime | None:
    """Return when an event happened, as it says, or None."""
    try:
        when = datetime.fromisoformat(values["utc"])
    except (KeyError, TypeError, ValueError):
        return None
    return when if when.tzinfo is not None else None


def _object(payload: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or None for anything else."""
    try:
        values = json.loads(payload, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _details(values: dict[str, Any], lead: str) -> str:
    """Return the interesting parts of a message in one line."""
    parts = [lead] if lead else []
    if "person" in values:
        parts.append(_value(values["person"]))
    if values.get("type") == "locked_out":  # for how long, which is no reason
        values = {"for" if name == "reason" else name: value for name, value in values.items()}
    for name, value in values.items():
        if (
            name not in _DULL
            and name not in ("person", "alert")
            and (name, value) != ("suppressed", 0)
        ):
            parts.append(f"{name}: {_value(value)}")
    return _clipped(", ".join(parts))


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _clipped(text)


def _clipped(text: str) -> str:
    """Return printable text of bounded length."""
    safe = printable(text[: _LONGEST_TEXT + 1])
    return safe if len(safe) <= _LONGEST_TEXT else f"{safe[:_LONGEST_TEXT]}..."
