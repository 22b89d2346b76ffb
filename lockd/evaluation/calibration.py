"""What an owner's own gallery says about the threshold. Pure: numpy only.

A visit shows the door some frames of a stranger, each compared with every template. If
one comparison goes wrong with probability FMR, a visit goes wrong with at most

    FPIR = 1 - (1 - FMR) ** (templates * frames)

were all of them independent. They are not: the frames of one visit are much alike, and
`recognition.agree_frames` of them must agree. So the door does better than this bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lockd.evaluation import reference
from lockd.evaluation.comparisons import Greatest, all_pairs
from lockd.evaluation.metrics import BINS, Ints, Units, histogram_of
from lockd.types import Floats

LEAST_BEHIND = 10
"""A measured rate rests on at least so many impostor comparisons above its threshold."""

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)

BLOCK = 1024
_LARGEST_FMR = 0.02
_KEPT = 200_000


@dataclass(frozen=True, eq=False)
class Enrolled:
    """The templates of a gallery.

    Attributes:
        people: names.
        owner: int32 (t,), whose each template is.
        labels: what to call each template.
        embeddings: float32 (t, size), norm 1.
    """

    people: list[str]
    owner: Units
    labels: list[str]
    embeddings: Floats


@dataclass(frozen=True, slots=True)
class Alike:
    """Two enrolled people, and how alike their most alike templates are."""

    first: str
    second: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A template nearer to another person than to the others of its own.

    Attributes:
        label: which template.
        person: whose it is said to be.
        own: its greatest similarity to another of theirs.
        other: the person it is nearer to.
        similarity: to them.
    """

    label: str
    person: str
    own: float
    other: str
    similarity: float


@dataclass(frozen=True, eq=False)
class Gauge:
    """All comparisons within a gallery, and of strangers with it.

    Attributes:
        people: names.
        genuine: float32 (g,), rising: of two templates of one person.
        impostor: float32 (k,), rising: the greatest of two people's.
        impostor_people: int32 (k, 2), who they are; -1 for a stranger.
        impostors: how many such comparisons there were.
        histogram: int64 (`BINS`,) of them all.
        templates: how many there are.
        misplaced: templates that look mislabelled.
        own: float32, the greatest similarity of each template to another of its person's, of
            those who have several.
        several: how many people have.
        others: float32, that of each template to anybody else's, if there is anybody.
        strangers: float32 (s,), the greatest similarity of each to anybody.
        strangers_nearest: int32 (s,), who that is.
    """

    people: list[str]
    genuine: Floats
    impostor: Floats
    impostor_people: Units
    impostors: int
    histogram: Ints
    templates: int
    misplaced: list[Misplaced]
    own: Floats
    several: int
    others: Floats
    strangers: Floats
    strangers_nearest: Units

    def alike(self, threshold: float = -1.0) -> list[Alike]:
        """Return the pairs of enrolled people at least so alike, the most alike first."""
        best: dict[tuple[int, int], float] = {}
        chosen = (self.impostor >= threshold) & (self.impostor_people >= 0).all(axis=1)
        for index in np.flatnonzero(chosen)[::-1]:
            first, second = sorted(self.impostor_people[index].tolist())
            best.setdefault((first, second), float(self.impostor[index]))
        return [Alike(self.people[a], self.people[b], value) for (a, b), value in best.items()]

    def refused(self, threshold: float) -> float:
        """Return the part of the genuine comparisons that a threshold refuses, or NaN."""
        return float(np.mean(self.genuine < threshold)) if len(self.genuine) else math.nan

    def genuine_quantiles(self) -> list[float]:
        """Return the genuine similarities at `QUANTILES`; empty if there are none."""
        return np.quantile(self.genuine, QUANTILES).tolist() if len(self.genuine) else []

    def impostor_quantiles(self) -> list[float]:
        """Return the impostors' similarities at `QUANTILES`, to 1e-4; empty if none."""
        if not self.impostors:
            return []
        below = np.cumsum(self.histogram) / self.impostors
        bins = [int(np.searchsorted(below, part - 1e-12)) for part in QUANTILES]
        bins[0] = int(np.flatnonzero(self.histogram)[0])
        return [(one + 0.5) * (2.0 / BINS) - 1.0 for one in bins]


