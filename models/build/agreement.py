"""How far lockd's cascade agrees with PyPI `mtcnn` on photographs.

Both are the same networks. They differ in how a photograph is shrunk, where
patches are cut from, in the weights' precision, and in how soon they give up.
"""

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass

import numpy as np

from lockd.types import Face
from lockd.vision.mtcnn import Detector

from .graphs import Array
from .photos import Pixels

SAME_FACE_IOU = 0.5
MIN_FACE_PX = 20

Detect = Callable[[Pixels], Array]


@dataclass(frozen=True)
class Agreement:
    """Faces of the reference, those found again, and how near they are.

    `iou` is (matched,); `landmark_error` is (matched,), the mean distance of the five
    points divided by the reference's distance between the eyes.
    """

    reference: int
    matched: int
    extra: int
    iou: Array
    landmark_error: Array

    def __str__(self) -> str:
        return (
            f"{self.matched} of {self.reference} faces found again, {self.extra} others; "
            f"IoU mean {self.iou.mean():.3f}, 5th percentile {np.percentile(self.iou, 5):.3f}; "
            f"landmark error mean {self.landmark_error.mean():.1%} of the eye distance, "
            f"95th percentile {np.percentile(self.landmark_error, 95):.1%}"
        )


def rows(faces: Iterable[Face]) -> Array:
    """Faces of lockd as rows (x0, y0, x1, y1, confidence, 5 x (x, y))."""
    table = [
        [*astuple(face.box), face.confidence, *face.landmarks.ravel().tolist()] for face in faces
    ]
    return np.asarray(table, np.float32).reshape(-1, 15)


def as_rows(detector: Detector) -> Detect:
    """The detector, answering in rows."""
    return lambda image: rows(detector.detect(image))


def agreement(
    found: Iterable[Array], reference: Iterable[Array], least_px: float = 0.0
) -> Agreement:
    """Compare faces photograph by photograph.

    Args:
        found: Rows of each photograph.
        reference: Rows of the same photographs.
        least_px: Reference faces whose longer side is shorter do not count.
    """
    ious: list[float] = []
    errors: list[float] = []
    total = others = 0
    for ours, theirs in zip(found, reference, strict=True):
        sides = (theirs[:, 2:4] - theirs[:, :2]).max(axis=1, initial=0.0)
        overlap = iou_matrix(theirs, ours)
        matches = best_matches(overlap)
        others += len(ours) - len(matches)
        total += int((sides >= least_px).sum())
        for i, j in matches:
            if sides[i] >= least_px:
                ious.append(float(overlap[i, j]))
                errors.append(landmark_error(ours[j], theirs[i]))
    return Agreement(
        total, len(ious), others, np.asarray(ious, np.float32), np.asarray(errors, np.float32)
    )


def iou_matrix(first: Array, second: Array) -> Array:
    """Intersection over union of every row of one table with every row of the other."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    common = np.maximum(high - low, 0).prod(axis=2)
    areas = [np.prod(table[:, 2:4] - table[:, :2], axis=1) for table in (first, second)]
    return np.asarray(common / (areas[0][:, None] + areas[1][None] - common), np.float32)


def best_matches(overlap: Array) -> list[tuple[int, int]]:
    """Pairs (row, column) that overlap enough, best first, each used once."""
    overlap = overlap.copy()
    matches = []
    while overlap.size and overlap.max() >= SAME_FACE_IOU:
        i, j = divmod(int(overlap.argmax()), overlap.shape[1])
        matches.append((i, j))
        overlap[i, :] = overlap[:, j] = 0.0
    return matches


def landmark_error(found: Array, reference: Array) -> float:
    """Mean distance of the five landmarks in units of the reference's eye distance."""
    ours, theirs = found[5:].reshape(5, 2), reference[5:].reshape(5, 2)
    eyes = float(np.linalg.norm(theirs[0] - theirs[1]))
    return float(np.linalg.norm(ours - theirs, axis=1).mean()) / eyes
