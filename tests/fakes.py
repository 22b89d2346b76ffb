"""Stand-ins that behave, for what no test machine has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np

from lockd.adapters.store import Posting, Store
from lockd.errors import CameraTrouble
from lockd.types import Box, Embedding, Face, Frame, Image, Match, Person
from lockd.vision.geometry import Octaves, iou
from lockd.vision.space import Space

ADA = Person("1", "Ada Lovelace")
GRACE = Person("2", "Grace Hopper")


class RecordingOutput:
    """A relay that writes down its levels, and may be told to fail or to hang."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.off_failures = 0
        self.on_fails = False
        self.on_hangs = threading.Event()
        self.off_hangs = threading.Event()
        self.hanging = threading.Event()
        self.go_on = threading.Event()
        self.switched_off = threading.Event()

    def on(self) -> None:
        self._hang(self.on_hangs)
        if self.on_fails:
            raise OSError("no such line")
        self.log.append("on")

    def off(self) -> None:
        self._hang(self.off_hangs)
        if self.off_failures:
            self.off_failures -= 1
            self.log.append("off failed")
            raise OSError("no such line")
        self.log.append("off")
        self.switched_off.set()

    def close(self) -> None:
        self.log.append("close")

    def _hang(self, whether: threading.Event) -> None:
        if whether.is_set():
            self.hanging.set()
            self.go_on.wait()


class ScriptedCamera:
    """Gives frames at the times written down for it; None is a wait that gave nothing.

    Attributes:
        frames: that are still to come.
    """

    def __init__(self, frames: Iterable[Frame | None]) -> None:
        self.frames = list(frames)
        self.problem: str | None = None
        self.trouble: CameraTrouble | None = None
        self.alive = True
        self.started = False
        self.wakes = 0
        self.resting = False

    @property
    def ended(self) -> bool:
        return not self.frames

    def next(self, timeout_s: float) -> Frame | None:
        frame = self.frames.pop(0) if self.frames else None
        self.started |= frame is not None
        return frame

    def wake(self) -> None:
        self.wakes += 1

    def rest(self, resting: bool) -> None:
        self.resting = resting

    def close(self) -> None:
        self.frames = []


class FixedTime:
    """A wall clock that shows what it is told; None is a time nobody knows."""

    def __init__(self, time: datetime | None = None) -> None:
        self.time = time
        self.problem: str | None = None

    def local(self) -> datetime | None:
        self.problem = None if self.time is not None else "no time"
        return self.time


def blank(width: int = 64, height: int = 48) -> Image:
    return np.zeros((height, width, 3), np.uint8)


def unit(*values: float, size: int = 8) -> Embedding:
    """The unit vector in the direction of the values, the rest zeros."""
    vector = np.zeros(size, np.float32)
    vector[: len(values)] = values
    return vector / np.float32(np.linalg.norm(vector))


def face_at(x: float, y: float, side: float = 100.0) -> Face:
    """A frontal face whose box's upper left corner is at (x, y)."""
    fractions = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.78), (0.65, 0.78)]
    landmarks = np.array([(x + fx * side, y + fy * side) for fx, fy in fractions], np.float32)
    return Face(Box(x, y, x + side, y + side), landmarks, 0.99)


def match(person: Person | None, similarity: float = 0.9, *, ambiguous: bool = False) -> Match:
    return Match(person, similarity, person, 0.0, ambiguous)


class ScriptedVision:
    """Networks that see what a frame's first pixel says: a number of people, side by side.

    `scene(...)` makes the frames' pictures: each person is a unit vector, their face 100
    pixels wide. Everything else in the picture is noise, bright and sharp enough to judge.
    """

    def __init__(self) -> None:
        self._scenes: list[list[Embedding]] = []
        self.detector = self
        self.embedder = self
        self.liveness = None
        self.size = 8
        self.accept = 0.7
        self.accept_first = 0.7
        self.staged = False
        self.fingerprint = "scripted"
        self.space = Space.plain("scripted", 8)
        self.min_face_px = 60
        self._between: Callable[[], None] = lambda: None

    def have_done(self, between: Callable[[], None]) -> None:
        self._between = between

    def scene(self, *people: Embedding) -> Image:
        """A picture with these people in it."""
        self._scenes.append(list(people))
        # Each unlike the others, so that a change of scene is one to the eye.
        image = np.random.default_rng(len(self._scenes)).integers(60, 200, (240, 640, 3), np.uint8)
        image[0, 0] = len(self._scenes)
        return image

    def detect_in(self, octaves: Octaves, within: Box | None = None) -> list[Face]:
        self._between()
        people = self._scenes[int(octaves.image[0, 0, 0]) - 1]
        return [face_at(50.0 + 200 * index, 60) for index in range(len(people))]

    def follow(self, octaves: Octaves, boxes: Sequence[Box]) -> list[Face | None]:
        faces = self.detect_in(octaves)
        return [next((face for face in faces if iou(face.box, box) > 0.5), None) for box in boxes]

    def probe(self, octaves: Octaves, face: Face) -> SimpleNamespace:
        vector = self.embed(octaves, face)
        return SimpleNamespace(head=vector, complete=True, whole=lambda: vector)

    def embed(self, octaves: Octaves, face: Face) -> Embedding:
        self._between()
        people = self._scenes[int(octaves.image[0, 0, 0]) - 1]
        return people[round((face.box.x0 - 50) / 200)]

    template = enrolled = embed


def film(*shots: tuple[Image, float], fps: float = 10.0) -> list[Frame]:
    """Frames of pictures, each shown for so many seconds."""
    frames: list[Frame] = []
    for image, seconds in shots:
        for _ in range(round(seconds * fps)):
            frames.append(Frame(image, len(frames) / fps, len(frames) + 1))
    return frames


def post(store: Store, values: Mapping[str, Any], *topics: str, kept: bool = False) -> None:
    """Have an event wait in a store, or kept there."""
    store.outbox.post([Posting(values, {topic: {} for topic in topics}, kept=kept)], limit=9)
