"""The tables, and the way from each version of them to the next.

A new store takes the same steps as an old one, so that all of them are alike, and takes
them in one transaction: a process killed in its midst leaves the store as it was.

Before an old store is changed, a copy of it is laid beside it, for whoever wants the
lockd before back. It is sealed like the templates in it once the change is on disk (see
copies.py), and deleted when the first person is removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lockd.adapters.store.copies import make_copy, plain_copies, seal_copies
from lockd.adapters.store.vault import SealError, Vault
from lockd.errors import StoreError

APPLICATION_ID = 0x6C6F636B  # "lock"
PAGE_BYTES = 8192
"""Three templates to a page; a page of 4096 bytes would hold but one."""

TEMPLATE = "template"
"""The purpose of what is sealed in `templates`, with the person's id and the model."""

NEW_SERIES = "UPDATE numbering SET series = lower(hex(randomblob(8))), last = 0"
"""Number events anew."""

_VERSION_3 = """
    ALTER TABLE people ADD COLUMN
        enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1));
    ALTER TABLE people ADD COLUMN external_id TEXT;
    ALTER TABLE people ADD COLUMN notes TEXT;
    ALTER TABLE people ADD COLUMN consent_by TEXT;
    ALTER TABLE people ADD COLUMN consent_utc TEXT;
    ALTER TABLE people ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    CREATE UNIQUE INDEX people_by_external_id ON people (external_id);
    CREATE INDEX people_by_revision ON people (revision);
    CREATE TABLE vault (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        proof       BLOB NOT NULL          -- opens with the right key only
    ) STRICT;
    CREATE TABLE models (
        id          INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL UNIQUE   -- of the networks that made a template
    ) STRICT;
    INSERT INTO models (fingerprint) SELECT DISTINCT model FROM templates;
    DROP INDEX templates_of_person;
    ALTER TABLE templates RENAME TO plain_templates;
    CREATE TABLE templates (
        id          INTEGER PRIMARY KEY,
        person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        model_id    INTEGER NOT NULL REFERENCES models (id),
        created_utc TEXT NOT NULL,
        sealed      BLOB NOT NULL          -- little-endian float32
    ) STRICT;
    CREATE INDEX templates_of_person ON templates (person_id);
    INSERT INTO templates (id, person_id, model_id, created_utc, sealed)
        SELECT plain_templates.id, person_id, models.id, created_utc,
               seal_template(embedding, person_id, model)
        FROM plain_templates JOIN models ON fingerprint = model ORDER BY plain_templates.id;
    DROP TABLE plain_templates;
    CREATE TABLE photographs (
        id          INTEGER PRIMARY KEY,
        template_id INTEGER NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
        sealed      BLOB NOT NULL          -- as it was in its file
    ) STRICT;
    CREATE INDEX photographs_of_template ON photographs (template_id);
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
    CREATE TABLE gone (
        person_id   TEXT PRIMARY KEY,
        revision    INTEGER NOT NULL       -- so that a service need not read who is left
    ) STRICT;
    CREATE INDEX gone_by_revision ON gone (revision);
    INSERT INTO counters VALUES ('epoch', abs(random()));
    """

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
    _VERSION_3,
    # Messages know how much they matter, and who posted them when; events are numbered.
    """
    ALTER TABLE outbox ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE outbox ADD COLUMN run TEXT NOT NULL DEFAULT '';
    ALTER TABLE outbox ADD COLUMN t REAL NOT NULL DEFAULT 0;
    CREATE INDEX outbox_by_weight ON outbox (weight, seq);
    CREATE TABLE numbering (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        series      TEXT NOT NULL,         -- within which numbers have no gaps
        last        INTEGER NOT NULL,
        last_id     TEXT NOT NULL          -- of the event that has it
    ) STRICT;
    INSERT INTO numbering VALUES (1, '', 0, '');
    CREATE TABLE nonces (
        identity    TEXT NOT NULL,
        nonce       TEXT NOT NULL,
        expires_utc REAL NOT NULL,         -- seconds since 1970
        PRIMARY KEY (identity, nonce)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX nonces_by_expiry ON nonces (expires_utc);
    INSERT INTO counters SELECT 'lost_told', value FROM counters WHERE name = 'outbox_dropped';
    """
    + NEW_SERIES,
)
SCHEMA_VERSION = len(_STEPS)
EARLIER = range(1, SCHEMA_VERSION)
SEALED_SINCE = 3
_PROOF = b"lockd"

