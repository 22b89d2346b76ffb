"""A camera in a thread of its own, replaced when it hangs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lockd.adapters.cameras.monitor import CameraMonitor
from lockd.adapters.cameras.opening import open_source
from lockd.adapters.cameras.reader import Reader
from lockd.adapters.cameras.slot import Slot
from lockd.adapters.cameras.sources import Source
from lockd.clock import Backoff, Clock
from lockd.config import CameraSettings
from lockd.errors import CameraError, CameraTrouble, redacted
from lockd.types import Frame

log = logging.getLogger(__name__)

_MOST_HANGING = 3
_CLOSING_S = 0.9


class LiveCamera:
    """The newest frame of a source that is read in a thread of its own.

    A recording is paced by its own times and ends; a camera that fails is opened
    again after `retry_first_s`, then twice as long each time up to `retry_longest_s`.
    A reader that hangs is replaced by a new one. When three hang and a fourth joins
    them, the camera is no longer `alive`: threads cannot be ended, a process can.
    """

    def __init__(
        self, settings: CameraSettings, clock: Clock, *, opener: Callable[[], Source] | None = None
    ) -> None:
        """Start reading.

        Args:
            clock: stamps the frames with the time at which the read returned.
            opener: opens the source; by default what the settings name.
        """
        if settings.unverified:
            log.warning(
                "camera %s: camera.tls is unverified: whoever is on the wire can show this door "
                "any face",
                redacted(str(settings.source)),
            )
        self._settings = settings
        self._clock = clock
        self._open = opener or (lambda: open_source(settings))
        self._slot = Slot()
        self._waits = Backoff(settings.retry_first_s, settings.retry_longest_s)
        self._watch = CameraMonitor(settings, clock, self._slot, self._waits)
        self._replacing = threading.Lock()
        self._hanging: list[Reader] = []
        self._reader = self._new_reader()

    @property
    def problem(self) -> str | None:
        """What is wrong just now; see `Camera.problem`."""
        wrong = self._watch.wrong()
        return None if wrong is None else f"{wrong[0]}: {wrong[1]}"

    @property
    def trouble(self) -> CameraTrouble | None:
        """What is wrong just now; see `Camera.trouble`."""
        wrong = self._watch.wrong()
        return None if wrong is None else wrong[0]

    @property
    def alive(self) -> bool:
        """Whether it works or knowingly waits; see `Camera.alive`."""
        if self._slot.over:
            return True
        return self._reader.running and not (self._reader.stuck and self._is_full())

    @property
    def started(self) -> bool:
        """Whether there ever was a frame."""
        return self._slot.started

    @property
    def ended(self) -> bool:
        """Whether a recording is over and its last frame was taken."""
        return self._slot.ended

    def next(self, timeout_s: float) -> Frame | None:
        """Return the newest frame, waiting for one not returned before."""
        self._replace_if_stuck()
        return self._slot.next(timeout_s)

    def wake(self) -> None:
        """Make `next` return without a wait; see `Camera.wake`."""
        self._slot.wake()

    def rest(self, resting: bool) -> None:
        """Take fewer pictures; see `Camera.rest`."""
        self._reader.resting = resting

    def close(self) -> None:
        """Stop reading; a call that hangs is left to end with the process."""
        with self._replacing:
            self._reader.stop(_CLOSING_S)

    def _new_reader(self, delay_s: float = 0.0) -> Reader:
        return Reader(
            self._open, self._watch, self._settings, self._clock, self._waits, delay_s=delay_s
        )

    def _is_full(self) -> bool:
        """Whether as many readers hang as may."""
        return sum(reader.running for reader in self._hanging) >= _MOST_HANGING

    def _replace_if_stuck(self) -> None:
        with self._replacing:
            if not self._reader.stuck or self._is_full():
                return
            if not self._reader.give_up():
                return
            self._hanging = [one for one in (*self._hanging, self._reader) if one.running]
            delay_s = self._waits.next()
            failure = CameraError(
                f"its driver hangs; opening it again in {delay_s:g} s", CameraTrouble.SILENT
            )
            log.error("camera: %s", failure)
            self._watch.failed(failure)
            self._reader = self._new_reader(delay_s)
