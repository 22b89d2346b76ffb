"""Wrong tries are counted, and each makes the next ones wait longer, but nobody for good."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lockd.door.tries import AFTER_RESTART_S, Tries, TryRules

RULES = TryRules(free=3, pause_s=5, longest_pause_s=60, in_all=100, within_s=300)


def test_so_many_are_free_and_then_each_one_doubles_the_pause_up_to_the_longest() -> None:
    tries = Tries(RULES)
    pauses = []
    for _ in range(9):
        tries.wrong(["ada"], 100.0)
        pauses.append(tries.pause_s(100.0, "ada"))
    assert pauses == [0, 0, 0, 5, 10, 20, 40, 60, 60]
    assert tries.count("ada") == 9
    assert tries.pause_s(159.0, "ada") == 1
    assert tries.pause_s(160.0, "ada") == 0
    assert tries.pause_s(100.0, "grace") == tries.pause_s(100.0) == 0


def test_a_right_one_begins_anew() -> None:
    tries = Tries(RULES)
    for _ in range(5):
        tries.wrong(["ada"], 0.0)
    tries.right("ada")
    assert tries.count("ada") == tries.pause_s(0.0, "ada") == 0
    tries.wrong(["ada"], 0.0)
    assert tries.pause_s(0.0, "ada") == 0


def test_in_all_only_so_many_are_judged_within_so_long_whoever_they_are_for() -> None:
    tries = Tries(TryRules(free=20, in_all=3, within_s=300))
    for t, people in ((0.0, ["ada"]), (100.0, []), (200.0, ["grace", "ada"])):
        assert tries.pause_s(t) == 0
        tries.wrong(people, t)
    assert tries.pause_s(200.0) == tries.pause_s(200.0, "alan") == 100
    tries.right("ada")
    assert tries.pause_s(299.0) == 1, "one's own card must not make room for guesses"
    assert tries.pause_s(300.0) == 0
    tries.wrong([], 300.0)
    assert tries.pause_s(300.0) == 100


def test_after_a_restart_the_counts_go_on_but_nobody_waits_long_for_what_was_long_ago() -> None:
    tries = Tries(RULES)
    tries.restore({"ada": 8, "grace": 2}, 10.0)
    assert tries.pause_s(10.0, "ada") == AFTER_RESTART_S
    assert tries.pause_s(10.0, "grace") == 0
    tries.wrong(["ada"], 10.0 + AFTER_RESTART_S)
    assert tries.pause_s(10.0 + AFTER_RESTART_S, "ada") == 60
    tries.wrong(["grace"], 50.0)
    tries.wrong(["grace"], 50.0)
    assert tries.pause_s(50.0, "grace") == 5


def test_a_restart_makes_no_room_for_more_in_all() -> None:
    tries = Tries(TryRules(in_all=4, within_s=300))
    tries.restore({}, 10.0)
    tries.wrong([], 11.0)
    assert tries.pause_s(11.0) == 0
    tries.wrong([], 11.0)
    assert tries.pause_s(11.0) == 299


def test_a_count_that_no_float_could_hold_is_the_longest_pause() -> None:
    tries = Tries(RULES)
    tries.restore({"ada": 10**9}, 0.0)
    tries.wrong(["ada"], 40.0)
    assert tries.pause_s(40.0, "ada") == 60


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc")), max_size=80),
    st.integers(1, 10),
    st.integers(1, 20),
)
def test_however_it_is_tried_no_more_than_the_rules_allow_is_judged(
    tried: list[tuple[int, str]], free: int, in_all: int
) -> None:
    rules = TryRules(free=free, pause_s=5, longest_pause_s=40, in_all=in_all, within_s=60)
    tries, now = Tries(rules), 0.0
    judged: list[tuple[float, str]] = []
    for wait_s, person in tried:
        now += wait_s
        if not tries.pause_s(now, person):
            tries.wrong([person], now)
            judged.append((now, person))
    for t, _ in judged:
        assert sum(t - 60 < other <= t for other, _ in judged) <= in_all
    for one in "abc":
        times = [t for t, person in judged if person == one]
        for place, (before, after) in enumerate(pairwise(times)):
            beyond = place + 1 - free
            least = min(40, 5 * 2 ** (beyond - 1)) if beyond > 0 else 0
            assert after - before >= least
