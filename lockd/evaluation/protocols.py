"""What every protocol shares: how intervals are made, and points of a curve. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockd.evaluation.intervals import Rate


def nothing(_: int) -> None:
    """Be told of progress, and do nothing about it."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are made: so many resamples, of a seed; told of each one done."""

    count: int = 400
    seed: int = 0
    step: Callable[[int], None] = nothing


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve.

    Attributes:
        at: the wanted FAR or FPIR.
        threshold: the lowest that keeps it.
        rate: TAR or FNIR there.
        rests_on: how many comparisons or stranger's photographs are accepted there;
            with 0 there are too few to measure so small a rate.
    """

    at: float
    threshold: float
    rate: Rate
    rests_on: int
