"""Looking after a store: is it whole, a copy of it, the file made small."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from lockd.adapters.store import schema
from lockd.adapters.store.audit import Audit
from lockd.adapters.store.database import Database, store_error, uri
from lockd.adapters.store.factors import open_factor
from lockd.adapters.store.liveness import Liveness
from lockd.adapters.store.records import Fault, key_of
from lockd.adapters.store.rights import COLUMNS, Rights, nonce_of, nonces, opened
from lockd.adapters.store.rows import PERSON, begin_epoch, changed, to_person
from lockd.adapters.store.strangers import open_picture
from lockd.adapters.store.templates import open_photograph, open_template
from lockd.adapters.store.turned import turned_back
from lockd.errors import StoreError
from lockd.files import acting_for, create_private, move_new, size_of, to_disk

_MOST_FAULTS = 20


class Care:
    """What an administrator does with a store as a whole."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def examine(self) -> list[Fault]:
        """Look at everything: file, references, key, each template, who may read it.

        Returns:
            What is wrong, the worst first; empty if nothing is.
        """
        try:
            key, known = list(self._exposed_key()), self._database.roll.known()
        except OSError as error:
            raise store_error(self._database.vault.key_file, error) from error
        with self._database.errors():
            return [
                *(*self._damage(), *turned_back(self._database, known), *self._altered()),
                *(*self._spoilt_people(), *self._spoilt_rows(), *self._exposed(), *key),
            ]

    def turned_back(self) -> list[Fault]:
        """Say why the people may not be the latest, and who is not as they were left."""
        known = self._database.roll.known()
        with self._database.errors():
            return list(turned_back(self._database, known))

    def confirm(self, *, by: str) -> None:
        """Take the people as they are for the latest, on an administrator's word.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():
            self._database.roll.renew()
            begin_epoch(self._database)
            self._audit.note(by, "confirm")

    def put_back(self, *, by: str) -> int:
        """Make the rows of people that were changed past lockd what was sealed; return how many.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        database, count = self._database, 0
        with database.transaction():
            for id_, kept, row in list(self._rights()):
                if kept is None or kept.row == row:
                    continue
                name = str(kept.row[0])
                database.roll.look(id_)
                database.run(
                    "UPDATE people SET name = ?, groups = ?, valid_from = ?, valid_until = ?, "
                    "enabled = ?, revision = ?, name_key = ? WHERE id = ?",
                    *(*kept.row, key_of(name), id_),
                )
                database.roll.vouched(id_, int(kept.row[-1] or 0))
                changed(database, id_)
                self._audit.note(by, "put_back", id_)
                count += 1
        return count

    def _rights(self) -> Iterator[tuple[str, Rights | None, tuple[Any, ...]]]:
        """Of everybody what was sealed, and what their row says."""
        database = self._database
        rows = database.run(f"SELECT id, rights, {COLUMNS} FROM people ORDER BY name_key")
        for id_, sealed, *row in rows.fetchall():
            yield id_, opened(database.vault, sealed, id_), tuple(row)

    def _missing(self, person_id: str, kept: Rights) -> int:
        """How many of somebody's templates, PINs and cards are not there, not even spoilt."""
        there = nonces(self._database, person_id)
        return len(kept.holds - there) - len(there - kept.holds)

    def _altered(self) -> Iterator[Fault]:
        """What else the seal has that is not as it was written: audit trail, liveness scores."""
        try:
            yield from [Fault(text) for text in self._database.roll.audit_faults()]
        except StoreError:  # there is no roll to tell by, which was said
            return
        try:
            Liveness(self._database).kept()
        except StoreError as error:
            yield Fault(str(error))

    def mend(self, *, by: str) -> int:
        """Delete templates, pictures, PINs and cards that do not open; return how many."""
        with self._database.transaction():
            faults = [one for one in self._spoilt_rows() if one.row is not None]
            short = {
                id_
                for id_, kept, row in self._rights()
                if kept is not None and kept.row == row and self._missing(id_, kept) > 0
            }
            ids = {one.person_id for one in faults if one.person_id}
            for id_ in short | ids:
                self._database.roll.look(id_)
            for fault in faults:
                self._database.run(f"DELETE FROM {fault.table} WHERE id = ?", fault.row)
                self._audit.note(by, "mend", fault.person_id, f"{fault.table} {fault.row}")
            changed(self._database, *short, *(ids - short))
        self._database.fold_journal()
        return len(faults)

    def backup(self, target: Path, *, by: str) -> None:
        """Copy the store as it is at one moment, while others use it.

        Templates stay encrypted: the copy is of no use without the key.

        Raises:
            StoreError: if there is a file of that name, or it cannot be written.
        """
        try:
            with self._database.held() as source, acting_for(target.parent):
                _copy_to(target, source)
        except FileExistsError:
            raise StoreError(f"{target}: is there already; name another file") from None
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, StoreError):
                raise
            raise store_error(target, error) from error
        if self._database.writable:
            self._audit.note_backup(by, target)

    def vacuum(self) -> tuple[int, int]:
        """Write the file anew without what was deleted; return its bytes before and now.

        Raises:
            StoreError: if somebody else is writing, or there is no room for another copy.
        """
        path, run = self._database.path, self._database.run
        before = size_of(path)
        with self._database.errors():
            run("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.OperationalError):  # others have it open: its pages stay
                run("PRAGMA journal_mode = DELETE").fetchall()
            run(f"PRAGMA page_size = {schema.PAGE_BYTES}")
            run("VACUUM")
            run("PRAGMA journal_mode = WAL").fetchall()
            run("SELECT count(*) FROM sqlite_master").fetchone()  # ends what that began
            run("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, size_of(path)

    def _damage(self) -> Iterator[Fault]:
        for (verdict,) in self._database.run(f"PRAGMA integrity_check({_MOST_FAULTS})"):
            if verdict != "ok":
                yield Fault(f"the file is damaged: {verdict}")
        for table, row, parent, _ in self._database.run("PRAGMA foreign_key_check"):
            yield Fault(f"{table} {row} belongs to nothing in {parent}")

    def _spoilt_people(self) -> Iterator[Fault]:
        for *row, key in self._database.rows(f"SELECT {PERSON}, name_key FROM people"):
            try:
                person = to_person(*row)
            except ValueError:
                yield Fault(f"the record of person {row[0]} is damaged", person_id=row[0])
                continue
            if key_of(person.name) != key:
                yield Fault(f"{person.name}: is filed under {key!r}", person_id=person.id)

        for id_, kept, seen in self._rights():
            if kept is None:
                yield Fault(
                    f"{seen[0]}: the record is none that lockd wrote, so they are a stranger; "
                    "remove them and enrol them again",
                    person_id=id_,
                )
                continue
            for column, sealed, value in zip(COLUMNS.split(", "), kept.row, seen, strict=True):
                if sealed != value:
                    text = (
                        f"{seen[0]}: {column} was changed past lockd from {sealed!r} to {value!r}"
                    )
                    yield Fault(f"{text}, so they are a stranger", person_id=id_)
            if (missing := self._missing(id_, kept)) > 0:
                text = f"{seen[0]}: {missing} templates, PINs or cards are gone past lockd"
                yield Fault(text, person_id=id_)

    def _spoilt_rows(self) -> Iterator[Fault]:
        """Whatever is sealed and does not open, or not to what it should be."""
        run, vault = self._database.run, self._database.vault
        theirs = {id_: kept.holds for id_, kept, _ in self._rights() if kept}

        def wrong(sealed: bytes, id_: str, *, opens: bool) -> str | None:
            if not opens:
                return "does not open, or is none"
            planted = id_ in theirs and nonce_of(sealed) not in theirs[id_]
            return "was put there past lockd" if planted else None

        for number, id_, name, model, sealed in run(
            "SELECT templates.id, people.id, name, fingerprint, sealed FROM templates "
            "JOIN people ON people.id = person_id JOIN models ON models.id = model_id"
        ):
            opens = open_template(vault, sealed, id_, model) is not None
            if (said := wrong(sealed, id_, opens=opens)) is not None:
                yield Fault(f"{name}: template {number} {said}", "templates", number, id_)
        for number, id_, name, sealed in run(
            "SELECT photographs.id, people.id, name, photographs.sealed FROM photographs "
            "JOIN templates ON templates.id = template_id JOIN people ON people.id = person_id"
        ):
            if open_photograph(vault, sealed, id_) is None:
                text = f"{name}: photograph {number} does not open"
                yield Fault(text, "photographs", number, id_)
        for number, id_, name, kind, sealed in run(
            "SELECT factors.id, people.id, name, kind, sealed FROM factors "
            "JOIN people ON people.id = person_id"
        ):
            opens = open_factor(vault, sealed, id_, kind) is not None
            if (said := wrong(sealed, id_, opens=opens)) is not None:
                yield Fault(f"{name}: {kind} {number} {said}", "factors", number, id_)
        for number, event_id, sealed in run("SELECT id, event_id, sealed FROM strangers"):
            if open_picture(vault, sealed, event_id) is None:
                yield Fault(f"picture {number} of a stranger does not open", "strangers", number)

    def _exposed(self) -> Iterator[Fault]:
        """Files that others than the store's user may read, or that belong to others."""
        path = self._database.path
        folder = path.parent.stat()
        for file in sorted(path.parent.glob(f"{path.name}*")):
            status = file.stat()
            if stat.S_IMODE(status.st_mode) & 0o077:
                yield Fault(f"{file}: others may read it; `chmod 600` it")
            if status.st_uid != folder.st_uid:
                yield Fault(f"{file}: belongs to user {status.st_uid}, not to its folder's owner")

    def _exposed_key(self) -> Iterator[Fault]:
        """The key's file, if others may read it."""
        key = self._database.vault.key_file
        in_folder = key.parent == self._database.path.parent
        if stat.S_IMODE(key.stat().st_mode) & (0o077 if in_folder else 0o027):
            yield Fault(f"{key}: others may read the key; `chmod 600` it")


def _copy_to(target: Path, source: sqlite3.Connection) -> None:
    """Make a copy of a database that is there as a whole or not at all."""
    unfinished = target.with_name(target.name + ".unfinished")
    if os.path.lexists(target):
        raise FileExistsError
    unfinished.unlink(missing_ok=True)
    try:
        copy_into(unfinished, source)
        move_new(unfinished, target)
        to_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def copy_into(target: Path, source: sqlite3.Connection) -> None:
    """Copy a database into a new private file.

    Raises:
        OSError: if it cannot be written.
        sqlite3.Error: if it cannot be read.
    """
    create_private(target)
    with closing(sqlite3.connect(uri(target, "mode=rw"), uri=True)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, on any medium
    to_disk(target)
