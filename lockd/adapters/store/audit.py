"""Who changed what."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lockd.adapters.store.database import Database
from lockd.adapters.store.records import AuditEntry, utc_now
from lockd.errors import StoreError
from lockd.messages import utc_text

_LONGEST_USER, _LONGEST_NOTE = 64, 500
_BACKUP = "backup"


class Audit:
    """Administrative changes, each written in the transaction that makes it; and commands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, limit: int = 100) -> list[AuditEntry]:
        """Return the latest changes, the last first."""
        rows = self._database.rows(
            "SELECT utc, by, action, person_id, note FROM audit ORDER BY id DESC LIMIT ?", limit
        )
        return [AuditEntry(*row) for row in rows]

    def about(self, person_id: str, by: Collection[str] = ()) -> list[AuditEntry]:
        """Return what was done about somebody, or by some, the last first."""
        rows = self._database.rows(
            "SELECT utc, by, action, person_id, note FROM audit WHERE person_id = ? "
            f"OR by IN ({', '.join('?' * len(by))}) ORDER BY id DESC",
            *(person_id, *by),
        )
        return [AuditEntry(*row) for row in rows]

    def note_report(self, by: str, person_id: str) -> None:
        """Write that somebody's data was handed out.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction():
            self.note(by, "report", person_id)

    def note_command(self, by: str, note: str) -> None:
        """Write, within a transaction, that somebody commanded the door from afar, or tried to.

        Args:
            by: who; what cannot be known is `unknown`.
            note: the command and what became of it; it must name nobody.
        """
        self.note(by, "command", note=note)

    def note_backup(self, by: str, copy: Path) -> None:
        """Write where a backup is, so that whoever removes somebody is told.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction():
            self.note(by, _BACKUP, note=str(copy.resolve()))

    def backups(self) -> list[Path]:
        """Return the backups that were made and are where they were made."""
        rows = self._database.rows("SELECT DISTINCT note FROM audit WHERE action = ?", _BACKUP)
        return [Path(note) for (note,) in rows if note and Path(note).exists()]

    def forget_before(self, when: datetime) -> int:
        """Delete entries that are older; return how many.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        # From its beginning on, or the chain would have holes. A clock that was wrong leaves times
        # that are none: one that ran ahead keeps nothing, and one that was behind loses nothing.
        utc = utc_text(when, timespec="seconds")
        number = self._database.value(
            "SELECT max(id) FROM audit WHERE utc < ?1 AND id < coalesce("
            "(SELECT min(id) FROM audit WHERE utc >= ?1 AND utc <= ?2), id + 1)",
            *(utc, utc_now()),
        )
        if number is None:
            return 0
        with self._database.transaction():
            self._database.roll.cut(number)
            deleted = self._database.run("DELETE FROM audit WHERE id <= ?", number).rowcount
        self._database.fold_journal()
        return deleted

    def note(
        self, by: str, action: str, person_id: str | None = None, note: str | None = None
    ) -> None:
        """Write that something is done, within a transaction; `note` must name nobody."""
        printable = "".join(char if char.isprintable() else " " for char in note or "")
        who = "".join(char for char in by if char.isprintable())[:_LONGEST_USER] or "unknown"
        entry = (utc_now(), who, action, person_id, printable[:_LONGEST_NOTE] or None)
        number = self._database.run(
            "INSERT INTO audit (utc, by, action, person_id, note) VALUES (?, ?, ?, ?, ?)", *entry
        ).lastrowid
        # A seal that is gone is the people's affair: who commanded is written down all the same.
        with suppress(StoreError):
            link = self._database.roll.link(number, *entry)
            self._database.run("UPDATE audit SET link = ? WHERE id = ?", link, number)
