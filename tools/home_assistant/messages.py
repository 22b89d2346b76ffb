"""What a door says to Home Assistant, in lockd's own bytes; run by lockd's Python.

messages.py            every message that settings can lead to, one a line
messages.py --story    what `live.py` plays, as JSON
"""

from __future__ import annotations

import base64
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any, TypeAlias, get_args

import cv2
import numpy as np

from lockd.config import Settings
from lockd.config.mqtt import PlainCommand
from lockd.messages import OFFLINE, ONLINE, Event, EventType, Topics, encode
from lockd.publishing import home_assistant

Message: TypeAlias = tuple[str, bytes, bool]
"""Topic, payload, and whether it is retained."""

PLAIN = get_args(PlainCommand)
TOPICS = Topics("lockd", "front_door")
GOOD = {
    **{"lock": "LOCKED", "state": "locked", "door": "closed", "alarm": "none"},
    **{"camera": "ok", "store": "ok", "service": "ok", "tamper": False},
    **{"locked_down": False, "locked_out": False, "people": 3, "version": "0.1.0"},
}


def settings_of(
    plain: tuple[str, ...] = PLAIN,
    picture: str = "face",
    *,
    wired: bool = True,
    name: str = "Front door",
    **mqtt: Any,
) -> Settings:
    inputs = {"contact": {"pin": 24}, "tamper": {"pin": 25}} if wired else {}
    mqtt = {
        "commands": {"plain": list(plain)},
        "snapshot": {"of": picture},
        "home_assistant": {"discovery": True},
        **mqtt,
    }
    door = {"id": "front_door", "name": name}
    return Settings.model_validate({"door": door, "inputs": inputs, "mqtt": mqtt})


def every() -> Iterator[Settings]:
    for plain, picture, wired, diagnostics_s, protocol, base in itertools.product(
        [some for n in range(len(PLAIN) + 1) for some in itertools.combinations(PLAIN, n)],
        ("none", "face"),
        (True, False),
        (0.0, 60.0),
        ("auto", "3.1.1"),
        ("lockd", "haus/türen"),
    ):
        mqtt = {"diagnostics_s": diagnostics_s, "protocol": protocol, "base_topic": base}
        yield settings_of(plain, picture, wired=wired, **mqtt)


def config(settings: Settings) -> Message:
    announcement = home_assistant.Announcement.of(settings)
    assert announcement is not None
    return announcement.topic, announcement.payload, True


def state(**more: Any) -> Message:
    values = {key: value for key, value in {**GOOD, **more}.items() if value is not None}
    return TOPICS.state, encode(values), True


def diagnostics(**more: Any) -> Message:
    values = {"fps": 12.4, "inference_ms": 41.5, "memory_mb": 310.2, "uptime_s": 60, **more}
    return TOPICS.diagnostics, encode({**values, "waiting": 0, "lost": 2, "refused": 3}), True


def event(kind: EventType, topic: str = TOPICS.events, **details: Any) -> Message:
    delayed = details.pop("delayed", False)
    values = Event(kind, 1.0, "front_door", **details).as_dict()
    return topic, encode({**values, "delayed": delayed}), False


def story() -> dict[str, list[Message]]:
    """What is published at each step of `live.py`."""
    person = 'Zoë "Q" {{ 7 * 6 }}'
    alert = TOPICS.alert("stranger")
    picture = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    problems = {"camera": "problem", "store": "problem", "service": "problem"}
    locks = {"lock": "JAMMED", "state": "fault", "locked_down": True, "locked_out": True}
    bare = settings_of((), "none", wired=False, diagnostics_s=0.0)
    return {
        "full": [
            config(settings_of()),
            (TOPICS.availability, ONLINE, True),
            state(),
            diagnostics(temperature_c=48.3, last_seen="2026-11-22T15:00:00Z"),
        ],
        "opened": [state(lock="UNLOCKED", state="open", door="open")],
        "broken": [state(tamper=True, **problems, **locks)],
        "unknown": [state(door=None), diagnostics()],
        "granted": [event(EventType.ACCESS_GRANTED, person=person, visit=7, similarity=0.7)],
        "denied": [event(EventType.ACCESS_DENIED, visit=8, reason="not_allowed")],
        "others": [event(EventType.GALLERY_CHANGED), event(EventType.DOOR_OPENED)],
        "stranger": [event(EventType.STRANGER, alert, visit=9)],
        "late stranger": [event(EventType.STRANGER, alert, delayed=True, visit=10)],
        "picture": [(TOPICS.snapshot, picture, True)],
        "held": [state(state="held", door="open", alarm="held")],
        "forced": [state(state="forced", door="open", alarm="forced")],
        "well": [state()],
        "offline": [(TOPICS.availability, OFFLINE, True)],
        "renamed": [config(settings_of(name="Back door"))],
        "bare": [config(bare)],
        "removed": [(home_assistant.config_topic(bare), b"", True)],
    }


def main() -> None:
    if "--story" not in sys.argv:
        for settings in every():
            print(config(settings)[1].decode())
        return
    told = {
        step: [
            (topic, base64.b64encode(payload).decode(), retain) for topic, payload, retain in all_
        ]
        for step, all_ in story().items()
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
