"""Writing a file so that there is the old one or the new one, and nothing between.

Nothing outside Python's own library is imported here; see `lockd.errors`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_over(path: Path, content: bytes, *, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Write a file beside its place and move it there, once it is on disk.

    It never has another mode or owner, nor can anybody read it before it is whole.

    Args:
        path: its place, in a folder that is there.
        content: all of it.
        mode: its permissions.
        uid: its owner's number, -1 for whoever writes.
        gid: its group's.

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
