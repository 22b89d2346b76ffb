"""Lock-out: too many refused visits, and nobody is let in by face for a while.

A lock-out has an end, and after it refused visits do not count for a rest. So whoever
keeps showing faces that are refused shuts staff out for at most
lasts_s / (lasts_s + rest_s) of the time.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from lockd.door.events import DoorMemory, LockOut


class Denials:
    """The refused visits that count, and what they led to.

    Attributes:
        until: when the lock-out ends, or None without one.
    """

    def __init__(self, rules: LockOut, memory: DoorMemory, now: float) -> None:
        """Begin with what was remembered; its times are taken for no longer than the rules'."""
        self._rules = rules
        self._times: deque[float] = deque([now] * min(memory.denials, rules.denials - 1))
        self.until: float | None = None
        left = min(memory.locked_out_s, rules.lasts_s)
        if left > 0 and rules.denials:
            self.until = now + left
        self._rest_until = now + left + min(memory.rest_s, rules.rest_s)

    def count(self, now: float) -> int:
        """Return how many refused visits count."""
        while self._times and now - self._times[0] > self._rules.within_s:
            self._times.popleft()
        return len(self._times)

    def memory(self, now: float, **more: Any) -> DoorMemory:
        """Return what a restart must know, and more."""
        ends = now if self.until is None else max(now, self.until)
        rests = max(0.0, self._rest_until - ends)
        return DoorMemory(denials=self.count(now), locked_out_s=ends - now, rest_s=rests, **more)

    def denied(self, now: float) -> bool:
        """Count a refused visit; return whether it begins a lock-out."""
        if not self._rules.denials or now < self._rest_until:  # which is after `until`
            return False
        self._times.append(now)
        if self.count(now) < self._rules.denials:
            return False
        self._times.clear()
        self.until = now + self._rules.lasts_s
        self._rest_until = self.until + self._rules.rest_s
        return True

    def granted(self) -> bool:
        """Forget the refused visits: somebody came who belongs here; return if there were any."""
        had = bool(self._times)
        self._times.clear()
        return had

    def lift(self, now: float) -> bool:
        """End the lock-out; return whether there was one."""
        if self.until is None:
            return False
        self.until = None
        self._rest_until = now + self._rules.rest_s
        return True