def gauge(enrolled: Enrolled, strangers: Floats | None = None) -> Gauge:
    """Compare all templates with each other, and strangers with all templates.

    Args:
        enrolled: at least one template.
        strangers: float32 (s, size), norm 1, of people who are not enrolled.
    """
    alone = np.zeros(len(enrolled.people), np.int32)
    pairs = all_pairs(enrolled.embeddings, enrolled.owner, alone).scores
    greatest = Greatest(_KEPT)
    greatest.add_all(pairs.impostor, pairs.impostor_units)
    histogram = histogram_of(pairs.impostor) if pairs.histogram is None else pairs.histogram
    if strangers is None:
        strangers = np.empty((0, enrolled.embeddings.shape[1]), np.float32)
    best = np.empty(len(strangers), np.float32)
    nearest = np.empty(len(strangers), np.int32)
    for start in range(0, len(strangers), BLOCK):
        part = slice(start, start + BLOCK)
        block = strangers[part] @ enrolled.embeddings.T
        greatest.add(block, np.full(len(block), -1, np.int32), enrolled.owner)
        histogram = histogram + histogram_of(block)
        best[part], nearest[part] = block.max(axis=1), enrolled.owner[block.argmax(axis=1)]
    impostor, people = greatest.sorted()
    own, other, whose = _nearest(enrolled)
    has_own, has_other = np.isfinite(own), np.isfinite(other)
    return Gauge(
        enrolled.people,
        pairs.genuine,
        impostor,
        people,
        pairs.impostors + len(strangers) * len(enrolled.owner),
        histogram,
        len(enrolled.owner),
        _misplaced(enrolled, own, other, whose),
        own[has_own],
        len(np.unique(enrolled.owner[has_own])),
        other[has_other],
        best,
        nearest,
    )


def wanted_fmr(fpir: float, templates: int, frames: int) -> float:
    """Return the false match rate that keeps a visit's FPIR, by the bound above.

    Args:
        fpir: 0..1, exclusive, of one visit of a stranger.
        templates: in the gallery.
        frames: judged in a visit.
    """
    return -math.expm1(math.log1p(-fpir) / (templates * frames))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold, and where it comes from.

    Attributes:
        accept: rounded up to thousandths; None if nothing can be said.
        source: ``measured`` on the comparisons at hand; ``reference``, the table that
            comes with the networks; ``extrapolated`` beyond that table; ``none``.
        rests_on: the impostor comparisons at hand that it accepts.
        comparisons: that ``measured`` would take.
    """

    accept: float | None
    source: str
    rests_on: int
    comparisons: int


def suggest(gauged: Gauge, fmr: float, table: Mapping[float, float]) -> Suggestion:
    """Suggest a threshold for a false match rate.

    It is measured if at least `LEAST_BEHIND` impostor comparisons lie above it.
    Otherwise it is the table's, or the least that so many lie above if that is higher:
    whoever is enrolled may be more alike than the people of the table.

    Args:
        gauged: what the gallery and the strangers showed.
        fmr: wanted, more than 0.
        table: threshold by false match rate.
    """
    needed = math.ceil(LEAST_BEHIND / fmr)
    fmr = min(fmr, _LARGEST_FMR)
    behind = int(fmr * gauged.impostors * (1 + 1e-9))
    measured = _above(gauged.impostor, max(behind, LEAST_BEHIND))
    if behind >= LEAST_BEHIND:
        return _suggestion(gauged, measured, "measured", needed)
    known = reference.threshold(table, fmr)
    if known is None:
        return Suggestion(None, "none", 0, needed)
    accept, beyond = known
    source = "extrapolated" if beyond else "reference"
    return _suggestion(gauged, max(accept, measured), source, needed)


def _suggestion(gauged: Gauge, threshold: float, source: str, needed: int) -> Suggestion:
    accept = math.ceil(threshold * 1000 - 1e-9) / 1000
    if accept > 1.0:
        return Suggestion(None, source, 0, needed)
    return Suggestion(accept, source, int(np.sum(gauged.impostor >= accept)), needed)


def _above(rising: Floats, accepted: int) -> float:
    """The least threshold that accepts no more than so many; -1 if all are so many."""
    if accepted >= len(rising):
        return -1.0
    return float(np.nextafter(rising[len(rising) - 1 - accepted], np.float32(2)))


def _nearest(enrolled: Enrolled) -> tuple[Floats, Floats, Units]:
    """Of each template its greatest similarity to another of its person's and to somebody else's.

    Minus infinity where there is none; and whose the latter is.
    """
    owner, count = enrolled.owner, len(enrolled.owner)
    own, other = np.empty(count, np.float32), np.empty(count, np.float32)
    whose = np.empty(count, np.int32)
    for start in range(0, count, BLOCK):
        rows = np.arange(start, min(start + BLOCK, count))
        block = enrolled.embeddings[rows] @ enrolled.embeddings.T
        block[np.arange(len(rows)), rows] = -np.inf  # itself
        same = owner[rows][:, None] == owner[None, :]
        others = np.where(same, -np.inf, block)
        own[rows] = np.where(same, block, -np.inf).max(axis=1)
        other[rows], whose[rows] = others.max(axis=1), owner[others.argmax(axis=1)]
    return own, other, whose


def _misplaced(enrolled: Enrolled, own: Floats, other: Floats, whose: Units) -> list[Misplaced]:
    """The templates that are nearer to somebody else's than to their own person's."""
    found = [
        Misplaced(
            enrolled.labels[row],
            enrolled.people[enrolled.owner[row]],
            float(own[row]),
            enrolled.people[whose[row]],
            float(other[row]),
        )
        for row in np.flatnonzero((other > own) & np.isfinite(own))
    ]
    return sorted(found, key=lambda one: one.own - one.similarity)
