"""The thread in which what was typed or read is compared with what is kept."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lockd.adapters.store import KeptFactor
from lockd.identity.factors import is_shown
from lockd.types import FactorEntry

log = logging.getLogger(__name__)

_CHECK_S, _CHECK_EACH_S = 20.0, 5.0  # a check that takes longer hangs


@dataclass(frozen=True, slots=True)
class Check:
    """An entry, and what it is compared with.

    Attributes:
        entry: what was typed or read.
        candidates: what it may be.
        tried: whose it was to be, by id, of those whose tries are not slowed.
        visits: that waited for it.
    """

    entry: FactorEntry
    candidates: Sequence[KeptFactor]
    tried: frozenset[str] = frozenset()
    visits: tuple[int, ...] = ()


class FactorChecker:
    """Compares one entry after the other.

    Every candidate is compared, so that the time it takes does not tell which it was.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._checks: queue.SimpleQueue[Check | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Check, list[KeptFactor] | None]] = queue.SimpleQueue()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="factor-check", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is being checked, or its result was not fetched."""
        return self._deadline is not None

    @property
    def alive(self) -> bool:
        """Whether the thread goes on."""
        late = self._deadline is not None and time.monotonic() > self._deadline
        return self._thread.is_alive() and not late

    def check(self, check: Check) -> None:
        """Begin to compare; one at a time."""
        patience = _CHECK_S + _CHECK_EACH_S * len(check.candidates)
        self._deadline = time.monotonic() + patience
        self._checks.put(check)

    def done(self) -> tuple[Check, list[KeptFactor] | None] | None:
        """Return what was checked and what matched, None for the latter if that failed."""
        try:
            done = self._done.get_nowait()
        except queue.Empty:
            return None
        self._deadline = None
        return done

    def close(self) -> None:
        """End the thread, as soon as it is done."""
        self._checks.put(None)
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while (check := self._checks.get()) is not None:
            matching: list[KeptFactor] | None = None
            try:
                matching = [
                    one
                    for one in check.candidates
                    if is_shown(one.kind, one.kept, check.entry.secret)
                ]
            except Exception as error:  # a message might have the secret in it
                log.error("second factor: a check failed: %s", type(error).__name__)
            self._done.put((check, matching))
            self._wake()
