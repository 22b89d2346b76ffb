"""What is looked at: frames of 640x480, made from photographs that come with lockd."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from lockd.errors import ImageError
from lockd.paths import shipped
from lockd.types import Image

WIDTH, HEIGHT = 640, 480
_FACE = "demo/people/Barack Obama/congress-2009.jpg"
_HEAD_FROM, _HEAD_TO = 0.14, 0.72  # of its height; all of its width
_SIDE_PX = 158


def one_face(width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Return a frame with one face in it, uint8 (height, width, 3)."""
    picture = _photograph()
    scale = height / picture.shape[0]
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    side = width - picture.shape[1]
    return cv2.copyMakeBorder(  # type: ignore[return-value]
        picture, 0, 0, side // 2, side - side // 2, cv2.BORDER_REPLICATE
    )


def nobody(step: int = 0) -> Image:
    """Return a frame without a face, in which something moves with each step."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack((110 + 40 * np.sin(x / 50), 120 + 30 * np.sin(y / 40), 0 * x + 115), axis=2)
    frame: Image = np.clip(image, 0, 255).astype(np.uint8)
    left = 40 + step * 23 % (WIDTH - 200)
    cv2.rectangle(frame, (left, 120), (left + 120, 460), (60, 70, 50), -1)
    return frame


def crowd(people: int) -> Image:
    """Return a frame with up to eight faces, four beside each other."""
    frame = nobody()
    for number in range(people):
        x, y = number % 4 * 160 + 1, number // 4 * 230 + 20
        frame[y : y + _SIDE_PX, x : x + _SIDE_PX] = _head(_SIDE_PX)
    return frame


def walking_up(frames: int) -> list[Image]:
    """Return frames in which somebody comes from afar until they stand there."""
    walk = []
    for step in range(frames):
        side = round(70 + 230 * min(1.0, step / (frames * 0.6)))
        frame, x, y = nobody(), (WIDTH - side) // 2, HEIGHT - side - 80
        frame[y : y + side, x : x + side] = _head(side)
        walk.append(frame)
    return walk


@cache
def _photograph() -> Image:
    path = shipped(_FACE)
    picture = cv2.imread(str(path))
    if picture is None:
        raise ImageError(f"{path}: cannot be read; install lockd again")
    return picture  # type: ignore[return-value]


def _head(side: int) -> Image:
    photograph = _photograph()
    height = photograph.shape[0]
    part = photograph[int(_HEAD_FROM * height) : int(_HEAD_TO * height)]
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
