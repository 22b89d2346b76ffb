"""The local time, while the machine's clock is known to be right.

A Raspberry Pi has no clock that runs without power: after a power cut it shows the time
at which it lost it until a time server has been asked. Until then nothing may depend on
the time. The same holds after a jump, whoever made it:

    clock           is right                              after a jump of over a minute
    --------------  ------------------------------------  ------------------------------
    `synchronized`  once systemd-timesyncd touched its    when it is touched anew, or the
                    file, or the kernel says so           kernel says so anew
    `trusted`       from the start                        when it has jumped back

In both cases it is not right while it shows a time at which this lockd was not yet
made. A clock that was right stays so without a network: it drifts by seconds a day.

systemd-timesyncd touches the file at each answer that it takes over, just after it has
set the clock (its manual page, and `manager_receive_response` of its source). The kernel's
word is that of adjtimex(2), which timesyncd, ntpd and chronyd (with `rtcsync`) set and
which every other change of the clock takes back. A sandbox may refuse to ask it; then
the file alone counts.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lockd.config import AccessSettings

MARKER = Path("/run/systemd/timesync/synchronized")
JUMP_S = 60.0
"""A clock that moved by more, against the time that passed, has jumped."""
_DRIFT = 500e-6  # the fastest that any time service lets a clock run off, in s per s
_SLACK_S = 2.0  # between the time of a file and that of a clock
_EARLIEST = datetime(2026, 11, 1, tzinfo=UTC).timestamp()  # when this lockd was made
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_NOT_SYNCHRONIZED = 5  # TIME_ERROR of adjtimex(2)


class WallClock:
    """The local time, or why it is not known. To be asked every few seconds at least.

    Attributes:
        problem: why `local` last returned None; None while it does not.
    """

    def __init__(
        self,
        settings: AccessSettings,
        *,
        monotonic: Callable[[], float] | None = None,
        wall: Callable[[], float] = time.time,
        marker: Path = MARKER,
        kernel: Callable[[], bool] | None = None,
    ) -> None:
        """Start with a clock that is not known to be right.

        Args:
            settings: the zone, and when the clock is right.
            monotonic: seconds since the machine started, its sleep included.
            wall: seconds since 1970.
            marker: the file that systemd-timesyncd touches.
            kernel: whether the kernel says that the clock is synchronized.
        """
        self._zone = settings.zone()
        self._trusted = settings.clock == "trusted"
        self._monotonic = monotonic or _since_start
        self._wall = wall
        self._marker = marker
        self._kernel = kernel or _kernel_says_so
        self._right: float | None = None  # what the wall clock showed at 0, when last right
        self._looked = 0.0
        self._touched: float | None = None
        self.problem: str | None = None

    def local(self) -> datetime | None:
        """Return the local time in its zone, or None while the clock may be wrong."""
        now, wall = self._monotonic(), self._wall()
        self.problem = self._look(now, wall)
        if self.problem is not None:
            return None
        return datetime.fromtimestamp(wall, UTC).astimezone(self._zone)

    def _look(self, now: float, wall: float) -> str | None:
        """Return what is wrong with the clock, if anything."""
        start = wall - now
        confirmed = self._confirmed(now, wall)
        passed, self._looked = now - self._looked, now
        if not (_EARLIEST <= wall < _LATEST):
            return f"the clock shows a time that cannot be ({wall:.0f} s since 1970)"
        if confirmed:
            self._right = start
        if self._right is None:
            return "no time server has set the clock since the machine started"
        jump = start - self._right
        if abs(jump) > JUMP_S:
            return f"the clock jumped by {jump:+.0f} s, which nothing has confirmed"
        self._right += math.copysign(min(abs(jump), _DRIFT * passed), jump)
        return None

    def _confirmed(self, now: float, wall: float) -> bool:
        """Return whether something says that the clock is right as it is now."""
        if self._trusted:
            return self._right is None
        touched = _modified(self._marker)
        news, self._touched = touched != self._touched, touched
        # What was touched since the last look must bear a time since then: else the clock
        # was set to another after it.
        if news and touched is not None:
            return wall - (now - self._looked) - _SLACK_S <= touched <= wall + _SLACK_S
        jumped = self._right is None or abs(wall - now - self._right) > JUMP_S
        return jumped and self._kernel()


def _since_start() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _kernel_says_so() -> bool:
    """Return whether the kernel takes its clock for synchronized; False if it may not be asked."""
    libc = ctypes.CDLL(None)
    # Of the structure, whose layout differs between machines, only the first field counts:
    # 0, which changes nothing. The answer is what the call returns.
    state: int = libc.adjtimex(ctypes.create_string_buffer(1024))
    return state >= 0 and state != _NOT_SYNCHRONIZED
