"""What people's faces are compared with: sealed, bounded in number, read as they change."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Unpack

import numpy as np

from lockd.adapters.store.events import Events
from lockd.adapters.store.people import PERSON, People, to_person
from lockd.adapters.store.records import (
    Access,
    Details,
    StoredTemplate,
    clean_name,
    is_unit,
    marks,
    utc_now,
)
from lockd.adapters.store.schema import TEMPLATE
from lockd.adapters.store.vault import SealError
from lockd.errors import PersonError
from lockd.identity.gallery import Faces, Template
from lockd.identity.variety import MAX_TEMPLATES, most_varied
from lockd.types import Embedding, Person

PHOTOGRAPH = "photograph"
"""The purpose of what is sealed in `photographs`, with the person's id."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """Who changed since the reading before, and as whom.

    Attributes:
        stamp: of the store when it was read.
        whole: whether this is everybody, and not only those who changed.
        gone: who is not, or not as they were, by id.
        faces: of those who changed and are to be known, as far as they can be compared.
        outdated: how many of their templates other networks made, by person.
        damaged: how many of them cannot be used, by person.
    """

    stamp: tuple[int, int]
    whole: bool
    gone: frozenset[str]
    faces: Faces
    outdated: Counter[str]
    damaged: Counter[str]


class Templates(People, Events):
    """Adding, choosing and reading templates."""

    _seen_gallery: tuple[int, int] = (-1, -1)

    def outdated(self, model: str) -> list[Person]:
        """Return who has templates that other networks made, by name."""
        with self._errors():
            rows = self._connection.execute(
                f"SELECT DISTINCT {PERSON} FROM people JOIN templates ON person_id = people.id "
                "JOIN models ON models.id = model_id WHERE fingerprint != ? ORDER BY name_key",
                (model,),
            ).fetchall()
        return [to_person(*row) for row in rows]

    def add(
        self,
        name: str,
        model: str,
        embeddings: Sequence[Embedding],
        *,
        by: str,
        note: str | None = None,
        replace_outdated: bool = False,
        photographs: Sequence[bytes] = (),
        details: Details | None = None,
        **access: Unpack[Access],
    ) -> Person:
        """Enrol somebody, or give somebody enrolled more templates.

        Of more than `MAX_TEMPLATES` that one composition of networks made, the most varied
        are kept.

        Args:
            name: as `clean_name` allows.
            model: fingerprint of the networks that made the embeddings.
            embeddings: float32 unit vectors, at least one.
            by: the administrator.
            note: for the audit entry; must name nobody.
            replace_outdated: also forget the templates that other networks made of them.
            photographs: to be kept, as they are in their files: one for each embedding, or none.
            details: what else is known of them; None leaves what there is.
            access: their rights, as far as they are given.

        Raises:
            PersonError: if the name, the details or the rights cannot be used.
            ValueError: if an embedding is not a unit vector.
            StoreError: if it cannot be written; then nothing was.
        """
        name = clean_name(name)
        if not embeddings or not all(is_unit(one) for one in embeddings):
            raise ValueError(f"{name}: only unit vectors can be enrolled, and at least one")
        if photographs and len(photographs) != len(embeddings):
            raise ValueError(f"{name}: {len(photographs)} photographs, one for each or none")
        with self._transaction():
            person = self._give(self._find(name) or self._make(name), access)
            if details is not None:
                self._describe(person, details)
            model_id = self._model(model)
            if replace_outdated:
                self._connection.execute(
                    "DELETE FROM templates WHERE person_id = ? AND model_id != ?",
                    (person.id, model_id),
                )
            for embedding, photograph in zip_longest(embeddings, photographs):
                self._insert(person.id, model, model_id, embedding, photograph)
            self._limit(person.id, model)
            self._changed(person.id)
            self._note(by, "add", person.id, note)
        return person

    def put(
        self,
        name: str,
        model: str,
        embeddings: Sequence[Embedding],
        *,
        by: str,
        note: str | None = None,
        photographs: Sequence[bytes | None],
        details: Details,
        enabled: bool,
        **access: Unpack[Access],
    ) -> Person:
        """Make somebody just so, whether they are enrolled or not: for what comes from a file.

        Templates, photographs, details and what is given of rights take the place of
        whatever there was.

        Args:
            name: as `clean_name` allows.
            model: fingerprint of the networks that made the embeddings.
            embeddings: float32 unit vectors, at least one.
            by: the administrator.
            note: for the audit entry; must name nobody.
            photographs: to be kept, one for each embedding; None for one that has none.
            details: what else is known of them.
            enabled: whether the door is to know them.
            access: their rights.

        Raises:
            PersonError: if the name, the details or the rights cannot be used.
            ValueError: if an embedding is not a unit vector.
            StoreError: if it cannot be written; then nothing was.
        """
        name = clean_name(name)
        if not embeddings or not all(is_unit(one) for one in embeddings):
            raise ValueError(f"{name}: only unit vectors can be enrolled, and at least one")
        with self._transaction():
            person = self._give(self._find(name) or self._make(name), access)
            self._describe(person, details)
            self._connection.execute("DELETE FROM templates WHERE person_id = ?", (person.id,))
            self._connection.execute(
                "UPDATE people SET enabled = ? WHERE id = ?", (enabled, person.id)
            )
            model_id = self._model(model)
            for embedding, photograph in zip(embeddings, photographs, strict=True):
                self._insert(person.id, model, model_id, embedding, photograph)
            self._limit(person.id, model)
            self._changed(person.id)
            self._note(by, "put", person.id, note)
        self._fold_journal()
        return person

    def templates_of(self, name: str) -> list[StoredTemplate]:
        """Return somebody's templates in the order they were added, but for damaged ones.

        Raises:
            PersonError: if nobody of that name is enrolled.
        """
        with self._errors():
            return list(self._whole(self._named(name).id))

    def photographs_of(self, name: str) -> dict[int, bytes]:
        """Return the photographs kept of somebody, by their templates' numbers.

        Raises:
            PersonError: if nobody of that name is enrolled.
        """
        with self._errors():
            person = self._named(name)
            rows = self._connection.execute(
                "SELECT template_id, photographs.sealed FROM photographs "
                "JOIN templates ON templates.id = template_id WHERE person_id = ? "
                "ORDER BY template_id",
                (person.id,),
            ).fetchall()
        found = {}
        for number, sealed in rows:
            try:
                found[number] = self._unseal(sealed, PHOTOGRAPH, person.id)
            except SealError:
                log.error("the photograph of template %d is damaged", number)
        return found

    def drop_templates(self, ids: Iterable[int], *, by: str) -> int:
        """Delete templates by their numbers, and return how many there were.

        Raises:
            PersonError: if somebody would be left with none; see `remove`.
            StoreError: if it cannot be written; then nothing was.
        """
        numbers = list(ids)
        with self._transaction():
            owners = self._connection.execute(
                "SELECT DISTINCT people.id, name FROM templates "
                "JOIN people ON people.id = person_id "
                f"WHERE templates.id IN ({marks(numbers)})",
                numbers,
            ).fetchall()
            deleted = self._connection.execute(
                f"DELETE FROM templates WHERE id IN ({marks(numbers)})", numbers
            ).rowcount
            for id_, name in owners:
                if not self._has_templates(id_):
                    raise PersonError(
                        f"{name}: would have no template left; add better ones first, or remove "
                        "them"
                    )
                self._note(by, "drop_templates", id_)
            self._changed(*(id_ for id_, _ in owners))
        return deleted

    def merge(self, source: str, target: str, *, by: str, note: str | None = None) -> Person:
        """Give somebody the templates of somebody else who is the same, and forget the latter.

        Name, rights and details are the target's; `note` is for the audit entry and must
        name nobody.

        Raises:
            PersonError: if one of them is not enrolled, or both are one.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._transaction():
            old, new = self._named(source), self._named(target)
            if old.id == new.id:
                raise PersonError(f"{new.name}: cannot be merged with themselves")
            photographs = self.photographs_of(old.name)
            models = set()
            for one in self._whole(old.id):
                models.add(one.model)
                photograph = photographs.get(one.id)
                model_id = self._model(one.model)
                self._insert(
                    new.id, one.model, model_id, one.embedding, photograph, one.created_utc
                )
            self._write_for(old.id, "", new.id)  # so that `remove` finds them all
            self._connection.execute("DELETE FROM people WHERE id = ?", (old.id,))
            self._gone(old.id)
            for model in models:
                self._limit(new.id, model)
            self._changed(new.id)
            self._note(by, "merge", new.id, "; ".join(filter(None, (f"with {old.id}", note))))
        self._fold_journal()
        return new

    def templates(self, model: str, size: int) -> tuple[list[Template], int]:
        """Return the templates that the door compares with, and the number of those it cannot.

        Args:
            model: fingerprint; templates that other networks made are left out.
            size: length of an embedding; others, and ones not of norm 1, are left out.
        """
        reading = self.read(model, size)
        unusable = reading.outdated.total() + reading.damaged.total()
        return list(reading.faces), unusable

    def gallery_changed(self) -> bool:
        """Return whether people or templates may have changed since the last call.

        True at the first call. Costs microseconds when nobody wrote.
        """
        with self._errors():
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._seen_version:
                return False
            stamp = self._stamp()
        changed = stamp != self._seen_gallery
        self._seen_version, self._seen_gallery = version, stamp
        return changed

    def read(self, model: str, size: int, before: Reading | None = None) -> Reading:
        """Return who changed since a reading, or everybody whom the door is to know.

        Args:
            model: fingerprint of the networks in use.
            size: length of their embeddings.
            before: the last reading with the same networks.
        """
        with self._errors(), self._snapshot():
            stamp = self._stamp()
            if before is None or before.stamp[0] != stamp[0] or before.stamp > stamp:
                before = None
            since = -1 if before is None else before.stamp[1]
            people, gone, spoilt = self._people_since(since)
            faces, outdated, damaged = self._faces_since(since, people, model, size)
        damaged.update(spoilt)
        return Reading(stamp, before is None, gone.union(spoilt, people), faces, outdated, damaged)

    def _people_since(self, since: int) -> tuple[dict[str, Person], frozenset[str], list[str]]:
        """Those who changed, those who are not to be known, and whose rows make no sense."""
        people: dict[str, Person] = {}
        gone = {
            row[0]
            for row in self._connection.execute(
                "SELECT person_id FROM gone WHERE revision > ?", (since,)
            )
        }
        spoilt: list[str] = []
        for enabled, *row in self._connection.execute(
            f"SELECT enabled, {PERSON} FROM people WHERE revision > ?", (since,)
        ):
            if not enabled:
                gone.add(row[0])
                continue
            try:
                people[row[0]] = to_person(*row)
            except ValueError:
                log.error("the record of person %s is damaged; they are a stranger now", row[0])
                spoilt.append(row[0])
        return people, frozenset(gone), spoilt

    def _faces_since(
        self, since: int, people: dict[str, Person], model: str, size: int
    ) -> tuple[Faces, Counter[str], Counter[str]]:
        """The faces of those who changed, in one array that is filled as the rows lie."""
        # A few are looked up one by one; everybody is read as the rows lie in the file.
        tables = "people CROSS JOIN templates" if since >= 0 else "templates CROSS JOIN people"
        rows = f"{tables} ON people.id = person_id"
        which = "WHERE enabled AND revision > ?"
        # By person the rows are all over the file; but where each goes the index knows.
        numbers = self._connection.execute(
            f"SELECT templates.id FROM {rows} {which} ORDER BY person_id", (since,)
        )
        places = {number: place for place, (number,) in enumerate(numbers)}
        matrix = np.zeros((len(places), size), np.float32)
        owners: list[str | None] = [None] * len(places)
        outdated: Counter[str] = Counter()
        damaged: Counter[str] = Counter()
        fingerprints = dict(self._connection.execute("SELECT id, fingerprint FROM models"))
        for number, person_id, model_id, sealed in self._connection.execute(
            f"SELECT templates.id, person_id, model_id, sealed FROM {rows} {which}", (since,)
        ):
            if person_id not in people:
                continue
            if fingerprints.get(model_id) != model:
                outdated[person_id] += 1
                continue
            embedding = self._embedding(sealed, person_id, model)
            if embedding is None or embedding.shape != (size,):
                damaged[person_id] += 1
                log.error("template %d of person %s is damaged and not used", number, person_id)
                continue
            matrix[places[number]] = embedding
            owners[places[number]] = person_id
        return Faces.of_rows(people, owners, matrix), outdated, damaged

    def _whole(self, person_id: str) -> Iterator[StoredTemplate]:
        """Somebody's templates that are not damaged."""
        for number, model, created_utc, sealed in self._connection.execute(
            "SELECT templates.id, fingerprint, created_utc, sealed FROM templates "
            "JOIN models ON models.id = model_id WHERE person_id = ? ORDER BY templates.id",
            (person_id,),
        ).fetchall():
            embedding = self._embedding(sealed, person_id, model)
            if embedding is None:
                log.error("template %d of person %s is damaged and left out", number, person_id)
                continue
            yield StoredTemplate(number, model, embedding, created_utc)

    def _embedding(self, sealed: bytes, person_id: str, model: str) -> Embedding | None:
        """What a row has, or None if it was altered or is no unit vector."""
        try:
            plain = self._unseal(sealed, TEMPLATE, person_id, model)
        except SealError:
            return None
        if not plain or len(plain) % 4:
            return None
        embedding = np.frombuffer(plain, "<f4").astype(np.float32)
        return embedding if is_unit(embedding) else None

    def _insert(
        self,
        person_id: str,
        model: str,
        model_id: int,
        embedding: Embedding,
        photograph: bytes | None,
        created_utc: str | None = None,
    ) -> None:
        plain = embedding.astype("<f4").tobytes()
        number = self._connection.execute(
            "INSERT INTO templates (person_id, model_id, created_utc, sealed) VALUES (?, ?, ?, ?)",
            (
                person_id,
                model_id,
                created_utc or utc_now(),
                self._vault.seal(plain, TEMPLATE, person_id, model),
            ),
        ).lastrowid
        if photograph is not None:
            self._connection.execute(
                "INSERT INTO photographs (template_id, sealed) VALUES (?, ?)",
                (number, self._vault.seal(photograph, PHOTOGRAPH, person_id)),
            )

    def _limit(self, person_id: str, model: str) -> None:
        """Delete somebody's least varied templates of a model, if there are too many."""
        own = [one for one in self._whole(person_id) if one.model == model]
        keep = set(most_varied([one.embedding for one in own], MAX_TEMPLATES))
        self._connection.executemany(
            "DELETE FROM templates WHERE id = ?",
            [(one.id,) for place, one in enumerate(own) if place not in keep],
        )

    def _model(self, fingerprint: str) -> int:
        self._connection.execute(
            "INSERT OR IGNORE INTO models (fingerprint) VALUES (?)", (fingerprint,)
        )
        row = self._connection.execute(
            "SELECT id FROM models WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        return int(row[0])

    def _has_templates(self, person_id: str) -> bool:
        return bool(
            self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM templates WHERE person_id = ?)", (person_id,)
            ).fetchone()[0]
        )

    def _stamp(self) -> tuple[int, int]:
        """Which store this is, and how often people in it were changed."""
        counters = dict(self._connection.execute("SELECT name, value FROM counters"))
        return counters.get("epoch", 0), counters["gallery"]
