"""A door with everything around it, all of it real but the relay's board."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from lockd.adapters.control import ask
from lockd.errors import ControlError
from tests.brokers import Mosquitto, distinct
from tests.conftest import PEOPLE, PHOTOS, ROOT, SCENES, free_port
from tests.faults.board import Board
from tests.faults.disk import SlowDisk
from tests.faults.manager import Manager, Unit
from tests.faults.proxy import Proxy
from tests.faults.records import Journal, Line, Shown, complaints, openings
from tests.faults.ribbon import Ribbon
from tests.faults.service import control_address
from tests.patience import PATIENCE_S, eventually
from tests.porch import Film, StreamCamera, filmed, porch

RELAY, EXIT = 17, 23
KNOWN, STRANGER, NOBODY = "Barack Obama", "stranger", "nobody"
PICTURES = {
    KNOWN: PHOTOS / "barack-obama.jpg",
    STRANGER: PHOTOS / "eileen-collins.jpg",
    NOBODY: SCENES / "coffee.jpg",
}
OPEN_S = 0.8
LATE_S = 20.0
"""How late a busy machine may switch the relay off; far less than the minute that is the longest.

How exactly the guard keeps its deadline is shown by a clock in the strike's own tests.
"""
GAP_S = 1.0
"""How long nobody is before the camera between two visits."""
_FILMED: dict[str, Film] = {}

RECOGNITION = {"threads": 1, "profile": "light"}
SETTINGS: dict[str, dict[str, Any]] = {
    "door": {"id": "front", "open_s": OPEN_S, "lock_out": {"denials": 0}},
    "inputs": {"exit": {"pin": EXIT}},
    "liveness": {"policy": "off"},
    "relay": {"factory": "mock", "pin": RELAY},
    "camera": {
        "open_timeout_s": 5.0,
        "read_timeout_s": 5.0,
        "retry_first_s": 0.1,
        "retry_longest_s": 0.3,
    },
    "recognition": {
        **RECOGNITION,
        "visit_gap_s": GAP_S,
        "window_s": 20.0,
        "stranger_frames": 4,
        "stranger_after_s": 0.3,
        "rejudge_s": 0.2,
    },
}


def film_of(who: str) -> Film:
    """What the camera gives while somebody is before it."""
    if who not in _FILMED:
        _FILMED[who] = filmed(porch(PICTURES[who]))
    return _FILMED[who]


def enroll(folder: Path, recognition: dict[str, Any] = RECOGNITION) -> Path:
    """Enrol the people of the demo; return the store's folder."""
    config = folder / "lockd.yaml"
    settings = {"store": {"folder": str(folder / "people")}, "recognition": recognition}
    config.write_text(yaml.safe_dump(settings))
    code = "from enroll.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "folder", "--config", config, PEOPLE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return folder / "people"


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Sections of settings, later ones over earlier ones, key by key."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, section in layer.items():
            result[name] = {**result.get(name, {}), **section}
    return result


