"""Two clocks behind one interface, the machine's and that of a recording; and growing waits.

A recording judged faster than it was filmed must still open its door for five of
*its* seconds; so whoever needs the time asks the clock of the source.
"""

from __future__ import annotations

import random
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


def since_boot() -> float:
    """Return monotonic seconds that go on while the machine is suspended.

    `time.monotonic` stands still then: a door released just before would stay open for the
    rest of its time after days.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class RealClock:
    """The machine's monotonic clock, from 0 when it was made."""

    def __init__(self) -> None:
        self._start = since_boot()

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return since_boot() - self._start

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


class Backoff:
    """Waits between attempts, each longer than the one before, up to the longest.

    With a source of chance they are never the same for two clients: after a power cut all doors of
    a building want the broker at the same moment. "Decorrelated jitter" of M. Brooker,
    *Exponential Backoff And Jitter* (AWS Architecture Blog, 2015). Without one each is twice as
    long as the one before.
    """

    def __init__(self, first_s: float, longest_s: float, rng: random.Random | None = None) -> None:
        self._first_s = min(first_s, longest_s)
        self._longest_s = longest_s
        self._rng = rng
        self._last_s = self._first_s if rng else 0.0

    def next(self) -> float:
        """Return how long to wait now, in seconds."""
        if self._rng is not None:
            wait_s = self._rng.uniform(self._first_s, self._last_s * 3)
        else:
            wait_s = max(self._first_s, self._last_s * 2)
        self._last_s = min(self._longest_s, wait_s)
        return self._last_s

    def reset(self) -> None:
        """Begin anew: it went well for a while."""
        self._last_s = self._first_s if self._rng else 0.0
