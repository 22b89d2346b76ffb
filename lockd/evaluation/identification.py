"""Identification: who is a probe? Among enrolled people only, or with strangers. Pure.

In a *closed set* every probe is one of the enrolled people, and the best answer is all
that counts. A door knows no such thing: *open-set* identification lets strangers come as
well. In the words of ISO/IEC 19795-1:

    FPIR   part of the strangers' probes that are given a name
    FNIR   part of the enrolled people's probes that are not given their own
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lockd.evaluation import intervals, splits
from lockd.evaluation.embeddings import Collection
from lockd.evaluation.intervals import Rate
from lockd.evaluation.metrics import (
    FPIRS,
    NEVER,
    Curve,
    Doubles,
    Flags,
    Ints,
    Scores,
    Units,
    histogram_of,
)
from lockd.evaluation.protocols import Point, Resampling, nothing
from lockd.evaluation.rules import Answers, Rule
from lockd.evaluation.splits import SplitPlan
from lockd.types import Floats


@dataclass(frozen=True, eq=False)
class Identification:
    """What `identify` found: top-1 by rule, and of every draw.

    Attributes:
        people: how many were enrolled.
        probes: in all draws.
        top1: part of the probes that were named rightly, by rule.
        draws: float64 (draws,), top-1 of every draw, by rule.
    """

    people: int
    probes: int
    top1: dict[str, Rate]
    draws: dict[str, Doubles]


def identify(
    faces: Collection,
    plan: SplitPlan,
    rules: Mapping[str, Rule],
    resampling: Resampling,
    step: Callable[[int], None] = nothing,
) -> Identification:
    """Ask who each probe is, every one of them being enrolled.

    Raises:
        ImageError: if there are too few people.
    """
    asked = _ask(faces, plan, rules, step)
    probes = len(next(iter(asked.values())).genuine())
    return Identification(
        plan.people,
        probes,
        {
            name: one.means([one.right()], one.genuine_units(), resampling)[0]
            for name, one in asked.items()
        },
        {name: one.right_by_draw() for name, one in asked.items()},
    )


@dataclass(frozen=True, eq=False)
class Answered:
    """How one rule did with strangers about.

    Attributes:
        points: FNIR at `FPIRS`, by a threshold on its confidence alone.
        with_margin: the same, where nobody else may be almost as near; none for a rule
            that does not ask.
        fpir: of the rule as it is used.
        fnir: of the rule as it is used.
        misnamed: part of enrolled people's probes that it gave to somebody else.
        spared: part of strangers' probes for which the first network suffices.
        changed: how many decisions of all probes that would change.
        det: float64 (n, 3), threshold, FPIR and FNIR.
        histograms: of the right answers' and the strangers' confidences.
    """

    points: list[Point]
    with_margin: list[Point]
    fpir: Rate
    fnir: Rate
    misnamed: Rate
    spared: Rate
    changed: int
    det: Doubles
    histograms: tuple[Ints, Ints]


@dataclass(frozen=True, eq=False)
class OpenSet:
    """What `open_set` found: how many probes of each kind, and how every rule did."""

    probes: int
    strangers: int
    rules: dict[str, Answered]


def open_set(
    faces: Collection,
    plan: SplitPlan,
    rules: Mapping[str, Rule],
    resampling: Resampling,
    step: Callable[[int], None] = nothing,
) -> OpenSet:
    """Ask who each probe is, some of them being strangers.

    Thresholds are chosen over all draws together. Intervals draw anew both the people
    who come and the draws, for another draw enrols others.

    Raises:
        ImageError: if there are too few people.
    """
    asked = _ask(faces, plan, rules, step)
    one = next(iter(asked.values()))
    return OpenSet(
        len(one.genuine()),
        len(one.strangers()),
        {name: one.answered(resampling) for name, one in asked.items()},
    )


class _Asked:
    """What a rule answered in every draw."""

    def __init__(self, people: int, draws: int) -> None:
        self._people, self._draws = people, draws
        self._known: list[Answers] = []
        self._strange: list[Answers] = []
        self._known_units: list[Units] = []
        self._strange_units: list[Units] = []
        self._truth: list[Units] = []
        self._strange_photographs: list[Units] = []

    def add(self, number: int, faces: Collection, split: splits.Split, rule: Rule) -> None:
        owner, probes = faces.owner, np.concatenate([split.probes, split.strangers])
        answers = rule(
            faces.templates[split.templates], owner[split.templates], faces.embeddings[probes]
        )
        units = np.stack([owner[probes], np.full(len(probes), self._people + number)], axis=1)
        known = slice(0, len(split.probes))
        strange = slice(len(split.probes), None)
        self._known.append(_part(answers, known))
        self._strange.append(_part(answers, strange))
        self._known_units.append(units[known].astype(np.int32))
        self._strange_units.append(units[strange].astype(np.int32))
        self._truth.append(owner[split.probes])
        self._strange_photographs.append(split.strangers)

    def genuine(self) -> Floats:
        """Confidence in the right person; `NEVER` where another is nearer."""
        confidences = np.concatenate([one.confidence for one in self._known])
        return np.where(self.right(), confidences, np.float32(NEVER))

    def strangers(self) -> Floats:
        return np.concatenate([one.confidence for one in self._strange])

    def right(self) -> Flags:
        named = np.concatenate([one.nearest for one in self._known])
        return np.asarray(named == np.concatenate(self._truth), np.bool_)

    def right_by_draw(self) -> Doubles:
        pairs = zip(self._known, self._truth, strict=True)
        return np.array([float(np.mean(one.nearest == truth)) for one, truth in pairs])

    def genuine_units(self) -> Units:
        return np.concatenate(self._known_units)

    def means(self, seen: list[Flags], units: Units, resampling: Resampling) -> list[Rate]:
        """How often each of several things was seen of the probes, with intervals."""
        values = np.stack(seen, axis=1).astype(np.float64)

        def statistics(weights: Doubles | None) -> list[float]:
            each = np.ones(len(values))
            if weights is not None:
                each = weights[units[:, 0]] * weights[units[:, 1]]
            whole = each.sum()
            return [float(part / whole) if whole else float("nan") for part in each @ values]

        attempts = [len(np.unique(units[:, 0]))] * len(seen)
        return intervals.rates(statistics, self._resamples(resampling), attempts)

    def answered(self, resampling: Resampling) -> Answered:
        """Sum up how the rule did."""
        named, strange = (
            np.concatenate([one.named for one in part]) for part in (self._known, self._strange)
        )
        known_units, strange_units = self.genuine_units(), np.concatenate(self._strange_units)
        scores = Scores.of(self.genuine(), known_units, self.strangers(), strange_units)
        right = self.right()
        spared = np.concatenate([one.spared for one in self._strange])
        fpir, saved = self.means([strange, spared], strange_units, resampling)
        fnir, misnamed = self.means([~(named & right), named & ~right], known_units, resampling)
        return Answered(
            self._points(scores, self.strangers(), resampling),
            self._points_with_margin(resampling),
            fpir,
            fnir,
            misnamed,
            saved,
            sum(int(one.changed.sum()) for one in (*self._known, *self._strange)),
            Curve(scores).det(),
            (histogram_of(scores.genuine), histogram_of(scores.impostor)),
        )

    def _points_with_margin(self, resampling: Resampling) -> list[Point]:
        if all(one.alone.all() for one in (*self._known, *self._strange)):
            return []
        genuine = np.concatenate([one.with_margin() for one in self._known])
        genuine = np.where(self.right(), genuine, np.float32(NEVER))
        strangers = np.concatenate([one.with_margin() for one in self._strange])
        units = np.concatenate(self._strange_units)
        scores = Scores.of(genuine, self.genuine_units(), strangers, units)
        return self._points(scores, strangers, resampling)

    def _points(self, scores: Scores, strangers: Floats, resampling: Resampling) -> list[Point]:
        def statistics(weights: Doubles | None) -> list[float]:
            curve = Curve(scores, weights)
            resampling.step(1)
            return [1.0 - curve.tar(curve.threshold(fpir)) for fpir in FPIRS]

        attempts = [len(np.unique(scores.genuine_units[:, 0]))] * len(FPIRS)
        rates = intervals.rates(statistics, self._resamples(resampling), attempts)
        photographs = np.concatenate(self._strange_photographs)
        points = []
        for fpir, rate in zip(FPIRS, rates, strict=True):
            threshold = Curve(scores).threshold(fpir)
            accepted = np.unique(photographs[strangers >= np.float32(threshold)])
            points.append(Point(fpir, threshold, rate, len(accepted)))
        return points

    def _resamples(self, resampling: Resampling) -> Iterator[Doubles]:
        groups = [self._people, self._draws]
        return intervals.resamples(groups, resampling.count, resampling.seed)


def _ask(
    faces: Collection, plan: SplitPlan, rules: Mapping[str, Rule], step: Callable[[int], None]
) -> dict[str, _Asked]:
    """Ask every rule about the probes of every draw."""
    asked = {name: _Asked(len(faces.people), plan.draws) for name in rules}
    for number, split in enumerate(splits.draws(faces.owner, plan)):
        for name, rule in rules.items():
            asked[name].add(number, faces, split, rule)
        step(1)
    return asked


def _part(answers: Answers, part: slice) -> Answers:
    return Answers(
        *(answers.nearest[part], answers.confidence[part], answers.named[part]),
        *(answers.alone[part], answers.spared[part], answers.changed[part]),
    )
