"""Small pictures of the frames taken: for the terminal, and for a file that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

from lockd.errors import ImageError
from lockd.files import write_over
from lockd.types import Box, Face, Image
from lockd.vision.geometry import Octaves, square

PICTURE_PX = 160
"""Side of the picture of a face."""
_AROUND = 1.5
_IN_A_ROW = 4


def face_picture(octaves: Octaves, face: Face) -> Image:
    """Return a face with something around it, uint8 (160, 160, 3)."""
    box = square(face.box)
    (x, y), half = box.centre, box.width * _AROUND / 2
    return octaves.cut(Box(x - half, y - half, x + half, y + half), PICTURE_PX, replicate=True)


def half_blocks(image: Image, columns: int) -> Text:
    """Return a picture as text: a character shows two pixels, one above the other.

    Args:
        image: uint8 (height, width, 3), BGR.
        columns: how wide it becomes.
    """
    height, width = image.shape[:2]
    rows = max(1, round(columns * height / width / 2))
    small = cv2.resize(image, (columns, 2 * rows), interpolation=cv2.INTER_AREA)
    text = Text(no_wrap=True)
    for upper, lower in zip(small[0::2].tolist(), small[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", Style(color=_colour(above), bgcolor=_colour(below)))
        text.append("\n")
    text.rstrip()
    return text


def sheet(pictures: Sequence[Image]) -> Image:
    """Return pictures of one size as one, four in a row."""
    in_a_row = min(_IN_A_ROW, len(pictures))
    blank = np.zeros_like(pictures[0])
    padded = [*pictures, *[blank] * (-len(pictures) % in_a_row)]
    lines = [np.hstack(padded[i : i + in_a_row]) for i in range(0, len(padded), in_a_row)]
    return np.vstack(lines)


def save_sheet(pictures: Sequence[Image], path: Path) -> None:
    """Write pictures of one size into one file, which only its owner may read.

    Raises:
        ImageError: if its kind is not known, or it cannot be written.
    """
    try:
        _, content = cv2.imencode(path.suffix or ".jpg", sheet(pictures))
    except cv2.error as error:
        raise ImageError(f"{path}: no kind of picture; name it .jpg or .png") from error
    try:
        write_over(path, content.tobytes())
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from error


def _colour(bgr: Sequence[int]) -> Color:
    blue, green, red = bgr
    return Color.from_rgb(red, green, blue)
