"""The file itself: opening it, all-or-nothing changes, and errors with a way out."""

from __future__ import annotations

import errno
import functools
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from lockd.adapters.store import schema
from lockd.adapters.store.descriptors import Hold
from lockd.adapters.store.reserve import Reserve, free
from lockd.adapters.store.roll import Roll
from lockd.adapters.store.turns import Turns
from lockd.adapters.store.vault import Vault
from lockd.adapters.store.witness import Witness
from lockd.errors import StoreError
from lockd.files import (
    acting_as,
    acting_for,
    create_private,
    make_folder,
    owner_on_the_way,
    size_of,
    to_disk,
)

_T = TypeVar("_T")
_FULL = 1 << 18
"""With so few bytes free an error that says nothing else is for want of room."""


class DiskFullError(StoreError):
    """There is no room to write."""


class Database:
    """One open file; what is in it is the affair of the parts of the store.

    Attributes:
        connection: to it.
        path: where it is.
        vault: its key.
        writable: whether it can be written.
        roll: the seal over everybody.
        reserve: room that `revoke` may use; made by whoever opens a store that is in use.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        vault: Vault,
        *,
        writable: bool,
        witness: Witness | None,
        patience_s: float = 0.0,
    ) -> None:
        """Bring it to the latest version, one that was made just now included.

        Args:
            witness: knows the latest generation of the people; None of a copy.
            patience_s: how long to wait for another thread that is writing.

        Raises:
            StoreError: if it cannot be used; then it is closed.
        """
        self.connection, self.path, self.vault, self.writable = connection, path, vault, writable
        self.reserve, self._on_reserve = Reserve(path), False
        self._owner = owner_on_the_way(path.parent) if os.geteuid() == 0 else None
        self.roll = Roll(self, witness)
        self._turns, self._patience_s = Turns.of(path), patience_s
        self._hold = Hold(path)
        # What somebody wrote into the file past lockd must not keep the others from coming in.
        connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        try:
            with self.errors():
                if writable:
                    self.run(f"PRAGMA page_size = {schema.PAGE_BYTES}")  # of an empty file
                    self.run("PRAGMA foreign_keys = ON")
                    self.run("PRAGMA synchronous = FULL")
                    self.run("PRAGMA secure_delete = ON")
                schema.prepare(self)
                if writable:
                    self.run("PRAGMA journal_mode = WAL")
            if writable:
                self.roll.catch_up()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        path: Path,
        vault: Vault,
        timeout_s: float,
        *,
        witness: Witness | None,
        revoking: bool = False,
    ) -> Self:
        """Open a file to write it too; see `Store.open`."""
        vault.read_ahead()
        with _in_folder_of(path):
            try:
                return cls._open(path, vault, timeout_s, witness)
            except DiskFullError:
                if not (revoking and Reserve(path).give_up()):
                    raise
            return cls._open(path, vault, timeout_s, witness)

    @classmethod
    def _open(cls, path: Path, vault: Vault, timeout_s: float, witness: Witness | None) -> Self:
        try:
            make_folder(path.parent)
            if not path.exists():
                with suppress(FileExistsError):  # another process was quicker
                    create_private(path)
        except OSError as error:
            raise store_error(path, error) from error
        connection = _connect(path, "mode=rw", timeout_s)
        return cls(connection, path, vault, writable=True, witness=witness, patience_s=timeout_s)

    @classmethod
    def open_read_only(cls, path: Path, vault: Vault, witness: Witness | None) -> Self:
        """Open a file to read it; see `Store.open_read_only`."""
        vault.read_ahead()
        with _in_folder_of(path):
            try:
                connection = _connect(path, "mode=ro")
                return cls(connection, path, vault, writable=False, witness=witness)
            except StoreError:
                # SQLite wants to write its index of the journal beside the file. Without a
                # journal it can do without; with one it would show people as they were.
                journal = path.with_name(path.name + "-wal")
                if size_of(journal):
                    raise
                connection = _connect(path, "mode=ro&immutable=1")
                return cls(connection, path, vault, writable=False, witness=witness)

    def close(self) -> None:
        """Close the file."""
        with acting_as(self._owner):
            self.connection.close()
        self._hold.release()

    def found(self) -> None:
        """Seal all that there is, within a transaction; for `schema`."""
        self.roll.found()

    def run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement, within `transaction`, `snapshot` or `errors`."""
        return self.connection.execute(statement, values)

    def run_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of values, within `transaction`."""
        self.connection.executemany(statement, rows)

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Return what a query finds.

        Raises:
            StoreError: if the file cannot be read.
        """
        with self.errors():
            return self.run(query, *values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """Return the first value of the first row that a query finds, or None.

        Raises:
            StoreError: if the file cannot be read.
        """
        with self.errors():
            row = self.run(query, *values).fetchone()
        return None if row is None else row[0]

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter, within `transaction`."""
        self.run("UPDATE counters SET value = value + ? WHERE name = ?", by, name)

    def forget_before(self, table: str, when: datetime) -> int:
        """Delete what is older than a time, by its `utc`; return how much.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        utc = utc_of(when)
        # Writing costs a card its life, and everybody else a wait.
        if not self.value(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE utc < ?)", utc):
            return 0
        with self.transaction():
            deleted = self.run(f"DELETE FROM {table} WHERE utc < ?", utc).rowcount
        self.fold_journal()
        return deleted

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes meanwhile.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        with self.errors(), self._turns.take(self._patience_s):
            self.run("BEGIN IMMEDIATE")
            try:
                if self._on_reserve:
                    self.reserve.give_up()
                self.roll.begin()
                yield
                self.roll.finish()
                self.run("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.run("ROLLBACK")
                raise
        self.roll.committed()

    def revoke(self, change: Callable[[], _T]) -> _T:
        """Carry out what takes rights away, on the reserve if the disk is full.

        Raises:
            DiskFullError: if even that is too little; then nothing was written.
        """
        try:
            return change()
        except DiskFullError:
            self._on_reserve = True
        try:
            return change()
        finally:
            self._on_reserve = False
            with suppress(StoreError):
                self.fold_journal()
            self.reserve.make(part=1)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read within is of one moment."""
        with self.errors():
            self.run("BEGIN")
            try:
                yield
            finally:
                self.run("COMMIT")

    @contextmanager
    def held(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection with all its files open, to be copied by whoever acts as another."""
        with self.errors():
            self.run("BEGIN")
            self.run("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            yield self.connection
        finally:
            with self.errors():
                self.run("COMMIT")

    def descriptor(self) -> int:
        """Return a descriptor of the file, within `errors`; not to be closed, see `Hold`."""
        return self._hold.descriptor()

    def make_last(self) -> None:
        """Wait until what was folded in, and the cut of the journal, will outlive a power cut.

        SQLite itself does not wait for the journal's cut.

        Raises:
            OSError: if the disk does not say so.
        """
        with acting_as(self._owner):
            os.fsync(self.descriptor())
            with suppress(FileNotFoundError):
                to_disk(self.journal)
            to_disk(self.path.parent)

    @property
    def journal(self) -> Path:
        """Where the write-ahead log is, if there is one."""
        return self.path.with_name(self.path.name + "-wal")

    def fold_journal(self) -> bool:
        """Move the journal into the file, so that what was deleted does not live on in it.

        Return whether all of it was: not while somebody else reads or writes.
        """
        return not self.value("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever fails within is a `StoreError`; root acts as the owner of the folder within."""
        try:
            with acting_as(self._owner):
                yield
        except StoreError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise store_error(self.path, error) from error


@contextmanager
def _in_folder_of(path: Path) -> Iterator[None]:
    """Act as the owner of a store's folder."""
    try:
        with acting_for(path.parent):
            yield
    except StoreError:
        raise
    except OSError as error:
        raise store_error(path, error) from error


def utc_of(when: datetime) -> str:
    """Return a time to compare with: both ways that are in use, with milliseconds and without."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def uri(path: Path, query: str) -> str:
    """Return SQLite's name of a file, with its parameters."""
    return f"file:{path.resolve().as_uri().removeprefix('file://')}?{query}"


def _connect(path: Path, query: str, timeout_s: float = 10.0) -> sqlite3.Connection:
    try:
        return sqlite3.connect(uri(path, query), uri=True, timeout=timeout_s, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise store_error(path, error) from error


def store_error(path: Path, error: Exception) -> StoreError:
    """Say what is wrong with a store, and the way out."""
    reason = getattr(error, "strerror", None) or str(error)
    if _is_full(path, error):
        return DiskFullError(
            f"store {path}: the disk is full ({reason}); nothing was written; free some space: "
            "`sudo journalctl --vacuum-size=50M`, `sudo apt clean`. Whoever is to come in no more "
            "can be disabled all the same: `lockd-enroll disable NAME`"
        )
    lowered = reason.lower()
    if "locked" in lowered or "busy" in lowered:
        advice = "another program is writing to it and does not end; see `fuser` on the file"
    elif "readonly" in lowered or "read-only" in lowered:
        advice = "is the medium read-only, or does the file belong to another user?"
    elif "malformed" in lowered or "not a database" in lowered:
        advice = (
            "it is damaged and was left as it is; restore a backup, or move it away to start anew"
        )
    else:
        advice = "may this user read and write the file and its folder?"
    return StoreError(f"store {path}: {reason}; {advice}")


def _is_full(path: Path, error: Exception) -> bool:
    """Return whether something failed for want of room; SQLite does not always say so."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
        return True
    if code not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return False
    try:
        return free(path.parent) < _FULL
    except OSError:
        return False
