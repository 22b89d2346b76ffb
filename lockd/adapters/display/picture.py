"""Draws a sign and a sentence as large as a small display has room for."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation2/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
)
"""Where Debian has fonts with letters of many languages; the first that is there is used."""
_LEAST_PX, _LARGEST_PX = 8, 64
_NOWHERE = "\U0010ffff"
_GERMAN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}
)


class Sign(Enum):
    """What is drawn beside the words: lines of points, in parts of a square's side."""

    LOOK = ((0.5, 0.42), (0.58, 0.5), (0.5, 0.58), (0.42, 0.5), (0.5, 0.42))
    LEFT = ((0.6, 0.22), (0.32, 0.5), (0.6, 0.78))
    RIGHT = ((0.4, 0.22), (0.68, 0.5), (0.4, 0.78))
    YES = ((0.25, 0.52), (0.42, 0.7), (0.75, 0.3))
    NO = ((0.3, 0.3), (0.7, 0.7), (0.5, 0.5), (0.7, 0.3), (0.3, 0.7))


@dataclass(frozen=True)
class Typeface:
    """A font in all sizes.

    Attributes:
        file: of TrueType, or None for Pillow's own, which has no letters but ASCII's.
    """

    file: str | None

    def at(self, px: int) -> FreeTypeFont:
        """Return it in a size."""
        return _font(self.file, px)

    def has(self, text: str) -> bool:
        """Return whether it can show a text."""
        font = self.at(16)
        return all(one == " " or bytes(font.getmask(one)) != self._nothing for one in self.of(text))

    def of(self, text: str) -> str:
        """Return a text as this font can show it."""
        if self.file is not None:
            return unicodedata.normalize("NFC", text)
        plain = unicodedata.normalize("NFKD", text.translate(_GERMAN))
        return "".join(one for one in plain if not unicodedata.combining(one))

    @cached_property
    def _nothing(self) -> bytes:
        return bytes(self.at(16).getmask(_NOWHERE))


def typeface(wanted: str | None) -> Typeface:
    """Return the font that is wanted, or one that is there."""
    there = [one for one in ((wanted,) if wanted else FONTS) if Path(one).is_file()]
    return Typeface(there[0] if there else None)


@lru_cache(maxsize=64)
def _font(file: str | None, px: int) -> FreeTypeFont:
    if file:
        return ImageFont.truetype(file, px)
    own = ImageFont.load_default(px)
    assert isinstance(own, ImageFont.FreeTypeFont)  # noqa: S101  # with a size it is
    return own


def picture(
    size: tuple[int, int], mode: str, shown: tuple[Sign, str], face: Typeface
) -> Image.Image:
    """Return what a display is to show.

    Args:
        size: of the display, pixels.
        mode: of its pictures, as Pillow has it.
        shown: the sign, and the words.
    """
    (width, height), (sign, words) = size, shown
    image = Image.new(mode, size)
    draw = ImageDraw.Draw(image)
    beside = width >= 1.5 * height
    side = min(height, width // 3) if beside else min(width, height // 2)
    at = (0, (height - side) // 2) if beside else ((width - side) // 2, 0)
    _draw_sign(draw, sign, at, side)
    gap = max(2, side // 16)
    left, top = (side + gap, 0) if beside else (0, side + gap)
    lines, font = fitted(face.of(words), (width - left, height - top), face)
    text = "\n".join(lines)
    box = draw.multiline_textbbox((0, 0), text, font=font, spacing=1)
    middle = (left + (width - left - box[2]) // 2, top + (height - top - box[3]) // 2)
    draw.multiline_text(
        (max(left, middle[0]), max(top, middle[1])), text, fill="white", font=font, spacing=1,
        align="center",
    )  # fmt: skip
    return image


@lru_cache(maxsize=64)
def fitted(text: str, room: tuple[int, int], face: Typeface) -> tuple[list[str], FreeTypeFont]:
    """Break a text into lines, in the largest font with which it has room.

    With the smallest one what has no room is cut off.
    """
    draw = ImageDraw.Draw(Image.new("1", (1, 1)))
    least, most = _LEAST_PX, max(_LEAST_PX, min(_LARGEST_PX, room[1]))
    while least < most:
        px = (least + most + 1) // 2
        text_lines = "\n".join(_broken(text, room[0], face.at(px)))
        box = draw.multiline_textbbox((0, 0), text_lines, font=face.at(px), spacing=1)
        has_room = box[2] <= room[0] and box[3] <= room[1]
        least, most = (px, most) if has_room else (least, px - 1)
    return _broken(text, room[0], face.at(least)), face.at(least)


def _broken(text: str, width: int, font: FreeTypeFont) -> list[str]:
    """Lines of whole words, each as long as there is room."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _draw_sign(draw: ImageDraw.ImageDraw, sign: Sign, at: tuple[int, int], side: int) -> None:
    stroke = max(1, side // 14)
    x, y = at
    draw.ellipse(
        (x + 1, y + 1, x + side - 2, y + side - 2), outline="white", width=max(1, stroke // 2)
    )
    points = [(x + px * side, y + py * side) for px, py in sign.value]
    draw.line(points, fill="white", width=stroke, joint="curve")
