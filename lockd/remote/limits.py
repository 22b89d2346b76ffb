"""How often: a bucket of tokens, which gives a few at once and then so many a second."""

from __future__ import annotations

import math


class Bucket:
    """A token for each thing that may be done; it fills up again with time."""

    def __init__(self, burst: float, per_s: float) -> None:
        """Begin full.

        Args:
            burst: how many tokens it holds.
            per_s: how many come back in a second.
        """
        self._burst = burst
        self._per_s = per_s
        self._tokens = burst
        self._filled = -math.inf

    def take(self, now: float) -> bool:
        """Take a token out; return whether there was one.

        Args:
            now: monotonic seconds, never less than the last time.
        """
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._per_s)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
