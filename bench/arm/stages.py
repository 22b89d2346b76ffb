"""What is counted: one stage, so many times. Runs inside the emulator.

    python3 stages.py STAGE TIMES

Imports nothing but what a stage needs: the emulator is fifty times slower than the processor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lockd.identity.gallery import Gallery, Template
from lockd.types import Image, Person
from lockd.vision import quality
from lockd.vision.change import ChangeGate
from lockd.vision.embedder import Embedder
from lockd.vision.geometry import Octaves
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector

ROOT = Path(__file__).resolve().parents[2]
ENROLLED = ROOT / "demo/people/Barack Obama"
SAME = ROOT / "tests/data/photos/barack-obama.jpg"
OTHER = ROOT / "tests/data/photos/eileen-collins.jpg"
FRAME = (480, 640)
FACE_PX = 60
"""The smallest face looked for, as the door does."""


def frame(path: Path | None) -> Image:
    """A frame of a camera: a street's grey with, perhaps, somebody before it."""
    image = np.random.default_rng(0).integers(90, 110, (*FRAME, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    if path is not None:
        photograph = cv2.imread(str(path))
        assert photograph is not None
        scale = min(FRAME[0] / photograph.shape[0], FRAME[1] / photograph.shape[1])
        small = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image[: small.shape[0], : small.shape[1]] = small
    return image  # type: ignore[return-value]


def network(name: str) -> Callable[[], object]:
    """A bare network, on one thread, batch as the door uses it."""
    models = Models.load(ROOT / "models")
    shapes = {"mtcnn-rnet": (8, 24, 24, 3)}
    built = models.network(name, shapes.get(name))
    pixels = np.random.default_rng(0).uniform(0, 255, built.input_shape).astype(np.float32)
    return lambda: built(pixels)


def pyramid() -> Callable[[], object]:
    """P-Net over all levels of a frame's pyramid."""
    models = Models.load(ROOT / "models")
    levels, scale = [], 12 / FACE_PX
    while min(FRAME) * scale >= 12:
        shape = (1, *(int(np.ceil(side * scale)) for side in FRAME), 3)
        pixels = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
        levels.append((models.network("mtcnn-pnet", shape), pixels))
        scale *= 0.709
    return lambda: [built(pixels) for built, pixels in levels]


def detection(path: Path | None) -> Callable[[], object]:
    """A full search of a frame."""
    detector = Detector(Models.load(ROOT / "models"), min_face_px=FACE_PX)
    image = frame(path)
    return lambda: detector.detect_in(Octaves(image))


def judged(
    profile: str, path: Path, *, followed: bool = False, embedded: bool = True
) -> Callable[[], object]:
    """A frame from its pixels to who is in it, with one person of some photographs enrolled.

    Args:
        followed: the face was found in the frame before; else all of the frame is searched.
        embedded: the frame is judged; else whoever has a verdict is only followed.
    """
    models = Models.load(ROOT / "models")
    detector, embedder = Detector(models, min_face_px=FACE_PX), Embedder(models, profile)
    person = Person("1", "Barack Obama")
    templates = []
    for photograph in sorted(ENROLLED.glob("*.jpg")):
        octaves = Octaves(frame(photograph))
        face = detector.detect_in(octaves)[0]
        templates.append(Template(person, embedder.enrolled(octaves, face)))
    gallery, image = Gallery(templates, embedder.size), frame(path)
    boxes = [face.box for face in detector.detect(image)]
    gate = ChangeGate(FACE_PX)

    def look() -> object:
        octaves = Octaves(image)
        gate.compare(octaves)
        faces = detector.follow(octaves, boxes) if followed else detector.detect_in(octaves)
        for face in faces:
            assert face is not None
            quality.measure(octaves, face)
            if not embedded:
                continue
            probe = embedder.probe(octaves, face)
            match = None
            if not probe.complete:
                match = gallery.screen(probe.head, accept=embedder.accept)
            if match is None:
                match = gallery.identify(probe.whole(), accept=embedder.accept, margin=0.05)
            assert (match.person is None) == (path == OTHER)
        return None

    return look


STAGES: dict[str, Callable[[], Callable[[], object]]] = {
    "P-Net, all levels": pyramid,
    "R-Net, 8 patches": lambda: network("mtcnn-rnet"),
    "O-Net, 1 patch": lambda: network("mtcnn-onet"),
    "SFace": lambda: network("sface"),
    "FaceNet": lambda: network("facenet"),
    "liveness": lambda: network("liveness"),
    "search, nobody there": lambda: detection(None),
    "search, one face": lambda: detection(OTHER),
    "light, stranger": lambda: judged("light", OTHER),
    "accurate, stranger": lambda: judged("accurate", OTHER),
    "accurate, colleague": lambda: judged("accurate", SAME),
    "accurate, stranger followed": lambda: judged("accurate", OTHER, followed=True),
    "decided, followed": lambda: judged("light", OTHER, followed=True, embedded=False),
}


def main() -> None:
    name, times = sys.argv[1], int(sys.argv[2])
    run = STAGES[name]()
    for _ in range(times):
        run()


if __name__ == "__main__":
    main()
