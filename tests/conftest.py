"""What many tests share: the real networks, real photographs and a real broker."""

from __future__ import annotations

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
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from paho.mqtt.enums import CallbackAPIVersion

from lockd.adapters.broker import LocalBroker
from lockd.commands.broker_setup.certificates import issue_broker, issue_client, make_authority
from lockd.config import Settings
from lockd.identity.gallery import Gallery
from lockd.recognition.photographs import gallery_of_folder
from lockd.recognition.recogniser import Vision
from tests.patience import eventually

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "tests" / "data" / "photos"
SCENES = ROOT / "tests" / "data" / "scenes"
PEOPLE = ROOT / "demo" / "people"
CLIP = ROOT / "demo" / "porch.mp4"

# No test fails for a machine that is busy just then.
hypothesis_settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("patient")
# For `make mutants`, which runs the tests hundreds of times and must find the same each time.
hypothesis_settings.register_profile(
    "quick",
    hypothesis_settings.get_profile("patient"),
    max_examples=20,
    derandomize=True,
    database=None,
)

# Who is started in the background ignores SIGINT, and hands that down to every child, whereas a
# handler is not inherited: so the tests go on ignoring it, and their children hear it.
for _number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Popen restores these
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--histories",
        type=int,
        default=12_000,
        help="how many random histories the door's machine is held to (%(default)s)",
    )
    parser.addoption(
        "--fuzzed",
        type=int,
        default=2_000,
        help="how many hostile commands the door must withstand (%(default)s)",
    )


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the state of whoever runs it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("lockd.config.files.SYSTEM_FILE", tmp_path / "no-lockd.yaml")
    for name in ("LOCKD_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings()


@pytest.fixture(scope="session")
def vision(settings: Settings) -> Vision:
    return Vision(settings)


@pytest.fixture(scope="session")
def demo_gallery(vision: Vision, settings: Settings) -> Gallery:
    """Barack Obama and Joe Biden, from the photographs of the demo."""

    def refused(error: Exception) -> None:
        raise AssertionError(error)

    return gallery_of_folder(PEOPLE, vision, settings.quality.limits(), refused)


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
        import os

        return os.geteuid() == 0

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker, running."""
    broker = Mosquitto(tmp_path, free_port())
    broker.start()
    yield broker
    broker.stop()


@dataclass
class Amqtt:
    """Another broker, written by others, in this process. It speaks MQTT 3.1.1 only.

    It can neither be stopped for a while nor killed, has no access list of mosquitto's kind,
    and forgets everything when it is stopped.
    """

    port: int
    _broker: LocalBroker | None = field(default=None, repr=False)

    def start(self) -> None:
        self._broker = LocalBroker(self.port)

    def stop(self) -> None:
        if self._broker is not None:
            self._broker.close()
            self._broker = None


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto | Amqtt]:
    """Each of two brokers, running: what works with both is likely to be the protocol."""
    port = free_port()
    broker = Mosquitto(tmp_path, port) if request.param == "mosquitto" else Amqtt(port)
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
