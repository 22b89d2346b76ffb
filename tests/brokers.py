"""Real brokers on loopback ports, and who listens to them; a plug-in of the tests' conftest."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from lockd.commands.broker_setup.certificates import issue_broker, issue_client, make_authority
from tests.conftest import free_port
from tests.patience import PATIENCE_S, eventually


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, a broker called localhost and a client; and foreign ones."""

    authority: Path
    broker: Path
    broker_key: Path
    client: Path
    client_key: Path
    foreign_authority: Path
    foreign_client: Path
    foreign_client_key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made by the code that makes a door owner's."""
    folder, now = tmp_path_factory.mktemp("certificates"), datetime.now(UTC)
    ours, foreign = (make_authority(name, now) for name in ("ours", "foreign"))
    made = {
        "authority": ours,
        "broker": issue_broker(ours, ["localhost"], now),
        "client": issue_client(ours, "door", now),
        "foreign_authority": foreign,
        "foreign_client": issue_client(foreign, "door", now),
    }
    files: dict[str, Path] = {}
    for name, issued in made.items():
        files[name], files[f"{name}_key"] = folder / f"{name}.crt", folder / f"{name}.key"
        files[name].write_bytes(issued.certificate)
        files[f"{name}_key"].write_bytes(issued.key)
    return Certificates(**{one.name: files[one.name] for one in fields(Certificates)})


@dataclass
class Mosquitto:
    """A real broker on a loopback port, which can be stopped and started again.

    Attributes:
        folder: for its files.
        port: its own.
        password: of the user `door`; without one everybody is let in.
        users: further ones and their passwords.
        acl: an access list.
        tls: encrypts with these.
        asks_certificates: of its clients, too.
        persistent: keeps sessions and retained messages while it is stopped.
        include: a configuration that has a listener of its own; then all but `folder`
            and `port` is its affair.
    """

    folder: Path
    port: int
    password: str | None = None
    users: dict[str, str] = field(default_factory=dict, repr=False)
    acl: str | None = None
    tls: Certificates | None = None
    asks_certificates: bool = False
    persistent: bool = False
    include: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        config = self.folder / "mosquitto.conf"
        if self.include is None:
            lines = [*self._listener(), *self._access(), *self._encryption()]
        else:
            beside = self.folder / "conf.d"
            beside.mkdir(exist_ok=True)
            shutil.copy(self.include, beside / "lockd.conf")
            lines = [f"include_dir {beside}"]
        if self.persistent or self.include is not None:
            lines += ["persistence true", f"persistence_location {self.folder}/"]
        if self._is_root:
            lines.append("user root")
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program(), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=log
            )
        eventually(self._listens)

    def _listener(self) -> list[str]:
        return [f"listener {self.port} 127.0.0.1", f"allow_anonymous {self._anonymous}"]

    def _access(self) -> list[str]:
        lines = []
        if self.password is not None:
            passwords = self.folder / "passwords"
            users = {"door": self.password, **self.users}
            passwords.write_text("".join(f"{name}:{word}\n" for name, word in users.items()))
            passwords.chmod(0o600)
            subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
            lines.append(f"password_file {passwords}")
        if self.acl is not None:
            (self.folder / "acl").write_text(self.acl)
            lines.append(f"acl_file {self.folder / 'acl'}")
        return lines

    def _encryption(self) -> list[str]:
        if self.tls is None:
            return []
        return [
            f"cafile {self.tls.authority}",
            f"certfile {self.tls.broker}",
            f"keyfile {self.tls.broker_key}",
            f"require_certificate {str(self.asks_certificates).lower()}",
        ]

    def log(self) -> str:
        """What it wrote to standard error."""
        return (self.folder / "mosquitto.log").read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Send the broker a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        """Stop it as a service manager does, so that it saves what it keeps."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        self._process.wait(PATIENCE_S)

    @staticmethod
    def program() -> str:
        # Debian keeps it where not every user's PATH leads.
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if found is None:
            pytest.fail("mosquitto is not installed; `make test` installs it")
        return found

    @property
    def _anonymous(self) -> str:
        return "true" if self.password is None else "false"

    @property
    def _is_root(self) -> bool:
        return os.geteuid() == 0

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker, running."""
    broker = Mosquitto(tmp_path, free_port())
    broker.start()
    yield broker
    broker.stop()


@dataclass
class Subscriber:
    """Everything published on a broker: (topic, payload, retained)."""

    heard: list[tuple[str, bytes, bool]] = field(default_factory=list)

    def of(self, topic: str) -> list[bytes]:
        return [payload for one, payload, _ in self.heard if one == topic]


def distinct(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events as a subscriber should take them: each once, however often it came.

    Each is delivered at least once: one whose acknowledgement was lost comes again.
    """
    first: dict[str, dict[str, Any]] = {}
    for event in events:
        first.setdefault(event["id"], event)
    return list(first.values())


@pytest.fixture
def subscribe() -> Iterator[Callable[[int], Subscriber]]:
    """Makes subscribers, by the broker's port."""
    clients: list[mqtt.Client] = []

    def make(port: int) -> Subscriber:
        subscriber = Subscriber()
        subscribed: list[bool] = []
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _c, _d, message: subscriber.heard.append(
            (message.topic, message.payload, message.retain)
        )
        client.on_subscribe = lambda *_: subscribed.append(True)
        client.connect("127.0.0.1", port)
        client.subscribe("#", qos=1)
        client.loop_start()
        clients.append(client)
        eventually(lambda: subscribed)
        return subscriber

    yield make
    for client in clients:
        client.disconnect()
        client.loop_stop()
