"""A connection to the store of a thread's own, which looks after itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from lockd.adapters.store.store import Store
from lockd.errors import StoreError
from lockd.files import identity

STORE_PAUSE_S = 2.0
"""How long a store that failed is left alone: waiting for its lock at every frame would
slow the looking down."""


class OwnStore:
    """Opened when it is needed, and anew if it failed, was taken away or replaced.

    For one thread, but for `problem`.

    Attributes:
        store: while it is open.
        problem: why it cannot be used, or None; a store that may only be read is none here.
    """

    def __init__(
        self, opener: Callable[[], Store] | None, *, pause_s: float = STORE_PAUSE_S
    ) -> None:
        """Open nothing yet.

        Args:
            opener: opens the store, and never makes one; None where there is none.
            pause_s: how long a store that failed is left alone.
        """
        self._opener = opener
        self._pause_s = pause_s
        self._pause_until = -math.inf
        self._file: tuple[int, int] | None = None
        self.store: Store | None = None
        self.problem: str | None = None

    def usable(self) -> Store | None:
        """Return the store, to be written; None while there is none."""
        if self._opener is None or time.monotonic() < self._pause_until:
            return None
        if self.store is not None and identity(self.store.path) == self._file:
            return self.store
        self.close()
        try:
            store = self._opener()
        except StoreError as error:
            self.give_up(str(error))
            return None
        if not store.writable:
            store.close()
            self.problem, self._pause_until = None, time.monotonic() + self._pause_s
            return None
        self.store, self._file = store, identity(store.path)
        return store

    def give_up(self, problem: str) -> None:
        """Leave it alone for a while, and open it anew then."""
        self.problem = problem
        self._pause_until = time.monotonic() + self._pause_s
        self.close()

    def try_now(self) -> None:
        """Leave it alone no longer."""
        self._pause_until = -math.inf

    def forget(self) -> None:
        """Open it anew for another thread: SQLite lets none use what this one opened."""
        self.store = None

    def close(self) -> None:
        """Close the file, if it is open."""
        if self.store is not None:
            self.store.close()
            self.store = None
