"""Which pictures may be somebody's templates. Pure: numpy only.

A picture is refused if the door would take it for somebody else, and if it does not
belong to the person of the other ones. Two pictures belong together if they are at
least `Rule.agree` alike; so do two that a third connects, for nobody looks alike from
the left and from the right. What is enrolled already tells who the person is; among
pictures alone the most do, and if no group is the largest, nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from lockd.evaluation.reference import operating_points, threshold
from lockd.types import Floats

_AGREE_FMR = 1e-3
_SAME_PICTURE = 0.9999


class Objection(StrEnum):
    """Why a good picture of a face is nobody's template."""

    TOO_LIKE = "too_like_somebody_else"
    NOT_THE_SAME = "not_the_same_person"
    REPEATED = "enrolled_already"


@dataclass(frozen=True, slots=True)
class Rule:
    """How alike is alike.

    Attributes:
        accept: from here on the door takes a face for somebody.
        agree: from here on two pictures belong together; at most `accept`.
    """

    accept: float
    agree: float

    @classmethod
    def of(cls, manifest: Mapping[str, Any], profile: str, accept: float) -> Rule:
        """Return the rule for the networks of a profile.

        `agree` is where the manifest measured one of a thousand pairs of two people to be
        alike: a slip of the hand is no attack, and what a wrong picture could open the
        door to is somebody else's affair, `accept`. Without that measure it is `accept`.
        """
        known = threshold(operating_points(manifest, profile), _AGREE_FMR)
        return cls(accept, accept if known is None else min(accept, known[0]))


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the rule says of one picture.

    Attributes:
        objection: why not, or None.
        similarity: to the person it is too like, or to the nearest of the pictures that
            it should belong to; NaN where neither is asked.
    """

    objection: Objection | None
    similarity: float = float("nan")


def judge(
    pictures: Floats, own: Floats, others: Sequence[float], rule: Rule, *, anyway: bool = False
) -> list[Opinion]:
    """Say which pictures may be enrolled.

    Args:
        pictures: float32 (n, size), norm 1, of the one person to be enrolled.
        own: float32 (m, size), norm 1, their templates so far.
        others: of each picture the greatest similarity to anybody else.
        rule: how alike is alike.
        anyway: object to repeated pictures only.

    Returns:
        An opinion of each picture, whatever their order.
    """
    likeness = pictures @ np.concatenate([pictures, own]).T
    repeated = _repeated(likeness, len(pictures))
    if anyway:
        return [Opinion(Objection.REPEATED if one else None) for one in repeated]
    foreign = [other >= rule.accept for other in others]
    kept = [index for index, bad in enumerate(foreign) if not bad and not repeated[index]]
    group = _group(likeness, kept, len(own), rule.agree)
    opinions = []
    for index, other in enumerate(others):
        rest = [place for place in group if place != index] + list(
            range(len(pictures), likeness.shape[1])
        )
        nearest = float(likeness[index, rest].max()) if rest else float("nan")
        if repeated[index]:
            opinions.append(Opinion(Objection.REPEATED))
        elif foreign[index] or rule.agree <= other > nearest:
            opinions.append(Opinion(Objection.TOO_LIKE, other))
        elif index not in group:
            others_kept = [place for place in kept if place != index]
            nearest = max([nearest, *likeness[index, others_kept].tolist()], key=_known)
            opinions.append(Opinion(Objection.NOT_THE_SAME, nearest))
        else:
            opinions.append(Opinion(None, nearest))
    return opinions


def _known(value: float) -> float:
    return -2.0 if np.isnan(value) else value


def _repeated(likeness: Floats, count: int) -> list[bool]:
    """Whether each picture is one of the templates, or one of the pictures before it."""
    return [
        bool(
            (
                likeness[index, [*range(index), *range(count, likeness.shape[1])]] > _SAME_PICTURE
            ).any()
        )
        for index in range(count)
    ]


def _group(likeness: Floats, kept: list[int], own: int, agree: float) -> set[int]:
    """The pictures that belong together: to the templates, or to most of the others."""
    count = len(likeness)
    if own:
        anchored = [index for index in kept if (likeness[index, count:] >= agree).any()]
        return _reached(likeness, kept, anchored, agree)
    left, groups = set(kept), []
    while left:
        groups.append(_reached(likeness, sorted(left), [min(left)], agree))
        left -= groups[-1]
    groups.sort(key=len, reverse=True)
    if not groups or (len(groups) > 1 and len(groups[0]) == len(groups[1])):
        return set()
    return groups[0]


def _reached(likeness: Floats, among: list[int], start: list[int], agree: float) -> set[int]:
    """Those whom a chain of pictures that belong together connects with the start."""
    reached, fresh = set(start), list(start)
    while fresh:
        row = likeness[fresh.pop()]
        new = [index for index in among if index not in reached and row[index] >= agree]
        reached.update(new)
        fresh += new
    return reached
