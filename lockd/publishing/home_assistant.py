"""The door as Home Assistant finds it: one message that describes everything it shows.

Home Assistant calls this *device discovery* (2024.11 and later): a retained message on
`<prefix>/device/<id>/config`. What it knows and refuses was read from Home Assistant
2026.11.0; `make check-home-assistant` holds these messages to its own code. Its
abbreviations keep the message short; `tests/data/home_assistant.json` spells them out.

Everything is named by the door's id, so that a door may get another name. What is not
configured stands in the message with its platform alone, which removes it where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockd import __version__
from lockd.config import Settings
from lockd.door.events import State
from lockd.messages import EventType, Topics, encode

Component: TypeAlias = dict[str, Any]

COMMAND_EXPIRY_S = 5
"""How old a command may get in the broker: who pressed a button has left by then."""

PLATFORMS = {
    "lock": "lock",
    "locked": "binary_sensor",
    "access": "event",
    "stranger": "event",
    "spoof": "event",
    "snapshot": "image",
    "challenge": "sensor",
    "photographs": "binary_sensor",
    "state": "sensor",
    "contact": "binary_sensor",
    "forced": "binary_sensor",
    "held": "binary_sensor",
    "locked_down": "binary_sensor",
    "locked_out": "binary_sensor",
    "tamper": "binary_sensor",
    "camera": "binary_sensor",
    "store": "binary_sensor",
    "service": "binary_sensor",
    "press_lock": "button",
    "press_unlock": "button",
    "press_lock_down": "button",
    "press_lift": "button",
    "press_silence": "button",
    "press_snapshot": "button",
    "people": "sensor",
    "version": "sensor",
    "inference": "sensor",
    "frame_rate": "sensor",
    "temperature": "sensor",
    "memory": "sensor",
    "last_seen": "sensor",
    "waiting": "sensor",
    "lost": "sensor",
    "refused": "sensor",
    "uptime": "sensor",
}
"""Everything that there can be, and what it is. A name, once used, means the same for good."""

ACCESS = {
    EventType.ACCESS_GRANTED: "granted",
    EventType.ACCESS_DENIED: "denied",
    EventType.STRANGER: "stranger",
    EventType.UNIDENTIFIED: "unidentified",
    EventType.EXIT_REQUESTED: "exit",
    EventType.COMMAND: "command",
}
"""What the visitors' book tells, in its words."""

# The rest of an event stays out of Home Assistant's history. Never `event_types` and
# `device_class`, which would overwrite its own.
_TOLD = ("id", "utc", "delayed", "visit", "person", "person_id", "reason", "command", "by",
         "result", "suppressed")  # fmt: skip

_BUTTONS = {
    "lock": ("Lock", "mdi:lock"),
    "unlock": ("Unlock", "mdi:lock-open-variant"),
    "lock-down": ("Lock down", "mdi:shield-lock"),
    "lift": ("Lift lock-down", "mdi:shield-off"),
    "silence": ("Silence", "mdi:bell-off"),
    "snapshot": ("Take a picture", "mdi:camera"),
}


def identity(settings: Settings) -> str:
    """Return what the door is called for good, in letters, digits, ``_`` and ``-``.

    Another base topic is another installation, whose doors may have the same ids.
    """
    base, door = settings.mqtt.base_topic, settings.door.id
    if base == "lockd":
        return f"lockd_{door}"
    return f"lockd_{hashlib.blake2s(base.encode(), digest_size=4).hexdigest()}_{door}"


def config_topic(settings: Settings) -> str:
    """Return where the message belongs, retained; an empty one there removes the door."""
    return f"{settings.mqtt.home_assistant.prefix}/device/{identity(settings)}/config"


def birth_topic(settings: Settings) -> str:
    """Return where Home Assistant says that it has started."""
    return f"{settings.mqtt.home_assistant.prefix}/status"


def births(settings: Settings) -> list[str]:
    """Return the topics to hear of births on; none where Home Assistant is not to know."""
    return [birth_topic(settings)] if settings.mqtt.home_assistant.discovery else []


def is_birth(payload: bytes) -> bool:
    """Return whether Home Assistant says that it is there, rather than gone."""
    return payload == b"online"


