"""MQTT against brokers that do not take everything, and clients that share an id."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.mqtt.client import MAX_PACKET
from lockd.adapters.mqtt.rivals import Rivals
from lockd.adapters.mqtt.sizes import SMALL, Sizes
from lockd.config import MqttSettings, SnapshotSettings
from lockd.messages import Event, EventType, Topics, encode
from lockd.publishing.snapshots import NOTHING, Snapshots
from lockd.types import Image
from tests.brokers import Mosquitto, Subscriber
from tests.conftest import free_port
from tests.patience import PATIENCE_S, eventually

TOPICS = Topics("lockd", "door")
SAID, UNSAID = "max_packet_size 20000", "message_size_limit 20000"


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    """Makes brokers with a line more in their configuration."""
    made: list[Mosquitto] = []

    def make(line: str) -> Mosquitto:
        port, extra = free_port(), tmp_path / "extra.conf"
        extra.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{line}\n")
        made.append(Mosquitto(tmp_path, port, include=extra))
        made[-1].start()
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


class Door:
    """A bus, and what the outbox's thread does with it, driven by hand."""

    def __init__(self, port: int, client_id: str | None = None, **settings: object) -> None:
        wanted = MqttSettings(
            host="127.0.0.1", port=port, client_id=client_id, reconnect_longest_s=1.0, **settings
        )  # type: ignore[arg-type]
        self.bus = Bus(wanted, TOPICS, "door", retry_first_s=0.05)
        self.bus.start()
        limit = SnapshotSettings(of="frame", max_kb=100)
        self.snapshots = Snapshots(limit, TOPICS.snapshot, self.bus, lambda: 0.0)
        self.problems: list[str] = []
        self.ended = 0
        self.arrived: set[int] = set()

    def turn(self) -> bool:
        """One round; return whether there is a broker."""
        for notice in self.bus.notices():
            if notice.problem is not None:
                self.ended += 1
                self.problems.append(notice.problem)
        self.arrived |= set(self.bus.delivered())
        self.snapshots.serve()
        return self.bus.connected

    def tells(self, number: int) -> None:
        """Publish an event, until the broker has it."""
        sent: list[object] = []

        def has_arrived() -> bool:
            self.turn()
            if self.bus.session is not None and self.bus.session not in sent:
                sent.append(self.bus.session)
                self.bus.send(number, TOPICS.events, b'{"type":"stranger"}')
            return number in self.arrived

        eventually(has_arrived)


@pytest.fixture
def doors() -> Iterator[Callable[..., Door]]:
    """Makes doors, by the broker's port."""
    made: list[Door] = []

    def make(port: int, client_id: str | None = None, **settings: object) -> Door:
        made.append(Door(port, client_id, **settings))
        return made[-1]

    yield make
    for one in made:
        one.bus.close()


def noise() -> Image:
    """A picture that makes a JPEG as large as it may be."""
    return np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)


def shown(subscriber: Subscriber) -> bytes:
    found = [one for one in subscriber.of(TOPICS.snapshot) if one not in (b"", NOTHING)]
    return found[-1] if found else b""


