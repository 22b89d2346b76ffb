"""Who changed what."""

from __future__ import annotations

from lockd.adapters.store.database import Database
from lockd.adapters.store.records import AuditEntry, utc_now

_LONGEST_USER, _LONGEST_NOTE = 64, 500


class Audit(Database):
    """Administrative changes, each written in the transaction that makes it; and commands."""

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """Return the latest changes, the last first."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT utc, by, action, person_id, note FROM audit ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [AuditEntry(*row) for row in rows]

    def note_command(self, by: str, note: str) -> None:
        """Write that somebody commanded the door from afar, or tried to.

        Args:
            by: who; what cannot be known is `unknown`.
            note: the command and what became of it; it must name nobody.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._transaction():
            self._note(by, "command", None, note)

    def _note(self, by: str, action: str, person_id: str | None, note: str | None = None) -> None:
        """Write that something is done, within a transaction; `note` must name nobody."""
        printable = "".join(char if char.isprintable() else " " for char in note) if note else None
        who = "".join(char for char in by if char.isprintable())[:_LONGEST_USER]
        self._connection.execute(
            "INSERT INTO audit (utc, by, action, person_id, note) VALUES (?, ?, ?, ?, ?)",
            (
                utc_now(),
                who or "unknown",
                action,
                person_id,
                printable and printable[:_LONGEST_NOTE],
            ),
        )
