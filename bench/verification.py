"""How well do two embeddings say whether they show one person? Counting, without a model.

FMR is the share of impostor pairs (two people) that a threshold lets through,
TMR the share of genuine pairs (one person twice). Pairs that share a person are
not independent, so the intervals come from resampling people, not pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Pairs:
    """Cosines of all pairs of photographs, and whose photographs they are (as numbers).

    `genuine_person` is (n,), the person of each genuine pair; `impostor_people` is (m, 2).
    """

    genuine: Floats
    genuine_person: Ints
    impostor: Floats
    impostor_people: Ints


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does; the intervals hold 95 % of resampled sets of people."""

    threshold: float
    fmr: float
    fmr_interval: tuple[float, float]
    tmr: float
    tmr_interval: tuple[float, float]


def all_pairs(embeddings: Floats, people: Sequence[str]) -> Pairs:
    """Every pair of photographs.

    Args:
        embeddings: (photographs, size), each of length one.
        people: Who is on each photograph.
    """
    numbers = np.unique(np.asarray(people), return_inverse=True)[1]
    first, second = np.triu_indices(len(numbers), k=1)
    cosines = (embeddings @ embeddings.T)[first, second]
    same = numbers[first] == numbers[second]
    return Pairs(
        genuine=cosines[same],
        genuine_person=numbers[first[same]],
        impostor=cosines[~same],
        impostor_people=np.stack([numbers[first[~same]], numbers[second[~same]]], axis=1),
    )


def threshold_at(pairs: Pairs, fmr: float) -> float:
    """The lowest threshold that lets through at most this share of the impostor pairs."""
    allowed = int(fmr * len(pairs.impostor))
    highest = np.partition(pairs.impostor, len(pairs.impostor) - allowed - 1)
    return float(np.nextafter(highest[len(pairs.impostor) - allowed - 1], np.float32(2)))


def operating_point(pairs: Pairs, threshold: float, seed: int = 0) -> OperatingPoint:
    """What a threshold does on these pairs: accepted is `cosine >= threshold`."""
    accepted, passed = pairs.genuine >= threshold, pairs.impostor >= threshold
    copies = resampled_people(pairs, seed)
    return OperatingPoint(
        threshold=threshold,
        fmr=float(passed.mean()),
        fmr_interval=interval(impostor_rates(pairs, passed, copies)),
        tmr=float(accepted.mean()),
        tmr_interval=interval(genuine_rates(pairs, accepted, copies)),
    )


def resampled_people(pairs: Pairs, seed: int) -> Ints:
    """How often each person is drawn in each resample: (RESAMPLES, people)."""
    people = int(pairs.impostor_people.max()) + 1
    random = np.random.default_rng(seed)
    return random.multinomial(people, np.full(people, 1 / people), size=RESAMPLES)


def genuine_rates(pairs: Pairs, accepted: npt.NDArray[np.bool_], copies: Ints) -> Floats:
    """The share of accepted genuine pairs in each resample."""
    people = copies.shape[1]
    total = np.bincount(pairs.genuine_person, minlength=people)
    hits = np.bincount(pairs.genuine_person, weights=accepted, minlength=people)
    return np.asarray((copies @ hits) / (copies @ total))


def impostor_rates(pairs: Pairs, passed: npt.NDArray[np.bool_], copies: Ints) -> Floats:
    """The share of passed impostor pairs in each resample; a pair counts for each copy of both."""
    hits = pairs.impostor_people[passed]
    totals = np.zeros((copies.shape[1],) * 2)
    np.add.at(totals, (pairs.impostor_people[:, 0], pairs.impostor_people[:, 1]), 1)
    numerators = (copies[:, hits[:, 0]] * copies[:, hits[:, 1]]).sum(axis=1)
    denominators = np.einsum("ri,ij,rj->r", copies, totals, copies, optimize=True)
    return np.asarray(numerators / denominators)


def interval(rates: Floats) -> tuple[float, float]:
    """The range that holds 95 % of the resamples."""
    low, high = np.percentile(rates, INTERVAL)
    return float(low), float(high)


def tenfold_accuracy(
    cosines: Floats, same: npt.NDArray[np.bool_], folds: int = 10
) -> tuple[float, float]:
    """Mean and standard error of the accuracy on each fold, the threshold set on the others.

    Genuine and impostor pairs are dealt out to the folds in turn, each on their own.
    """
    fold = np.empty(len(same), np.int64)
    for kind in (same, ~same):
        fold[kind] = np.arange(kind.sum()) % folds
    scores = [
        accuracy(
            cosines[fold == n], same[fold == n], best_threshold(cosines[fold != n], same[fold != n])
        )
        for n in range(folds)
    ]
    return float(np.mean(scores)), float(np.std(scores, ddof=1) / np.sqrt(folds))


def accuracy(cosines: Floats, same: npt.NDArray[np.bool_], threshold: float) -> float:
    """The share of pairs that a threshold judges rightly."""
    return float(((cosines >= threshold) == same).mean())


def best_threshold(cosines: Floats, same: npt.NDArray[np.bool_]) -> float:
    """The cosine that judges the most pairs rightly."""
    order = np.argsort(-cosines)
    gain = np.cumsum(np.where(same[order], 1, -1))
    return float(cosines[order][int(np.argmax(gain))])
