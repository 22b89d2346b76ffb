"""Find faces: the P-Net / R-Net / O-Net cascade.

Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task
Cascaded Convolutional Networks", IEEE Signal Processing Letters 23 (2016).

P-Net slides over an image pyramid and proposes boxes, R-Net refuses most of them,
O-Net refuses more and finds five landmarks. Every network here takes raw 0..255
BGR pixels and answers with one tensor: a face logit (the logit of "face" less that
of "no face"), four offsets of the box's corners in units of its sides and, from
O-Net, five (x, y) landmarks in units of the box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lockd.types import Box, Face, Floats, Image
from lockd.vision.geometry import Octaves, iou, squared, suppress, suppress_nested
from lockd.vision.models import Models, Network

Cells: TypeAlias = tuple[NDArray[np.intp], ...]

_Part: TypeAlias = tuple[int, int, int, int]
"""x, y, width and height in pixels of a level."""

_CELL_PX = 12  # P-Net's window
_STRIDE_PX = 2  # and how far apart its windows lie
_FACTOR = 0.709  # between two levels of the pyramid: half the area
_MOST_WINDOWS = 16_384  # of all levels: suppression takes the square of it
_RNET_BATCH = 8  # several threads share a batch
_TOUCHING_PX = 18  # of a level, around what is looked at: a window and half of one
_PART_PX = 32  # sides of a part of a level are multiples of this
_NEARBY = np.array(
    [
        (0.0, 0.0, 1.0),
        (0.0, 0.0, 1.25),
        (0.0, 0.0, 0.8),
        (-0.2, 0.0, 1.0),
        (0.2, 0.0, 1.0),
        (0.0, -0.2, 1.0),
        (0.0, 0.2, 1.0),
        (0.0, 0.1, 1.1),
    ],
    np.float32,
)
"""Where a face is looked for around where it is expected: shift and size, in sides of the box."""
_FOLLOWED_BOXES = 2  # of those left of these, that O-Net sees
TILE_PX = 384  # the most of a level that P-Net sees at once, each way: it takes 0.2 kB a pixel
KEPT_PX = 2**20  # of P-Net interpreters kept for other image sizes; more than any one needs


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least confidence, 0..1, that a box needs to leave each stage."""

    pnet: float = 0.7
    rnet: float = 0.7
    onet: float = 0.8


