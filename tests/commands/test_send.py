"""`lockd send`, a real broker and a whole service, of which camera and networks are scripted."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from lockd.adapters.keys import CommandKeys
from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.mqtt.visitor import Visitor
from lockd.adapters.store import Store, Vault
from lockd.adapters.strike import Strike
from lockd.clock import RealClock
from lockd.commands.main import main
from lockd.config import Settings, load
from lockd.identity.observation import Observation
from lockd.messages import Topics
from lockd.ports import Observer
from lockd.remote.commands import COMMANDS
from lockd.remote.signing import Order
from lockd.service.parts import Parts
from lockd.service.people import People
from lockd.service.remote_commands import subscriptions
from lockd.service.service import Service
from lockd.service.store_writer import StoreWriter
from lockd.types import Frame, Signal
from tests.brokers import Mosquitto, Subscriber
from tests.fakes import RecordingOutput, ScriptedCamera, ScriptedVision, unit
from tests.invoking import invoke
from tests.patience import PATIENCE_S, eventually
from tests.remote.fuzzing import Fuzzer
from tests.remote.orders import KEY, OTHER_KEY

FACE = unit(1)
TOPICS = Topics("lockd", "front")


class Porch(ScriptedCamera):
    """Shows one picture again and again, ten times a second."""

    def __init__(self, vision: ScriptedVision) -> None:
        super().__init__([])
        self._scene = vision.scene(FACE)
        self._clock = RealClock()
        self._numbers = itertools.count(1)
        self._woken = threading.Event()

    @property
    def ended(self) -> bool:
        return False

    def next(self, timeout_s: float) -> Frame | None:
        self._woken.wait(min(timeout_s, 0.1))
        self._woken.clear()
        self.started = True
        return Frame(self._scene, self._clock.now(), next(self._numbers))

    def wake(self) -> None:
        self._woken.set()


class Now:
    problem: str | None = None

    def local(self) -> datetime | None:
        return datetime.now(UTC)


class Silent:
    def __init__(self) -> None:
        self.silent_s: list[float] = []

    def show(self, signal: Signal, name: str | None = None) -> None:
        pass

    def silence(self, seconds: float) -> None:
        self.silent_s.append(seconds)


class Running(Observer):
    """A service in a thread of its own, in which it also opened everything."""

    def __init__(self, config: Path) -> None:
        self.settings: Settings = load(config)
        self.vision, self.indicator, self.output = ScriptedVision(), Silent(), RecordingOutput()
        self.camera = Porch(self.vision)
        self.service: Service | None = None
        self.bus: Bus | None = None
        self.error: BaseException | None = None
        self.looked = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        eventually(lambda: self.error or (self.bus and self.bus.connected))

    def observed(self, frame: Frame, observation: Observation) -> None:
        self.looked.set()

    def close(self) -> None:
        if self.service is not None:
            self.service.stop()
        self._thread.join(PATIENCE_S)
        assert self.error is None

    @property
    def path(self) -> Path:
        return self.settings.store.path()

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            self.error = error

    def _serve(self) -> None:
        settings = self.settings
        embedder: Any = self.vision
        clock = RealClock()
        people = People(
            lambda create: Store.open(self.path, Vault.open(settings.store), timeout_s=PATIENCE_S),
            embedder,
            settings.access.rules(),
        )
        writer = StoreWriter(
            lambda: Store.open(self.path, Vault.open(settings.store), timeout_s=PATIENCE_S),
            self.camera.wake,
        )
        writer.start()
        strike = Strike(self.output, clock.now, machine=lambda: 0.0)
        self.bus = Bus(settings.mqtt, TOPICS, "front", subscriptions(settings))
        self.bus.wake = self.camera.wake
        self.service = Service(
            settings,
            Parts(
                clock=clock,
                camera=self.camera,
                vision=self.vision,  # type: ignore[arg-type]
                strike=strike,
                wall=Now(),
                people=people,
                writer=writer,
                bus=self.bus,
                keys=CommandKeys.open(settings),
                indicators=[self.indicator],
            ),
            observers=[self],
        )
        self.bus.start()
        try:
            self.service.run()
        finally:
            self.bus.close()
            writer.close()
            strike.close()
            people.close()


@pytest.fixture
def config(tmp_path: Path, mosquitto: Mosquitto) -> Path:
    """What door and sender have in common, and anna's key beside it."""
    sections = {
        "door": {"id": "front", "open_s": 60},
        "store": {"folder": str(tmp_path / "state")},
        "mqtt": {
            "host": "127.0.0.1",
            "port": mosquitto.port,
            "snapshot": {"of": "frame"},
            "commands": {
                "allow": {
                    name: ["anna"] for name in COMMANDS if name not in ("lift", "enrol", "reload")
                },
                "keys_file": str(tmp_path / "keys"),
                "plain": ["lock"],
            },
        },
    }
    file = tmp_path / "lockd.yaml"
    sections["liveness"] = {"policy": "off"}
    file.write_text(yaml.safe_dump(sections))
    for name in ("keys", "anna"):
        (tmp_path / name).write_text(f"anna {KEY.hex()}\n")
        (tmp_path / name).chmod(0o600)
    return file


@pytest.fixture
def running(config: Path) -> Iterator[Running]:
    running = Running(config)
    yield running
    running.close()


Send = Callable[..., Result]


@pytest.fixture
def send(config: Path) -> Send:
    def send(*arguments: str, timeout: str = str(PATIENCE_S)) -> Result:
        key = str(config.with_name("anna"))
        return invoke(
            main, "send", *arguments, "--key-file", key, "--config", config, "--timeout", timeout
        )

    return send


