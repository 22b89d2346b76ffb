"""Making sure that somebody is forgotten.

Deleting a row leaves its bytes in the file and in the journal. So what is deleted is
overwritten (`secure_delete`), the journal is folded in and cut to nothing, and then both
are searched for what was deleted. What SQLite left behind all the same, as it may where it
moved rows within a page, goes when the file is rewritten.

Only when the disk says that it has all of that is it called verified: SQLite does not wait for
the cut of the journal, and a power cut would bring back what was in it.

What a card keeps of overwritten blocks, for it spreads its writes, no program can reach;
`UNREACHED` lists that and the rest.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from lockd.adapters.store.database import Database
from lockd.adapters.store.records import Removal, key_of
from lockd.errors import StoreError
from lockd.types import Person

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


UNREACHED = (
    "the system's journal, as far back as it goes: `journalctl --rotate --vacuum-time=1s`; "
    "names are not in it with log_names: false",
    "backups, exports and copies of the disk that lockd does not know of",
    "pictures of strangers, which bear no name: `lockd store strangers`",
    "the memory of programs that run, until they read the people again or end, and swapped memory",
    "what the broker, Home Assistant and others who hear events keep",
    "blocks that the card or the disk set aside, and those of files that were deleted",
)
"""Where something of somebody may be that no program of lockd's can take away."""


def verified(database: Database, removal: Removal, blobs: list[bytes]) -> Removal:
    """Look for what is left of somebody; rewrite the file if there is something.

    Args:
        database: they were deleted from.
        removal: what was deleted.
        blobs: all that was sealed of them, as it was.

    Raises:
        StoreError: if the file cannot be read.
    """
    person = removal.person
    mentions = _mentions(database, person)
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
    with suppress(StoreError):  # of a full disk; what is in the journal is found there
        database.fold_journal()
    left = _search(database, wanted)
    if left:
        rewrite(database)
        left = _search(database, wanted)
    return replace(removal, left=left or _not_on_disk(database), mentions=mentions)


def _not_on_disk(database: Database) -> list[str]:
    """What the disk did not confirm, as there would be something left after a power cut."""
    try:
        database.make_last()
    except OSError as error:
        return [f"{database.path}: the disk does not confirm it: {error.strerror}"]
    return []


def rewrite(database: Database) -> None:
    """Write the file anew, from what is still in it; if it cannot be, what is left is told."""
    with suppress(sqlite3.Error, StoreError):
        database.run("VACUUM")
        database.fold_journal()


def _search(database: Database, wanted: list[bytes]) -> list[str]:
    """The files in which something is found."""
    found = []
    with database.errors():
        if _contains(database.descriptor(), wanted):
            found.append(str(database.path))
        with suppress(FileNotFoundError), database.journal.open("rb") as journal:
            if _contains(journal.fileno(), wanted):
                found.append(str(database.journal))
    return found


def _mentions(database: Database, person: Person) -> list[str]:
    """Where somebody else's records have a person's name in them."""
    return [
        f"{table}.{column}"
        for table, column in _TEXTS
        if database.value(
            f"SELECT EXISTS (SELECT 1 FROM {table} "
            f"WHERE instr(CAST({column} AS BLOB), CAST(?1 AS BLOB)) "
            f"OR instr(CAST({column} AS BLOB), CAST(?2 AS BLOB)))",
            *(person.name, key_of(person.name)),
        )
    ]


def _traces(blobs: Iterable[bytes]) -> list[bytes]:
    """Stretches of what was deleted, short enough to lie within one page each."""
    traces = []
    for blob in blobs:
        for start in {len(blob) * part // _SAMPLES for part in range(_SAMPLES)}:
            traces.append(blob[start : start + _WINDOW])
    return [trace for trace in traces if trace]


def _contains(file: int, wanted: list[bytes]) -> bool:
    """Return whether one of some short texts is in an open file."""
    overlap = max((len(one) for one in wanted), default=1) - 1
    tail, place = b"", 0
    while piece := os.pread(file, _PIECE, place):
        text = tail + piece
        if any(one in text for one in wanted):
            return True
        tail, place = text[-overlap:] if overlap else b"", place + len(piece)
    return False
