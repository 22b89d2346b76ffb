"""Slows those who guess passwords: by account, and by where they are."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass

FREE = 5
"""Wrong tries that cost nothing."""
FIRST_S = 10.0
"""What the next one costs; each further one twice as much, up to the longest."""
LONGEST_S = 900.0
FORGOTTEN_S = 3600.0
"""After so long without a wrong try all is forgotten."""
_ADDRESS_FREE = 4 * FREE
_KEPT = 4096


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    last: float = 0.0
    until: float = 0.0


class Guesses:
    """What was tried wrongly of late."""

    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def wait_s(self, account: str, address: str, now: float) -> float:
        """Return how long nothing is looked at that such a one tries; 0 if it is.

        Args:
            now: monotonic seconds.
        """
        keys = ("account", account), ("address", address)
        return max(self._tries[key].until - now if key in self._tries else 0.0 for key in keys)

    def wrong(self, account: str, address: str, now: float) -> None:
        """Take note of a wrong try."""
        for key, free in ((("account", account), FREE), (("address", address), _ADDRESS_FREE)):
            tries = self._tries.pop(key, None) or _Tries()
            if now - tries.last > FORGOTTEN_S:
                tries = _Tries()
            tries.wrong, tries.last = tries.wrong + 1, now
            if (over := tries.wrong - free) >= 0:
                tries.until = now + min(LONGEST_S, FIRST_S * 2 ** min(over, 20))
            self._tries[key] = tries
            if len(self._tries) > _KEPT:
                self._drop()

    def right(self, account: str) -> None:
        """Forget what was tried of an account; what an address tried of others stays."""
        self._tries.pop(("account", account), None)

    def _drop(self) -> None:
        """Make room for many more: what holds nobody up goes first, the oldest of it."""

        def soonest(key: tuple[str, str]) -> tuple[float, float]:
            return self._tries[key].until, self._tries[key].last

        for key in heapq.nsmallest(_KEPT // 8, self._tries, key=soonest):
            del self._tries[key]
