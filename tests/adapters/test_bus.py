"""MQTT against a real mosquitto."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockd.adapters.mqtt.bus import MAX_IN_FLIGHT, Bus
from lockd.config import MqttSettings, TlsSettings
from lockd.errors import BusError
from lockd.messages import Topics
from tests.conftest import Mosquitto, Subscriber, eventually, free_port

TOPICS = Topics("lockd", "door")


@pytest.fixture
def connect() -> Iterator[Callable[..., Bus]]:
    """Makes buses, started, by the broker's port."""
    buses: list[Bus] = []

    def make(port: int, **settings: object) -> Bus:
        bus = Bus(MqttSettings(host="127.0.0.1", port=port, **settings), TOPICS, "door")  # type: ignore[arg-type]
        bus._client.reconnect_delay_set(1, 1)
        buses.append(bus)
        bus.start()
        return bus

    yield make
    for bus in buses:
        bus.close()


def connected(bus: Bus) -> bool:
    bus.notices()
    return bus.connected


def delivered(bus: Bus, *seqs: int) -> None:
    arrived: list[int] = []
    eventually(lambda: arrived.extend(bus.delivered()) or set(seqs) <= set(arrived))


def test_a_message_arrives_and_is_acknowledged_by_its_number(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.send(7, TOPICS.events, b'{"type":"stranger"}')
    bus.send(9, TOPICS.events, "Zoë".encode())
    delivered(bus, 7, 9)
    eventually(lambda: len(subscriber.of(TOPICS.events)) == 2)
    assert subscriber.of(TOPICS.events) == [b'{"type":"stranger"}', "Zoë".encode()]


def test_events_are_not_retained_but_state_and_availability_are(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.announce()
    bus.show(b'{"lock":"LOCKED"}')
    bus.send(1, TOPICS.events, b"gone")
    delivered(bus, 1)
    late = subscribe(mosquitto.port)
    eventually(lambda: len(late.heard) == 2)
    assert sorted(late.heard) == [
        (TOPICS.availability, b"online", True),
        (TOPICS.state, b'{"lock":"LOCKED"}', True),
    ]


def test_a_goodbye_says_offline(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.announce()
    bus.close()
    eventually(lambda: subscriber.of(TOPICS.availability) == [b"online", b"offline"])


def test_the_broker_says_offline_for_a_service_that_died(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.announce()
    eventually(lambda: subscriber.of(TOPICS.availability) == [b"online"])
    # Cut the connection without a word, as a power failure does.
    sock = bus._client.socket()
    assert sock is not None
    bus._client.on_socket_close = None
    bus._client.reconnect_delay_set(60, 60)
    sock.shutdown(2)
    eventually(lambda: subscriber.of(TOPICS.availability)[-1] == b"offline")


def test_a_message_survives_a_broker_that_goes_and_comes_back(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    mosquitto.stop()
    bus.send(3, TOPICS.events, b"late")
    eventually(lambda: not connected(bus))
    mosquitto.start()
    subscriber = subscribe(mosquitto.port)
    eventually(lambda: connected(bus))
    delivered(bus, 3)
    eventually(lambda: subscriber.of(TOPICS.events))


def test_without_a_broker_nothing_blocks_and_nothing_may_be_sent(
    connect: Callable[..., Bus],
) -> None:
    bus = connect(free_port())
    problems = eventually(bus.notices)
    assert problems[0].problem == "cannot be reached"
    assert bus.free() == 0
    bus.show(b"{}")
    assert bus.delivered() == []


def test_only_so_many_messages_are_under_way_at_once(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    assert bus.free() == MAX_IN_FLIGHT
    bus.send(1, TOPICS.events, b"")
    assert bus.free() == MAX_IN_FLIGHT - 1
    delivered(bus, 1)
    assert bus.free() == MAX_IN_FLIGHT


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, free_port(), password="swordfish")
    broker.start()
    yield broker
    broker.stop()


def test_the_password_is_read_from_its_file(
    strict_broker: Mosquitto, connect: Callable[..., Bus], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("swordfish\n")
    bus = connect(strict_broker.port, username="door", password_file=secret)
    eventually(lambda: connected(bus))


def test_a_refused_password_is_reported_and_is_no_connection(
    strict_broker: Mosquitto, connect: Callable[..., Bus], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("guess")
    bus = connect(strict_broker.port, username="door", password_file=secret)
    notices = eventually(bus.notices)
    assert "refused" in notices[0].problem.lower()
    assert "guess" not in notices[0].problem
    assert not bus.connected


def test_a_password_file_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    settings = MqttSettings(host="x", username="door", password_file=tmp_path / "none")
    with pytest.raises(BusError, match=r"mqtt\.password_file: .*none: No such file"):
        Bus(settings, TOPICS, "door")


def test_a_certificate_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    settings = MqttSettings(host="x", tls=TlsSettings(ca_file=tmp_path / "none.pem"))
    with pytest.raises(BusError, match=r"mqtt\.tls\.ca_file: .*none\.pem"):
        Bus(settings, TOPICS, "door")


def test_paho_thread_outlives_everything_a_broker_says(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    for _ in range(3):
        mosquitto.stop()
        eventually(lambda: not connected(bus))
        mosquitto.start()
        eventually(lambda: connected(bus))
    assert [one for one in threading.enumerate() if one.name.startswith("paho")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # paho's pair to wake the old one
def test_a_network_thread_that_died_is_replaced(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    callback = bus._client.on_publish

    def unforeseen(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    bus._client.on_publish = unforeseen
    bus.send(1, TOPICS.events, b"one")
    eventually(lambda: bus._client._thread is None)
    bus._client.on_publish = callback
    bus.notices()
    bus.send(2, TOPICS.events, b"two")
    delivered(bus, 2)
    eventually(lambda: b"two" in subscriber.of(TOPICS.events))
    gc.collect()  # while what the old thread left unclosed is no warning