# On a medium gone read-only a store keeps its version; these show it as the latest.
_NO_DETAILS = (
    "1 AS enabled, NULL AS external_id, NULL AS notes, NULL AS consent_by, NULL AS consent_utc, "
    "0 AS revision"
)
_NOTHING_ELSE = """
    CREATE TEMP VIEW models AS SELECT DISTINCT model AS id, model AS fingerprint
        FROM main.templates;
    CREATE TEMP VIEW templates AS
        SELECT id, person_id, model AS model_id, created_utc, embedding AS sealed
        FROM main.templates;
    CREATE TEMP VIEW photographs AS SELECT 1 AS id, 1 AS template_id, x'' AS sealed WHERE 0;
    CREATE TEMP VIEW audit AS
        SELECT 1 AS id, '' AS utc, '' AS by, '' AS action, '' AS person_id, '' AS note WHERE 0;
    CREATE TEMP VIEW gone AS SELECT '' AS person_id, 0 AS revision WHERE 0;
    CREATE TEMP VIEW events AS SELECT 1 AS id, '' AS utc, x'' AS payload WHERE 0
    """
_AS_LATEST = {
    1: f"""
    PRAGMA temp_store = MEMORY;
    CREATE TEMP VIEW people AS
        SELECT *, '[]' AS groups, NULL AS valid_from, NULL AS valid_until, {_NO_DETAILS}
        FROM main.people;
    CREATE TEMP VIEW door_memory AS SELECT 1 AS id, '{{}}' AS memory WHERE 0;
    {_NOTHING_ELSE}""",
    2: f"""
    PRAGMA temp_store = MEMORY;
    CREATE TEMP VIEW people AS SELECT *, {_NO_DETAILS} FROM main.people;
    {_NOTHING_ELSE}""",
}


def prepare(connection: sqlite3.Connection, path: Path, vault: Vault, *, writable: bool) -> int:
    """Check a store and bring it to the latest version, an empty file included.

    One that may only be read shows itself as if it had been.

    Returns:
        The version that its file is of now.

    Raises:
        StoreError: if it is not lockd's or of a later version, or there is no key.
        OSError: if its copy cannot be written.
        sqlite3.Error: if it is damaged or cannot be written.
    """
    if writable and _identity(connection) == (0, 0):
        _update(connection, path, vault)
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
        _update(connection, path, vault)
        version = SCHEMA_VERSION
    if version >= SEALED_SINCE:
        _prove(connection, path, vault)
    return version


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


def clean_up(connection: sqlite3.Connection, path: Path, vault: Vault) -> None:
    """Let nothing plain outlive an update; one that was cut short is ended here.

    Raises:
        OSError: if a copy cannot be sealed.
        sqlite3.Error: if somebody else is writing.
    """
    if not plain_copies(path, EARLIER):
        return
    # Pages overwritten in the journal only would leave the old ones in the file.
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if not busy:
        with transaction(connection):  # so that nobody else does the same
            seal_copies(path, EARLIER, vault)


def _update(connection: sqlite3.Connection, path: Path, vault: Vault) -> None:
    """Take the steps that are left, all or none; somebody else's database is left alone."""
    with transaction(connection):
        # Another process may have been quicker.
        _, version = _identity(connection)
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (version > 0) != (tables > 0):
            return
        if 0 < version < SCHEMA_VERSION:
            make_copy(path, version)
        if version < SEALED_SINCE:
            vault.need_key(for_the_first_time=True)
        connection.create_function("seal_template", 3, _sealer(vault))
        for step in _STEPS[version:]:
            _run(connection, step)
        if version < SEALED_SINCE:
            proof = vault.seal(_PROOF, "proof")
            connection.execute("INSERT INTO vault VALUES (1, ?)", (proof,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _sealer(vault: Vault) -> Callable[[bytes, str, str], bytes]:
    return lambda plain, person_id, model: vault.seal(plain, TEMPLATE, person_id, model)


def _prove(connection: sqlite3.Connection, path: Path, vault: Vault) -> None:
    """Make sure that the key is the one that everything here was sealed with."""
    row = connection.execute("SELECT proof FROM vault").fetchone()
    vault.need_key(for_the_first_time=False)
    try:
        vault.unseal(row[0] if row else b"", "proof")
    except SealError:
        raise StoreError(
            f"store {path}: was encrypted with another key than {vault.key_file}; put the right "
            "one there (nothing was changed), or move the store away to start anew"
        ) from None


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
