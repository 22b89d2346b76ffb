"""How long each stage of a frame, and each kind of frame, takes: on the clock and of the processor.

Everything is measured in turns within one run, so that a busy moment hits all alike; compare as
ratios. There is no camera in it: a frame is decoded from a JPEG in memory.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import cv2
import numpy as np

from lockd.adapters.machine import memory_mb
from lockd.commands.bench.scenes import crowd, nobody, one_face, walking_up
from lockd.config import Settings
from lockd.errors import ImageError
from lockd.identity.evidence import Evidence, Recognised
from lockd.identity.gallery import Gallery, Template
from lockd.identity.observation import Observation, Sighting
from lockd.messages import encode
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.service.console_watch import ConsoleWatch, live_jpeg
from lockd.types import Floats, Frame, Image, Person
from lockd.vision import quality
from lockd.vision.change import ChangeGate
from lockd.vision.embedder import Embedder
from lockd.vision.geometry import Octaves
from lockd.vision.models import Models, Network
from lockd.vision.mtcnn import Detector

_TEMPLATES_EACH = 5
_FPS = 15.0
_WALK = 45
_CROWDS = {"nobody": 0, "one face": 1, "three faces": 3, "eight faces": 8}

Times = dict[str, list[tuple[float, float]]]
"""Seconds on the clock and of the processor, of each run, by what took them."""


class Stopwatch:
    """Notes how long things take; what is noted twice before `lap` is one run of it."""

    def __init__(self) -> None:
        self.times: Times = defaultdict(list)
        self._lap: dict[str, tuple[float, float]] = {}

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.add(name, time.perf_counter() - wall, time.process_time() - cpu)

    def add(self, name: str, wall: float, cpu: float) -> None:
        """Note a time."""
        before = self._lap.get(name, (0.0, 0.0))
        self._lap[name] = before[0] + wall, before[1] + cpu

    def lap(self) -> dict[str, tuple[float, float]]:
        """End a run, and return what took how long in it."""
        lap, self._lap = self._lap, {}
        for name, taken in lap.items():
            self.times[name].append(taken)
        return lap


@dataclass
class ClockedModels(Models):
    """Networks that note how long they take, and once what they were given."""

    watch: Stopwatch = field(default_factory=Stopwatch)
    given: list[tuple[Network, Any]] = field(default_factory=list)

    def network(self, name: str, shape: Any = None, *, threads: int = 1) -> Network:
        """Build a network; see `Models.network`."""
        return cast(Network, _Clocked(self, name, super().network(name, shape, threads=threads)))


class _Clocked:
    def __init__(self, models: ClockedModels, name: str, network: Network) -> None:
        self._models, self._name, self._network = models, name, network
        self.input_shape = network.input_shape

    def __call__(self, pixels: Floats | Image) -> Floats:
        self._models.given.append((self._network, pixels))
        with self._models.watch.timing(self._name):
            return self._network(pixels)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        stages: of a frame with one face that is searched and judged.
        frames: of whole frames, by what they show.
        detection: of the detector alone, and of its networks on the same inputs, by scene.
        walk_up: frames judged from the first fit face to the verdict, seconds of the clip between
            them, and seconds that the last look took; None without a verdict.
        start_s: until the networks were ready.
        memory_mb: resident, with them and all that a first frame needs; None where nobody says.
    """

    stages: Times
    frames: Times
    detection: Times
    walk_up: tuple[int, float, float] | None
    start_s: float
    memory_mb: float | None


def measure(settings: Settings, seconds: float, templates: int) -> tuple[Measured, Vision]:
    """Measure.

    Args:
        seconds: for about how long.
        templates: in the gallery that is searched.

    Raises:
        LockdError: if the networks or the photograph cannot be had.
    """
    began = time.perf_counter()
    vision = Vision(settings)
    start_s = time.perf_counter() - began
    gallery = _crowd(templates, vision.embedder.size, _known(vision))
    memory = memory_mb()  # before there are scenes
    looks = _looks(settings, vision, gallery)
    kinds, whole, limit = Stopwatch(), Stages(settings, gallery), Stopwatch()
    scenes = {"nobody": nobody(), "one face": one_face()}
    bare = {name: whole.bare(image) for name, image in scenes.items()}
    end = time.perf_counter() + seconds
    turns = 0
    while turns < 2 or time.perf_counter() < end:
        for name, look in looks.items():
            with kinds.timing(name):
                look()
        whole.run()
        for name, image in scenes.items():
            with limit.timing(f"{name}: detection"):
                vision.detector.detect(image)
            with limit.timing(f"{name}: its networks"):
                bare[name]()
        for watch in (kinds, limit):
            watch.lap()
        turns += 1
        if turns == 1:  # what is built at first use
            kinds.times.clear()
            limit.times.clear()
            whole.watch.times.clear()
    walk = walk_up(settings, vision, gallery)
    times = whole.watch.times, kinds.times, limit.times
    return Measured(*times, walk, start_s, memory), vision


