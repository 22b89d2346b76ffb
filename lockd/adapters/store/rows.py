"""The rows of people: who has a name, and what running services are told of."""

from __future__ import annotations

import difflib
import json

from lockd.adapters.store.database import Database
from lockd.adapters.store.records import key_of
from lockd.errors import PersonError
from lockd.types import Person

PERSON = "people.id, name, groups, valid_from, valid_until"
"""What `to_person` makes a person of."""


def to_person(
    id_: str, name: str, groups: str, valid_from: str | None, valid_until: str | None
) -> Person:
    """Make a person of what a row has.

    Raises:
        ValueError: of a row that somebody spoilt.
    """
    # What is no name of a group, in a file that somebody edited, is a group nobody has.
    return Person(id_, name, frozenset(map(str, json.loads(groups))), valid_from, valid_until)


def find(database: Database, name: str) -> Person | None:
    """Return the person of a name, however it is written."""
    rows = database.rows(f"SELECT {PERSON} FROM people WHERE name_key = ?", key_of(name))
    return to_person(*rows[0]) if rows else None


def named(database: Database, name: str) -> Person:
    """Return the person of a name.

    Raises:
        PersonError: if nobody of that name is enrolled; it says whose name is like it.
    """
    person = find(database, name)
    if person is None:
        raise nobody(database, name)
    return person


def nobody(database: Database, name: str) -> PersonError:
    """Return what to say of a name that nobody has."""
    names = dict(database.rows("SELECT name_key, name FROM people"))
    close = difflib.get_close_matches(key_of(name), names, n=1)
    hint = f"did you mean {names[close[0]]!r}?" if close else "see lockd-enroll list"
    return PersonError(f"{name!r}: nobody of that name is enrolled; {hint}")


def changed(database: Database, *person_ids: str) -> None:
    """Let running services see, within a transaction, that people are not as they were."""
    database.count("gallery")
    database.run_many(
        "UPDATE people SET revision = (SELECT value FROM counters WHERE name = 'gallery') "
        "WHERE id = ?",
        [(one,) for one in person_ids],
    )


def delete(database: Database, person_id: str) -> None:
    """Delete somebody with their templates, and let running services see it."""
    database.run("DELETE FROM people WHERE id = ?", person_id)
    database.count("gallery")
    database.run("INSERT INTO gone SELECT ?, value FROM counters WHERE name = 'gallery'", person_id)