class Detector:
    """MTCNN with the networks of a `Models` folder. Not for use by two threads at once."""

    def __init__(
        self,
        models: Models,
        *,
        min_face_px: int = 60,
        threads: int = 1,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Build the networks.

        Args:
            min_face_px: side of the smallest face looked for; the time grows with
                its inverse square.
            threads: that the runtime may use for each network.
            thresholds: of the three stages.
        """
        self.min_face_px = min_face_px
        self._models = models
        self._threads = threads
        self._thresholds = thresholds or Thresholds()
        names = models.manifest["detector"]
        self._pnet_name: str = names["pnet"]
        self._pnets: dict[tuple[int, int], Network] = {}
        patch = models.manifest["networks"][names["rnet"]]["input"]["shape"][1:]
        self._rnets = [
            models.network(names["rnet"], (batch, *patch), threads=threads)
            for batch in (_RNET_BATCH, 1)
        ]
        self._onet = models.network(names["onet"], threads=threads)

    def detect(self, image: Image) -> list[Face]:
        """Find the faces in an image.

        Args:
            image: uint8 (height, width, 3), BGR.

        Returns:
            Faces in pixels of the image, the largest first.
        """
        return self.detect_in(Octaves(image))

    def detect_in(self, octaves: Octaves, within: Box | None = None) -> list[Face]:
        """Like `detect`, for a caller that goes on to cut patches from the same image.

        Args:
            octaves: of the image.
            within: look for faces of which a part lies in this one, in pixels of the image.
        """
        boxes = self._propose(octaves, within)
        if len(boxes):
            boxes = self._refine(octaves, boxes)
        faces = self._judge(octaves, boxes) if len(boxes) else []
        return sorted(faces, key=lambda face: -face.box.width * face.box.height)

    def follow(self, octaves: Octaves, boxes: Sequence[Box]) -> list[Face | None]:
        """Find faces near where they are expected, without a search: R-Net and O-Net alone.

        Args:
            octaves: of the image.
            boxes: where each face is expected, in pixels of the image.

        Returns:
            The face near each box, or None where there is none.
        """
        return [self._near(octaves, box) for box in boxes]

    def _near(self, octaves: Octaves, box: Box) -> Face | None:
        expected = squared(np.array([[box.x0, box.y0, box.x1, box.y1]], np.float32))
        side, centre = expected[0, 2] - expected[0, 0], (expected[0, :2] + expected[0, 2:]) / 2
        if not (np.isfinite(expected).all() and side > 1):
            return None
        shifted = centre + _NEARBY[:, :2] * side
        half = _NEARBY[:, 2:] * (side / 2)
        boxes = self._refine(octaves, np.concatenate((shifted - half, shifted + half), axis=1))
        faces = self._judge(octaves, boxes[:_FOLLOWED_BOXES]) if len(boxes) else []
        return max(faces, key=lambda face: iou(face.box, box), default=None)

    def _propose(self, octaves: Octaves, within: Box | None) -> Floats:
        """P-Net over the pyramid: square boxes, float32 (n, 4)."""
        height, width = octaves.image.shape[:2]
        found: list[_Windows] = []
        scale, number = _CELL_PX / self.min_face_px, 0
        while min(height, width) * scale >= _CELL_PX:
            level = octaves.resized(math.ceil(width * scale), math.ceil(height * scale))
            # By the level's true size, which was rounded up.
            stretch = width / level.shape[1], height / level.shape[0]
            part = _whole(level) if within is None else _part(level, within, stretch)
            found += [_Windows(*some, *stretch, number) for some in self._windows(level, part)]
            scale, number = scale * _FACTOR, number + 1
        boxes, answers, levels = _located(found)
        kept = suppress(boxes, answers[:, 0], 0.5, levels)
        boxes, answers = boxes[kept], answers[kept]
        kept = suppress(boxes, answers[:, 0], 0.6)
        return squared(_moved(boxes[kept], answers[kept, 1:]))

    def _windows(self, level: Image, part: _Part) -> Iterator[tuple[int, int, Cells, Floats]]:
        """P-Net over a part of a level, by tiles: a tile's x and y, likely cells, their answers."""
        limit = _logit(self._thresholds.pnet)
        x0, y0, width, height = part
        for y in tile_starts(height):
            for x in tile_starts(width):
                right, bottom = (
                    min(x0 + x + TILE_PX, x0 + width),
                    min(y0 + y + TILE_PX, y0 + height),
                )
                tile = level[y0 + y : bottom, x0 + x : right]
                answer = self._pnet(tile)(tile[None])[0]
                cells = np.nonzero(answer[..., 0] >= limit)
                if len(cells[0]):
                    yield x0 + x, y0 + y, cells, answer[cells]

    def _refine(self, octaves: Octaves, boxes: Floats) -> Floats:
        """R-Net: the boxes that still look like faces, squared, float32 (n, 4)."""
        answers = _answers(self._rnets, octaves, boxes, 5)
        likely = answers[:, 0] >= _logit(self._thresholds.rnet)
        boxes, answers = boxes[likely], answers[likely]
        kept = suppress(boxes, answers[:, 0], 0.6)
        return squared(_moved(boxes[kept], answers[kept, 1:5]))

    def _judge(self, octaves: Octaves, boxes: Floats) -> list[Face]:
        """O-Net: the faces, with landmarks."""
        answers = _answers([self._onet], octaves, boxes, 15)
        likely = answers[:, 0] >= _logit(self._thresholds.onet)
        boxes, answers = boxes[likely], answers[likely]
        sides = boxes[:, 2:] - boxes[:, :2]
        landmarks = boxes[:, None, :2] + answers[:, 5:].reshape(-1, 5, 2) * sides[:, None]
        final = _moved(boxes, answers[:, 1:5])
        return [
            Face(
                box=Box(*(float(value) for value in final[index])),
                landmarks=landmarks[index],
                confidence=1.0 / (1.0 + math.exp(-float(answers[index, 0]))),
            )
            for index in suppress_nested(final, answers[:, 0], 0.7)
        ]

    def _pnet(self, level: Image) -> Network:
        """Return P-Net for a level's shape, built once for each."""
        shape = level.shape[0], level.shape[1]
        network = self._pnets.pop(shape, None)
        if network is None:
            network = self._models.network(self._pnet_name, (1, *shape, 3), threads=self._threads)
            while self._pnets and sum(map(math.prod, self._pnets)) > KEPT_PX:
                self._pnets.pop(next(iter(self._pnets)))
        self._pnets[shape] = network  # the most recently used is the last
        return network


def _whole(level: Image) -> _Part:
    return 0, 0, level.shape[1], level.shape[0]


def _part(level: Image, within: Box, stretch: tuple[float, float]) -> _Part:
    """The part of a level in which windows lie that touch a box, and not much more.

    It begins where a window of the whole level begins, so that its windows are among those, and
    its sides are of few lengths, for a network is built for each.
    """
    sides = []
    for low, high, pixels, length in (
        (within.x0, within.x1, stretch[0], level.shape[1]),
        (within.y0, within.y1, stretch[1], level.shape[0]),
    ):
        first = max(0, math.floor(low / pixels) - _TOUCHING_PX)
        last = min(length, math.ceil(high / pixels) + _TOUCHING_PX)
        size = math.ceil(max(last - first, _CELL_PX) / _PART_PX) * _PART_PX
        start = max(0, min(first, length - size)) // _STRIDE_PX * _STRIDE_PX
        sides.append((start, min(size, length)))
    (x, width), (y, height) = sides
    return x, y, width, height


class _Windows(NamedTuple):
    """P-Net's windows in one tile of a level that are likely enough.

    Attributes:
        x: where the tile begins, in pixels of the level; y as well.
        cells: rows and columns of the answer.
        answers: float32 (n, 5), logit and offsets.
        stretch_x: the image's pixels in one of the level's; stretch_y as well.
        level: its number.
    """

    x: int
    y: int
    cells: Cells
    answers: Floats
    stretch_x: float
    stretch_y: float
    level: int


def _located(found: list[_Windows]) -> tuple[Floats, Floats, Floats]:
    """Boxes in pixels of the image, float32 (n, 4), their answers (n, 5), and levels (n,)."""
    if not found:
        return np.empty((0, 4), np.float32), np.empty((0, 5), np.float32), np.empty(0, np.float32)
    answers = np.concatenate([one.answers for one in found])
    tiles = np.array([(one.x, one.y, one.stretch_x, one.stretch_y, one.level) for one in found])
    tiles = tiles.astype(np.float32).repeat([len(one.answers) for one in found], axis=0)
    rows, columns = (
        np.concatenate(part) for part in zip(*(one.cells for one in found), strict=True)
    )
    corner = np.stack((columns, rows), axis=1) * np.float32(_STRIDE_PX) + tiles[:, :2]
    boxes = np.concatenate((corner, corner + _CELL_PX), axis=1) * tiles[:, (2, 3, 2, 3)]
    finite = np.isfinite(answers).all(axis=1)
    boxes, answers, levels = boxes[finite], answers[finite], tiles[finite, 4]
    if len(boxes) > _MOST_WINDOWS:  # a picture can be full of faces
        best = np.argpartition(-answers[:, 0], _MOST_WINDOWS)[:_MOST_WINDOWS]
        boxes, answers, levels = boxes[best], answers[best], levels[best]
    return boxes.astype(np.float32), answers, levels


def tile_starts(side: int) -> list[int]:
    """Where tiles begin along a side, so that every window lies in one."""
    step = TILE_PX - _CELL_PX + _STRIDE_PX
    most = max(0, side - TILE_PX)
    return [min(start, most) for start in range(0, max(1, most + step), step)]


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _moved(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes with their corners moved by offsets in units of their sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * sides[:, (0, 1, 0, 1)]


def _answers(networks: list[Network], octaves: Octaves, boxes: Floats, channels: int) -> Floats:
    """Run a network on the patch of each box: float32 (n, channels).

    An answer with anything not finite in it is no face: its logit is NaN.

    Args:
        networks: one and the same, built for batches of several sizes, the largest first and one
            last: so no patch is judged that is not there.
    """
    patches = octaves.patches(boxes, networks[0].input_shape[1])
    answers = np.empty((len(boxes), channels), np.float32)
    done = 0
    for network in networks:
        batch = network.input_shape[0]
        while len(boxes) - done >= batch:
            some = slice(done, done + batch)
            answers[some] = network(patches[some]).reshape(batch, -1)
            done += batch
    answers[~np.isfinite(answers).all(axis=1), 0] = np.nan
    return answers
