"""Looking after a store: is it whole, a copy of it, a copy put back, the file made small."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from lockd.adapters.store import schema
from lockd.adapters.store.copies import is_sealed, plain_copies
from lockd.adapters.store.files import create_private, to_disk, uri
from lockd.adapters.store.people import PERSON, to_person
from lockd.adapters.store.records import Fault, key_of
from lockd.adapters.store.removal import BACKUP, Removing
from lockd.adapters.store.templates import PHOTOGRAPH
from lockd.adapters.store.vault import SealError
from lockd.errors import StoreError

_MOST_FAULTS = 20


class Care(Removing):
    """What an administrator does with a store as a whole."""

    def examine(self) -> list[Fault]:
        """Look at everything: file, references, key, each template, who may read it.

        Returns:
            What is wrong, the worst first; empty if nothing is.
        """
        with self._errors():
            return [*self._damage(), *self._spoilt_people(), *self._spoilt_rows(), *self._exposed()]

    def mend(self, *, by: str) -> int:
        """Delete templates and photographs that do not open; return how many."""
        with self._transaction():
            faults = [one for one in self._spoilt_rows() if one.row is not None]
            for fault in faults:
                self._connection.execute(f"DELETE FROM {fault.table} WHERE id = ?", (fault.row,))
                self._note(by, "mend", fault.person_id, f"{fault.table} {fault.row}")
            self._changed(*{str(one.person_id) for one in faults})
        self._fold_journal()
        return len(faults)

    def backup(self, target: Path, *, by: str) -> None:
        """Copy the store as it is at one moment, while others use it.

        Templates stay encrypted: the copy is of no use without the key.

        Raises:
            StoreError: if there is a file of that name, or it cannot be written.
        """
        unfinished = target.with_name(target.name + ".unfinished")
        if target.exists():
            raise StoreError(f"{target}: is there already; name another file")
        with self._errors():
            unfinished.unlink(missing_ok=True)
            create_private(unfinished)
            try:
                with closing(sqlite3.connect(uri(unfinished, "mode=rw"), uri=True)) as copy:
                    copy.execute("PRAGMA journal_mode = OFF")
                    self._connection.backup(copy)
                    copy.execute("PRAGMA journal_mode = DELETE")  # one file, on any medium
                to_disk(unfinished)
                os.link(unfinished, target)
                to_disk(target.parent)
            finally:
                unfinished.unlink(missing_ok=True)
        if self.writable:
            with self._transaction():  # so that `remove` knows where copies are
                self._note(by, BACKUP, None, str(target.resolve()))

    def vacuum(self) -> tuple[int, int]:
        """Write the file anew without what was deleted; return its bytes before and now.

        Raises:
            StoreError: if somebody else is writing, or there is no room for another copy.
        """
        before = self.path.stat().st_size
        with self._errors():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.OperationalError):  # others have it open: its pages stay
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, self.path.stat().st_size

    def _damage(self) -> Iterator[Fault]:
        for (verdict,) in self._connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})"):
            if verdict != "ok":
                yield Fault(f"the file is damaged: {verdict}")
        for table, row, parent, _ in self._connection.execute("PRAGMA foreign_key_check"):
            yield Fault(f"{table} {row} belongs to nothing in {parent}")

    def _spoilt_people(self) -> Iterator[Fault]:
        rows = self._connection.execute(f"SELECT {PERSON}, name_key FROM people").fetchall()
        for *row, key in rows:
            try:
                person = to_person(*row)
            except ValueError:
                yield Fault(f"the record of person {row[0]} is damaged", person_id=row[0])
                continue
            if key_of(person.name) != key:
                yield Fault(f"{person.name}: is filed under {key!r}", person_id=person.id)

    def _spoilt_rows(self) -> Iterator[Fault]:
        """Templates and photographs that do not open, or not to what they should be."""
        for number, id_, name, model, sealed in self._connection.execute(
            "SELECT templates.id, people.id, name, fingerprint, sealed FROM templates "
            "JOIN people ON people.id = person_id JOIN models ON models.id = model_id"
        ):
            if self._embedding(sealed, id_, model) is None:
                yield Fault(
                    f"{name}: template {number} does not open, or is none", "templates", number, id_
                )
        for number, id_, name, sealed in self._connection.execute(
            "SELECT photographs.id, people.id, name, photographs.sealed FROM photographs "
            "JOIN templates ON templates.id = template_id JOIN people ON people.id = person_id"
        ):
            try:
                self._unseal(sealed, PHOTOGRAPH, id_)
            except SealError:
                yield Fault(
                    f"{name}: photograph {number} does not open", "photographs", number, id_
                )

    def _exposed(self) -> Iterator[Fault]:
        """Files that others than the store's user may read, or that belong to others."""
        folder = self.path.parent.stat()
        for file in sorted(self.path.parent.glob(f"{self.path.name}*")):
            status = file.stat()
            if stat.S_IMODE(status.st_mode) & 0o077:
                yield Fault(f"{file}: others may read it; `chmod 600` it")
            if status.st_uid != folder.st_uid:
                yield Fault(f"{file}: belongs to user {status.st_uid}, not to its folder's owner")
        key = self._vault.key_file
        in_folder = key.parent == self.path.parent
        if stat.S_IMODE(key.stat().st_mode) & (0o077 if in_folder else 0o027):
            yield Fault(f"{key}: others may read the key; `chmod 600` it")
        for version in plain_copies(self.path, schema.EARLIER):
            yield Fault(f"a plain copy of version {version} lies beside it; open it for writing")


def is_store(path: Path) -> bool:
    """Return whether a file looks like a store, or the sealed copy of one."""
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0" or is_sealed(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
