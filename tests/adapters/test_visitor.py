"""The connection that commands make, against a real mosquitto."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.config import MqttSettings, TlsSettings
from lockd.errors import BusError
from tests.brokers import Certificates, Mosquitto
from tests.conftest import free_port
from tests.patience import PATIENCE_S

STATE, EVENTS, COMMAND = "lockd/door/state", "lockd/door/events", "lockd/door/command"
ACL = f"""
user door
topic write {STATE}
topic read {COMMAND}
user reader
topic read {STATE}
topic read {EVENTS}
"""
every_protocol = pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])


def settings(broker: Mosquitto, **more: Any) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", port=broker.port, **more)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, free_port(), "swordfish", {"reader": "book"}, ACL)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def login(strict: Mosquitto, tmp_path: Path) -> Any:
    """Makes settings with a user's password."""

    def make(user: str, password: str, **more: Any) -> MqttSettings:
        file = tmp_path / f"{user}-{password}"
        file.write_text(f"{password}\n")
        return settings(strict, username=user, password_file=file, **more)

    return make


@every_protocol
def test_what_one_visitor_publishes_another_hears(mosquitto: Mosquitto, protocol: str) -> None:
    ours = settings(mosquitto, protocol=protocol)
    with Visitor(ours, "ear") as ear, Visitor(ours, "mouth") as mouth:
        ear.subscribe(EVENTS, STATE)
        mouth.publish(EVENTS, "Zoë".encode())
        mouth.publish(STATE, b"{}", retain=True)
        heard = [next(ear.messages()), next(ear.messages())]

    assert heard == [Heard(EVENTS, "Zoë".encode(), False), Heard(STATE, b"{}", False)]
    assert ear.protocol == ("3.1.1" if protocol == "3.1.1" else "5")


@every_protocol
def test_what_is_retained_is_heard_by_whoever_comes_later(
    mosquitto: Mosquitto, protocol: str
) -> None:
    ours = settings(mosquitto, protocol=protocol)
    with Visitor(ours, "mouth") as mouth:
        mouth.publish(STATE, b"{}", retain=True)
    with Visitor(ours, "ear") as ear:
        ear.subscribe(STATE)
        assert list(ear.messages(0.2)) == [Heard(STATE, b"{}", True)]


@every_protocol
def test_two_visitors_of_one_name_do_not_throw_each_other_out(
    mosquitto: Mosquitto, protocol: str
) -> None:
    ours = settings(mosquitto, protocol=protocol)
    with Visitor(ours, "watch") as one, Visitor(ours, "watch") as other:
        one.subscribe(STATE)
        other.publish(STATE, b"{}")
        assert next(one.messages(5.0)).topic == STATE


def test_a_refused_publication_is_an_error(strict: Mosquitto, login: Any) -> None:
    with (
        Visitor(login("reader", "book"), "reader") as reader,
        pytest.raises(BusError, match=f"may not publish on {STATE}: Not authorized; .*access list"),
    ):
        reader.publish(STATE, b"{}")


def test_under_3_1_1_a_refused_publication_is_dropped_without_a_word(
    strict: Mosquitto, login: Any
) -> None:
    with (
        Visitor(login("door", "swordfish"), "door") as door,
        Visitor(login("reader", "book", protocol="3.1.1"), "reader") as reader,
    ):
        reader.subscribe(EVENTS, STATE)
        reader.publish(STATE, b"forged")
        door.publish(STATE, b"true")
        assert next(reader.messages(5.0)).payload == b"true"


def test_a_wrong_password_is_told_with_the_way_out_and_without_the_password(login: Any) -> None:
    with pytest.raises(BusError, match=r"refused: .*; correct mqtt\.username") as caught:
        Visitor(login("door", "guessed"), "door").__enter__()
    assert "guessed" not in str(caught.value)


def test_a_subscription_that_the_broker_refuses_is_an_error() -> None:
    # mosquitto grants what its access list forbids; a plug-in's broker says 0x87.
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refusing_broker() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\x20\x03\x00\x00\x00")
                number = connection.recv(1000)[2:4]
                connection.sendall(b"\x90\x04" + number + b"\x00\x87")
                connection.recv(1000)

        thread = threading.Thread(target=refusing_broker, daemon=True)
        thread.start()
        broker = MqttSettings(host="127.0.0.1", port=server.getsockname()[1])
        said = f"may not hear {COMMAND}: Not authorized"
        with Visitor(broker, "ear") as ear, pytest.raises(BusError, match=said):
            ear.subscribe(COMMAND)
        thread.join()


