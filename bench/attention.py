"""Is anybody missed who is found when all of every frame is searched, and what is saved?

    python -m bench.attention PHOTOS [CLIP...]

PHOTOS is a folder with a folder of photographs for each person; scenes are made of them, with
the noise of a camera. Each scene is seen twice, as configured by default and with every frame
searched. Nothing is embedded here: what is compared is finding. A face counts as missed in a
frame in which it is found only by the search.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from lockd.config import Settings
from lockd.identity.gallery import Gallery
from lockd.identity.observation import Effort
from lockd.paths import shipped
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Box, Embedding, Face, Frame, Image
from lockd.vision.geometry import Octaves, iou

WIDTH, HEIGHT = 640, 480
_SAME = 0.4  # of intersection over union
_SCENE = "demo/porch.mp4"

Clip = Iterator[tuple[Image, float]]


class Blind:
    """An embedder that costs nothing."""

    accept = 0.5

    def __init__(self, size: int) -> None:
        self.size = size

    def embed(self, octaves: Octaves, face: Face) -> Embedding:
        return np.eye(1, self.size, dtype=np.float32)[0]


class Scenes:
    """Clips made of photographs; the same ones every time."""

    def __init__(self, photographs: list[Path]) -> None:
        self._photographs = photographs
        self._random = np.random.default_rng(1)
        first = next(film(shipped(_SCENE)))[0]
        self._porch = cv2.resize(first, (WIDTH, HEIGHT)).astype(np.float32)

    def all(self) -> dict[str, Callable[[], Clip]]:
        """Every scene, by name."""
        return {
            "nobody": lambda: self._shot(self._empty(600), 10),
            "walking past": lambda: self._shot(self._walking(), 15),
            "walking up": lambda: self._shot(self._approaching(), 15),
            "standing still": lambda: self._shot(self._standing(), 10),
            "slower than a step": lambda: self._shot(self._creeping(), 10),
            "lamp on and off": lambda: self._shot(self._lamp(), 10),
            "headlights": lambda: self._shot(self._headlights(), 10),
            "rain": lambda: self._shot(self._rain(), 10),
        }

    def _shot(self, pictures: Iterator[np.ndarray], fps: float) -> Clip:  # type: ignore[type-arg]
        for number, picture in enumerate(pictures):
            noise = self._random.normal(0, 4, picture.shape)
            yield np.clip(picture + noise, 0, 255).astype(np.uint8), number / fps

    def _with(self, person: int, x: float, y: float, height: int) -> np.ndarray:  # type: ignore[type-arg]
        """The porch with somebody's photograph at a place, some of which may be outside."""
        photograph = cv2.imread(str(self._photographs[person * 97 % len(self._photographs)]))
        assert photograph is not None
        width = photograph.shape[1] * height // photograph.shape[0]
        part = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA)
        canvas = np.pad(self._porch, ((HEIGHT, HEIGHT), (WIDTH, WIDTH), (0, 0)))
        left, top = int(x) + WIDTH, int(y) + HEIGHT
        canvas[top : top + height, left : left + width] = part
        inside: np.ndarray = canvas[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]  # type: ignore[type-arg]
        return inside

    def _empty(self, frames: int) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        return (self._porch for _ in range(frames))

    def _walking(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for person in range(8):
            height = 140 + 15 * person
            for step in range(30):
                x = step * 28 - 180
                yield self._with(person, x if person % 2 else 460 - x, 60, height)
            yield from self._empty(30)

    def _approaching(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for person in range(6):
            for step in range(45):
                height = 90 + step * 5
                yield self._with(person, 320 - height / 2, 200 - step * 3, height)
            yield from self._empty(45)

    def _standing(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for person in range(2):
            yield from self._empty(30)
            for step in range(600):
                yield self._with(person + 20, 240 + 2 * np.sin(step / 9), 80, 220)

    def _creeping(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        yield from self._empty(30)
        for step in range(700):
            yield self._with(3, step * 0.6 - 200, 90, 200)

    def _lamp(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for person in range(6):
            there = self._with(person + 30, 260, 90, 200)
            yield from (self._porch * 0.06 for _ in range(40))
            yield from (there * 0.04 for _ in range(40))
            yield from (there for _ in range(30))
            yield from self._empty(30)
            yield from (self._porch * (1 - 0.94 * step / 60) for step in range(60))

    def _headlights(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        across = np.arange(WIDTH)
        for _ in range(5):
            yield from (self._porch * 0.5 for _ in range(60))
            for step in range(30):
                beam = np.exp(-(((across - step * 21) / 90) ** 2))[None, :, None]
                yield self._porch * (0.5 + 0.6 * beam)

    def _rain(self) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for person in range(4):
            yield from (self._streaked(self._porch) for _ in range(100))
            for step in range(60):
                yield self._streaked(self._with(person + 40, 200 + step * 2, 90, 190))

    def _streaked(self, picture: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        picture = picture.copy()
        for x, y, length in self._random.integers(
            (0, 0, 8), (WIDTH, HEIGHT, 25), (120, 3)
        ).tolist():
            cv2.line(picture, (x, y), (x + 2, y + length), (200, 200, 200), 1)
        return picture


def film(path: Path) -> Clip:
    """The pictures of a film, and when each is shown."""
    capture = cv2.VideoCapture(str(path))
    fps, number = capture.get(cv2.CAP_PROP_FPS) or 25.0, 0
    while (image := capture.read()[1]) is not None:
        yield image.astype(np.uint8), number / fps
        number += 1


class Watched:
    """What one way of looking found in each frame."""

    def __init__(self, vision: Vision, recognition: dict[str, float]) -> None:
        settings = Settings.model_validate({"recognition": {"threads": 1, **recognition}})
        self._recogniser = Recogniser(settings, vision, Gallery([], vision.embedder.size))
        self.efforts: Counter[Effort] = Counter()
        self.spent = 0.0

    def see(self, frame: Frame) -> list[Box]:
        began = time.process_time()
        look = self._recogniser.look(frame)
        self.spent += time.process_time() - began
        self.efforts[look.effort] += 1
        return [one.face.box for one in look.sightings]


def compare(name: str, clip: Clip, vision: Vision) -> None:
    """Print a row of the table."""
    every, wisely = (
        Watched(vision, {"still_search_s": 0, "follow_search_s": 0}),
        Watched(vision, {}),
    )
    faces = missed = run = longest = frames = 0
    for number, (image, t) in enumerate(clip):
        frame = Frame(image, t, number + 1)
        searched, found = every.see(frame), wisely.see(frame)
        gone = sum(not any(iou(one, box) > _SAME for box in found) for one in searched)
        run = run + 1 if gone else 0
        frames, faces, missed, longest = (
            frames + 1,
            faces + len(searched),
            missed + gone,
            max(longest, run),
        )
    efforts = " ".join(f"{wisely.efforts[effort] / frames:8.0%}" for effort in Effort)
    print(
        f"{name:20} {frames:6} {faces:6} {missed:6} {longest:7}  {efforts} "
        f"{wisely.spent / every.spent:9.0%} {1e3 * wisely.spent / frames:7.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("clips", type=Path, nargs="*")
    options = parser.parse_args()
    vision = Vision(Settings())
    vision.embedder = Blind(vision.embedder.size)  # type: ignore[assignment]
    print(
        f"{'scene':20} {'frames':>6} {'faces':>6} {'missed':>6} {'longest':>7}  "
        + " ".join(f"{effort.value:>8}" for effort in Effort)
        + f" {'work':>9} {'ms':>7}"
    )
    scenes = Scenes(sorted(options.photographs.glob("*/*.*")))
    for name, clip in scenes.all().items():
        compare(name, clip(), vision)
    for path in (shipped(_SCENE), *options.clips):
        compare(path.name, film(path), vision)


if __name__ == "__main__":
    main()