class Stages:
    """The stages of one frame, one after the other."""

    def __init__(self, settings: Settings, gallery: Gallery) -> None:
        """Build the networks once more, with a stopwatch at each."""
        wanted = settings.recognition
        self._models = cast(ClockedModels, ClockedModels.load(wanted.folder(), wanted.runtime))
        self.watch = self._models.watch
        self._detector = Detector(
            self._models, min_face_px=wanted.search_face_px, threads=wanted.threads
        )
        self._embedder = Embedder(self._models, wanted.profile, threads=wanted.threads)
        self._settings, self._gallery = settings, gallery
        self._gate = ChangeGate(wanted.search_face_px)
        self._watch = ConsoleWatch(0.0)
        self._jpeg = cv2.imencode(".jpg", one_face())[1]

    def bare(self, image: Image) -> Callable[[], None]:
        """Return what runs the detector's networks on what an image has them see."""
        self._detector.detect(image)
        self._models.given.clear()
        self._detector.detect(image)
        given = [(network, np.array(pixels)) for network, pixels in self._models.given]
        self.watch.lap()

        def run() -> None:
            for network, pixels in given:
                network(pixels)

        return run

    def run(self) -> None:
        """Go through them once."""
        watch, timing = self.watch, self.watch.timing
        self._models.given.clear()
        with timing("decode"):
            image = cv2.imdecode(self._jpeg, cv2.IMREAD_COLOR)
        octaves = Octaves(cast(Image, image))
        with timing("pyramid"):
            octaves.octave(8)
        with timing("gate"):
            self._gate.compare(octaves)
        with timing("detect"):
            faces = self._detector.detect_in(octaves)
        if len(faces) != 1:
            raise ImageError(f"{len(faces)} faces found in the benchmark's frame, expected 1")
        with timing("follow"):
            self._detector.follow(octaves, [faces[0].box])
        with timing("quality"):
            quality.unfit(quality.measure(octaves, faces[0]), self._settings.quality.limits())
        with timing("embed"):
            probe = self._embedder.embed(octaves, faces[0])
        with timing("match"):
            match = self._gallery.identify(probe, accept=0.5, margin=0.05)
        with timing("decide"):
            Evidence(self._settings.recognition.agreement()).judged(1, match, 0.0, probe)
        with timing("publish"):
            encode({"event": "access_granted", "similarity": round(match.similarity, 3)})
        sighting = Sighting(1, faces[0], None, match, probe)
        with timing("noted for viewers"):
            self._watch.observed(Frame(octaves.image, 0.0, 1), Observation([sighting], []))
        with timing("a picture for viewers"):
            live = self._watch.live(None, 0.0)
            if live is not None:
                live_jpeg(live[1])
        watch.lap()


def walk_up(
    settings: Settings, vision: Vision, gallery: Gallery
) -> tuple[int, float, float] | None:
    """Have somebody walk up: see `Measured.walk_up`."""
    recogniser, first, judged = Recogniser(settings, vision, gallery), math.inf, 0
    for number, image in enumerate(walking_up(_WALK)):
        t = number / _FPS
        began = time.perf_counter()
        look = recogniser.look(Frame(image, t, number + 1))
        took = time.perf_counter() - began
        if any(one.unfit is None for one in look.sightings):
            first = min(first, t)
            judged += any(one.match is not None for one in look.sightings)
        if any(isinstance(verdict, Recognised) for verdict in look.verdicts):
            return judged, t - first, took
    return None


def _looks(
    settings: Settings, vision: Vision, gallery: Gallery
) -> dict[str, Callable[[], Observation]]:
    """What looks at a frame of each kind, each time it is called."""
    pictures = {name: crowd(people) for name, people in _CROWDS.items()}
    looks = {name: _first_look(settings, vision, gallery, one) for name, one in pictures.items()}
    there, moving = one_face(), [nobody(step) for step in range(20)]
    looks["a still scene"] = _watching(settings, vision, gallery, lambda _: pictures["nobody"])
    looks["moving, nobody"] = _watching(
        settings, vision, gallery, lambda number: moving[number % 20]
    )
    looks["known, followed"] = _watching(settings, vision, gallery, lambda _: there)
    return looks


def _first_look(
    settings: Settings, vision: Vision, gallery: Gallery, image: Image
) -> Callable[[], Observation]:
    # A new watcher each time: one that has its verdict would skip the embedding.
    return lambda: Recogniser(settings, vision, gallery).look(Frame(image, 0.0, 1))


def _watching(
    settings: Settings, vision: Vision, gallery: Gallery, picture: Callable[[int], Image]
) -> Callable[[], Observation]:
    """One watcher who sees a frame after the other, after two seconds of them."""
    recogniser = Recogniser(settings, vision, gallery)
    numbers = iter(range(1, 1_000_000_000))

    def look() -> Observation:
        number = next(numbers)
        return recogniser.look(Frame(picture(number), number / _FPS, number))

    for _ in range(round(2 * _FPS)):
        look()
    return look


def _known(vision: Vision) -> list[Template]:
    """Templates of whoever is in the scenes."""
    octaves = Octaves(one_face())
    faces = vision.detector.detect_in(octaves)
    person = Person("known", "Known")
    return [Template(person, vision.embedder.embed(octaves, face)) for face in faces]


def _crowd(templates: int, size: int, known: list[Template]) -> Gallery:
    """A gallery of people who do not exist, and of one who does."""
    vectors = np.random.default_rng(1).standard_normal((templates, size), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = [Person(f"{number // _TEMPLATES_EACH:07}", "Nobody") for number in range(templates)]
    others = [Template(*one) for one in zip(people, vectors, strict=True)]
    return Gallery([*others, *known], size)
