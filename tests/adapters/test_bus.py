"""MQTT against a real mosquitto."""

from __future__ import annotations

import gc
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from lockd.adapters.mqtt.bus import MAX_IN_FLIGHT, Bus
from lockd.adapters.mqtt.inbox import MAX_INBOX, Incoming, Lanes
from lockd.config import MqttSettings, TlsSettings
from lockd.errors import BusError
from lockd.messages import Topics
from tests.brokers import Mosquitto, Subscriber
from tests.conftest import free_port
from tests.patience import eventually

TOPICS = Topics("lockd", "door")
either_version = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@pytest.fixture
def protocol() -> str:
    """Of the buses, unless a test wants another or either one."""
    return "auto"


@pytest.fixture
def connect(protocol: str) -> Iterator[Callable[..., Bus]]:
    """Makes buses, started, by the broker's port."""
    buses: list[Bus] = []

    def make(
        port: int, subscriptions: Sequence[str] = (), lanes: Lanes | None = None, **more: object
    ) -> Bus:
        settings = {"protocol": protocol, **more}
        wanted = MqttSettings(host="127.0.0.1", port=port, reconnect_longest_s=1.0, **settings)  # type: ignore[arg-type]
        bus = Bus(wanted, TOPICS, "door", subscriptions, lanes=lanes, retry_first_s=0.05)
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


def first_heard(bus: Bus, sender: Bus, payload: bytes) -> list[Incoming]:
    """What comes first, of a sender who says something again and again.

    The broker may know a connection well before it knows what that subscribes to.
    """

    def came() -> list[Incoming]:
        sender.publish(TOPICS.command, payload)
        return bus.inbox()

    return list(eventually(came))


@either_version
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


