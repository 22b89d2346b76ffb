"""Rates against small examples done by hand, and against other ways to count them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from lockd.evaluation.metrics import (
    BINS,
    FARS,
    NEVER,
    Curve,
    Scores,
    best_threshold,
    histogram_of,
    key,
)
from lockd.types import Floats

similarities = st.lists(
    st.integers(-1000, 1000).map(lambda value: value / 1000), min_size=1, max_size=60
)


def floats(values: Any) -> Floats:
    return np.asarray(values, np.float32)


def scores(genuine: Any, impostor: Any) -> Scores:
    """Every genuine comparison of a person of its own, every impostor of two others."""
    first = np.arange(len(genuine), dtype=np.int32)
    second = len(genuine) + np.arange(2 * len(impostor), dtype=np.int32)
    return Scores.of(
        floats(genuine),
        np.stack([first, np.full_like(first, -1)], axis=1),
        floats(impostor),
        second.reshape(-1, 2),
    )


def counted(values: Scores) -> Scores:
    """The same scores with only the upper half of the impostors one by one."""
    kept = slice(len(values.impostor) // 2, None)
    return Scores(
        values.genuine,
        values.genuine_units,
        values.impostor[kept],
        values.impostor_units[kept],
        values.impostors,
        histogram_of(values.impostor),
        np.array([1, values.impostors], np.int64),  # that many pairs of two people
    )


EXAMPLE = scores([0.9, 0.8, 0.7, 0.3], [0.6, 0.5, 0.2, 0.1, 0.0, -0.1, -0.2, -0.3, -0.4, -0.5])


def test_a_comparison_is_accepted_from_the_threshold_on() -> None:
    curve = Curve(EXAMPLE)
    assert curve.tar(float(np.float32(0.7))) == 0.75
    assert curve.tar(0.7001) == 0.5
    assert curve.far(float(np.float32(0.5))) == 0.2
    assert curve.far(0.5001) == 0.1
    assert (curve.tar(-1.0), curve.far(-1.0)) == (1.0, 1.0)
    assert (curve.tar(1.0), curve.far(1.0)) == (0.0, 0.0)


def test_a_threshold_that_float32_cannot_hold_accepts_nothing_below_it() -> None:
    just_below = np.float32(0.7)
    assert float(just_below) < 0.7
    assert Curve(scores([just_below], [0.0])).tar(0.7) == 0.0


def test_the_threshold_of_a_rate_lies_just_above_the_first_impostor_too_many() -> None:
    curve = Curve(EXAMPLE)
    assert curve.threshold(0.1) == pytest.approx(0.5, abs=1e-6)
    assert curve.far(curve.threshold(0.1)) == 0.1
    assert curve.tar(curve.threshold(0.1)) == 0.75
    assert curve.threshold(0.29) == pytest.approx(0.2, abs=1e-6)
    assert curve.threshold(0.01) > 0.6
    assert curve.far(curve.threshold(0.01)) == 0.0
    assert curve.threshold(1.0) == -1.0


def test_equal_impostors_are_all_accepted_or_none() -> None:
    curve = Curve(scores([0.9], [0.5, 0.5, 0.5, 0.1]))
    assert curve.far(curve.threshold(0.5)) == 0.0
    assert curve.far(curve.threshold(0.75)) == 0.75


def test_the_equal_error_rate_is_where_the_errors_cross() -> None:
    # At 0.7: 1 of 4 genuine refused, none accepted; at 0.5: 1 of 4 against 2 of 10.
    assert Curve(EXAMPLE).eer() == pytest.approx((0.25 + 0.2) / 2)
    assert Curve(scores([0.9, 0.8], [0.1, 0.2])).eer() == 0.0
    assert Curve(scores([0.1, 0.2], [0.8, 0.9])).eer() == 1.0
    assert Curve(scores([0.5] * 4, [0.5] * 4)).eer() == 0.5


@settings(max_examples=50, deadline=None)
@given(similarities, similarities, st.sampled_from([0.5, 0.1, 0.03, *FARS]))
def test_rates_are_those_of_the_receiver_operating_characteristic(
    genuine: list[float], impostor: list[float], far: float
) -> None:
    truth = [1] * len(genuine) + [0] * len(impostor)
    fpr, tpr, _ = roc_curve(truth, floats(genuine + impostor), drop_intermediate=False)
    curve = Curve(scores(genuine, impostor))
    threshold = curve.threshold(far)
    assert curve.far(threshold) <= far + 1e-12
    assert curve.tar(threshold) == pytest.approx(tpr[fpr <= far + 1e-12].max())


@settings(max_examples=50, deadline=None)
@given(similarities, similarities)
def test_the_equal_error_rate_is_the_least_difference_of_all_thresholds(
    genuine: list[float], impostor: list[float]
) -> None:
    curve = Curve(scores(genuine, impostor))
    every = [*floats(genuine + impostor).tolist(), 2.0]
    differences = [abs(1 - curve.tar(one) - curve.far(one)) for one in every]
    candidates = [
        (1 - curve.tar(one) + curve.far(one)) / 2
        for one, difference in zip(every, differences, strict=True)
        if difference <= min(differences) + 1e-9
    ]
    assert any(curve.eer() == pytest.approx(one) for one in candidates)


@settings(max_examples=50, deadline=None)
@given(similarities, st.lists(st.integers(-999, 999), min_size=4, max_size=80))
def test_impostors_that_are_only_counted_change_no_rate(
    genuine: list[float], impostor: list[int]
) -> None:
    whole = scores(genuine, [(value + 0.05) / 1000 for value in impostor])
    exact, partly = Curve(whole), Curve(counted(whole))
    for threshold in np.arange(-BINS // 2, BINS // 2, 250) / (BINS / 2):
        assert partly.far(float(threshold)) == pytest.approx(exact.far(float(threshold)))
    for far in (0.01, 0.3, 0.45, 0.9):
        found = partly.threshold(far)
        assert partly.far(found) <= far + 1e-9
        assert found == pytest.approx(exact.threshold(far), abs=2e-4) or found == -1.0
    nearly = 1 / len(impostor) + 1 / len(genuine)
    if exact.eer() <= 0.5 - nearly:  # else it lies among those that are only counted
        assert partly.eer() == pytest.approx(exact.eer(), abs=nearly)


def test_a_unit_that_weighs_nothing_takes_its_comparisons_with_it() -> None:
    weights = np.ones(EXAMPLE.units)
    weights[3] = 0.0  # the person of the genuine 0.3
    assert Curve(EXAMPLE, weights).tar(0.65) == 1.0
    weights = np.ones(EXAMPLE.units)
    weights[4] = 3.0  # one of the two people of the impostor 0.6
    assert Curve(EXAMPLE, weights).far(0.55) == pytest.approx(3 / 12)


def test_weights_are_the_same_as_repeating_people() -> None:
    genuine, units = floats([0.9, 0.2]), np.array([[0, -1], [1, -1]], np.int32)
    impostor, pairs = floats([0.5, 0.1, 0.3]), np.array([[0, 1], [0, 2], [1, 2]], np.int32)
    curve = Curve(Scores.of(genuine, units, impostor, pairs), np.array([2.0, 1.0, 3.0]))
    repeated = scores([0.9, 0.9, 0.2], [0.5] * 2 + [0.1] * 6 + [0.3] * 3)
    for threshold in (-0.5, 0.05, 0.15, 0.25, 0.4, 0.6, 0.95):
        assert curve.tar(threshold) == pytest.approx(Curve(repeated).tar(threshold))
        assert curve.far(threshold) == pytest.approx(Curve(repeated).far(threshold))


def test_the_curve_falls_as_false_accepts_rise() -> None:
    det = Curve(EXAMPLE).det(50)
    assert det.shape == (50, 3)
    assert (np.diff(det[:, 1]) >= 0).all()
    assert (np.diff(det[:, 2]) <= 0).all()


def test_what_nobody_was_asked_has_no_rate() -> None:
    assert math.isnan(Curve(EXAMPLE, np.zeros(EXAMPLE.units)).tar(0.5))
    assert math.isnan(Curve(EXAMPLE, np.zeros(EXAMPLE.units)).far(0.5))


def test_a_histogram_counts_every_similarity_once() -> None:
    counts = histogram_of(floats([-1.0, -0.99995, 0.0, 0.99999, 1.0, 1.0000001]))
    assert counts.sum() == 6
    assert (counts[0], counts[BINS // 2], counts[-1]) == (2, 1, 3)


def test_the_best_threshold_decides_most_comparisons_rightly() -> None:
    genuine, impostor = histogram_of(floats([0.9, 0.8, 0.3])), histogram_of(floats([0.5, 0.1]))
    assert 0.5 < best_threshold(genuine, impostor) < 0.8


def test_each_kind_can_be_given_half_the_weight() -> None:
    genuine = histogram_of(floats([0.3]))
    impostor = histogram_of(floats([0.1] * 98 + [0.5] * 2))
    assert best_threshold(genuine, impostor) > 0.5  # by number the one genuine pair is lost
    assert 0.1 < best_threshold(genuine, impostor, 0.5) < 0.3


def test_a_threshold_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="genuine and impostor"):
        best_threshold(histogram_of(floats([])), histogram_of(floats([0.5])))


def test_rates_have_short_names() -> None:
    assert [key(rate) for rate in (0.1, *FARS)] == ["1e-1", "1e-2", "1e-3", "1e-4", "1e-5"]


def test_a_lost_attempt_is_lost_at_every_threshold() -> None:
    curve = Curve(scores([NEVER, 0.9], [0.5]))
    assert curve.tar(-1.0) == 0.5
