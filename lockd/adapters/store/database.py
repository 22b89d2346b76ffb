"""The file itself: opening it, all-or-nothing changes, and errors with a way out."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from lockd.adapters.store import schema
from lockd.adapters.store.files import create_private, make_folder, uri
from lockd.adapters.store.vault import Vault
from lockd.errors import StoreError


class Database:
    """One open file; what is in it is the affair of the classes made of this one."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, vault: Vault, *, writable: bool
    ) -> None:
        self._connection = connection
        # What somebody wrote into the file past lockd must not keep the others from coming in.
        connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        self._vault = vault
        self._version = schema.SCHEMA_VERSION
        self.path = path
        self.writable = writable

    @classmethod
    def open(cls, path: Path, vault: Vault, *, timeout_s: float = 10.0) -> Self:
        """Open a store, or make an empty one where there is none.

        Args:
            path: the database file; its folder is made if need be.
            vault: its key.
            timeout_s: how long to wait for another process that is writing.

        Raises:
            StoreError: if it cannot be read and written, is damaged, was written by a later
                version, or was encrypted with another key. One of an earlier version is
                brought up to date.
        """
        try:
            make_folder(path.parent)
            if not path.exists():
                with suppress(FileExistsError):  # another process was quicker
                    create_private(path)
            connection = sqlite3.connect(
                uri(path, "mode=rw"), uri=True, timeout=timeout_s, isolation_level=None
            )
        except (OSError, sqlite3.Error) as error:
            raise _store_error(path, error) from error
        store = cls(connection, path, vault, writable=True)
        with _or_close(connection), store._errors():
            connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")  # of an empty file
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            schema.prepare(connection, path, vault, writable=True)
            connection.execute("PRAGMA journal_mode = WAL")
            schema.clean_up(connection, path, vault)
        return store

    @classmethod
    def open_read_only(cls, path: Path, vault: Vault) -> Self:
        """Open a store that cannot be written, on a medium gone read-only.

        Raises:
            StoreError: if it is missing or damaged, or was encrypted with another key.
        """
        try:
            return cls._read_only(path, vault, "mode=ro")
        except StoreError:
            # SQLite wants to write its index of the journal beside the file. Without a
            # journal it can do without; with one it would show people as they were.
            journal = path.with_name(path.name + "-wal")
            if journal.exists() and journal.stat().st_size:
                raise
            return cls._read_only(path, vault, "mode=ro&immutable=1")

    @classmethod
    def _read_only(cls, path: Path, vault: Vault, query: str) -> Self:
        try:
            connection = sqlite3.connect(uri(path, query), uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise _store_error(path, error) from error
        store = cls(connection, path, vault, writable=False)
        with _or_close(connection), store._errors():
            store._version = schema.prepare(connection, path, vault, writable=False)
        return store

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _unseal(self, sealed: bytes, *purpose: str) -> bytes:
        """Decrypt what is in a row; an old store that may only be read has it plain.

        Raises:
            SealError: if the row was altered.
        """
        if self._version < schema.SEALED_SINCE:
            return sealed
        return self._vault.unseal(sealed, *purpose)

    def _count(self, name: str, by: int = 1) -> None:
        self._connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (by, name))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._errors(), schema.transaction(self._connection):
            yield

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Everything read within is of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def _fold_journal(self) -> bool:
        """Move the journal into the file, so that what was deleted does not live on in it.

        Return whether all of it was: not while somebody else reads or writes.
        """
        with self._errors():
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise _store_error(self.path, error) from error


def _store_error(path: Path, error: Exception) -> StoreError:
    """Say what is wrong with a store, and the way out."""
    reason = getattr(error, "strerror", None) or str(error)
    lowered = reason.lower()
    if "locked" in lowered or "busy" in lowered:
        advice = "another program is writing to it and does not end; see `fuser` on the file"
    elif "readonly" in lowered or "read-only" in lowered:
        advice = "is the medium read-only, or does the file belong to another user?"
    elif "malformed" in lowered or "not a database" in lowered:
        advice = (
            "it is damaged and was left as it is; restore a backup, or move it away to start anew"
        )
    elif "full" in lowered or "space" in lowered:
        advice = "free some space; nothing was written"
    else:
        advice = "may this user read and write the file and its folder?"
    return StoreError(f"store {path}: {reason}; {advice}")


@contextmanager
def _or_close(connection: sqlite3.Connection) -> Iterator[None]:
    """Close the connection if opening fails half-way."""
    try:
        yield
    except BaseException:
        connection.close()
        raise
