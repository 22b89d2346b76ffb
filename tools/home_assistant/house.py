"""A Home Assistant to be looked into, and the other end of its broker; for `live.py`."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import paho.mqtt.client as mqtt
from home_assistant.components.mqtt.const import CONFIG_ENTRY_MINOR_VERSION, CONFIG_ENTRY_VERSION
from home_assistant.config_entries import ConfigEntry
from home_assistant.core import HomeAssistant, ServiceCall, callback
from home_assistant.helpers import device_registry, entity_registry
from homeassistant import bootstrap, runner
from paho.mqtt.enums import CallbackAPIVersion

# What every installation loads needs a browser, hardware or the network; this does not.
bootstrap.DEFAULT_INTEGRATIONS = {"automation"}
bootstrap.CRITICAL_INTEGRATIONS = set()
# They look for mistakes of integrations, and can be switched on once in a process only.
bootstrap.block_async_io.enable = bootstrap.block_shared_serial.enable = lambda: None
WAIT_S = 30.0
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

    def __init__(self, folder: Path, port: int, steps: dict[str, Any], ready: Path) -> None:
        self._folder, self._port, self._steps = folder, port, steps
        self.ready = ready
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
