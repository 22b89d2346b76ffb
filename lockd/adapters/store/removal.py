"""Forgetting somebody, and making sure of it.

Deleting a row leaves its bytes in the file, in the journal and in copies. So what is
deleted is overwritten (`secure_delete`), the journal is folded in and cut to nothing, copies
of earlier versions are overwritten and deleted, and then every one of these files is
searched for what was deleted. What SQLite left behind all the same, as it may where it
moved rows within a page, goes when the file is rewritten.

What a card keeps of overwritten blocks, for it spreads its writes, no program can reach.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lockd.adapters.store import schema
from lockd.adapters.store.copies import forget_copies
from lockd.adapters.store.records import Removal, key_of
from lockd.adapters.store.templates import Templates
from lockd.types import Person

BACKUP = "backup"
"""The action under which a backup is written into the audit trail, its file as the note."""

_WINDOW = 48
_PIECE = 1 << 22
_SAMPLES = 4
_LONG_ENOUGH = 8
# Where a name can be, besides what is deleted with its person.
_TEXTS = (
    ("sqlite_master", "sql"), ("people", "name"), ("people", "name_key"), ("people", "notes"),
    ("people", "external_id"), ("people", "consent_by"),
    ("audit", "note"), ("audit", "by"), ("events", "payload"), ("outbox", "payload"),
)  # fmt: skip


class Removing(Templates):
    """Deleting people, and looking for what is left of them."""

    def remove(self, name: str, *, by: str) -> Removal:
        """Forget somebody: templates, photographs, rights, details and copies.

        Messages on their way and events kept have their id for their name then, and so has
        the audit trail.

        Returns:
            What was deleted, and whether anything is left.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then they are still there.
        """
        with self._transaction():
            person = self._named(name)
            templates = self._sealed("SELECT sealed FROM templates WHERE person_id = ?", person.id)
            photographs = self._sealed(
                "SELECT photographs.sealed FROM photographs JOIN templates "
                "ON templates.id = template_id WHERE person_id = ?",
                person.id,
            )
            copies = forget_copies(self.path, schema.EARLIER)
            messages, events = self._write_for(person.id, person.name, person.id)
            self._connection.execute("DELETE FROM people WHERE id = ?", (person.id,))
            self._gone(person.id)
            self._note(by, "remove", person.id)
        removal = Removal(
            person, len(templates), len(photographs), messages, events, copies,
            backups=self._backups(),
        )  # fmt: skip
        return self._verified(removal, [*templates, *photographs])

    def _verified(self, removal: Removal, blobs: list[bytes]) -> Removal:
        """Look for what is left; rewrite the file if there is something."""
        person = removal.person
        mentions = self._mentions(person)
        wanted = _traces(blobs)
        # As it stood in the row of the person, and in events.
        wanted += [f"{person.id}{person.name}".encode(), f'"person":"{person.name}"'.encode()]
        # A name that others' records have too proves nothing, nor does one so short that
        # chance writes it.
        wanted += [
            one.encode()
            for one in (person.name, key_of(person.name))
            if not mentions and len(one.encode()) >= _LONG_ENOUGH
        ]
        self._fold_journal()
        left = self._search(wanted)
        if left:
            self._rewrite()
            left = self._search(wanted)
        return replace(removal, left=left, mentions=mentions)

    def _search(self, wanted: list[bytes]) -> list[str]:
        """The files in which something is found."""
        journal = self.path.with_name(self.path.name + "-wal")
        files = [self.path, journal, *self.path.parent.glob(f"{self.path.name}.v*")]
        with self._errors():
            return [str(file) for file in files if file.exists() and _contains(file, wanted)]

    def _rewrite(self) -> None:
        """Write the file anew, from what is still in it."""
        try:
            self._connection.execute("VACUUM")
        except sqlite3.Error:
            return  # what is left is told
        self._fold_journal()

    def _mentions(self, person: Person) -> list[str]:
        """Where somebody else's records have a person's name in them."""
        with self._errors():
            return [
                f"{table}.{column}"
                for table, column in _TEXTS
                if self._connection.execute(
                    f"SELECT EXISTS (SELECT 1 FROM {table} "
                    f"WHERE instr(CAST({column} AS BLOB), CAST(?1 AS BLOB)) "
                    f"OR instr(CAST({column} AS BLOB), CAST(?2 AS BLOB)))",
                    (person.name, key_of(person.name)),
                ).fetchone()[0]
            ]

    def _backups(self) -> list[Path]:
        """The backups that were made and are where they were made."""
        rows = self._connection.execute(
            "SELECT DISTINCT note FROM audit WHERE action = ?", (BACKUP,)
        ).fetchall()
        return [Path(note) for (note,) in rows if note and Path(note).exists()]

    def _sealed(self, query: str, person_id: str) -> list[bytes]:
        return [bytes(row[0]) for row in self._connection.execute(query, (person_id,)).fetchall()]


def _traces(blobs: Iterable[bytes]) -> list[bytes]:
    """Stretches of what was deleted, short enough to lie within one page each."""
    traces = []
    for blob in blobs:
        for start in {len(blob) * part // _SAMPLES for part in range(_SAMPLES)}:
            traces.append(blob[start : start + _WINDOW])
    return [trace for trace in traces if trace]


def _contains(file: Path, wanted: list[bytes]) -> bool:
    """Return whether one of some short texts is in a file."""
    overlap = max((len(one) for one in wanted), default=1) - 1
    with file.open("rb") as source:
        tail = b""
        while piece := source.read(_PIECE):
            text = tail + piece
            if any(one in text for one in wanted):
                return True
            tail = text[-overlap:] if overlap else b""
    return False
