"""The real service as a process: real networks, a real broker, a camera on the network."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockd.adapters.control import ask
from tests.brokers import Mosquitto, Subscriber, distinct
from tests.conftest import PEOPLE, PHOTOS, SCENES
from tests.patience import PATIENCE_S, eventually
from tests.porch import StreamCamera, filmed, on_porch, porch
from tests.schemas import check_all

BIN = Path(sys.executable).parent
PATIENT_CAMERA = {
    "max_age_s": 60.0, "open_timeout_s": PATIENCE_S, "read_timeout_s": PATIENCE_S,
}  # fmt: skip
FEW_FRAMES = {"threads": 1, "visit_gap_s": 20.0, "window_s": 20.0}
"""For a busy machine, which judges a frame now and then."""


@pytest.fixture
def camera() -> Iterator[StreamCamera]:
    camera = StreamCamera(filmed(porch(SCENES / "coffee.jpg")), fps=10)
    yield camera
    camera.close()


class Door:
    """A configured lockd that can be started, and the manager that it reports to."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder
        self.file = folder / "lockd.yaml"
        sections = {
            "door": {"id": "front", "open_s": 3.0},
            "relay": {"factory": "mock"},
            "liveness": {"policy": "off"},
            "store": {"folder": str(folder / "state")},
            **sections,
            "recognition": {**FEW_FRAMES, **sections.get("recognition", {})},
            "camera": {**PATIENT_CAMERA, **sections["camera"]},
        }
        self.file.write_text(yaml.safe_dump(sections))
        self.process: subprocess.Popen[str] | None = None
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self.reported: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.log = folder / "log"
        self.runtime = folder / "run"
        self.runtime.mkdir()

    def start(self) -> None:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [BIN / "lockd", "run", "--config", self.file],
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": str(self.folder / "notify"),
                    "WATCHDOG_USEC": "2000000",
                    "RUNTIME_DIRECTORY": str(self.runtime),
                },
                stderr=log,
                text=True,
            )

    def reports(self, what: str) -> bool:
        return any(one.startswith(what) for one in self.reported)

    def _listen(self) -> None:
        while message := self._manager.recv(4096):
            self.reported.append(message.decode())

    def enroll(self, *arguments: str | Path) -> None:
        command = [BIN / "lockd-enroll", arguments[0], "--config", self.file, *arguments[1:]]
        subprocess.run(command, check=True, capture_output=True)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # An empty message ends the listening.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.folder / "notify"))
        self._listener.join()
        self._manager.close()


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(**sections: Any) -> Door:
        made.append(Door(tmp_path, **sections))
        return made[-1]

    yield make
    for door in made:
        door.close()


def told(subscriber: Subscriber, topic: str = "lockd/front/events") -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in subscriber.of(topic)]


def heard(subscriber: Subscriber, kind: str) -> list[dict[str, Any]]:
    return [event for event in distinct(told(subscriber)) if event["type"] == kind]


