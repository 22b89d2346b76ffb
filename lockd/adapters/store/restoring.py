"""Putting a backup back.

People, their templates, photographs and rights become the backup's, all in one transaction
of the store that is there: a running service sees them at its next frame, and kill -9
leaves the old ones or the new ones. What the door remembers, waiting messages, kept events
and the audit trail stay: they are not older for it.

Only a store that is missing or cannot be used is replaced as a file, and kept beside.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from lockd.adapters.store.care import copy_into
from lockd.adapters.store.database import Database, store_error, uri
from lockd.adapters.store.records import utc_now
from lockd.adapters.store.rows import begin_epoch, delete
from lockd.adapters.store.store import Store
from lockd.adapters.store.turned import Returning, returning
from lockd.adapters.store.vault import Vault
from lockd.adapters.store.witness import Known, witness_of
from lockd.errors import StoreError
from lockd.files import acting_for, make_folder, to_disk

_PEOPLE = ("factors", "photographs", "templates", "models", "people")
_SIDES = ("", "-wal", "-shm", "-journal")
_BLOCK = 1 << 20


Answer = Callable[[list[Returning]], bool]
"""Asked whether those who were removed or disabled are to come back; False leaves them out."""


def restore(
    path: Path,
    backup: Path,
    vault: Vault,
    *,
    by: str,
    replace: bool = False,
    generation_file: Path | None = None,
    answer: Answer | None = None,
) -> int:
    """Make the people of a store those of a backup.

    Args:
        path: the store; made if it is missing.
        backup: made by `Care.backup`.
        vault: the key of both.
        replace: whether a store that cannot be used is put aside.
        generation_file: of the store, see `Store.open`.
        answer: what of those whom the backup brings back; without it that is an error.

    Returns:
        How many people there are.

    Raises:
        StoreError: if the backup is damaged in any way, is of another key, or the store
            cannot be used and may not be put aside; then nothing was changed.
    """
    vault.read_ahead()
    witness = witness_of(path, vault, generation_file)
    with _staged(path, backup, vault) as staging:
        if path.exists():
            try:
                store = Store.open(path, vault, generation_file=generation_file)
            except StoreError as error:
                if not replace:
                    raise StoreError(
                        f"{error}\nto put this store aside and the backup in its place, use "
                        "--replace"
                    ) from error
                none_has_it_open(path)
                with acting_for(path.parent):
                    put_aside(path, "unusable")
            else:
                with closing(store):
                    _see_who_returns(store.database, witness.read_anyhow(), staging, vault, answer)
                    return _take_over(store, staging, by)
        known = witness.read_anyhow()
        _see_who_returns(None, known, staging, vault, answer)
        with closing(Store.open(staging, vault, copy=True)) as store:
            people = len(store.people.all())
            with store.database.transaction():
                store.database.roll.renew(known.generation if isinstance(known, Known) else 0)
                store.audit.note(by, "restore")
                store.outbox.begin_anew()
            generation = store.database.roll.generation()
        with acting_for(path.parent):
            os.replace(staging, path)
            to_disk(path.parent)
        if isinstance(known, str):
            witness.begin_anew(generation)
        witness.advance(generation)
        return people


def _see_who_returns(
    now: Database | None,
    known: Known | str | None,
    staging: Path,
    vault: Vault,
    answer: Answer | None,
) -> None:
    """Ask about those whom a copy brings back, and leave them out if they are to stay away.

    Raises:
        StoreError: if there is nobody to ask.
    """
    with closing(Store.open(staging, vault, copy=True)) as store:
        back = returning(now, known, store.database)
        if not back:
            return
        if answer is None:
            listed = "\n".join(f"  {one.name}, who was {one.why}" for one in back)
            raise StoreError(
                f"{staging}: would bring back people who were removed or disabled since; nothing "
                f"was changed; use --bring-back or --leave-out\n{listed}"
            )
        if answer(back):
            return
        for one in back:
            if one.why == "disabled":
                store.people.set_enabled(one.name, False, by="restore")
                continue
            with store.database.transaction():
                delete(store.database, one.person_id)


@contextmanager
def copied(store: Store) -> Iterator[Path]:
    """Yield a private copy of a store as it is at one moment, beside it, for as long as is needed.

    Raises:
        StoreError: if there is no room, or it cannot be read.
    """
    path = store.path.with_name(store.path.name + ".copied")
    try:
        with store.database.held() as source, acting_for(path.parent):
            clear(path)
            copy_into(path, source)
        yield path
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    finally:
        with acting_for(path.parent):
            clear(path)


@contextmanager
def _staged(path: Path, backup: Path, vault: Vault) -> Iterator[Path]:
    """Yield a private copy of a backup, of the latest version, in which nothing is wrong."""
    if not _is_database(backup):
        raise StoreError(f"{backup}: not a backup of lockd's")
    staging = path.with_name(path.name + ".restoring")
    try:
        make_folder(path.parent)
        # A backup may lie on a medium that cannot be written; nobody writes to one.
        with closing(sqlite3.connect(uri(backup, "mode=ro&immutable=1"), uri=True)) as source:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with acting_for(path.parent):
                clear(staging)
                copy_into(staging, source)
        with closing(Store.open(staging, vault, copy=True)) as store:
            faults = store.care.examine()
        if faults:
            listed = "\n".join(f"  {one.text}" for one in faults)
            raise StoreError(f"{backup}: cannot be trusted, and nothing was changed\n{listed}")
        yield staging
    except StoreError as error:
        raise StoreError(str(error).replace(str(staging), str(backup))) from error
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{backup}: cannot be restored: {error}; nothing was changed") from error
    finally:
        try:
            with acting_for(path.parent):
                clear(staging)
        except OSError as error:
            raise StoreError(f"{staging}: the copy cannot be removed: {error}") from error


def _take_over(store: Store, staging: Path, by: str) -> int:
    """Replace everybody of a store by those of a copy, at once."""
    database, run = store.database, store.database.run
    with database.errors():
        run("ATTACH ? AS backup", uri(staging, "mode=ro"))
    with database.transaction():
        before = {id_ for (id_,) in run("SELECT id FROM main.people").fetchall()}
        for table in _PEOPLE:
            run(f"DELETE FROM main.{table}")
        for table in reversed(_PEOPLE):
            run(f"INSERT INTO main.{table} SELECT * FROM backup.{table}")
        run("DELETE FROM main.gone WHERE person_id IN (SELECT id FROM main.people)")
        run(
            "UPDATE main.counters SET value = max(value, (SELECT value FROM backup.counters "
            "WHERE name = 'gallery')) WHERE name = 'gallery'"
        )
        database.roll.renew()
        for gone in before - {id_ for (id_,) in run("SELECT id FROM main.people").fetchall()}:
            database.roll.tell("removed", gone)
        begin_epoch(database)  # services forget what they read: revisions are others
        store.audit.note(by, "restore")
    with database.errors():
        run("DETACH backup")
    database.fold_journal()
    return len(store.people.all())


def none_has_it_open(path: Path) -> None:
    """Refuse to put a store aside that is in use."""
    holders = _holders(path)
    if holders:
        # Whoever has it open would delete the journal of the new one when it closes the old.
        listed = ", ".join(map(str, holders))
        raise StoreError(
            f"{path}: process {listed} has it open; end it first: `sudo systemctl stop lockd`"
        )


def put_aside(path: Path, why: str) -> list[Path]:
    """Rename a store, and what belongs to it, so that it says why and since when; return them."""
    when = utc_now().replace(":", "")
    aside = []
    for side in _SIDES:
        file = path.with_name(path.name + side)
        if file.exists():
            aside.append(file.rename(path.with_name(f"{path.name}.{why}-{when}{side}")))
    return aside


def _holders(path: Path) -> list[int]:
    """The processes that have a store open, as far as this user may see them."""
    files = {str(path.resolve()) + side for side in _SIDES}
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) in files:
                found.add(int(link.parts[2]))
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return sorted(found - {os.getpid()})


def clear(staging: Path) -> None:
    """Delete a copy of a store, with zeros in its place first."""
    for side in _SIDES:
        file = staging.with_name(staging.name + side)
        with suppress(FileNotFoundError):
            _overwrite(file)
        file.unlink(missing_ok=True)


def _overwrite(file: Path) -> None:
    """Put zeros in the place of what is in a file; cards may keep the old blocks all the same."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # planted: nothing of ours
            return
        raise
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        left = os.fstat(target.fileno()).st_size
        while left > 0:
            left -= target.write(bytes(min(left, _BLOCK)))
        os.fsync(target.fileno())


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
