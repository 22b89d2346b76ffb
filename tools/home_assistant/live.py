"""A real Home Assistant at a real broker, and a door there; run by Home Assistant's Python.

    live.py PORT STORY.json BLUEPRINTS DOCUMENTATION.md

The story, which `messages.py` writes, holds what a door publishes, in lockd's own bytes.
This plays it through the broker at PORT and looks at what Home Assistant makes of it. Each
check prints a line; the first that fails ends the run with exit code 1.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import paho.mqtt.client as mqtt
from homeassistant import bootstrap, runner
from homeassistant.components.mqtt.const import CONFIG_ENTRY_MINOR_VERSION, CONFIG_ENTRY_VERSION
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.helpers import device_registry, entity_registry
from paho.mqtt.enums import CallbackAPIVersion

# What every installation loads needs a browser, hardware or the network; this does not.
bootstrap.DEFAULT_INTEGRATIONS = {"automation"}
bootstrap.CRITICAL_INTEGRATIONS = set()
# They look for mistakes of integrations, and can be switched on once in a process only.
bootstrap.block_async_io.enable = bootstrap.block_shared_serial.enable = lambda: None
WAIT_S = 20.0
QUIET_S = 1.0
BLUEPRINTS = {
    "notify_stranger": {
        "stranger": "event.front_door_stranger",
        "picture": "image.front_door_last_stranger",
        "notify": "notify.phone",
    },
    "welcome_by_name": {
        "access": "event.front_door_access",
        "speech": "tts.house",
        "speaker": "media_player.hall",
    },
    "alert_door": {
        "forced": "binary_sensor.front_door_forced_open",
        "held": "binary_sensor.front_door_held_open",
        "notify": "notify.phone",
    },
}
# What they and the automations in the documentation call.
SERVICES = ("notify.phone", "notify.mobile_app_my_phone", "tts.speak", "light.turn_on")


class Complaints(logging.Handler):
    """Everything that Home Assistant says is wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name}: {record.getMessage()}")

    def about_the_door(self) -> list[str]:
        ours = ("mqtt", "template", "automation", "blueprint", "script")
        return [text for text in self.texts if any(name in text.split(":")[0] for name in ours)]


COMPLAINTS = Complaints()


class Door:
    """The other end of the broker: publishes what lockd would, and hears what it would.

    Attributes:
        heard: topic, payload, qos and expiry of what came.
    """

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes, int, int | None]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("homeassistant/status", qos=1)
        self._client.subscribe("lockd/front_door/command/plain", qos=1)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def birth(self) -> bool:
        return any(
            topic.endswith("/status") and said == b"online" for topic, said, *_ in self.heard
        )

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        expiry = getattr(message.properties, "MessageExpiryInterval", None)
        self.heard.append((message.topic, message.payload, message.qos, expiry))


async def until(what: str, question: Callable[[], Any]) -> Any:
    """Wait until a question has a true answer, and say so."""
    for _ in range(int(WAIT_S / 0.05)):
        if answer := question():
            print(f"  ok: {what}", flush=True)
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what}: not within {WAIT_S:g} s")


