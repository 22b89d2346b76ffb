"""Real inputs for each network: squares out of the committed portraits, at its size.

The same squares serve to compare a folded graph with its original and a rebuilt
file with the committed one. They are cut on a grid, with faces and without,
because a detector's networks must agree on both.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from .graphs import Array
from .networks import Network
from .photos import Pixels, portraits, read

OPEN_SIZE_PX = 97  # for a network whose size is open; odd, so that pooling has an edge to get wrong


def inputs(network: Network, paths: list[Path] | None = None) -> Iterator[Array]:
    """Inputs as the runtime would prepare them, float32 (1, size, size, 3)."""
    for path in paths or portraits():
        for square in squares(read(path)):
            yield prepare(network, square)


def squares(image: Pixels) -> Iterator[Pixels]:
    """The central square of a photograph and its four quarters."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left, half = (height - side) // 2, (width - side) // 2, side // 2
    yield image[top : top + side, left : left + side]
    for y in (top, top + half):
        for x in (left, left + half):
            yield image[y : y + half, x : x + half]


def prepare(network: Network, square: Pixels) -> Array:
    """A square of pixels, resized and prepared as the network's contract asks."""
    side = network.input_shape[1] or OPEN_SIZE_PX
    resized = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    pixels = np.asarray(resized, np.float32)[np.newaxis]
    return pixels if isinstance(network.input_range, tuple) else standardised(pixels)


def standardised(pixels: Array) -> Array:
    """(x - mean) / max(std, 1/sqrt(n)) over the whole image, in float32."""
    deviation = max(float(pixels.std()), pixels.size**-0.5)
    return np.asarray((pixels - pixels.mean()) / np.float32(deviation), np.float32)
