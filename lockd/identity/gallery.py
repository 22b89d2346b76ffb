"""The enrolled people in memory, and who a probe is: somebody, or nobody.

Open-set identification: a probe is named only if it is near enough to one person
*and* clearly nearer to that person than to anyone else. The nearest name alone is
never an answer.

Of a probe whose first numbers alone are known, no similarity can be greater than by Cauchy's and
Schwarz's inequality: where that is too little for everybody, the rest need not be computed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from lockd.identity.large import LargeFaces
from lockd.types import Embedding, Floats, Match, Person

_SLACK = 1e-4  # for what single precision rounds; a similarity errs by less than 1e-6


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

    @property
    def size(self) -> int:
        """How many numbers each has."""
        return int(self.matrix.shape[1])

    def __iter__(self) -> Iterator[Template]:
        """Yield one template after the other."""
        for person, rows in self._blocks():
            for row in range(rows.start, rows.stop):
                yield Template(person, self.matrix[row])

    def lengths(self) -> NDArray[np.intp]:
        """Return how many templates each of the people has."""
        return np.diff(self.starts, append=len(self))

    def only(self, present: NDArray[np.bool_]) -> Faces:
        """Return the templates of those people of whom it is true."""
        lengths = self.lengths()[present]
        return Faces(
            list(compress(self.people, present)),
            (np.cumsum(lengths) - lengths).astype(np.intp),
            self.matrix[np.repeat(present, self.lengths())],
        )

    def joined(self, other: Faces) -> Faces:
        """Return the templates of both; nobody may be in both."""
        return Faces(
            [*self.people, *other.people],
            np.concatenate([self.starts, other.starts + len(self)]),
            np.concatenate([self.matrix, other.matrix]),
        )

    def _blocks(self) -> Iterator[tuple[Person, slice]]:
        ends = self.starts + self.lengths()
        for person, start, end in zip(self.people, self.starts, ends, strict=True):
            yield person, slice(int(start), int(end))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some of the people of a gallery, but for those who left or were changed since.

    Attributes:
        faces: of all of them.
        places: of each person in `faces`, by id.
        present: bool, for each person in `faces`.
        norms: of the first numbers of each template, and of the others, by how many are first.
    """

    faces: Faces | LargeFaces
    places: Mapping[str, int]
    present: NDArray[np.bool_]
    norms: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)

    @classmethod
    def of(cls, faces: Faces | LargeFaces) -> _Part:
        places = {person.id: place for place, person in enumerate(faces.people)}
        return cls(faces, places, np.ones(len(places), np.bool_))

    def without(self, ids: Collection[str]) -> _Part:
        places = [self.places[one] for one in ids if one in self.places]
        if not places:
            return self
        present = self.present.copy()
        present[places] = False
        return _Part(self.faces, self.places, present, self.norms)

    def compact(self) -> Faces | LargeFaces:
        """Return the faces of those who are present alone."""
        return self.faces.only(self.present)

    def people(self) -> list[Person]:
        return list(compress(self.faces.people, self.present))

    def similarities(self, probe: Embedding) -> tuple[Floats, Floats]:
        """Return the least and the greatest that the similarity to each of the people can be."""
        if isinstance(self.faces, LargeFaces):
            low, high = self.faces.similarities(probe, self.present)
            return low[self.present], high[self.present]
        best: Floats = np.maximum.reduceat(self.faces.matrix @ probe, self.faces.starts)
        best = best[self.present]
        return best, best

    def by_head(self, head: Floats) -> tuple[Floats, Floats]:
        """Return what can be said of each of the people by a probe's first numbers.

        Returns:
            The greatest similarity that they can have, and the greatest of the first numbers.
        """
        if isinstance(self.faces, LargeFaces):
            bounds, alone = self.faces.by_head(head, self.present)
            return bounds[self.present], alone[self.present]
        known = len(head)
        if known not in self.norms:
            matrix = self.faces.matrix
            self.norms[known] = _norms(matrix[:, :known]), _norms(matrix[:, known:])
        first, rest = self.norms[known]
        norm = float(np.linalg.norm(head))
        shared = self.faces.matrix[:, :known] @ head
        bounds = shared + rest * np.float32(math.sqrt(max(0.0, 1.0 - norm**2)))
        alone = shared / np.maximum(first * np.float32(norm), np.float32(1e-6))
        starts = self.faces.starts
        return (
            np.maximum.reduceat(bounds, starts)[self.present],
            np.maximum.reduceat(alone, starts)[self.present],
        )


