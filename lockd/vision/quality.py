"""Is this face big, bright, sharp, whole and frontal enough to judge?

A face that is not is no evidence for anybody, and none for a stranger either. The
measures are plain image statistics and landmark geometry, chosen to be explained to
the person at the door ("come closer", "more light").
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lockd.types import Face, Floats, Unfit
from lockd.vision.geometry import Octaves, square

_MEASURED_PX = 96  # the crop's size for exposure and sharpness, whatever the face's


@dataclass(frozen=True, slots=True)
class Limits:
    """What a face must reach to be judged.

    Attributes:
        min_face_px: the longer side of the detector's box.
        min_luma: mean luma of the face, 0..255.
        max_luma: the same.
        min_sharpness: standard deviation of the Laplacian over that of the luma, on
            the face at 96 px; 0 is a plain surface.
        max_yaw: the nose's distance from the line halfway between the eyes, in eye
            distances; 0 is frontal.
        min_pitch: where the nose lies between the eyes' line (0) and the mouth's (1).
        max_pitch: the same.
        min_inside: part of the box that must lie inside the image, 0..1.
        min_confidence: of the detector, 0..1.
    """

    min_face_px: int = 80
    min_luma: float = 40.0
    max_luma: float = 225.0
    min_sharpness: float = 0.15
    max_yaw: float = 0.45
    min_pitch: float = 0.25
    max_pitch: float = 0.8
    min_inside: float = 0.85
    min_confidence: float = 0.9


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of a face; the attributes are those of `Limits`."""

    size_px: float
    inside: float
    luma: float
    sharpness: float
    yaw: float
    pitch: float
    confidence: float


def measure(octaves: Octaves, face: Face) -> Quality:
    """Measure a face in the image it was found in."""
    box = face.box
    height, width = octaves.image.shape[:2]
    seen_x = max(0.0, min(box.x1, width) - max(box.x0, 0))
    seen_y = max(0.0, min(box.y1, height) - max(box.y0, 0))
    crop = octaves.cut(square(box), _MEASURED_PX, replicate=True)
    luma = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    # The middle of the square: face rather than background.
    edge = _MEASURED_PX // 6
    luma = luma[edge:-edge, edge:-edge]
    contrast = max(float(luma.std()), 1.0)
    yaw, pitch = _pose(face.landmarks)
    return Quality(
        size_px=max(box.width, box.height),
        inside=seen_x * seen_y / max(box.width * box.height, 1.0),
        luma=float(luma.mean()),
        sharpness=float(cv2.Laplacian(luma, cv2.CV_32F).std()) / contrast,
        yaw=yaw,
        pitch=pitch,
        confidence=face.confidence,
    )


def unfit(quality: Quality, limits: Limits) -> Unfit | None:
    """Return the first reason not to judge the face, the easiest to mend first."""
    q = quality
    checks = (
        (q.size_px >= limits.min_face_px, Unfit.TOO_SMALL),
        (q.inside >= limits.min_inside, Unfit.CUT_OFF),
        (q.luma >= limits.min_luma, Unfit.TOO_DARK),
        (q.luma <= limits.max_luma, Unfit.TOO_BRIGHT),
        (abs(q.yaw) <= limits.max_yaw, Unfit.TURNED_AWAY),
        (limits.min_pitch <= q.pitch <= limits.max_pitch, Unfit.TURNED_AWAY),
        (q.sharpness >= limits.min_sharpness, Unfit.BLURRED),
        (q.confidence >= limits.min_confidence, Unfit.HARDLY_A_FACE),
    )
    # A measure that is NaN passes no comparison, so it is refused as well.
    return next((reason for passed, reason in checks if not passed), None)


def merit(quality: Quality, limits: Limits) -> float:
    """Return how good a picture of a face is, 0..1, to choose between those fit to be judged.

    The product of size, sharpness and how frontal it is, each in parts of what is plenty: twice
    the least size, twice the least sharpness, straight on.
    """
    size = min(1.0, quality.size_px / (2 * limits.min_face_px))
    sharp = min(1.0, quality.sharpness / max(2 * limits.min_sharpness, 1e-6))
    frontal = max(0.0, 1.0 - abs(quality.yaw) / max(2 * limits.max_yaw, 1e-6))
    return size * sharp * frontal * quality.confidence


def _pose(landmarks: Floats) -> tuple[float, float]:
    """Return (yaw, pitch) in the units of `Limits`, the head's roll taken out."""
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks.astype(np.float64)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    across = right_eye - left_eye
    distance = float(np.hypot(*across))
    if distance < 1e-6:
        return np.inf, np.inf
    along = across / distance
    down = np.array([-along[1], along[0]])
    drop = float((mouth - eyes) @ down)
    if drop < 1e-6:
        return np.inf, np.inf
    return float((nose - eyes) @ along) / distance, float((nose - eyes) @ down) / drop
