"""Whose turn it is to write, of the threads of one process: who came first.

SQLite lets whoever asks at the right moment write next. On a slow disk a thread with much to
write would keep another one waiting until that gives up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary


class Turns:
    """Of one file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @classmethod
    def of(cls, path: Path) -> Turns:
        """Return those of a file, the same for whoever asks in this process."""
        with _making:
            return _known.setdefault(path, cls())

    @contextmanager
    def take(self, patience_s: float) -> Iterator[None]:
        """Wait for one's turn, and have it.

        Raises:
            TimeoutError: if that takes longer.
        """
        self._await(patience_s)
        try:
            yield
        finally:
            self._pass_on()

    def _await(self, patience_s: float) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(patience_s):
            return
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                raise TimeoutError("locked by another thread, which takes very long")

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


_known: WeakValueDictionary[Path, Turns] = WeakValueDictionary()
_making = threading.Lock()
