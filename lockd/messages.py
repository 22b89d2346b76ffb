"""Events, and what they look like to those who subscribe; docs/mqtt.md shows all of it.

Payloads are JSON objects in UTF-8 except availability, which is a bare word, and the
snapshot, which is a JPEG. `schemas/` has a JSON Schema of each.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

SCHEMA = 1
LONGEST_REASON = 500
"""Characters, of an event's: a broker may not take what is large. The log has all of it."""
ONLINE, OFFLINE = b"online", b"offline"


class EventType(StrEnum):
    """What can happen."""

    SERVICE_STARTED = "service_started"
    SERVICE_STOPPED = "service_stopped"
    ACCESS_GRANTED = "access_granted"
    STRANGER = "stranger"
    UNIDENTIFIED = "unidentified"
    CAMERA_PROBLEM = "camera_problem"
    CAMERA_RECOVERED = "camera_recovered"
    GALLERY_CHANGED = "gallery_changed"
    STORE_PROBLEM = "store_problem"
    STORE_RECOVERED = "store_recovered"
    RELAY_FAULT = "relay_fault"
    RELAY_RECOVERED = "relay_recovered"
    ACCESS_DENIED = "access_denied"
    EXIT_REQUESTED = "exit_requested"
    COMMAND = "command"
    DOOR_OPENED = "door_opened"
    DOOR_CLOSED = "door_closed"
    DOOR_FORCED = "door_forced"
    DOOR_HELD = "door_held"
    LOCKED_OUT = "locked_out"
    LOCK_OUT_ENDED = "lock_out_ended"
    LOCKED_DOWN = "locked_down"
    LOCK_DOWN_ENDED = "lock_down_ended"
    HOLD_OPEN_STARTED = "hold_open_started"
    HOLD_OPEN_ENDED = "hold_open_ended"
    TAMPER = "tamper"
    TAMPER_ENDED = "tamper_ended"
    TEMPLATES_DAMAGED = "templates_damaged"
    TEMPLATES_MENDED = "templates_mended"
    FACTOR_PROBLEM = "factor_problem"
    FACTOR_RECOVERED = "factor_recovered"
    CLOCK_PROBLEM = "clock_problem"
    CLOCK_RECOVERED = "clock_recovered"
    CONFIG_RELOADED = "config_reloaded"
    CONFIG_PROBLEM = "config_problem"
    EVENTS_LOST = "events_lost"
    CHALLENGE_STARTED = "challenge_started"
    FACTOR_REFUSED = "factor_refused"
    SPOOF_SUSPECTED = "spoof_suspected"
    LIVENESS_PROBLEM = "liveness_problem"
    LIVENESS_RECOVERED = "liveness_recovered"
    FLEET_PROBLEM = "fleet_problem"
    FLEET_RECOVERED = "fleet_recovered"


ALERTS: Mapping[EventType, str] = {
    EventType.STRANGER: "stranger",
    EventType.SPOOF_SUSPECTED: "spoof",
    EventType.DOOR_FORCED: "door_forced",
    EventType.DOOR_HELD: "door_held",
    EventType.TAMPER: "tamper",
    EventType.CAMERA_PROBLEM: "camera",
    EventType.STORE_PROBLEM: "system",
    EventType.RELAY_FAULT: "system",
    EventType.TEMPLATES_DAMAGED: "system",
    EventType.FACTOR_PROBLEM: "system",
    EventType.CLOCK_PROBLEM: "system",
    EventType.CONFIG_PROBLEM: "system",
    EventType.EVENTS_LOST: "system",
    EventType.LIVENESS_PROBLEM: "system",
    EventType.FLEET_PROBLEM: "system",
}
"""The kind of alert that an event is."""

KINDS: Mapping[str, frozenset[EventType]] = {
    "visit": frozenset(
        {
            EventType.ACCESS_GRANTED,
            EventType.ACCESS_DENIED,
            EventType.STRANGER,
            EventType.UNIDENTIFIED,
            EventType.CHALLENGE_STARTED,
            EventType.FACTOR_REFUSED,
            EventType.SPOOF_SUSPECTED,
        }
    ),
    "door": frozenset(
        {
            EventType.EXIT_REQUESTED,
            EventType.COMMAND,
            EventType.DOOR_OPENED,
            EventType.DOOR_CLOSED,
            EventType.DOOR_FORCED,
            EventType.DOOR_HELD,
            EventType.LOCKED_OUT,
            EventType.LOCK_OUT_ENDED,
            EventType.LOCKED_DOWN,
            EventType.LOCK_DOWN_ENDED,
            EventType.HOLD_OPEN_STARTED,
            EventType.HOLD_OPEN_ENDED,
            EventType.TAMPER,
            EventType.TAMPER_ENDED,
        }
    ),
    "alert": frozenset(ALERTS),
}
"""Names for several kinds of events, to look for. Whatever is in none of these is of the system."""

