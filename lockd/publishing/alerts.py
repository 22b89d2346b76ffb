"""Which alerts are published: one for a visit, not too often, not at night. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime

from lockd.door.schedules import Holiday, Schedule


class Alerts:
    """Holds alerts back, and counts those that it held back.

    Events are published all the same: this is only about what makes a phone ring. What
    begins once, such as a visit, is one event, so it is one alert at most.
    """

    def __init__(
        self,
        cooldown_s: float,
        quiet: Schedule | None = None,
        quiet_kinds: Collection[str] = (),
        holidays: tuple[Holiday, ...] = (),
    ) -> None:
        """Begin with none.

        Args:
            cooldown_s: least time between two alerts of a kind.
            quiet: hours in which some kinds are held back.
        """
        self._cooldown_s = cooldown_s
        self._quiet = quiet
        self._quiet_kinds = frozenset(quiet_kinds)
        self._holidays = holidays
        self._next_at: defaultdict[str, float] = defaultdict(lambda: -math.inf)
        self._held_back: Counter[str] = Counter()
        self._silent_until = -math.inf

    def silence(self, until: float) -> None:
        """Hold every alert back until then."""
        self._silent_until = until

    def admit(self, kind: str, now: float, local: datetime | None) -> int | None:
        """Return how many alerts of a kind were held back before this one, None for this one, too.

        Args:
            local: the local time; None while it is not known, which is no quiet hour.
        """
        if now < self._silent_until or now < self._next_at[kind] or self._is_quiet(kind, local):
            self._held_back[kind] += 1
            return None
        self._next_at[kind] = now + self._cooldown_s
        return self._held_back.pop(kind, 0)

    def _is_quiet(self, kind: str, local: datetime | None) -> bool:
        if self._quiet is None or local is None or kind not in self._quiet_kinds:
            return False
        return self._quiet.covers(local, self._holidays)
