"""Who a probe is, and when it is nobody."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.identity.gallery import Gallery, Template
from lockd.types import Embedding, Person
from tests.fakes import ADA, GRACE, unit

ACCEPT, MARGIN = 0.7, 0.05
AXES = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def at_similarity(similarity: float) -> Embedding:
    """A unit vector with this cosine to the first axis."""
    return unit(similarity, math.sqrt(1 - similarity**2))


def both() -> Gallery:
    return Gallery([Template(ADA, unit(1)), Template(GRACE, unit(0, 0, 1))], 8)


def test_the_nearest_person_is_named_when_near_enough() -> None:
    found = both().identify(at_similarity(0.8), accept=ACCEPT, margin=MARGIN)
    assert found.person == ADA
    assert found.similarity == pytest.approx(0.8, abs=1e-6)


def test_nobody_is_named_below_the_threshold_and_the_nearest_is_known_for_the_log() -> None:
    found = both().identify(at_similarity(0.69), accept=ACCEPT, margin=MARGIN)
    assert found.person is None
    assert found.nearest == ADA
    assert not found.ambiguous


def test_the_threshold_itself_is_near_enough() -> None:
    probe = unit(1)
    assert both().identify(probe, accept=1.0, margin=0).person == ADA


def test_the_margin_itself_is_clear_enough() -> None:
    assert both().identify(unit(1), accept=1.0, margin=1.0).person == ADA
    assert both().identify(unit(1), accept=1.0, margin=1.001).ambiguous


@pytest.mark.parametrize("best", [0, 1, 2])
@pytest.mark.parametrize("second", [0, 1, 2])
def test_the_second_nearest_is_found_wherever_they_stand(best: int, second: int) -> None:
    people = [ADA, GRACE, Person("3", "Katherine Johnson")]
    values = [0.1, 0.1, 0.1]
    values[second], values[best] = 0.5, 0.8
    gallery = Gallery(
        [Template(one, unit(*axis)) for one, axis in zip(people, AXES, strict=True)], 8
    )
    found = gallery.identify(probe := unit(*values), accept=0.5, margin=0.01)
    assert found.person == found.nearest == people[best]
    assert found.similarity == pytest.approx(float(probe[best]))
    assert found.runner_up == pytest.approx(float(sorted(probe)[-2]))
    assert not found.ambiguous


def test_each_person_counts_by_their_nearest_template() -> None:
    templates = [
        Template(GRACE, unit(0, 1)),
        Template(ADA, unit(1)),
        Template(GRACE, unit(0, 0, 1)),
        Template(ADA, unit(0, 0, 0, 1)),
    ]
    gallery = Gallery(templates, 8)
    assert len(gallery) == 4
    assert gallery.people == [ADA, GRACE]
    found = gallery.identify(unit(0.6, 0, 0.8), accept=0.5, margin=0.1)
    assert (found.person, found.similarity) == (GRACE, pytest.approx(0.8))
    assert found.runner_up == pytest.approx(0.6)


def test_a_single_person_has_no_second_nearest() -> None:
    found = Gallery([Template(ADA, unit(1))], 8).identify(unit(1), accept=0.5, margin=0.1)
    assert found.person == ADA
    assert math.isnan(found.runner_up)


def test_a_near_tie_is_refused_as_ambiguous() -> None:
    gallery = Gallery([Template(ADA, unit(1, 0.05)), Template(GRACE, unit(1, -0.05))], 8)
    found = gallery.identify(unit(1, 0.01), accept=ACCEPT, margin=MARGIN)
    assert found.person is None
    assert found.ambiguous


def test_two_templates_of_one_person_are_no_tie() -> None:
    gallery = Gallery([Template(ADA, unit(1, 0.05)), Template(ADA, unit(1, -0.05))], 8)
    assert gallery.identify(unit(1), accept=ACCEPT, margin=MARGIN).person == ADA


def test_an_empty_gallery_knows_nobody() -> None:
    found = Gallery([], 8).identify(unit(1), accept=-1, margin=0)
    assert found.person is None
    assert found.nearest is None
    assert math.isnan(found.similarity)
    assert math.isnan(found.runner_up)
    assert not found.ambiguous
    assert len(Gallery([], 8)) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_probe_that_is_not_finite_matches_nobody(value: float) -> None:
    probe = np.full(8, value, np.float32)
    with np.errstate(invalid="ignore"):
        assert both().identify(probe, accept=-1, margin=-3).person is None


def test_a_single_nan_in_a_probe_matches_nobody() -> None:
    probe = unit(1)
    probe[7] = math.nan
    assert both().identify(probe, accept=-1, margin=-3).person is None


def test_a_template_of_another_length_is_refused() -> None:
    message = r"Ada Lovelace: template of shape \(16,\), expected \(8,\)"
    with pytest.raises(ValueError, match=message):
        Gallery([Template(GRACE, unit(1)), Template(ADA, unit(1, size=16))], 8)


vectors = st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=8).filter(
    lambda values: float(np.linalg.norm(values)) > 0.1
)


@given(
    templates=st.lists(st.tuples(st.sampled_from([ADA, GRACE]), vectors), min_size=1, max_size=8),
    probe=vectors,
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_enrolment_never_matters(templates, probe, order) -> None:  # type: ignore[no-untyped-def]
    enrolled = [Template(person, unit(*values)) for person, values in templates]
    shuffled = enrolled.copy()
    order.shuffle(shuffled)
    first, second = (
        Gallery(some, 8).identify(unit(*probe), accept=0.5, margin=0.01)
        for some in (enrolled, shuffled)
    )
    assert first.similarity == pytest.approx(second.similarity, abs=1e-6)
    if abs(first.similarity - first.runner_up) > 1e-5 or math.isnan(first.runner_up):
        assert first.nearest == second.nearest


@given(
    templates=st.lists(st.tuples(st.sampled_from([ADA, GRACE]), vectors), max_size=8),
    probe=vectors,
)
def test_whoever_is_named_is_near_enough_and_clearly_nearest(templates, probe) -> None:  # type: ignore[no-untyped-def]
    gallery = Gallery([Template(person, unit(*values)) for person, values in templates], 8)
    vector = unit(*probe)
    found = gallery.identify(vector, accept=0.6, margin=0.1)
    if found.person is None:
        return
    best = {
        person: max((float(unit(*v) @ vector) for p, v in templates if p == person), default=-2.0)
        for person in (ADA, GRACE)
    }
    other = GRACE if found.person == ADA else ADA
    assert best[found.person] >= 0.6 - 1e-5
    assert best[found.person] - best[other] >= 0.1 - 1e-5
