"""Copies of a store as it was before its schema changed.

A copy of a store in which templates were not sealed yet is plain until the change is on
disk, for it must be there whatever happens; then it is sealed as a whole. So a plain copy
beside a store means that an update was cut short, and the next to open the store ends it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from lockd.adapters.store.files import create_private, to_disk, uri, wipe
from lockd.adapters.store.vault import SealError, Vault
from lockd.errors import StoreError

MAGIC = b"lockd sealed copy 1\n"

_PIECE = 1 << 20
_LENGTH_BYTES = 4


def copy_of(path: Path, version: int) -> Path:
    """Return where a store of that version is copied to before it is changed."""
    return path.with_name(f"{path.name}.v{version}.bak")


def sealed_copy_of(path: Path, version: int) -> Path:
    """Return where that copy is sealed."""
    return path.with_name(f"{path.name}.v{version}.sealed")


def make_copy(path: Path, version: int) -> None:
    """Copy a store whole or not at all; what is written meanwhile is not in it.

    Raises:
        OSError: if it cannot be written.
        sqlite3.Error: if it cannot be read.
    """
    target = copy_of(path, version)
    unfinished = _unfinished(target)
    wipe(unfinished)
    sealed_copy_of(path, version).unlink(missing_ok=True)
    create_private(unfinished)
    try:
        with (
            closing(sqlite3.connect(uri(path, "mode=ro"), uri=True)) as source,
            closing(sqlite3.connect(uri(unfinished, "mode=rw"), uri=True)) as copy,
        ):
            # A journal would be in the way of the next attempt; a half copy is thrown away.
            copy.execute("PRAGMA journal_mode = OFF")
            source.backup(copy)
        to_disk(unfinished)
        unfinished.replace(target)
        to_disk(target.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def plain_copies(path: Path, versions: range) -> list[int]:
    """Return the versions of which a plain copy is there."""
    return [version for version in versions if copy_of(path, version).exists()]


def seal_copies(path: Path, versions: range, vault: Vault) -> None:
    """Seal the plain copies of a store and overwrite them; only one process at a time may.

    Raises:
        OSError: if one cannot be read or written.
    """
    for version in plain_copies(path, versions):
        plain, sealed = copy_of(path, version), sealed_copy_of(path, version)
        if not sealed.exists():  # else the plain one may be overwritten half already
            seal_file(plain, sealed, vault)
        wipe(plain)
        to_disk(plain.parent)


def forget_copies(path: Path, versions: range) -> list[Path]:
    """Overwrite and delete the copies of earlier versions; return those that were there.

    Raises:
        OSError: if one cannot be deleted.
    """
    found = []
    for version in versions:
        for copy in (copy_of(path, version), sealed_copy_of(path, version)):
            for file in (copy, _unfinished(copy)):
                if file.exists() or file.is_symlink():
                    wipe(file)
                    found.append(file)
    return found


def seal_file(plain: Path, target: Path, vault: Vault) -> None:
    """Encrypt a file, whole or not at all.

    Each piece is bound to its place and to whether another follows, so that none can be
    left out, moved or cut off unseen.
    """
    unfinished = _unfinished(target)
    unfinished.unlink(missing_ok=True)
    create_private(unfinished)
    with plain.open("rb") as source, unfinished.open("wb") as file:
        file.write(MAGIC)
        number, piece = 0, source.read(_PIECE)
        while True:
            following = source.read(_PIECE)
            sealed = vault.seal(piece, *_purpose(number, last=not following))
            file.write(len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)
            if not following:
                break
            number, piece = number + 1, following
    to_disk(unfinished)
    unfinished.replace(target)
    to_disk(target.parent)


def unseal_file(sealed: Path, target: Path, vault: Vault) -> None:
    """Decrypt a file into a new one that only its owner may read.

    Raises:
        StoreError: if it was altered or cut off, or sealed with another key.
        FileExistsError: if there is something of the target's name.
    """
    create_private(target)
    try:
        with target.open("wb") as file:
            for piece in _pieces(sealed, vault):
                file.write(piece)
        to_disk(target)
    except BaseException:
        with suppress(OSError):
            wipe(target)
        raise


def unseal(sealed: Path, target: Path, vault: Vault) -> None:
    """Decrypt a sealed copy for the lockd that it was made before.

    Raises:
        StoreError: if it is none, was altered, or cannot be written.
    """
    try:
        if not is_sealed(sealed):
            raise StoreError(f"{sealed}: not a sealed copy of a store")
        unseal_file(sealed, target, vault)
    except FileExistsError as error:
        raise StoreError(f"{target}: is there already; name another file") from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error


def is_sealed(path: Path) -> bool:
    """Return whether a file is a sealed copy."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _pieces(path: Path, vault: Vault) -> Iterator[bytes]:
    vault.need_key(for_the_first_time=False)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(len(MAGIC))
        number, last = 0, False
        while not last:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
            sealed = file.read(min(length, 2 * _PIECE))
            last = file.tell() >= size
            try:
                yield vault.unseal(sealed, *_purpose(number, last=last))
            except SealError:
                raise StoreError(
                    f"{path}: altered or cut off, or sealed with another key than {vault.key_file}"
                ) from None
            number += 1


def _purpose(number: int, *, last: bool) -> tuple[str, ...]:
    return "copy", str(number), "last" if last else "more"


def _unfinished(copy: Path) -> Path:
    return copy.with_name(copy.name + ".unfinished")
