"""All templates of the store in memory, to ask who else a face is like."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lockd.adapters.store import Store
from lockd.identity.gallery import Template
from lockd.types import Embedding, Floats, Person
from lockd.vision.space import Space


class Everybody:
    """Whose template is how like a face.

    Holds one array, at most twice as large as its templates need.
    """

    def __init__(self, templates: Iterable[Template], size: int) -> None:
        self._rows = np.empty((64, size), np.float32)
        self._owners: list[str] = []
        self._people: dict[str, Person] = {}
        for template in templates:
            self._add(template.person, template.embedding)

    def own(self, person_id: str | None) -> Floats:
        """Return float32 (m, size), the templates of one person."""
        return self._rows[[row for row, owner in enumerate(self._owners) if owner == person_id]]

    def nearest_other(
        self, pictures: Floats, person_id: str | None
    ) -> list[tuple[Person | None, float]]:
        """Return, of each picture, the person it is most like but for one, and how much.

        Args:
            pictures: float32 (n, size), norm 1.
            person_id: who does not count.
        """
        others = np.array([owner != person_id for owner in self._owners], np.bool_)
        if not others.any():
            return [(None, -1.0)] * len(pictures)
        found: list[tuple[Person | None, float]] = []
        for picture in pictures:
            likeness = np.where(others, self._rows[: len(others)] @ picture, -np.inf)
            row = int(likeness.argmax())
            found.append((self._people[self._owners[row]], float(likeness[row])))
        return found

    def replace(self, person: Person, embeddings: Iterable[Embedding]) -> None:
        """Take these for all the templates of one person."""
        kept = [row for row, owner in enumerate(self._owners) if owner != person.id]
        if len(kept) < len(self._owners):
            self._rows[: len(kept)] = self._rows[kept]
            self._owners = [self._owners[row] for row in kept]
        for embedding in embeddings:
            self._add(person, embedding)

    def _add(self, person: Person, embedding: Embedding) -> None:
        if len(self._owners) == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[len(self._owners)] = embedding
        self._owners.append(person.id)
        self._people[person.id] = person


def everybody_in(store: Store, space: Space) -> Everybody:
    """Return everybody whom a store has, those disabled too: they may be enabled again.

    Args:
        store: where people are kept.
        space: where the networks in use compare; templates that do not lie there are left out.
    """
    templates, _ = store.gallery.usable(space)
    disabled = [one.person for one in store.people.all() if not one.enabled]
    for person in disabled:
        templates += [
            Template(person, embedding)
            for kept in store.templates.of(person.name)
            if (embedding := space.brought(kept.model, kept.embedding)) is not None
        ]
    return Everybody(templates, space.size)
