"""Events on their way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.spool import NAME, Spool
from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.errors import StoreError
from lockd.messages import Event, EventType
from lockd.publishing.outbox import BACKLOG, BACKLOG_FOR_ALERTS, LATE_S, Outbox
from tests.patience import eventually

SETTINGS = Settings.model_validate({"door": {"id": "porch"}, "mqtt": {"outbox_events": 10}})


class ScriptedBus:
    """A broker that acknowledges when it is told to."""

    def __init__(self) -> None:
        self.session: object | None = object()
        self.sent: list[tuple[int, str, dict[str, Any]]] = []
        self.acknowledged: list[int] = []
        self.room = 20
        self.full = False
        self.moved: Callable[[], None] = lambda: None

    def free(self) -> int:
        return self.room if self.session is not None else 0

    def send(self, number: int, topic: str, payload: bytes) -> bool:
        if self.session is None or self.full:
            return False
        self.sent.append((number, topic, json.loads(payload)))
        return True

    def delivered(self) -> list[int]:
        found, self.acknowledged = self.acknowledged, []
        return found

    def acknowledge(self) -> None:
        self.acknowledged = [number for number, _, _ in self.sent]

    def break_down(self) -> None:
        self.session, self.sent = None, []

    def come_back(self) -> None:
        self.session = object()

    def told(self, *keys: str) -> list[tuple[Any, ...]]:
        return [
            (topic.removeprefix("lockd/porch/"), *(values[key] for key in keys))
            for _, topic, values in self.sent
        ]


class Bench:
    """An outbox between a real store and a scripted broker, driven by hand."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lockd.db"
        self.vault = Vault.beside(self.path)
        Store.open(self.path, self.vault).close()
        self.bus = ScriptedBus()
        self.now = 0.0
        self.broken = False
        self.outboxes: list[Outbox] = []
        self.spools: list[Spool] = []
        self.outbox = self.make()

    def make(
        self, settings: Settings = SETTINGS, *, bus: bool = True, pause_s: float = 0.0
    ) -> Outbox:
        wire: Any = self.bus if bus else None
        spool = Spool(self.path.parent)
        made = Outbox(settings, lambda: self.now, wire, self.open, spool=spool, pause_s=pause_s)
        self.outboxes.append(made)
        self.spools.append(spool)
        return made

    def close(self) -> None:
        self.bus.break_down()  # nothing is waited for
        for one in (*self.outboxes, *self.spools):
            one.close()

    def open(self) -> Store:
        if self.broken or not self.path.exists():
            raise StoreError("no store")
        return Store.open(self.path, self.vault, timeout_s=0.05)

    def post(self, kind: EventType, **more: Any) -> None:
        self.outbox.post(Event(kind, self.now, "porch", **more), suppressed=more.get("suppressed"))

    def waiting(self) -> list[tuple[str, str]]:
        store = Store.open(self.path, self.vault)
        try:
            found = [
                (one.topic, json.loads(one.payload)["type"]) for one in store.outbox.waiting(0, 99)
            ]
        finally:
            store.close()
        return [(topic.removeprefix("lockd/porch/"), kind) for topic, kind in found]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_an_event_is_written_then_sent_then_forgotten(bench: Bench) -> None:
    bench.bus.room = 0
    bench.post(EventType.EXIT_REQUESTED)
    assert bench.outbox.move()
    assert bench.waiting() == [("events", "exit_requested")]
    bench.bus.room = 20
    bench.outbox.move()
    assert bench.bus.told("type", "seq", "delayed") == [("events", "exit_requested", 1, False)]
    assert bench.waiting() == [("events", "exit_requested")]
    bench.bus.acknowledge()
    assert not bench.outbox.move()
    assert bench.waiting() == []


def test_the_log_tells_of_an_event_once_it_is_on_disk(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.bus.break_down()
    with caplog.at_level(logging.INFO):
        bench.post(EventType.EXIT_REQUESTED)
        assert caplog.records == []
        bench.outbox.move()
        (record,) = caplog.records
        assert record.message == "the exit button was pressed"
        assert record.event["type"] == "exit_requested"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("similarity", "told"), [("granted", False), ("always", True)])
