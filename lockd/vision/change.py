"""Has anything changed since it was looked at last? Asked of a small grey picture.

Brightness is taken as a logarithm, so that twice the light adds the same to every cell,
dark or bright. What a cell differs by from its surroundings is its detail: a cloud or an
exposure that drifts changes the light and leaves the detail. A cell has changed if its
detail is another than when that part of the picture was searched last, by more than the
cell's own noise explains; noise is learnt from one picture to the next, so that rain and a
swaying tree count for less. More light or less is a change of its own: a face that was too
dark to be found has the same detail once a lamp is on.

Everything is compared with what was *searched* last, not with the picture before: whoever
comes slowly adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lockd.types import Box, Floats
from lockd.vision.geometry import Octaves

_FACE_CELLS = 7  # at least so many across the smallest face looked for
_AROUND_CELLS = 15  # what a cell is compared with
_DARKEST = 8.0  # levels added to all: below, differences are noise of the sensor
_LEAST = 0.05  # of detail, in octaves of light: 3.5 %; less changes no face
_MOST = 0.35  # 27 %: noise never hides more than this
_TIMES_NOISE = 5.0
_NOISE_RATE = 0.05  # of what is learnt of it with every picture
_LIGHT = 0.25  # octaves: 19 %
_NEIGHBOURS = 5  # of a cell and the eight around it

_LEVELS = np.log2(np.arange(256, dtype=np.float32) + np.float32(_DARKEST))


@dataclass(frozen=True, slots=True)
class Change:
    """How a picture differs from what was searched.

    Attributes:
        where: the part that encloses all that changed, in pixels of the image; None if nothing did.
        share: of the picture's cells that changed, 0..1.
        noise: by how much a cell's detail usually changes from picture to picture, in octaves
            of light, the median of all.
    """

    where: Box | None
    share: float
    noise: float


@dataclass(slots=True)
class _Cells:
    """A small picture: octaves of light around each cell, and by how much it differs from that."""

    light: Floats
    detail: Floats


class ChangeGate:
    """Compares pictures of one camera with what was searched of them."""

    def __init__(self, min_face_px: int) -> None:
        """Know no picture yet.

        Args:
            min_face_px: side of the smallest face looked for.
        """
        self._shrink = 2.0 ** max(0, int(math.log2(max(1.0, min_face_px / _FACE_CELLS))))
        self._now: _Cells | None = None
        self._searched: _Cells | None = None
        self._noise = np.empty((0, 0), np.float32)
        self._scale = 1.0

    def compare(self, octaves: Octaves) -> Change:
        """Take a picture, and compare it.

        Args:
            octaves: of the picture; what is made of it here is used again by whoever searches.

        Returns:
            A change of the whole picture, where there is none to compare with.
        """
        cells, self._scale = self._cells(octaves)
        before, self._now = self._now, cells
        height, width = cells.light.shape
        if before is None or before.light.shape != cells.light.shape:
            self._searched = None
            self._noise = np.full((height, width), _LEAST / _TIMES_NOISE, np.float32)
        else:
            step = np.minimum(np.abs(cells.detail - before.detail), _MOST)
            self._noise += (step - self._noise) * np.float32(_NOISE_RATE)
        noise = float(np.median(self._noise))
        if self._searched is None:
            return Change(self._box(0, 0, width, height), 1.0, noise)
        changed = self._changed(cells, self._searched)
        rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return Change(None, 0.0, noise)
        box = self._box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        return Change(box, float(changed.mean()), noise)

    def searched(self, where: Box | None = None) -> None:
        """Note that the last picture was searched.

        Args:
            where: in which part; None for all of it.
        """
        if self._now is None:
            return
        if where is None or self._searched is None:
            self._searched = self._now
            return
        height, width = self._now.light.shape
        x0, y0 = (max(0, math.floor(side / self._scale)) for side in (where.x0, where.y0))
        x1 = min(width, math.ceil(where.x1 / self._scale))
        y1 = min(height, math.ceil(where.y1 / self._scale))
        part = slice(y0, y1), slice(x0, x1)
        light, detail = self._searched.light.copy(), self._searched.detail.copy()
        light[part], detail[part] = self._now.light[part], self._now.detail[part]
        self._searched = _Cells(light, detail)

    def _cells(self, octaves: Octaves) -> tuple[_Cells, float]:
        """The small picture of an image, and how many of its pixels a cell is wide."""
        small, scale = octaves.octave(self._shrink)
        levels = _LEVELS[cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)]
        light = np.asarray(cv2.blur(levels, (_AROUND_CELLS, _AROUND_CELLS)), np.float32)
        return _Cells(light, levels - light), 1.0 / scale

    def _changed(
        self, now: _Cells, before: _Cells
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        limit = np.clip(self._noise * np.float32(_TIMES_NOISE), _LEAST, _MOST)
        differs = np.abs(now.detail - before.detail) > limit
        # One cell alone is a raindrop; a face is several wide.
        count = cv2.boxFilter(differs.view(np.uint8), -1, (3, 3), normalize=False)
        lit = np.abs(now.light - before.light) > np.float32(_LIGHT)
        return np.asarray((count >= _NEIGHBOURS) | lit)

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        return Box(*(float(side) * self._scale for side in (x0, y0, x1, y1)))
