"""How long a door waits before it asks the broker once more."""

from __future__ import annotations

import random

import pytest

from lockd.clock import Backoff


class Extreme(random.Random):
    """Draws the longest wait there is each time, or the shortest."""

    def __init__(self, longest: bool) -> None:
        super().__init__()
        self._longest = longest

    def uniform(self, a: float, b: float) -> float:
        return b if self._longest else a


@pytest.mark.parametrize(
    ("longest", "expected"), [(True, [3, 9, 27, 30, 30]), (False, [1, 1, 1, 1, 1])]
)
def test_a_wait_is_at_most_three_times_the_last_and_within_its_limits(
    longest: bool, expected: list[float]
) -> None:
    backoff = Backoff(1.0, 30.0, Extreme(longest))
    assert [backoff.next() for _ in range(5)] == expected


def test_after_success_it_begins_anew() -> None:
    backoff = Backoff(1.0, 30.0, Extreme(longest=True))
    waits = [backoff.next() for _ in range(5)]
    backoff.reset()
    assert [backoff.next() for _ in range(5)] == waits


def test_no_wait_is_longer_than_was_set_though_the_first_would_be() -> None:
    for longest in (True, False):
        backoff = Backoff(10.0, 5.0, Extreme(longest))
        assert [backoff.next() for _ in range(3)] == [5.0, 5.0, 5.0]


def test_two_doors_do_not_come_back_at_the_same_moment() -> None:
    first, second = (Backoff(1.0, 30.0, random.Random()) for _ in range(2))
    waits = [(first.next(), second.next()) for _ in range(50)]
    # Only at the limit do they meet.
    assert all(one != other for one, other in waits if 30.0 not in (one, other))
    assert all(1.0 <= wait <= 30.0 for pair in waits for wait in pair)
    assert waits[0][0] <= 3.0


def test_without_chance_each_wait_is_twice_the_last() -> None:
    backoff = Backoff(1.0, 10.0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 1.0
    assert Backoff(10.0, 5.0).next() == 5.0
