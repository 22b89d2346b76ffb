"""Who is enrolled, who comes to the door and who is a stranger: drawn at random. Pure.

Every draw is of its own seed, so that it is the same however many are asked for, and
every rule is asked about the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockd.errors import ImageError
from lockd.evaluation.metrics import Units


@dataclass(frozen=True, eq=False)
class Split:
    """One draw: indices of photographs, int32.

    Attributes:
        templates: (people * enrolled,), enrolled.
        probes: photographs of enrolled people that are not enrolled themselves.
        strangers: photographs of people who are not enrolled.
    """

    templates: Units
    probes: Units
    strangers: Units


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """What to draw.

    Attributes:
        people: how many are enrolled.
        enrolled: photographs of each of them that are.
        draws: how often.
        seed: of the first draw.
        probes: at most this many others of each; None for all there are.
        strangers: how many other people come; None for everybody else, 0 for nobody.
    """

    people: int
    enrolled: int
    draws: int
    seed: int = 0
    probes: int | None = None
    strangers: int | None = 0


def draws(owner: Units, plan: SplitPlan) -> Iterator[Split]:
    """Draw people, their enrolled photographs and the strangers.

    Args:
        owner: int32 (n,), the person on each photograph.
        plan: how many of each.

    Raises:
        ImageError: if there are too few people for it.
    """
    photographs = np.bincount(owner)
    fit = np.flatnonzero(photographs > plan.enrolled).astype(np.int32)
    everybody = np.flatnonzero(photographs).astype(np.int32)
    _check(len(fit), len(everybody), plan)
    by_person = np.split(np.argsort(owner, kind="stable"), np.cumsum(photographs)[:-1])
    for number in range(plan.draws):
        random = np.random.default_rng((plan.seed, number))
        chosen = random.choice(fit, plan.people, replace=False)
        shuffled = [random.permutation(by_person[person]) for person in chosen]
        last = None if plan.probes is None else plan.enrolled + plan.probes
        others = np.setdiff1d(everybody, chosen)
        if plan.strangers is not None:
            others = random.choice(others, plan.strangers, replace=False)
        yield Split(
            _joined([one[: plan.enrolled] for one in shuffled]),
            _joined([one[plan.enrolled : last] for one in shuffled]),
            _joined([by_person[person] for person in others]),
        )


def _check(fit: int, everybody: int, plan: SplitPlan) -> None:
    if fit < plan.people:
        raise ImageError(
            f"--people {plan.people} --enrolled {plan.enrolled}: only {fit} people have "
            f"{plan.enrolled + 1} photographs or more with a usable face (one is the probe); "
            "ask for fewer people or fewer photographs enrolled"
        )
    strangers = everybody - plan.people
    if plan.strangers is None and not strangers:
        raise ImageError(
            f"--people {plan.people}: that is everybody, and nobody is left for a stranger; "
            "ask for fewer people"
        )
    if plan.strangers is not None and strangers < plan.strangers:
        raise ImageError(
            f"--strangers {plan.strangers}: {strangers} people are left besides the "
            f"{plan.people} enrolled; ask for fewer"
        )


def _joined(parts: list[NDArray[np.int64]]) -> Units:
    return np.concatenate([np.empty(0, np.int32), *parts]).astype(np.int32)
