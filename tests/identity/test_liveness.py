"""What somebody must show besides their face."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.identity.liveness import (
    LEAST_RECENT,
    LEAST_SCORES,
    Bounds,
    Calibration,
    Demand,
    Doubt,
    Heed,
    Means,
    Measure,
    Policies,
    Policy,
    Reason,
    SecondSight,
    Standing,
    demand,
    second_sight,
    shortcoming,
)
from lockd.types import Person

BOUNDS = Bounds(open_above=0.5, refuse_below=0.05)
HUNDRED = Calibration(tuple(float(one) for one in range(100)))
ALL_MEANS = Means(challenge=True, second_factor=True)
POLICIES = [
    Policy(network, challenge, factor)
    for network, challenge, factor in itertools.product(Heed, (False, True), (False, True))
]
policies = st.sampled_from(POLICIES)
means = st.builds(Means, st.booleans(), st.booleans())
doubts = st.sampled_from(["challenge", "second_factor"])


def of(*words: str) -> Policy:
    return Policy.of(map(Measure, words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("off",), Policy()),
        (("passive",), Policy(Heed.PASSIVE)),
        (("graded",), Policy(Heed.GRADED)),
        (("passive", "graded"), Policy(Heed.GRADED)),
        (("challenge",), Policy(challenge=True)),
        (("second_factor",), Policy(second_factor=True)),
        (("graded", "second_factor"), Policy(Heed.GRADED, second_factor=True)),
        (("second_factor", "passive", "challenge"), Policy(Heed.PASSIVE, True, True)),
    ],
)
def test_measures_make_a_policy(words: tuple[str, ...], expected: Policy) -> None:
    assert of(*words) == expected
    assert expected.off == (words == ("off",))


def test_a_policy_reads_as_it_is_written() -> None:
    said = [str(policy) for policy in POLICIES]
    assert len(set(said)) == len(POLICIES)
    for policy, text in zip(POLICIES, said, strict=True):
        assert of(*text.split(" + ")) == policy


@pytest.mark.parametrize(
    ("words", "said"), [((), "write off"), (("off", "graded"), "off stands alone")]
)
def test_contradictions_are_mistakes(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        of(*words)


def test_who_is_in_several_groups_must_show_all_that_any_of_them_asks_for() -> None:
    rules = Policies(of("graded"), {"staff": of("challenge"), "guests": of("second_factor")})
    asked = {
        frozenset[str](): of("graded"),
        frozenset({"staff"}): of("challenge"),
        frozenset({"staff", "guests"}): of("challenge", "second_factor"),
        frozenset({"others"}): of("graded"),
        frozenset({"others", "guests"}): of("graded", "second_factor"),
    }
    for groups, policy in asked.items():
        assert rules.of(Person("1", "Ada", groups)) == policy


def test_who_is_in_no_group_is_in_the_default_group() -> None:
    rules = Policies(of("graded"), {"staff": of("off")}, default_group="staff")
    assert rules.of(Person("1", "Ada")).off
    assert not rules.of(Person("1", "Ada", frozenset({"others"}))).off


@given(policies, policies)
def test_two_policies_ask_for_no_less_than_each(first: Policy, second: Policy) -> None:
    both = first | second
    for one in (first, second):
        assert both.network >= one.network
        assert both.challenge >= one.challenge
        assert both.second_factor >= one.second_factor
    assert both == second | first


# What a score is worth


@pytest.mark.parametrize(
    ("score", "standing"),
    [
        (-1.0, Standing.SUSPECT),
        (3.9, Standing.SUSPECT),
        (4.0, Standing.DOUBTFUL),
        (48.9, Standing.DOUBTFUL),
        (49.0, Standing.LIVE),
        (1000.0, Standing.LIVE),
        (math.nan, Standing.UNKNOWN),
        (math.inf, Standing.UNKNOWN),
        (-math.inf, Standing.UNKNOWN),
    ],
)
def test_a_score_is_compared_with_those_of_the_live(score: float, standing: Standing) -> None:
    assert HUNDRED.standing(score, BOUNDS) is standing


@given(st.lists(st.floats(-50, 50), max_size=LEAST_SCORES - 1), st.floats())
def test_without_enough_live_visits_nothing_is_known(scores: list[float], score: float) -> None:
    assert Calibration(tuple(scores)).standing(score, BOUNDS) is Standing.UNKNOWN


@given(st.lists(st.floats(-50, 50), min_size=LEAST_SCORES, max_size=300))
def test_no_more_of_the_live_are_refused_than_was_said(scores: list[float]) -> None:
    known = Calibration(tuple(scores))
    standings = [known.standing(one, BOUNDS) for one in scores]
    assert standings.count(Standing.SUSPECT) <= 0.05 * len(scores)
    assert standings.count(Standing.LIVE) >= 0.5 * len(scores)


def test_quantiles_are_scores_that_were_seen() -> None:
    assert [HUNDRED.quantile(share) for share in (0, 0.01, 0.011, 0.5, 1)] == [0, 0, 1, 49, 99]


def test_scores_that_moved_are_noticed_and_others_are_not() -> None:
    chance = random.Random(5)
    known = Calibration(tuple(chance.gauss(3, 1) for _ in range(LEAST_SCORES)))
    same = [chance.gauss(3, 1) for _ in range(LEAST_RECENT)]
    assert known.moved(same) is False
    assert known.moved([one - 2 for one in same]) is True
    assert known.moved([one + 2 for one in same]) is True
    assert known.moved(same[:-1]) is None
    assert Calibration(known.scores[1:]).moved(same) is None


def test_a_share_of_equal_scores_is_no_move() -> None:
    assert Calibration((1.0,) * LEAST_SCORES).moved((1.0,) * LEAST_RECENT) is False


# What is asked


@pytest.mark.parametrize(
    ("policy", "standing", "asked"),
    [
        ("off", Standing.SUSPECT, Demand()),
        ("off", Standing.UNKNOWN, Demand()),
        ("passive", Standing.LIVE, Demand()),
        ("passive", Standing.DOUBTFUL, Demand()),
        ("passive", Standing.SUSPECT, Demand(refused=Reason.ATTACK)),
        ("passive", Standing.UNKNOWN, Demand(challenge=True)),
        ("graded", Standing.LIVE, Demand()),
        ("graded", Standing.DOUBTFUL, Demand(challenge=True)),
        ("graded", Standing.SUSPECT, Demand(refused=Reason.ATTACK)),
        ("graded", Standing.UNKNOWN, Demand(challenge=True)),
        ("challenge", Standing.UNKNOWN, Demand(challenge=True)),
        ("challenge", Standing.SUSPECT, Demand(challenge=True)),
        ("second_factor", Standing.UNKNOWN, Demand(second_factor=True)),
        ("graded + second_factor", Standing.LIVE, Demand(second_factor=True)),
        ("graded + second_factor", Standing.DOUBTFUL, Demand(True, True)),
        ("passive + challenge", Standing.LIVE, Demand(challenge=True)),
        ("passive + challenge", Standing.SUSPECT, Demand(refused=Reason.ATTACK)),
    ],
)
def test_what_a_policy_asks_for(policy: str, standing: Standing, asked: Demand) -> None:
    assert demand(of(*policy.split(" + ")), standing, ALL_MEANS) == asked


def test_doubt_may_be_settled_by_a_second_factor() -> None:
    asked = demand(of("graded"), Standing.DOUBTFUL, ALL_MEANS, "second_factor")
    assert asked == Demand(second_factor=True)


@given(policies, st.sampled_from(Standing), means, doubts)
def test_the_door_opens_silently_only_to_whom_the_network_knows_or_nobody_asked(
    policy: Policy, standing: Standing, can: Means, doubt: str
) -> None:
    if not demand(policy, standing, can, doubt).nothing:  # type: ignore[arg-type]
        return
    assert not policy.challenge
    assert not policy.second_factor
    match policy.network:
        case Heed.GRADED:
            assert standing is Standing.LIVE
        case Heed.PASSIVE:
            assert standing in (Standing.LIVE, Standing.DOUBTFUL)


@given(policies, st.sampled_from(Standing), means, doubts)
def test_nothing_is_asked_that_cannot_be(
    policy: Policy, standing: Standing, can: Means, doubt: str
) -> None:
    asked = demand(policy, standing, can, doubt)  # type: ignore[arg-type]
    assert can.challenge or not asked.challenge
    assert can.second_factor or not asked.second_factor
    if asked.refused is not None:
        assert asked == Demand(refused=asked.refused)


@given(policies, st.sampled_from(Standing), doubts)
def test_a_door_that_can_ask_refuses_only_attacks(
    policy: Policy, standing: Standing, doubt: str
) -> None:
    asked = demand(policy, standing, ALL_MEANS, doubt)  # type: ignore[arg-type]
    assert (asked.refused is not None) == (bool(policy.network) and standing is Standing.SUSPECT)


@given(policies, means, doubts)
def test_what_a_door_cannot_ask_is_told_beforehand(policy: Policy, can: Means, doubt: str) -> None:
    told = shortcoming(Policies(policy), can, doubt) is not None  # type: ignore[arg-type]
    refusals = {demand(policy, one, can, doubt).refused for one in Standing}  # type: ignore[arg-type]
    assert told == (Reason.CANNOT_ASK in refusals)


def test_what_a_group_cannot_be_asked_names_the_group() -> None:
    rules = Policies(of("off"), {"staff": of("challenge")})
    said = shortcoming(rules, Means(challenge=False, second_factor=False), "challenge")
    assert said is not None
    assert said.startswith("staff: challenge")


# The second camera


@given(policies, st.sampled_from(Standing), means, doubts, st.sampled_from(SecondSight))
def test_a_second_camera_never_makes_a_door_ask_for_less(
    policy: Policy, standing: Standing, can: Means, doubt: Doubt, sight: SecondSight
) -> None:
    without = demand(policy, standing, can, doubt)
    asked = demand(policy, standing, can, doubt, sight)
    if policy.off:
        assert asked == without
    elif sight is SecondSight.UNSEEN:
        assert asked.refused is Reason.INFRARED
    elif sight is SecondSight.UNKNOWN:
        assert not asked.nothing
    else:
        assert asked == without
    if without.refused is not None:
        assert asked.refused is not None
    elif asked.refused is None:
        assert asked.challenge >= without.challenge
        assert asked.second_factor >= without.second_factor


@given(st.lists(st.booleans(), max_size=9), st.integers(1, 5))
def test_what_most_of_enough_frames_say_counts(seen: list[bool], least: int) -> None:
    sight = second_sight(seen, least)
    assert (sight is SecondSight.UNKNOWN) is (len(seen) < least)
    if sight is SecondSight.SEEN:
        assert seen.count(True) > seen.count(False)
    assert sight is not SecondSight.NONE
