"""How much faster is lockd than the usual route to the same networks?

The usual route is PyPI `mtcnn` and then the published Keras FaceNet through
`model.predict`. Both find the largest face of the same 640x480 frame and embed
it, in one process, with the same number of threads, taking turns of a few frames,
so that whatever else the machine does hits both alike, and yet each runs as it
would by itself, with its own weights in the processor's cache. On a machine that
does other work as well, the ratio of processor times says more than that of the
times on the clock.

They are not asked the same question everywhere. PyPI `mtcnn` looks for faces
from 20 px, its default and the only size at which it is dependable; lockd looks
for faces from the size its settings say, because nobody at a door is 20 px
wide. A second lockd that looks from 20 px shows how much that is worth.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from lockd.types import Box, Image
from lockd.vision.embedder import Embedder, standardise
from lockd.vision.geometry import Octaves, iou, square
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector
from models.build import original
from models.build.networks import by_name

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "tests" / "data" / "photos" / "eileen-collins.jpg"
FRAME_PX = (640, 480)
FACE_PX = 160
SAME_FACE_IOU = 0.5
WARM_UP = 3
FRAMES_A_TURN = 4
SHIPPED_PX = 60  # recognition.search_face_px as it is shipped
SMALLEST_PX = 20


@dataclass(frozen=True)
class Seen:
    """What one route made of the frame."""

    box: Box
    embedding: np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Route:
    """One way from a frame to an embedding, and what it took each time.

    `times` holds pairs (on the clock, of all processors), in seconds.
    """

    name: str
    recognise: Callable[[Image], Seen | None]
    times: list[tuple[float, float]] = field(default_factory=list)

    def turn(self, frame: Image) -> Seen:
        """Run a few times. A route that finds no face has nothing to be timed for."""
        for _ in range(FRAMES_A_TURN):
            clock, processors = time.perf_counter(), time.process_time()
            seen = self.recognise(frame)
            self.times.append((time.perf_counter() - clock, time.process_time() - processors))
        if seen is None:
            raise SystemExit(f"{self.name}: no face found in the frame")
        return seen

    def measured(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """The times after warming up: (frames, 2)."""
        return np.array(self.times[WARM_UP * FRAMES_A_TURN :])


def frame_from(portrait: Path) -> Image:
    """The top of a portrait in the camera's shape and size."""
    image = np.asarray(cv2.imread(str(portrait), cv2.IMREAD_COLOR), np.uint8)
    rows = image.shape[1] * FRAME_PX[1] // FRAME_PX[0]
    return np.asarray(cv2.resize(image[:rows], FRAME_PX, interpolation=cv2.INTER_CUBIC), np.uint8)


def usual_route(cache: Path) -> Route:
    """PyPI `mtcnn`, then the float Keras FaceNet."""
    detector, network = original.Detector(), by_name("facenet")
    facenet = original.facenet(network.package.read(cache, network.member))

    def recognise(frame: Image) -> Seen | None:
        faces = detector.detect(frame)
        if not len(faces):
            return None
        box = Box(*(float(value) for value in faces[0, :4]))
        crop = Octaves(frame).cut(square(box), FACE_PX, replicate=True)
        vector = original.embed(facenet, standardise(crop))[0]
        return Seen(box, vector / np.linalg.norm(vector))

    return Route(f"PyPI mtcnn (from {original.MIN_FACE_SIZE} px) + Keras FaceNet", recognise)


def lockd_route(min_face_px: int, threads: int) -> Route:
    """The door's detector and embedder, set up as the door does: the detector on one thread."""
    models = Models.load(ROOT / "models")
    detector = Detector(models, min_face_px=min_face_px, threads=threads)
    embedder = Embedder(models, "facenet", threads=threads)

    def recognise(frame: Image) -> Seen | None:
        octaves = Octaves(frame)
        faces = detector.detect_in(octaves)
        return Seen(faces[0].box, embedder.embed(octaves, faces[0])) if faces else None

    return Route(f"lockd (from {min_face_px} px)", recognise)


def limit_threads(threads: int) -> None:
    """Hold TensorFlow and OpenCV to the threads that lockd's runtime gets."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    cv2.setNumThreads(threads)


def take_turns(routes: list[Route], frame: Image, rounds: int) -> None:
    """Time every route in every round, and insist that all see the same face."""
    for _ in range(WARM_UP + rounds):
        first, *others = [route.turn(frame) for route in routes]
        for route, seen in zip(routes[1:], others, strict=True):
            if iou(first.box, seen.box) < SAME_FACE_IOU:
                raise SystemExit(f"{route.name}: found {seen.box}, {routes[0].name}: {first.box}")
    for route, seen in zip(routes, [first, *others], strict=True):
        likeness = float(seen.embedding @ first.embedding)
        print(f"{route.name}: {spread(route)}; cosine to the first {likeness:.3f}")


def spread(route: Route) -> str:
    """Median and quartiles on the clock and the processors' median, in milliseconds."""
    times = route.measured() * 1e3
    low, middle, high = np.percentile(times[:, 0], (25, 50, 75))
    return (
        f"median {middle:.1f} ms, quartiles {low:.1f} .. {high:.1f}, "
        f"of processor time {np.median(times[:, 1]):.1f} ms"
    )


def print_ratios(routes: list[Route]) -> None:
    """How many times as fast each route is as the first: by medians, and frame by frame."""
    slow = routes[0].measured()
    for route in routes[1:]:
        fast = route.measured()
        clock, processors = np.median(slow, axis=0) / np.median(fast, axis=0)
        low, high = np.percentile(slow[:, 0] / fast[:, 0], (25, 75))
        print(
            f"{route.name} is {clock:.1f} times as fast (quartiles frame by frame "
            f"{low:.1f} .. {high:.1f}) and takes {processors:.1f} times less processor time"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench/compare/run.sh", description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="for every library")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cache", type=Path, default=ROOT / ".venv-bench" / "cache")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    limit_threads(options.threads)
    ours = [lockd_route(size, options.threads) for size in (SHIPPED_PX, SMALLEST_PX)]
    routes = [usual_route(options.cache), *ours]
    print(f"one {FRAME_PX[0]}x{FRAME_PX[1]} frame, {options.threads} threads, one process")
    take_turns(routes, frame_from(PORTRAIT), options.rounds)
    print_ratios(routes)


if __name__ == "__main__":
    main()
