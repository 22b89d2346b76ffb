"""How old a stream's pictures are when they are read, as far as that can be known. Pure.

A stream that is buffered on its way goes on looking like a camera that works. What shows it:

- **The stream's own time** (RTP's, or that of a container) falls behind the clock: a second's
  worth of pictures took longer than a second to come. Its start means nothing, only how much it
  has fallen behind the best it ever did since it was opened.
- **The camera's clock**, which RTCP sender reports tie to the stream's time, if both clocks are
  right. Nothing else shows a delay that was there from the start.
- **The pace.** Motion JPEG over HTTP has no time of its own. After a stall, or slower than before,
  its pictures may be late, and nobody can say that they are not; what then comes without a wait
  was queued, and catches up.

Stamps may be nonsense. One that stands still, goes back, or leaps further than anything late could
catch up with says nothing of that picture, and neither raises nor forgives anything; where most are
so, the pace counts instead. Stamps that run steadily too slow look like a delay that grows.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

_LEAP_S = 1.0
_STALL_S = 1.0
_ODD = 25
_USUAL = 50
_WINDOW_S = 5.0
_SLOWER = 1.25
_DRIFT = 200e-6
_MOST_DRIFT_S = 2.0
PLAUSIBLE_S = 600.0
"""A camera's clock that is further from the machine's is wrong."""


class Lateness:
    """Follows one stream from its opening on."""

    def __init__(self, *, stamped: bool, limit_s: float) -> None:
        """Begin.

        Args:
            stamped: whether it has a time of its own.
            limit_s: what the pace alone shows counts from here on; it is doubt, and no proof.
        """
        self._limit_s = limit_s
        self._stamps = _Stamps() if stamped else None
        self._pace = _Pace()
        self._t: float | None = None
        self._behind: float | None = None

    def of(self, t: float, stamp: float) -> float:
        """Return for how many seconds a picture waited somewhere, at least; 0 if for none.

        Args:
            t: monotonic seconds at which it was read; never less than before.
            stamp: of the stream, in seconds; NaN if it has none.
        """
        gap = 0.0 if self._t is None else t - self._t
        self._t = t
        doubt = self._pace.after(gap)
        if self._stamps is not None and self._stamps.usable:
            return max(self._stamps.after(gap, stamp), self._by_the_clock())
        return doubt if doubt > self._limit_s else 0.0

    def know(self, age_s: float) -> bool:
        """Take how old the last picture is by the camera's clock; return whether that can be."""
        plausible = -_LEAP_S <= age_s <= PLAUSIBLE_S
        if plausible and self._stamps is not None:
            self._behind = age_s - self._stamps.offset
        return plausible

    def _by_the_clock(self) -> float:
        if self._behind is None or self._stamps is None:
            return 0.0
        return max(0.0, self._behind + self._stamps.offset)


class _Stamps:
    """By how much a stream's time has fallen behind.

    Attributes:
        offset: what the clock gained on the stream since the first picture, in seconds.
        usable: whether most stamps say something.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self.usable = True
        self._best = 0.0
        self._forgiven = 0.0
        self._stamp: float | None = None
        self._odd: deque[bool] = deque(maxlen=2 * _ODD)

    def after(self, gap: float, stamp: float) -> float:
        """Return how late a picture is that came so long after the one before."""
        late = self.offset - self._best
        before, self._stamp = self._stamp, stamp
        step = math.nan if before is None else stamp - before
        odd = not 0 < step <= gap + late + _LEAP_S
        if before is not None:
            self._odd.append(odd)
            self.usable = sum(self._odd) < _ODD
        if not odd:
            self.offset += gap - step
        if self._forgiven < _MOST_DRIFT_S and late > 0:
            # Two clocks are never quite as fast as each other.
            drift = min(late, gap * _DRIFT)
            self._best, self._forgiven = self._best + drift, self._forgiven + drift
        self._best = min(self._best, self.offset)
        return self.offset - self._best


class _Pace:
    """By how much pictures may be late that came after a stall, or slower than before."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_USUAL)
        self._doubt = 0.0
        self._window_s = 0.0
        self._in_window = 0
        self._fastest = math.inf  # seconds from one picture to the next, in the best window
        self._first = True

    def after(self, gap: float) -> float:
        """Return how late a picture may be that came so long after the one before."""
        usual = median(self._gaps) if self._gaps else gap
        if gap > max(_STALL_S, 4 * usual):
            self._doubt += gap - usual
        elif self._doubt and gap < usual / 2:
            self._doubt = max(0.0, self._doubt - (usual - gap))  # it was queued
        else:
            self._gaps.append(gap)
            self._watch_pace(gap)
        return self._doubt

    def _watch_pace(self, gap: float) -> None:
        self._window_s += gap
        self._in_window += 1
        if self._window_s < _WINDOW_S:
            return
        mean = self._window_s / self._in_window
        # What was fetched to find out what the stream is comes in a burst at its beginning.
        if not self._first:
            self._fastest = min(self._fastest, mean)
            if mean > _SLOWER * self._fastest:
                self._doubt += self._window_s - self._in_window * self._fastest
        self._first, self._window_s, self._in_window = False, 0.0, 0
