"""Reading a file that somebody else made: no device, no pipe, and not without end."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class UnreadableError(Exception):
    """It cannot be read; the message says why and the way out, but not which file."""


def read_file(path: Path, most: int) -> bytes:
    """Return what is in an ordinary file.

    Args:
        path: to it.
        most: bytes that it may have.

    Raises:
        UnreadableError: if it is not there, is no ordinary file or is too large.
    """
    try:
        # Opening a pipe would wait for whoever writes into it, and opening a device may act.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("no file, but a folder or device")
        with open(path, "rb", opener=_at_once) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except MemoryError as error:
        raise UnreadableError("too little memory to read it") from error
    if len(content) > most:
        raise UnreadableError(f"larger than {most / 2**20:g} MiB; make it smaller")
    return content


def _at_once(path: str, flags: int) -> int:
    """Open without waiting, should the file have become a pipe meanwhile."""
    return os.open(path, flags | os.O_NONBLOCK)
