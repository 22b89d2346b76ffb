"""Several doors, services and all, and a broker that dies, forgets, lies and returns."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from lockd.adapters.store import Store, Vault
from lockd.fleet.records import topic_of
from lockd.fleet.sealing import Kind, number_of
from lockd.fleet.state import found
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_root import rotate
from tests.brokers import Mosquitto
from tests.conftest import free_port
from tests.faults.site import KNOWN, NOBODY, Site
from tests.patience import eventually
from tests.service.test_fleet_book import NOW, joined

Sites = Callable[..., Site]
BASE = "lockd-fleet"


class Neighbourhood:
    """Doors of one fleet at one broker, and a subscriber to what it keeps."""

    def __init__(self, sites: Sites, people: Path, folder: Path, count: int) -> None:
        self.broker = broker_in(folder / "broker")
        self.demo = people
        founder = found("door-0", NOW)
        states = [founder, *(joined(founder, f"door-{one}") for one in range(1, count))]
        self.doors: list[Site] = []
        for state in states:
            state.charter = founder.charter
            site = sites(
                people=None,
                door={"id": state.door},
                mqtt={"port": self.broker.port},
                fleet={"enabled": True},
            )
            with self.store(site) as store:
                FleetBook.begin(store, state)
            self.doors.append(site)

    def store(self, site: Site) -> closing[Store]:
        path = site.state / "lockd.db"
        return closing(Store.open(path, Vault.beside(path)))

    def start(self) -> None:
        for site in self.doors:
            site.start()

    def enrol(self, site: Site) -> str:
        """Enrol somebody as `lockd-enroll` does, but for looking at photographs."""
        demo = self.demo / "lockd.db"
        with closing(Store.open(demo, Vault.beside(demo), copy=True)) as source:
            templates = source.templates.of(KNOWN)
        with self.store(site) as store:
            model, vectors = templates[0].model, [one.embedding for one in templates]
            return store.people.add(KNOWN, model, vectors, by="test").id

    def remove(self, site: Site) -> None:
        with self.store(site) as store:
            store.people.remove(KNOWN, by="test")

    def names(self, site: Site) -> list[str]:
        with self.store(site) as store:
            return [one.person.name for one in store.people.all()]

    def all_have(self, *names: str) -> None:
        eventually(lambda: all(self.names(site) == list(names) for site in self.doors))

    def everybody_reads(self, people: int) -> None:
        """Wait until each running service has so many people to compare with."""

        def read(site: Site) -> bool:
            lines = [one.text for one in site.journal() if one.text.startswith("gallery: ")]
            return bool(lines) and lines[-1].startswith(f"gallery: {people} people")

        eventually(lambda: all(map(read, self.doors)))


def broker_in(folder: Path) -> Mosquitto:
    folder.mkdir()
    broker = Mosquitto(folder, free_port(), persistent=True)
    broker.start()
    return broker


class Kept:
    """What a broker keeps, seen by somebody who subscribes; and published by them."""

    def __init__(self, port: int) -> None:
        self.messages: dict[str, bytes] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{BASE}/#", qos=1)
        self._client.loop_start()

    def _hear(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.messages[message.topic.removeprefix(f"{BASE}/")] = bytes(message.payload)

    def publish(self, topic: str, message: bytes) -> None:
        self._client.publish(f"{BASE}/{topic}", message, qos=1, retain=True).wait_for_publish(60)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def neighbourhood(
    sites: Sites, people: Path, tmp_path: Path
) -> Iterator[Callable[[int], Neighbourhood]]:
    made: list[Neighbourhood] = []

    def make(count: int) -> Neighbourhood:
        made.append(Neighbourhood(sites, people, tmp_path, count))
        return made[-1]

    yield make
    for one in made:
        for site in one.doors:
            site.manager.stop()
        one.broker.stop()


@pytest.mark.slow
def test_whoever_is_enrolled_at_one_door_is_let_in_at_the_other(
    neighbourhood: Callable[[int], Neighbourhood],
) -> None:
    fleet = neighbourhood(2)
    front, back = fleet.doors
    fleet.start()
    fleet.enrol(front)
    fleet.everybody_reads(1)
    back.let_in(heard=False)
    fleet.remove(back)
    fleet.everybody_reads(0)
    assert fleet.names(front) == []


@pytest.mark.fault_slow
def test_five_doors_and_a_broker_that_dies_forgets_and_returns(
    neighbourhood: Callable[[int], Neighbourhood],
) -> None:
    fleet = neighbourhood(5)
    fleet.start()
    began = time.monotonic()
    id_ = fleet.enrol(fleet.doors[0])
    fleet.everybody_reads(1)
    print(f"enrolled at one, read at five after {time.monotonic() - began:.1f} s")
    for site in fleet.doors:
        site.let_in(heard=False)
    # The broker is killed, and an old copy of what it kept is put back.
    fleet.broker.end()
    old = (fleet.broker.folder / "mosquitto.db").read_bytes()
    fleet.broker.start()
    began = time.monotonic()
    fleet.remove(fleet.doors[1])
    fleet.everybody_reads(0)
    print(f"removed at one, gone from five after {time.monotonic() - began:.1f} s")
    fleet.broker.stop()
    (fleet.broker.folder / "mosquitto.db").write_bytes(old)
    fleet.broker.start()
    kept = Kept(fleet.broker.port)
    record = eventually(lambda: kept.messages.get(topic_of(id_)))
    eventually(lambda: kept.messages.get(topic_of(id_)) not in (None, b"", record))
    kept.close()
    fleet.all_have()
    strangers = len(fleet.doors[2].events("stranger"))
    fleet.doors[2].show(KNOWN)
    eventually(lambda: len(fleet.doors[2].events("stranger")) > strangers)
    assert not fleet.doors[2].is_open()
    fleet.doors[2].show(NOBODY)
    # A door is away while somebody is enrolled and the fleet gets another key.
    away = fleet.doors[4]
    assert away.manager.stop() == 0
    fleet.enrol(fleet.doors[0])
    with fleet.store(fleet.doors[0]) as store:
        eventually(lambda: not FleetBook(store).sign_changes(NOW) and not unsigned(store))
        rotate(FleetBook(store))
    away.start()
    fleet.all_have(KNOWN)
    eventually(lambda: all(key_of(fleet, site) == 2 for site in fleet.doors))
    away.let_in(heard=False)


def unsigned(store: Store) -> bool:
    return bool(store.fleet.changed_here())


def key_of(fleet: Neighbourhood, site: Site) -> int:
    """The number of the key that what a door holds of people is sealed with; 0 of several."""
    with fleet.store(site) as store:
        book = FleetBook(store)
        topics = [one for one in book.all_held() if one.startswith("people/")]
        found = {number_of(book.message(one) or b"") for one in topics}
        return found.pop() if len(found) == 1 else 0


@pytest.mark.fault_slow
def test_an_impostors_broker_brings_nothing_in(
    neighbourhood: Callable[[int], Neighbourhood], tmp_path: Path
) -> None:
    fleet = neighbourhood(2)
    front, back = fleet.doors
    fleet.start()
    gone = fleet.enrol(front)
    fleet.everybody_reads(1)
    kept = Kept(fleet.broker.port)
    record = eventually(lambda: kept.messages.get(topic_of(gone)))
    fleet.remove(front)
    fleet.everybody_reads(0)
    kept.close()
    # Another broker takes its place for one door, and whoever has it knows all that was ever said,
    # and has a door of another fleet.
    impostor = broker_in(tmp_path / "impostor")
    try:
        lies = Kept(impostor.port)
        lies.publish(topic_of(gone), record)
        other = topic_of("00000000-0000-4000-8000-000000000000")
        lies.publish(other, record)
        lies.publish("charter", record)
        lies.publish(f"people/{gone[:2]}/nonsense", b"\0" * 300_000)
        theirs = found("door-0", NOW)
        shutil.rmtree(tmp_path / "thief", ignore_errors=True)
        path = tmp_path / "thief" / "lockd.db"
        with closing(Store.open(path, Vault.beside(path))) as store:
            book = FleetBook.begin(store, theirs)
            head = {"id": gone, "by": theirs.me, "counter": 10**9, "time": NOW}
            forged = book.replica.signed(Kind.TOMBSTONE, topic_of(gone), head)
            lies.publish(f"people/{gone[:2]}/{gone}", forged)
            lies.publish("charter", book.charter().message)
            for topic in ("heads", "gone"):
                lies.publish(f"{topic}/{theirs.me}", forged)
        lies.publish(topic_of(gone), record)
        assert back.manager.stop() == 0
        back.configure(mqtt={"port": impostor.port})
        back.start()
        with fleet.store(back) as store:
            me = FleetBook(store).state.me
        eventually(lambda: lies.messages.get(f"doors/{me}/report"))  # it has read all of it
        assert fleet.names(back) == []
        strangers = len(back.events("stranger"))
        back.show(KNOWN)
        eventually(lambda: len(back.events("stranger")) > strangers)
        assert not back.is_open()
        lies.close()
    finally:
        back.manager.stop()
        impostor.stop()
