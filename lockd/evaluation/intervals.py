"""How sure one may be of a rate: 95 % intervals. Pure: numpy only.

Comparisons that share a person rise and fall together, so an interval that took them
for independent would be far too narrow. Whole people are drawn anew instead, with
replacement, and with them all their comparisons (a cluster bootstrap: Bolle, Ratha and
Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap", CVIU
93, 2004). A comparison of two people weighs the product of how often each was drawn.

Where not one error was seen, no resample sees one either. There Wilson's interval for
as many independent attempts as there are people takes over ("Probable inference, the
law of succession, and statistical inference", JASA 22, 1927): a little wider than the
rule of three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lockd.evaluation.metrics import Doubles

_Z = 1.959964
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Rate:
    """A part of a whole, 0..1, and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Return it for machines; what is not a number becomes null."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {name: number if math.isfinite(number) else None for name, number in values.items()}

    def complement(self) -> Rate:
        """Return the rate of the opposite."""
        return Rate(1.0 - self.value, 1.0 - self.high, 1.0 - self.low)


def wilson(value: float, attempts: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a rate seen in so many independent attempts."""
    if attempts < 1:
        return 0.0, 1.0
    centre = value + _Z**2 / (2 * attempts)
    spread = _Z * math.sqrt(value * (1.0 - value) / attempts + _Z**2 / (4 * attempts**2))
    whole = 1.0 + _Z**2 / attempts
    low = (centre - spread) / whole if value > 0.0 else 0.0
    high = (centre + spread) / whole if value < 1.0 else 1.0
    return low, high


def resamples(groups: Sequence[int], count: int, seed: int) -> Iterator[Doubles]:
    """Draw the units of each group anew, with replacement.

    Args:
        groups: how many units each group has; units are numbered through.
        count: of resamples.
        seed: the same seed draws the same.

    Yields:
        float64 (sum of groups,): how often each unit was drawn.
    """
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield np.concatenate(
            [random.multinomial(size, np.full(size, 1.0 / size)) for size in groups if size]
        ).astype(np.float64)


def rate(value: float, samples: Doubles, attempts: int) -> Rate:
    """Return a rate with its interval.

    Args:
        value: of all, 0..1.
        samples: float64 (n,), of every resample; NaN where it had nothing to count.
        attempts: how many independent ones to count with if no error, or nothing
            else, was seen.
    """
    samples = samples[np.isfinite(samples)]
    low, high = np.percentile(samples, _PERCENTILES) if len(samples) else (value, value)
    if not len(samples) or value <= 0.0 or value >= 1.0:
        by_wilson = wilson(value, attempts)
        low, high = min(low, by_wilson[0]), max(high, by_wilson[1])
    return Rate(value, min(float(low), value), max(float(high), value))


def rates(
    statistics: Callable[[Doubles | None], list[float]],
    draws: Iterator[Doubles],
    attempts: Sequence[int],
) -> list[Rate]:
    """Return several rates with their intervals, from one set of resamples.

    Args:
        statistics: the rates when units weigh as told, or all 1 for None.
        draws: the weights of every resample.
        attempts: for each rate; see `rate`.
    """
    values = statistics(None)
    samples = np.array([statistics(weights) for weights in draws]).reshape(-1, len(values))
    return [rate(value, samples[:, index], attempts[index]) for index, value in enumerate(values)]
