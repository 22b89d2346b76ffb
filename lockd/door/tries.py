"""Wrong PINs and cards: counted, and the next ones kept waiting. Pure.

Of each person so many wrong tries in a row are free; after each one more, nothing of theirs is
judged for a while, twice as long each time, up to the longest. Whoever it is meant for, in all
only so many within a while: beyond it nothing is judged until the first of them is old enough.
What is not judged is no try, and makes nothing worse.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

AFTER_RESTART_S = 30.0
"""The longest pause that a restart begins with: what went before may be long ago."""


@dataclass(frozen=True, slots=True)
class TryRules:
    """How wrong tries are slowed.

    Attributes:
        free: wrong tries in a row of one person that cost no pause.
        pause_s: after the next one.
        longest_pause_s: the pauses double up to this.
        in_all: wrong tries, whoever they were for,
        within_s: within this time.
    """

    free: int = 3
    pause_s: float = 5.0
    longest_pause_s: float = 300.0
    in_all: int = 10
    within_s: float = 300.0


class Tries:
    """The wrong tries at one door."""

    def __init__(self, rules: TryRules) -> None:
        self._rules = rules
        self._wrong: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._all: deque[float] = deque(maxlen=rules.in_all)

    def restore(self, wrong: Mapping[str, int], now: float) -> None:
        """Go on from the counts of before a restart, by person.

        Of those in all half are taken for used up: cutting the power must not make room for more.
        """
        self._all.extend([now] * (self._rules.in_all // 2))
        for person, count in wrong.items():
            self._wrong[person] = count
            self._until[person] = now + min(self._pause_after(count), AFTER_RESTART_S)

    def wrong(self, people: Collection[str], now: float) -> None:
        """Count one wrong try.

        Args:
            people: the ids of those it was tried for; nobody, if it may have been anybody.
            now: monotonic seconds.
        """
        self._all.append(now)
        for person in people:
            count = self._wrong[person] = self.count(person) + 1
            self._until[person] = now + self._pause_after(count)

    def right(self, person: str) -> None:
        """Begin anew with somebody; what counts in all goes on."""
        self._wrong.pop(person, None)
        self._until.pop(person, None)

    def count(self, person: str) -> int:
        """Return somebody's wrong tries in a row."""
        return self._wrong.get(person, 0)

    def pause_s(self, now: float, person: str | None = None) -> float:
        """Return how long nothing is judged for somebody, or for anybody; 0 if it is at once."""
        everybody = 0.0
        if len(self._all) == self._rules.in_all:
            everybody = self._all[0] + self._rules.within_s - now
        return max(0.0, everybody, self._until.get(person or "", now) - now)

    def _pause_after(self, count: int) -> float:
        """The pause after so many wrong tries in a row."""
        beyond = count - self._rules.free
        if beyond <= 0:
            return 0.0
        longest = self._rules.longest_pause_s
        # No power of what is beyond any longest pause: it would not fit into a float.
        return min(longest, self._rules.pause_s * 2.0 ** min(beyond - 1, 64))
