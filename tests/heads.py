"""Photographs of faces as heads that turn: a solid with a nose, seen from wherever it looks."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
from numpy.typing import NDArray

from lockd.identity.challenge import Challenge, ChallengeRules, Outcome, nose_shift
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Face, Image
from lockd.vision.geometry import Octaves
from tests.turning import Turner

Grid = NDArray[np.float64]

_WIDE = 100.0
_NOSE = 0.33  # how far its tip stands out, in half widths of the head
_NOSE_ACROSS, _NOSE_DOWN = 0.17, 0.22


class Head:
    """The head of a photograph, before what is behind it.

    The head is an ellipsoid as wide as 1.7 boxes and as high as 1.6, with a nose where the detector
    sees it; it turns about its own middle, and every pixel shows what the line of sight meets.
    """

    def __init__(self, image: Image, face: Face) -> None:
        self.image = image
        self._half = np.array([0.85 * face.box.width, 0.8 * face.box.height])
        self._nose = (face.landmarks[2] - face.box.centre) / self._half
        rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float64)
        self._u = (columns - face.box.centre[0]) / self._half[0]
        self._v = (rows - face.box.centre[1]) / self._half[1]
        self._rows, self._columns = rows, columns

    def turned(self, left: float) -> Image:
        """Return the picture with the head turned so many degrees to the person's left."""
        sin, cos = math.sin(math.radians(left)), math.cos(math.radians(left))
        u = self._u.copy()
        for _ in range(12):  # whose place in the photograph does this line of sight meet?
            u = 0.5 * u + 0.5 * (self._u - self._depth(u) * sin) / cos
        shown = np.clip((1 - self._u**2 - self._v**2) / 0.2, 0, 1)
        x = self._columns + (u - self._u) * self._half[0] * shown
        bent = cv2.remap(
            self.image, x.astype(np.float32), self._rows.astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.asarray(bent, np.uint8)

    def _depth(self, u: Grid) -> Grid:
        ellipsoid = np.sqrt(np.clip(1 - u**2 - self._v**2, 0, None))
        across, down = (u - self._nose[0]) / _NOSE_ACROSS, (self._v - self._nose[1]) / _NOSE_DOWN
        return np.asarray(ellipsoid + _NOSE * np.exp(-(across**2 + down**2) / 2))


class Sitter:
    """Somebody before a camera, seen through the networks.

    Args:
        vision: the networks.
        image: a photograph with their face, the largest in it.

    Attributes:
        ahead: degrees by which the head must be turned to look into the camera; NaN if more than
            5, for then too little of the far cheek is in the photograph.
    """

    def __init__(self, vision: Vision, image: Image) -> None:
        self._vision = vision
        wide = max(one.box.width for one in vision.detector.detect_in(Octaves(image)))
        if wide > _WIDE:  # as large as people at a door are, which is faster too
            scale = _WIDE / wide
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
        faces = vision.detector.detect_in(Octaves(image))
        face = max(faces, key=lambda face: face.box.width)
        self._place, self._head = face.box.centre, Head(image, face)
        shifts = {angle: self._shift(angle) for angle in (-5, 0, 5)}
        self.ahead = min(shifts, key=lambda angle: abs(shifts[angle]))
        if not abs(shifts[self.ahead]) < 0.06:
            self.ahead = math.nan

    def seen(self, left: float, rng: random.Random) -> tuple[Face | None, Embedding | None]:
        """Return what one frame shows of them, their head turned so far.

        A hand-held camera's frame: elsewhere, larger or smaller, lighter or darker, with noise.
        """
        image = self._head.turned(left)
        grain = np.random.default_rng(rng.randrange(2**32))
        scale = rng.uniform(0.98, 1.02)
        moved = np.array(
            [[scale, 0, rng.uniform(-3, 3)], [0, scale, rng.uniform(-3, 3)]], np.float32
        )
        image = np.asarray(
            cv2.warpAffine(image, moved, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
        lit = image * rng.uniform(0.95, 1.05) + grain.normal(0.0, 4.0, image.shape)
        octaves = Octaves(np.clip(lit, 0, 255).astype(np.uint8))
        faces = self._vision.detector.detect_in(octaves)
        if not faces:
            return None, None
        face = min(faces, key=lambda face: math.dist(face.box.centre, self._place))
        if math.dist(face.box.centre, self._place) > face.box.width:  # another one's
            return None, None
        return face, self._vision.embedder.embed(octaves, face)

    def _shift(self, left: float) -> float:
        face, _ = self.seen(left, random.Random(0))
        return math.inf if face is None else nose_shift(face)


def sat(sitter: Sitter, rules: ChallengeRules, seed: int, fps: float) -> tuple[Outcome, float]:
    """Ask somebody who does as told, by about 35 degrees, and on if that is not enough.

    Return how it ended, and when.
    """
    rng = random.Random(f"sitter {seed}")
    turner = Turner(
        rng, moves_s=(0.8, 1.2), turns=(30.0, 40.0), rest=sitter.ahead, goes_on=12.0, farthest=55.0
    )
    _, known = sitter.seen(sitter.ahead, rng)
    challenge = Challenge(rules, now=0.0, rng=random.Random(seed), known=known)
    t = 0.0
    while challenge.outcome is None:
        t += rng.uniform(0.85, 1.15) / fps
        challenge.seen(t, *sitter.seen(turner.shift(t), rng))
        challenge.pass_time(t)
        turner.hears(challenge.prompt, t + 0.1)
    return challenge.outcome, t
