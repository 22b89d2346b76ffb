"""A real Home Assistant at a real broker, and a door there; run by Home Assistant's Python.

    live.py PORT STORY.json BLUEPRINTS DOCUMENTATION.md READY

The story, which `messages.py` writes, holds what a door publishes, in lockd's own bytes.
This plays it through the broker at PORT and looks at what Home Assistant makes of it. Then
it makes the file READY, at which somebody starts a lockd before which people come and go.
Each check prints a line; the first that fails ends the run with exit code 1.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from home_assistant.const import __version__
from house import COMPLAINTS, House, furnish, until

QUIET_S = 1.0
ACCESS, STRANGER = "event.front_door_access", "event.front_door_stranger"
DOWN = "binary_sensor.front_door_lock_down"

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
            "sensor.front_door_messages_refused": "3",
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


async def a_real_lockd_is_found(house: House) -> None:
    house.ready.touch()
    await house.shows({"binary_sensor.front_door": None, "lock.front_door": "locked"})
    await house.shows({"sensor.front_door_people_enrolled": "2"})
    await until("it counts", lambda: house.state("sensor.front_door_frame_rate") != "unknown")
    for domain, action, entity, sensor, state in (
        ("lock", "unlock", "lock.front_door", "lock.front_door", "unlocked"),
        ("lock", "lock", "lock.front_door", "lock.front_door", "locked"),
        ("button", "press", "button.front_door_lock_down", DOWN, "on"),
        ("button", "press", "button.front_door_lift_lock_down", DOWN, "off"),
    ):
        service = {"entity_id": entity}
        await house.hass.services.async_call(domain, action, service, blocking=True)
        await house.shows({sensor: state})


async def it_tells_who_comes(house: House) -> None:
    def last(entity: str) -> dict[str, Any]:
        found = house.hass.states.get(entity)
        return {} if found is None else dict(found.attributes)

    await until("he is let in", lambda: last(ACCESS).get("person") == "Barack Obama")
    await house.shows({"lock.front_door": "unlocked"})
    await house.calls_for("tts.speak", "Welcome, Barack Obama.")
    await until("a stranger is told of", lambda: last(STRANGER).get("event_type") == "stranger")
    image = house.hass.data["image"].get_entity("image.front_door_last_stranger")
    # The story's own was smaller.
    await until("their picture comes", lambda: len(image._last_image or b"") > 1500)
    await house.calls_for("notify.phone", "does not know")
    await house.shows({"lock.front_door": "unavailable"})  # the recording is over


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
    a_real_lockd_is_found,
    it_tells_who_comes,
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


def main() -> int:
    port, (story, blueprints, documentation, ready) = int(sys.argv[1]), map(Path, sys.argv[2:])
    logging.getLogger().addHandler(COMPLAINTS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        furnish(Path(folder), blueprints, documentation)
        try:
            steps = json.loads(story.read_text("utf-8"))
            asyncio.run(play(House(Path(folder), port, steps, ready)))
        except Exception:  # Home Assistant has a hook that would send it to its log
            traceback.print_exc()
            print(*COMPLAINTS.texts, sep="\n")
            return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads of Home Assistant's would keep a failed run alive
