"""The enrolled people in memory, and who a probe is: somebody, or nobody.

Open-set identification: a probe is named only if it is near enough to one person
*and* clearly nearer to that person than to anyone else. The nearest name alone is
never an answer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockd.types import Embedding, Floats, Match, Person


@dataclass(frozen=True, slots=True)
class Template:
    """One enrolled embedding of a person."""

    person: Person
    embedding: Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Templates of some people, one below the other, each person's together.

    Attributes:
        people: who, each with one template at least.
        starts: row of each person's first template.
        matrix: float32 (templates, size).
    """

    people: Sequence[Person]
    starts: NDArray[np.intp]
    matrix: Floats

    @classmethod
    def of_rows(
        cls, people: Mapping[str, Person], owners: Sequence[str | None], matrix: Floats
    ) -> Faces:
        """Gather templates that lie in an array, each person's together.

        Args:
            people: by id.
            owners: whose each row is, by id; None for one that is not used.
            matrix: float32 (rows, size).
        """
        if None in owners:
            used = [row for row, owner in enumerate(owners) if owner is not None]
            owners, matrix = [owners[row] for row in used], matrix[used]
        starts = [row for row, own in enumerate(owners) if row == 0 or own != owners[row - 1]]
        named = [people[str(owners[row])] for row in starts]
        return cls(named, np.asarray(starts, np.intp), matrix)

    def __len__(self) -> int:
        """Return how many templates there are."""
        return len(self.matrix)

    def __iter__(self) -> Iterator[Template]:
        """Yield one template after the other."""
        for person, rows in self._blocks():
            for row in range(rows.start, rows.stop):
                yield Template(person, self.matrix[row])

    def lengths(self) -> NDArray[np.intp]:
        """Return how many templates each of the people has."""
        return np.diff(self.starts, append=len(self))

    def only(self, ids: Collection[str]) -> Faces:
        """Return the templates of some of the people; the same object if of all."""
        blocks = [(person, rows) for person, rows in self._blocks() if person.id in ids]
        if len(blocks) == len(self.people):
            return self
        return Faces._joined(
            [(person, self.matrix[rows]) for person, rows in blocks], self.matrix.shape[1]
        )

    def joined(self, other: Faces) -> Faces:
        """Return the templates of both; nobody may be in both."""
        return Faces(
            [*self.people, *other.people],
            np.concatenate([self.starts, other.starts + len(self)]),
            np.concatenate([self.matrix, other.matrix]),
        )

    @staticmethod
    def _joined(blocks: Sequence[tuple[Person, Floats]], size: int) -> Faces:
        lengths = [len(rows) for _, rows in blocks]
        starts = np.cumsum([0, *lengths[:-1]])[: len(blocks)].astype(np.intp)
        matrix = np.concatenate([np.empty((0, size), np.float32), *(rows for _, rows in blocks)])
        return Faces([person for person, _ in blocks], starts, matrix)

    def _blocks(self) -> Iterator[tuple[Person, slice]]:
        ends = self.starts + self.lengths()
        for person, start, end in zip(self.people, self.starts, ends, strict=True):
            yield person, slice(int(start), int(end))


