"""People, what they may do, and what is known of them."""

from __future__ import annotations

import difflib
import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from lockd.adapters.store.audit import Audit
from lockd.adapters.store.records import (
    Access,
    Details,
    Enrolled,
    checked,
    checked_details,
    clean_name,
    key_of,
    utc_now,
)
from lockd.errors import PersonError
from lockd.types import Person

PERSON = "people.id, name, groups, valid_from, valid_until"
_ENROLLED = (
    f"SELECT {PERSON}, (SELECT count(*) FROM templates WHERE person_id = people.id), "
    "created_utc, enabled, external_id, notes, consent_by, consent_utc FROM people"
)


class People(Audit):
    """People by their names; every change is one transaction and leaves an audit entry."""

    _seen_version = -1
    """Of the file, when somebody last asked whether people changed."""

    def people(self) -> list[Enrolled]:
        """Return everybody, by name."""
        with self._errors():
            rows = self._connection.execute(f"{_ENROLLED} ORDER BY name_key").fetchall()
        return [_enrolled(row) for row in rows]

    def person(self, name: str) -> Enrolled:
        """Return one person.

        Raises:
            PersonError: if nobody of that name is enrolled; it says whose name is like it.
        """
        with self._errors():
            row = self._connection.execute(
                f"{_ENROLLED} WHERE name_key = ?", (key_of(name),)
            ).fetchone()
        if row is None:
            raise self._nobody(name)
        return _enrolled(row)

    def change_access(self, name: str, *, by: str, **access: Unpack[Access]) -> Person:
        """Change somebody's rights; what is not given stays.

        Raises:
            PersonError: if nobody of that name is enrolled, or the rights make no sense.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._transaction():
            person = self._give(self._named(name), access)
            self._changed(person.id)
            self._note(by, "change_access", person.id)
        return person

    def change_details(self, name: str, details: Details, *, by: str) -> None:
        """Replace what is known of somebody besides name and rights, all of it.

        Raises:
            PersonError: if nobody of that name is enrolled, the details cannot be kept, or
                somebody else has that external id.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._transaction():
            person = self._named(name)
            self._describe(person, details)
            self._note(by, "change_details", person.id)

    def rename(self, name: str, new: str, *, by: str) -> Person:
        """Give somebody another name; events of before keep the old one.

        Raises:
            PersonError: if nobody of that name is enrolled, or somebody else has the new one.
            StoreError: if it cannot be written; then nothing was.
        """
        new = clean_name(new)
        with self._transaction():
            person = self._named(name)
            other = self._find(new)
            if other is not None and other.id != person.id:
                raise PersonError(f"{new!r}: somebody of that name is enrolled; merge them, or "
                                  "choose another name")  # fmt: skip
            self._connection.execute(
                "UPDATE people SET name = ?, name_key = ? WHERE id = ?",
                (new, key_of(new), person.id),
            )
            self._changed(person.id)
            self._note(by, "rename", person.id)
        return replace(person, name=new)

    def set_enabled(self, name: str, enabled: bool, *, by: str) -> Person:
        """Let the door know somebody, or treat them as a stranger until it is to again.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._transaction():
            person = self._named(name)
            self._connection.execute(
                "UPDATE people SET enabled = ? WHERE id = ?", (enabled, person.id)
            )
            self._changed(person.id)
            self._note(by, "enable" if enabled else "disable", person.id)
        return person

    def _find(self, name: str) -> Person | None:
        """The person of a name, however it is written."""
        row = self._connection.execute(
            f"SELECT {PERSON} FROM people WHERE name_key = ?", (key_of(name),)
        ).fetchone()
        return to_person(*row) if row else None

    def _named(self, name: str) -> Person:
        person = self._find(name)
        if person is None:
            raise self._nobody(name)
        return person

    def _nobody(self, name: str) -> PersonError:
        with self._errors():
            names = dict(self._connection.execute("SELECT name_key, name FROM people").fetchall())
        close = difflib.get_close_matches(key_of(name), names, n=1)
        hint = f"did you mean {names[close[0]]!r}?" if close else "see lockd-enroll list"
        return PersonError(f"{name!r}: nobody of that name is enrolled; {hint}")

    def _make(self, name: str) -> Person:
        """Write somebody new, under a name that nobody has."""
        person = Person(str(uuid.uuid4()), name)
        self._connection.execute(
            "INSERT INTO people (id, name, name_key, created_utc) VALUES (?, ?, ?, ?)",
            (person.id, name, key_of(name), utc_now()),
        )
        return person

    def _give(self, person: Person, access: Access) -> Person:
        """Write somebody's rights; return them as they are now."""
        person = checked(replace(person, **access))
        self._connection.execute(
            "UPDATE people SET groups = ?, valid_from = ?, valid_until = ? WHERE id = ?",
            (json.dumps(sorted(person.groups)), person.valid_from, person.valid_until, person.id),
        )
        return person

    def _describe(self, person: Person, details: Details) -> None:
        details = checked_details(details)
        try:
            self._connection.execute(
                "UPDATE people SET external_id = ?, notes = ?, consent_by = ?, consent_utc = ? "
                "WHERE id = ?",
                (
                    details.external_id,
                    details.notes,
                    details.consent_by,
                    details.consent_utc,
                    person.id,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise PersonError(
                f"{person.name}: somebody else has the external id {details.external_id!r}"
            ) from error

    def _changed(self, *person_ids: str) -> None:
        """Let running services, this one too, see that these people are not as they were."""
        self._seen_version = -1
        self._count("gallery")
        self._connection.executemany(
            "UPDATE people SET revision = (SELECT value FROM counters WHERE name = 'gallery') "
            "WHERE id = ?",
            [(one,) for one in person_ids],
        )

    def _gone(self, person_id: str) -> None:
        """Let running services, this one too, see that somebody was removed."""
        self._seen_version = -1
        self._count("gallery")
        self._connection.execute(
            "INSERT INTO gone SELECT ?, value FROM counters WHERE name = 'gallery'", (person_id,)
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


def _enrolled(row: Sequence[object]) -> Enrolled:
    templates, created_utc, enabled, *details = row[5:]
    person = to_person(*row[:5])  # type: ignore[arg-type]
    return Enrolled(person, templates, created_utc, bool(enabled), Details(*details))  # type: ignore[arg-type]
