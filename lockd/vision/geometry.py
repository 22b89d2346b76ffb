"""Boxes and pixels: intersection, non-maximum suppression, and cutting patches.

Continuous coordinates throughout: pixel i covers i..i+1, so its centre is i + 0.5.
Arrays of boxes are float32 (n, 4) as x0, y0, x1, y1.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lockd.types import Box, Floats, Image

Floats64: TypeAlias = NDArray[np.float64]

_SMALLEST_OCTAVE_PX = 16


def iou(first: Box, second: Box) -> float:
    """Return intersection over union, 0..1."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first.width * first.height + second.width * second.height - shared)


def squared(boxes: Floats) -> Floats:
    """Return the squares around the boxes' centres with each box's longer side."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])[:, None] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def square(box: Box) -> Box:
    """Return the square around the box's centre with its longer side."""
    x, y = box.centre
    half = max(box.width, box.height) / 2
    return Box(x - half, y - half, x + half, y + half)


def suppress(boxes: Floats, confidences: Floats, limit: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression on intersection over union.

    Args:
        boxes: float32 (n, 4).
        confidences: float32 (n,), finite.
        limit: a box that overlaps a better one by more than this falls, 0..1.

    Returns:
        Indices of the boxes kept, best first.
    """
    if not len(boxes):
        return np.empty(0, np.int64)
    rectangles = boxes.astype(np.float64)
    rectangles[:, 2:] -= rectangles[:, :2]
    # OpenCV drops what is not above a threshold of at least 0; here all take part.
    above = confidences - confidences.min() + 1.0
    kept = cv2.dnn.NMSBoxes(rectangles, above, 0.0, limit)  # type: ignore[arg-type]
    return np.asarray(kept, np.int64).reshape(-1)


def suppress_nested(boxes: Floats, confidences: Floats, limit: float) -> NDArray[np.int64]:
    """Like `suppress`, by intersection over the *smaller* box.

    It also removes a box that lies inside a better one, such as a mouth taken for
    a small face. Meant for the few boxes of the last stage.
    """
    if len(boxes) < 2:
        return np.arange(len(boxes))
    near = np.maximum(boxes[:, None, :2], boxes[:, :2])
    far = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared = np.maximum(far - near, 0).prod(axis=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    falls = (shared > limit * np.minimum(area[:, None], area)).tolist()
    kept: list[int] = []
    for one in np.argsort(-confidences, kind="stable").tolist():
        if not any(falls[better][one] for better in kept):
            kept.append(one)
    return np.asarray(kept, np.int64)


def similarity(source: Floats, target: Floats) -> Floats64:
    """Return the similarity transform that takes points nearest to others.

    Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point
    Patterns", IEEE PAMI 13 (1991), for two dimensions, where turning and scaling are
    one complex factor; mirroring is not allowed.

    Args:
        source: (n, 2) points, not all the same.
        target: (n, 2), where each should go.

    Returns:
        float64 (2, 3): the matrix and, in the last column, the shift.
    """
    before, after = (points.astype(np.float64) @ (1, 1j) for points in (source, target))
    centred = before - before.mean()
    factor = np.vdot(centred, after - after.mean()) / np.vdot(centred, centred)
    shift = after.mean() - factor * before.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )


class Octaves:
    """An image and its halvings, for cutting small patches cheaply and without aliasing.

    A patch is read from the octave in which it is shrunk by less than two, so that
    bilinear interpolation sees every pixel. Octaves are made when first needed.
    """

    def __init__(self, image: Image) -> None:
        self._octaves = [image]

    @property
    def image(self) -> Image:
        """The image at full size."""
        return self._octaves[0]

    def resized(self, width: int, height: int) -> Image:
        """Return the whole image at another size, uint8 (height, width, 3)."""
        source, _ = self.octave(self.image.shape[1] / width)
        return cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]

    def cut(self, box: Box, size: int, *, replicate: bool = False) -> Image:
        """Cut a box and resize it to a square.

        Args:
            box: in pixels of the image; it may reach beyond it. The result is
                undistorted only if the box is square.
            size: side of the result in pixels.
            replicate: beyond the border, repeat the outermost pixels (else black).

        Returns:
            uint8 (size, size, 3).
        """
        x, y = box.width / size, box.height / size
        return self._sampled((x, 0.0, box.x0, 0.0, y, box.y0), max(x, y), size, replicate)

    def patches(self, boxes: Floats, size: int) -> tuple[Image, Floats]:
        """Cut many squares, each along pixels of the octave it is read from.

        Args:
            boxes: float32 (n, 4), squares, in pixels of the image; they may reach beyond it.
            size: side of each result in pixels.

        Returns:
            uint8 (n, size, size, 3), black beyond the border, and the squares that were cut,
            float32 (n, 4): their corners lie up to half a pixel of the octave elsewhere.
        """
        shrink = np.maximum((boxes[:, 2] - boxes[:, 0]) / np.float32(size), np.float32(1))
        exponents = (np.log2(shrink) + np.float32(1e-6)).astype(np.int64).tolist()
        octaves = {one: self.octave(2.0**one) for one in set(exponents)}
        scale = np.array([octaves[one][1] for one in exponents], np.float32)[:, None]
        corners = np.rint(boxes[:, :2] * scale)
        sides = np.maximum(np.rint((boxes[:, 2:3] - boxes[:, :1]) * scale), np.float32(1))
        squares: Floats = np.concatenate((corners, corners + sides), axis=1)
        cut, beyond = np.empty((len(boxes), size, size, 3), np.uint8), []
        for number, (x0, y0, x1, y1) in enumerate(squares.tolist()):
            source = octaves[exponents[number]][0]
            if x0 >= 0 and y0 >= 0 and x1 <= source.shape[1] and y1 <= source.shape[0]:
                part = source[int(y0) : int(y1), int(x0) : int(x1)]
                cv2.resize(part, (size, size), cut[number], interpolation=cv2.INTER_LINEAR)
            else:
                beyond.append(number)
        squares /= scale
        for number in beyond:
            cut[number] = self.cut(Box(*squares[number].tolist()), size)
        return cut, squares

    def align(self, points: Floats, template: Floats, size: int) -> Image:
        """Cut a patch in which points of the image come to lie on a template.

        The patch is turned, scaled and shifted, but not sheared: the least-squares
        similarity transform. Beyond the border the outermost pixels are repeated.

        Args:
            points: float32 (n, 2), pixels of the image.
            template: float32 (n, 2), where they belong, pixels of the patch.
            size: side of the patch.

        Returns:
            uint8 (size, size, 3).
        """
        (a, b, x), (c, d, y) = similarity(template, points).tolist()
        return self._sampled((a, b, x, c, d, y), math.hypot(a, c), size, True)

    def _sampled(
        self, to_image: tuple[float, ...], shrink: float, size: int, replicate: bool
    ) -> Image:
        """A square patch whose coordinates a 2x3 matrix takes to those of the image."""
        source, scale = self.octave(shrink)
        a, b, x, c, d, y = (value * scale for value in to_image)
        # OpenCV's coordinates are those of pixel centres.
        matrix = np.array(((a, b, x + (a + b - 1) / 2), (c, d, y + (c + d - 1) / 2)))
        return cv2.warpAffine(  # type: ignore[return-value]
            source,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT,
        )

    def octave(self, shrink: float) -> tuple[Image, float]:
        """Return the octave to read from for a wanted reduction, and its scale."""
        wanted = int(math.log2(max(shrink, 1.0)) + 1e-6)
        while len(self._octaves) <= wanted:
            last = self._octaves[-1]
            if min(last.shape[:2]) < 2 * _SMALLEST_OCTAVE_PX:
                break
            # An odd last row or column is dropped so that the scale is 1/2 exactly.
            even = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2]
            half = cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            self._octaves.append(half)  # type: ignore[arg-type]
        level = min(wanted, len(self._octaves) - 1)
        return self._octaves[level], 0.5**level
