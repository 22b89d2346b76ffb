"""Room on the disk that is kept so that somebody's rights can be taken away when it is full.

It is a file beside the store with nothing in it. Who revokes gives it up within the transaction,
when nobody else can write to the store, and makes it anew afterwards if there is room again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lockd.files import acting_for, create_private, size_of

SIZE = 1 << 20
"""Bytes: for the journal of a removal, with SQLite's index of it."""
_LEAST = 1 << 17
_MODEST = 4  # it takes no more than this part of what is free


class Reserve:
    """The reserve of one store."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".reserve")

    def make(self, *, part: int = _MODEST) -> None:
        """Make it, unless it is there, or there is no room even for a small one; never raises.

        Args:
            part: how large a part of what is free it may take at most: one of so many.
        """
        with suppress(OSError), acting_for(self._path.parent):
            before = self.size()
            size = min(SIZE, (free(self._path.parent) + before) // part)
            # One that was made in a hurry may become larger.
            if size >= max(_LEAST, 2 * before) or before < _LEAST:
                self.give_up()
                if size >= _LEAST:
                    self._fill(size)

    def give_up(self) -> bool:
        """Delete it; return whether there was one.

        Raises:
            OSError: if it cannot be deleted.
        """
        there = self._path.is_symlink() or self._path.exists()
        self._path.unlink(missing_ok=True)
        return there

    def size(self) -> int:
        """Return the bytes that are reserved."""
        return size_of(self._path)

    def _fill(self, size: int) -> None:
        create_private(self._path)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except OSError:
            self.give_up()
            raise


def free(folder: Path) -> int:
    """Return how many bytes are free for users where a folder is.

    Raises:
        OSError: if it is not there.
    """
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