class Listener:
    """A subscriber who never misses anything while it is connected, and connects again."""

    def __init__(self, port: int) -> None:
        self.published: list[dict[str, Any]] = []
        """Events, each as often as it came."""
        self._state: dict[str, Any] = {}
        self.subscriptions = 0
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.reconnect_delay_set(1, 1)
        # It acknowledges nothing: a broker that is killed before it has read acknowledgements
        # resets the connection, and what was on its way to us would be gone.
        self.client.on_connect = lambda *_: self.client.subscribe("#", qos=0)
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._hear
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        eventually(lambda: self.subscriptions)

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What was published on the door's topic of events, each once."""
        return distinct(one for one in list(self.published) if kind in (None, one["type"]))

    def state(self) -> dict[str, Any]:
        """The door's state as last published."""
        return self._state

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _subscribed(self, *_: Any) -> None:
        self.subscriptions += 1

    def _hear(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        values = _object(message.payload)
        if message.topic.endswith("/events") and "schema" in values:
            self.published.append(values)
        elif message.topic.endswith("/state") and "lock" in values:
            self._state = values


def _object(payload: bytes) -> dict[str, Any]:
    """A JSON object, or an empty one in place of the junk that some tests publish."""
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


class Site:
    """One door.

    Attributes:
        longest_s: the longest that the relay may have been on in one go; a test whose
            fault takes the service's guard away raises it to what the manager needs.
        pressed: when the exit button was.
        forgiven: processes that were killed, and so may have left things unsaid.
    """

    def __init__(
        self,
        people: Path | None,
        unit: dict[str, Any] | None = None,
        fps: float = 12,
        **sections: Any,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lockd-"))
        self.board = Board(self.folder / "board")
        self._journal = Journal(self.board.folder / "journal")
        self.disk = SlowDisk(self.folder)
        self.broker = Mosquitto(self.folder, free_port())
        self.broker.start()
        self.proxy = Proxy(self.broker.port)
        self.listener = Listener(self.broker.port)
        self.shown: list[Shown] = []
        self.camera = StreamCamera(film_of(NOBODY), fps=fps)
        self.ribbon = Ribbon(self.folder / "ribbon")
        self.show(NOBODY)
        self.state = self.folder / "state"
        if people is not None:
            shutil.copytree(people, self.state)
        self.file = self.folder / "lockd.yaml"
        self.sections: dict[str, Any] = merged(
            SETTINGS,
            {
                "camera": {"source": self.camera.url},
                "store": {"folder": str(self.state)},
                "mqtt": {
                    "host": "127.0.0.1",
                    "port": self.proxy.port,
                    "keepalive_s": 20,
                    "reconnect_longest_s": 2.0,
                },
            },
            sections,
        )
        self.configure()
        (self.folder / "run").mkdir()
        launcher = [sys.executable, "-m", "tests.faults.service", str(self.board.folder)]
        config = ["--config", str(self.file)]
        self.manager = Manager(
            Unit(
                start=[*launcher, "run", *config],
                stop_post=[*launcher, "relay-safe", *config],
                environment={
                    "PYTHONPATH": str(ROOT),
                    "RUNTIME_DIRECTORY": str(self.folder / "run"),
                    "PATH": f"{self.ribbon.folder}:{os.environ['PATH']}",
                    **self.disk.environment,
                },
                **(unit or {}),
            ),
            self.folder / "log",
        )
        self.longest_s = OPEN_S + LATE_S
        self.forgiven: list[int] = []
        self.pressed: list[float] = []

    # What a test does

    def configure(self, **sections: Any) -> None:
        """Write the configuration, with some settings changed."""
        self.sections = merged(self.sections, sections)
        self.file.write_text(yaml.safe_dump(self.sections))

    def show(self, who: str, film: bytes | Film | None = None) -> None:
        """From now on this is before the camera, in this film if not in the usual one."""
        self.shown.append(Shown(time.monotonic(), who))
        self.camera.show(film or film_of(who))
        self.ribbon.show(porch(PICTURES[who]))

    def start(self) -> None:
        """Start the service and wait until it is ready, and has told so."""
        ready = self.manager.count("running")
        self.manager.start()
        self.await_ready(ready)

    def await_ready(self, before: int, *, patient: bool = False) -> None:
        """Wait until the service has become ready more often than before.

        Args:
            before: how often it had.
            patient: whether it may fail to start, even often.
        """
        died = self.manager.count("died")

        def ready() -> bool:
            assert patient or self.manager.count("died") < died + 3, "it does not come up"
            return self.manager.count("running") > before

        eventually(ready)

    def order(self, do: str, **values: Any) -> Any:
        """Have something done inside the service's process."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.connect(control_address(self.board.folder))
            caller.sendall(json.dumps({"do": do, **values}).encode())
            answer = json.loads(b"".join(iter(lambda: caller.recv(65536), b"")))
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def kill(self, number: int) -> None:
        """Kill the service; what it had no time to say is forgiven."""
        self.forgiven.append(self.manager.pid)
        self.manager.kill(number)

    def lose_power(self) -> None:
        """Service, manager, broker and board are gone at once; the board wakes up locked."""
        self.forgiven.append(self.manager.pid)
        self.proxy.cut()
        self.manager.lose_power()
        self.broker.stop()
        self.board.lose_power()

    def restart_broker(self) -> None:
        """Start the broker again, and the subscriber before the service."""
        self.proxy.cut()
        subscriptions = self.listener.subscriptions
        self.broker.start()
        eventually(lambda: self.listener.subscriptions > subscriptions)
        self.proxy.join()

    # What it sees

    def journal(self) -> list[Line]:
        return self._journal.lines

    def logged(self, text: str) -> bool:
        return any(text in line.text for line in self.journal())

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events that the service's log tells of."""
        return [event for event in self._journal.events if kind in (None, event["type"])]

    def is_open(self) -> bool:
        return self.board.level(RELAY) == 1

    def await_locked(self) -> None:
        eventually(lambda: not self.is_open())

    def locked_by(self) -> str:
        """Who switched the relay off the last time: ``service`` or ``relay-safe``."""
        services = {note.detail for note in self.manager.notes if note.what == "started"}
        last = self._openings()[-1]
        assert last.off is not None
        return "service" if str(last.off_by) in services else "relay-safe"

    def await_event(self, kind: str, more_than: int = 0) -> dict[str, Any]:
        """Wait until the subscriber has heard of more of these than that; return the last."""
        found: list[dict[str, Any]] = eventually(
            lambda: one if len(one := self.listener.events(kind)) > more_than else None
        )
        return found[-1]

    def hear(self, kind: str) -> Callable[[], dict[str, Any]]:
        """Remember how many of these were heard; the answer waits for one more."""
        before = len(self.listener.events(kind))
        return lambda: self.await_event(kind, before)

    # What must hold

    def command(self, command: str) -> dict[str, Any]:
        """Command the door as `lockd door` does."""
        return ask(self.folder / "run" / "control", {"command": command})

    def answers(self, command: str) -> bool:
        """Whether the door answers a command."""
        try:
            return bool(self.command(command)["result"] == "ok")
        except ControlError:
            return False

    def say_to_control(self, junk: bytes) -> None:
        """Send something to the control socket and hang up."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.connect(str(self.folder / "run" / "control"))
            caller.sendall(junk)

    def press_exit(self) -> None:
        """Somebody inside presses the exit button, is let out, and the door locks again."""
        before = len(self._openings())
        self.pressed.append(time.monotonic())
        self.order("drive", pin=EXIT, level=0)
        eventually(lambda: len(self._openings()) > before)
        self.order("drive", pin=EXIT, level=1)
        self.await_locked()

    def open(self) -> None:
        """Somebody enrolled comes, is let in, and is gone; the relay is on."""
        before = len(self._openings())
        self._come_until(lambda: len(self._openings()) > before)
        self.show(NOBODY)

    def let_in(self, *, heard: bool = True) -> None:
        """Somebody enrolled comes, is let in, and the door locks behind them.

        Args:
            heard: whether the subscriber must hear of it before they leave.
        """
        openings_before = len(self._openings())
        granted = self.hear("access_granted")
        self._come_until(lambda: len(self._openings()) > openings_before)
        if heard:
            assert granted()["person"] == KNOWN
        self.show(NOBODY)
        self.await_locked()

    def appear(self, who: str, kind: str) -> dict[str, Any]:
        """Somebody comes and stays; return the news of this kind that comes of it."""
        before = len(self.listener.events(kind))
        self._come_until(lambda: len(self.listener.events(kind)) > before, who)
        return self.listener.events(kind)[-1]

    def turn_away(self) -> None:
        """A stranger comes, is told of, and leaves."""
        before = len(self.events("stranger"))
        stranger = self.hear("stranger")
        self._come_until(lambda: len(self.events("stranger")) > before, STRANGER)
        stranger()
        self.show(NOBODY)

    def judge(self) -> None:
        """Check the relay's whole log, and that every event has arrived."""
        wrong = complaints(
            self.board.changes(RELAY),
            self.journal(),
            self.shown,
            enrolled=[KNOWN],
            longest_s=self.longest_s,
            now=time.monotonic(),
            killed=self.forgiven,
            pressed=self.pressed,
        )
        assert wrong == []
        eventually(lambda: not self.missing())

    def missing(self) -> list[dict[str, Any]]:
        """The events that the service logged and nobody has heard."""
        heard = {event["id"] for event in self.listener.events()}
        return [event for event in self.events() if event["id"] not in heard]

    def end(self) -> None:
        """Stop the service; it must lock, say goodbye and leave."""
        assert self.manager.stop() == 0
        assert not self.is_open()
        self.await_event("service_stopped")
        self.judge()

    def story(self) -> str:
        """Everything that was written down, in order of time: for whoever has to understand it."""
        lines = [(one.t, f"{one.level} {one.thread}: {one.text}") for one in self.journal()]
        lines += [(one.t, f"MANAGER {one.what} {one.detail}") for one in list(self.manager.notes)]
        lines += [(one.t, f"PIN {one}") for one in self.board.changes(RELAY)]
        lines += [(one.t, f"CAMERA shows {one.who}") for one in self.shown]
        begun = self.shown[0].t
        told = "\n".join(f"{t - begun:8.3f} {text}" for t, text in sorted(lines))
        log = self.folder / "log"
        return f"{told}\n{log.read_text() if log.exists() else ''}"

    def close(self) -> None:
        self.manager.close()
        self.camera.close()
        self.proxy.cut()
        self.listener.close()
        self.broker.stop()
        self.board.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _openings(self) -> list[Any]:
        return openings(self.board.changes(RELAY))

    def _come_until(self, done: Callable[[], bool], who: str = KNOWN) -> None:
        """Somebody stands there, and steps back and comes again if nothing happens.

        They may have come so soon after the last, for the service, that theirs counts as the
        same visit.
        """
        patience_s = 2.5
        while True:
            self._let_pass(GAP_S)
            self.show(who)
            try:
                eventually(done, patience_s)
            except AssertionError:
                if patience_s >= PATIENCE_S:
                    raise
                self.show(NOBODY)
                patience_s *= 2
            else:
                return

    def _let_pass(self, seconds: float) -> None:
        """Let the camera show for so long what it shows."""
        time.sleep(max(0.0, self.shown[-1].t + 1.2 * seconds - time.monotonic()))