class Gallery:
    """An immutable set of templates, searched exhaustively.

    The similarity of a probe to a person is the greatest cosine over that person's
    templates.

    One that differs in a few people from another shares the others' templates with it: it
    lies in parts, of which each is at least twice as large as the next, and in each of which
    those who were changed or left since are passed over.

    Attributes:
        people: everybody.
        parts: with their templates, the largest first.
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
        self._take([_Part.of(faces)] if people else [])

    def updated(self, changed: Faces | LargeFaces, gone: Collection[str]) -> Gallery:
        """Return the gallery after a change, at the cost of what changed.

        Args:
            changed: all templates of the people who are new, or not as they were.
            gone: who is in it no more, by id.

        Raises:
            ValueError: if `changed` has embeddings of another length.
        """
        if changed.size != self._size:
            raise ValueError(f"templates of length {changed.size}, not {self._size}")
        old = {*gone, *(person.id for person in changed.people)}
        gallery = Gallery((), self._size)
        gallery._take(_tidied([*(part.without(old) for part in self.parts), _Part.of(changed)]))
        return gallery

    def _take(self, parts: list[_Part]) -> None:
        self.parts = parts
        self.people: list[Person] = [one for part in parts for one in part.people()]

    def __len__(self) -> int:
        """Return how many templates there are."""
        return sum(int(part.faces.lengths()[part.present].sum()) for part in self.parts)

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
        found = [part.similarities(probe) for part in self.parts]
        similarities = np.concatenate([low for low, _ in found])
        best = self._first(similarities)
        similarity = float(similarities[best])
        if any(low is not high for low, high in found):
            similarities = np.concatenate([high for _, high in found])
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

    def screen(self, head: Floats, *, accept: float) -> Match | None:
        """Say that a probe is nobody, if its first numbers suffice for that.

        Args:
            head: float32 (k,), the first numbers of a probe of norm 1.
            accept: least similarity at which a person is named.

        Returns:
            The match that `identify` would find, but for its similarities, which are no less
            than those it would say; None if it takes the whole probe.
        """
        if not self.people:
            return self.identify(head, accept=accept, margin=0.0)
        bounds, _ = self._by_head(head)
        best = self._first(bounds)
        if not bounds[best] < accept - _SLACK:  # NaN is not less
            return None
        rest = np.delete(bounds, best)
        second = float(rest.max()) if len(rest) else math.nan
        return Match(None, float(bounds[best]), self.people[best], second, bound=True)

    def still(self, person: Person, head: Floats, *, alone: float, accept: float) -> Match | None:
        """Say that a probe is somebody, and can be nobody else, by its first numbers.

        That is less than `identify` asks for: enough to know whom one goes on seeing.

        Args:
            person: who it should be.
            head: float32 (k,), the first numbers of a probe of norm 1.
            alone: least similarity of the first numbers to theirs.
            accept: least similarity at which anybody else would be named.
        """
        place = next((at for at, one in enumerate(self.people) if one.id == person.id), None)
        if place is None:
            return None
        bounds, firsts = self._by_head(head)
        rest = np.delete(bounds, place)
        second = float(rest.max()) if len(rest) else math.nan
        if not firsts[place] >= alone or second >= accept - _SLACK:
            return None
        named = self.people[place]
        return Match(named, float(bounds[place]), named, second, bound=True)

    def _by_head(self, head: Floats) -> tuple[Floats, Floats]:
        found = [part.by_head(head) for part in self.parts]
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    def _first(self, similarities: Floats) -> int:
        """The place of the greatest similarity; of equal ones, that of the least id."""
        best = int(np.argmax(similarities))
        equal = np.flatnonzero(similarities == similarities[best])
        return min(map(int, equal), key=lambda place: self.people[place].id, default=best)


def could_reach(whole: Embedding, head: Floats, least: float) -> bool:
    """Return whether a probe may be as similar to a vector, by its first numbers.

    Args:
        whole: float32 (size,).
        head: float32 (k,), the first numbers of a probe of norm 1.
        least: similarity, -1..1.
    """
    known = len(head)
    left = math.sqrt(max(0.0, 1.0 - float(head @ head)))
    bound = float(whole[:known] @ head) + float(np.linalg.norm(whole[known:])) * left
    return not bound < least - _SLACK


def _norms(matrix: Floats) -> Floats:
    norms: Floats = np.linalg.norm(matrix, axis=1)
    return norms


def _tidied(parts: list[_Part]) -> list[_Part]:
    """Join what is small and drop what is mostly of people who left.

    So a change costs little but for a few, and there are never many parts to search.
    """
    tidy: list[_Part] = []
    for part in parts:
        count = int(part.present.sum())
        if not count:
            continue
        tidy.append(_Part.of(part.compact()) if 2 * count < len(part.present) else part)
        while len(tidy) > 1 and 2 * len(tidy[-1].faces) > len(tidy[-2].faces):
            second, first = tidy.pop(), tidy.pop()
            tidy.append(_Part.of(_joined(first.compact(), second.compact())))
    return tidy


def _joined(first: Faces | LargeFaces, second: Faces | LargeFaces) -> Faces | LargeFaces:
    """The templates of both; levels, if one of them has levels."""
    if isinstance(first, Faces) and isinstance(second, Faces):
        return first.joined(second)
    large, other = (first, second) if isinstance(first, LargeFaces) else (second, first)
    assert isinstance(large, LargeFaces)  # noqa: S101
    if isinstance(other, Faces):
        return large.joined(other.people, other.starts, other.matrix)
    return large.joined(other.people, other.starts, other.numbers(), other.kept.error)
