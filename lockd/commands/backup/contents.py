"""What a door is made of besides its program: which files go into a backup."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import ValidationError

from lockd import __version__
from lockd.adapters.keys import keys_file
from lockd.adapters.store import Store, Vault
from lockd.adapters.store.restoring import copied
from lockd.adapters.store.witness import witness_of
from lockd.commands.backup import archive
from lockd.commands.backup.manifest import Item, Manifest, Role
from lockd.config import Settings
from lockd.errors import LockdError, StoreError, TransferError
from lockd.files import UnreadableError, acting_for, move_new, read_file, to_disk
from lockd.messages import utc_text
from lockd.paths import (
    DISPLAY_DROP_IN,
    DROP_INS,
    INPUT_DROP_IN,
    NETWORK_FILE,
    SOUND_DROP_IN,
    SYSTEM_CONFIG,
    USER,
)

MOST_BYTES = 1 << 20
"""Of a file beside the store."""
_MADE_ANEW = (NETWORK_FILE, INPUT_DROP_IN, SOUND_DROP_IN, DISPLAY_DROP_IN)


def back_up(
    settings: Settings,
    config_file: Path | None,
    store: Store,
    target: Path,
    passphrase: str,
    note: Callable[[str], None],
) -> Manifest:
    """Write everything into a new file, while the service goes on; return what is in it.

    Args:
        note: told of what is left out.

    Raises:
        StoreError: if the store or its key cannot be read, or a file that belongs to it.
        TransferError: if the file is there already or cannot be written.
    """
    found = [_found(path, role) for path, role in _files(settings, config_file, note)]
    key = _found(Vault.open(settings.store).key_file, "store key")
    witness = witness_of(store.path, store.database.vault, settings.store.generation_file)
    with copied(store) as copy:
        status = copy.stat()
        database = _item(store.path, "store", status)
        files = [key, *found]
        manifest = Manifest(
            format=1,
            made_utc=utc_text(timespec="seconds"),
            version=__version__,
            door=settings.door.id,
            generation_file=str(_plain(witness.path)),
            files=[*(item for item, _ in files), database],
        )
        with _new(target) as file:
            parts = (content for _, content in files)
            archive.write(file, passphrase, manifest, _chained(parts, copy, database.bytes))
    return manifest


def _files(
    settings: Settings, config_file: Path | None, note: Callable[[str], None]
) -> Iterator[tuple[Path, Role]]:
    """The files besides the store and its key, as far as they are there."""
    key = _plain(Vault.open(settings.store).key_file)
    for path, role in _wanted(settings, config_file).items():
        if path == key or path.is_dir() or ".before-restore-" in path.name:
            continue
        if not path.exists():
            if path != _plain(keys_file(settings)):  # which need not be there
                note(f"{path} is not there, and so not in the backup")
        elif role == "other" and (path.is_symlink() or path.stat().st_size > MOST_BYTES):
            note(f"{path} is left out: a link, or larger than {MOST_BYTES >> 20} MiB")
        else:
            yield path, role
    if settings.recognition.models is not None:
        note(f"{settings.recognition.models} is left out: copy the networks yourself")


def _wanted(settings: Settings, config_file: Path | None) -> dict[Path, Role]:
    """What the configuration names and, of the service, what lies beside it and its unit."""
    wanted: dict[Path, Role] = {}
    if config_file is not None:
        wanted[_plain(config_file)] = "configuration"
    tls = settings.mqtt.tls
    named = [settings.mqtt.password_file, settings.camera.ca_file, keys_file(settings)]
    named += [tls.ca_file, tls.cert_file, tls.key_file] if tls is not None else []
    for path in named:
        if path is not None:
            wanted.setdefault(_plain(path), "secret")
    folder = Path(SYSTEM_CONFIG).parent
    if config_file is not None and _plain(config_file).parent == folder:
        for path in sorted(folder.rglob("*")):
            wanted.setdefault(path, "other")
        for path in sorted(Path(DROP_INS).glob("*.conf")):
            if str(path) not in _MADE_ANEW:
                wanted.setdefault(path, "unit")
    return wanted


def _found(path: Path, role: Role) -> tuple[Item, bytes]:
    try:
        with acting_for(path.parent):
            content, status = read_file(path, MOST_BYTES), path.stat()
    except (UnreadableError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{path}: cannot be backed up: {reason}; run this as root") from error
    item = _item(path, role, status).model_copy(update={"bytes": len(content)})
    return item, content


def _item(path: Path, role: Role, status: os.stat_result) -> Item:
    user = group = ""
    with suppress(KeyError):
        user = pwd.getpwuid(status.st_uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    try:
        return Item(
            path=str(_plain(path)),
            role=role,
            owner=_known(user),
            group=_known(group),
            mode=stat.S_IMODE(status.st_mode) & 0o777,
            bytes=status.st_size,
        )
    except ValidationError as error:
        raise StoreError(f"{path!r}: no name for a file in a backup; give it another") from error


def _plain(path: Path) -> Path:
    """A path from the root, without turning back."""
    return Path(os.path.abspath(path))


def _known(name: str) -> Literal["root", "lockd", ""]:
    return "root" if name == "root" else "lockd" if name == USER else ""


def _chained(contents: Iterator[bytes], copy: Path, size: int) -> Iterator[bytes]:
    yield from contents
    with acting_for(copy.parent):
        file = copy.open("rb")
    with file:
        while size > 0 and (part := file.read(min(size, archive.PIECE))):
            size -= len(part)
            yield part
    if size:
        raise StoreError(f"{copy}: became shorter while it was read; try again")


@contextmanager
def _new(target: Path) -> Iterator[BinaryIO]:
    """A new private file, there as a whole or not at all.

    Raises:
        TransferError: if it is there already, or cannot be written.
    """
    beside = target.with_name(f".{target.name}.unfinished")
    try:
        with acting_for(target.parent):
            if os.path.lexists(target):
                raise FileExistsError
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with acting_for(target.parent):
                move_new(beside, target)
                to_disk(target.parent)
        finally:
            with acting_for(target.parent):
                beside.unlink(missing_ok=True)
    except FileExistsError:
        raise TransferError(f"{target}: is there already; name a new file") from None
    except OSError as error:
        if isinstance(error, LockdError):
            raise
        raise TransferError(f"{target}: {error.strerror}; nothing was written") from error