class Gallery:
    """An immutable set of templates, searched exhaustively.

    The similarity of a probe to a person is the greatest cosine over that person's
    templates.

    One that differs in a few people from another shares the others' templates with it: it
    lies in parts, of which each is at least twice as large as the next, and in each of which
    those who were changed or left since are passed over.

    Attributes:
        people: everybody, by id.
    """

    def __init__(self, templates: Iterable[Template], size: int) -> None:
        """Build the gallery.

        Args:
            templates: in any order; the order never changes an answer.
            size: length of every embedding.

        Raises:
            ValueError: if a template has another length.
        """
        ordered = sorted(templates, key=lambda template: template.person.id)
        wrong = [one for one in ordered if one.embedding.shape != (size,)]
        if wrong:
            raise ValueError(
                f"{wrong[0].person.name}: template of shape {wrong[0].embedding.shape}, "
                f"expected ({size},)"
            )
        people = {one.person.id: one.person for one in ordered}
        matrix = (
            np.stack([one.embedding for one in ordered])
            if ordered
            else np.empty((0, size), np.float32)
        )
        faces = Faces.of_rows(people, [one.person.id for one in ordered], matrix)
        self._size = size
        self._take([(faces, frozenset(people))] if people else [])

    def updated(self, changed: Faces, stay: Collection[str]) -> Gallery:
        """Return the gallery after a change, at the cost of what changed.

        Args:
            changed: all templates of the people who are new, or not as they were.
            stay: who stays as they are, by id; whoever is in neither is out.

        Raises:
            ValueError: if `changed` has embeddings of another length.
        """
        if changed.matrix.shape[1] != self._size:
            raise ValueError(f"templates of length {changed.matrix.shape[1]}, not {self._size}")
        new = frozenset(person.id for person in changed.people)
        old = frozenset(stay) - new
        gallery = Gallery((), self._size)
        gallery._take(
            _tidied([*((faces, who & old) for faces, who in self._parts), (changed, new)])
        )
        return gallery

    def _take(self, parts: list[tuple[Faces, frozenset[str]]]) -> None:
        self._parts = parts
        # Which of a part's people count; None for all of them.
        self._present = [
            None
            if len(present) == len(faces.people)
            else np.array([person.id in present for person in faces.people], np.bool_)
            for faces, present in parts
        ]
        found = [one for faces, present in parts for one in faces.people if one.id in present]
        self._order = np.array(sorted(range(len(found)), key=lambda i: found[i].id), np.intp)
        self.people: list[Person] = [found[i] for i in self._order]

    def __len__(self) -> int:
        """Return how many templates there are."""
        return sum(
            int(faces.lengths().sum(where=True if present is None else present))
            for (faces, _), present in zip(self._parts, self._present, strict=True)
        )

    def identify(self, probe: Embedding, *, accept: float, margin: float) -> Match:
        """Say who a probe is.

        Args:
            probe: float32 (size,), norm 1.
            accept: least similarity, -1..1, at which a person is named.
            margin: how much nearer than the second-nearest person they must be.

        Returns:
            A match whose `person` is None unless both hold. NaN anywhere refuses.
        """
        if not self.people:
            return Match(None, math.nan, None, math.nan)
        similarities = self._similarities(probe)
        best = int(np.argmax(similarities))
        similarity = float(similarities[best])
        rest = [part.max() for part in (similarities[:best], similarities[best + 1 :]) if len(part)]
        runner_up = float(np.max(rest)) if rest else math.nan
        near_enough = similarity >= accept
        alone = not rest or similarity - runner_up >= margin
        person = self.people[best] if near_enough and alone else None
        return Match(
            person,
            similarity,
            nearest=self.people[best],
            runner_up=runner_up,
            ambiguous=near_enough and not alone,
        )

    def _similarities(self, probe: Embedding) -> Floats:
        """The greatest similarity to each person, in the order of `people`."""
        found = []
        for (faces, _), present in zip(self._parts, self._present, strict=True):
            best = np.maximum.reduceat(faces.matrix @ probe, faces.starts)
            found.append(best if present is None else best[present])
        return np.concatenate(found)[self._order]


def _tidied(parts: list[tuple[Faces, frozenset[str]]]) -> list[tuple[Faces, frozenset[str]]]:
    """Join what is small and drop what is mostly of people who left.

    So a change costs little but for a few, and there are never many parts to search.
    """
    tidy: list[tuple[Faces, frozenset[str]]] = []
    for faces, present in parts:
        if not present:
            continue
        kept = faces.only(present) if 2 * len(present) < len(faces.people) else faces
        tidy.append((kept, present))
        while len(tidy) > 1 and 2 * len(tidy[-1][0]) > len(tidy[-2][0]):
            (second, others), (first, some) = tidy.pop(), tidy.pop()
            tidy.append((first.only(some).joined(second.only(others)), some | others))
    return tidy