def test_a_command_is_sent_obeyed_and_its_result_shown(running: Running, send: Send) -> None:
    result = send("unlock")
    assert (result.exit_code, result.stdout) == (0, "ok\n"), result.stderr
    assert running.output.log == ["on"]
    assert send("lock-down").exit_code == 0
    result = send("unlock", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["result"], told["reason"], told["by"]) == ("denied", "locked_down", "anna")
    result = send("lift")
    assert result.exit_code == 1
    assert "mqtt.commands.allow" in result.stderr
    assert running.output.log[:2] == ["on", "off"]


def people_of(states: list[bytes]) -> list[int]:
    """How many people the door knew, one number after the other."""
    return [number for number, _ in itertools.groupby(json.loads(one)["people"] for one in states)]


def test_silence_snapshot_and_people(
    running: Running,
    send: Send,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> None:
    heard = subscribe(mosquitto.port)
    assert send("silence", "--seconds", "60").stdout == "ok, seconds: 60\n"
    assert running.indicator.silent_s == [60]
    eventually(running.looked.is_set)
    assert send("snapshot").stdout == "ok\n"
    eventually(lambda: any(one.startswith(b"\xff\xd8") for one in heard.of(TOPICS.snapshot)))

    store = Store.open(running.path, Vault.open(running.settings.store))
    store.people.add("Ada", "scripted", [FACE], by="root")
    assert send("people").stdout == "Ada\nok, total: 1\n"
    eventually(lambda: "on" in running.output.log)  # the door knows her
    assert send("disable", "--name", "ada").exit_code == 0
    assert send("people").stdout == "Ada (disabled)\nok, total: 1\n"
    # The door sees what it changed itself.
    eventually(lambda: people_of(heard.of(TOPICS.state)) == [0, 1, 0])
    assert [one.by for one in store.audit.latest() if one.action == "disable"] == ["mqtt:anna"]
    store.close()


def test_without_an_answer_there_is_an_exit_code_of_its_own(config: Path, send: Send) -> None:
    result = send("lock", timeout="0.3")
    assert result.exit_code == 12
    assert "no answer within 0.3 s" in result.stderr


def test_without_a_broker_too(mosquitto: Mosquitto, send: Send) -> None:
    mosquitto.stop()
    assert send("lock").exit_code == 10


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["lock", "--identity", "bert"], 10, "no key of bert; there is anna"),
        (["lock", "--seconds", "5"], 2, "lock does not take --seconds"),
        (["hold-open"], 2, "hold-open needs --seconds"),
        (["rename", "--name", "Ada"], 2, "rename needs --new-name"),
        (["remove", "--name", "A\nda"], 2, "printable"),
        (["lock", "--base", "a/#"], 3, "mqtt.base_topic"),
        (["lock", "--host", "127.0.0.1"], 2, "--host needs --door"),
        (["dance"], 2, "dance"),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(
    config: Path, send: Send, arguments: list[str], code: int, says: str
) -> None:
    result = send(*arguments)
    assert (result.exit_code, says in result.stderr) == (code, True), result.stderr


def test_the_key_comes_from_the_environment_or_systemd_and_never_from_an_argument(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["send", "lock", "--config", str(config), "--timeout", "0.2"]
    assert "no key to sign with" in invoke(main, *arguments).stderr
    monkeypatch.setenv("LOCKD_COMMAND_KEY", f"anna {KEY.hex()}")
    assert invoke(main, *arguments).exit_code == 12
    monkeypatch.setenv("LOCKD_COMMAND_KEY", KEY.hex())
    result = invoke(main, *arguments)
    assert result.exit_code == 10
    assert KEY.hex() not in result.output
    monkeypatch.delenv("LOCKD_COMMAND_KEY")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "command-key").write_text(f"anna {KEY.hex()}\n")
    assert invoke(main, *arguments).exit_code == 12


def test_hostile_messages_through_a_real_broker_do_nothing_and_the_door_still_hears(
    running: Running, send: Send, config: Path, request: pytest.FixtureRequest
) -> None:
    """Kept ones too: the broker hands them to the door that comes back."""
    count = request.config.getoption("--fuzzed") // 2
    fuzzer = Fuzzer(7)
    settings = running.settings.mqtt
    messages = fuzzer.messages(time.time)
    with Visitor(settings, "fuzz") as visitor:
        for message in itertools.islice(messages, count):
            if message.topic in (TOPICS.command, TOPICS.plain_command) and not message.retained:
                visitor.publish(message.topic, message.payload)
        old = Order("old", "lockd", "front", "unlock", "anna", int(time.time()) - 60, "n" * 16)
        for topic, payload in ((TOPICS.command, old.payload(KEY)), (TOPICS.plain_command, b"LOCK")):
            visitor.publish(topic, payload, retain=True)
    running.close()
    assert "on" not in running.output.log
    again = Running(config)
    try:
        assert send("lock").exit_code == 0
        assert "on" not in again.output.log
        wanted = {"unlock: replayed (retained)", "lock: replayed (retained)", "lock: ok"}
        with closing(Store.open(again.path, Vault.open(again.settings.store))) as store:
            eventually(lambda: wanted <= {one.note for one in store.audit.latest(1000)})
            notes = [str(one.note) for one in store.audit.latest(1000) if one.action == "command"]
        assert not [note for note in notes if note.startswith("unlock: ok")]
        for name in ("keys", "anna"):  # misused so often that the old one is of no use
            config.with_name(name).write_text(f"anna {OTHER_KEY.hex()}\n")
        assert send("unlock").exit_code == 0
    finally:
        again.close()
