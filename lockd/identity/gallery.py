"""The enrolled people in memory, and who a probe is: somebody, or nobody.

Open-set identification: a probe is named only if it is near enough to one person
*and* clearly nearer to that person than to anyone else. The nearest name alone is
never an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lockd.types import Embedding, Floats, Match, Person


@dataclass(frozen=True, slots=True)
class Template:
    """One enrolled embedding of a person."""

    person: Person
    embedding: Embedding


class Gallery:
    """An immutable set of templates, searched exhaustively.

    The similarity of a probe to a person is the greatest cosine over that person's
    templates.
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
        self.people: list[Person] = []
        starts: list[int] = []
        for index, template in enumerate(ordered):
            if not self.people or self.people[-1].id != template.person.id:
                self.people.append(template.person)
                starts.append(index)
        self._starts = np.asarray(starts, np.intp)
        self._matrix: Floats = (
            np.stack([template.embedding for template in ordered])
            if ordered
            else np.empty((0, size), np.float32)
        )

    def __len__(self) -> int:
        """Return how many templates there are."""
        return len(self._matrix)

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
        similarities = np.maximum.reduceat(self._matrix @ probe, self._starts)
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
