"""A face that the first camera sees is looked for with the second one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from lockd.recognition.recogniser import Vision
from lockd.recognition.second_eye import FURTHEST_S, Placement, SecondEye
from lockd.types import Box, Face, Frame, Image
from tests.conftest import ROOT
from tests.porch import porch

SIZE = (640, 480)


class Second:
    """A camera that gives these frames, one after the other, and then nothing new."""

    problem: str | None = None

    def __init__(self, frames: Sequence[Frame] = ()) -> None:
        self.frames = list(frames)

    def next(self, timeout_s: float) -> Frame | None:
        assert timeout_s == 0.0  # whoever judges waits for nobody
        return self.frames.pop(0) if self.frames else None


@pytest.fixture(scope="module")
def visible() -> Image:
    return porch(next((ROOT / "demo" / "people").glob("*/*.jpg")))


@pytest.fixture(scope="module")
def face(visible: Image, vision: Vision) -> Face:
    (face,) = vision.detector.detect(visible)
    return face


def infrared(visible: Image, x: float = 0.0, y: float = 0.0, zoom: float = 1.0) -> Image:
    """The same as a NoIR camera beside sees it: grey, dim, noisy and from another place."""
    grey = cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY).astype(np.float32) * 0.4 + 10
    grey += np.random.default_rng(1).normal(0, 2, grey.shape).astype(np.float32)
    width, height = SIZE
    to = np.array(
        [
            [zoom, 0, width * (0.5 - zoom / 2 + x)],
            [0, zoom, height * (0.5 - zoom / 2 + y)],
        ]
    )
    moved = cv2.warpAffine(grey, to, SIZE, borderMode=cv2.BORDER_REPLICATE)
    three: Image = np.repeat(np.clip(moved, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return three


def pane(picture: Image, box: Box) -> Image:
    """A telephone is held before the face: in near infrared, a dark rectangle."""
    dark = picture.copy()
    (x, y), half = box.centre, 0.8 * box.height
    area = slice(max(int(y - half), 0), int(y + half)), slice(int(x - half), int(x + half))
    noise = np.random.default_rng(2).integers(8, 14, dark[area].shape, np.uint8)
    dark[area] = noise
    return dark


def eye(vision: Vision, camera: Second, placement: Placement | None = None) -> SecondEye:
    return SecondEye(camera, vision.detector, placement or Placement())  # type: ignore[arg-type]


@pytest.mark.parametrize(("x", "y", "zoom"), [(0, 0, 1), (0.08, -0.05, 1), (-0.1, 0.04, 0.7)])
def test_somebody_who_is_there_is_seen_where_they_must_be(
    vision: Vision, visible: Image, face: Face, x: float, y: float, zoom: float
) -> None:
    camera = Second([Frame(infrared(visible, x, y, zoom), 5.0, 1)])
    placement = Placement(x, y, zoom)
    assert eye(vision, camera, placement).sees(Frame(visible, 5.1, 1), face) is True


def test_a_telephone_is_a_dark_pane(vision: Vision, visible: Image, face: Face) -> None:
    camera = Second([Frame(pane(infrared(visible), face.box), 5.0, 1)])
    assert eye(vision, camera).sees(Frame(visible, 5.0, 1), face) is False


def test_somebody_at_another_place_or_of_another_size_is_not_they(
    vision: Vision, visible: Image, face: Face
) -> None:
    for x, zoom in ((0.3, 1.0), (0.0, 0.4)):
        camera = Second([Frame(infrared(visible, x, 0, zoom), 5.0, 1)])
        assert eye(vision, camera).sees(Frame(visible, 5.0, 1), face) is False


def test_whoever_stands_nearer_is_found_within_the_tolerance(
    vision: Vision, visible: Image, face: Face
) -> None:
    off = 0.5 * face.box.width / SIZE[0]
    for tolerance, sees in ((0.8, True), (0.2, False)):
        camera = Second([Frame(infrared(visible, off), 5.0, 1)])
        placement = Placement(tolerance=tolerance)
        assert eye(vision, camera, placement).sees(Frame(visible, 5.0, 1), face) is sees


def test_where_it_does_not_look_it_cannot_tell(vision: Vision, visible: Image, face: Face) -> None:
    camera = Second([Frame(infrared(visible), 5.0, 1)])
    assert eye(vision, camera, Placement(shift_x=0.5)).sees(Frame(visible, 5.0, 1), face) is None


def test_pictures_of_another_time_tell_nothing(vision: Vision, visible: Image, face: Face) -> None:
    camera = Second([Frame(infrared(visible), 5.0, 1)])
    watching = eye(vision, camera)
    for t, sees in ((5.0 + FURTHEST_S, True), (5.01 + FURTHEST_S, None), (4.4, None)):
        assert watching.sees(Frame(visible, t, 1), face) is sees


def test_a_camera_that_fails_tells_nothing_and_says_so(
    vision: Vision, visible: Image, face: Face
) -> None:
    camera = Second()
    watching = eye(vision, camera)
    assert watching.sees(Frame(visible, 5.0, 1), face) is None  # nothing came yet
    camera.frames.append(Frame(infrared(visible), 5.0, 1))
    camera.problem = "covered: almost no structure"
    assert watching.sees(Frame(visible, 5.0, 1), face) is None
    assert watching.problem == "camera.infrared: covered: almost no structure"
    camera.problem = None
    assert watching.sees(Frame(visible, 5.0, 1), face) is True
    assert watching.problem is None
