"""People, what they may do, and the templates that their faces are compared with."""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TypedDict, Unpack

import numpy as np

from lockd.adapters.store import schema
from lockd.adapters.store.database import Database
from lockd.errors import PersonError
from lockd.identity.gallery import Template
from lockd.types import Embedding, Person

MAX_NAME = 64


class Access(TypedDict, total=False):
    """What may be changed of a person's rights; what is left out stays. See `Person`."""

    groups: frozenset[str]
    valid_from: str | None
    valid_until: str | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A person as the store has them."""

    person: Person
    templates: int
    created_utc: str


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


class People(Database):
    """People by their names, and what their faces are compared with."""

    _seen_version = -1
    _seen_gallery = -1

    def people(self) -> list[Enrolled]:
        """Return everybody, by name."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT people.created_utc, count(templates.id), "
                "people.id, name, groups, valid_from, valid_until FROM people LEFT JOIN templates "
                "ON person_id = people.id GROUP BY people.id ORDER BY name_key"
            ).fetchall()
        return [Enrolled(_person(*row), count, utc) for utc, count, *row in rows]

    def outdated(self, model: str) -> list[Person]:
        """Return who has templates that other networks made, by name."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT DISTINCT people.id, name, groups, valid_from, valid_until FROM people "
                "JOIN templates ON person_id = people.id WHERE model != ? ORDER BY name_key",
                (model,),
            ).fetchall()
        return [_person(*row) for row in rows]

    def add(
        self,
        name: str,
        model: str,
        embeddings: Sequence[Embedding],
        *,
        replace_outdated: bool = False,
        **access: Unpack[Access],
    ) -> Person:
        """Enrol somebody, or give somebody enrolled more templates.

        Args:
            name: as `clean_name` allows.
            model: fingerprint of the networks that made the embeddings.
            embeddings: float32 unit vectors, at least one.
            replace_outdated: also forget the templates that other networks made of them.
            access: their rights, as far as they are given.

        Raises:
            PersonError: if the name or the rights cannot be used.
            ValueError: if an embedding is not a unit vector.
            StoreError: if it cannot be written; then nothing was.
        """
        name = clean_name(name)
        blobs = [_to_blob(embedding) for embedding in embeddings]
        if not blobs:
            raise ValueError(f"{name}: no template to enrol")
        utc = _now()
        with self._transaction():
            person = self._find(name)
            if person is None:
                person = Person(str(uuid.uuid4()), name)
                self._connection.execute(
                    "INSERT INTO people (id, name, name_key, created_utc) VALUES (?, ?, ?, ?)",
                    (person.id, name, name.casefold(), utc),
                )
            person = self._give(person, access)
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

    def change_access(self, name: str, **access: Unpack[Access]) -> Person:
        """Change somebody's rights; what is not given stays.

        Raises:
            PersonError: if nobody of that name is enrolled, or the rights make no sense.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._transaction():
            person = self._give(self._enrolled(name), access)
            self._count("gallery")
        return person

    def remove(self, name: str) -> Person:
        """Forget somebody and their templates, and the copies of earlier stores.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then they are still there.
        """
        with self._transaction():
            person = self._enrolled(name)
            schema.forget_copies(self.path)
            self._connection.execute("DELETE FROM people WHERE id = ?", (person.id,))
            self._count("gallery")
        # What was deleted must not live on in the journal.
        with self._errors():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return person

    def templates(self, model: str, size: int) -> tuple[list[Template], int]:
        """Return the templates that can be compared, and the number of those that cannot.

        Args:
            model: fingerprint; templates that other networks made are left out.
            size: length of an embedding; others, and ones not of norm 1, are left out.
        """
        with self._errors():
            rows = self._connection.execute(
                "SELECT model, embedding, people.id, name, groups, valid_from, valid_until "
                "FROM templates JOIN people ON people.id = person_id"
            ).fetchall()
        people: dict[str, Person] = {}
        templates = []
        for made_by, blob, id_, *others in rows:
            embedding = np.frombuffer(blob, "<f4") if len(blob) == 4 * size else None
            if made_by == model and embedding is not None and _is_unit(embedding):
                person = people.get(id_) or people.setdefault(id_, _person(id_, *others))
                templates.append(Template(person, embedding.astype(np.float32)))
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

    def _find(self, name: str) -> Person | None:
        """The person of a name, however it is written."""
        key = unicodedata.normalize("NFC", name).strip().casefold()
        row = self._connection.execute(
            "SELECT id, name, groups, valid_from, valid_until FROM people WHERE name_key = ?",
            (key,),
        ).fetchone()
        return _person(*row) if row else None

    def _enrolled(self, name: str) -> Person:
        person = self._find(name)
        if person is None:
            raise PersonError(f"{name!r}: nobody of that name is enrolled; see lockd-enroll list")
        return person

    def _give(self, person: Person, access: Access) -> Person:
        """Write somebody's rights; return them as they are now."""
        person = _checked(replace(person, **access))
        self._connection.execute(
            "UPDATE people SET groups = ?, valid_from = ?, valid_until = ? WHERE id = ?",
            (json.dumps(sorted(person.groups)), person.valid_from, person.valid_until, person.id),
        )
        return person


def _person(
    id_: str, name: str, groups: str, valid_from: str | None, valid_until: str | None
) -> Person:
    # What is no name of a group, in a file that somebody edited, is a group nobody has.
    return Person(id_, name, frozenset(map(str, json.loads(groups))), valid_from, valid_until)


def _checked(person: Person) -> Person:
    """Return a person whose rights make sense.

    Raises:
        PersonError: if theirs do not.
    """
    for day in (person.valid_from, person.valid_until):
        if day is not None and not _is_day(day):
            raise PersonError(f"{person.name}: {day!r} is no day; use one such as 2026-12-31")
    if person.valid_from and person.valid_until and person.valid_from > person.valid_until:
        raise PersonError(
            f"{person.name}: valid until {person.valid_until}, which is before the first day, "
            f"{person.valid_from}"
        )
    return person


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _to_blob(embedding: Embedding) -> bytes:
    if not _is_unit(embedding):
        raise ValueError("an embedding that is not a unit vector cannot be enrolled")
    return embedding.astype("<f4").tobytes()


def _is_unit(embedding: Embedding) -> bool:
    return abs(float(np.linalg.norm(embedding)) - 1.0) < 1e-3


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
