"""Which face in this frame is which face in the last one.

A track is one face followed from frame to frame: a visit. Association is greedy, by
overlap first and by nearness second, which is enough for the few faces at a door.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lockd.types import Box, Face
from lockd.vision.geometry import iou

_LEAST_IOU = 0.2
_FARTHEST = 0.6  # between centres, in sides of the box, for fast movers at low frame rates
_LARGEST_GROWTH = 1.8


@dataclass(slots=True)
class Track:
    """One face over time.

    Attributes:
        id: never used again in this process.
        since: when it was first seen, monotonic seconds.
        seen: when it was last seen.
        box: where it was then.
        shift: how far its centre moved since it was seen before, pixels a second.
    """

    id: int
    since: float
    seen: float
    box: Box
    shift: tuple[float, float] = (0.0, 0.0)


class Tracker:
    """Follows faces; a track ends when its face was not seen for a while."""

    def __init__(self, *, gap_s: float) -> None:
        self._gap_s = gap_s
        self._tracks: list[Track] = []
        self._next_id = 1
        self._updated = -math.inf

    @property
    def count(self) -> int:
        """How many faces are followed, seen in the last frame or not."""
        return len(self._tracks)

    def expected(self, now: float) -> list[Box]:
        """Return where the faces of the last frame should be by now."""
        return [_moved(track, now) for track in self._tracks if track.seen == self._updated]

    def update(self, faces: list[Face], now: float) -> list[tuple[Track, Face]]:
        """Give every face of a frame its track, a new one where none fits."""
        pairs = sorted(
            (
                (_likeness(track.box, face.box), -track.id, -index)
                for track in self._tracks
                for index, face in enumerate(faces)
            ),
            reverse=True,
        )
        self._updated = now
        by_id = {track.id: track for track in self._tracks}
        given: dict[int, Track] = {}
        for likeness, minus_id, minus_index in pairs:
            if likeness > 0 and -minus_id in by_id and -minus_index not in given:
                given[-minus_index] = by_id.pop(-minus_id)
        return [(self._seen(given.get(index), face, now), face) for index, face in enumerate(faces)]

    def ended(self, now: float) -> list[Track]:
        """Remove and return the tracks whose face has been gone for too long."""
        gone = [track for track in self._tracks if now - track.seen > self._gap_s]
        self._tracks = [track for track in self._tracks if now - track.seen <= self._gap_s]
        return gone

    def end_all(self) -> list[Track]:
        """Remove and return every track, at the end of a source."""
        gone, self._tracks = self._tracks, []
        return gone

    def _seen(self, track: Track | None, face: Face, now: float) -> Track:
        if track is None:
            track = Track(self._next_id, since=now, seen=now, box=face.box)
            self._next_id += 1
            self._tracks.append(track)
        elif now > track.seen:
            (x0, y0), (x1, y1), took = track.box.centre, face.box.centre, now - track.seen
            track.shift = (x1 - x0) / took, (y1 - y0) / took
        track.seen, track.box = now, face.box
        return track


def _moved(track: Track, now: float) -> Box:
    """A track's box, moved as it moved before, but by no more than half its side."""
    box, most = track.box, max(track.box.width, track.box.height) / 2
    x, y = (max(-most, min(most, one * (now - track.seen))) for one in track.shift)
    return Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)


def _likeness(before: Box, after: Box) -> float:
    """How well two boxes of one face fit: over 0 they may, and overlap beats nearness."""
    overlap = iou(before, after)
    if overlap >= _LEAST_IOU:
        return 1.0 + overlap
    side = max(before.width, before.height)
    growth = max(after.width, after.height) / max(side, 1e-6)
    (x0, y0), (x1, y1) = before.centre, after.centre
    distance = math.hypot(x1 - x0, y1 - y0) / max(side, 1e-6)
    if distance > _FARTHEST or not (1 / _LARGEST_GROWTH <= growth <= _LARGEST_GROWTH):
        return 0.0
    return 1.0 - distance