def discovery(settings: Settings, topics: Topics, version: str) -> dict[str, Any]:
    """Return the message.

    Args:
        settings: what is configured decides what is shown.
    """
    name = identity(settings)
    present = dict(_components(settings, topics))
    components: dict[str, Component] = {}
    for key, platform in PLATFORMS.items():
        components[key] = {"p": platform}
        if key in present:
            components[key] |= {"uniq_id": f"{name}_{key}", **present[key]}
    return {
        "dev": {
            "ids": [name],
            "name": settings.door.name,
            "mf": "lockd",
            "mdl": "Door lock with face recognition",
            "sw": version,
        },
        "o": {"name": "lockd", "sw": version},
        "avty_t": topics.availability,
        "cmps": components,
    }


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the service tells Home Assistant, and when: after every connect and every birth.

    Attributes:
        topic: where it belongs, retained.
        payload: the message.
        birth: the topic at which Home Assistant says that it has started.
    """

    topic: str
    payload: bytes
    birth: str

    @classmethod
    def of(cls, settings: Settings) -> Announcement | None:
        """Return it, or None where Home Assistant is not to know of the door."""
        if not settings.mqtt.home_assistant.discovery:
            return None
        topics = Topics(settings.mqtt.base_topic, settings.door.id)
        message = discovery(settings, topics, __version__)
        return cls(config_topic(settings), encode(message), birth_topic(settings))

    def is_due(self, topic: str, payload: bytes) -> bool:
        """Return whether a message is a birth."""
        return topic == self.birth and is_birth(payload)


# What there is, and how it reads our payloads


def _components(settings: Settings, topics: Topics) -> Iterator[tuple[str, Component]]:
    yield from _lock(settings, topics)
    yield from _happenings(settings, topics)
    yield from _conditions(settings, topics)
    yield from _buttons(settings, topics)
    yield from _diagnostics(settings, topics)


def _lock(settings: Settings, topics: Topics) -> Iterator[tuple[str, Component]]:
    """A lock that can be operated, or, as Home Assistant knows no other, a sensor of one."""
    shared = {"name": None, "stat_t": topics.state}
    if _operable(settings):
        command = {"pl_lock": "LOCK", "pl_unlk": "UNLOCK", **_command(settings, topics)}
        yield "lock", {**shared, "val_tpl": "{{ value_json.lock }}", **command}
    else:
        states = {"LOCKED": "OFF", "UNLOCKED": "ON"}
        yield "locked", {**shared, "dev_cla": "lock", "val_tpl": _translated("lock", states)}


def _operable(settings: Settings) -> bool:
    return {"lock", "unlock"} <= set(settings.mqtt.commands.plain)


def _happenings(settings: Settings, topics: Topics) -> Iterator[tuple[str, Component]]:
    kinds = {kind.value: word for kind, word in ACCESS.items()}
    yield (
        "access",
        {
            "name": "Access",
            "ic": "mdi:account-key",
            "stat_t": topics.events,
            "qos": 1,
            "evt_typ": list(kinds.values()),
            "val_tpl": _event(f"{json.dumps(kinds)}.get(value_json.get('type'))"),
        },
    )
    yield (
        "stranger",
        {
            "name": "Stranger",
            "ic": "mdi:account-question",
            "stat_t": topics.alert("stranger"),
            "qos": 1,
            "evt_typ": ["stranger"],
            "val_tpl": _event('"stranger"'),
        },
    )
    yield (
        "spoof",
        {
            "name": "Suspected picture",
            "ic": "mdi:image-frame",
            "stat_t": topics.alert("spoof"),
            "qos": 1,
            "evt_typ": ["spoof"],
            "val_tpl": _event('"spoof"'),
        },
    )
    if settings.mqtt.snapshot.of != "none":
        image = {"img_t": topics.snapshot, "cont_type": "image/jpeg"}
        yield "snapshot", {"name": "Last stranger", **image}


def _conditions(settings: Settings, topics: Topics) -> Iterator[tuple[str, Component]]:
    def condition(name: str, key: str, bad: Any, good: Any, **more: str) -> Component:
        template = _translated(key, {bad: "ON", good: "OFF"})
        return {"name": name, "stat_t": topics.state, "val_tpl": template, **more}

    def alarm(name: str, word: str) -> Component:
        template = f"{{{{ 'ON' if value_json.alarm == '{word}' else 'OFF' }}}}"
        return {"name": name, "stat_t": topics.state, "val_tpl": template, "dev_cla": "safety"}

    def problem(name: str, key: str) -> Component:
        return condition(name, key, "problem", "ok", dev_cla="problem", ent_cat="diagnostic")

    yield (
        "state",
        {
            "name": "State",
            "ic": "mdi:door",
            "stat_t": topics.state,
            "dev_cla": "enum",
            "ops": [state.value for state in State],
            "val_tpl": "{{ value_json.state }}",
        },
    )
    yield (
        "challenge",
        {
            "name": "Asked of the visitor",
            "ic": "mdi:account-eye",
            "stat_t": topics.state,
            "dev_cla": "enum",
            "ops": ["none", "front", "left", "right"],
            "val_tpl": "{{ value_json.challenge }}",
        },
    )
    yield (
        "photographs",
        condition("Opens to photographs", "photographs_open", True, False, dev_cla="problem"),
    )
    if settings.inputs.contact is not None:
        yield "contact", condition("Contact", "door", "open", "closed", dev_cla="door")
        yield "forced", alarm("Forced open", "forced")
        yield "held", alarm("Held open", "held")
    for key, name in (("locked_down", "Lock-down"), ("locked_out", "Lock-out")):
        yield key, condition(name, key, True, False, ic="mdi:shield-lock")
    if settings.inputs.tamper is not None:
        yield "tamper", condition("Tamper", "tamper", True, False, dev_cla="tamper")
    for key, name in (("camera", "Camera"), ("store", "Store"), ("service", "Service")):
        yield key, problem(name, key)


def _buttons(settings: Settings, topics: Topics) -> Iterator[tuple[str, Component]]:
    taken = {"lock", "unlock"} if _operable(settings) else set()
    if settings.mqtt.snapshot.of == "none":
        taken.add("snapshot")
    for command, (name, icon) in _BUTTONS.items():
        if command in settings.mqtt.commands.plain and command not in taken:
            word = command.upper().replace("-", "_")
            button = {"name": name, "ic": icon, "pl_prs": word, **_command(settings, topics)}
            yield f"press_{word.lower()}", button


def _diagnostics(settings: Settings, topics: Topics) -> Iterator[tuple[str, Component]]:
    def reading(name: str, key: str, topic: str, **more: Any) -> Component:
        # What a machine does not know is missing; get() makes it None: unknown.
        template = f"{{{{ value_json.get('{key}') }}}}"
        common = {"stat_t": topic, "val_tpl": template, "ent_cat": "diagnostic"}
        return {"name": name, **common, **more}

    measured = {"stat_cla": "measurement"}
    people = {**measured, "ic": "mdi:account-group"}
    yield "people", reading("People enrolled", "people", topics.state, **people)
    yield "version", reading("Version", "version", topics.state, ic="mdi:tag")
    if settings.mqtt.diagnostics_s == 0:
        return
    rows: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("inference", "Inference time", "inference_ms",
         {"dev_cla": "duration", "unit_of_meas": "ms", "sug_dsp_prc": 0, **measured}),
        ("frame_rate", "Frame rate", "fps",
         {"ic": "mdi:speedometer", "unit_of_meas": "fps", "sug_dsp_prc": 1, **measured}),
        ("temperature", "Temperature", "temperature_c",
         {"dev_cla": "temperature", "unit_of_meas": "°C", "sug_dsp_prc": 0, **measured}),
        ("memory", "Memory", "memory_mb",
         {"dev_cla": "data_size", "unit_of_meas": "MB", "sug_dsp_prc": 0, **measured}),
        ("last_seen", "Last seen", "last_seen", {"dev_cla": "timestamp"}),
        ("waiting", "Messages waiting", "waiting", {"ic": "mdi:tray-full", **measured}),
        ("lost", "Messages lost", "lost",
         {"ic": "mdi:tray-remove", "stat_cla": "total_increasing"}),
        ("refused", "Messages refused", "refused",
         {"ic": "mdi:tray-alert", "stat_cla": "total_increasing"}),
        # Changes with every message: off until somebody wants it in their history.
        ("uptime", "Uptime", "uptime_s",
         {"dev_cla": "duration", "unit_of_meas": "s", "en": False, **measured}),
    )  # fmt: skip
    for key, name, field, more in rows:
        yield key, reading(name, field, topics.diagnostics, **more)


def _command(settings: Settings, topics: Topics) -> Component:
    """Where a command goes: at QoS 0, for one that could not arrive at once must not later."""
    command: Component = {"cmd_t": topics.plain_command}
    if settings.mqtt.protocol != "3.1.1":  # with which Home Assistant sends no such command
        command["msg_exp_int"] = COMMAND_EXPIRY_S
    return command


# Templates: nothing of what people may set is put into one


def _translated(key: str, words: dict[Any, str]) -> str:
    """Return a template that translates a value of the state; what it does not know is unknown."""
    table = ", ".join(f"{word!r}: {said!r}" for word, said in words.items())
    return f"{{{{ {{{table}}}.get(value_json.get('{key}'), 'None') }}}}"


def _event(kind: str) -> str:
    """Return a template that makes one of Home Assistant's events of ours.

    Args:
        kind: expression for its type; an event for which that is none becomes an empty
            one, which Home Assistant passes over.
    """
    told = json.dumps(_TOLD)
    attributes = f"value_json.items() | selectattr(0, 'in', {told})"
    event = f"dict({attributes}, event_type=kind) | to_json if kind else '{{}}'"
    return f"{{% set kind = {kind} %}}{{{{ {event} }}}}"
