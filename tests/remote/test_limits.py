"""How often: tokens that come back with time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockd.remote.limits import Bucket


def test_a_few_at_once_and_then_so_many_a_second() -> None:
    bucket = Bucket(3, 0.5)
    taken = [bucket.take(now) for now in (100.0, 100.0, 100.0, 100.0, 101.9, 102.0, 102.1, 200.0)]
    assert taken == [True, True, True, False, False, True, False, True]


@given(st.lists(st.floats(0, 1000), max_size=100).map(sorted))
def test_never_more_than_the_burst_and_what_came_back(times: list[float]) -> None:
    bucket = Bucket(5, 0.1)
    taken = sum(bucket.take(now) for now in times)
    assert taken <= 5 + 0.1 * (times[-1] - times[0] if times else 0) + 1e-6
