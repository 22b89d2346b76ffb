"""One stranger who comes again is one stranger, and is slowed down."""

from __future__ import annotations

import numpy as np
import pytest

from lockd.identity.strangers import Strangers
from lockd.types import Embedding
from tests.fakes import unit

COURIER, OTHER = unit(1), unit(0, 1)


def like(face: Embedding, similarity: float) -> Embedding:
    """A face of that similarity to another, but for the last bits."""
    away = np.zeros_like(face)
    away[-1] = 1
    return (similarity * face + np.sqrt(1 - similarity**2) * away).astype(np.float32)


def test_the_same_face_is_counted_and_another_is_not() -> None:
    strangers = Strangers(0.5)
    assert [strangers.came(COURIER, float(t)) for t in range(4)] == [0, 1, 2, 3]
    assert strangers.came(OTHER, 5.0) == 0
    assert strangers.came(like(COURIER, 0.6), 6.0) == 4
    assert strangers.came(like(COURIER, 0.4), 7.0) == 0


def test_the_nearest_of_those_remembered_is_meant() -> None:
    strangers = Strangers(0.1)
    strangers.came(COURIER, 0.0)
    strangers.came(like(OTHER, 0.999), 1.0)
    both = like(OTHER, 0.9)
    assert [strangers.came(both, 2.0), strangers.came(both, 3.0)] == [1, 2]
    assert strangers.came(COURIER, 4.0) == 1


def test_nobody_is_remembered_for_longer_than_minutes() -> None:
    strangers = Strangers(0.5, keep_s=300.0)
    assert strangers.came(COURIER, 0.0) == 0
    assert strangers.came(COURIER, 300.0) == 1
    assert strangers.came(COURIER, 300.5) == 1
    assert strangers.came(COURIER, 601.0) == 0


def test_of_a_crowd_those_who_came_least_recently_are_forgotten() -> None:
    strangers = Strangers(0.5, most=2)
    for t, face in enumerate((COURIER, OTHER, unit(0, 0, 1))):
        strangers.came(face, float(t))
    assert strangers.came(OTHER, 4.0) == 1
    assert strangers.came(COURIER, 5.0) == 0


def test_a_face_of_which_nothing_is_known_is_new_each_time() -> None:
    strangers = Strangers(0.5)
    assert [strangers.came(None, 0.0), strangers.came(None, 1.0)] == [0, 0]


def test_whoever_tries_too_often_is_barred_for_a_while_and_nobody_else() -> None:
    strangers = Strangers(0.5, tries=3, barred_s=30.0)
    for t in range(2):
        strangers.came(COURIER, float(t))
    assert not strangers.bars(COURIER, 2.0)
    strangers.came(COURIER, 3.0)
    assert strangers.bars(like(COURIER, 0.7), 4.0)
    assert not strangers.bars(OTHER, 4.0)
    assert strangers.bars(COURIER, 33.0)
    assert not strangers.bars(COURIER, 33.5)
    # One more try, and the time begins anew.
    strangers.came(COURIER, 40.0)
    assert strangers.bars(COURIER, 41.0)


def test_where_lock_out_is_off_nobody_is_barred() -> None:
    strangers = Strangers(0.5, tries=0)
    for t in range(9):
        strangers.came(COURIER, float(t))
    assert not strangers.bars(COURIER, 9.0)


@pytest.mark.parametrize("broken", [np.full(8, np.nan, np.float32)])
def test_a_broken_face_is_like_nobody(broken: Embedding) -> None:
    strangers = Strangers(0.5)
    strangers.came(broken, 0.0)
    assert strangers.came(broken, 1.0) == 0
    assert strangers.came(COURIER, 2.0) == 0
    assert strangers.came(COURIER, 3.0) == 1
