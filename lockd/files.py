"""Reading files that somebody else made, and writing files whole.

Nothing outside Python's own library is imported here; see `lockd.errors`.
"""

from __future__ import annotations

import os
import stat
import tempfile
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


def write_over(path: Path, content: bytes, *, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Write a file beside its place and move it there, once it is on disk.

    It never has another mode or owner, nor can anybody read it before it is whole.

    Args:
        path: its place, in a folder that is there.
        uid: its owner's number, -1 for whoever writes.

    Raises:
        OSError: if it cannot be written; then what was there stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
