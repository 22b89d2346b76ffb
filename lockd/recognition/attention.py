"""How closely to look at a frame: not at all, near the faces known, or everywhere.

    nothing moves, nobody there    STILL     a full search every `still_search_s`
    something moved                SEARCHED  where it moved, and for a second after
    faces were there a moment ago  FOLLOWED  near where they are expected; a full search for
                                             newcomers every `follow_search_s`, and at once when
                                             one of them is not found

Who is challenged is searched for in every frame: what they do there opens the door.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lockd.identity.observation import Effort
from lockd.types import Box, Face, Frame
from lockd.vision.change import Change, ChangeGate
from lockd.vision.geometry import Octaves, iou
from lockd.vision.mtcnn import Detector

_LINGER_S = 1.0  # what stopped moving may be found only now
_ONE_FACE = 0.4  # of intersection over union
_WORTH_IT = 0.5  # a larger part of the picture costs about as much as all of it


@dataclass(frozen=True, slots=True)
class Look:
    """What looking at a frame came to.

    Attributes:
        faces: found, in pixels of the frame.
        effort: how.
        change: what the change gate said of the frame; None where it was not asked.
    """

    faces: list[Face]
    effort: Effort
    change: Change | None = None


class Attention:
    """Looks at the frames of one camera, as closely as each is worth.

    Args:
        detector: finds faces.
        still_search_s: how often a picture in which nothing moves is searched; 0 searches all.
        follow_search_s: how often it is searched while faces are followed; 0 follows none.
    """

    def __init__(
        self, detector: Detector, *, still_search_s: float, follow_search_s: float
    ) -> None:
        self._detector = detector
        self._still_search_s = still_search_s
        self._follow_search_s = follow_search_s
        self._gate = ChangeGate(detector.min_face_px)
        self._searched_at = float("-inf")
        self._moved: deque[tuple[float, Box]] = deque()

    def look(
        self,
        octaves: Octaves,
        frame: Frame,
        expected: list[Box],
        *,
        missing: bool = False,
        closely: bool = False,
    ) -> Look:
        """Find the faces of a frame.

        Args:
            octaves: of the frame.
            frame: later than every one before.
            expected: where the faces of the frame before should be in this one.
            missing: whether a face was there a moment ago and may be again.
            closely: search everywhere, and follow nobody.
        """
        change = self._gate.compare(octaves) if self._still_search_s else None
        if change is not None and change.where is not None:
            self._moved.append((frame.t, change.where))
        while self._moved and frame.t - self._moved[0][0] > _LINGER_S:
            self._moved.popleft()
        faces, effort = None, Effort.FOLLOWED
        if not (closely or missing):
            age = frame.t - self._searched_at
            if expected and age < self._follow_search_s:
                faces = self._followed(octaves, expected)
            elif not expected and change is not None and age < self._still_search_s:
                faces, effort = self._where_it_moved(octaves)
        if faces is None:
            faces, effort = self._everywhere(octaves, [] if closely else expected), Effort.SEARCHED
            self._searched_at = frame.t
        return Look(faces, effort, change)

    def _where_it_moved(self, octaves: Octaves) -> tuple[list[Face] | None, Effort]:
        """Search what moved of late; None if that is about everything."""
        if not self._moved:
            return [], Effort.STILL
        where = _around([box for _, box in self._moved])
        height, width = octaves.image.shape[:2]
        if where.width * where.height > _WORTH_IT * width * height:
            return None, Effort.SEARCHED
        faces = self._detector.detect_in(octaves, where)
        self._gate.searched(where)
        return faces, Effort.PARTLY

    def _everywhere(self, octaves: Octaves, expected: list[Box]) -> list[Face]:
        """Search, and look nearer where a face should be that the search does not find."""
        faces = self._detector.detect_in(octaves)
        self._gate.searched()
        unseen = [box for box in expected if not _known(box, faces)]
        if unseen and self._follow_search_s:
            for face in self._detector.follow(octaves, unseen):
                if face is not None and not _known(face.box, faces):
                    faces.append(face)
        return faces

    def _followed(self, octaves: Octaves, expected: list[Box]) -> list[Face] | None:
        """Each expected face near where it is expected; None if one is not there."""
        found: list[Face] = []
        for face in self._detector.follow(octaves, expected):
            if face is None or _known(face.box, found):
                return None
            found.append(face)
        return found


def _known(box: Box, faces: list[Face]) -> bool:
    return any(iou(box, face.box) > _ONE_FACE for face in faces)


def _around(boxes: list[Box]) -> Box:
    """The box that encloses some boxes."""
    return Box(
        min(box.x0 for box in boxes),
        min(box.y0 for box in boxes),
        max(box.x1 for box in boxes),
        max(box.y1 for box in boxes),
    )
