"""Verification: do two photographs show one person? Pure.

Labelled Faces in the Wild made its protocol the common one: the accuracy over ten folds,
each judged with the threshold chosen on the other nine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lockd.errors import ImageError
from lockd.evaluation import comparisons, intervals
from lockd.evaluation.embeddings import Collection
from lockd.evaluation.intervals import Rate
from lockd.evaluation.metrics import (
    FARS,
    Curve,
    Doubles,
    Flags,
    Ints,
    Scores,
    Units,
    best_threshold,
    histogram_of,
)
from lockd.evaluation.pairs import Pair
from lockd.evaluation.protocols import Point, Resampling

FOLDS = 10


@dataclass(frozen=True, eq=False)
class Verification:
    """What `verify_all` or `verify_pairs` found.

    Attributes:
        genuine_pairs: compared.
        impostor_pairs: compared.
        accuracy: mean over the folds.
        accuracies: of every fold; none if the threshold was chosen on the same pairs.
        best: mean of the folds' thresholds.
        eer: the equal error rate.
        points: TAR at `FARS`.
        accept: the door's threshold.
        far: there.
        tar: there.
        det: float64 (n, 3), threshold, FAR and FNMR.
        histograms: of the genuine and the impostor comparisons.
    """

    genuine_pairs: int
    impostor_pairs: int
    accuracy: Rate
    accuracies: list[float]
    best: float
    eer: Rate
    points: list[Point]
    accept: float
    far: Rate
    tar: Rate
    det: Doubles
    histograms: tuple[Ints, Ints]


def verify_all(faces: Collection, accept: float, resampling: Resampling) -> Verification:
    """Compare every photograph with every other, one of the two being enrolled.

    Folds are of people: a threshold is chosen on pairs without anybody of the fold that
    it is judged on. As there are far more impostors, the accuracy gives each kind of
    pair half the weight, as if there were equally many.

    Raises:
        ImageError: if there are no two people, or no two photographs of one.
    """
    photographs = np.bincount(faces.owner, minlength=len(faces.people)).astype(np.int64)
    present = int(np.count_nonzero(photographs))
    if present < 2 or photographs.max() < 2:
        raise ImageError(
            "verification needs photographs of two people, and two of one of them; "
            f"{len(faces.paths)} of {present} people show a usable face"
        )
    fold = comparisons.fold_of_people(photographs, min(FOLDS, present), resampling.seed)
    pairs = comparisons.all_pairs(faces.embeddings, faces.owner, fold, faces.templates)
    of = fold[pairs.scores.genuine_units[:, 0]]
    tests = [
        (histogram_of(pairs.scores.genuine[of == one]), pairs.folds[one].sum(axis=0))
        for one in range(len(pairs.folds))
    ]
    total = np.triu(np.ones((len(pairs.folds),) * 2, bool))
    whole = histogram_of(pairs.scores.genuine), pairs.folds[total].sum(axis=0)
    return _verified(pairs.scores, tests, whole, 0.5, accept, present, resampling)


def verify_pairs(
    faces: Collection, pairs: Sequence[Pair], accept: float, resampling: Resampling
) -> Verification:
    """Compare the pairs of a list, the first of each being enrolled.

    Those with a photograph that was left out are not.
    Folds are the list's own, or else its pairs of each kind dealt out at random.

    Raises:
        ImageError: if not one genuine and one impostor pair is left.
    """
    index = {path: number for number, path in enumerate(faces.paths)}
    kept = [one for one in pairs if one.first in index and one.second in index]
    first = np.array([index[one.first] for one in kept], np.int32)
    second = np.array([index[one.second] for one in kept], np.int32)
    same = np.array([one.same for one in kept], bool)
    if not same.any() or same.all():
        raise ImageError(
            "verification needs at least one pair of one person and one of two people; "
            f"of {len(pairs)} pairs {len(kept)} show a usable face on both photographs, "
            f"{int(same.sum())} of them of one person"
        )
    similarities = comparisons.similarities_of(faces.templates[first], faces.embeddings[second])
    units = np.stack([faces.owner[first], faces.owner[second]], axis=1)
    units[same, 1] = np.where(units[same, 0] == units[same, 1], -1, units[same, 1])
    fold = _folds(kept, same, resampling.seed)
    tests = [
        (
            histogram_of(similarities[same & (fold == one)]),
            histogram_of(similarities[~same & (fold == one)]),
        )
        for one in np.unique(fold)
    ]
    whole = histogram_of(similarities[same]), histogram_of(similarities[~same])
    scores = Scores.of(similarities[same], units[same], similarities[~same], units[~same])
    people = len(np.unique(units[units >= 0]))
    return _verified(scores, tests, whole, None, accept, people, resampling)


def _folds(pairs: Sequence[Pair], same: Flags, seed: int) -> Units:
    if all(one.fold is not None for one in pairs):
        return np.array([one.fold for one in pairs], np.int32)
    random = np.random.default_rng(seed)
    fold = np.zeros(len(pairs), np.int32)
    folds = min(FOLDS, int(same.sum()), int((~same).sum()))
    for kind in (same, ~same):
        fold[random.permutation(np.flatnonzero(kind))] = np.arange(int(kind.sum())) % folds
    return fold


def _verified(
    scores: Scores,
    tests: list[tuple[Ints, Ints]],
    whole: tuple[Ints, Ints],
    share: float | None,
    accept: float,
    people: int,
    resampling: Resampling,
) -> Verification:
    values, thresholds = _judged(tests, whole, share)
    best = float(np.mean(thresholds))
    if share is None:
        share = len(scores.genuine) / (len(scores.genuine) + scores.impostors)

    def statistics(weights: Doubles | None) -> list[float]:
        curve = Curve(scores, weights)
        pooled = share * curve.tar(best) + (1.0 - share) * (1.0 - curve.far(best))
        tars = [curve.tar(curve.threshold(far)) for far in FARS]
        resampling.step(1)
        return [pooled, curve.eer(), curve.far(accept), curve.tar(accept), *tars]

    genuine = len(np.unique(scores.genuine_units[:, 0]))
    attempts = [genuine, genuine, people * (people - 1) // 2, *[genuine] * (1 + len(FARS))]
    draws = intervals.resamples([scores.units], resampling.count, resampling.seed)
    pooled, eer, far, tar, *tars = intervals.rates(statistics, draws, attempts)
    curve = Curve(scores)
    points = [
        Point(
            at, curve.threshold(at), rate, round(curve.far(curve.threshold(at)) * scores.impostors)
        )
        for at, rate in zip(FARS, tars, strict=True)
    ]
    return Verification(
        len(scores.genuine),
        scores.impostors,
        _moved(pooled, float(np.mean(values))),
        values if len(values) > 1 else [],
        best,
        eer,
        points,
        accept,
        far,
        tar,
        curve.det(),
        whole,
    )


def _judged(
    tests: list[tuple[Ints, Ints]], whole: tuple[Ints, Ints], share: float | None
) -> tuple[list[float], list[float]]:
    """Accuracy of each fold, and the threshold chosen on the others.

    With too few pairs for that: one accuracy, with the threshold chosen on the same.
    """
    taught = [(whole[0] - one[0], whole[1] - one[1]) for one in tests]
    if len(tests) < 2 or not all(one[0].any() and one[1].any() for one in taught):
        taught = tests = [whole]
    thresholds = [best_threshold(*one, share) for one in taught]
    values = [_accuracy(one, t, share) for one, t in zip(tests, thresholds, strict=True)]
    return [one for one in values if np.isfinite(one)], thresholds


def _accuracy(histograms: tuple[Ints, Ints], threshold: float, share: float | None) -> float:
    """Part of the comparisons in two histograms that an edge of their bins decides rightly."""
    edge = round((threshold + 1.0) * (len(histograms[0]) / 2))
    right = [float(histograms[0][edge:].sum()), float(histograms[1][:edge].sum())]
    sizes = [float(one.sum()) for one in histograms]
    if share is None:
        return sum(right) / sum(sizes) if sum(sizes) else float("nan")
    if not all(sizes):
        return float("nan")
    return share * right[0] / sizes[0] + (1.0 - share) * right[1] / sizes[1]


def _moved(rate: Rate, value: float) -> Rate:
    """The interval of one estimate around another of the same."""
    by = value - rate.value
    return Rate(value, max(0.0, min(rate.low + by, value)), min(1.0, max(rate.high + by, value)))
