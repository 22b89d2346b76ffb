"""Intervals: what is drawn, what they cover, and what they say when nothing went wrong."""

from __future__ import annotations

import numpy as np
import pytest

from lockd.evaluation import intervals
from lockd.evaluation.intervals import Rate, resamples, wilson
from lockd.evaluation.metrics import Curve, Doubles, Scores


def test_wilson_by_hand() -> None:
    # (p + z^2/2n -+ z sqrt(pq/n + z^2/4n^2)) / (1 + z^2/n) with p = 0.1, n = 100
    low, high = wilson(0.1, 100)
    assert (low, high) == (pytest.approx(0.05523, abs=1e-5), pytest.approx(0.17437, abs=1e-5))


def test_no_error_in_many_attempts_is_near_the_rule_of_three() -> None:
    low, high = wilson(0.0, 1000)
    assert low == 0.0
    assert 3 / 1000 < high < 4 / 1000


def test_no_attempt_proves_nothing() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_units_are_drawn_within_their_group() -> None:
    for weights in resamples([5, 3], 20, seed=0):
        assert weights.shape == (8,)
        assert (weights[:5].sum(), weights[5:].sum()) == (5, 3)


def test_the_same_seed_draws_the_same() -> None:
    first, second = (list(resamples([9], 5, seed=4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_rate_without_an_error_gets_wilsons_interval() -> None:
    rate = intervals.rate(1.0, np.ones(100), attempts=50)
    assert rate == Rate(1.0, wilson(1.0, 50)[0], 1.0)


def test_resamples_that_counted_nothing_do_not_count() -> None:
    rate = intervals.rate(0.5, np.array([np.nan, 0.4, 0.6, np.nan]), attempts=9)
    assert 0.4 <= rate.low < 0.5 < rate.high <= 0.6


def test_an_interval_contains_its_rate() -> None:
    rate = intervals.rate(0.9, np.full(50, 0.5), attempts=9)
    assert rate.low <= rate.value <= rate.high


def test_a_rate_that_is_no_number_is_null_for_machines() -> None:
    assert Rate(0.5, float("nan"), 1.0).as_dict() == {"value": 0.5, "low": None, "high": 1.0}


def test_people_and_not_pairs_are_what_is_independent() -> None:
    """Forty people, each right in all of their hundred pairs or in none: 40 attempts."""
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 100).astype(np.int32)
    genuine = np.where(random.random(40) < 0.8, 0.9, 0.1).astype(np.float32)[people]
    units = np.stack([people, np.full_like(people, -1)], axis=1)
    scores = Scores.of(genuine, units, np.zeros(1, np.float32), np.array([[0, 1]], np.int32))

    def statistics(weights: Doubles | None) -> list[float]:
        return [Curve(scores, weights).tar(0.5)]

    (rate,) = intervals.rates(statistics, resamples([40], 400, 0), [40])
    low, high = wilson(rate.value, 40)
    assert (rate.low, rate.high) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))


def test_most_intervals_cover_the_truth() -> None:
    covered = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        right = random.random(80) < 0.7
        people = np.arange(80, dtype=np.int32)
        scores = Scores.of(
            right.astype(np.float32),
            np.stack([people, np.full_like(people, -1)], axis=1),
            np.zeros(1, np.float32),
            np.array([[0, 1]], np.int32),
        )
        (rate,) = intervals.rates(
            lambda weights, scores=scores: [Curve(scores, weights).tar(0.5)],  # type: ignore[misc]
            resamples([80], 60, seed),
            [80],
        )
        covered += rate.low <= 0.7 <= rate.high
    assert covered >= 33
