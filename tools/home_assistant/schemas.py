"""Hold discovery messages to Home Assistant's own schemas; run by its Python.

    schemas.py TABLE.json < MESSAGES

Reads one message a line. One that Home Assistant would refuse is an error, one of whose
keys it would drop in silence, and a row of our table of what it knows that it does not.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from home_assistant.components.mqtt import abbreviations, discovery, schemas
from home_assistant.components.sensor import SensorDeviceClass, SensorStateClass
from home_assistant.components.sensor.const import DEVICE_CLASS_UNITS
from home_assistant.const import __version__
from home_assistant.core import HomeAssistant

PLATFORMS = ("binary_sensor", "button", "event", "image", "lock", "sensor")
MODULES = {
    name: importlib.import_module(f"home_assistant.components.mqtt.{name}") for name in PLATFORMS
}


def take(message: dict[str, Any]) -> None:
    """Take a message as Home Assistant does, component by component.

    Raises:
        Exception: if it refuses one, or drops a key of it.
    """
    discovery._replace_all_abbreviations(message)
    schemas.DEVICE_DISCOVERY_SCHEMA(message)
    for key, component in message["components"].items():
        platform = component.pop("platform")
        if not component:
            continue  # to be removed
        for option in schemas.SHARED_OPTIONS:
            if option in message:
                component.setdefault(option, message[option])
        taken = MODULES[platform].DISCOVERY_SCHEMA(dict(component))
        if dropped := component.keys() - {str(name) for name in taken}:
            raise ValueError(f"{key}: dropped in silence: {', '.join(sorted(dropped))}")


def keys_of(schema: Any) -> set[str]:
    """Return the keys that a schema knows, however it is wrapped."""
    inner = getattr(schema, "schema", None)
    if isinstance(inner, dict):
        return {str(key) for key in inner}
    return set().union(*(keys_of(part) for part in getattr(schema, "validators", None) or ()))


def wrong_rows(table: dict[str, Any]) -> list[str]:
    """Return what our table says and Home Assistant does not."""
    claims = {
        "abbreviations": (table["abbreviations"].items(), abbreviations.ABBREVIATIONS.items()),
        "device's": (
            table["device_abbreviations"].items(),
            abbreviations.DEVICE_ABBREVIATIONS.items(),
        ),
        "root": (table["root"], keys_of(schemas.DEVICE_DISCOVERY_SCHEMA)),
        "device": (table["device"], keys_of(schemas.MQTT_DEVICE_INFO_SCHEMA)),
        "origin": (table["origin"], keys_of(schemas.MQTT_ORIGIN_INFO_SCHEMA)),
        "state classes": (table["platforms"]["sensor"]["state_classes"], set(SensorStateClass)),
        "sensors": (table["platforms"]["sensor"]["device_classes"], set(SensorDeviceClass)),
    }
    for name, row in table["platforms"].items():
        known = keys_of(MODULES[name].DISCOVERY_SCHEMA)
        claims[name] = ([*row["keys"], *table["every_platform"]], known)
    for name, units in table["platforms"]["sensor"]["units"].items():
        claims[name] = (units, {str(unit) for unit in DEVICE_CLASS_UNITS.get(name, ())})
    return [
        f"{name}: {sorted(map(str, set(ours) - set(theirs)))}"
        for name, (ours, theirs) in claims.items()
        if set(ours) - set(theirs)
    ]


async def main() -> int:
    table = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    if wrong := wrong_rows(table):
        print("Home Assistant does not know:", *wrong, sep="\n  ")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        HomeAssistant(folder)  # which knows the functions of templates
        messages = [json.loads(line) for line in sys.stdin]
        for message in messages:
            take(message)
    print(f"Home Assistant {__version__} takes all {len(messages)} messages, and every key of them")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
