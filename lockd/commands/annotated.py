"""A recording once more, with what lockd made of it drawn in: `lockd replay --annotate`."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from lockd.adapters.cameras.containers import breaks_off
from lockd.errors import CameraError
from lockd.files import acting_for
from lockd.identity.observation import Observation, Sighting
from lockd.messages import Event, EventType
from lockd.ports import Observer
from lockd.types import Frame, Image
from lockd.vision.pictures import annotate

_CODEC = "mp4v"  # the one for MP4 that every build of OpenCV has


class AnnotatedVideo(Observer):
    """An MP4 at the recording's pace, with boxes, names, verdicts and the relay.

    A picture stays for as long as it did in the recording, to the next of the film's own.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """See that the file can be written.

        Args:
            path: of the file; what it holds is replaced at the first picture.
            rate: pictures a second.

        Raises:
            CameraError: if it cannot be written.
        """
        try:
            with acting_for(path):
                path.open("ab").close()
        except OSError as error:
            raise CameraError(f"{path}: cannot be written: {error.strerror}") from error
        self._path = path
        self._rate = rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._next = 0  # the number of the film's next picture, counted from the time 0
        self._seen: tuple[Frame, Observation] | None = None
        self._verdicts: dict[int, tuple[str, bool]] = {}
        self._switched = (0.0, False)

    def event(self, event: Event) -> None:
        """Remember what was decided on a visit."""
        if event.visit is not None:
            known = event.type is EventType.ACCESS_GRANTED
            self._verdicts[event.visit] = _in_words(event), known

    def relay_switched(self, t: float, on: bool) -> None:
        """Remember how the relay is."""
        self._switched = t, on

    def observed(self, frame: Frame, observation: Observation) -> None:
        """Show the picture before for as long as it was there, then this one.

        Raises:
            CameraError: if OpenCV writes no such films.
        """
        if self._writer is None:
            self._begin(frame)
        self._hold(frame.t)
        self._seen = frame, observation

    def close(self) -> None:
        """End the film, a moment after the relay was switched for the last time.

        Raises:
            CameraError: if not all of it could be written.
        """
        if self._writer is None or self._seen is None:
            with acting_for(self._path):
                if self._path.stat().st_size == 0:
                    self._path.unlink()
            return
        end, on = self._switched
        frame, observation = self._seen
        if end > frame.t:
            self._switched = frame.t, not on
            self._hold(end)
            self._switched = end, on
            self._seen = Frame(frame.image, end, frame.seq), observation
        self._hold((max(self._next, self._seen[0].t * self._rate) + 1) / self._rate)
        self._writer.release()
        if breaks_off(self._path):
            raise CameraError(f"{self._path}: not written to its end; is the disk full?")

    def _begin(self, frame: Frame) -> None:
        height, width = frame.image.shape[:2]
        self._size = width, height
        self._next = round(frame.t * self._rate)
        codec = cv2.VideoWriter.fourcc(*_CODEC)
        with acting_for(self._path):
            self._writer = cv2.VideoWriter(str(self._path), codec, self._rate, self._size)
        if not self._writer.isOpened():
            raise CameraError(f"{self._path}: this OpenCV writes no MP4; install another build")

    def _hold(self, until: float) -> None:
        """Write the last picture until a time."""
        count = round(until * self._rate) - self._next
        if self._seen is None or self._writer is None or count <= 0:
            return
        picture = self._drawn(*self._seen)
        for _ in range(count):
            self._writer.write(picture)
        self._next += count

    def _drawn(self, frame: Frame, observation: Observation) -> Image:
        labels = [(one.face, *self.label(one)) for one in observation.sightings]
        unlocked = self._switched[1]
        foot = f"{frame.t:.1f} s  {'UNLOCKED' if unlocked else 'locked'}", unlocked
        drawn = annotate(frame.image, labels, foot)
        if drawn.shape[1::-1] == self._size:
            return drawn
        return np.asarray(cv2.resize(drawn, self._size), np.uint8)

    def label(self, one: Sighting) -> tuple[str, bool]:
        """What is said of a face, and whether it is one that may come in."""
        if one.visit in self._verdicts:
            return self._verdicts[one.visit]
        if one.unfit is not None:
            return one.unfit.value.replace("_", " "), False
        if one.match is None:
            return "", False
        person, similarity = one.match.person, one.match.similarity
        at_most = "at most " if one.match.bound else ""
        figure = f" {at_most}{similarity:.2f}" if math.isfinite(similarity) else ""
        return (person.name if person else "unknown") + figure, person is not None


def _in_words(event: Event) -> str:
    """A verdict in a few words."""
    at_most = "at most " if event.similarity_bound else ""
    figure = "" if event.similarity is None else f" {at_most}{event.similarity:.2f}"
    if event.type is EventType.ACCESS_GRANTED:
        return f"let in: {event.person}{figure}"
    what = event.person or event.type.value
    return f"{what}: {event.reason.replace('_', ' ')}" if event.reason else what
