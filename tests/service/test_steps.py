"""The service with scripted networks: what it does with what it sees."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockd.adapters.control import Request
from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.store import Store, Vault
from lockd.adapters.strike import Strike
from lockd.adapters.systemd import Notifier
from lockd.clock import RecordedClock
from lockd.config import Settings
from lockd.errors import CameraError, CameraTrouble, PinError, StoreError
from lockd.identity.gallery import Gallery, Template
from lockd.identity.observation import Observation
from lockd.messages import Event, EventType, Topics
from lockd.ports import Observer
from lockd.publishing.outbox import Outbox
from lockd.service.parts import Parts
from lockd.service.people import People
from lockd.service.service import Service
from lockd.types import Face, Frame, Input, InputChange
from lockd.vision.geometry import Octaves
from tests.brokers import Mosquitto, Subscriber, distinct
from tests.fakes import (
    ADA,
    GRACE,
    FixedTime,
    RecordingOutput,
    ScriptedCamera,
    ScriptedVision,
    film,
    unit,
)
from tests.patience import PATIENCE_S, eventually
from tests.schemas import check_all

ADA_FACE, GRACE_FACE, NOBODY = unit(1), unit(0, 1), unit(0, 0, 1)
PEOPLE = Gallery([Template(ADA, ADA_FACE), Template(GRACE, GRACE_FACE)], 8)


FACE_ALONE = Settings.model_validate({"liveness": {"policy": "off"}})


class Stage(Observer):
    """A service over scripted frames, with everything it did."""

    def __init__(self, patience_s: float) -> None:
        self.vision = ScriptedVision()
        self.output = RecordingOutput()
        self.clock = RecordedClock()
        self.strike = Strike(self.output, self.clock.now, machine=lambda: 0.0)
        self.camera = ScriptedCamera([])
        self.events: list[Event] = []
        self.notifier = Notifier()
        self.enrolled = self.people(FACE_ALONE, None, PEOPLE)
        self.on_event: Callable[[Event], None] = lambda event: None
        self._patience_s = patience_s

    def service(self, frames: list[Frame | None], **parts: Any) -> Service:
        self.camera = ScriptedCamera(frames)
        settings = parts.pop("settings", FACE_ALONE)
        self.on_observed = parts.pop("on_observed", lambda frame, observation: None)
        store = parts.pop("store", None)
        self.notifier.close()
        self.notifier = Notifier()
        self.enrolled = self.people(settings, store, parts.pop("gallery", PEOPLE))
        return Service(
            settings,
            Parts(
                clock=self.clock,
                camera=self.camera,
                vision=self.vision,  # type: ignore[arg-type]
                strike=self.strike,
                wall=FixedTime(),
                people=self.enrolled,
                notifier=self.notifier,
                messages=None if store is None else lambda: opened_again(store, self._patience_s),
                **parts,
            ),
            observers=[self],
        )

    def event(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def observed(self, frame: Frame, observation: Observation) -> None:
        self.on_observed(frame, observation)

    def people(self, settings: Settings, store: Store | None, gallery: Gallery) -> People:
        embedder: Any = self.vision
        access = settings.access.rules()
        if store is None:
            return People(None, embedder, access, gallery=gallery)
        return People(lambda create: store, embedder, access, wall=lambda: 1e9)

    def run(self, frames: list[Frame | None], **parts: Any) -> Service:
        service = self.service(frames, **parts)
        service.run()
        return service

    def told(self, *kinds: EventType) -> list[tuple[str, str | None]]:
        wanted = kinds or (EventType.ACCESS_GRANTED, EventType.STRANGER, EventType.UNIDENTIFIED)
        return [(event.type.value, event.person) for event in self.events if event.type in wanted]


def opened_again(store: Store, patience_s: float) -> Store:
    vault = Vault.beside(store.path)
    if not store.writable:
        return Store.open_read_only(store.path, vault)
    return Store.open(store.path, vault, timeout_s=patience_s)


@pytest.fixture
def patience_s() -> float:
    """How long a store waits for another that is writing."""
    return PATIENCE_S


@pytest.fixture
def stage(patience_s: float) -> Iterator[Stage]:
    stage = Stage(patience_s)
    yield stage
    stage.notifier.close()
    stage.strike.close()


def test_somebody_enrolled_opens_the_door_for_five_seconds(stage: Stage) -> None:
    porch, ada = stage.vision.scene(), stage.vision.scene(ADA_FACE)
    service = stage.run(film((porch, 1), (ada, 2), (porch, 8)))
    assert stage.told() == [("access_granted", "Ada Lovelace")]
    assert service.tally.relay == [(pytest.approx(1.2), True), (pytest.approx(6.2), False)]
    assert stage.output.log[:2] == ["on", "off"]


def test_the_exit_button_is_heard_while_a_frame_is_judged(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: queue.SimpleQueue[InputChange] = queue.SimpleQueue()
    find, relay = stage.vision.detect_in, []

    def detect_in(octaves: Octaves) -> list[Face]:
        changes.put(InputChange(Input.EXIT, True))
        found = find(octaves)
        relay.append(list(stage.output.log))
        return found

    monkeypatch.setattr(stage.vision, "detect_in", detect_in)
    stage.run(film((stage.vision.scene(), 1)), changes=changes)
    assert relay[0] == ["on"]


def test_a_stranger_opens_nothing_and_is_announced_once(stage: Stage) -> None:
    porch, somebody = stage.vision.scene(), stage.vision.scene(NOBODY)
    service = stage.run(film((porch, 1), (somebody, 20), (porch, 3)))
    assert stage.told() == [("stranger", None)]
    assert service.tally.relay == []
    assert "on" not in stage.output.log


def test_two_people_side_by_side_are_a_visit_each(stage: Stage) -> None:
    both = stage.vision.scene(ADA_FACE, NOBODY)
    stage.run(film((both, 3)))
    assert stage.told() == [("access_granted", "Ada Lovelace"), ("stranger", None)]
    assert len({event.visit for event in stage.events if event.visit}) == 2


def test_two_colleagues_together_are_both_greeted_and_the_door_opens_once(stage: Stage) -> None:
    both = stage.vision.scene(ADA_FACE, GRACE_FACE)
    service = stage.run(film((both, 3)))
    assert sorted(stage.told()) == [
        ("access_granted", "Ada Lovelace"),
        ("access_granted", "Grace Hopper"),
    ]
    assert [on for _, on in service.tally.relay] == [True, False]


def test_somebody_who_comes_back_is_let_in_again(stage: Stage) -> None:
    porch, ada = stage.vision.scene(), stage.vision.scene(ADA_FACE)
    service = stage.run(film((ada, 1), (porch, 10), (ada, 1), (porch, 1)))
    assert len(stage.told()) == 2
    assert [on for _, on in service.tally.relay] == [True, False, True, False]


def test_with_nobody_enrolled_everyone_is_a_stranger(stage: Stage) -> None:
    ada = stage.vision.scene(ADA_FACE)
    stage.run(film((ada, 3)), gallery=Gallery([], 8))
    assert stage.told() == [("stranger", None)]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_networks_that_answer_nonsense_open_nothing(stage: Stage, value: float) -> None:
    broken = stage.vision.scene(np.full(8, value, np.float32))
    service = stage.run(film((broken, 20)))
    assert service.tally.relay == []


def test_the_door_locks_at_its_deadline_even_if_no_frame_comes(stage: Stage) -> None:
    ada = stage.vision.scene(ADA_FACE)
    frames: list[Frame | None] = [*film((ada, 1))]
    service = stage.service([*frames, None, None])
    stage.camera.problem = None
    for _ in frames:
        service.step()
    assert stage.strike.is_on
    stage.clock.advance(5.5)  # the picture froze
    service.step()
    assert not stage.strike.is_on
    assert service.tally.relay[-1] == (pytest.approx(5.5), False)


def test_a_recording_that_ends_while_the_door_is_open_lets_it_lock_in_time(stage: Stage) -> None:
    ada = stage.vision.scene(ADA_FACE)
    service = stage.run(film((ada, 1)))
    assert service.tally.relay == [(pytest.approx(0.2), True), (pytest.approx(5.2), False)]


def test_being_stopped_locks_at_once(stage: Stage) -> None:
    ada = stage.vision.scene(ADA_FACE)
    service = stage.service(film((ada, 60)))
    stage.on_observed = lambda *_: service.stop() if stage.strike.is_on else None
    service.run()
    assert stage.output.log[:2] == ["on", "off"]
    assert service.tally.relay[-1][0] < 1


def test_being_stopped_locks_though_a_frame_is_being_judged(stage: Stage) -> None:
    """And nobody whom that frame recognises is let in any more."""
    both = stage.vision.scene(ADA_FACE, GRACE_FACE)
    service = stage.service(film((both, 60)))

    def stop_when_told(event: Event) -> None:
        if event.type is EventType.ACCESS_GRANTED and not stage.output.switched_off.is_set():
            service.stop()
            assert stage.output.switched_off.wait(PATIENCE_S)

    stage.on_event = stop_when_told
    service.run()
    assert len(stage.told(EventType.ACCESS_GRANTED)) == 2
    assert [one for one in stage.output.log if one == "on"] == ["on"]
    assert not stage.strike.is_on


def test_an_error_in_the_middle_locks_and_says_goodbye(stage: Stage) -> None:
    ada = stage.vision.scene(ADA_FACE)

    def fail(frame: Frame, look: object) -> None:
        if stage.strike.is_on:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        stage.run(film((ada, 60)), on_observed=fail)
    assert not stage.strike.is_on
    assert stage.told(EventType.SERVICE_STOPPED)


def test_a_relay_that_fails_is_reported_and_the_service_goes_on(stage: Stage) -> None:
    stage.output.on_fails = True
    ada, porch = stage.vision.scene(ADA_FACE), stage.vision.scene()
    stage.run(film((ada, 1), (porch, 1)))
    faults = [event for event in stage.events if event.type is EventType.RELAY_FAULT]
    assert len(faults) == 1
    assert "cannot be switched on" in str(faults[0].reason)
    assert "on" not in stage.output.log


def test_a_camera_problem_and_its_end_are_reported_once_each(stage: Stage) -> None:
    porch = stage.vision.scene()
    service = stage.service([*film((porch, 2))])
    for problem in (None, "no picture", "no picture", None, None, "gone"):
        stage.camera.problem = problem
        service.step()
    assert stage.told(EventType.CAMERA_PROBLEM, EventType.CAMERA_RECOVERED) == [
        ("camera_problem", None),
        ("camera_recovered", None),
        ("camera_problem", None),
    ]


def test_a_broken_recording_was_acted_on_up_to_where_it_broke(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = stage.vision.scene(ADA_FACE)
    service = stage.service(film((ada, 1)))
    give = stage.camera.next

    def next_or_break(timeout_s: float) -> Frame | None:
        if len(stage.camera.frames) == 1:
            raise CameraError("the tape is torn")
        return give(timeout_s)

    monkeypatch.setattr(stage.camera, "next", next_or_break)
    with pytest.raises(CameraError, match="torn"):
        service.run()
    assert stage.told() == [("access_granted", "Ada Lovelace")]
    assert stage.output.log == ["on", "off"]


def test_one_courier_who_looks_away_again_and_again_locks_nobody_out(stage: Stage) -> None:
    courier, ada = stage.vision.scene(NOBODY), stage.vision.scene(ADA_FACE)
    porch = stage.vision.scene()
    stage.run(film(*[(courier, 3), (porch, 3)] * 6, (ada, 2)))
    strangers = [event.again for event in stage.events if event.type is EventType.STRANGER]
    assert strangers == [None, 1, 2, 3, 4, 5]
    assert stage.told(EventType.LOCKED_OUT) == []
    assert stage.told(EventType.ACCESS_GRANTED) == [("access_granted", "Ada Lovelace")]


def test_different_strangers_still_lock_the_faces_out(stage: Stage) -> None:
    porch = stage.vision.scene()
    crowd = [stage.vision.scene(unit(*[0] * (3 + number), 1)) for number in range(5)]
    stage.run(film(*[shot for one in crowd for shot in ((one, 3), (porch, 3))]))
    assert stage.told(EventType.LOCKED_OUT) == [("locked_out", None)]


def test_whoever_keeps_trying_until_chance_names_them_is_not_let_in(stage: Stage) -> None:
    """A forgery that nearly succeeds looks like itself each time, and in the end like Ada."""
    nearly = unit(0.69, 0, 0, np.sqrt(1 - 0.69**2))
    lucky = unit(0.72, 0, 0, np.sqrt(1 - 0.72**2))
    tries, at_last = stage.vision.scene(nearly), stage.vision.scene(lucky)
    ada, porch = stage.vision.scene(ADA_FACE), stage.vision.scene()
    shots = [(tries, 3), (porch, 3)] * 5
    stage.run(film(*shots, (at_last, 3), (porch, 3), (ada, 2)))
    denied = [event for event in stage.events if event.type is EventType.ACCESS_DENIED]
    assert [(event.person, event.reason) for event in denied] == [("Ada Lovelace", "locked_out")]
    assert len(stage.told(EventType.ACCESS_GRANTED)) == 1, "Ada herself"


def test_a_stranger_in_the_place_of_somebody_let_in_is_told_of(stage: Stage) -> None:
    ada, stranger = stage.vision.scene(ADA_FACE), stage.vision.scene(NOBODY)
    stage.run(film((ada, 2), (stranger, 60)))
    assert stage.told() == [("access_granted", "Ada Lovelace"), ("stranger", None)]
    granted, told = (
        e for e in stage.events if e.type in {EventType.ACCESS_GRANTED, EventType.STRANGER}
    )
    assert granted.visit != told.visit


@pytest.mark.parametrize("seconds", [10**400, -1, float("nan"), float("inf"), True, "5", None])
def test_a_number_that_is_none_ends_nothing(stage: Stage, seconds: object) -> None:
    service = stage.service(film((stage.vision.scene(), 1)))
    request = Request({"command": "hold-open", "seconds": seconds}, "ada")
    service.local_commands.take(request, 0.0, None)
    assert request.answers.get_nowait()[0]["result"] == "malformed"


def test_a_request_whose_caller_was_told_that_it_was_not_done_is_not_done(stage: Stage) -> None:
    service = stage.service(film((stage.vision.scene(), 1)))
    request = Request({"command": "unlock"}, "ada")
    assert request.abandon()
    service.local_commands.take(request, 0.0, None)
    assert "on" not in stage.output.log
    assert request.answers.empty()


def test_whoever_is_being_enrolled_is_no_stranger_and_locks_nobody_out(stage: Stage) -> None:
    newcomer, porch = stage.vision.scene(NOBODY), stage.vision.scene()
    enrolling = film(*[(newcomer, 4), (porch, 3)] * 3)
    later = film((newcomer, 4))
    start = enrolling[-1].t + 10
    moved = [Frame(one.image, one.t + start, one.seq + 1000) for one in later]
    service = stage.service([*enrolling, *moved])

    def asks(frame: Frame, _: object) -> None:
        if frame.seq < 1000:
            request = Request({"command": "frame", "enrolling": True}, "root")
            service.local_commands.take(request, frame.t, None)

    stage.on_observed = asks
    service.run()
    told = [event.t for event in stage.events if event.type is EventType.STRANGER]
    assert len(told) == 1, "when it is done they are one again"
    assert told[0] > start


# With a store


@pytest.fixture
def store(tmp_path: Path, patience_s: float) -> Iterator[Store]:
    path = tmp_path / "lockd.db"
    store = Store.open(path, Vault.beside(path), timeout_s=patience_s)
    yield store
    store.close()


def test_a_change_of_the_people_counts_from_the_next_frame(stage: Stage, store: Store) -> None:
    ada, porch = stage.vision.scene(ADA_FACE), stage.vision.scene()
    service = stage.service(film((ada, 0.9), (porch, 5), (ada, 3)), store=store)
    admin = Store.open(store.path, Vault.beside(store.path))
    for _ in range(5):
        service.step()
    assert stage.told() == []
    stage.events.clear()
    admin.people.add("Ada", "scripted", [ADA_FACE], by="root")
    for _ in range(3):
        service.step()
    assert stage.told() == [("access_granted", "Ada")]
    assert len(stage.told(EventType.GALLERY_CHANGED)) == 1
    admin.people.remove("Ada", by="root")
    service.run()
    assert stage.told() == [("access_granted", "Ada"), ("stranger", None)]
    admin.close()


def test_the_people_are_not_read_again_when_nothing_changed(
    stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.people.add("Ada", "scripted", [ADA_FACE], by="root")
    reads: list[int] = []
    read = store.gallery.read
    monkeypatch.setattr(
        store.gallery, "read", lambda *args, **how: reads.append(1) or read(*args, **how)
    )
    stage.run(film((stage.vision.scene(), 3)), store=store)
    assert len(reads) == 1


def test_templates_of_other_networks_are_refused_aloud(
    stage: Stage, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.people.add("Ada", "other networks", [ADA_FACE], by="root")
    stage.run(film((stage.vision.scene(ADA_FACE), 3)), store=store)
    assert "1 templates were made by other networks" in caplog.text
    assert stage.told() == [("stranger", None)]


def start(broker: Mosquitto, protocol: str = "auto") -> tuple[Bus, Settings]:
    settings = Settings.model_validate(
        {
            "door": {"id": "side"},
            "liveness": {"policy": "off"},
            "mqtt": {
                "host": "127.0.0.1",
                "port": broker.port,
                "protocol": protocol,
                "reconnect_longest_s": 1,
            },
        }
    )
    bus = Bus(settings.mqtt, Topics("lockd", "side"), "side", retry_first_s=0.05)
    bus.start()
    return bus, settings


@pytest.fixture
def outboxes(monkeypatch: pytest.MonkeyPatch) -> list[Outbox]:
    """Those of the services that are made; they leave a store that failed alone for no time."""
    made: list[Outbox] = []

    def make(*arguments: Any, **options: Any) -> Outbox:
        made.append(Outbox(*arguments, pause_s=0.0, **options))
        return made[-1]

    monkeypatch.setattr("lockd.publishing.publisher.Outbox", make)
    return made


def publish_all(outbox: Outbox, store: Store) -> None:
    """Deliver what waits, as the outbox's thread would if the service ran."""

    def emptied() -> bool:
        outbox.move()
        return not store.outbox.waiting(0, 1)

    eventually(emptied)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_visit_is_published_as_documented(
    stage: Stage,
    store: Store,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
    outboxes: list[Outbox],
    protocol: str,
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus, settings = start(mosquitto, protocol)
    store.people.add("Zoë", "scripted", [ADA_FACE], by="root")
    zoe, other = stage.vision.scene(ADA_FACE), stage.vision.scene(NOBODY)
    porch = stage.vision.scene()
    service = stage.service(
        film((zoe, 1), (porch, 3), (other, 3)), store=store, bus=bus, settings=settings
    )
    eventually(lambda: bus.connected)
    service.run()
    publish_all(outboxes[0], store)
    outboxes[0].close()
    eventually(lambda: b"service_stopped" in b"".join(subscriber.of("lockd/side/events")))
    bus.close()
    eventually(lambda: subscriber.of("lockd/side/availability")[-1:] == [b"offline"])
    events = [json.loads(payload) for payload in subscriber.of("lockd/side/events")]
    assert [event["type"] for event in events] == [
        "service_started",
        "access_granted",
        "stranger",
        "service_stopped",
    ]
    granted, stranger = events[1], events[2]
    assert granted["person"] == "Zoë"
    assert granted["schema"] == 1
    assert granted["door"] == "side"
    assert granted["similarity"] == pytest.approx(1.0, abs=1e-3)
    assert "similarity" not in stranger
    alerts = [json.loads(payload) for payload in subscriber.of("lockd/side/alerts/stranger")]
    assert alerts == [stranger | {"alert": "stranger", "suppressed": 0}]
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert len({event["series"] for event in events}) == 1
    assert check_all(subscriber.heard) == {"event", "alert", "state", "diagnostics"}
    states = [json.loads(payload) for payload in subscriber.of("lockd/side/state")]
    assert [state["lock"] for state in states].count("UNLOCKED") == 1
    assert states[-1]["lock"] == "LOCKED"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_events_of_a_time_without_broker_are_published_when_it_comes(
    stage: Stage,
    store: Store,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
    outboxes: list[Outbox],
    protocol: str,
) -> None:
    mosquitto.stop()
    bus, settings = start(mosquitto, protocol)
    store.people.add("Ada", "scripted", [ADA_FACE], by="root")
    service = stage.run(
        film((stage.vision.scene(ADA_FACE), 1)), store=store, bus=bus, settings=settings
    )
    assert [on for _, on in service.tally.relay] == [True, False]
    assert len(store.outbox.waiting(0, 99)) == 3
    mosquitto.start()
    subscriber = subscribe(mosquitto.port)
    publish_all(outboxes[0], store)
    outboxes[0].close()

    def events() -> list[dict[str, Any]]:  # some come again if the broker came while one looked
        return distinct(json.loads(one) for one in subscriber.of("lockd/side/events"))

    eventually(lambda: len(events()) == 3)
    bus.close()
    assert [one["type"] for one in events()] == [
        "service_started",
        "access_granted",
        "service_stopped",
    ]


@pytest.mark.parametrize("patience_s", [0.01])
def test_a_locked_store_delays_neither_the_door_nor_loses_an_event(
    stage: Stage,
    store: Store,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
    outboxes: list[Outbox],
) -> None:
    bus, settings = start(mosquitto)
    store.people.add("Ada", "scripted", [ADA_FACE], by="root")
    ada, porch = stage.vision.scene(ADA_FACE), stage.vision.scene()
    frames = film((porch, 0.1), (ada, 1), (porch, 4))
    service = stage.service(frames, store=store, bus=bus, settings=settings)
    (outbox,) = outboxes
    service.step()
    publish_all(outbox, store)
    mosquitto.stop()
    blocker = sqlite3.connect(store.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for _ in range(10):
        service.step()
        outbox.move()
    assert stage.strike.is_on
    assert stage.told(EventType.STORE_PROBLEM)
    assert store.outbox.waiting(0, 99) == []
    blocker.execute("ROLLBACK")
    blocker.close()
    mosquitto.start()
    subscriber = subscribe(mosquitto.port)
    for _ in range(30):
        service.step()
        outbox.move()
    assert stage.told(EventType.STORE_RECOVERED)
    publish_all(outboxes[0], store)
    outboxes[0].close()
    eventually(lambda: b"store_recovered" in b"".join(subscriber.of("lockd/side/events")))
    bus.close()
    heard = [json.loads(payload) for payload in subscriber.of("lockd/side/events")]
    once = {event["id"]: event["type"] for event in heard}  # some come again with a new session
    assert list(once.values()) == ["access_granted", "store_problem", "store_recovered"]


def test_with_a_store_that_cannot_be_written_news_go_straight_to_the_broker(
    stage: Stage,
    store: Store,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> None:
    subscriber = subscribe(mosquitto.port)
    store.people.add("Ada", "scripted", [ADA_FACE], by="root")
    reader = Store.open_read_only(store.path, Vault.beside(store.path))
    bus, settings = start(mosquitto)
    porch, ada = stage.vision.scene(), stage.vision.scene(ADA_FACE)
    service = stage.service(film((ada, 1), (porch, 1)), store=reader, bus=bus, settings=settings)
    eventually(lambda: bus.connected)
    service.run()
    eventually(lambda: len(subscriber.of("lockd/side/events")) == 3)
    bus.close()
    reader.close()
    kinds = [json.loads(payload)["type"] for payload in subscriber.of("lockd/side/events")]
    assert kinds == ["service_started", "access_granted", "service_stopped"]


def test_a_store_that_cannot_be_read_is_reported_once_and_read_again_later(
    stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.people.add("Ada", "scripted", [ADA_FACE], by="root")
    porch, ada = stage.vision.scene(), stage.vision.scene(ADA_FACE)
    read = store.gallery.read
    broken = True

    def spoilt(*args: Any, **how: Any) -> Any:
        if broken:
            raise StoreError("disk I/O error")
        return read(*args, **how)

    monkeypatch.setattr(store.gallery, "read", spoilt)
    service = stage.service(film((porch, 5), (ada, 1)), store=store)
    for _ in range(25):
        service.step()
    assert len(stage.told(EventType.STORE_PROBLEM)) == 1
    assert stage.told(EventType.STORE_RECOVERED) == []
    broken = False
    service.run()
    assert len(stage.told(EventType.STORE_RECOVERED)) == 1
    assert stage.told() == [("access_granted", "Ada")]


# What keeps it honest


def test_a_frame_that_is_too_old_decides_nothing(stage: Stage) -> None:
    ada = stage.vision.scene(ADA_FACE)
    service = stage.service(film((ada, 2)))
    stage.clock.advance(60.0)  # the process stood still, with all these frames in its hands
    for _ in range(20):
        service.step()
    assert stage.told() == []
    assert "on" not in stage.output.log


def test_a_frame_that_took_too_long_to_judge_decides_nothing_but_the_next_one_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = stage.vision.scene(ADA_FACE)
    frames = film((ada, 6))
    service = stage.service([*frames])
    embed = stage.vision.embed
    slow = True

    def stop_in_the_middle(*args: Any) -> Any:
        if slow:
            stage.clock.advance(stage.clock.now() + 10.0)
        return embed(*args)

    monkeypatch.setattr(stage.vision, "embed", stop_in_the_middle)
    stage.camera.frames = [Frame(f.image, 20.0 * i, f.seq) for i, f in enumerate(frames[:4])]
    for _ in range(4):
        service.step()
    assert "on" not in stage.output.log
    slow = False
    start = stage.clock.now()
    stage.camera.frames = [Frame(f.image, start + f.t, f.seq + 9) for f in frames]
    for _ in range(10):
        service.step()
    assert stage.told() == [("access_granted", "Ada Lovelace")]


def test_frames_that_cannot_be_judged_are_skipped_but_not_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = stage.vision.scene(ADA_FACE)
    detect = stage.vision.detect_in
    failing = 9

    def fail_first(octaves: Any) -> Any:
        nonlocal failing
        failing -= 1
        if failing >= 0:
            raise MemoryError
        return detect(octaves)

    monkeypatch.setattr(stage.vision, "detect_in", fail_first)
    stage.run(film((ada, 2)))
    assert stage.told() == [("access_granted", "Ada Lovelace")]
    failing = 10**9
    now = stage.clock.now()
    with pytest.raises(MemoryError):
        stage.run([Frame(one.image, now + one.t, one.seq) for one in film((ada, 2))])
    assert not stage.strike.is_on


def test_a_guard_that_died_ends_the_service_with_the_door_locked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = stage.vision.scene(ADA_FACE)
    service = stage.service(film((ada, 60)))
    stage.on_observed = lambda *_: (
        monkeypatch.setattr(Strike, "guarded", False),
        monkeypatch.setattr(Strike, "answers", lambda strike: False),
    )[0]
    with pytest.raises(PinError, match="guard has died or hangs"):
        service.run()
    assert not stage.strike.is_on
    assert stage.told(EventType.SERVICE_STOPPED)


def test_somebody_refused_for_a_while_is_let_in_when_it_is_over(stage: Stage) -> None:
    """They stand there all the time: one visit."""
    stranger, ada = stage.vision.scene(NOBODY), stage.vision.scene(ADA_FACE)
    porch = stage.vision.scene()
    settings = Settings.model_validate(
        {
            "door": {"lock_out": {"denials": 1, "lasts_s": 10.0, "rest_s": 60.0}},
            "liveness": {"policy": "off"},
        }
    )
    service = stage.run(film((stranger, 3), (porch, 3), (ada, 12), (porch, 8)), settings=settings)
    assert [(e.type.value, e.reason) for e in stage.events if e.visit or e.reason] == [
        ("stranger", None),
        ("locked_out", "10 s"),
        ("access_denied", "locked_out"),
        ("access_granted", None),
    ]
    stranger_at = next(e.t for e in stage.events if e.type is EventType.STRANGER)
    (on, _), (off, _) = service.tally.relay
    assert stranger_at + 10 <= on <= stranger_at + 12
    assert off == pytest.approx(on + 5)


def test_what_the_inputs_say_is_heard_though_no_frame_comes(stage: Stage) -> None:
    changes: Any = queue.SimpleQueue()
    service = stage.service([None, None, *film((stage.vision.scene(), 9))], changes=changes)
    changes.put(InputChange(Input.EXIT, True))
    service.step()
    assert stage.output.log == ["on"]
    assert stage.told(EventType.EXIT_REQUESTED) == [("exit_requested", None)]


# What the service manager is told


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Returns what was said to the manager since the last time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "0")

        def said() -> list[str]:
            found: list[str] = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(listening.recv(4096).decode())
            return found

        yield said


def test_it_is_ready_only_when_the_camera_gave_a_frame(
    stage: Stage, manager: Callable[[], list[str]]
) -> None:
    porch = stage.vision.scene()
    service = stage.service([None, None, *film((porch, 1))])
    service.step()
    said = manager()
    assert "READY=1" not in said
    assert "EXTEND_TIMEOUT_USEC=30000000" in said
    service.step()
    service.step()
    assert "READY=1" in manager()
    service.step()
    assert "READY=1" not in manager()


def test_the_watchdog_is_fed_only_while_camera_and_guard_go_on(
    stage: Stage, manager: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = stage.service([*film((stage.vision.scene(), 9))])
    service.step()
    assert "WATCHDOG=1" in manager()
    stage.camera.alive = False
    service.step()
    assert manager() == []
    stage.camera.alive = True
    service.step()
    assert "WATCHDOG=1" in manager()


def test_what_is_wrong_is_the_status_of_the_unit(
    stage: Stage, manager: Callable[[], list[str]]
) -> None:
    service = stage.service([*film((stage.vision.scene(), 9))])
    stage.camera.problem, stage.camera.trouble = "silent: no picture", CameraTrouble.SILENT
    service.step()
    assert "STATUS=silent: no picture" in manager()
    (problem,) = [one for one in stage.events if one.type is EventType.CAMERA_PROBLEM]
    assert (problem.trouble, problem.reason) == ("silent", "silent: no picture")
    stage.camera.problem = stage.camera.trouble = None
    service.step()
    assert "STATUS=watching, locked" in manager()


def test_spoilt_templates_are_told_and_so_is_that_they_are_mended(stage: Stage) -> None:
    service = stage.service([*film((stage.vision.scene(), 9))])
    for damaged in (0, 2, 2, 3, 0, 0):
        stage.enrolled.damaged = damaged
        service.step()
    told = [(event.type.value, event.reason) for event in stage.events]
    assert told == [
        ("templates_damaged", "2 templates or people are damaged and not used"),
        ("templates_mended", None),
    ]
