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
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lockd.types import Box, Face, Floats, Image
from lockd.vision.geometry import Octaves, iou, squared, suppress, suppress_nested
from lockd.vision.models import Models, Network

_Found: TypeAlias = tuple[NDArray[np.intp], Floats, tuple[float, ...]]
"""Of a tile: P-Net's likely cells, numbered row by row, its answers there (n, 5), and how many
columns it has, where it begins in the level, x and y, and the image's pixels in one of the
level's, across and down."""

_Part: TypeAlias = tuple[int, int, int, int]
"""x, y, width and height in pixels of a level."""

_CELL_PX = 12  # P-Net's window
_STRIDE_PX = 2  # and how far apart its windows lie
_FACTOR = 0.709  # between two levels of the pyramid: half the area
_PNET_OVERLAP = 0.6  # a box that overlaps a better one by more falls: intersection over union
_RNET_OVERLAP = 0.8
_ONET_OVERLAP = 0.7  # over the smaller
_MOST_WINDOWS = 16_384  # of all levels: suppression takes the square of it
_RNET_BATCHES = (8, 4, 2, 1)  # of 28 patches a batch of eight takes 0.6 of the time of each alone
_ONET_BATCHES = (4, 2, 1)
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
        wanted = thresholds or Thresholds()
        self._likely, self._rnet_likely, self._onet_likely = map(
            _logit, (wanted.pnet, wanted.rnet, wanted.onet)
        )
        names = models.manifest["detector"]
        self._pnet_name: str = names["pnet"]
        self._pnets: dict[tuple[int, int], Network] = {}
        self._rnets = self._for_batches(names["rnet"], _RNET_BATCHES)
        self._onets = self._for_batches(names["onet"], _ONET_BATCHES)

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
        found: list[_Found] = []
        scale = _CELL_PX / self.min_face_px
        while min(height, width) * scale >= _CELL_PX:
            level = octaves.resized(math.ceil(width * scale), math.ceil(height * scale))
            # By the level's true size, which was rounded up.
            stretch = width / level.shape[1], height / level.shape[0]
            part = _whole(level) if within is None else _part(level, within, stretch)
            for x, y, tile in _tiles(level, part):
                answer = self._pnet(tile)(tile[None])[0]
                columns, answer = answer.shape[1], answer.reshape(-1, 5)
                likely = (answer[:, 0] >= self._likely).nonzero()[0]
                if len(likely):
                    found.append((likely, answer[likely], (columns, x, y, *stretch)))
            scale *= _FACTOR
        if not found:
            return np.empty((0, 4), np.float32)
        return _best(*_located(found), _PNET_OVERLAP)

    def _refine(self, octaves: Octaves, boxes: Floats) -> Floats:
        """R-Net: the boxes that still look like faces, squared, float32 (n, 4)."""
        boxes, answers = _answers(self._rnets, octaves, boxes, 5)
        likely = answers[:, 0] >= self._rnet_likely
        return _best(boxes[likely], answers[likely], _RNET_OVERLAP)

    def _judge(self, octaves: Octaves, boxes: Floats) -> list[Face]:
        """O-Net: the faces, with landmarks."""
        boxes, answers = _answers(self._onets, octaves, boxes, 15)
        likely = answers[:, 0] >= self._onet_likely
        boxes, answers = boxes[likely], answers[likely]
        sides = boxes[:, None, 2:] - boxes[:, None, :2]
        landmarks = boxes[:, None, :2] + answers[:, 5:].reshape(-1, 5, 2) * sides
        final = _moved(boxes, answers[:, 1:5])
        return [
            Face(
                box=Box(*final[index].tolist()),
                landmarks=landmarks[index],
                confidence=1.0 / (1.0 + math.exp(-float(answers[index, 0]))),
            )
            for index in suppress_nested(final, answers[:, 0], _ONET_OVERLAP)
        ]

    def _for_batches(self, name: str, sizes: Sequence[int]) -> list[Network]:
        patch = self._models.manifest["networks"][name]["input"]["shape"][1:]
        return [self._models.network(name, (size, *patch), threads=self._threads) for size in sizes]

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