def test_a_broker_that_goes_is_an_error_after_what_it_had_said(mosquitto: Mosquitto) -> None:
    with Visitor(settings(mosquitto), "ear") as ear:
        ear.subscribe(STATE)
        ear.publish(STATE, b"last")
        mosquitto.stop()
        heard = []
        with pytest.raises(BusError, match="connection lost"):
            heard.extend(one.payload for one in _each(ear, heard))
        assert heard == [b"last"]
        with pytest.raises(BusError, match="connection lost"):
            ear.publish(STATE, b"more")


def _each(ear: Visitor, heard: list[bytes]) -> Iterator[Heard]:
    for one in ear.messages(10.0):
        heard.append(one.payload)
        yield from ()


def test_nobody_there_is_told_with_the_way_out() -> None:
    visitor = Visitor(MqttSettings(host="127.0.0.1", port=free_port()), "x")
    with pytest.raises(BusError, match=r"Connection refused; is the broker running"):
        visitor.__enter__()


def test_a_name_that_is_none_is_told_as_such() -> None:
    with pytest.raises(BusError, match=r"; correct mqtt\.host, or the name server"):
        Visitor(MqttSettings(host="no-such-host.invalid"), "x").__enter__()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02\x00"])
def test_something_else_than_a_broker_is_told_as_such(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer_twice, args=(server, answer), daemon=True).start()
        nothing = MqttSettings(host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(BusError, match="no answer; is this a broker"):
            Visitor(nothing, "x", timeout_s=0.5).__enter__()
    gc.collect()


def _answer_twice(server: socket.socket, answer: bytes) -> None:
    for _ in range(2):
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)


def test_a_broker_of_3_1_1_alone_is_spoken_to_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        versions: list[int] = []

        def old_broker() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    versions.append(connection.recv(1000)[8])
                    right = versions[-1] == 4
                    connection.sendall(b"\x20\x02\x00" + (b"\x00" if right else b"\x01"))
                    if right:
                        connection.recv(1000)

        thread = threading.Thread(target=old_broker, daemon=True)
        thread.start()
        broker = MqttSettings(host="127.0.0.1", port=server.getsockname()[1])
        with Visitor(broker, "x") as visitor:
            assert visitor.protocol == "3.1.1"
        thread.join()
    assert versions == [5, 4]


# Encryption


@pytest.fixture(scope="module")
def encrypted(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Mosquitto]:
    """A broker that asks for certificates."""
    folder = tmp_path_factory.mktemp("encrypted")
    broker = Mosquitto(folder, free_port(), tls=certificates, asks_certificates=True)
    broker.start()
    yield broker
    broker.stop()


def refusal(ours: MqttSettings) -> str:
    """What a visitor says that is not let in."""
    try:
        Visitor(ours, "x", timeout_s=PATIENCE_S).__enter__()
    except BusError as error:
        return str(error)
    finally:
        gc.collect()
    raise AssertionError("it was let in")


def tls(certificates: Certificates, **more: Any) -> TlsSettings:
    files = {
        "ca_file": certificates.authority,
        "cert_file": certificates.client,
        "key_file": certificates.client_key,
    }
    return TlsSettings(**{**files, **more})


# paho leaves the socket of a handshake that failed to the collector of rubbish.
unclosed = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def at_home(broker: Mosquitto, **more: Any) -> MqttSettings:
    """Settings with the name that the broker's certificate is for."""
    return settings(broker, **more).model_copy(update={"host": "localhost"})


def test_with_the_right_certificates_both_sides_are_let_in(
    encrypted: Mosquitto, certificates: Certificates
) -> None:
    with Visitor(at_home(encrypted, tls=tls(certificates)), "x") as visitor:
        visitor.publish(STATE, b"{}")


@unclosed
def test_a_broker_of_another_authority_is_refused(
    encrypted: Mosquitto, certificates: Certificates
) -> None:
    foreign = tls(certificates, ca_file=certificates.foreign_authority)
    said = refusal(at_home(encrypted, tls=foreign))
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "; set mqtt.tls.ca_file" in said


@unclosed
def test_a_broker_of_another_name_is_refused(
    encrypted: Mosquitto, certificates: Certificates
) -> None:
    said = refusal(settings(encrypted, tls=tls(certificates)))
    assert "; set mqtt.host to a name that" in said


@unclosed
@pytest.mark.parametrize("kind", ["none", "foreign"])
def test_a_client_without_the_right_certificate_is_refused(
    encrypted: Mosquitto, certificates: Certificates, kind: str
) -> None:
    own: dict[str, Path | None] = {"cert_file": None, "key_file": None}
    if kind == "foreign":
        own = {
            "cert_file": certificates.foreign_client,
            "key_file": certificates.foreign_client_key,
        }
    said = refusal(at_home(encrypted, tls=tls(certificates, **own)))
    assert "mqtt.tls" in said
