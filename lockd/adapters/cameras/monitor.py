"""What is wrong with a camera, by what its reader reports and what its pictures show."""

from __future__ import annotations

import logging
import math
import threading

from lockd.adapters.cameras.slot import Slot
from lockd.clock import Backoff, Clock
from lockd.config import CameraSettings
from lockd.errors import CameraError, CameraTrouble, LockdError
from lockd.types import Image
from lockd.vision.health import Health, Patience

log = logging.getLogger(__name__)

DRAINS_S = 2.0
"""How long a stream that is late may take to catch up before it is opened again."""
_REOPENED = {
    CameraTrouble.FROZEN: "its pictures repeat those before, without a sensor's noise",
    CameraTrouble.GARBLED: "what it sends is no picture",
}
_REPORTED = {
    CameraTrouble.DARK: "almost no light in its pictures; is a lamp on, and the lens free?",
    CameraTrouble.COVERED: "almost no structure in its pictures; is something on the lens?",
    CameraTrouble.DELAYED: (
        "its pictures come late, and decide nothing; is the network too slow for it, or does "
        "something in between keep them back?"
    ),
}


class CameraMonitor:
    """Stands between reader and slot: a `Receiver` that lets good pictures through.

    A camera whose pictures are frozen or garbled, or change their size, is opened again;
    one that is dark or covered would be no better for it, and is only reported. What it
    remembers of the pictures outlasts the reader, so that a camera that is still frozen
    when it was opened again shows nobody.
    """

    def __init__(self, settings: CameraSettings, clock: Clock, slot: Slot, waits: Backoff) -> None:
        self._settings = settings
        self._clock = clock
        self._slot = slot
        self._waits = waits
        self._view = settings.view()
        self._health = Health(
            Patience(
                frozen_s=settings.frozen_after_s,
                covered_s=settings.covered_after_s,
                garbled_s=settings.read_timeout_s,
            )
        )
        self._lock = threading.Lock()
        self._failure: tuple[CameraTrouble, str] | None = None
        self._dim: CameraTrouble | None = None
        self._late_since: float | None = None
        self._newest = -math.inf
        self._last = clock.now()
        self._size: tuple[int, int] | None = None

    def wrong(self) -> tuple[CameraTrouble, str] | None:
        """Return what is wrong just now, and its description, or None."""
        with self._lock:
            if self._failure is not None:
                return self._failure
            limit_s = self._settings.read_timeout_s
            if not self._slot.started:
                limit_s += self._settings.open_timeout_s
            if self._clock.now() - self._last > limit_s and not self._slot.over:
                return CameraTrouble.SILENT, f"no picture for {limit_s:g} s"
            return None if self._dim is None else (self._dim, _REPORTED[self._dim])

    def picture(self, image: Image, t: float, *, recorded: bool, late_s: float = 0.0) -> None:
        """Take a picture, and hand it on unless something is wrong with it."""
        dim, usable = None, True
        if not recorded:
            self._check_size(image)
            trouble = self._health.feed(image, t)
            if trouble in _REOPENED:
                raise CameraError(_REOPENED[trouble], trouble)
            dim, usable = trouble, self._health.usable
            if self._is_late(late_s, t):
                dim, usable = CameraTrouble.DELAYED, False
        with self._lock:
            # A recording's next picture may be minutes away; it is never late.
            self._last = math.inf if recorded else t
            self._dim = dim
            if usable:
                self._failure = None
        if usable:
            self._waits.reset()
            self._newest = max(self._newest, t - late_s)
            self._slot.put(self._view.of(image), self._newest)

    def failed(self, error: CameraError) -> None:
        """Note that the source failed and will be opened again."""
        with self._lock:
            self._failure = error.trouble, str(error)

    def ended(self, error: LockdError | None) -> None:
        """Note that a recording is over, or broken."""
        self._slot.end(error)

    def _is_late(self, late_s: float, t: float) -> bool:
        """Return whether a picture is too late to be shown to anybody.

        Raises:
            CameraError: if the stream does not catch up; opened anew it begins with what is now.
        """
        limit_s = self._settings.delayed_after_s
        if not limit_s or not late_s > limit_s:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = t
        if t - self._late_since < DRAINS_S:
            return True
        self._late_since = None
        raise CameraError(
            f"its pictures come {late_s:.1f} s late, or may (camera.delayed_after_s: "
            f"{limit_s:g}); they decide nothing",
            CameraTrouble.DELAYED,
        )

    def _check_size(self, image: Image) -> None:
        """Have a stream opened anew whose pictures change their size, then go on with it."""
        size, before = (image.shape[1], image.shape[0]), self._size
        self._size = size
        if before not in (None, size):
            raise CameraError(
                f"its pictures changed from {before[0]} x {before[1]} to {size[0]} x {size[1]}",
                CameraTrouble.SIZE_CHANGED,
            )