def _tiles(level: Image, part: _Part) -> Iterator[tuple[int, int, Image]]:
    """A part of a level by tiles: where each begins, and its pixels."""
    x0, y0, width, height = part
    for y in tile_starts(height):
        bottom = min(y0 + y + TILE_PX, y0 + height)
        for x in tile_starts(width):
            right = min(x0 + x + TILE_PX, x0 + width)
            yield x0 + x, y0 + y, level[y0 + y : bottom, x0 + x : right]


def _located(found: list[_Found]) -> tuple[Floats, Floats]:
    """Windows in pixels of the image, float32 (n, 4), and P-Net's answers to them (n, 5)."""
    cells = np.concatenate([likely for likely, _, _ in found])
    answers = np.concatenate([answer for _, answer, _ in found])
    places = np.array([place for _, _, place in found])
    columns, x, y, across, down = places.repeat([len(one) for one, _, _ in found], axis=0).T
    rows = cells // columns
    boxes = np.empty((len(cells), 4), np.float32)
    boxes[:, 0] = x + _STRIDE_PX * (cells - rows * columns)
    boxes[:, 1] = y + _STRIDE_PX * rows
    boxes[:, 2:] = boxes[:, :2] + np.float32(_CELL_PX)
    boxes[:, ::2] *= across[:, None]
    boxes[:, 1::2] *= down[:, None]
    if not np.isfinite(answers).all():
        finite = np.isfinite(answers).all(axis=1)
        boxes, answers = boxes[finite], answers[finite]
    if len(boxes) > _MOST_WINDOWS:  # a picture can be full of faces
        best = np.argpartition(-answers[:, 0], _MOST_WINDOWS)[:_MOST_WINDOWS]
        boxes, answers = boxes[best], answers[best]
    return boxes, answers


def _best(boxes: Floats, answers: Floats, limit: float) -> Floats:
    """Move boxes as a network says; return those that no better one lies on, squared.

    They are suppressed by where they come to lie: the windows of one face end up on each other,
    those of one level as well as those of two.

    Args:
        boxes: float32 (n, 4).
        answers: (n, 5), a logit and the offsets of each.
        limit: of intersection over union.
    """
    moved = _moved(boxes, answers[:, 1:])
    return squared(moved[suppress(moved, answers[:, 0], limit)])


def tile_starts(side: int) -> list[int]:
    """Where tiles begin along a side, so that every window lies in one."""
    step = TILE_PX - _CELL_PX + _STRIDE_PX
    most = max(0, side - TILE_PX)
    return [min(start, most) for start in range(0, max(1, most + step), step)]


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _moved(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes with their corners moved by offsets in units of their sides."""
    corners = boxes.reshape(-1, 2, 2)
    sides = corners[:, 1:] - corners[:, :1]
    moved: Floats = (corners + offsets.reshape(-1, 2, 2) * sides).reshape(-1, 4)
    return moved


def _answers(
    networks: list[Network], octaves: Octaves, boxes: Floats, channels: int
) -> tuple[Floats, Floats]:
    """Run a network on the patch of each box.

    An answer with anything not finite in it is no face: its logit is NaN.

    Args:
        networks: one and the same, built for batches of several sizes, the largest first and one
            last: so no patch is judged that is not there.

    Returns:
        The boxes as they were cut, float32 (n, 4), and the answers, float32 (n, channels).
    """
    patches, boxes = octaves.patches(boxes, networks[0].input_shape[1])
    answers = np.empty((len(boxes), channels), np.float32)
    done = 0
    for network in networks:
        batch = network.input_shape[0]
        while len(boxes) - done >= batch:
            some = slice(done, done + batch)
            answers[some] = network(patches[some]).reshape(batch, -1)
            done += batch
    if not np.isfinite(answers).all():
        answers[~np.isfinite(answers).all(axis=1), 0] = np.nan
    return boxes, answers
