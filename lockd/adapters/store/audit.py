"""Who changed what."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from lockd.adapters.store.database import Database
from lockd.adapters.store.records import AuditEntry, utc_now

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
        """Write that somebody commanded the door from afar, or tried to.

        Args:
            by: who; what cannot be known is `unknown`.
            note: the command and what became of it; it must name nobody.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction():
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
        return self._database.forget_before("audit", when)

    def note(
        self, by: str, action: str, person_id: str | None = None, note: str | None = None
    ) -> None:
        """Write that something is done, within a transaction; `note` must name nobody."""
        printable = "".join(char if char.isprintable() else " " for char in note or "")
        who = "".join(char for char in by if char.isprintable())[:_LONGEST_USER] or "unknown"
        self._database.run(
            "INSERT INTO audit (utc, by, action, person_id, note) VALUES (?, ?, ?, ?, ?)",
            *(utc_now(), who, action, person_id, printable[:_LONGEST_NOTE] or None),
        )
