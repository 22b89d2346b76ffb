"""What the console's users see as it happens: the picture with who is in it, and the news.

The service's thread takes notes here, a reference and a few names for each frame; pictures
are scaled and encoded in the control socket's threads, when somebody asks, and only then.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockd.identity.evidence import Recognised, Stranger
from lockd.identity.observation import Observation, Sighting
from lockd.messages import Event
from lockd.ports import Observer
from lockd.types import Box, Frame, Image
from lockd.vision.pictures import around, encode_jpeg, smaller

LIVE_PX = 640
"""The longest side of a live picture."""
_LIVE_QUALITY = 72
_FACE_QUALITY = 92
_NEWS_KEPT = 500
_MOST_STRANGERS = 12
_MOST_VISITS = 64
_MARGIN = 0.8
_RATE_S = 10.0


@dataclass(slots=True)
class _Visit:
    """What a visit came to so far."""

    name: str | None = None
    similarity: float = math.nan
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class SeenStranger:
    """A stranger's face, for as long as the owner wants.

    Attributes:
        id: its number.
        t: when, on the service's clock.
        utc_s: when, seconds of the epoch.
        visit: of which visit.
        face: uint8 (height, width, 3), BGR, with a margin.
    """

    id: int
    t: float
    utc_s: float
    visit: int
    face: Image


class ConsoleWatch(Observer):
    """Notes for whoever looks."""

    def __init__(self, strangers_s: float) -> None:
        """Note nothing yet.

        Args:
            strangers_s: how long strangers' faces stay in memory; 0 keeps none.
        """
        self._strangers_s = strangers_s
        self._looked: tuple[Frame, Observation] | None = None
        self._visits: OrderedDict[int, _Visit] = OrderedDict()
        self._strangers: deque[SeenStranger] = deque(maxlen=_MOST_STRANGERS)
        self._numbers = 0
        self._frames: deque[float] = deque(maxlen=512)
        self._began = time.time_ns() // 1_000_000
        self._news: deque[tuple[int, Event]] = deque(maxlen=_NEWS_KEPT)
        self._changed = threading.Condition()

    def event(self, event: Event) -> None:
        """Take an event, and wake whoever waits for one."""
        with self._changed:
            last = self._news[-1][0] if self._news else self._began
            self._news.append((last + 1, event))
            self._changed.notify_all()

    def observed(self, frame: Frame, observation: Observation) -> None:
        """Take a frame that was judged."""
        self._looked = frame, observation
        self._frames.append(frame.t)
        for sighting in observation.sightings:
            if sighting.match is not None:
                visit = self._visit(sighting.visit)
                visit.similarity = sighting.match.similarity
                visit.name = sighting.match.person.name if sighting.match.person else None
        for verdict in observation.verdicts:
            if isinstance(verdict, Recognised):
                visit = self._visit(verdict.visit)
                visit.name, visit.verdict = verdict.person.name, "recognised"
            elif isinstance(verdict, Stranger):
                self._visit(verdict.visit).verdict = "stranger"
                self._keep(verdict.visit, frame, observation)
        self._forget(frame.t)

    def live(self, after: object, now: float) -> tuple[dict[str, Any], Image] | None:
        """Return what was seen last and its picture, or None if that is known already.

        Args:
            after: the number of the frame that whoever asks has.
            now: on the clock of the frames.
        """
        looked = self._looked
        if looked is None or looked[0].seq == after:
            return None
        frame, observation = looked
        height, width = frame.image.shape[:2]
        return {
            "seq": frame.seq,
            "age_s": round(max(0.0, now - frame.t), 3),
            "size": [width, height],
            "fps": self._rate(now),
            "faces": [self._told(one, width, height) for one in observation.sightings],
        }, frame.image

    def face(self, visit: object) -> Image | None:
        """Return the face of a visit in the last frame, of any with None; None if it is not there.

        It comes with so much around it that it can be found in it again.
        """
        if self._looked is None:
            return None
        frame, observation = self._looked
        if visit is None:
            return frame.image
        for sighting in observation.sightings:
            if sighting.visit == visit:
                return around(frame.image, sighting.face.box, _MARGIN)
        return None

    def strangers(self, now: float) -> list[SeenStranger]:
        """Return the strangers whose faces are still there, the last first."""
        self._forget(now)
        return list(reversed(self._strangers))

    def news(self, after: int, wait_s: float) -> tuple[int, list[Event]]:
        """Return what happened since, and the number of the last; wait for it if nothing did.

        Called by the control socket's threads. Numbers rise over restarts, too.

        Args:
            after: the number of the last that is known; negative for none, and for no wait.
            wait_s: how long to wait at most.
        """
        with self._changed:
            if after >= 0:
                self._changed.wait_for(lambda: self._last() > after, wait_s)
            found = [event for number, event in self._news if number > after]
            return self._last(), found

    def _last(self) -> int:
        return self._news[-1][0] if self._news else self._began

    def _visit(self, number: int) -> _Visit:
        visit = self._visits.setdefault(number, _Visit())
        self._visits.move_to_end(number)
        if len(self._visits) > _MOST_VISITS:
            self._visits.popitem(last=False)
        return visit

    def _told(self, one: Sighting, width: int, height: int) -> dict[str, Any]:
        visit = self._visits.get(one.visit, _Visit())
        similarity = one.match.similarity if one.match is not None else visit.similarity
        box: Box = one.face.box
        return {
            "visit": one.visit,
            "box": [
                round(side, 4)
                for side in (box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height)
            ],
            "px": round(max(box.width, box.height)),
            "name": visit.name,
            "verdict": visit.verdict,
            "similarity": round(similarity, 3) if math.isfinite(similarity) else None,
            "unfit": None if one.unfit is None else one.unfit.value,
        }

    def _rate(self, now: float) -> float:
        lately = [t for t in list(self._frames) if now - t <= _RATE_S]
        return round(len(lately) / _RATE_S, 1)

    def _keep(self, visit: int, frame: Frame, observation: Observation) -> None:
        face = observation.face_of(visit)
        if self._strangers_s <= 0 or face is None:
            return
        self._numbers += 1
        picture = around(frame.image, face.box, _MARGIN)
        self._strangers.append(SeenStranger(self._numbers, frame.t, time.time(), visit, picture))

    def _forget(self, now: float) -> None:
        while self._strangers and now - self._strangers[0].t > self._strangers_s:
            self._strangers.popleft()


def live_jpeg(image: Image) -> bytes:
    """Return a live picture as it is sent."""
    return encode_jpeg(smaller(image, LIVE_PX), _LIVE_QUALITY)


def face_jpeg(image: Image) -> bytes:
    """Return a face as it is sent, to be enrolled maybe."""
    return encode_jpeg(image, _FACE_QUALITY)


def without_strangers_likeness(faces: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return faces without how near those came whom nobody knows: that would help an attacker."""
    return [
        {name: one for name, one in face.items() if name != "similarity" or face["name"]}
        for face in faces
    ]
