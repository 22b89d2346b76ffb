"""Pictures of strangers' faces, if the owner keeps any: sealed, bounded in number and age."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from lockd.adapters.store.audit import Audit
from lockd.adapters.store.database import Database
from lockd.adapters.store.vault import SealError, Vault

_PURPOSE = "stranger"


@dataclass(frozen=True, slots=True)
class StrangerPicture:
    """One picture that is kept.

    Attributes:
        id: its number.
        utc: when it was taken, ISO 8601.
        event_id: the `id` of the event that told of the stranger.
    """

    id: int
    utc: str
    event_id: str


def open_picture(vault: Vault, sealed: bytes, event_id: str) -> bytes | None:
    """Return what a row has, or None if it was altered or moved to another event."""
    try:
        return vault.unseal(sealed, _PURPOSE, event_id)
    except SealError:
        return None


class Strangers:
    """The pictures by their numbers. Each change folds the journal: what is gone is gone."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def all(self) -> list[StrangerPicture]:
        """Return which there are, the last first."""
        rows = self._database.rows("SELECT id, utc, event_id FROM strangers ORDER BY id DESC")
        return [StrangerPicture(*row) for row in rows]

    def picture(self, number: int) -> bytes | None:
        """Return a JPEG, or None if there is none of that number, or it is damaged."""
        rows = self._database.rows("SELECT sealed, event_id FROM strangers WHERE id = ?", number)
        return open_picture(self._database.vault, *rows[0]) if rows else None

    def keep(self, picture: bytes, *, event_id: str, utc: str, most: int) -> None:
        """Keep a picture, and of all so many of the last.

        Args:
            picture: a JPEG.
            event_id, utc: of the event that tells of the stranger.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        sealed = self._database.vault.seal(picture, _PURPOSE, event_id)
        with self._database.transaction():
            self._database.run(
                "INSERT INTO strangers (utc, event_id, sealed) VALUES (?, ?, ?)",
                *(utc, event_id, sealed),
            )
        self.limit(most)

    def limit(self, most: int) -> int:
        """Delete all but so many of the last; return how many were deleted.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        count = int(self._database.value("SELECT count(*) FROM strangers"))
        if count <= most:
            return 0
        with self._database.transaction():
            self._database.run(
                "DELETE FROM strangers WHERE id NOT IN "
                "(SELECT id FROM strangers ORDER BY id DESC LIMIT ?)",
                most,
            )
        self._database.fold_journal()
        return count - most

    def forget(self, numbers: Collection[int], *, by: str) -> int:
        """Delete pictures; return how many there were of these numbers.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():
            deleted = sum(
                self._database.run("DELETE FROM strangers WHERE id = ?", one).rowcount
                for one in numbers
            )
            self._audit.note(by, "forget_strangers", note=f"{deleted} pictures")
        self._database.fold_journal()
        return deleted

    def forget_before(self, when: datetime) -> int:
        """Delete pictures that are older; return how many.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        return self._database.forget_before("strangers", when)
