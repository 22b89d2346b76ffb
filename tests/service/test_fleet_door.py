"""Doors of a fleet with a real broker between them: their threads, without cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import paho.mqtt.publish
import pytest

from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.config.fleet import FleetSettings
from lockd.config.mqtt import MqttSettings
from lockd.fleet.joining import Newcomer, admitted_by_file
from lockd.fleet.sealing import new_boxer, new_signer
from lockd.fleet.state import State, found
from lockd.service import fleet_door
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_door import FleetDoor, open_bus
from tests.brokers import Mosquitto
from tests.conftest import free_port
from tests.patience import eventually
from tests.service.test_fleet_book import MODEL, NOW, joined, vectors


class Site:
    """A door's store and its thread, which comes and goes."""

    def __init__(self, folder: Path, state: State, port: int) -> None:
        self.path = folder / "lockd.db"
        self.vault = Vault.beside(self.path)
        self.store = Store.open(self.path, self.vault)
        FleetBook.begin(self.store, state)
        self.settings = Settings(
            mqtt=MqttSettings(host="127.0.0.1", port=port),
            fleet=FleetSettings(enabled=True),
        ).model_copy(update={"door": Settings().door.model_copy(update={"id": state.door})})
        self.door: FleetDoor | None = None
        self.woken = threading.Event()

    def come(self) -> None:
        bus = open_bus(self.settings)
        opener = partial(Store.open, self.path, self.vault, timeout_s=2.0)
        self.door = FleetDoor(self.settings, opener, bus, self.woken.set)
        self.door.start()
        bus.start()

    def leave(self) -> None:
        if self.door is not None:
            self.door.close()
            self.door = None

    def names(self) -> list[str]:
        return [one.person.name for one in self.store.people.all()]

    def enrol(self, name: str, seed: int = 0) -> str:
        return self.store.people.add(name, MODEL, vectors(seed=seed), by="test").id


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder, free_port(), persistent=True)
    made.start()
    yield made
    made.stop()


Sites = Callable[..., list[Site]]


@pytest.fixture
def sites(tmp_path: Path, broker: Mosquitto) -> Iterator[Sites]:
    made: list[Site] = []

    def make(*doors: str, enrol: bool = True) -> list[Site]:
        founder = found("front", NOW)
        states = [founder, *(joined(founder, one, enrols=enrol) for one in doors)]
        for one in states:
            one.charter = founder.charter
        made.extend(Site(tmp_path / one.door, one, broker.port) for one in states)
        for site in made:
            site.come()
        return made

    yield make
    for site in made:
        site.leave()
        site.store.close()


def joined_late(founder: Site) -> State:
    """A door that joins a fleet that is there already."""
    book = FleetBook(founder.store)
    newcomer = Newcomer("new", new_signer(), new_boxer())
    answer = admitted_by_file(book.state, newcomer.request, enrols=False, time=NOW)
    return newcomer.received_file(answer)


def all_know(sites: list[Site], *names: str) -> None:
    eventually(lambda: all(site.names() == sorted(names) for site in sites))


def test_whoever_is_enrolled_or_removed_at_one_door_is_so_at_the_other(sites: Sites) -> None:
    front, back = sites("back")
    front.enrol("Ada")
    all_know([back], "Ada")
    eventually(back.woken.is_set)
    back.store.people.rename("Ada", "Ada Lovelace", by="test")
    all_know([front], "Ada Lovelace")
    back.store.people.remove("Ada Lovelace", by="test")
    all_know([front, back])


def test_a_door_that_was_away_hears_of_all_that_happened(sites: Sites) -> None:
    front, back = sites("back")
    front.enrol("Ada")
    all_know([front, back], "Ada")
    back.leave()
    front.enrol("Grace", 1)
    front.store.people.remove("Ada", by="test")
    back.enrol("Linus", 2)  # while it is away
    all_know([front], "Grace")
    back.come()
    all_know([front, back], "Grace", "Linus")


def test_a_broker_that_forgot_or_was_turned_back_is_told_anew(
    sites: Sites, broker: Mosquitto, tmp_path: Path
) -> None:
    front, back = sites("back")
    front.enrol("Ada")
    all_know([front, back], "Ada")
    broker.end()
    old = (broker.folder / "mosquitto.db").read_bytes()
    broker.start()
    back.store.people.remove("Ada", by="test")
    front.enrol("Grace", 1)
    all_know([front, back], "Grace")
    broker.stop()
    (broker.folder / "mosquitto.db").write_bytes(old)
    broker.start()
    front.enrol("Linus", 2)
    all_know([front, back], "Grace", "Linus")
    # It gets all of it again, for whoever comes anew.
    new = Site(tmp_path / "new", joined_late(front), broker.port)
    new.come()
    all_know([new], "Grace", "Linus")
    new.leave()
    new.store.close()


def test_what_somebody_forges_changes_nothing_and_is_told_over(
    sites: Sites, broker: Mosquitto
) -> None:
    front, back = sites("back")
    id_ = front.enrol("Ada")
    all_know([front, back], "Ada")
    topic = f"lockd-fleet/people/{id_[:2]}/{id_}"
    for forged in (b"", b"x", bytes(300_000)):
        paho.mqtt.publish.single(
            topic, forged, qos=1, retain=True, hostname="127.0.0.1", port=broker.port
        )
    front.enrol("Grace", 1)
    all_know([front, back], "Ada", "Grace")


def test_what_there_was_no_room_for_is_read_again(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_door, "READ_AGAIN_S", 0.2)
    front, back = sites("back")
    front.enrol("Ada")
    all_know([front, back], "Ada")
    with monkeypatch.context() as flooded:
        flooded.setattr(fleet_door, "SMALL_ROOM", 0)
        front.store.people.remove("Ada", by="test")
        time.sleep(1.5)
        assert back.names() == ["Ada"]
    all_know([front, back])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_started_anew(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    (front,) = sites()
    door = front.door
    assert door is not None
    thread = next(one for one in threading.enumerate() if one.name == "fleet")

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(FleetBook, "refresh", die)
        thread.join()
    assert door.problem is None
    assert any(one.name == "fleet" and one is not thread for one in threading.enumerate())


def test_a_door_that_is_in_no_fleet_says_so(tmp_path: Path, broker: Mosquitto) -> None:
    site = Site(tmp_path / "a", found("front", NOW), broker.port)
    site.store.fleet.end(by="test", removing=lambda _: False)
    site.come()
    door = site.door
    assert door is not None
    eventually(lambda: "in no fleet" in (door.problem or ""))
    site.leave()
    site.store.close()
