"""When Home Assistant is told of the door: at each connection and birth, by a real broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.publish
import pytest

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.wallclock import WallClock
from lockd.clock import RealClock
from lockd.config import Settings
from lockd.messages import Topics
from lockd.publishing.home_assistant import Announcement, births
from lockd.publishing.publisher import Publisher
from tests.brokers import Mosquitto, Subscriber
from tests.patience import eventually

CONFIG = "homeassistant/device/lockd_front_door/config"
STATE = "lockd/front_door/state"
DIAGNOSTICS = "lockd/front_door/diagnostics"
AVAILABILITY = "lockd/front_door/availability"


class Told:
    """A reporter at a broker, and everything that it publishes."""

    def __init__(self, settings: Settings, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        topics = Topics("lockd", "front_door")
        self.bus = Bus(settings.mqtt, topics, "front_door", births(settings), retry_first_s=0.05)
        self._reporter = Publisher(
            settings,
            clock=RealClock(),
            wall=WallClock(settings.access),
            bus=self.bus,
            messages=None,
        )
        self.bus.start()

    def step(self) -> None:
        self._reporter.hear(self.bus.inbox())
        self._reporter.serve({"lock": "LOCKED"}, lambda: {"fps": 1.0})

    def until(self, count: int) -> list[str]:
        """Step until so many messages were heard, and return their topics."""

        def enough() -> bool:
            self.step()
            return len(self._heard()) >= count

        eventually(enough)
        return self._heard()

    def _heard(self) -> list[str]:
        ours = ("lockd/", "homeassistant/device/")
        return [topic for topic, _, _ in self._subscriber.heard if topic.startswith(ours)]


@pytest.fixture
def tell(
    mosquitto: Mosquitto, subscribe: Callable[[int], Subscriber]
) -> Iterator[Callable[[bool], Told]]:
    made: list[Told] = []

    def make(discovery: bool) -> Told:
        mqtt: dict[str, Any] = {"host": "127.0.0.1", "port": mosquitto.port}
        mqtt["home_assistant"] = {"discovery": discovery}
        settings = Settings.model_validate({"door": {"id": "front_door"}, "mqtt": mqtt})
        made.append(Told(settings, subscribe(mosquitto.port)))
        return made[-1]

    yield make
    for one in made:
        one.bus.close()


def say(mosquitto: Mosquitto, topic: str, payload: str) -> None:
    paho.mqtt.publish.single(topic, payload, hostname="127.0.0.1", port=mosquitto.port)


def test_home_assistant_is_told_at_each_connection_and_each_birth(
    tell: Callable[[bool], Told], mosquitto: Mosquitto, subscribe: Callable[[int], Subscriber]
) -> None:
    told = tell(True)
    greeting = [CONFIG, AVAILABILITY, STATE, DIAGNOSTICS]
    assert told.until(4) == greeting
    say(mosquitto, "homeassistant/status", "offline")
    say(mosquitto, "homeassistant/status", "online")
    assert told.until(8) == greeting * 2
    late = subscribe(mosquitto.port)
    eventually(lambda: late.of(CONFIG))
    assert json.loads(late.of(CONFIG)[0])["dev"]["ids"] == ["lockd_front_door"]


def test_a_broker_that_lost_its_memory_is_told_everything_again(
    tell: Callable[[bool], Told], mosquitto: Mosquitto, subscribe: Callable[[int], Subscriber]
) -> None:
    told = tell(True)
    told.until(4)
    mosquitto.stop()
    mosquitto.start()
    late = subscribe(mosquitto.port)

    def told_again() -> bool:
        told.step()
        return {CONFIG, AVAILABILITY, STATE, DIAGNOSTICS} <= {topic for topic, *_ in late.heard}

    eventually(told_again)


def test_a_door_that_is_not_to_be_found_hears_of_no_birth(
    tell: Callable[[bool], Told], mosquitto: Mosquitto
) -> None:
    told = tell(False)
    told.until(3)
    say(mosquitto, "homeassistant/status", "online")
    say(mosquitto, "lockd/front_door/last", "the end")
    assert told.until(4) == [AVAILABILITY, STATE, DIAGNOSTICS, "lockd/front_door/last"]


def test_the_topic_of_births_is_heard_of_only_where_it_matters() -> None:
    on = Settings.model_validate(
        {"mqtt": {"home_assistant": {"discovery": True, "prefix": "ha/here"}}}
    )
    announcement = Announcement.of(on)
    assert announcement is not None
    assert births(on) == [announcement.birth] == ["ha/here/status"]
    assert births(Settings()) == []
