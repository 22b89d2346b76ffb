"""The service's connection, encrypted and with secrets, against a real mosquitto."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.mqtt.client import CREDENTIAL
from lockd.config import MqttSettings, TlsSettings
from lockd.errors import BusError
from lockd.messages import Topics
from tests.brokers import Certificates, Mosquitto
from tests.conftest import free_port
from tests.patience import eventually, running

TOPICS = Topics("lockd", "door")
SECRET = "correct-horse-battery-staple"
# paho leaves the socket of a handshake that failed to the collector of rubbish.
unclosed = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def encrypted(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Mosquitto]:
    """A broker that wants a certificate and a password, and is called localhost."""
    folder = tmp_path_factory.mktemp("encrypted")
    broker = Mosquitto(folder, free_port(), SECRET, tls=certificates, asks_certificates=True)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def connect(encrypted: Mosquitto, certificates: Certificates, tmp_path: Path) -> Iterator[Any]:
    """Makes buses, started, that do everything right but for what is changed."""
    buses: list[Bus] = []
    password = tmp_path / "password"
    password.write_text(SECRET)
    right = {
        "ca_file": certificates.authority,
        "cert_file": certificates.client,
        "key_file": certificates.client_key,
    }

    def make(
        host: str = "localhost", tls: dict[str, Path | None] | None = None, **more: Any
    ) -> Bus:
        login = {"username": "door", "password_file": password, **more}
        settings = MqttSettings(
            host=host, port=encrypted.port, tls=TlsSettings(**{**right, **(tls or {})}), **login
        )
        bus = Bus(settings, TOPICS, "door", retry_first_s=0.05)
        buses.append(bus)
        bus.start()
        return bus

    yield make
    for bus in buses:
        bus.close()
    gc.collect()


def problem(bus: Bus) -> str:
    """Why it is not connected."""
    notices = eventually(bus.notices)
    bus.close()
    assert not bus.connected
    return str(notices[0].problem)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_with_the_right_certificates_and_password_the_door_is_let_in(
    connect: Callable[..., Bus], protocol: str
) -> None:
    bus = connect(protocol=protocol)
    eventually(lambda: bus.connected)
    bus.send(1, TOPICS.events, b"{}")
    eventually(lambda: bus.delivered() == [1])


@unclosed
def test_a_broker_of_another_authority_is_not_spoken_to(
    connect: Callable[..., Bus], certificates: Certificates
) -> None:
    bus = connect(tls={"ca_file": certificates.foreign_authority})
    assert "CERTIFICATE_VERIFY_FAILED" in problem(bus)


@unclosed
def test_without_an_authority_of_ones_own_those_of_the_system_count(
    connect: Callable[..., Bus],
) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in problem(connect(tls={"ca_file": None}))


@unclosed
def test_a_broker_of_another_name_is_not_spoken_to(connect: Callable[..., Bus]) -> None:
    assert "IP address mismatch" in problem(connect("127.0.0.1"))


@unclosed
@pytest.mark.parametrize("kind", ["none", "foreign"])
def test_a_door_without_the_right_certificate_is_not_let_in(
    connect: Callable[..., Bus], certificates: Certificates, kind: str
) -> None:
    own: dict[str, Path | None] = {"cert_file": None, "key_file": None}
    if kind == "foreign":
        own = {
            "cert_file": certificates.foreign_client,
            "key_file": certificates.foreign_client_key,
        }
    assert problem(connect(tls=own))


def test_the_password_may_be_a_credential_of_systemd(
    connect: Callable[..., Bus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / CREDENTIAL).write_text(f"{SECRET}\n")
    bus = connect(password_file=None)
    eventually(lambda: bus.connected)


def test_a_key_that_belongs_to_another_certificate_is_told_at_the_start(
    connect: Callable[..., Bus], certificates: Certificates
) -> None:
    with pytest.raises(BusError, match=r"mqtt\.tls: .*belong together"):
        connect(tls={"key_file": certificates.foreign_client_key})


@pytest.mark.parametrize("password", [SECRET, "a-wrong-one-nobody-may-see"])
def test_no_password_is_ever_written_anywhere(
    connect: Callable[..., Bus],
    encrypted: Mosquitto,
    tmp_path: Path,
    password: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "other"
    file.write_text(password)
    bus = connect(password_file=file)
    notices = eventually(bus.notices)
    said = [caplog.text, repr(vars(bus)), repr(notices), encrypted.log()]
    assert (notices[0].problem is None) is (password == SECRET)
    assert not [text for text in said if password in text]


def test_no_password_is_among_a_process_s_arguments_or_in_its_environment(
    encrypted: Mosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    command = [sys.executable, "-m", "lockd", "watch", "--host", "localhost", "--user", "door"]
    command += ["--port", str(encrypted.port), "--password-file", str(file)]
    command += ["--ca", str(certificates.authority)]
    command += ["--cert", str(certificates.client), "--key", str(certificates.client_key)]
    told = tmp_path / "told"
    with told.open("w") as log, running(*command, stdout=log, stderr=log) as process:
        eventually(lambda: "connected" in told.read_text())
        seen = b"".join(
            Path(f"/proc/{process.pid}/{one}").read_bytes() for one in ("cmdline", "environ")
        )
        assert b"watch" in seen
        assert SECRET.encode() not in seen + told.read_bytes()
