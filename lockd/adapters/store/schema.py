"""The tables, and the way from each version to the next.

A new store takes the same steps as an old one, so that all of them are alike. Each step is
one transaction: a process killed in its midst leaves the store as it was before the step,
and whoever opens it next goes on from there.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from lockd.adapters.store.vault import SealError, Vault
from lockd.errors import StoreError

APPLICATION_ID = 0x6C6F636B  # "lock"
PAGE_BYTES = 8192
"""Three templates to a page; a page of 4096 bytes would hold but one."""

NEW_SERIES = "UPDATE numbering SET series = lower(hex(randomblob(8))), last = 0"
"""Number events anew."""

FIRST = 5
"""The first version; those before were lockd 0.1's."""

_TABLES = """
    CREATE TABLE vault (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        proof       BLOB NOT NULL          -- opens with the right key only
    ) STRICT;
    CREATE TABLE people (
        id          TEXT PRIMARY KEY,
        name        TEXT NOT NULL,
        name_key    TEXT NOT NULL UNIQUE,  -- folded: "Zoë" and "ZOË" are one person
        created_utc TEXT NOT NULL,
        groups      TEXT NOT NULL DEFAULT '[]' CHECK (json_type(groups) = 'array'),
        valid_from  TEXT CHECK (valid_from IS date(valid_from, '+0 days')),  -- 2026-12-31
        valid_until TEXT CHECK (valid_until IS date(valid_until, '+0 days')),
        enabled     INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
        external_id TEXT UNIQUE,
        notes       TEXT,
        consent_by  TEXT,
        consent_utc TEXT,
        revision    INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX people_by_revision ON people (revision);
    CREATE TABLE models (
        id          INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL UNIQUE   -- of the networks that made a template
    ) STRICT;
    CREATE TABLE templates (
        id          INTEGER PRIMARY KEY,
        person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        model_id    INTEGER NOT NULL REFERENCES models (id),
        created_utc TEXT NOT NULL,
        sealed      BLOB NOT NULL          -- little-endian float32
    ) STRICT;
    CREATE INDEX templates_of_person ON templates (person_id);
    CREATE TABLE photographs (
        id          INTEGER PRIMARY KEY,
        template_id INTEGER NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
        sealed      BLOB NOT NULL          -- as it was in its file
    ) STRICT;
    CREATE INDEX photographs_of_template ON photographs (template_id);
    CREATE TABLE gone (
        person_id   TEXT PRIMARY KEY,
        revision    INTEGER NOT NULL       -- so that a service need not read who is left
    ) STRICT;
    CREATE INDEX gone_by_revision ON gone (revision);
    CREATE TABLE audit (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        utc         TEXT NOT NULL,
        by          TEXT NOT NULL,         -- the system's user
        action      TEXT NOT NULL,
        person_id   TEXT,                  -- never a name: it outlives the person
        note        TEXT
    ) STRICT;
    CREATE TABLE events (
        id          INTEGER PRIMARY KEY,
        utc         TEXT NOT NULL,
        payload     BLOB NOT NULL          -- JSON
    ) STRICT;
    CREATE INDEX events_by_utc ON events (utc);
    CREATE TABLE outbox (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        topic       TEXT NOT NULL,
        payload     BLOB NOT NULL,
        weight      INTEGER NOT NULL,
        run         TEXT NOT NULL,
        t           REAL NOT NULL
    ) STRICT;
    CREATE INDEX outbox_by_weight ON outbox (weight, seq);
    CREATE TABLE numbering (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        series      TEXT NOT NULL,         -- within which numbers have no gaps
        last        INTEGER NOT NULL,
        last_id     TEXT NOT NULL          -- of the event that has it
    ) STRICT;
    INSERT INTO numbering VALUES (1, lower(hex(randomblob(8))), 0, '');
    CREATE TABLE nonces (
        identity    TEXT NOT NULL,
        nonce       TEXT NOT NULL,
        expires_utc REAL NOT NULL,         -- seconds since 1970
        PRIMARY KEY (identity, nonce)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX nonces_by_expiry ON nonces (expires_utc);
    CREATE TABLE door_memory (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        memory      TEXT NOT NULL CHECK (json_type(memory) = 'object')
    ) STRICT;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO counters VALUES
        ('epoch', abs(random())), ('gallery', 0), ('outbox_dropped', 0), ('lost_told', 0)
    """

_LIVENESS = """
    CREATE TABLE liveness (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        sealed      BLOB NOT NULL          -- JSON
    ) STRICT
    """

_FACTORS = """
    CREATE TABLE factors (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        kind        TEXT NOT NULL CHECK (kind IN ('pin', 'card')),
        created_utc TEXT NOT NULL,
        sealed      BLOB NOT NULL          -- a PIN's Argon2 hash, a card's key and keyed hash
    ) STRICT;
    CREATE INDEX factors_of_person ON factors (person_id);
    CREATE UNIQUE INDEX one_pin_each ON factors (person_id) WHERE kind = 'pin'
    """

_STRANGERS = """
    CREATE TABLE strangers (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        utc         TEXT NOT NULL,
        event_id    TEXT NOT NULL,         -- that tells of the stranger
        sealed      BLOB NOT NULL          -- a JPEG of the face
    ) STRICT;
    CREATE INDEX strangers_by_utc ON strangers (utc)
    """

SEALED = """
    ALTER TABLE people ADD COLUMN rights BLOB;
    ALTER TABLE audit ADD COLUMN link BLOB;
    CREATE TABLE roll (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        sealed      BLOB NOT NULL          -- JSON
    ) STRICT
    """
