"""Which commands of this run were seen: a window that only moves forward.

Of each key are kept its newest command's time, and the nonces since `KEEP_S` before it.
What is older than that is refused, whatever the clock says now: so a clock that is set
back lets nothing old in. Good commands are never that much older than others of the same
key, for all are within `judging.WINDOW_S` of one clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

KEEP_S = 300
"""Clearly longer than twice `judging.WINDOW_S`."""
MOST = 2000
"""Nonces of one key; nobody gives so many commands in `KEEP_S` for a good purpose."""


class Seen(StrEnum):
    """What is known of a nonce."""

    NEW = "new"
    KNOWN = "known"
    TOO_OLD = "too_old"
    FULL = "full"


@dataclass(slots=True)
class _Series:
    newest: int
    nonces: dict[str, int] = field(default_factory=dict)


class Nonces:
    """The nonces of one run, in memory; there are as many series as keys."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def look(self, series: str, nonce: str, time: int) -> Seen:
        """Return what is known of a command.

        Args:
            series: names a key.
            time: the command's, seconds since 1970.
        """
        one = self._series.get(series)
        if one is None:
            return Seen.NEW
        if nonce in one.nonces:
            return Seen.KNOWN
        if time < one.newest - KEEP_S:
            return Seen.TOO_OLD
        if len(one.nonces) < MOST:
            return Seen.NEW
        oldest = max(one.newest, time) - KEEP_S
        kept = sum(at >= oldest for at in one.nonces.values())
        return Seen.FULL if kept >= MOST else Seen.NEW

    def note(self, series: str, nonce: str, time: int) -> None:
        """Write a command down, and forget those that are too old by now to come again."""
        one = self._series.setdefault(series, _Series(time))
        if time > one.newest:
            one.newest = time
            for old in [old for old, at in one.nonces.items() if at < time - KEEP_S]:
                del one.nonces[old]
        one.nonces[nonce] = time