def test_the_log_tells_no_more_of_strangers_than_is_published(
    bench: Bench, caplog: pytest.LogCaptureFixture, similarity: str, told: bool
) -> None:
    bench.outbox = bench.make(merged_similarity(similarity))
    with caplog.at_level(logging.INFO):
        bench.post(EventType.STRANGER, visit=3, similarity=0.31)
        bench.post(EventType.ACCESS_GRANTED, person="Ada Lovelace", visit=4, similarity=0.71)
        bench.outbox.move()
    stranger, granted = caplog.records
    assert ("0.31" in f"{stranger.__dict__}") is told
    assert granted.message == "let in: Ada Lovelace, 0.71"


@pytest.mark.parametrize(("names", "who"), [(True, "Ada Lovelace"), (False, "7")])
def test_the_log_has_ids_for_names_where_that_is_set_and_the_broker_the_name(
    bench: Bench, caplog: pytest.LogCaptureFixture, names: bool, who: str
) -> None:
    bench.outbox = bench.make(SETTINGS.model_copy(update={"log_names": names}))
    with caplog.at_level(logging.DEBUG):
        bench.post(
            EventType.ACCESS_DENIED, person="Ada Lovelace", person_id="7", reason="Ada Lovelace!"
        )
        bench.outbox.move()
    (record,) = caplog.records
    assert record.message == f"not let in: {who}, {who}!"
    assert ("Ada" in f"{record.__dict__}") is names
    assert bench.bus.told("person") == [("events", "Ada Lovelace")]


def merged_similarity(similarity: str) -> Settings:
    mqtt = SETTINGS.mqtt.model_copy(update={"similarity": similarity})
    return SETTINGS.model_copy(update={"mqtt": mqtt})


