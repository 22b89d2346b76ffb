"""The rows of people: who has a name, and what running services are told of."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from lockd.adapters.store.database import Database
from lockd.adapters.store.records import Details, Enrolled, key_of
from lockd.errors import PersonError
from lockd.types import Person

PERSON = "people.id, name, groups, valid_from, valid_until"
"""What `to_person` makes a person of."""

_ENROLLED = (
    f"SELECT {PERSON}, (SELECT count(*) FROM templates WHERE person_id = people.id), "
    "created_utc, enabled, external_id, notes, consent_by, consent_utc FROM people"
)


def to_person(
    id_: str, name: str, groups: str, valid_from: str | None, valid_until: str | None
) -> Person:
    """Make a person of what a row has.

    Raises:
        ValueError: of a row that somebody spoilt.
    """
    # What is no name of a group, in a file that somebody edited, is a group nobody has.
    return Person(id_, name, frozenset(map(str, json.loads(groups))), valid_from, valid_until)


def everybody(database: Database) -> list[Enrolled]:
    """Return everybody, by name."""
    return [_enrolled(row) for row in database.rows(f"{_ENROLLED} ORDER BY name_key")]


def find(database: Database, name: str) -> Enrolled | None:
    """Return whoever has a name, however it is written, or None."""
    rows = database.rows(f"{_ENROLLED} WHERE name_key = ?", key_of(name))
    if rows and database.connection.in_transaction:  # they may be changed in it
        database.roll.look(rows[0][0])
    return _enrolled(rows[0]) if rows else None


def named(database: Database, name: str) -> Enrolled:
    """Return whoever has a name.

    Raises:
        PersonError: if nobody of that name is enrolled; it says whose name is like it.
    """
    found = find(database, name)
    if found is not None:
        return found
    names = dict(database.rows("SELECT name_key, name FROM people"))
    close = difflib.get_close_matches(key_of(name), names, n=1)
    hint = f"did you mean {names[close[0]]!r}?" if close else "see lockd-enroll list"
    raise PersonError(f"{name!r}: nobody of that name is enrolled; {hint}")


def changed(database: Database, *person_ids: str) -> None:
    """Let running services see, within a transaction, that people are not as they were."""
    database.count("gallery")
    for one in person_ids:
        database.roll.touch(one)
    database.run_many(
        "UPDATE people SET revision = (SELECT value FROM counters WHERE name = 'gallery') "
        "WHERE id = ?",
        [(one,) for one in person_ids],
    )


def begin_epoch(database: Database) -> None:
    """Have running services read everybody anew, within a transaction."""
    database.count("gallery")
    database.run("UPDATE counters SET value = abs(random()) WHERE name = 'epoch'")


def delete(database: Database, person_id: str) -> None:
    """Delete somebody with their templates, and let running services see it."""
    database.roll.touch(person_id)
    database.run("DELETE FROM people WHERE id = ?", person_id)
    database.count("gallery")
    database.run(
        "INSERT OR REPLACE INTO gone SELECT ?, value FROM counters WHERE name = 'gallery'",
        person_id,
    )


def _enrolled(row: Sequence[Any]) -> Enrolled:
    templates, created_utc, enabled, *details = row[5:]
    return Enrolled(to_person(*row[:5]), templates, created_utc, bool(enabled), Details(*details))
