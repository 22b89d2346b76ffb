"""Strangers who come again: one courier who looks away five times is one stranger.

What their faces look like is kept in memory, for minutes, and nowhere else. Whoever comes again
and again all the same is slowed down: a face like theirs is let in as nobody for a while, as
whoever tries until chance names them must be.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from lockd.types import Embedding


@dataclass(slots=True, eq=False)
class _Known:
    face: Embedding
    visits: deque[float] = field(default_factory=deque)


class Strangers:
    """The strangers of the last minutes.

    Args:
        alike: from which similarity on two faces are one person's.
        keep_s: how long after their last visit they are remembered.
        most: how many are; the one who came least recently is forgotten first.
        tries: visits within `keep_s` after which a face is barred; 0 never bars.
        barred_s: for how long after their last visit.
    """

    def __init__(
        self,
        alike: float,
        *,
        keep_s: float = 300.0,
        most: int = 64,
        tries: int = 5,
        barred_s: float = 30.0,
    ) -> None:
        self._alike = alike
        self._keep_s = keep_s
        self._most = most
        self._tries = tries
        self._barred_s = barred_s
        self._known: list[_Known] = []

    def came(self, face: Embedding | None, now: float) -> int:
        """Note a stranger's visit; return how many of the same stranger were remembered.

        Args:
            face: float32 (size,), norm 1; None where nothing is known of it.
            now: monotonic seconds.
        """
        self._forget(now)
        if face is None or not np.isfinite(face).all():
            return 0
        known = self._find(face)
        if known is None:
            known = _Known(face)
        else:
            self._known.remove(known)
        self._known.append(known)
        del self._known[: -self._most]
        known.visits.append(now)
        return len(known.visits) - 1

    def bars(self, face: Embedding, now: float) -> bool:
        """Return whether a face is like that of a stranger who came too often just now."""
        self._forget(now)
        known = self._find(face) if self._tries else None
        if known is None or len(known.visits) < self._tries:
            return False
        return now - known.visits[-1] <= self._barred_s

    def _find(self, face: Embedding) -> _Known | None:
        likeness = [(float(one.face @ face), index) for index, one in enumerate(self._known)]
        similarity, index = max(likeness, default=(-1.0, 0))
        return self._known[index] if similarity >= self._alike else None

    def _forget(self, now: float) -> None:
        for one in self._known:
            while one.visits and now - one.visits[0] > self._keep_s:
                one.visits.popleft()
        self._known = [one for one in self._known if one.visits]
