"""A camera for near infrared beside the first: is the face there for it too?

Screens show nothing in near infrared: a telephone or a tablet that the first camera takes for
somebody is a dark pane to the second. Whoever the first camera sees must be seen by the other, at
the place where they must be. Many inks vanish as well, toner does not: a print may pass.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import numpy as np

from lockd.ports import Camera
from lockd.types import Box, Face, Frame, Image
from lockd.vision.mtcnn import Detector

log = logging.getLogger(__name__)

FURTHEST_S = 0.5
"""So far apart may two pictures be of which one is held against the other."""
_FACE_PX = 2.0  # times the least that the detector finds: how large a face is made
_AROUND = 3.0  # times its size: what is searched
_ALIKE = 1.6  # how many times as wide or narrow a face may be as it must be
_WITHIN = 0.6  # least share of what is searched that lies within the picture


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the second camera sees what the first one sees.

    Attributes:
        shift_x: how far to the right, as a share of the picture's width.
        shift_y: how far down, as a share of its height.
        zoom: how many times as large, as a share of the picture's width.
        tolerance: how far from there a face may be, in its own widths. The cameras stand apart,
            so the shift is another for those who stand nearer.
    """

    shift_x: float = 0.0
    shift_y: float = 0.0
    zoom: float = 1.0
    tolerance: float = 0.6

    def of(self, box: Box, seen: tuple[int, int], second: tuple[int, int]) -> Box:
        """Return where a box of the first picture is in the second.

        Args:
            seen: (width, height) of the first picture.
            second: the same of the second.
        """
        # From the middle of the picture, where neither lens bends anything.
        x = second[0] * (0.5 + self.zoom * (box.centre[0] / seen[0] - 0.5) + self.shift_x)
        y = second[1] * (0.5 + self.zoom * (box.centre[1] / seen[1] - 0.5) + self.shift_y)
        scale = self.zoom * second[0] / seen[0]
        half_x, half_y = box.width * scale / 2, box.height * scale / 2
        return Box(x - half_x, y - half_y, x + half_x, y + half_y)


class SecondEye:
    """Looks for a face with the second camera."""

    def __init__(self, camera: Camera, detector: Detector, placement: Placement) -> None:
        """Take a camera, which is somebody else's to close."""
        self._camera = camera
        self._detector = detector
        self._placement = placement
        self._newest: Frame | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with the camera just now, or None."""
        wrong = self._camera.problem
        return None if wrong is None else f"camera.infrared: {wrong}"

    def sees(self, frame: Frame, face: Face) -> bool | None:
        """Say whether a face is there for the second camera too.

        Args:
            frame: of the first camera.
            face: found in it.

        Returns:
            None where that cannot be told: the camera fails, its picture is of another time,
            or it does not look there.
        """
        second = self._near(frame.t)
        if second is None:
            return None
        height, width = second.image.shape[:2]
        seen = frame.image.shape[1], frame.image.shape[0]
        return self.finds(second.image, self._placement.of(face.box, seen, (width, height)))

    def finds(self, image: Image, expected: Box) -> bool | None:
        """Say whether there is a face where it must be; None if that lies outside of the picture.

        Args:
            image: uint8 (height, width, 3), of the second camera.
            expected: in its pixels.
        """
        size = _AROUND * max(expected.width, expected.height)
        if not size > 0:
            return None
        x, y = expected.centre
        left, top = max(round(x - size / 2), 0), max(round(y - size / 2), 0)
        part = image[top : max(round(y + size / 2), 0), left : max(round(x + size / 2), 0)]
        if part.shape[0] * part.shape[1] < _WITHIN * size * size:
            return None
        scale = _FACE_PX * self._detector.min_face_px / expected.width
        for found in self._detector.detect(_stretched(part, scale)):
            at_x, at_y = found.box.centre
            apart = np.hypot(at_x / scale + left - x, at_y / scale + top - y)
            wide = found.box.width / scale / expected.width
            near = apart <= self._placement.tolerance * expected.width
            if near and 1 / _ALIKE <= wide <= _ALIKE:
                return True
        return False

    def _near(self, t: float) -> Frame | None:
        newest = self._camera.next(0.0)
        if newest is not None:
            self._newest = newest
        if self._newest is None or self._camera.problem is not None:
            return None
        return self._newest if abs(self._newest.t - t) <= FURTHEST_S else None


def _stretched(part: Image, scale: float) -> Image:
    """The same so many times as large, and in its full range of grey.

    An illuminator is bright near by and weak beyond. No further than eightfold, so that the
    noise of a dark pane is no picture.
    """
    low, high = np.percentile(part, (1, 99))
    gain = min(255.0 / max(high - low, 1.0), 8.0)
    sized = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    whole: Image = np.clip((sized.astype(np.float32) - low) * gain, 0, 255).astype(np.uint8)
    return whole