def test_the_log_tells_once_of_an_event_that_nobody_takes(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.bus.break_down()
    bench.broken = True
    with caplog.at_level(logging.INFO):
        bench.post(EventType.EXIT_REQUESTED)
        for _ in range(3):
            bench.outbox.move()
        bench.broken = False
        bench.outbox.move()
    assert caplog.text.count("the exit button was pressed") == 1


def test_an_alert_goes_to_its_own_topic_too_unless_it_is_held_back(bench: Bench) -> None:
    event = Event(EventType.STRANGER, 0.0, "porch", visit=1)
    bench.outbox.post(event, suppressed=3)
    bench.outbox.post(Event(EventType.STRANGER, 0.0, "porch", visit=2), suppressed=None)
    bench.outbox.move()
    assert bench.bus.told("visit", "seq") == [
        ("events", 1, 1),
        ("alerts/stranger", 1, 1),
        ("events", 2, 2),
    ]
    assert bench.bus.sent[1][2] == bench.bus.sent[0][2] | {"alert": "stranger", "suppressed": 3}


def test_what_waited_is_marked_as_delayed(bench: Bench) -> None:
    bench.bus.break_down()
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.move()
    bench.now = LATE_S + 0.1
    bench.post(EventType.DOOR_OPENED)
    bench.bus.come_back()
    bench.outbox.move()
    assert bench.bus.told("type", "delayed") == [
        ("events", "exit_requested", True),
        ("events", "door_opened", False),
    ]


def test_what_an_earlier_run_left_is_delayed_whatever_its_clock_says(bench: Bench) -> None:
    bench.bus.break_down()
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.move()
    bench.bus.come_back()
    bench.outbox = bench.make()
    bench.post(EventType.DOOR_OPENED)
    bench.outbox.move()
    assert bench.bus.told("type", "seq", "delayed") == [
        ("events", "exit_requested", 1, True),
        ("events", "door_opened", 2, False),
    ]


def test_what_a_broken_connection_did_not_deliver_is_sent_again_in_order(bench: Bench) -> None:
    for kind in (EventType.EXIT_REQUESTED, EventType.DOOR_OPENED, EventType.DOOR_CLOSED):
        bench.post(kind)
    bench.outbox.move()
    first = bench.bus.sent[0][0]
    bench.bus.acknowledged = [first]
    bench.outbox.move()
    bench.bus.break_down()
    bench.outbox.move()
    bench.bus.come_back()
    bench.outbox.move()
    assert bench.bus.told("type", "seq") == [
        ("events", "door_opened", 2),
        ("events", "door_closed", 3),
    ]


def test_what_a_full_connection_did_not_take_is_sent_later(bench: Bench) -> None:
    bench.post(EventType.EXIT_REQUESTED)
    bench.post(EventType.DOOR_OPENED)
    bench.bus.full = True
    bench.outbox.move()
    assert bench.bus.sent == []
    bench.bus.full = False
    bench.outbox.move()
    assert bench.bus.told("type") == [("events", "exit_requested"), ("events", "door_opened")]


def test_without_a_store_events_go_straight_out_numbered_in_a_series_of_their_own(
    bench: Bench,
) -> None:
    bench.post(EventType.SERVICE_STARTED)
    bench.outbox.move()
    bench.bus.acknowledge()
    bench.outbox.move()
    bench.bus.sent.clear()
    bench.path.rename(bench.path.with_name("taken away"))
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.move()
    assert bench.outbox.problem == "no store"
    bench.bus.break_down()
    bench.outbox.move()
    bench.bus.come_back()
    bench.outbox.move()
    ((*_, values),) = bench.bus.sent  # once more: it was not acknowledged
    assert (values["type"], values["seq"]) == ("exit_requested", 1)
    bench.path.with_name("taken away").rename(bench.path)
    bench.bus.acknowledge()
    bench.post(EventType.DOOR_OPENED)
    bench.outbox.move()
    assert bench.outbox.problem is None
    *_, last = bench.bus.sent[-1]
    assert (last["type"], last["seq"]) == ("door_opened", 2)
    assert last["series"] != values["series"]
    bench.bus.acknowledge()
    assert not bench.outbox.move()  # nothing is left to be sent again


def test_a_store_that_was_replaced_is_not_told_that_others_messages_arrived(bench: Bench) -> None:
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.move()
    bench.path.rename(bench.path.with_name("aside"))
    Store.open(bench.path, bench.vault).close()
    bench.post(EventType.DOOR_OPENED)
    bench.bus.room = 0
    bench.outbox.move()
    bench.bus.acknowledge()
    bench.outbox.move()
    assert bench.waiting() == [("events", "door_opened")]


def test_a_loss_is_counted_and_told_when_there_is_a_broker(bench: Bench) -> None:
    bench.bus.break_down()
    for _ in range(13):
        bench.post(EventType.UNIDENTIFIED)
        bench.outbox.move()
    assert bench.outbox.waiting == 10
    bench.bus.come_back()
    bench.outbox.move()
    bench.bus.acknowledge()
    bench.outbox.move()
    bench.outbox.move()
    assert bench.bus.told("type")[-2:] == [
        ("events", "events_lost"),
        ("alerts/system", "events_lost"),
    ]
    assert bench.bus.sent[-1][2]["count"] == 3
    assert bench.outbox.lost == 3
    bench.bus.sent.clear()
    bench.outbox.move()
    assert bench.bus.sent == []


def test_when_neither_takes_events_status_is_lost_before_alerts_and_never_in_silence(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.broken = True
    bench.bus.break_down()
    with caplog.at_level(logging.ERROR):
        for _ in range(BACKLOG):
            bench.post(EventType.UNIDENTIFIED)
        assert caplog.records == []
        bench.post(EventType.UNIDENTIFIED)
        assert len(caplog.records) == 1
        for _ in range(BACKLOG_FOR_ALERTS):
            bench.post(EventType.STRANGER)
        assert len(caplog.records) == 1
        bench.post(EventType.STRANGER)
        assert len(caplog.records) == 2
    bench.outbox.move()
    bench.bus.come_back()
    bench.bus.room = 10_000
    bench.outbox.move()
    bench.outbox.move()
    assert bench.bus.sent[-1][2]["count"] == 2


def test_events_are_kept_without_a_broker_where_they_shall_be(bench: Bench) -> None:
    settings = Settings.model_validate({"store": {"keep_events_days": 3}})
    bench.outbox = bench.make(settings, bus=False)
    bench.post(EventType.EXIT_REQUESTED)
    assert not bench.outbox.move()
    store = bench.open()
    assert [one["type"] for one in store.events.latest()] == ["exit_requested"]
    assert store.outbox.waiting(0, 9) == []
    store.close()


def test_what_was_posted_before_the_process_was_killed_is_told_by_the_next_one(
    bench: Bench,
) -> None:
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.move()
    bench.outbox.post(Event(EventType.STRANGER, 3.0, "porch", visit=1), suppressed=0)
    bench.post(EventType.DOOR_OPENED)
    bench.bus.sent.clear()
    bench.outbox = bench.make()
    bench.post(EventType.SERVICE_STARTED)
    bench.outbox.move()
    assert bench.bus.told("type", "seq", "delayed")[1:] == [
        ("events", "stranger", 2, True),
        ("alerts/stranger", "stranger", 2, True),
        ("events", "door_opened", 3, True),
        ("events", "service_started", 4, False),
    ]
    bench.make()
    assert bench.spools[-1].left == []


@pytest.mark.parametrize("written", [1, 2])
def test_what_it_had_written_before_is_not_told_as_another_event(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """The process is killed after the store was written, and before the spool was emptied."""
    bench.bus.break_down()
    with monkeypatch.context() as patched:
        patched.setattr(Spool, "clear", lambda *_, **__: None)
        for kind in (EventType.EXIT_REQUESTED, EventType.DOOR_OPENED)[:written]:
            bench.post(kind)
        bench.outbox.move()
    for kind in (EventType.EXIT_REQUESTED, EventType.DOOR_OPENED)[written:]:
        bench.post(kind)
    bench.outbox = bench.make()
    bench.outbox.move()
    bench.bus.come_back()
    bench.outbox.move()
    assert bench.bus.told("type", "seq") == [
        ("events", "exit_requested", 1),
        ("events", "door_opened", 2),
    ]


def test_a_spool_that_is_spoilt_or_cannot_be_opened_is_no_reason_to_fail(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bench.path.parent / NAME).write_bytes(b'{"told": {}}\n[1]\n\xff\n{"told"')
    made, spool = bench.make(), bench.spools[-1]
    assert spool.left == [{"told": {}}]
    assert not made.move()
    assert (made.problem, bench.bus.sent, bench.waiting()) == (None, [], [])
    spool.close()
    spool.add({"after": "the end"})
    none = Spool(tmp_path / "none")
    none.add({"to": "nowhere"})
    none.clear(unless=[])
    assert none.left == []
    assert "none" in caplog.text


def test_a_spool_does_not_grow_without_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockd.adapters.spool.MAX_BYTES", 100)
    spool = Spool(tmp_path)
    for _ in range(100):
        spool.add({"some": "thing"})
    assert 50 < (tmp_path / NAME).stat().st_size <= 100
    spool.clear(unless=["something"])
    assert (tmp_path / NAME).stat().st_size > 0
    spool.clear(unless=[])
    assert (tmp_path / NAME).stat().st_size == 0
    spool.close()


def test_at_the_end_the_store_is_tried_once_more(bench: Bench) -> None:
    bench.outbox = bench.make(pause_s=3600.0)
    bench.broken = True
    bench.bus.break_down()
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.move()
    bench.broken = False
    bench.outbox.close()
    assert bench.waiting() == [("events", "exit_requested")]


def test_what_is_left_at_the_end_is_not_passed_over(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.broken = True
    bench.bus.break_down()
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.close()
    assert "at the end 1 events were not written, 0 messages not delivered" in caplog.text


def test_a_stumble_does_not_end_the_thread(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    stumbles = [RuntimeError("nobody foresaw this")]

    def errand(_: object) -> None:
        if stumbles:
            raise stumbles.pop()

    bench.outbox.errand = errand
    bench.outbox.start()
    bench.post(EventType.EXIT_REQUESTED)
    bench.outbox.nudge()
    eventually(lambda: not stumbles)
    bench.post(EventType.DOOR_OPENED)
    bench.outbox.nudge()
    eventually(lambda: len(bench.bus.sent) == 2)
    bench.bus.acknowledge()
    bench.outbox.close()
    assert "the outbox stumbled" in caplog.text
    assert bench.waiting() == []