class House:
    """A Home Assistant, the door in it, and those whom it calls."""

    def __init__(self, folder: Path, port: int, steps: dict[str, Any]) -> None:
        self._folder, self._port, self._steps = folder, port, steps
        self.door = Door(port)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.hass: HomeAssistant

    async def start(self) -> None:
        self.door.heard.clear()
        config = runner.RuntimeConfig(str(self._folder), log_no_color=True)
        hass = await bootstrap.async_setup_hass(config)
        assert hass is not None
        self.hass = hass
        for service in SERVICES:
            hass.services.async_register(*service.split("."), self._called)
        if not hass.config_entries.async_entries("mqtt"):
            await hass.config_entries.async_add(broker_entry(self._port))
        await hass.async_start()
        await until("Home Assistant's birth is heard", self.door.birth)

    async def stop(self) -> None:
        await self.hass.async_stop(force=True)

    @callback
    def _called(self, call: ServiceCall) -> None:
        self.calls.append((f"{call.domain}.{call.service}", dict(call.data)))

    def tell(self, step: str) -> None:
        for topic, payload, retain in self._steps[step]:
            self.door.publish(topic, base64.b64decode(payload), retain)

    def state(self, entity: str) -> str | None:
        found = self.hass.states.get(entity)
        return None if found is None else found.state

    async def shows(self, expected: dict[str, str | None]) -> None:
        for entity, state in expected.items():
            await until(f"{entity} is {state}", lambda e=entity, s=state: self.state(e) == s)

    async def fires(self, entity: str, step: str) -> dict[str, Any]:
        """Take a step and return the attributes of the event that it fires."""
        before = self.state(entity)
        self.tell(step)
        await until(f"{step}: {entity} fires", lambda: self.state(entity) != before)
        found = self.hass.states.get(entity)
        return {str(key): value for key, value in found.attributes.items()}

    async def calls_for(self, service: str, words: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next(
                (data for name, data in self.calls if name == service and words in str(data)), None
            )

        return await until(f"{service} says: {words}", found)

    def entities(self) -> dict[str, str]:
        """Entity ids by unique id."""
        found = entity_registry.async_get(self.hass).entities.values()
        return {one.unique_id: one.entity_id for one in found if one.platform == "mqtt"}

    def devices(self) -> list[str | None]:
        entry = self.hass.config_entries.async_entries("mqtt")[0]
        registry = device_registry.async_get(self.hass)
        found = device_registry.async_entries_for_config_entry(registry, entry.entry_id)
        return [device.name for device in found]


def broker_entry(port: int) -> ConfigEntry:
    """Return what "add integration" makes."""
    return ConfigEntry(
        domain="mqtt",
        title="broker",
        source="user",
        version=CONFIG_ENTRY_VERSION,
        minor_version=CONFIG_ENTRY_MINOR_VERSION,
        data={"broker": "127.0.0.1", "port": port, "protocol": "5"},
        options={},
        unique_id=None,
        discovery_keys=MappingProxyType({}),
        subentries_data=None,
    )


# The checks, in their order


async def everything_is_shown(house: House) -> None:
    house.tell("full")
    await house.shows(
        {
            "lock.front_door": "locked",
            "binary_sensor.front_door_contact": "off",
            "binary_sensor.front_door_forced_open": "off",
            "binary_sensor.front_door_held_open": "off",
            "binary_sensor.front_door_tamper": "off",
            "binary_sensor.front_door_lock_down": "off",
            "binary_sensor.front_door_lock_out": "off",
            "binary_sensor.front_door_camera": "off",
            "binary_sensor.front_door_store": "off",
            "binary_sensor.front_door_service": "off",
            "button.front_door_lock_down": "unknown",
            "event.front_door_access": "unknown",
            "event.front_door_stranger": "unknown",
            "sensor.front_door_state": "locked",
            "sensor.front_door_people_enrolled": "3",
            "sensor.front_door_version": "0.1.0",
            "sensor.front_door_inference_time": "41.5",
            "sensor.front_door_frame_rate": "12.4",
            "sensor.front_door_temperature": "48.3",
            "sensor.front_door_memory": "310.2",
            "sensor.front_door_last_seen": "2026-11-22T15:00:00+00:00",
            "sensor.front_door_messages_waiting": "0",
            "sensor.front_door_messages_lost": "2",
            "sensor.front_door_uptime": None,  # off until somebody wants it
        }
    )
    assert house.devices() == ["Front door"]


async def states_follow(house: House) -> None:
    house.tell("opened")
    await house.shows(
        {
            "lock.front_door": "unlocked",
            "binary_sensor.front_door_contact": "on",
            "sensor.front_door_state": "open",
        }
    )
    house.tell("broken")
    await house.shows(
        {
            "lock.front_door": "jammed",
            "sensor.front_door_state": "fault",
            "binary_sensor.front_door_tamper": "on",
            "binary_sensor.front_door_lock_down": "on",
            "binary_sensor.front_door_lock_out": "on",
            "binary_sensor.front_door_camera": "on",
            "binary_sensor.front_door_store": "on",
            "binary_sensor.front_door_service": "on",
        }
    )
    house.tell("unknown")
    await house.shows(
        {
            "lock.front_door": "locked",
            "binary_sensor.front_door_contact": "unknown",
            "sensor.front_door_temperature": "unknown",
            "sensor.front_door_last_seen": "unknown",
        }
    )


async def events_fire(house: House) -> None:
    granted = await house.fires("event.front_door_access", "granted")
    assert granted["event_type"] == "granted", granted
    assert granted["person"] == 'Zoë "Q" {{ 7 * 6 }}', granted
    assert "similarity" not in granted, granted
    denied = await house.fires("event.front_door_access", "denied")
    assert (denied["event_type"], denied["reason"]) == ("denied", "not_allowed"), denied
    assert "person" not in denied, denied
    before = house.state("event.front_door_access")
    house.tell("others")
    await asyncio.sleep(QUIET_S)
    assert house.state("event.front_door_access") == before
    print("  ok: what is no access fires nothing", flush=True)


async def pictures_come(house: House) -> None:
    await house.shows({"image.front_door_last_stranger": "unknown"})
    house.tell("picture")
    image = "image.front_door_last_stranger"
    await until("the picture has a time", lambda: house.state(image) != "unknown")
    entity = house.hass.data["image"].get_entity(image)
    assert (await entity.async_image()).startswith(b"\xff\xd8\xff")
    assert entity.content_type == "image/jpeg"


async def commands_arrive(house: House) -> None:
    for service, entity, word in (
        ("lock.unlock", "lock.front_door", b"UNLOCK"),
        ("lock.lock", "lock.front_door", b"LOCK"),
        ("button.press", "button.front_door_lock_down", b"LOCK_DOWN"),
        ("button.press", "button.front_door_lift_lock_down", b"LIFT"),
        ("button.press", "button.front_door_silence", b"SILENCE"),
        ("button.press", "button.front_door_take_a_picture", b"SNAPSHOT"),
    ):
        house.door.heard.clear()
        await house.hass.services.async_call(
            *service.split("."), {"entity_id": entity}, blocking=True
        )
        heard = await until(f"{service} of {entity} arrives", lambda: list(house.door.heard))
        assert heard == [("lockd/front_door/command/plain", word, 0, 5)], heard


async def blueprints_act(house: House) -> None:
    automations = house.hass.states.async_entity_ids("automation")
    assert len(automations) == 6, automations
    house.calls.clear()
    await house.fires("event.front_door_access", "granted")
    await house.calls_for("light.turn_on", "light.hall")
    spoken = await house.calls_for("tts.speak", "Welcome, Zoë")
    assert spoken["message"] == 'Welcome, Zoë "Q" {{ 7 * 6 }}.', spoken
    house.tell("picture")
    await house.fires("event.front_door_stranger", "stranger")
    told = await house.calls_for("notify.phone", "does not know")
    assert told["title"] == "Front door", told
    assert told["data"]["image"] == "/api/image_proxy/image.front_door_last_stranger", told
    await house.calls_for("notify.mobile_app_my_phone", "does not know")
    house.calls.clear()
    await house.fires("event.front_door_stranger", "late stranger")
    await house.fires("event.front_door_access", "denied")
    house.tell("held")
    await house.calls_for("notify.phone", "Front door stands open.")
    await house.calls_for("notify.mobile_app_my_phone", "The front door stands open.")
    house.tell("forced")
    await house.calls_for("notify.phone", "Front door was forced open.")
    house.tell("well")
    await house.calls_for("notify.phone", "all is well again")
    house.calls.clear()
    house.tell("offline")
    await house.shows({"lock.front_door": "unavailable"})
    house.tell("full")
    await house.shows({"lock.front_door": "locked"})
    await asyncio.sleep(QUIET_S)
    assert house.calls == [], house.calls
    print("  ok: nobody is told of late strangers, refusals, nor of a door that comes back")


async def a_restart_keeps_everything(house: House) -> None:
    before = house.entities()
    await house.stop()
    house.calls.clear()
    await house.start()
    await house.shows({"lock.front_door": "locked", "sensor.front_door_people_enrolled": "3"})
    await asyncio.sleep(QUIET_S)
    assert house.entities() == before
    assert house.calls == [], house.calls
    print("  ok: the same entities, and nobody is told anything")


async def another_name_keeps_the_ids(house: House) -> None:
    before = house.entities()
    house.tell("renamed")
    await until("the device has the new name", lambda: house.devices() == ["Back door"])
    assert house.entities() == before


async def what_is_not_configured_goes(house: House) -> None:
    before = house.entities()
    house.tell("bare")
    await until("the lock is gone", lambda: house.state("lock.front_door") is None)
    await until("a sensor is there instead", lambda: house.state("binary_sensor.front_door"))
    await asyncio.sleep(QUIET_S)
    for entity in (
        "image.front_door_last_stranger",
        "binary_sensor.front_door_tamper",
        "button.front_door_silence",
        "sensor.front_door_inference_time",
    ):
        assert house.state(entity) is None, entity
    assert all(
        platform != "button"
        for platform in (entity.split(".")[0] for entity in house.entities().values())
    )
    house.tell("full")
    await house.shows({"lock.front_door": "locked", "binary_sensor.front_door": None})
    assert house.entities() == before


async def it_can_be_removed(house: House) -> None:
    house.tell("removed")
    await until("the device is gone", lambda: house.devices() == [])
    assert house.entities() == {}


CHECKS = (
    everything_is_shown,
    states_follow,
    events_fire,
    pictures_come,
    commands_arrive,
    blueprints_act,
    a_restart_keeps_everything,
    another_name_keeps_the_ids,
    what_is_not_configured_goes,
    it_can_be_removed,
)


async def play(house: House) -> None:
    print(f"Home Assistant {__version__}")
    await house.start()
    for check in CHECKS:
        print(f"{check.__name__.replace('_', ' ')}:", flush=True)
        await check(house)
    await house.stop()
    assert COMPLAINTS.about_the_door() == []
    print("Home Assistant has not complained once")


def furnish(folder: Path, blueprints: Path, documentation: Path) -> None:
    """Write Home Assistant's configuration; JSON is YAML."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uses = [
        {"use_blueprint": {"path": f"lockd/{name}.yaml", "input": inputs}}
        for name, inputs in BLUEPRINTS.items()
    ]
    blocks = documentation.read_text("utf-8").split("```yaml\n")[1:]
    by_hand = next(block.split("```")[0] for block in blocks if block.startswith("- alias"))
    (folder / "by_hand.yaml").write_text(by_hand)
    (folder / "configuration.yaml").write_text(
        f"http: {{server_host: 127.0.0.1, server_port: {port}}}\n"
        f"automation: {json.dumps(uses)}\n"
        "automation by hand: !include by_hand.yaml\n"
    )
    shutil.copytree(blueprints, folder / "blueprints/automation/lockd")


def main() -> int:
    port, (story, blueprints, documentation) = int(sys.argv[1]), map(Path, sys.argv[2:])
    logging.getLogger().addHandler(COMPLAINTS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        furnish(Path(folder), blueprints, documentation)
        try:
            asyncio.run(play(House(Path(folder), port, json.loads(story.read_text("utf-8")))))
        except Exception:  # Home Assistant has a hook that would send it to its log
            traceback.print_exc()
            print(*COMPLAINTS.texts, sep="\n")
            return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads of Home Assistant's would keep a failed run alive
