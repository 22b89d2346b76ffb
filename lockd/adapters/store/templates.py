"""What people's faces are compared with: sealed, and bounded in number."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator

import numpy as np

from lockd.adapters.store.audit import Audit
from lockd.adapters.store.database import Database
from lockd.adapters.store.records import StoredTemplate, is_unit, utc_now
from lockd.adapters.store.rights import nonce_of
from lockd.adapters.store.rows import PERSON, changed, named, to_person
from lockd.adapters.store.vault import SealError, Vault
from lockd.errors import PersonError
from lockd.identity.variety import MAX_TEMPLATES, most_varied
from lockd.types import Embedding, Person

_TEMPLATE, _PHOTOGRAPH = "template", "photograph"
"""The purposes of what is sealed; with the person's id and, of templates, the model."""

NewTemplate = tuple[Embedding, bytes | None, str | None]
"""A unit vector, the photograph to be kept, and when it was made, if not just now."""

log = logging.getLogger(__name__)


def open_template(vault: Vault, sealed: bytes, person_id: str, model: str) -> Embedding | None:
    """Return what a row has, or None if it was altered or is no unit vector."""
    try:
        plain = vault.unseal(sealed, _TEMPLATE, person_id, model)
    except SealError:
        return None
    if not plain or len(plain) % 4:
        return None
    embedding = np.frombuffer(plain, "<f4").astype(np.float32)
    return embedding if is_unit(embedding) else None


def open_photograph(vault: Vault, sealed: bytes, person_id: str) -> bytes | None:
    """Return what a row has, or None if it was altered."""
    try:
        return vault.unseal(sealed, _PHOTOGRAPH, person_id)
    except SealError:
        return None


class Templates:
    """Templates by whose they are."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def outdated(self, models: Collection[str]) -> list[Person]:
        """Return who has templates of other kinds than these, by name."""
        rows = self._database.rows(
            f"SELECT DISTINCT {PERSON} FROM people JOIN templates ON person_id = people.id "
            "JOIN models ON models.id = model_id "
            f"WHERE fingerprint NOT IN ({', '.join('?' * len(models))}) ORDER BY name_key",
            *models,
        )
        return [to_person(*row) for row in rows]

    def of(self, name: str) -> list[StoredTemplate]:
        """Return somebody's templates in the order they were added, but for damaged ones.

        Raises:
            PersonError: if nobody of that name is enrolled.
        """
        return list(self._whole(named(self._database, name).person.id))

    def photographs(self, name: str) -> dict[int, bytes]:
        """Return the photographs kept of somebody, by their templates' numbers.

        Raises:
            PersonError: if nobody of that name is enrolled.
        """
        person = named(self._database, name).person
        rows = self._database.rows(
            "SELECT template_id, photographs.sealed FROM photographs "
            "JOIN templates ON templates.id = template_id WHERE person_id = ? "
            "ORDER BY template_id",
            person.id,
        )
        found = {}
        for number, sealed in rows:
            photograph = open_photograph(self._database.vault, sealed, person.id)
            if photograph is None:
                log.error("the photograph of template %d is damaged", number)
            else:
                found[number] = photograph
        return found

    def drop(self, ids: Iterable[int], *, by: str) -> int:
        """Delete templates by their numbers, and return how many there were.

        Raises:
            PersonError: if somebody would be left with none; see `People.remove`.
            StoreError: if it cannot be written; then nothing was.
        """
        numbers, database = list(ids), self._database
        chosen = f"templates.id IN ({', '.join('?' * len(numbers))})"
        with database.transaction():
            owners = database.rows(
                "SELECT DISTINCT people.id, name FROM templates "
                f"JOIN people ON people.id = person_id WHERE {chosen}",
                *numbers,
            )
            for id_, _ in owners:
                database.roll.look(id_)
            deleted = database.run(f"DELETE FROM templates WHERE {chosen}", *numbers).rowcount
            for id_, name in owners:
                if not database.value("SELECT count(*) FROM templates WHERE person_id = ?", id_):
                    raise PersonError(
                        f"{name}: would have no template left; add better ones first, or remove "
                        "them"
                    )
                self._audit.note(by, "drop_templates", id_)
            changed(database, *(id_ for id_, _ in owners))
        return deleted

    def put(self, person_id: str, model: str, new: Iterable[NewTemplate]) -> None:
        """Give somebody more templates, within a transaction.

        Of more than `MAX_TEMPLATES` of one model, the most varied are kept.
        """
        self._database.run("INSERT OR IGNORE INTO models (fingerprint) VALUES (?)", model)
        model_id = self._database.value("SELECT id FROM models WHERE fingerprint = ?", model)
        for embedding, photograph, created_utc in new:
            sealed = self._seal(embedding.astype("<f4").tobytes(), _TEMPLATE, person_id, model)
            self._database.roll.added(person_id, sealed)
            number = self._database.run(
                "INSERT INTO templates (person_id, model_id, created_utc, sealed) "
                "VALUES (?, ?, ?, ?)",
                *(person_id, model_id, created_utc or utc_now(), sealed),
            ).lastrowid
            if photograph is not None:
                self._database.run(
                    "INSERT INTO photographs (template_id, sealed) VALUES (?, ?)",
                    *(number, self._seal(photograph, _PHOTOGRAPH, person_id)),
                )
        self._limit(person_id, model)

    def forget(self, person_id: str, *, but_of: str = "") -> None:
        """Delete somebody's templates, within a transaction, but for those of one model."""
        self._database.run(
            "DELETE FROM templates WHERE person_id = ? AND model_id NOT IN "
            "(SELECT id FROM models WHERE fingerprint = ?)",
            *(person_id, but_of),
        )

    def sealed(self, person_id: str) -> tuple[list[bytes], list[bytes]]:
        """Return all that is sealed of somebody, as it is: templates and photographs."""
        templates = self._database.rows(
            "SELECT sealed FROM templates WHERE person_id = ?", person_id
        )
        photographs = self._database.rows(
            "SELECT photographs.sealed FROM photographs JOIN templates "
            "ON templates.id = template_id WHERE person_id = ?",
            person_id,
        )
        return [bytes(one) for (one,) in templates], [bytes(one) for (one,) in photographs]

    def _whole(self, person_id: str) -> Iterator[StoredTemplate]:
        """Somebody's templates that are not damaged."""
        theirs = self._database.roll.holds(person_id)
        for number, model, created_utc, sealed in self._database.rows(
            "SELECT templates.id, fingerprint, created_utc, sealed FROM templates "
            "JOIN models ON models.id = model_id WHERE person_id = ? ORDER BY templates.id",
            person_id,
        ):
            embedding = open_template(self._database.vault, sealed, person_id, model)
            if embedding is None or nonce_of(sealed) not in theirs:
                log.error("template %d of person %s is damaged and left out", number, person_id)
                continue
            yield StoredTemplate(number, model, embedding, created_utc)

    def _limit(self, person_id: str, model: str) -> None:
        """Delete somebody's least varied templates of a model, if there are too many."""
        query = "SELECT count(*) FROM templates WHERE person_id = ?"
        if self._database.value(query, person_id) <= MAX_TEMPLATES:
            return
        own = [one for one in self._whole(person_id) if one.model == model]
        keep = set(most_varied([one.embedding for one in own], MAX_TEMPLATES))
        self._database.run_many(
            "DELETE FROM templates WHERE id = ?",
            [(one.id,) for place, one in enumerate(own) if place not in keep],
        )

    def _seal(self, plain: bytes, *purpose: str) -> bytes:
        return self._database.vault.seal(plain, *purpose)
