"""An event as a line of the log: "let in: Ada Lovelace, 0.71". Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockd.messages import EventType

LEADS: Mapping[EventType, str] = {
    EventType.SERVICE_STARTED: "started",
    EventType.SERVICE_STOPPED: "stopped",
    EventType.ACCESS_GRANTED: "let in",
    EventType.ACCESS_DENIED: "not let in",
    EventType.STRANGER: "a stranger",
    EventType.UNIDENTIFIED: "somebody who could not be judged",
    EventType.EXIT_REQUESTED: "the exit button was pressed",
    EventType.COMMAND: "commanded",
    EventType.DOOR_OPENED: "the door was opened",
    EventType.DOOR_CLOSED: "the door was closed",
    EventType.DOOR_FORCED: "the door was forced open",
    EventType.DOOR_HELD: "the door stands open too long",
    EventType.LOCKED_OUT: "locked out: faces do not open for a while",
    EventType.LOCK_OUT_ENDED: "lock-out ended",
    EventType.LOCKED_DOWN: "locked down: nobody comes in",
    EventType.LOCK_DOWN_ENDED: "lock-down ended",
    EventType.HOLD_OPEN_STARTED: "the door is held open",
    EventType.HOLD_OPEN_ENDED: "the door is held open no longer",
    EventType.TAMPER: "somebody tampers with the device",
    EventType.TAMPER_ENDED: "tampering ended",
    EventType.CAMERA_PROBLEM: "the camera has a problem",
    EventType.CAMERA_RECOVERED: "the camera works again",
    EventType.GALLERY_CHANGED: "the people enrolled changed",
    EventType.STORE_PROBLEM: "the store has a problem",
    EventType.STORE_RECOVERED: "the store works again",
    EventType.TEMPLATES_DAMAGED: "templates are damaged",
    EventType.TEMPLATES_MENDED: "templates are whole again",
    EventType.RELAY_FAULT: "the relay does not obey",
    EventType.RELAY_RECOVERED: "the relay obeys again",
    EventType.FACTOR_PROBLEM: "the keypad or the card reader has a problem",
    EventType.FACTOR_RECOVERED: "the keypad and the card reader work again",
    EventType.CLOCK_PROBLEM: "the clock has a problem",
    EventType.CLOCK_RECOVERED: "the clock is right again",
    EventType.CONFIG_RELOADED: "the configuration was read again",
    EventType.CONFIG_PROBLEM: "the configuration has mistakes and stays as it was",
    EventType.EVENTS_LOST: "messages were given up",
    EventType.CHALLENGE_STARTED: "asked to turn their head",
    EventType.FACTOR_REFUSED: "a wrong second factor",
    EventType.SPOOF_SUSPECTED: "suspected to be a picture, or another",
    EventType.LIVENESS_PROBLEM: "liveness has a problem",
    EventType.LIVENESS_RECOVERED: "liveness is right again",
    EventType.FLEET_PROBLEM: "what the door shares with others has a problem",
    EventType.FLEET_RECOVERED: "what the door shares with others is right again",
}


def nameless(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with the person's id in the place of their name, wherever that stands."""
    name, id_ = values.get("person"), values.get("person_id")
    if not isinstance(name, str) or not name:
        return dict(values)
    instead = str(id_ or "somebody")
    kept = {
        key: value.replace(name, instead) if isinstance(value, str) else value
        for key, value in values.items()
    }
    return {**kept, "type": values.get("type"), "person": instead, "person_id": id_}


def sentence(values: Mapping[str, Any]) -> str:
    """Return an event in one line.

    Args:
        values: as `lockd.messages.public` gives them: what it leaves out is not told here either.
    """
    kind, by = str(values.get("type")), values.get("by")
    lead = LEADS[EventType(kind)] if kind in set(EventType) else kind
    found = [values.get(key) for key in ("person", "command")]
    found += [
        by and f"by {by}",
        *(values.get(key) for key in ("result", "reason", "proof", "count")),
    ]
    if (again := values.get("again")) is not None:
        found.append(f"again: {again}")
    if isinstance(similarity := values.get("similarity"), float):
        found.append(f"{'at most ' * bool(values.get('similarity_bound'))}{similarity:.2f}")
    parts = [" ".join(str(one).split()) for one in found if one is not None]
    return f"{lead}: {', '.join(parts)}" if parts else lead