def open_door(
    doors: Callable[..., Door],
    camera: StreamCamera,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> tuple[Door, Subscriber]:
    """Start a door that watches `camera`, and whoever hears what it publishes before it does."""
    subscriber = subscribe(mosquitto.port)
    door = doors(camera={"source": camera.url}, mqtt={"host": "127.0.0.1", "port": mosquitto.port})
    door.start()
    eventually(lambda: door.reports("READY=1"))
    return door, subscriber


def test_from_the_camera_to_the_subscriber(
    doors: Callable[..., Door],
    camera: StreamCamera,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> None:
    door, subscriber = open_door(doors, camera, mosquitto, subscribe)
    eventually(lambda: subscriber.of("lockd/front/availability") == [b"online"])

    # Somebody comes whom nobody has enrolled yet.
    camera.show(filmed(porch(PHOTOS / "barack-obama.jpg")))
    alerts = eventually(lambda: told(subscriber, "lockd/front/alerts/stranger"))
    (stranger,) = heard(subscriber, "stranger")
    assert alerts == [stranger | {"alert": "stranger", "suppressed": 0}]
    assert check_all(subscriber.heard) == {"event", "alert", "state", "diagnostics"}

    # While they stand there, an administrator enrols them: the door opens.
    door.enroll("add", "Barack Obama", *sorted((PEOPLE / "Barack Obama").iterdir()))
    granted = eventually(lambda: heard(subscriber, "access_granted"))
    assert [event["person"] for event in granted] == ["Barack Obama"]
    eventually(lambda: any(s["lock"] == "UNLOCKED" for s in told(subscriber, "lockd/front/state")))

    # They leave, are removed, and come back as anyone else.
    camera.show(filmed(porch(SCENES / "coffee.jpg")))
    eventually(lambda: told(subscriber, "lockd/front/state")[-1]["lock"] == "LOCKED")
    door.enroll("remove", "Barack Obama")
    eventually(lambda: len(heard(subscriber, "gallery_changed")) == 2)
    eventually(lambda: told(subscriber, "lockd/front/state")[-1]["people"] == 0)

    assert door.process is not None
    # Its own memory: how much of the networks and libraries is in memory is the kernel's affair.
    status = Path(f"/proc/{door.process.pid}/status").read_text()
    own = int(status.split("RssAnon:")[1].split()[0]) / 1000
    assert own < 160, "MB"

    assert door.end() == 0
    eventually(lambda: subscriber.of("lockd/front/availability")[-1] == b"offline")
    eventually(lambda: door.reports("STOPPING=1"))
    assert door.reports("WATCHDOG=1")
    assert len(heard(subscriber, "access_granted")) == 1
    assert len(heard(subscriber, "stranger")) == 1
    ids = [event["id"] for event in told(subscriber)]
    assert len(ids) == len(set(ids))


def test_a_camera_that_is_not_there_is_reported_tried_again_and_used_when_it_comes(
    doors: Callable[..., Door],
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
    tmp_path: Path,
) -> None:
    subscriber = subscribe(mosquitto.port)
    later = tmp_path / "later"
    door = doors(
        camera={"source": str(later), "fps": 30, "retry_first_s": 0.1, "retry_longest_s": 0.2},
        mqtt={"host": "127.0.0.1", "port": mosquitto.port},
        # The recording is short, and a busy machine may judge no more than its last frame.
        recognition={"stranger_frames": 1, "stranger_after_s": 0.0},
    )
    door.start()
    (problem,) = eventually(lambda: heard(subscriber, "camera_problem"))
    assert str(later) in problem["reason"]
    staged = tmp_path / "staged"
    staged.mkdir()
    for number in range(60):
        (staged / f"{number:03}.jpg").write_bytes(on_porch(PHOTOS / "eileen-collins.jpg"))
    staged.rename(later)
    eventually(lambda: heard(subscriber, "camera_recovered"))
    eventually(lambda: heard(subscriber, "stranger"))
    assert door.process is not None
    assert door.process.wait(PATIENCE_S) == 0  # a recording ends, and the service with it
    eventually(lambda: heard(subscriber, "service_stopped"))


def test_without_a_broker_the_door_opens_and_the_news_waits(
    doors: Callable[..., Door],
    camera: StreamCamera,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> None:
    mosquitto.stop()
    door = doors(camera={"source": camera.url}, mqtt={"host": "127.0.0.1", "port": mosquitto.port})
    door.enroll("folder", PEOPLE)
    camera.show(filmed(porch(PHOTOS / "barack-obama.jpg")))
    door.start()
    eventually(lambda: "let in: Barack Obama" in door.log.read_text())
    assert door.end(signal.SIGKILL) == -signal.SIGKILL  # the news is on disk already

    camera.show(filmed(porch(SCENES / "coffee.jpg")))
    mosquitto.start()
    subscriber = subscribe(mosquitto.port)
    door.start()
    granted = eventually(lambda: heard(subscriber, "access_granted"))
    assert granted[0]["person"] == "Barack Obama"
    assert door.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_to_though_the_camera_hangs_and_there_is_no_broker(
    doors: Callable[..., Door], number: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        door = doors(
            camera={"source": f"http://127.0.0.1:{port}/", "open_timeout_s": 600},
            mqtt={"host": "127.0.0.1", "port": port},
        )
        door.start()
        eventually(lambda: door.reports("WATCHDOG=1"))
        assert door.end(number) == 0


def command(door: Door, *words: str) -> tuple[int, dict[str, Any]]:
    """Run `lockd door`; return its exit code and its answer."""
    done = subprocess.run(
        [BIN / "lockd", "door", "--json", "--config", door.file, *words],
        env={**os.environ, "RUNTIME_DIRECTORY": str(door.runtime)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}")


def test_with_a_damaged_store_the_door_is_served_and_says_so_until_it_is_mended(
    doors: Callable[..., Door], camera: StreamCamera, tmp_path: Path
) -> None:
    door = doors(camera={"source": camera.url})
    socket_file = door.runtime / "control"
    door.enroll("folder", PEOPLE)
    store = tmp_path / "state" / "lockd.db"
    good = store.read_bytes()
    store.write_bytes(b"junk" * 1000)
    door.start()
    eventually(lambda: "damaged and was left as it is" in door.log.read_text())
    eventually(socket_file.exists)
    assert command(door, "unlock")[0] == 0
    eventually(lambda: command(door)[1].get("store") == "problem")
    assert command(door)[1]["people"] == 0
    assert not door.reports("READY=1")
    assert store.read_bytes() == b"junk" * 1000
    store.write_bytes(good)
    eventually(lambda: door.reports("READY=1"))
    assert command(door)[1]["people"] == 2
    assert door.end() == 0
    assert not socket_file.exists()


def test_commands_are_obeyed_refused_and_told(
    doors: Callable[..., Door],
    camera: StreamCamera,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> None:
    door, subscriber = open_door(doors, camera, mosquitto, subscribe)
    assert command(door, "unlock")[0] == 0
    code, answer = command(door, "hold-open", "--seconds", "5")
    assert (code, answer["result"]) == (1, "not_allowed")
    assert ask(door.runtime / "control", {"command": "lock-down"})["state"] == "locked_down"

    # A crash must not lift a lock-down.
    assert door.end(signal.SIGKILL) == -signal.SIGKILL
    door.start()
    eventually(lambda: door.reported.count("READY=1") == 2)
    code, answer = command(door, "unlock")
    assert (code, answer["result"]) == (1, "locked_down")
    assert ask(door.runtime / "control", {"command": "lift"})["state"] == "locked"
    told = [
        (event["command"], event["result"])
        for event in eventually(lambda: len(heard(subscriber, "command")) == 5)
        and heard(subscriber, "command")
    ]
    assert told == [
        ("unlock", "ok"),
        ("hold-open", "not_allowed"),
        ("lock-down", "ok"),
        ("unlock", "locked_down"),
        ("lift", "ok"),
    ]
    assert door.end() == 0


def test_reloading_takes_a_good_configuration_and_refuses_a_bad_one(
    doors: Callable[..., Door],
    camera: StreamCamera,
    mosquitto: Mosquitto,
    subscribe: Callable[[int], Subscriber],
) -> None:
    door, subscriber = open_door(doors, camera, mosquitto, subscribe)
    assert door.process is not None
    good = door.file.read_text()
    word = door.runtime / "relay.json"
    assert json.loads(word.read_text())["pin"] == 17

    door.file.write_text(good + "colour: red\n")
    door.process.send_signal(signal.SIGHUP)
    (problem,) = eventually(lambda: heard(subscriber, "config_problem"))
    assert "colour: unknown key" in problem["reason"]
    assert heard(subscriber, "service_stopped") == []

    door.file.write_text(good.replace("factory: mock", "factory: rpigpio"))
    door.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(heard(subscriber, "config_problem")) == 2)
    assert "rpigpio is not installed" in heard(subscriber, "config_problem")[1]["reason"]
    assert heard(subscriber, "service_stopped")[0]["reason"] == "reload"

    door.file.write_text(
        good.replace("id: front", "id: back").replace("factory: mock", "factory: mock\n  pin: 27")
    )
    door.process.send_signal(signal.SIGHUP)
    eventually(lambda: told(subscriber, "lockd/back/events"))
    eventually(lambda: subscriber.of("lockd/front/availability")[-1] == b"offline")
    kinds = eventually(
        lambda: (
            [one["type"] for one in told(subscriber, "lockd/back/events")][:2]
            if len(told(subscriber, "lockd/back/events")) > 1
            else None
        )
    )
    assert kinds == ["service_started", "config_reloaded"]
    assert json.loads(word.read_text())["pin"] == 27
    assert not door.reports("STOPPING=1")
    assert door.end() == 0
    assert door.process.pid  # it was one process all the time


def test_a_relay_that_cannot_be_claimed_ends_the_service_with_its_exit_code(
    doors: Callable[..., Door], camera: StreamCamera
) -> None:
    door = doors(camera={"source": camera.url}, relay={"factory": "rpigpio"})
    door.start()
    assert door.process is not None
    assert door.process.wait(PATIENCE_S) == 7
    assert "relay.factory: rpigpio is not installed" in door.log.read_text()
