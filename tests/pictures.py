"""Photographs for tests, and what may happen to one before it arrives."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from lockd.types import Image
from lockd.vision.decoding import decode
from tests.conftest import PEOPLE, PHOTOS

OBAMA = PHOTOS / "barack-obama.jpg"
COLLINS = PHOTOS / "eileen-collins.jpg"
PROFILE = PHOTOS / "photographer-in-profile.jpg"
OBAMA_ENROLLED = PEOPLE / "Barack Obama" / "congress-2009.jpg"
OBAMA_ENROLLED_TOO = PEOPLE / "Barack Obama" / "blue-room-2010.jpg"
BIDEN_ENROLLED = PEOPLE / "Joe Biden" / "blue-room-2010.jpg"


def read(path: Path) -> Image:
    return decode(path.read_bytes(), path.name)


def side_by_side(*images: Image) -> Image:
    """The images in a row, from the top, on grey."""
    height = max(image.shape[0] for image in images)
    padded = [
        cv2.copyMakeBorder(
            image, 0, height - image.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=(128, 128, 128)
        )
        for image in images
    ]
    return np.hstack(padded).astype(np.uint8)


def as_stored(upright: Image, orientation: int) -> Image:
    """What a camera that was held so stores, by EXIF orientation."""
    return np.ascontiguousarray(
        {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, 1),
            7: upright[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(upright, -1),
        }[orientation]
    )


def with_orientation(jpeg: bytes, orientation: int, byte_order: str = "<") -> bytes:
    """A JPEG with an EXIF segment that says how the camera was held."""
    mark = b"II" if byte_order == "<" else b"MM"
    header = mark + struct.pack(f"{byte_order}HI", 42, 8)
    entry = struct.pack(f"{byte_order}HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + header + struct.pack(f"{byte_order}H", 1) + entry + bytes(4)
    if jpeg[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
