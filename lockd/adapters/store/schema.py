"""The tables, and the way from each version of them to the next.

A new store takes the same steps as an old one, so that all of them are alike, and takes
them in one transaction: a process killed in its midst leaves the store as it was.

Before an old store is changed, a copy of it is laid beside it, for whoever wants the
lockd before back. It has everybody's templates: only its owner may read it, and it is
deleted when the first person is removed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lockd.adapters.store.files import create_private, uri
from lockd.errors import StoreError

APPLICATION_ID = 0x6C6F636B  # "lock"

_STEPS = (
    """
    CREATE TABLE people (
        id          TEXT PRIMARY KEY,
        name        TEXT NOT NULL,
        name_key    TEXT NOT NULL UNIQUE,  -- folded: "Zoë" and "ZOË" are one person
        created_utc TEXT NOT NULL
    ) STRICT;
    CREATE TABLE templates (
        id          INTEGER PRIMARY KEY,
        person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        model       TEXT NOT NULL,         -- fingerprint of the networks that made it
        embedding   BLOB NOT NULL,         -- little-endian float32
        created_utc TEXT NOT NULL
    ) STRICT;
    CREATE INDEX templates_of_person ON templates (person_id);
    CREATE TABLE outbox (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        topic       TEXT NOT NULL,
        payload     BLOB NOT NULL
    ) STRICT;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO counters VALUES ('gallery', 0), ('outbox_dropped', 0);
    """,
    # Group names as a JSON array; days as 2026-12-31; what the door remembers as a JSON
    # object, of which there is one.
    """
    ALTER TABLE people ADD COLUMN
        groups TEXT NOT NULL DEFAULT '[]' CHECK (json_type(groups) = 'array');
    ALTER TABLE people ADD COLUMN
        valid_from TEXT CHECK (valid_from IS date(valid_from, '+0 days'));
    ALTER TABLE people ADD COLUMN
        valid_until TEXT CHECK (valid_until IS date(valid_until, '+0 days'));
    CREATE TABLE door_memory (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        memory      TEXT NOT NULL CHECK (json_type(memory) = 'object')
    ) STRICT;
    """,
)
SCHEMA_VERSION = len(_STEPS)

# On a medium gone read-only a store keeps its version; these show it as the latest.
_AS_LATEST = {
    1: """
    PRAGMA temp_store = MEMORY;
    CREATE TEMP VIEW people AS
        SELECT *, '[]' AS groups, NULL AS valid_from, NULL AS valid_until FROM main.people;
    CREATE TEMP VIEW door_memory AS SELECT 1 AS id, '{}' AS memory WHERE 0;
    """,
}


def prepare(connection: sqlite3.Connection, path: Path, *, writable: bool) -> None:
    """Check a store and bring it to the latest version, an empty file included.

    One that may only be read shows itself as if it had been.

    Raises:
        StoreError: if it is not lockd's or of a later version.
        OSError: if its copy cannot be written.
        sqlite3.Error: if it is damaged or cannot be written.
    """
    if writable and _identity(connection) == (0, 0):
        _update(connection, path)
    application, version = _identity(connection)
    if application != APPLICATION_ID:
        raise StoreError(
            f"{path}: an SQLite file, but not lockd's; name another folder in store.folder"
        )
    if not 1 <= version <= SCHEMA_VERSION:
        raise StoreError(
            f"{path}: schema version {version}, this lockd knows {SCHEMA_VERSION}; "
            "install the lockd that wrote it"
        )
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"database is malformed: {verdict}")
    if not writable:
        _run(connection, _AS_LATEST.get(version, ""))
    elif version < SCHEMA_VERSION:
        _update(connection, path)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def forget_copies(path: Path) -> None:
    """Delete the copies of earlier versions of a store, if there are any.

    Raises:
        OSError: if one cannot be deleted.
    """
    for version in range(1, SCHEMA_VERSION):
        copy = copy_of(path, version)
        copy.unlink(missing_ok=True)
        _unfinished(copy).unlink(missing_ok=True)


def copy_of(path: Path, version: int) -> Path:
    """Return where a store of that version is copied to before it is changed."""
    return path.with_name(f"{path.name}.v{version}.bak")


def _update(connection: sqlite3.Connection, path: Path) -> None:
    """Take the steps that are left, all or none; somebody else's database is left alone."""
    with transaction(connection):
        # Another process may have been quicker.
        _, version = _identity(connection)
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (version > 0) != (tables > 0):
            return
        if 0 < version < SCHEMA_VERSION:
            _copy(path, copy_of(path, version))
        for step in _STEPS[version:]:
            _run(connection, step)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _copy(path: Path, target: Path) -> None:
    """Copy a store whole or not at all; what is written meanwhile is not in it."""
    unfinished = _unfinished(target)
    unfinished.unlink(missing_ok=True)
    create_private(unfinished)
    try:
        with (
            closing(sqlite3.connect(uri(path, "mode=ro"), uri=True)) as source,
            closing(sqlite3.connect(uri(unfinished, "mode=rw"), uri=True)) as copy,
        ):
            # A journal would be in the way of the next attempt; a half copy is thrown away.
            copy.execute("PRAGMA journal_mode = OFF")
            source.backup(copy)
        _to_disk(unfinished)
        unfinished.replace(target)
        _to_disk(target.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _unfinished(copy: Path) -> Path:
    return copy.with_name(copy.name + ".unfinished")


def _to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of files, will outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _identity(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return whose database it is, and its version."""
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    return application, version


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements one by one; `executescript` would end the transaction."""
    for statement in statements.split(";\n"):
        connection.execute(statement)