def test_a_limit_that_the_broker_announces_is_kept_and_warned_of_once(
    limited: Callable[[str], Mosquitto],
    doors: Callable[..., Door],
    subscribe: Callable[[int], Subscriber],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = limited(SAID)
    subscriber, door = subscribe(broker.port), doors(broker.port, protocol="5")
    eventually(door.turn)
    for number in (1, 2, 3):
        assert door.snapshots.take(noise(), None)
        eventually(lambda: door.turn() and shown(subscriber))
        door.bus.publish(TOPICS.state, b"{" + b" " * 30_000 + b"}", retain=True)
        door.tells(number)
    assert 2000 < len(shown(subscriber)) <= 20_000
    assert door.ended == 0
    warned = [one for one in caplog.messages if TOPICS.snapshot in one]
    assert len(warned) == 1
    assert "max_packet_size" in warned[0]
    assert subscriber.of(TOPICS.state) == []


@pytest.mark.parametrize(("line", "protocol"), [(UNSAID, "5"), (SAID, "3.1.1")])
def test_a_limit_that_the_broker_keeps_without_a_word_is_learned_and_events_arrive(
    limited: Callable[[str], Mosquitto],
    doors: Callable[..., Door],
    subscribe: Callable[[int], Subscriber],
    caplog: pytest.LogCaptureFixture,
    line: str,
    protocol: str,
) -> None:
    broker = limited(line)
    subscriber, door = subscribe(broker.port), doors(broker.port, protocol=protocol)
    eventually(door.turn)
    door.snapshots.take(noise(), None)
    eventually(lambda: door.turn() and shown(subscriber))
    assert 2 <= door.ended <= 4
    before = door.ended
    for number in (1, 2, 3):
        door.snapshots.take(noise() // number, None)
        door.tells(number)
    assert door.ended == before
    assert door.bus.problem is None
    assert len(shown(subscriber)) <= 20_000
    assert len([one for one in caplog.messages if TOPICS.snapshot in one]) == 1


def test_what_may_end_the_connection_waits_until_events_have_arrived(
    limited: Callable[[str], Mosquitto], doors: Callable[..., Door]
) -> None:
    broker = limited(UNSAID)
    door = doors(broker.port, protocol="5")
    eventually(door.turn)
    door.snapshots.take(noise(), None)
    eventually(lambda: door.turn() is False)  # it was sent, and the connection broke
    door.tells(1)
    assert door.ended == 1  # it waits: only the event was sent


def test_a_network_that_breaks_condemns_no_message() -> None:
    sizes = Sizes()
    for _ in range(10):
        sizes.begin(None)
        sizes.sent(1, "state", 300)
        assert not sizes.lost()
    sizes.begin(None)
    sizes.sent(2, "snapshot", 90_000)
    assert not sizes.lost()
    sizes.begin(None)
    assert sizes.needs_care("snapshot", 80_000)
    sizes.sent(3, "snapshot", 80_000)
    sizes.arrived(3)
    assert not sizes.needs_care("snapshot", 90_000)
    assert sizes.room("snapshot") is None


def test_two_messages_that_are_too_large_are_both_found_out() -> None:
    sizes, losses = Sizes(), 0
    wanted = {"snapshot": 90_000, "discovery": 6_000}
    for _ in range(20):
        sizes.begin(None)
        room = sizes.room("snapshot")
        sending = {
            topic: size if room is None or topic == "discovery" else min(size, room)
            for topic, size in wanted.items()
        }
        sending = {topic: size for topic, size in sending.items() if sizes.takes(topic, size)}
        together = [one for one in sending.items() if not sizes.needs_care(*one)]
        alone = [one for one in sending.items() if sizes.needs_care(*one)]
        groups = [together, *([one] for one in alone)]
        for group in groups:
            for number, (topic, size) in enumerate(group):
                sizes.sent(number, topic, size)
            if any(size > 3_000 for _, size in group):
                losses += 1
                sizes.lost()
                break
            for number in range(len(group)):
                sizes.arrived(number)
        else:
            break
    assert losses <= 5
    assert sizes.room("snapshot") == SMALL


def test_a_broker_that_refuses_a_message_as_too_large_is_not_sent_another() -> None:
    sizes = Sizes()
    sizes.begin(None)
    sizes.sent(1, "snapshot", 90_000)
    sizes.refused(1)
    assert not sizes.takes("snapshot", 90_000)


def test_an_event_is_small_however_long_its_reason() -> None:
    event = Event(EventType.CONFIG_PROBLEM, 1.0, "d" * 64, person="P" * 64, reason="x" * 100_000)
    assert len(encode(event.as_dict())) < SMALL


# One id, two clients


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_two_doors_with_one_id_are_named_with_the_cure_and_fight_no_more(
    mosquitto: Mosquitto, doors: Callable[..., Door], protocol: str
) -> None:
    one, other = (doors(mosquitto.port, "twin", protocol=protocol) for _ in range(2))

    def at_peace() -> bool:
        both = one.turn() + other.turn() == 2
        return both and "meanwhile" in f"{one.bus.problem}{other.bus.problem}"

    eventually(at_peace)
    ended = one.ended + other.ended
    one.tells(1)
    other.tells(1)
    assert one.ended + other.ended == ended <= 6
    (named,) = {one.bus.problem, other.bus.problem} - {None}
    assert named is not None
    for part in ("another client with the id twin", "door.id", "mqtt.client_id"):
        assert part in named
    assert any("with the id twin" in text for text in one.problems + other.problems)


def short(rivals: Rivals, reason: str = "Unspecified error", lasted_s: float = 2.0) -> float | None:
    return rivals.ended(reason, lasted_s, let_in=True, heavy=False)


def test_a_broker_that_says_who_took_over_is_believed_at_once() -> None:
    rivals = Rivals("twin")
    assert short(rivals, "Session taken over", 4000.0) is None
    assert rivals.client_id == "twin"
    assert rivals.problem is not None
    assert rivals.problem.startswith("another client with the id twin")
    rivals.settled(59.0)
    assert rivals.problem is not None
    rivals.settled(61.0)
    assert rivals.problem is None


def test_without_a_word_it_is_presumed_after_three_short_sessions() -> None:
    rivals = Rivals("twin")
    for _ in range(2):
        short(rivals)
        rivals.ended("", 0.1, let_in=False, heavy=False)
        rivals.ended("Unspecified error", 1.0, let_in=True, heavy=True)
        rivals.ended("Keep alive timeout", 45.0, let_in=True, heavy=False)
    assert (rivals.problem, rivals.client_id) == (None, "twin")
    short(rivals)
    assert "perhaps another client with the id twin" in str(rivals.problem)
    assert rivals.client_id.startswith("twin-")


def test_sessions_that_last_are_no_fight() -> None:
    rivals = Rivals("twin")
    for _ in range(20):
        short(rivals)
        short(rivals, lasted_s=61.0)
    assert (rivals.problem, rivals.client_id) == (None, "twin")


def test_after_a_long_truce_the_door_calls_itself_as_it_should() -> None:
    rivals = Rivals("twin")
    for _ in range(3):
        short(rivals)
    meanwhile = rivals.client_id
    short(rivals, lasted_s=599.0)
    assert rivals.client_id == meanwhile != "twin"
    rivals.settled(599.0)
    assert rivals.problem is not None
    short(rivals, lasted_s=600.0)
    assert rivals.client_id == "twin"


def test_where_the_broker_takes_no_other_id_the_door_stays_away_ever_longer() -> None:
    rivals, waits = Rivals("twin"), []
    for _ in range(3):
        short(rivals)
    waits.append(rivals.ended("Not authorized", 0.1, let_in=False, heavy=False))
    assert rivals.client_id == "twin"
    for _ in range(7):
        waits.append(short(rivals))
    assert waits == [30.0, None, None, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert rivals.client_id == "twin"


# What is sent to the door


def resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize() / 1e6


def hear(bus: Bus, sender: mqtt.Client) -> None:
    """Wait until the broker knows what the bus subscribes to, and nothing is under way."""

    def heard(payload: bytes) -> bool:
        sender.publish(TOPICS.command, payload, qos=1).wait_for_publish(PATIENCE_S)
        return payload in {one.payload for one in bus.inbox()}

    eventually(lambda: heard(b"first"))
    sender.publish(TOPICS.command, b"last", qos=1)
    eventually(lambda: b"last" in {one.payload for one in bus.inbox()})


@pytest.mark.parametrize("retain", [False, True])
def test_a_huge_message_under_3_1_1_costs_no_more_memory_than_a_small_one(
    mosquitto: Mosquitto, retain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wanted = MqttSettings(host="127.0.0.1", port=mosquitto.port, protocol="3.1.1")
    bus = Bus(wanted, TOPICS, "door", [TOPICS.command], retry_first_s=0.05)
    sender = mqtt.Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", mosquitto.port)
    sender.loop_start()
    huge = b"begin" + bytes(60_000_000) + b"end"
    try:
        bus.start()
        eventually(lambda: bus.notices() == [] and bus.connected)
        hear(bus, sender)
        session, before, most = bus.session, resident_mb(), 0.0
        sender.publish(TOPICS.command, huge, qos=1, retain=retain).wait_for_publish(PATIENCE_S)
        sender.publish(TOPICS.command, b"small", qos=1).wait_for_publish(PATIENCE_S)
        came: list[bytes] = []

        def both() -> bool:
            nonlocal most
            most = max(most, resident_mb())
            came.extend(one.payload for one in bus.inbox())
            return len(came) == 2

        eventually(both)
        assert came[1] == b"small"
        assert MAX_PACKET < len(came[0]) <= 2 * MAX_PACKET
        assert came[0].startswith(b"begin")
        assert bus.session is session
        assert most - before < 50 + 70  # the sender, in this process, has the message itself
    finally:
        sender.disconnect()
        sender.loop_stop()
        bus.close()