"""Since then `rights` seal what the door goes by, and the audit trail is a chain."""

_CLOSED = """
    CREATE TABLE closed (
        identity    TEXT PRIMARY KEY,
        before_utc  REAL NOT NULL,         -- seconds since 1970; what is older is over
        up_to_utc   REAL NOT NULL          -- up to which too many commands were refused
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE nonces ADD COLUMN refused INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1))
    """

# As SQLite's ALTER TABLE says it is done where nothing that is kept changes; rights stay as sealed.
# The index is made anew so that whoever has the store open reads the tables' text again.
_TO_THE_MINUTE = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(replace(sql,
        'valid_from IS date(valid_from, ''+0 days'')',
        'valid_from IS date(valid_from, ''+0 days'')
            OR valid_from IS strftime(''%Y-%m-%dT%H:%M'', valid_from, ''+0 days'')'),
        'valid_until IS date(valid_until, ''+0 days'')',
        'valid_until IS date(valid_until, ''+0 days'')
            OR valid_until IS strftime(''%Y-%m-%dT%H:%M'', valid_until, ''+0 days'')')
        WHERE type = 'table' AND name = 'people';
    DROP INDEX people_by_revision;
    CREATE INDEX people_by_revision ON people (revision);
    PRAGMA writable_schema = RESET
    """

_FLEET = """
    CREATE TABLE fleet (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        epoch       INTEGER NOT NULL,      -- of the people, when it was written
        sealed      BLOB NOT NULL          -- JSON
    ) STRICT;
    CREATE TABLE fleet_messages (
        topic       TEXT PRIMARY KEY,
        person_id   TEXT,                  -- of a person's record
        revision    INTEGER NOT NULL,      -- of their row as the record has it; 0 of none
        version     BLOB NOT NULL,         -- packed; empty of pages
        message     BLOB NOT NULL          -- as it was published
    ) STRICT;
    CREATE INDEX fleet_messages_by_person ON fleet_messages (person_id)
    """
"""What a door of a fleet holds of it."""

STEPS = [_TABLES, _LIVENESS, _FACTORS, _STRANGERS, SEALED, _CLOSED, _TO_THE_MINUTE, _FLEET]
"""The way to each version from the one before, `FIRST` first. Never change one: add one."""

_PROOF = b"lockd"


class Database(Protocol):
    """What is asked of the file that is to have these tables."""

    path: Path
    vault: Vault
    writable: bool

    def run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement."""

    def found(self) -> None:
        """Seal all that there is, within a transaction."""

    def value(self, query: str, *values: Any) -> Any:
        """Return the one value that a query finds."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""


def prepare(database: Database) -> None:
    """Check a store and bring it to the latest version, an empty file included.

    Raises:
        StoreError: if it is not lockd's or of no version that can be used, or if its key
            is not there; then it is as it was.
        sqlite3.Error: if it is damaged.
    """
    if database.writable and _identity(database) == (0, 0):
        _make(database)
    _check(database)
    verdict = database.value("PRAGMA quick_check(1)")
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"database is malformed: {verdict}")
    _prove(database)
    for version, step in enumerate(STEPS[1:], FIRST + 1):
        if _identity(database)[1] < version:
            _update(database, version, step)


def _make(database: Database) -> None:
    """Make an empty file a store; somebody else's database is left alone."""
    with database.transaction():
        # Another process may have been quicker.
        if database.value("SELECT count(*) FROM sqlite_master"):
            return
        database.vault.need_key(for_the_first_time=True)
        _run(database, STEPS[0])
        database.run("INSERT INTO vault VALUES (1, ?)", database.vault.seal(_PROOF, "proof"))
        database.run(f"PRAGMA application_id = {APPLICATION_ID}")
        database.run(f"PRAGMA user_version = {FIRST}")


def _check(database: Database) -> None:
    """Refuse what is of no use."""
    application, version = _identity(database)
    latest = FIRST + len(STEPS) - 1
    if application != APPLICATION_ID:
        wrong = "an SQLite file, but not lockd's; name another folder in store.folder"
    elif version < FIRST:
        wrong = (
            f"a store of lockd 0.1 (schema version {version}), which this lockd cannot read; "
            "move it away and enrol everybody again"
        )
    elif version > latest:
        wrong = (
            f"schema version {version}, this lockd knows {latest}; install the lockd that wrote it"
        )
    elif version < latest and not database.writable:
        wrong = (
            f"schema version {version}, which has to become {latest}, but it may only be read "
            "here; start lockd once where it can be written"
        )
    else:
        return
    raise StoreError(f"{database.path}: {wrong}")


def _prove(database: Database) -> None:
    """Make sure that the key is the one that everything here was sealed with."""
    database.vault.need_key()
    try:
        database.vault.unseal(database.value("SELECT proof FROM vault") or b"", "proof")
    except SealError:
        raise StoreError(
            f"store {database.path}: was encrypted with another key than "
            f"{database.vault.key_file}; put the right one there (nothing was changed), or move "
            "the store away to start anew"
        ) from None


def _update(database: Database, version: int, step: str) -> None:
    """Take the step to a version."""
    with database.transaction():
        if _identity(database)[1] < version:  # another process may have been quicker
            _run(database, step)
            if step is SEALED:
                database.found()
            database.run(f"PRAGMA user_version = {version}")


def _identity(database: Database) -> tuple[int, int]:
    """Return whose database it is, and its version."""
    return database.value("PRAGMA application_id"), database.value("PRAGMA user_version")


def _run(database: Database, statements: str) -> None:
    """Run statements one by one; `executescript` would end the transaction."""
    for statement in statements.split(";\n"):
        database.run(statement)
