"""Does the broker take what is large, and has somebody else the door's client id?"""

from __future__ import annotations

import json

from lockd.adapters.control import SYSTEM_SOCKET, listens
from lockd.adapters.mqtt.visitor import Visitor
from lockd.commands.doctor.findings import Finding, Machine, ok, problem, warning
from lockd.config import MqttSettings, Settings
from lockd.errors import BusError, ControlError
from lockd.messages import Topics, utc_text
from lockd.publishing.home_assistant import Announcement

_PACKET = 200  # besides the payload, at most
_STAY_S = 3.0
_SAID = "another client with the id"
_RAISE = "raise the broker's max_packet_size or message_size_limit"


def nobodys_result(door: str) -> bytes:
    """Return a result of a command that nobody gave; whoever listens waits for another id."""
    values = {"schema": 1, "id": "lockd-doctor", "door": door, "utc": utc_text()}
    return json.dumps({**values, "result": "denied", "reason": "tried_by_doctor"}).encode()


def size(settings: Settings, visitor: Visitor) -> list[Finding]:
    """Find out whether the broker takes the largest that the door may publish.

    If it does not, the connection may be over.
    """
    mqtt, said = settings.mqtt, visitor.max_packet
    picture = mqtt.snapshot.max_kb * 1000 if mqtt.snapshot.of != "none" else 0
    home = Announcement.of(settings)
    largest = max(picture, 0 if home is None else len(home.payload))
    if not largest:
        return []
    what = "mqtt.snapshot.max_kb" if picture == largest else "what Home Assistant is told"
    mend = f"{_RAISE}, or lower mqtt.snapshot.max_kb" if picture == largest else _RAISE
    text = f"{what}: {largest} bytes, "
    if said is not None and largest + _PACKET > said:
        return [warning(f"{text}but the broker takes {said}: made smaller or left out", mend)]
    payload = nobodys_result(settings.door.id)
    topic = Topics(mqtt.base_topic, settings.door.id).result
    try:
        visitor.publish(topic, payload + b" " * (largest - len(payload)))
    except BusError as error:
        return [warning(f"{text}which the broker does not take: {error}", mend)]
    return [] if visitor.protocol == "3.1.1" else [ok(f"{text}which the broker takes")]


def namesake(machine: Machine, mqtt: MqttSettings) -> list[Finding]:
    """Find out whether somebody else has the door's client id.

    The service knows; where none runs that would be thrown off, its id is tried.
    """
    mend = "give every door a door.id of its own, or an mqtt.client_id"
    status = machine.unit.get("StatusText", "")
    if _SAID in status:
        return [problem(status[status.index("mqtt: ") :], mend)]
    if machine.service_runs or _a_service_answers(machine.settings):
        return []
    own = mqtt.client_id or f"lockd-{machine.settings.door.id}"
    try:
        with Visitor(mqtt, "doctor", client_id=own) as visitor:
            list(visitor.messages(_STAY_S))
    except BusError as error:
        return [problem(f"{_SAID} {own} connects to the broker: {error}", mend)]
    return []


def _a_service_answers(settings: Settings) -> bool:
    try:
        return listens(settings.control.path() or SYSTEM_SOCKET)
    except ControlError:  # not for this user, but there is one
        return True
