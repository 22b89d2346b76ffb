"""Somebody is enrolled at the door while the service has the camera: both as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import yaml

from enroll.capture_screen import WORDS
from enroll.poses import Hint
from lockd.adapters.control import ask
from lockd.errors import ControlError
from lockd.recognition.recogniser import Vision
from lockd.types import Face, Image
from lockd.vision.geometry import Octaves
from tests.conftest import SCENES
from tests.patience import PATIENCE_S, eventually, running
from tests.pictures import OBAMA
from tests.porch import StreamCamera, filmed, porch
from tests.poses import turned

BIN = Path(sys.executable).parent
PATIENT = {"open_timeout_s": PATIENCE_S, "read_timeout_s": PATIENCE_S}
HINTS = {words: hint for hint, words in WORDS.items()}


class Actor:
    """Somebody in front of the camera who does what the terminal says."""

    def __init__(self, photo: Path, vision: Vision, camera: StreamCamera) -> None:
        self._image: Image = porch(photo)
        self._face: Face = vision.detector.detect_in(Octaves(self._image))[0]
        self._camera = camera
        self._moves = count()

    def hear(self, line: str) -> None:
        """Do what a line of the terminal says, if it says anything to do."""
        match HINTS.get(line.rstrip().split(" (")[0]):
            case Hint.TURN_LEFT:
                self._hold(left=36)
            case Hint.TURN_RIGHT:
                self._hold(left=-30)
            case Hint.CHIN_UP:
                self._hold(down=-13)
            case Hint.CHIN_DOWN:
                self._hold(down=12)
            case Hint.NOBODY | Hint.LOOK_STRAIGHT | Hint.NOT_SO_FAR:
                self._hold()
            case Hint.VARY | Hint.STRAIGHT_HIGHER | Hint.STRAIGHT_LOWER:
                number = next(self._moves)
                self._hold(left=(9, -9, 0)[number % 3], light=(0.7, 1.0, 0.85)[number % 3])

    def _hold(self, light: float = 1.0, **degrees: float) -> None:
        held = turned(self._image, self._face, **degrees) * light
        self._camera.show(filmed(held.astype(np.uint8)))


@pytest.fixture
def camera() -> Iterator[StreamCamera]:
    camera = StreamCamera(filmed(porch(SCENES / "coffee.jpg")), fps=6)
    yield camera
    camera.close()


@pytest.fixture
def configuration(tmp_path: Path, camera: StreamCamera) -> Path:
    sections = {
        "relay": {"factory": "mock"},
        "camera": {"source": camera.url, **PATIENT},
        "store": {"folder": str(tmp_path / "state")},
        "control": {"socket": str(tmp_path / "control")},
        "recognition": {"threads": 1, "search_face_px": 100},
    }
    file = tmp_path / "lockd.yaml"
    file.write_text(yaml.safe_dump(sections))
    return file


@pytest.fixture
def log(tmp_path: Path, configuration: Path) -> Iterator[Path]:
    """A service that runs; what it says."""
    file = tmp_path / "log"
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
    command = (BIN / "lockd", "run", "--config", configuration)
    with (
        file.open("w") as stderr,
        running(*command, env=environment, stderr=stderr) as process,
    ):
        eventually(lambda: answers(tmp_path / "control"))
        yield file
        print(file.read_text())  # for whoever has to understand a failure
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def answers(path: Path) -> bool:
    try:
        return ask(path, {"command": "status"})["result"] == "ok"
    except ControlError:
        return False


@pytest.mark.thorough
@pytest.mark.slow
def test_who_does_as_told_is_enrolled_through_the_service_which_then_knows_them(
    configuration: Path, log: Path, camera: StreamCamera, vision: Vision
) -> None:
    actor = Actor(OBAMA, vision, camera)
    command = [
        BIN / "lockd-enroll", "add", "Barack Obama", "--camera", "--yes", "--plain",
        "--timeout", "300", "--accept-partial", "--json", "--config", configuration,
    ]  # fmt: skip
    heard = []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with running(*command, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            heard.append(line)
            actor.hear(line)
        assert process.wait(PATIENCE_S) == 0, heard
        (outcome,) = json.loads(process.stdout.read())
    assert 2 <= outcome["accepted"] <= 8  # all of them, but on a busy machine
    # The frames came from the service, which went on judging and now knows them.
    assert "sees what the camera sees" in log.read_text()
    path = configuration.parent / "control"
    eventually(lambda: ask(path, {"command": "status"}).get("people") == 1)
