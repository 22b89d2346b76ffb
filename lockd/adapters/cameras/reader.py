"""The thread that reads a source, and can be given up when the source hangs.

A call into a driver may never return, and nothing in a process can end it. So whoever
waits for the reader asks it now and then to `give_up`: if it has been inside a call for
longer than that may take, it is let go for good. Should the call return one day, the
reader gives the device back and ends, without handing anything over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from lockd.adapters.cameras.sources import GuardedSource, Source
from lockd.clock import Backoff, Clock
from lockd.config import CameraSettings
from lockd.errors import CameraError, LockdError, scrubbed
from lockd.types import Image

log = logging.getLogger(__name__)

# Time-outs of their own should have ended a call before it is given up. To look up a
# name in the network takes up to half a minute where no server answers.
_OPEN_GRACE_S = 10.0
_READ_GRACE_S = 1.0


class Receiver(Protocol):
    """What a reader reports to, always from its own thread."""

    def picture(self, image: Image, t: float, *, recorded: bool, late_s: float = 0.0) -> None:
        """Take a picture that was read at `t`, `late_s` after it was there to be read.

        May raise CameraError to have the source opened again.
        """

    def failed(self, error: CameraError) -> None:
        """Note that the source failed and will be opened again."""

    def ended(self, error: LockdError | None) -> None:
        """Note that a recording is over, or broken."""


class Reader:
    """One thread that opens a source and reads it, again and again, until let go.

    Attributes:
        resting: whether half as many pictures will do.
    """

    def __init__(
        self,
        opener: Callable[[], Source],
        receiver: Receiver,
        settings: CameraSettings,
        clock: Clock,
        waits: Backoff,
        *,
        delay_s: float = 0.0,
    ) -> None:
        """Start reading.

        Args:
            receiver: takes what comes of it.
            settings: how long opening and reading may take.
            delay_s: before the first attempt.
        """
        self.resting = False
        self._open = opener
        self._receiver = receiver
        self._settings = settings
        self._clock = clock
        self._waits = waits
        self._delay_s = delay_s
        self._lock = threading.Lock()
        self._gone = threading.Event()
        self._due: float | None = None  # when the call into the source must be back
        self._source: Source | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread is there, be it in a call that hangs."""
        return self._thread.is_alive()

    @property
    def stuck(self) -> bool:
        """Whether a call into the source takes longer than it may."""
        with self._lock:
            return self._is_stuck()

    def give_up(self) -> bool:
        """Let the reader go if it is stuck; return whether it was."""
        with self._lock:
            if not self._is_stuck():
                return False
            self._gone.set()
        self._close_source()
        return True

    def stop(self, timeout_s: float) -> None:
        """Let the reader go, and wait so long for its end."""
        self._gone.set()
        self._close_source()
        self._thread.join(timeout_s)

    def _is_stuck(self) -> bool:
        return self._due is not None and self._clock.now() > self._due

    def _close_source(self) -> None:
        try:
            if self._source is not None:
                self._source.close()
        except Exception:
            log.exception("camera: cannot be given back")

    def _enter(self, limit_s: float) -> bool:
        """Note that a call into the source begins; return whether it is still wanted."""
        with self._lock:
            self._due = self._clock.now() + limit_s
            return not self._gone.is_set()

    def _leave(self) -> bool:
        """Note that a call has returned; return whether what it gave is still wanted."""
        with self._lock:
            self._due = None
            return not self._gone.is_set()

    def _run(self) -> None:
        """The thread: open, read, and on failure wait and open again."""
        if self._delay_s:
            self._gone.wait(self._delay_s)
        while not self._gone.is_set():
            failure = self._read_source()
            if failure is None or not self._leave():
                return
            self._receiver.failed(failure)
            self._gone.wait(self._waits.next())

    def _read_source(self) -> CameraError | None:
        """Open the source and read it; return why it failed, or None if that was all."""
        try:
            self._enter(self._settings.open_timeout_s + _OPEN_GRACE_S)
            with closing(self._open()) as source:
                self._source = source
                self._read(source)
            return None
        except CameraError as error:
            return error
        except Exception as error:  # a driver may raise anything; the thread must live
            log.exception("camera: unexpected failure")
            return CameraError(scrubbed(f"{type(error).__name__}: {error}"))

    def _read(self, source: Source) -> None:
        """Read until the source ends or the reader is let go."""
        start = self._clock.now()
        limit_s = self._settings.open_timeout_s + self._settings.read_timeout_s + _READ_GRACE_S
        while self._leave() and self._enter(limit_s):
            limit_s = self._settings.read_timeout_s + _READ_GRACE_S
            if isinstance(source, GuardedSource):
                source.resting = self.resting
            try:
                picture = source.read()
            except LockdError as error:
                if not source.recorded:
                    raise
                self._receiver.ended(error)
                return
            t = self._clock.now()
            if not self._leave():
                return
            if picture is None:
                if not source.recorded:
                    raise CameraError("it ended, which only a recording may")
                self._receiver.ended(None)
                return
            if source.recorded:
                if self._gone.wait(max(0.0, start + picture[1] - t)):
                    return
                t = self._clock.now()
            late_s = 0.0 if source.recorded else picture[1]
            self._receiver.picture(picture[0], t, recorded=source.recorded, late_s=late_s)
