"""How the service does, in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lockd import __version__
from lockd.adapters.machine import memory_mb, temperature_c
from lockd.identity.observation import Effort, Observation
from lockd.messages import utc_text


class Diagnostics:
    """Counts what there is to count between two reports."""

    def __init__(
        self, now: float, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Begin to count.

        Args:
            wall: the time of the day.
        """
        self._started = now
        self._since = now
        self._wall = wall
        self._efforts: Counter[Effort] = Counter()
        self._noise: float | None = None
        self._busy_s = 0.0
        self._last_seen: datetime | None = None

    def judged(self, seconds: float, found: Observation) -> None:
        """Note that a frame was judged, and what it showed."""
        self._efforts[found.effort] += 1
        self._busy_s += seconds
        self._noise = found.noise if math.isfinite(found.noise) else None
        if found.sightings:
            self._last_seen = self._wall()

    def report(self, now: float, people: int) -> dict[str, Any]:
        """Return what is published, without what is not known, and begin anew."""
        elapsed, frames = now - self._since, self._efforts.total()
        values = {
            "fps": round(frames / elapsed, 2) if elapsed > 0 else 0.0,
            "inference_ms": round(self._busy_s / frames * 1e3, 1) if frames else None,
            "looked": {effort.value: self._efforts[effort] for effort in Effort},
            "noise": None if self._noise is None else round(self._noise, 4),
            "temperature_c": temperature_c(),
            "memory_mb": memory_mb(),
            "people": people,
            "version": __version__,
            "uptime_s": round(now - self._started),
            "last_seen": None if self._last_seen is None else utc_text(self._last_seen),
        }
        self._since, self._busy_s = now, 0.0
        self._efforts.clear()
        return {name: value for name, value in values.items() if value is not None}
