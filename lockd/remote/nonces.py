"""Which commands were seen, and which times are over: what keeps one from being obeyed twice.

Of each key are kept its newest command's time, and the nonces since `KEEP_S` before it.
What is older than that is refused, whatever the clock says now: so a clock that is set
back lets nothing old in. Good commands are never that much older than others of the same
key, for all are within `judging.WINDOW_S` of one clock.

A clock that was right and is set back brings no time back either: nothing is taken that is
older than the greatest time that was ever confirmed, less `judging.WINDOW_S`.

Commands that were refused are kept, too, so that nobody can send them again for whoever was
told so. Whoever has more refused than can be kept one by one closes the time up to the last
of them to all but orders to lock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from lockd.remote.judging import WINDOW_S

KEEP_S = 300
"""Clearly longer than twice `judging.WINDOW_S`."""
MOST = 2000
"""Nonces of one key; nobody gives so many commands in `KEEP_S` for a good purpose."""


class Seen(StrEnum):
    """What is known of a nonce."""

    NEW = "new"
    KNOWN = "known"
    REFUSED = "refused"
    TOO_OLD = "too_old"
    PASSED = "passed"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Closed:
    """Times of one key that are over, seconds since 1970.

    Attributes:
        before: what is older was confirmed to be over.
        up_to: what is as old or older is taken no more, but for orders to lock.
    """

    before: float = 0.0
    up_to: float = 0.0


@dataclass(slots=True)
class _Series:
    newest: float = -math.inf
    closed: Closed = field(default_factory=Closed)
    nonces: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget nonces that are too old by now to come again."""
        oldest = max(self.newest - KEEP_S, self.closed.before)
        self.nonces = {one: seen for one, seen in self.nonces.items() if seen[0] >= oldest}


class Nonces:
    """The nonces of every key, in memory; there are as many series as keys."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def look(self, series: str, nonce: str, time: int, *, locks: bool = False) -> Seen:
        """Return what is known of a command.

        Args:
            series: names a key.
            time: the command's, seconds since 1970.
            locks: whether it is an order to lock, which is never too much.
        """
        one = self._series.get(series)
        if one is None:
            return Seen.NEW
        if nonce in one.nonces:
            return Seen.REFUSED if one.nonces[nonce][1] else Seen.KNOWN
        if time < one.newest - KEEP_S:
            return Seen.TOO_OLD
        if time < one.closed.before:
            return Seen.PASSED
        if locks:
            return Seen.NEW
        if time <= one.closed.up_to:
            return Seen.FULL
        if len(one.nonces) < MOST:
            return Seen.NEW
        oldest = max(one.newest, time) - KEEP_S
        kept = sum(at >= oldest for at, _ in one.nonces.values())
        return Seen.FULL if kept >= MOST else Seen.NEW

    def knows(self, series: str, nonce: str) -> bool:
        """Return whether a nonce is kept."""
        one = self._series.get(series)
        return one is not None and nonce in one.nonces

    def note(self, series: str, nonce: str, time: int, *, refused: bool = False) -> bool:
        """Write a command down, and forget those that are too old by now to come again.

        Return whether there was room for it.
        """
        one = self._series.setdefault(series, _Series())
        # One that was refused may bear any time; it must not make good ones old.
        if not refused and time > one.newest:
            one.newest = time
            one.forget()
        if len(one.nonces) >= MOST and nonce not in one.nonces:
            one.forget()
            if len(one.nonces) >= MOST:
                return False
        one.nonces[nonce] = time, refused
        return True

    def close(self, series: str, *, before: float = 0.0, up_to: float = 0.0) -> None:
        """Take nothing of these times any more; what was closed stays so."""
        one = self._series.setdefault(series, _Series())
        now = one.closed
        one.closed = Closed(max(now.before, before), max(now.up_to, up_to))

    def closed(self, series: str) -> Closed:
        """Return the times of a key that are over."""
        one = self._series.get(series)
        return Closed() if one is None else one.closed

    def all_closed(self) -> Iterator[tuple[str, Closed]]:
        """Return the times of every key that are over."""
        for series, one in self._series.items():
            yield series, one.closed


def confirmed(utc: float) -> float:
    """Return before which time nothing is taken any more, once this time was confirmed."""
    return utc - WINDOW_S
