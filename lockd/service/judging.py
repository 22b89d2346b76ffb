"""Frames to be judged: not those that are too old, and not for ever those that cannot be."""

from __future__ import annotations

import logging
import time

from lockd.clock import Clock
from lockd.identity.observation import Observation
from lockd.ports import Camera
from lockd.recognition.recogniser import Recogniser
from lockd.service.diagnostics import Diagnostics
from lockd.service.parts import Tally
from lockd.types import Frame

log = logging.getLogger(__name__)

FAILURES_TO_END = 10
_COMPLAIN_EVERY_S = 30.0
_REST_AFTER_S = 5.0  # without movement or a face; a camera takes half as many pictures then


class Judging:
    """Has frames judged, and counts."""

    def __init__(
        self,
        recogniser: Recogniser,
        camera: Camera,
        clock: Clock,
        max_age_s: float,
        tally: Tally,
        diagnostics: Diagnostics,
    ) -> None:
        """Count from zero.

        Args:
            camera: gives the frames, fewer while nothing moves.
            max_age_s: a frame that is older decides nothing.
            tally: counts what was judged, for the whole run.
            diagnostics: counts it from one report to the next.
        """
        self._recogniser = recogniser
        self._camera = camera
        self._clock = clock
        self._stirred = float("-inf")
        self._max_age_s = max_age_s
        self._tally = tally
        self._diagnostics = diagnostics
        self._failures = 0
        self._complained = float("-inf")

    def judge(self, frame: Frame) -> Observation | None:
        """Return what a frame shows; None if it is too old or cannot be judged.

        Raises:
            Exception: whatever the last of `FAILURES_TO_END` frames in a row failed with.
        """
        if self.is_stale(frame):
            return None
        began = time.perf_counter()
        try:
            found = self._recogniser.look(frame)
        except Exception:
            self._failures += 1
            log.exception("frame %d cannot be judged", frame.seq)
            if self._failures >= FAILURES_TO_END:
                raise
            return None
        self._failures = 0
        self._rest(frame, found)
        self._diagnostics.judged(time.perf_counter() - began, found)
        self._tally.frames += 1
        self._tally.faces += len(found.sightings)
        self._tally.judged += sum(one.match is not None for one in found.sightings)
        return found

    def _rest(self, frame: Frame, found: Observation) -> None:
        """Ask for fewer frames while nothing happens, and for all again as soon as it does."""
        if found.sightings or found.changed != 0:  # NaN is not 0
            self._stirred = frame.t
        self._camera.rest(frame.t - self._stirred > _REST_AFTER_S)

    def is_stale(self, frame: Frame) -> bool:
        """Return whether a frame is too old to decide."""
        age = self._clock.now() - frame.t
        if age <= self._max_age_s:
            return False
        if self._clock.now() - self._complained >= _COMPLAIN_EVERY_S:
            self._complained = self._clock.now()
            log.warning(
                "frame %d is %.1f s old and decides nothing (camera.max_age_s: %g)",
                frame.seq,
                age,
                self._max_age_s,
            )
        return True
