"""Reading files that somebody else made, writing files whole, and files that are private.

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
    content = read_head(path, most + 1)
    if len(content) > most:
        raise UnreadableError(f"larger than {most / 2**20:g} MiB; make it smaller")
    return content


def read_head(path: Path, most: int) -> bytes:
    """Return what an ordinary file begins with, so many bytes at most.

    Raises:
        UnreadableError: if it is not there, or is no ordinary file.
    """
    try:
        # Opening a pipe would wait for whoever writes into it, and opening a device may act.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("no file, but a folder or device")
        with open(path, "rb", opener=_at_once) as file:
            return file.read(most)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except MemoryError as error:
        raise UnreadableError("too little memory to read it") from error


def _at_once(path: str, flags: int) -> int:
    """Open without waiting, should the file have become a pipe meanwhile."""
    return os.open(path, flags | os.O_NONBLOCK)


def write_over(
    path: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    uid: int = -1,
    gid: int = -1,
    new: bool = False,
) -> None:
    """Write a file beside its place and move it there, once it is on disk.

    It never has another mode or owner, nor can anybody read it before it is whole.

    Args:
        path: its place, in a folder that is there.
        uid: its owner's number, -1 for whoever writes.
        new: whether nothing may be there yet.

    Raises:
        FileExistsError: if something is there that must not be.
        OSError: if it cannot be written; then what was there stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), uid, gid)
            if mode != 0o600:  # which it has, and sticks know no other
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        if new:
            move_new(Path(name), path)
        else:
            os.replace(name, path)
        to_disk(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def move_new(beside: Path, path: Path) -> None:
    """Give a file in the same folder a name that nothing has; the old one may stay.

    Raises:
        FileExistsError: if something has it, were it only a link.
    """
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:  # sticks have no links
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(beside, path)


def owner_of(path: Path) -> tuple[int, int]:
    """Return whose a file is to be that root writes: of whoever owns the one before, or its folder.

    An administrator's command must leave what the service can open. (-1, -1) is whoever writes.
    """
    status = path.stat()
    return (status.st_uid, status.st_gid) if os.geteuid() == 0 else (-1, -1)


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, unless it is there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_private(path: Path) -> None:
    """Make an empty file that only its owner, the folder's owner, may read.

    Raises:
        FileExistsError: if there is something of that name, were it only a link.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(descriptor, *owner_of(path.parent))
    finally:
        os.close(descriptor)


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of files, will outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
