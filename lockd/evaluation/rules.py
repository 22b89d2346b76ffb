"""Ways to answer who a probe is: the door's, and those it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lockd.evaluation.metrics import NEVER, Flags, Units
from lockd.identity.gallery import Gallery, Template
from lockd.types import Floats, Person


@dataclass(frozen=True, eq=False)
class Answers:
    """What a rule says of n probes.

    Attributes:
        nearest: int32 (n,), the person it would name first.
        confidence: float32 (n,), -1..1, rising with how sure it is; a threshold on it
            trades strangers let in for people refused.
        named: bool (n,), whether the rule as it is used does name that person.
        alone: bool (n,), whether nobody else is almost as near; True if it does not ask.
        spared: bool (n,), whether the first network's numbers alone suffice to name nobody.
        changed: bool (n,), whether that would be another decision; never, one hopes.
    """

    nearest: Units
    confidence: Floats
    named: Flags
    alone: Flags
    spared: Flags
    changed: Flags

    def with_margin(self) -> Floats:
        """Return the confidences, `NEVER` where somebody else is almost as near."""
        return np.where(self.alone, self.confidence, np.float32(NEVER))


Rule: TypeAlias = Callable[[Floats, Units, Floats], Answers]
"""Asked with templates (t, size), the person on each (t,), and probes (n, size)."""


def door(accept: float, margin: float, head: int | None = None) -> Rule:
    """Return the rule that the door uses, by the gallery that the door uses.

    Args:
        accept: least similarity at which a person is named.
        margin: how much nearer than the second-nearest person they must be.
        head: how many numbers of an embedding are the first network's; None if that is the only
            one.
    """

    def ask(templates: Floats, owner: Units, probes: Floats) -> Answers:
        people = {int(one): Person(f"{one:09}", str(one)) for one in np.unique(owner)}
        gallery = Gallery(
            [
                Template(people[int(one)], embedding)
                for one, embedding in zip(owner, templates, strict=True)
            ],
            templates.shape[1],
        )
        matches = [gallery.identify(probe, accept=accept, margin=margin) for probe in probes]
        alone = [not (one.similarity - one.runner_up < margin) for one in matches]
        screened = [
            None if head is None else gallery.screen(probe[:head], accept=accept)
            for probe in probes
        ]
        return Answers(
            np.array([int(one.nearest.name) if one.nearest else -1 for one in matches], np.int32),
            np.array([one.similarity for one in matches], np.float32),
            np.array([one.person is not None for one in matches], bool),
            np.array(alone, bool),
            np.array([one is not None for one in screened], bool),
            np.array(
                [
                    one is not None and (all_.person is not None or all_.ambiguous)
                    for one, all_ in zip(screened, matches, strict=True)
                ],
                bool,
            ),
        )

    return ask


def always_named(nearest: Units, confidence: Floats) -> Answers:
    """Return the answers of a classifier that has no word for a stranger."""
    certainly, never = np.ones(len(nearest), bool), np.zeros(len(nearest), bool)
    return Answers(
        *(nearest.astype(np.int32), confidence.astype(np.float32), certainly, certainly.copy()),
        *(never, never.copy()),
    )
