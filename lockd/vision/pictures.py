"""Put a camera's pictures upright, draw on them, cut and encode them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lockd.errors import ImageError
from lockd.types import Box, Face, Image

LEAST_JPEG_BYTES = 2000
"""Any picture can be brought down to this."""
_GREEN, _RED, _WHITE, _BLACK = (80, 200, 60), (60, 60, 230), (255, 255, 255), (0, 0, 0)

_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True, slots=True)
class View:
    """How a camera's picture becomes the one that is looked at: turn, mirror, cut.

    Attributes:
        rotate: degrees clockwise: 0, 90, 180 or 270.
        mirror: swap left and right of the turned picture.
        region: (x, y, width, height) of the part to keep, in fractions of the picture
            turned and mirrored; None keeps all of it.
    """

    rotate: int = 0
    mirror: bool = False
    region: tuple[float, float, float, float] | None = None

    def of(self, image: Image) -> Image:
        """Return the picture to look at: at least one pixel, in memory of its own if cut.

        Args:
            image: uint8 (height, width, 3).
        """
        seen = cv2.rotate(image, _TURNS[self.rotate]) if self.rotate else image
        if self.mirror:
            seen = cv2.flip(seen, 1)
        if self.region is not None:
            x, y, width, height = self.region
            rows = _part(y, height, seen.shape[0])
            columns = _part(x, width, seen.shape[1])
            seen = np.ascontiguousarray(seen[rows, columns])
        return seen  # type: ignore[return-value]


def _part(start: float, size: float, pixels: int) -> slice:
    """The pixels of a side that fractions name: within it, and at least one."""
    first = min(round(start * pixels), pixels - 1)
    return slice(first, max(first + 1, min(round((start + size) * pixels), pixels)))


def annotate(
    image: Image, labels: list[tuple[Face, str, bool]], foot: tuple[str, bool] | None = None
) -> Image:
    """Return a copy with boxes, landmarks and captions.

    Args:
        image: uint8 (height, width, 3), BGR.
        labels: (face, caption, known) of each face; known ones are green. Captions
            are drawn in ASCII, other characters as "?".
        foot: what stands below, and whether in green.
    """
    drawn = image.copy()
    unit = max(1, round(min(image.shape[:2]) / 320))
    for face, caption, known in labels:
        colour = _GREEN if known else _RED
        x0, y0 = round(face.box.x0), round(face.box.y0)
        corner = round(face.box.x1), round(face.box.y1)
        cv2.rectangle(drawn, (x0, y0), corner, colour, unit, cv2.LINE_AA)
        for x, y in face.landmarks:
            cv2.circle(drawn, (round(float(x)), round(float(y))), 2 * unit, _WHITE, -1, cv2.LINE_AA)
            cv2.circle(drawn, (round(float(x)), round(float(y))), 2 * unit, _BLACK, 1, cv2.LINE_AA)
        if caption:
            _caption(drawn, caption, x0, y0, colour, unit)
    if foot is not None:
        _caption(drawn, foot[0], 0, drawn.shape[0], _GREEN if foot[1] else _RED, unit)
    return drawn


def _caption(
    drawn: Image, caption: str, x: int, y: int, colour: tuple[int, int, int], unit: int
) -> None:
    text = caption.encode("ascii", "replace").decode()
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * unit
    (width, height), _ = cv2.getTextSize(text, font, scale, unit)
    # Above the box, or inside it where the image ends; never off the side.
    bottom = y - 3 * unit if y - height - 6 * unit >= 0 else y + height + 6 * unit
    left = max(0, min(x, drawn.shape[1] - width - 4 * unit))
    top_left = (left, bottom - height - 3 * unit)
    cv2.rectangle(drawn, top_left, (left + width + 4 * unit, bottom + 3 * unit), colour, -1)
    cv2.putText(drawn, text, (left + 2 * unit, bottom), font, scale, _WHITE, unit, cv2.LINE_AA)


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """Return the image as JPEG."""
    done, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ImageError(f"an image of shape {image.shape} cannot be encoded as JPEG")
    return buffer.tobytes()


def jpeg_within(image: Image, max_bytes: int) -> bytes:
    """Return the image as a JPEG of at most so many bytes: coarser first, then smaller.

    Args:
        image: uint8 (height, width, 3), BGR.
        max_bytes: at least `LEAST_JPEG_BYTES`.
    """
    while True:
        for quality in (85, 70, 50):
            content = encode_jpeg(image, quality)
            if len(content) <= max_bytes:
                return content
        height, width = (max(8, round(0.7 * side)) for side in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]


def around(image: Image, box: Box, margin: float = 0.4) -> Image:
    """Return the part of a picture around a box, in memory of its own.

    Args:
        image: uint8 (height, width, 3), BGR.
        box: in its pixels; may reach beyond it.
        margin: how much more on each side, in parts of the box's.
    """
    height, width = image.shape[:2]
    x0, x1 = box.x0 - margin * box.width, box.x1 + margin * box.width
    y0, y1 = box.y0 - margin * box.height, box.y1 + margin * box.height
    columns = slice(_within(x0, width - 1), _within(x1, width - 1) + 1)
    rows = slice(_within(y0, height - 1), _within(y1, height - 1) + 1)
    return np.ascontiguousarray(image[rows, columns])


def _within(position: float, last: int) -> int:
    return round(min(max(position, 0.0), float(last)))


def smaller(image: Image, longest: int) -> Image:
    """Return a picture whose longer side has at most so many pixels: itself, if it has no more."""
    scale = longest / max(image.shape[:2])
    if scale >= 1.0:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
