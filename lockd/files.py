"""Reading files that somebody else made, writing files whole, and files that are private.

Whoever owns a folder decides what a name in it leads to: a link to a file of root's, put there
between two steps of a command, would be followed. So a command that runs as root does what
it does in a folder as that folder's owner; see `acting_for`.

Nothing outside Python's own library is imported here; see `lockd.errors`.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

_NOBODY = 65534
_MOST_LINKS = 40  # as Linux has it


class Owner(NamedTuple):
    """Whom to be while something is done in a folder: numbers of user, group and groups."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def owner_on_the_way(path: Path) -> Owner | None:
    """Return who, other than root, decides what a path leads to; None if nobody does.

    That is whoever owns the first folder, file or link on the way that is not root's; of a
    folder in which others may replace what is root's, anybody of them. What does not exist
    yet is its folder's.

    Raises:
        OSError: if there are too many links on the way.
    """
    here, left, links = Path("/"), list(path.absolute().parts[1:]), 0
    while True:
        try:
            status = here.lstat()
        except FileNotFoundError:
            return None
        if status.st_uid != 0:
            return _user(status.st_uid, status.st_gid)
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(40, "too many symbolic links", str(path))
            target = here.parent / os.readlink(here)
            here, left = Path("/"), [*target.parts[1:], *left]
        elif stat.S_ISDIR(status.st_mode) and (anybody := _anybody_in(status)):
            return anybody
        if not left:
            return None
        here = here.parent if left[0] == ".." else here / left[0]
        del left[0]


def _anybody_in(status: os.stat_result) -> Owner | None:
    """The least of those who may replace what is in a folder of root's; None if nobody may."""
    if status.st_mode & stat.S_ISVTX:  # nobody may replace what is another one's
        return None
    if status.st_mode & stat.S_IWOTH:
        return Owner(_NOBODY, _NOBODY, ())
    if status.st_mode & stat.S_IWGRP and status.st_gid != 0:
        return Owner(_NOBODY, status.st_gid, ())
    return None


def _user(uid: int, gid: int) -> Owner:
    """A user with their groups; of one whom nobody knows, with the group of what they own."""
    import pwd  # noqa: PLC0415  # not needed where speed counts

    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return Owner(uid, gid or _NOBODY, ())
    return Owner(uid, known.pw_gid, tuple(os.getgrouplist(known.pw_name, known.pw_gid)))


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Be somebody while within, for the kernel's decision what may be done; root alone can.

    Whoever is somebody already stays who they are, so that nothing leads back to root.

    Raises:
        OSError: if the kernel does not let it.
    """
    if owner is None or os.geteuid() != 0:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(owner.groups)
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def size_of(path: Path) -> int:
    """Return the bytes of a file, a link's own; 0 if there is none."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def acting_for(path: Path) -> Iterator[None]:
    """Be, while within, whoever decides what a path leads to; only root changes who it is.

    Every name is looked up, and every file opened, made and replaced, with their rights alone.
    """
    with acting_as(owner_on_the_way(path) if os.geteuid() == 0 else None):
        yield


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep others who change the same files of a folder waiting.

    Raises:
        OSError: if it is not there.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
        with open(path, "rb", opener=at_once) as file:
            return file.read(most)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except MemoryError as error:
        raise UnreadableError("too little memory to read it") from error


def at_once(path: str, flags: int) -> int:
    """Open without waiting, should the file be or have become a pipe; an opener of `open`."""
    return os.open(path, flags | os.O_NONBLOCK)


def write_over(
    path: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    uid: int = -1,
    gid: int = -1,
    new: bool = False,
    as_owner: bool = True,
    lasting: bool = True,
) -> None:
    """Write a file beside its place and move it there, once it is on disk.

    It never has another mode or owner, nor can anybody read it before it is whole. What root
    writes belongs to whoever decides what is in the folder; see `acting_for`.

    Args:
        path: its place, in a folder that is there.
        uid, gid: numbers of its owner and group, -1 for those of whoever writes.
        new: whether nothing may be there yet.
        as_owner: whether root writes as the folder's owner.
        lasting: whether it is to outlive a power cut, which may take the disk's time.

    Raises:
        FileExistsError: if something is there that must not be.
        OSError: if it cannot be written; then what was there stays.
    """
    with acting_for(path.parent) if as_owner else nullcontext():
        _write_over(path, content, mode, (uid, gid), new=new, lasting=lasting)


def _write_over(
    path: Path, content: bytes, mode: int, owner: tuple[int, int], *, new: bool, lasting: bool
) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), *owner)
            if mode != 0o600:  # which it has, and sticks know no other
                os.fchmod(file.fileno(), mode)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        if new:
            move_new(Path(name), path)
        else:
            os.replace(name, path)
        if lasting:
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
    """Return whose a file is to be that takes the place of another: of whoever owns that.

    An administrator's command must leave what the service can open. (-1, -1) is whoever writes.
    """
    status = path.lstat()
    return (status.st_uid, status.st_gid) if os.geteuid() == 0 else (-1, -1)


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, unless it is there."""
    with acting_for(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_private(path: Path) -> None:
    """Make an empty file that only its owner, the folder's owner, may read.

    Raises:
        FileExistsError: if there is something of that name, were it only a link.
    """
    with acting_for(path.parent):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


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
