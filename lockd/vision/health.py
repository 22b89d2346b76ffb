"""Is the camera showing what is in front of it just now? Judged by its pictures alone.

**Frozen.** A sensor is never quiet: photons arrive at random and its amplifier adds
noise, so that no two pictures of one still scene agree in all their pixels. Strong
compression hides that for a while (a still region is "as before" until the next key
frame), but when it shows something new, that is not what it showed at some earlier
time. So a picture is *new* in a cell of an 8 x 6 grid if the cell's samples differ from
those of every picture remembered. A buffer that is handed out again and again, one
frame encoded anew, and a loop of frames are all old in every cell. A camera is frozen
when for a time fewer than a quarter of the cells showed anything new: a clock drawn
into the picture changes few. Cells that are black or white through and through are not
asked, since clipping removes the noise.

**Dark.** Even the brightest twentieth of the picture is hardly above black.

**Covered.** Whatever is before a door has edges; a lens with something on it sees a
smooth glow. Measured as the second difference of the picture shrunk to 32 x 24 and
averaged over a second, which leaves little of the noise, in parts of its brightness,
which the light of the day does not change.

**Garbled.** In a picture most pixels are like their neighbours; in bytes that are no
picture, or begin in the wrong place, they are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lockd.errors import CameraTrouble
from lockd.types import Floats, Image

_WIDTH, _HEIGHT = 128, 96  # samples of a picture, whatever its size
_COLUMNS, _ROWS = 8, 6  # cells
_SAMPLES = (_WIDTH // _COLUMNS) * (_HEIGHT // _ROWS)  # of a cell
_REMEMBERED = 512  # pictures: at 15 a second, loops of up to half a minute
_CLIPPED = (6.0, 249.0)  # mean of a cell whose noise may be clipped away
_LEAST_CELLS = 4
_NEW_PART = 0.25
_DARK_LUMA = 24.0
_COVERED_EDGE = 0.08  # of the brightness; photographs have over 0.4, a glow 0.04
_GARBLED_STEP = 35.0  # grey levels; photographs have up to 6, random bytes 85
_AVERAGE_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something must last to be a trouble, in seconds; 0 looks for none of it.

    Attributes:
        frozen_s: nothing new.
        covered_s: almost no light, or almost no structure.
        garbled_s: no picture.
    """

    frozen_s: float
    covered_s: float
    garbled_s: float


class Health:
    """Watches the pictures of one camera. Remembers them over interruptions."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._novelty = _Novelty()
        self._light = _Light()
        self._since: dict[CameraTrouble, float] = {}
        self.usable = True
        """Whether the last picture was one, and showed anything that none before it did."""

    def feed(self, image: Image, t: float) -> CameraTrouble | None:
        """Judge the next picture.

        Args:
            image: uint8 (height, width, 3), as it came from the camera.
            t: its time in seconds, no earlier than that of the picture before.

        Returns:
            What is wrong, or None.
        """
        samples = cv2.resize(image, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_NEAREST)
        green: Image = np.ascontiguousarray(samples[:, :, 1], np.uint8)
        wrong: dict[CameraTrouble, float] = {}
        if self._patience.garbled_s and _is_garbled(image):
            wrong[CameraTrouble.GARBLED] = self._patience.garbled_s
        if self._patience.covered_s and (cover := self._light.feed(green, t)):
            wrong[cover] = self._patience.covered_s
        self.usable = CameraTrouble.GARBLED not in wrong
        if self._patience.frozen_s:
            self.usable &= self._novelty.feed(green, t)
        self._since = {one: self._since.get(one, t) for one in wrong}
        for trouble, patience_s in wrong.items():
            if t - self._since[trouble] >= patience_s:
                return trouble
        if self._patience.frozen_s and self._novelty.is_stale(t - self._patience.frozen_s):
            return CameraTrouble.FROZEN
        return None


class _Novelty:
    """Which cells of the picture show something that they never showed before."""

    def __init__(self) -> None:
        # Sums of samples times fixed random numbers: equal for equal cells, and for others
        # once in thousands of millions. They stay below 2**53, so floats hold them exactly.
        # The second column counts each sample once, for the mean.
        weights = np.random.default_rng(20).integers(1, 2**32, (_SAMPLES, 1))
        self._weights = np.hstack([weights, np.ones_like(weights)]).astype(np.float64)
        self._seen = np.zeros((_REMEMBERED, _ROWS * _COLUMNS))
        self._count = 0
        self._new_at = np.full(_ROWS * _COLUMNS, -math.inf)
        self._asked = np.zeros(_ROWS * _COLUMNS, np.bool_)

    def feed(self, green: NDArray[np.uint8], t: float) -> bool:
        """Take a picture's samples, and return whether any cell is new."""
        grid = green.reshape(_ROWS, _HEIGHT // _ROWS, _COLUMNS, _WIDTH // _COLUMNS)
        cells = grid.swapaxes(1, 2).reshape(-1, _SAMPLES)
        digests, sums = (cells.astype(np.float64) @ self._weights).T
        seen = self._seen[: min(self._count, _REMEMBERED)]
        new = ~(seen == digests).any(axis=0)
        self._new_at[new] = t
        self._asked = (sums > _CLIPPED[0] * _SAMPLES) & (sums < _CLIPPED[1] * _SAMPLES)
        if new.any():
            self._seen[self._count % _REMEMBERED] = digests
            self._count += 1
        return bool(new.any())

    def is_stale(self, since: float) -> bool:
        """Whether too few of the cells that can be asked showed anything new since then."""
        asked = int(self._asked.sum())
        if asked < _LEAST_CELLS:
            return False
        return int((self._new_at > since)[self._asked].sum()) < _NEW_PART * asked


class _Light:
    """Light and structure of the picture, averaged over about a second."""

    def __init__(self) -> None:
        self._average: Floats | None = None
        self._t = 0.0

    def feed(self, green: NDArray[np.uint8], t: float) -> CameraTrouble | None:
        """Take a picture's samples, and return what they lack."""
        small = cv2.resize(green, (_WIDTH // 4, _HEIGHT // 4), interpolation=cv2.INTER_AREA)
        now: Floats = small.astype(np.float32)
        before = now if self._average is None else self._average
        weight = 1.0 - math.exp(-max(0.0, t - self._t) / _AVERAGE_S)
        average: Floats = before + np.float32(weight) * (now - before)
        self._average, self._t = average, t
        luma = _high(average)
        if luma < _DARK_LUMA:
            return CameraTrouble.DARK
        second = cv2.Laplacian(average, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)
        edges = np.abs(second, dtype=np.float32)
        return CameraTrouble.COVERED if _high(edges) < _COVERED_EDGE * luma else None


def _high(values: Floats) -> float:
    """What a twentieth of the values exceed."""
    place = values.size * 19 // 20
    return float(np.partition(values, place, axis=None)[place])


def _is_garbled(image: Image) -> bool:
    """Whether neighbouring pixels, in rows from all over the picture, differ widely."""
    rows = image[:: max(1, image.shape[0] // 16), :, 1].astype(np.int16)
    if rows.shape[1] < 2:
        return False
    return float(np.abs(np.diff(rows, axis=1)).mean()) > _GARBLED_STEP
