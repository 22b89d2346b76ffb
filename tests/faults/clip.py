"""The demo's clip as a camera: people come and go, over and over, and no frame repeats."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np

from lockd.types import Image
from tests.conftest import CLIP
from tests.faults.records import Shown
from tests.porch import Film


class ClipFilm(Film):
    """The clip at its own pace, from the moment it was made, in a loop."""

    def __init__(self) -> None:
        self._pictures = _pictures()
        super().__init__(cv2.imdecode(self._pictures[0], cv2.IMREAD_COLOR))  # type: ignore[arg-type]
        story = json.loads(CLIP.with_suffix(".json").read_text())
        self._segments = [(one["start"], one["person"]) for one in story["segments"]]
        self._fps = float(story["fps"])
        self.seconds = float(story["segments"][-1]["end"])
        self.begun = time.monotonic()

    def frame(self) -> bytes:
        """The frame that it is time for, with the noise of a sensor."""
        at = (time.monotonic() - self.begun) % self.seconds
        number = min(int(at * self._fps), len(self._pictures) - 1)
        image = cv2.imdecode(self._pictures[number], cv2.IMREAD_COLOR)
        self._image = np.asarray(image, np.int16)
        return super().frame()

    def shown(self, until: float) -> list[Shown]:
        """Who was before the camera, up to a time."""
        found = []
        loop = self.begun
        while loop < until:
            found += [Shown(loop + start, person or "nobody") for start, person in self._segments]
            loop += self.seconds
        return found


def _pictures() -> list[Image]:
    """The clip's frames, each a JPEG to save memory."""
    capture = cv2.VideoCapture(str(CLIP))
    pictures = []
    while True:
        done, image = capture.read()
        if not done:
            break
        pictures.append(np.asarray(cv2.imencode(".jpg", image)[1]))
    capture.release()
    return pictures
