"""Descriptors of a database's file that are not SQLite's, shared by all who have it open here.

Closing *any* descriptor of a file gives up *all* locks that this process has on it (fcntl(2)):
those of SQLite's other connections too, in other threads. Somebody else could then fold the
journal in and delete it while those still write to it, which ruins the file. So a descriptor is
closed only when nobody in this process has the database open any more. See "How To Corrupt An
SQLite Database File", 2.2, at sqlite.org.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

from lockd.files import identity

_lock = threading.Lock()
_users: Counter[tuple[int, int]] = Counter()
_open: dict[tuple[int, int], int] = {}


class Hold:
    """One user of a database's file; to be released once SQLite's connection is closed."""

    def __init__(self, path: Path) -> None:
        """Hold a file that is there, or one that is not, which holds nothing."""
        self._path = path
        self._key = identity(path)
        if self._key is not None:
            with _lock:
                _users[self._key] += 1

    def descriptor(self) -> int:
        """Return a descriptor to read it by, which must not be closed.

        Raises:
            OSError: if it cannot be opened, or is another file now.
        """
        with _lock:
            if self._key is None or self._key not in _open:
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
                descriptor = os.open(self._path.resolve(), flags)
                status = os.fstat(descriptor)
                key = status.st_dev, status.st_ino
                if key != self._key:
                    # Whoever it belongs to has its locks, if anybody does: so it stays open.
                    raise OSError(f"{self._path}: another file took its place")
                _open[key] = descriptor
            return _open[self._key]

    def release(self) -> None:
        """Close it, if nobody else in this process has the database open; once is enough."""
        key, self._key = self._key, None
        if key is None:
            return
        with _lock:
            _users[key] -= 1
            if _users[key] <= 0:
                del _users[key]
                if key in _open:
                    os.close(_open.pop(key))
