"""Two clocks behind one interface: the machine's, and that of a recording.

A recording judged faster than it was filmed must still open its door for five of
*its* seconds; so whoever needs the time asks the clock of the source.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds since some fixed moment."""

    def now(self) -> float:
        """Return the time."""

    def advance(self, t: float) -> None:
        """Note that a recording has reached this time; a real clock ignores it."""

    def wait_until(self, t: float, stop: threading.Event) -> None:
        """Let time pass until then, or until asked to stop."""


class RealClock:
    """The machine's monotonic clock, from 0 when it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return time.monotonic() - self._start

    def advance(self, t: float) -> None:
        """Do nothing: time passes by itself."""

    def wait_until(self, t: float, stop: threading.Event) -> None:
        """Sleep until then, or until asked to stop."""
        stop.wait(max(0.0, t - self.now()))


class RecordedClock:
    """The time within a recording; moves only when told to, and never back."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Return the time last reached."""
        return self._now

    def advance(self, t: float) -> None:
        """Move to a time, if it is later."""
        self._now = max(self._now, t)

    def wait_until(self, t: float, stop: threading.Event) -> None:
        """Be there at once."""
        self.advance(t)