ALERT, NEWS, STATUS = 2, 1, 0
"""What messages weigh; those that weigh least are given up first."""
_STATUS = frozenset(
    {
        EventType.SERVICE_STARTED,
        EventType.SERVICE_STOPPED,
        EventType.UNIDENTIFIED,
        EventType.GALLERY_CHANGED,
        EventType.CAMERA_RECOVERED,
        EventType.STORE_RECOVERED,
        EventType.TEMPLATES_MENDED,
        EventType.FACTOR_RECOVERED,
        EventType.CLOCK_RECOVERED,
        EventType.CONFIG_RELOADED,
        EventType.LIVENESS_RECOVERED,
        EventType.FLEET_RECOVERED,
        EventType.CHALLENGE_STARTED,
    }
)


def kinds() -> dict[str, frozenset[EventType]]:
    """Return what events can be looked for by: `KINDS`, ``system``, and each type by its name."""
    others = frozenset(EventType) - KINDS["visit"] - KINDS["door"]
    return {**KINDS, "system": others, **{one.value: frozenset({one}) for one in EventType}}


def weight(kind: EventType) -> int:
    """Return how much an event matters: `ALERT`, `NEWS` or `STATUS`."""
    if kind in ALERTS:
        return ALERT
    return STATUS if kind in _STATUS else NEWS


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at the door.

    Attributes:
        type: what.
        t: when, seconds of the service's clock: since its start, or into a recording.
        door: the door's id.
        person: name of who it was, where somebody was recognised.
        person_id: that person's stable id.
        visit: number of the visit, the same for all events of one.
        similarity: -1..1, or None.
        similarity_bound: True where it is not that, but no less than it.
        reason: why, for problems, refusals and unidentified visits.
        trouble: a camera's, in a word that does not change.
        command: what was commanded.
        by: the user who did.
        result: what became of it, ``ok`` or why not.
        count: how many messages were lost.
        again: how many visits of the same stranger there were shortly before.
        proof: what somebody let in has shown: ``face``, ``network``, ``challenge``, ``pin``...,
            with plus signs between.
        id: unique; the same event always bears the same.
        utc: wall-clock time, for records only.
    """

    type: EventType
    t: float
    door: str
    person: str | None = None
    person_id: str | None = None
    visit: int | None = None
    similarity: float | None = None
    similarity_bound: bool | None = None
    reason: str | None = None
    trouble: str | None = None
    command: str | None = None
    by: str | None = None
    result: str | None = None
    count: int | None = None
    again: int | None = None
    proof: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    utc: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_dict(self) -> dict[str, Any]:
        """Return the event as it is written, without what it does not have."""
        similarity = self.similarity
        if similarity is not None:
            similarity = round(similarity, 4) if math.isfinite(similarity) else None
        values = {
            "schema": SCHEMA,
            "id": self.id,
            "utc": utc_text(self.utc),
            "door": self.door,
            "type": self.type.value,
            "t": round(self.t, 3),
            "person": self.person,
            "person_id": self.person_id,
            "visit": self.visit,
            "similarity": similarity,
            "similarity_bound": None if similarity is None else self.similarity_bound,
            "reason": self.reason and self.reason[:LONGEST_REASON],
            "trouble": self.trouble,
            "command": self.command,
            "by": self.by,
            "result": self.result,
            "count": self.count,
            "again": self.again,
            "proof": self.proof,
        }
        return {key: value for key, value in values.items() if value is not None}


class Topics:
    """The topics of one door."""

    def __init__(self, base: str, door: str) -> None:
        self.root = f"{base}/{door}"
        self.availability = f"{self.root}/availability"
        self.state = f"{self.root}/state"
        self.diagnostics = f"{self.root}/diagnostics"
        self.events = f"{self.root}/events"
        self.snapshot = f"{self.root}/snapshot"
        self.command = f"{self.root}/command"
        self.plain_command = f"{self.root}/command/plain"
        self.result = f"{self.root}/result"

    def alert(self, kind: str) -> str:
        """Return where alerts of a kind are published."""
        return f"{self.root}/alerts/{kind}"


def utc_text(when: datetime | None = None, *, timespec: str = "milliseconds") -> str:
    """Return a time, by default now, in UTC as payloads have it: 2026-03-01T08:15:02.114Z."""
    utc = datetime.now(UTC) if when is None else when.astimezone(UTC)
    return utc.isoformat(timespec=timespec).replace("+00:00", "Z")


def public(event: Event, similarity: str) -> dict[str, Any]:
    """Return what subscribers may see of an event.

    Args:
        similarity: ``never``, ``granted`` (only of people let in) or ``always``. How
            near a refused face came tells an attacker whether a forgery improves.
    """
    values = event.as_dict()
    allowed = similarity == "always" or (
        similarity == "granted" and event.type is EventType.ACCESS_GRANTED
    )
    if not allowed:
        values.pop("similarity", None)
        values.pop("similarity_bound", None)
    return values


def encode(values: Mapping[str, Any]) -> bytes:
    """Return a JSON payload, compact, UTF-8, names unescaped."""
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":")).encode()


def outgoing(payload: bytes, *, delayed: bool) -> bytes:
    """Return a payload as it is sent: with whether it had to wait for a broker."""
    return payload[:-1] + (b',"delayed":true}' if delayed else b',"delayed":false}')
