"""Error rates of similarities. Pure: numpy only.

The words are those of ISO/IEC 19795-1. A *genuine* comparison is of two photographs of
one person, an *impostor* comparison of two people. At a threshold t a comparison is
accepted if its similarity is t or more:

    FAR (or FMR)   part of the impostor comparisons that are accepted
    TAR            part of the genuine comparisons that are; FNMR = 1 - TAR
    EER            where FAR and FNMR are alike

Comparisons are not independent of each other: everyone takes part in many. So each one
carries the *units* that it came from, people as a rule, and every rate can be asked for
with each unit weighing as told; `lockd.evaluation.intervals` weighs at random.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lockd.types import Floats

BINS = 20_000
"""Bins of a histogram of similarities, over -1..1."""

FARS = (1e-2, 1e-3, 1e-4, 1e-5)
FPIRS = (1e-1, 1e-2, 1e-3)
NEVER = -2.0
"""A similarity below every threshold: of an attempt that was lost at any."""

Doubles: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
Units: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Scores:
    """The similarities of many comparisons.

    Of the impostor comparisons only the greatest need to be there one by one, for what
    matters is decided among them; the others are counted in a histogram.

    Attributes:
        genuine: float32 (g,), rising.
        genuine_units: int32 (g, 2), the two units each came from; -1 for none.
        impostor: float32 (k,), rising: the k greatest.
        impostor_units: int32 (k, 2).
        impostors: how many there are in all.
        histogram: int64 (`BINS`,) of all impostors; None where `impostor` has them all.
        photographs: int64 (units,), of every person; None where `impostor` has them all.
    """

    genuine: Floats
    genuine_units: Units
    impostor: Floats
    impostor_units: Units
    impostors: int
    histogram: Ints | None = None
    photographs: Ints | None = None

    @classmethod
    def of(
        cls, genuine: Floats, genuine_units: Units, impostor: Floats, impostor_units: Units
    ) -> Scores:
        """Return scores of which every one is given, in any order."""
        by_genuine, by_impostor = np.argsort(genuine), np.argsort(impostor)
        return cls(
            genuine[by_genuine],
            genuine_units[by_genuine],
            impostor[by_impostor],
            impostor_units[by_impostor],
            len(impostor),
        )

    @property
    def units(self) -> int:
        """One more than the greatest unit."""
        parts = (self.genuine_units, self.impostor_units)
        known = 0 if self.photographs is None else len(self.photographs)
        return max(known, *(int(part.max(initial=-1)) + 1 for part in parts))

    @cached_property
    def rest(self) -> Doubles:
        """Of the impostors not given one by one: the part at or above each bin's lower edge.

        float64 (`BINS` + 1,), falling from 1 to 0.
        """
        if self.histogram is None:
            return np.zeros(BINS + 1)
        counts = self.histogram - histogram_of(self.impostor)
        above: Doubles = np.append(np.cumsum(counts[::-1])[::-1], 0).astype(np.float64)
        return above / np.float64(max(above[0], 1.0))

    @cached_property
    def candidates(self) -> Doubles:
        """Every threshold at which a rate may change, rising."""
        edges: Doubles = np.linspace(-1.0, 1.0, BINS, endpoint=False, dtype=np.float64)
        edges = edges[:0] if self.histogram is None else edges[edges < self.impostor[0]]
        scores = np.concatenate([self.genuine, self.impostor, edges])
        beyond = np.nextafter(scores.max(initial=1.0), np.inf)
        return np.unique(np.append(scores, beyond)).astype(np.float64)


class Curve:
    """The rates of some scores at every threshold, each unit weighing as told."""

    def __init__(self, scores: Scores, weights: Doubles | None = None) -> None:
        """Weigh the scores.

        Args:
            weights: float64 (units,); a comparison weighs the product of its two
                units' weights. All weigh 1 if it is not given.
        """
        self._scores = scores
        if weights is None:
            weights = np.ones(scores.units)
        with_nobody = np.append(weights, 1.0)  # what unit -1 finds
        self._genuine = _from_above(with_nobody, scores.genuine_units)
        self._impostor = _from_above(with_nobody, scores.impostor_units)
        self._impostors = float(self._impostor[-1])
        if scores.photographs is not None:
            self._impostors = _between_people(weights, scores.photographs)

    def tar(self, threshold: float) -> float:
        """Return the part of the genuine comparisons accepted; NaN if none weighs anything."""
        accepted = _at_or_above(self._scores.genuine, threshold)
        return _ratio(self._genuine[accepted], self._genuine[-1])

    def far(self, threshold: float) -> float:
        """Return the part of the impostor comparisons accepted; NaN if none weighs anything.

        Below the greatest impostors it is that of the next bin, at most 1e-4 lower.
        """
        accepted = _at_or_above(self._scores.impostor, threshold)
        weight = self._impostor[accepted]
        if accepted == len(self._scores.impostor):
            rest = self._impostors - self._impostor[-1]
            bin_ = int(np.clip(np.floor((threshold + 1.0) * (BINS / 2) + 1e-6), 0, BINS))
            weight = weight + rest * self._scores.rest[bin_]
        return _ratio(weight, self._impostors)

    def threshold(self, far: float) -> float:
        """Return the lowest threshold at which at most this part of impostors is accepted.

        It lies just above the first impostor who may not be. With fewer impostors than
        1 / far that is the greatest of all: none is accepted, which proves little.
        """
        allowed = far * self._impostors * (1.0 + 1e-9)
        within = int(np.searchsorted(self._impostor[1:], allowed, side="right"))
        if within < len(self._scores.impostor):
            refused = self._scores.impostor[len(self._scores.impostor) - 1 - within]
            return max(-1.0, float(np.nextafter(refused, np.float32(2))))
        if self._scores.histogram is None:
            return -1.0
        weight = self._impostor[-1] + (self._impostors - self._impostor[-1]) * self._scores.rest
        return float(np.argmax(weight <= allowed)) * (2.0 / BINS) - 1.0

    def eer(self) -> float:
        """Return the equal error rate: the mean of FAR and FNMR where they differ least."""
        thresholds = self._scores.candidates

        def excess(index: int) -> float:
            threshold = float(thresholds[index])
            return 1.0 - self.tar(threshold) - self.far(threshold)

        crossing = bisect.bisect_left(range(len(thresholds) - 1), 0.0, key=excess)
        nearest = min({crossing, max(crossing - 1, 0)}, key=lambda index: abs(excess(index)))
        threshold = float(thresholds[nearest])
        return (1.0 - self.tar(threshold) + self.far(threshold)) / 2.0

    def det(self, points: int = 200) -> Doubles:
        """Return points of the detection error trade-off curve.

        Returns:
            float64 (points, 3): threshold, FAR and FNMR; FAR rises evenly on a
            logarithmic axis from one impostor to all.
        """
        fars = np.geomspace(1.0 / max(self._scores.impostors, 2), 1.0, points)
        thresholds = [self.threshold(float(far)) for far in fars]
        return np.array([(t, self.far(t), 1.0 - self.tar(t)) for t in thresholds])


def histogram_of(similarities: Floats) -> Ints:
    """Return how many similarities, float32, lie in each bin over -1..1; int64 (`BINS`,)."""
    index = ((similarities.ravel() + np.float32(1)) * np.float32(BINS / 2)).astype(np.int32)
    return np.bincount(np.clip(index, 0, BINS - 1), minlength=BINS).astype(np.int64)


def best_threshold(genuine: Ints, impostor: Ints, share: float | None = None) -> float:
    """Return the threshold at which most comparisons are decided rightly.

    Args:
        genuine: int64 (`BINS`,), a histogram of similarities.
        impostor: the same of the impostors.
        share: of the genuine comparisons in the whole, 0..1; as many as there are if
            it is not given.

    Returns:
        An edge of the histograms' bins; of several equally good ones, the middle one.

    Raises:
        ValueError: if there is no genuine or no impostor comparison.
    """
    if not genuine.sum() or not impostor.sum():
        raise ValueError("a threshold needs genuine and impostor comparisons")
    if share is None:
        share = float(genuine.sum() / (genuine.sum() + impostor.sum()))
    below = [np.concatenate([[0], np.cumsum(one)]) / one.sum() for one in (genuine, impostor)]
    right = share * (1.0 - below[0]) + (1.0 - share) * below[1]
    best = np.flatnonzero(right >= right.max() - 1e-12)
    return float(best[len(best) // 2]) * (2.0 / BINS) - 1.0


def accuracy(genuine: Floats, impostor: Floats, threshold: float, share: float) -> float:
    """Return the part decided rightly, genuine comparisons having a share of the whole."""
    accepted = float(np.mean(genuine >= threshold))
    refused = float(np.mean(~(impostor >= threshold)))
    return share * accepted + (1.0 - share) * refused


def key(rate: float) -> str:
    """Return how reports name a rate: 1e-4 for 0.0001."""
    mantissa, exponent = f"{rate:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _at_or_above(rising: Floats, threshold: float) -> int:
    # The least float32 that is no less: comparing in float64 would copy the array.
    least = np.float32(threshold)
    if float(least) < threshold:  # else numpy would round the threshold, too
        least = np.nextafter(least, np.float32(4))
    return len(rising) - int(np.searchsorted(rising, least))


def _from_above(weights: Doubles, units: Units) -> Doubles:
    """The summed weight of the greatest 0, 1, 2, ... of rising scores; float64 (n + 1,)."""
    each = weights[units[:, 0]] * weights[units[:, 1]]
    return np.concatenate([[0.0], np.cumsum(each[::-1])])


def _between_people(weights: Doubles, photographs: Ints) -> float:
    """The summed weight of all pairs of photographs of two different people."""
    heavy = weights[: len(photographs)] * photographs
    return float((heavy.sum() ** 2 - (heavy**2).sum()) / 2.0)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
