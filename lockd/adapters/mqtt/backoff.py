"""How long to wait before the next attempt."""

from __future__ import annotations

import random


class Backoff:
    """Waits that grow and are never the same for two clients.

    After a power cut all doors of a building want the broker at the same moment. "Decorrelated
    jitter" of M. Brooker, *Exponential Backoff And Jitter* (AWS Architecture Blog, 2015).
    """

    def __init__(self, first_s: float, longest_s: float, rng: random.Random | None = None) -> None:
        """Begin with the shortest wait.

        Args:
            first_s: no wait is shorter.
            longest_s: no wait is longer.
            rng: draws the waits.
        """
        self._first_s = min(first_s, longest_s)
        self._longest_s = longest_s
        self._rng = rng or random.Random()  # noqa: S311  # no secret
        self._last_s = self._first_s

    def next(self) -> float:
        """Return how long to wait now, in seconds."""
        wait = self._rng.uniform(self._first_s, self._last_s * 3)
        self._last_s = min(self._longest_s, wait)
        return self._last_s

    def reset(self) -> None:
        """Begin anew: it went well for a while."""
        self._last_s = self._first_s
