"""The newest frame, handed from the thread that reads to the one that judges."""

from __future__ import annotations

import threading

from lockd.errors import LockdError
from lockd.types import Frame, Image


class Slot:
    """Holds one frame, the newest; every method may be called from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._frame: Frame | None = None
        self._count = 0
        self._awake = False
        self._over = False
        self._error: LockdError | None = None

    @property
    def started(self) -> bool:
        """Whether there ever was a frame."""
        with self._condition:
            return self._count > 0

    @property
    def over(self) -> bool:
        """Whether no frame will come, even if the last one was not taken yet."""
        with self._condition:
            return self._over

    @property
    def ended(self) -> bool:
        """Whether no frame will come and the last one was taken."""
        with self._condition:
            return self._over and self._frame is None

    def put(self, image: Image, t: float) -> None:
        """Put a picture in the place of the one before, numbered on."""
        with self._condition:
            self._count += 1
            self._frame = Frame(image, t, self._count)
            self._condition.notify_all()

    def end(self, error: LockdError | None) -> None:
        """Note that this was all; an error is raised once the last frame was taken."""
        with self._condition:
            self._over = True
            self._error = error
            self._condition.notify_all()

    def wake(self) -> None:
        """Make the `next` that waits, or else the next one, return without a wait."""
        with self._condition:
            self._awake = True
            self._condition.notify_all()

    def next(self, timeout_s: float) -> Frame | None:
        """Take the frame, waiting for it if it was taken already; see `Camera.next`."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._frame is not None or self._over or self._awake, timeout_s
            )
            self._awake = False
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                raise self._error
            return frame