@either_version
def test_events_are_not_retained_but_state_and_availability_are(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.announce()
    bus.publish(TOPICS.state, b'{"lock":"LOCKED"}', retain=True)
    bus.send(1, TOPICS.events, b"gone")
    delivered(bus, 1)
    late = subscribe(mosquitto.port)
    eventually(lambda: len(late.heard) == 2)
    assert sorted(late.heard) == [
        (TOPICS.availability, b"online", True),
        (TOPICS.state, b'{"lock":"LOCKED"}', True),
    ]


@either_version
def test_a_goodbye_says_offline(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.announce()
    bus.close()
    eventually(lambda: subscriber.of(TOPICS.availability) == [b"online", b"offline"])


@either_version
def test_the_broker_says_offline_for_a_service_that_died(
    mosquitto: Mosquitto, connect: Callable[..., Bus], subscribe: Callable[[int], Subscriber]
) -> None:
    subscriber = subscribe(mosquitto.port)
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    bus.announce()
    eventually(lambda: subscriber.of(TOPICS.availability) == [b"online"])
    # Cut the connection without a word, as a power failure does.
    assert bus.session is not None
    sock = bus.session.client.socket()
    assert sock is not None
    sock.shutdown(2)
    eventually(lambda: subscriber.of(TOPICS.availability)[-1] == b"offline")


def test_what_a_broken_connection_did_not_deliver_is_the_sender_s_again(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    first = bus.session
    mosquitto.signal(signal.SIGSTOP)
    bus.send(3, TOPICS.events, b"on its way")
    assert bus.free() == MAX_IN_FLIGHT - 1
    mosquitto.stop()
    eventually(lambda: not connected(bus))
    assert bus.free() == 0
    bus.send(4, TOPICS.events, b"to nobody")
    mosquitto.start()
    eventually(lambda: connected(bus))
    assert bus.session is not first
    assert bus.free() == MAX_IN_FLIGHT
    assert bus.delivered() == []


def test_without_a_broker_nothing_blocks_and_nothing_may_be_sent(
    connect: Callable[..., Bus],
) -> None:
    bus = connect(free_port())
    problems = eventually(bus.notices)
    assert problems[0].problem.startswith("cannot be reached: ")
    assert bus.free() == 0
    bus.publish(TOPICS.state, b"{}")
    assert bus.delivered() == []


@either_version
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


def test_a_broker_that_drops_what_the_door_says_is_told_of_once(
    connect: Callable[..., Bus], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = f"user door\ntopic write {TOPICS.state}\n"
    broker = Mosquitto(tmp_path, free_port(), "swordfish", acl=acl)
    broker.start()
    try:
        (tmp_path / "secret").write_text("swordfish")
        bus = connect(broker.port, username="door", password_file=tmp_path / "secret")
        eventually(lambda: connected(bus))
        bus.send(1, TOPICS.events, b"{}")
        bus.send(2, TOPICS.events, b"{}")
        delivered(bus, 1, 2)
        eventually(lambda: "drops what the door says: Not authorized" in caplog.text)
        bus.close()
    finally:
        broker.stop()
    assert caplog.text.count("drops what the door says") == 1


def test_a_password_file_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    settings = MqttSettings(host="x", username="door", password_file=tmp_path / "none")
    with pytest.raises(BusError, match=r"mqtt\.password_file: .*none: No such file"):
        Bus(settings, TOPICS, "door")


def test_a_certificate_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    settings = MqttSettings(host="x", tls=TlsSettings(ca_file=tmp_path / "none.pem"))
    with pytest.raises(BusError, match=r"mqtt\.tls\.ca_file: .*none\.pem"):
        Bus(settings, TOPICS, "door")


@either_version
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


@either_version
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # paho's pair to wake the old one
def test_a_network_thread_that_died_is_noticed_and_the_connection_made_anew(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    first = bus.session
    assert first is not None

    def unforeseen(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    first.client.on_publish = unforeseen
    bus.send(1, TOPICS.events, b"one")
    eventually(lambda: connected(bus) and bus.session is not first)
    bus.send(2, TOPICS.events, b"two")
    delivered(bus, 2)
    gc.collect()  # while what the old thread left unclosed is no warning


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_thread_that_keeps_the_connection_is_replaced_when_it_dies(
    mosquitto: Mosquitto, connect: Callable[..., Bus], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unforeseen(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    with monkeypatch.context() as patched:
        patched.setattr("lockd.adapters.mqtt.bus.open_connection", unforeseen)
        bus = connect(mosquitto.port)
        for thread in threading.enumerate():
            if thread.name == "mqtt":
                thread.join()
    eventually(lambda: connected(bus))


@either_version
def test_only_what_was_subscribed_to_comes_in_with_all_that_is_known_of_it(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    sender = connect(mosquitto.port, client_id="sender")
    eventually(lambda: connected(sender))
    sender.publish(TOPICS.command, b"of old", retain=True)
    sender.send(1, TOPICS.command, b"of old, not kept")
    delivered(sender, 1)
    bus = connect(mosquitto.port, [TOPICS.command])
    woken: list[bool] = []
    bus.wake = lambda: woken.append(True)
    came: list[Incoming] = []
    eventually(lambda: came.extend(bus.inbox()) or came)
    assert came == [Incoming(TOPICS.command, b"of old", retained=True, duplicate=False)]
    sender.publish(TOPICS.state, b"not for it")
    sender.publish(TOPICS.command, b"now")
    eventually(lambda: came.extend(bus.inbox()) or len(came) > 1)
    assert came[1:] == [Incoming(TOPICS.command, b"now", retained=False, duplicate=False)]
    assert woken


@either_version
def test_commands_of_the_time_without_a_connection_are_not_handed_out_later(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    bus = connect(mosquitto.port, [TOPICS.command])
    sender = connect(mosquitto.port, client_id="sender")
    eventually(lambda: connected(bus) and connected(sender))
    bus.close()
    eventually(lambda: not connected(bus))
    sender.send(1, TOPICS.command, b"while away")
    delivered(sender, 1)
    again = connect(mosquitto.port, [TOPICS.command])
    eventually(lambda: connected(again))
    assert {one.payload for one in first_heard(again, sender, b"now")} == {b"now"}


@either_version
def test_a_flood_of_messages_takes_no_more_memory_than_the_inbox(
    mosquitto: Mosquitto, connect: Callable[..., Bus], caplog: pytest.LogCaptureFixture
) -> None:
    came: list[str] = []

    def lane(topic: str, _: bytes) -> tuple[str, int]:
        came.append(topic)
        return "", MAX_INBOX

    bus = connect(mosquitto.port, [TOPICS.command], lane)
    sender = connect(mosquitto.port, client_id="sender")
    eventually(lambda: connected(bus) and connected(sender))

    def flooded() -> bool:
        sender.publish(TOPICS.command, b"flood")  # the first ones may have come too early
        return len(came) >= 3 * MAX_INBOX

    eventually(flooded)
    assert len(bus.inbox()) == MAX_INBOX
    assert re.search(r"\d+ messages came too fast", caplog.text)


def test_version_5_is_spoken_where_it_can_be(
    mosquitto: Mosquitto, connect: Callable[..., Bus]
) -> None:
    bus = connect(mosquitto.port)
    eventually(lambda: connected(bus))
    assert bus.session is not None
    assert bus.session.protocol == "5"
    assert bus.session.client.protocol == mqtt.MQTTv5


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""])
def test_a_broker_that_does_not_speak_version_5_is_asked_in_3_1_1_at_once(answer: bytes) -> None:
    """One that refuses it in either way, and one that only hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = MqttSettings(host="127.0.0.1", port=server.getsockname()[1])
        bus = Bus(settings, TOPICS, "door", retry_first_s=30.0)
        bus.start()
        versions = []
        for reply in (answer, b"\x20\x02\x00\x00"):
            connection, _ = server.accept()
            hello = connection.recv(1024)
            versions.append(hello[8 if hello[1] < 0x80 else 9])
            connection.sendall(reply)
            if reply == answer:
                connection.close()
        eventually(lambda: connected(bus))
        assert versions == [5, 4]
        connection.close()
        bus.close()


def test_a_broker_that_does_not_answer_in_version_5_is_asked_in_3_1_1(
    connect: Callable[..., Bus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As amqtt, which says nothing and does not hang up either."""
    monkeypatch.setattr("lockd.adapters.mqtt.bus.ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        bus = connect(server.getsockname()[1])
        silent, _ = server.accept()
        answering, _ = server.accept()
        with silent, answering:
            answering.sendall(b"\x20\x02\x00\x00")
            eventually(lambda: connected(bus))
            assert bus.session is not None
            assert bus.session.protocol == "3.1.1"
            bus.close()


def test_what_a_broker_refuses_by_its_access_list_is_counted_and_told_once(
    tmp_path: Path, connect: Callable[..., Bus], caplog: pytest.LogCaptureFixture
) -> None:
    allowed = f"topic write {TOPICS.availability}\ntopic write {TOPICS.state}\n"
    mosquitto = Mosquitto(tmp_path, free_port(), acl=allowed)
    mosquitto.start()
    try:
        bus = connect(mosquitto.port, protocol="5")
        eventually(lambda: connected(bus))
        for seq in (1, 2):
            bus.send(seq, TOPICS.events, b"{}")
        bus.send(3, TOPICS.state, b"{}")
        delivered(bus, 1, 2, 3)  # the protocol forbids to send them again
        eventually(lambda: bus.refused == 2)
    finally:
        mosquitto.stop()
    complaints = [one.message for one in caplog.records if "access list" in one.message]
    assert len(complaints) == 1
    assert "Not authorized" in complaints[0]
