"""Files that only their owner may read, and how SQLite is told of them."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 1 << 20


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
        if os.geteuid() == 0:
            # An administrator's command must leave a store that the service can open.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of files, will outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def wipe(path: Path) -> None:
    """Overwrite a file with zeros and delete it; what is a link is only deleted.

    Cards and disks that spread their writes may keep the old blocks all the same.
    """
    if path.is_file() and not path.is_symlink():
        with path.open("r+b", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(bytes(min(left, _BLOCK)))
            os.fsync(file.fileno())
    path.unlink(missing_ok=True)


def uri(path: Path, query: str) -> str:
    """Return SQLite's name of a file, with its parameters."""
    return f"file:{path.resolve().as_uri().removeprefix('file://')}?{query}"


def identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
