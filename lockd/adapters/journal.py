"""systemd's journal by its own protocol, which takes fields beside the text.

One datagram an entry: systemd.io, "Native Journal Protocol". What does not fit into one goes to
standard error, as everything does where no journal listens.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from lockd.errors import scrubbed

SOCKET = Path("/run/systemd/journal/socket")
_PRIORITIES = ((50, 2), (40, 3), (30, 4), (20, 6), (0, 7))


def priority(level: int) -> int:
    """Return what syslog calls a level of the log."""
    return next(number for least, number in _PRIORITIES if level >= least)


def text_of(record: logging.LogRecord, formatted: str) -> str:
    """Return the line of a record: an event's stands for itself, others say who speaks."""
    return formatted if hasattr(record, "event") else f"{record.name}: {formatted}"


def has_our_stderr() -> bool:
    """Return whether standard error is a stream of the journal's, as systemd says."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalHandler(logging.Handler):
    """Sends each record with its fields; those of an event are called ``LOCKD_...``."""

    def __init__(self, otherwise: logging.Handler, path: Path = SOCKET) -> None:
        """Open it.

        Args:
            otherwise: takes what the journal does not.
        """
        super().__init__()
        self._otherwise = otherwise
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; never waits, and never raises."""
        try:
            entry = b"".join(_field(name, text) for name, text in self._fields(record))
            self._socket.sendto(entry, self._path)
        except OSError:  # nobody there, no room, or too long
            self._otherwise.handle(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", scrubbed(text_of(record, self.format(record)))
        yield "PRIORITY", str(priority(record.levelno))
        yield "SYSLOG_IDENTIFIER", "lockd"
        yield "LOGGER", record.name
        yield "THREAD_NAME", str(record.threadName)
        for name, value in getattr(record, "event", {}).items():
            yield f"LOCKD_{name.upper()}", scrubbed(str(value))


def _field(name: str, text: str) -> bytes:
    content = text.encode("utf-8", "replace")
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + len(content).to_bytes(8, "little") + content + b"\n"
