"""What would be forgotten if the process were killed this very moment.

Writing to the store takes the disk's time, so events wait for a thread that does it. Until then
they are also here: in a file of the runtime directory, which is in memory, and which the
service manager keeps when it starts the service anew. A power cut takes it, with all that
no disk had time for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lockd.paths import by_systemd

log = logging.getLogger(__name__)

NAME = "spool"
MAX_BYTES = 4 * 2**20
"""Beyond this nothing more is added: it is emptied every few milliseconds unless all is lost."""


class Spool:
    """Lines of JSON, added by one thread and deleted, all of them, by another."""

    def __init__(self, folder: Path) -> None:
        """Open the spool of a folder, with what the last run left in it.

        One that cannot be opened is logged, and keeps nothing.
        """
        self._lock = threading.Lock()
        self._size = 0
        self._file: int | None = None
        self.left: list[dict[str, Any]] = []
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(folder / NAME, flags, 0o600)
            with open(self._file, "rb", closefd=False) as file:
                content = file.read(MAX_BYTES)
        except OSError as error:
            log.error("%s: %s", folder / NAME, error.strerror)
            return
        self._size = len(content)
        self.left = [one for line in content.splitlines() if (one := _read(line))]

    @classmethod
    def of_service(cls) -> Spool | None:
        """Return the spool of the runtime directory that the service manager made, if it did."""
        folder = by_systemd("RUNTIME")
        return None if folder is None else cls(folder)

    def add(self, values: Mapping[str, Any]) -> None:
        """Add a line; never raises."""
        line = json.dumps(dict(values), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            if self._file is not None and self._size + len(line) <= MAX_BYTES:
                with contextlib.suppress(OSError):  # memory is full; the store may not be
                    self._size += os.write(self._file, line)

    def clear(self, unless: Collection[Any]) -> None:
        """Delete all lines, unless there is something in a collection that is filled before."""
        with self._lock:
            if self._file is not None and self._size and not unless:
                os.ftruncate(self._file, 0)
                self._size = 0

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _read(line: bytes) -> dict[str, Any] | None:
    """A line, None if it was cut off."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
