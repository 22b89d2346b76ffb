"""People, their templates, and the messages that still have to be published: SQLite.

One file, owned and readable by one user. The service and the enrolment commands open
it at the same time: write-ahead logging lets the service read while a command writes,
and `Store.gallery_changed` tells it at the cost of one pragma that it should look again.

A store that is missing is made. One that is damaged, or not lockd's, is never touched,
let alone made anew: the error says so and leaves the file for its owner.
"""

from __future__ import annotations

import os
import sqlite3
import unicodedata
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lockd.errors import PersonError, StoreError
from lockd.identity.gallery import Template
from lockd.types import Embedding, Person

APPLICATION_ID = 0x6C6F636B  # "lock"
SCHEMA_VERSION = 1
MAX_NAME = 64

_SCHEMA = """
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
"""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A person as the store has them."""

    person: Person
    templates: int
    created_utc: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the broker has not acknowledged."""

    seq: int
    topic: str
    payload: bytes


def clean_name(name: str) -> str:
    """Return a name as it is kept: NFC, without space at its ends.

    Raises:
        PersonError: if it is empty, too long, or has characters that no name has.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned:
        raise PersonError("a person's name is empty; give one")
    if len(cleaned) > MAX_NAME:
        raise PersonError(
            f"{cleaned[:20]!r}...: a name of {len(cleaned)} characters; the most is {MAX_NAME}"
        )
    # Controls, surrogates and invisible directions would forge logs and lists.
    bad = [char for char in cleaned if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    if bad:
        raise PersonError(f"{cleaned!r}: the character {bad[0]!r} cannot be part of a name")
    return cleaned


class Store:
    """One open store. Not for use by two threads at once."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, writable: bool) -> None:
        self._connection = connection
        self.path = path
        self.writable = writable
        self._seen_version = -1
        self._seen_gallery = -1

    @classmethod
    def open(cls, path: Path, *, timeout_s: float = 10.0) -> Store:
        """Open a store, or make an empty one where there is none.

        Args:
            path: the database file; its folder is made if need be.
            timeout_s: how long to wait for another process that is writing.

        Raises:
            StoreError: if it cannot be read and written, is damaged, or was written by
                a later version.
        """
        try:
            _make_folder(path.parent)
            new = not path.exists()
            if new:
                _create_private(path)
            connection = sqlite3.connect(
                f"file:{_quoted(path)}?mode=rw", uri=True, timeout=timeout_s, isolation_level=None
            )
        except (OSError, sqlite3.Error) as error:
            raise _store_error(path, error) from error
        store = cls(connection, path, writable=True)
        with _or_close(connection), store._errors():
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            store._check()
            connection.execute("PRAGMA journal_mode = WAL")
        return store

    @classmethod
    def open_read_only(cls, path: Path) -> Store:
        """Open a store that cannot be written, on a medium gone read-only.

        Raises:
            StoreError: if it is missing or damaged.
        """
        try:
            return cls._read_only(path, "mode=ro")
        except StoreError:
            # SQLite wants to write its index of the journal beside the file. Without a
            # journal it can do without; with one it would show people as they were.
            journal = path.with_name(path.name + "-wal")
            if journal.exists() and journal.stat().st_size:
                raise
            return cls._read_only(path, "mode=ro&immutable=1")

    @classmethod
    def _read_only(cls, path: Path, query: str) -> Store:
        try:
            connection = sqlite3.connect(
                f"file:{_quoted(path)}?{query}", uri=True, isolation_level=None
            )
        except sqlite3.Error as error:
            raise _store_error(path, error) from error
        store = cls(connection, path, writable=False)
        with _or_close(connection), store._errors():
            store._check()
        return store

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # People

    def people(self) -> list[Enrolled]:
        """Return everybody, by name."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT people.id, name, people.created_utc, count(templates.id) FROM people "
                "LEFT JOIN templates ON person_id = people.id GROUP BY people.id ORDER BY name_key"
            ).fetchall()
        return [Enrolled(Person(id_, name), count, utc) for id_, name, utc, count in rows]

    def outdated(self, model: str) -> list[Person]:
        """Return who has templates that other networks made, by name."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT DISTINCT people.id, name FROM people "
                "JOIN templates ON person_id = people.id WHERE model != ? ORDER BY name_key",
                (model,),
            ).fetchall()
        return [Person(*row) for row in rows]

    def add(
        self,
        name: str,
        model: str,
        embeddings: Sequence[Embedding],
        *,
        replace_outdated: bool = False,
    ) -> Person:
        """Enrol somebody, or give somebody enrolled more templates.

        Args:
            name: as `clean_name` allows.
            model: fingerprint of the networks that made the embeddings.
            embeddings: float32 unit vectors, at least one.
            replace_outdated: also forget the templates that other networks made of them.

        Raises:
            PersonError: if the name cannot be used.
            ValueError: if an embedding is not a unit vector.
            StoreError: if it cannot be written; then nothing was.
        """
        name = clean_name(name)
        blobs = [_to_blob(embedding) for embedding in embeddings]
        if not blobs:
            raise ValueError(f"{name}: no template to enrol")
        utc = _now()
        with self._transaction():
            row = self._connection.execute(
                "SELECT id, name FROM people WHERE name_key = ?", (name.casefold(),)
            ).fetchone()
            person = Person(*row) if row else Person(str(uuid.uuid4()), name)
            if row is None:
                self._connection.execute(
                    "INSERT INTO people VALUES (?, ?, ?, ?)",
                    (person.id, name, name.casefold(), utc),
                )
            if replace_outdated:
                self._connection.execute(
                    "DELETE FROM templates WHERE person_id = ? AND model != ?", (person.id, model)
                )
            self._connection.executemany(
                "INSERT INTO templates (person_id, model, embedding, created_utc) "
                "VALUES (?, ?, ?, ?)",
                [(person.id, model, blob, utc) for blob in blobs],
            )
            self._count("gallery")
        return person

    def remove(self, name: str) -> Person:
        """Forget somebody and their templates.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then nothing was.
        """
        key = unicodedata.normalize("NFC", name).strip().casefold()
        with self._transaction():
            row = self._connection.execute(
                "SELECT id, name FROM people WHERE name_key = ?", (key,)
            ).fetchone()
            if row is None:
                raise PersonError(
                    f"{name!r}: nobody of that name is enrolled; see lockd-enroll list"
                )
            self._connection.execute("DELETE FROM people WHERE id = ?", (row[0],))
            self._count("gallery")
        # What was deleted must not live on in the journal.
        with self._errors():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Person(*row)

    def templates(self, model: str, size: int) -> tuple[list[Template], int]:
        """Return the templates that can be compared, and the number of those that cannot.

        Args:
            model: fingerprint; templates that other networks made are left out.
            size: length of an embedding; others, and ones not of norm 1, are left out.
        """
        with self._errors():
            rows = self._connection.execute(
                "SELECT people.id, name, model, embedding FROM templates "
                "JOIN people ON people.id = person_id"
            ).fetchall()
        templates = []
        for id_, name, made_by, blob in rows:
            embedding = np.frombuffer(blob, "<f4") if len(blob) == 4 * size else None
            if made_by == model and embedding is not None and _is_unit(embedding):
                templates.append(Template(Person(id_, name), embedding.astype(np.float32)))
        return templates, len(rows) - len(templates)

    def gallery_changed(self) -> bool:
        """Return whether people or templates may have changed since the last call.

        True at the first call. Costs microseconds when nobody wrote.
        """
        with self._errors():
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._seen_version:
                return False
            gallery = self._connection.execute(
                "SELECT value FROM counters WHERE name = 'gallery'"
            ).fetchone()[0]
        changed = gallery != self._seen_gallery
        self._seen_version, self._seen_gallery = version, gallery
        return bool(changed)

    # Messages on their way to the broker

    def post(self, topics: Sequence[str], payload: bytes, *, keep: int) -> None:
        """Write a message that is to be published, once for each topic.

        Args:
            topics: where to.
            payload: what.
            keep: the most messages that wait; beyond it the oldest are dropped.
        """
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO outbox (topic, payload) VALUES (?, ?)",
                [(topic, payload) for topic in topics],
            )
            waiting = self._connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
            if waiting > keep:
                self._connection.execute(
                    "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT ?)",
                    (waiting - keep,),
                )
                self._count("outbox_dropped", waiting - keep)

    def waiting(self, after: int, limit: int) -> list[Message]:
        """Return the oldest messages with a greater number that still wait."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT seq, topic, payload FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Message(*row) for row in rows]

    def delivered(self, seqs: Sequence[int]) -> None:
        """Forget messages that the broker has."""
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs]
            )

    def dropped(self) -> int:
        """Return how many messages were dropped because too many were waiting."""
        with self._errors():
            row = self._connection.execute(
                "SELECT value FROM counters WHERE name = 'outbox_dropped'"
            ).fetchone()
        return int(row[0])

    # Inside

    def _check(self) -> None:
        """Make the schema in an empty file; refuse a damaged, foreign or later one."""
        application, version = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
        if self.writable and (application, version) == (0, 0):
            with self._transaction():
                # Another process may have been quicker.
                if not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in _SCHEMA.split(";\n"):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            application, version = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self.path}: an SQLite file, but not lockd's; name another folder in store.folder"
            )
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: schema version {version}, this lockd knows {SCHEMA_VERSION}; "
                "install the lockd that wrote it"
            )
        verdict = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"database is malformed: {verdict}")

    def _count(self, name: str, by: int = 1) -> None:
        self._connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (by, name))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
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


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _create_private(path: Path) -> None:
    """Make an empty file that only its owner, the folder's owner, may read."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    if os.geteuid() == 0:
        # An administrator's command must leave a store that the service can open.
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _quoted(path: Path) -> str:
    return path.resolve().as_uri().removeprefix("file://")


def _to_blob(embedding: Embedding) -> bytes:
    if not _is_unit(embedding):
        raise ValueError("an embedding that is not a unit vector cannot be enrolled")
    return embedding.astype("<f4").tobytes()


def _is_unit(embedding: Embedding) -> bool:
    return abs(float(np.linalg.norm(embedding)) - 1.0) < 1e-3


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
