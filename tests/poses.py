"""A photograph of a face as if the head were turned: what a camera sees of who does as told."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lockd.types import Face, Image


def turned(image: Image, face: Face, *, left: float = 0.0, down: float = 0.0) -> Image:
    """The picture with the head turned, taken for an ellipsoid with a nose on it.

    Args:
        image: uint8 (height, width, 3).
        face: in its pixels.
        left: degrees to the person's left: the picture's right.
        down: degrees that the chin is lowered.
    """
    half = np.array([0.85 * face.box.width, 0.8 * face.box.height])
    nose = (face.landmarks[2] - face.box.centre) / half
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float64)
    u = (columns - face.box.centre[0]) / half[0]
    v = (rows - face.box.centre[1]) / half[1]
    depth = np.sqrt(np.clip(1 - u**2 - v**2, 0, None))
    yaw, pitch = math.radians(left), math.radians(down)
    tip = nose + np.array([math.sin(yaw), math.sin(pitch)])
    depth += 0.3 * np.exp(-((u - tip[0]) ** 2 + (v - tip[1]) ** 2) / (2 * 0.12**2))
    shown = np.clip(depth / 0.3, 0, 1)  # what is round the head stays where it is
    x = columns - half[0] * shown * (depth * math.sin(yaw) + u * (1 - math.cos(yaw)))
    y = rows - half[1] * shown * (depth * math.sin(pitch) + v * (1 - math.cos(pitch)))
    bent = cv2.remap(
        image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(bent, np.uint8)
