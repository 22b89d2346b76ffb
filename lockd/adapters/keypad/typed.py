"""Keys, one after the other, to what was typed. Pure."""

from __future__ import annotations

import math

from lockd.errors import FactorError
from lockd.identity.factors import LONGEST_ENTRY, FactorKind, clean_card
from lockd.types import FactorEntry

ENTER, CLEAR, BACK = "enter", "clear", "back"
"""Keys that are no part of what is typed."""


class Typed:
    """A line that is typed; who stops in its midst begins anew."""

    def __init__(self, gives: FactorKind, gap_s: float) -> None:
        """Begin.

        Args:
            gives: what a line is.
            gap_s: the longest time from one key to the next.
        """
        self._gives = gives
        self._gap_s = gap_s
        self._keys = ""
        self._last = -math.inf

    def key(self, key: str, t: float) -> FactorEntry | None:
        """Take a key.

        Args:
            key: a digit or a letter from A to Z, or one of the names above.
            t: when, seconds of any clock that does not jump.

        Returns:
            What was typed, once it is entered.
        """
        if not 0 <= t - self._last <= self._gap_s:
            self.clear()
        self._last = t
        if key == ENTER:
            line, self._keys = self._keys, ""
            return entry(self._gives, line)
        if key == CLEAR:
            self.clear()
        elif key == BACK:
            self._keys = self._keys[:-1]
        elif len(self._keys) <= LONGEST_ENTRY:  # one more marks it as too long
            self._keys += key
        return None

    def clear(self) -> None:
        """Forget what was typed."""
        self._keys = ""


def entry(kind: FactorKind, line: str) -> FactorEntry | None:
    """Return a line as an entry; None if it is empty, too long, or no card's number."""
    if not 0 < len(line) <= LONGEST_ENTRY:
        return None
    try:
        return FactorEntry(kind.value, line if kind is FactorKind.PIN else clean_card(line))
    except FactorError:
        return None
