"""Rates of attacks and of people, on scores that are known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from lockd.evaluation.clips import LIVE, Clip
from lockd.evaluation.presentation import POLICIES, Attacks, measure
from lockd.evaluation.protocols import Resampling
from lockd.evaluation.visits import Visit
from lockd.identity.liveness import Bounds
from lockd.types import Person

BOUNDS = Bounds(open_above=0.75, refuse_below=0.1)
FEW = Resampling(40)


def visit(
    kind: str, number: int, score: float, *, person: str | None = None, known: bool = True
) -> Visit:
    scores = np.full(4, score) if math.isfinite(score) else np.empty(0)
    named = Person("1", "Ada") if known else None
    who = person or f"p{number}"
    return Visit(Clip(kind, f"{kind}/{number}", Path(), who), scores, named, score)


def visits(kind: str, scores: Iterable[float], **more: bool) -> list[Visit]:
    return [visit(kind, number, score, **more) for number, score in enumerate(scores)]


LEARNT = visits(LIVE, range(1, 11))  # 8 opens unasked, less than 1 is refused


def measured(
    seen: list[Visit], learnt: list[Visit] | None = LEARNT, enrolled: set[str] | None = None
) -> Attacks:
    return measure(seen, learnt, BOUNDS, 3, enrolled, FEW)


def values(rates: object) -> object:
    assert isinstance(rates, dict)
    return {kind: rate.value for kind, rate in rates.items()}


def test_off_opens_to_everybody_and_a_question_to_no_recording() -> None:
    found = measured([*visits(LIVE, [5, 9]), *visits("print", [-9, 9])])
    assert values(found.policies["off"].opens) == {LIVE: 1, "print": 1}
    for policy in ("challenge", "second_factor"):
        assert values(found.policies[policy].asks) == {LIVE: 1, "print": 1}
    assert found.policies.keys() == POLICIES.keys()


def test_passive_refuses_what_scores_lower_than_nearly_all_of_the_live() -> None:
    found = measured([*visits(LIVE, [0, 1, 2, 9]), *visits("print", [0.5, 1.5])])
    assert values(found.policies["passive"].opens) == {LIVE: 0.75, "print": 0.5}
    assert values(found.policies["passive"].refuses) == {LIVE: 0.25, "print": 0.5}
    assert found.acer["passive"].value == pytest.approx((0.5 + 0.25) / 2)


def test_graded_asks_between_and_opens_above() -> None:
    found = measured([*visits(LIVE, [0, 5, 8, 9]), *visits("print", [0, 7.9, 8, 0])])
    graded = found.policies["graded"]
    assert values(graded.opens) == {LIVE: 0.5, "print": 0.25}
    assert values(graded.asks) == {LIVE: 0.25, "print": 0.25}
    assert values(graded.refuses) == {LIVE: 0.25, "print": 0.5}


def test_a_visit_without_a_score_is_never_taken_for_live() -> None:
    found = measured([*visits(LIVE, [9]), *visits("print", [math.nan])])
    for policy in ("passive", "graded"):
        assert found.policies[policy].opens["print"].value == 0
        assert found.policies[policy].asks["print"].value == 1
    assert found.at_bpcer[0.05][1]["print"].value == 0
    assert found.above[0.5]["print"].value == 0


def test_the_worst_type_counts() -> None:
    found = measured([*visits(LIVE, [9]), *visits("print", [9, 0]), *visits("tablet", [9, 9])])
    assert found.worst["passive"] == "tablet"
    assert found.acer["passive"].value == 0.5


def test_a_threshold_for_a_bpcer_refuses_no_more_people_than_that() -> None:
    found = measured([*visits(LIVE, range(20)), *visits("print", [0.5, 1.5, 0.5, 0.5])])
    threshold, apcer = found.at_bpcer[0.05]
    assert threshold == 1
    assert apcer["print"].value == 0.25
    assert found.at_bpcer[0.1][0] == 2
    assert found.at_bpcer[0.01][0] == 0


def test_an_equal_error_rate_is_where_as_many_of_either_kind_go_wrong() -> None:
    found = measured([*visits(LIVE, [0, 5, 6, 7]), *visits("print", [1, -1, -2, -3])])
    assert found.eer.value == pytest.approx(0.25)
    assert measured([*visits(LIVE, [5, 6]), *visits("print", [1])]).eer.value == 0


def test_people_are_compared_with_others_and_never_with_themselves() -> None:
    # Everybody has scores of a range of their own; with those of all, nobody would be refused.
    seen = [visit(LIVE, n, 100.0 * (n // 5) + n % 5, person=f"p{n // 5}") for n in range(20)]
    found = measured([*seen, visit("print", 0, 102.0, person="p1")], None)
    assert found.from_halves
    assert found.calibrated_on == 10
    assert 0.2 < found.policies["passive"].refuses[LIVE].value < 0.5


def test_attacks_are_compared_with_scores_of_others_than_whom_they_show() -> None:
    seen = [visit(LIVE, n, 100.0 * n, person=f"p{n}") for n in range(2)]
    attack = visit("print", 0, 50.0, person="p1")  # the other half is p0, who scored 0
    assert measured([*seen, attack], None).policies["graded"].opens["print"].value == 1
    attack = visit("print", 0, 50.0, person="p0")
    assert measured([*seen, attack], None).policies["graded"].opens["print"].value == 0


def test_a_door_opens_only_to_those_whom_it_recognises() -> None:
    seen = [*visits(LIVE, [9, 9]), *visits("print", [9], known=False), *visits("tablet", [9])]
    found = measured(seen, enrolled={"live/0"})
    assert found.doors is not None
    assert values(found.doors["off"].opens) == {LIVE: 1, "print": 0, "tablet": 1}
    assert values(found.doors["graded"].opens) == {LIVE: 1, "print": 0, "tablet": 1}
    assert measured(seen).doors is None


def test_clips_that_people_were_enrolled_from_are_no_visits() -> None:
    seen = [visit(LIVE, 0, 9), visit(LIVE, 1, 0), *visits("print", [9])]
    doors = measured(seen, enrolled={"live/0"}).doors
    assert doors is not None
    assert doors["passive"].opens[LIVE].value == 0
    assert measured(seen).policies["passive"].opens[LIVE].value == 0.5


def test_a_decision_that_was_never_taken_opens_nothing() -> None:
    early = Visit(Clip("print", "print/0", Path(), "p"), np.full(4, 9.0), Person("1", "Ada"))
    doors = measured([*visits(LIVE, [9]), early], enrolled=set()).doors
    assert doors is not None
    assert doors["graded"].opens["print"].value == 0
    assert doors["off"].opens["print"].value == 1


def test_few_scores_weigh_as_a_door_with_enough_of_them_would_have_them_weigh() -> None:
    for count in (1, 3, 10, 99, 100, 101):
        learnt = visits(LIVE, range(count))
        found = measured([*visits(LIVE, [count]), *visits("print", [-1, count])], learnt)
        assert found.policies["graded"].opens["print"].value == 0.5
        assert found.calibrated_on == count


def test_without_a_living_person_nobody_is_live_silently() -> None:
    found = measured(visits("print", [9, 99]), None)
    for policy in ("passive", "graded"):
        assert found.policies[policy].opens["print"].value == 0
    assert math.isnan(found.acer["graded"].value)
    assert found.at_bpcer == {}
    assert found.curves == {}


def test_every_rate_lies_in_its_interval() -> None:
    found = measured([*visits(LIVE, range(12)), *visits("print", [0, 5, 9])], enrolled=set())
    for outcome in [*found.policies.values(), *(found.doors or {}).values()]:
        for rates in (outcome.opens, outcome.asks, outcome.refuses):
            assert all(0 <= one.low <= one.value <= one.high <= 1 for one in rates.values())


def test_a_curve_falls_from_all_attacks_to_none() -> None:
    curve = measured([*visits(LIVE, [1, 3]), *visits("print", [0, 2])]).curves["print"]
    np.testing.assert_allclose(curve[:, 0], [3, 2, 1, 0])
    np.testing.assert_allclose(curve[:, 1], [0, 0.5, 0.5, 1])
    np.testing.assert_allclose(curve[:, 2], [0.5, 0.5, 0, 0])
