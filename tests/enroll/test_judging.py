"""Which pictures may be somebody's templates: the rule, without any picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enroll.everybody import Everybody
from enroll.judging import Objection, Rule, judge
from lockd.identity.gallery import Template
from lockd.types import Floats, Person
from tests.enroll.faces import at

RULE = Rule(accept=0.5, agree=0.4)
NOBODY = np.empty((0, 8), np.float32)
TOO_LIKE, NOT_THE_SAME, REPEATED = Objection.TOO_LIKE, Objection.NOT_THE_SAME, Objection.REPEATED


def said(
    pictures: Floats,
    own: Floats = NOBODY,
    others: tuple[float, ...] = (),
    rule: Rule = RULE,
    *,
    anyway: bool = False,
) -> list[Objection | None]:
    opinions = judge(pictures, own, others or (-1.0,) * len(pictures), rule, anyway=anyway)
    return [one.objection for one in opinions]


class TestAgreement:
    def test_one_picture_of_somebody_new_has_nothing_to_agree_with(self) -> None:
        assert said(at(0)) == [None]

    def test_no_picture_needs_no_opinion(self) -> None:
        assert said(NOBODY) == []

    def test_pictures_alike_belong_together(self) -> None:
        assert said(at(0, 60, 30)) == [None, None, None]

    def test_a_picture_of_somebody_else_among_them_is_refused_alone(self) -> None:
        assert said(at(0, 20, 120, 40)) == [None, None, NOT_THE_SAME, None]

    def test_two_that_a_third_connects_belong_together(self) -> None:
        # From the left, from the front, from the right.
        assert said(at(0, 60, 120)) == [None, None, None]
        assert said(at(0, 120)) == [NOT_THE_SAME, NOT_THE_SAME]

    def test_when_nobody_knows_who_they_are_none_is_taken(self) -> None:
        assert said(at(0, 10, 120, 130)) == [NOT_THE_SAME] * 4

    def test_what_is_enrolled_tells_who_they_are_whatever_most_are(self) -> None:
        pictures = at(10, 120, 130, 140)
        assert said(pictures, at(0)) == [None, NOT_THE_SAME, NOT_THE_SAME, NOT_THE_SAME]
        assert said(pictures) == [NOT_THE_SAME, None, None, None]

    def test_a_chain_of_pictures_leads_to_what_is_enrolled(self) -> None:
        assert said(at(60, 120), at(0)) == [None, None]
        assert said(at(120), at(0)) == [NOT_THE_SAME]

    def test_it_is_said_how_unlike_the_nearest_is(self) -> None:
        (*_, opinion) = judge(at(0, 20, 100), NOBODY, [-1.0] * 3, RULE)
        assert opinion.similarity == pytest.approx(np.cos(np.radians(80)), abs=1e-5)


class TestOthers:
    def test_a_picture_that_the_door_would_take_for_somebody_else_is_refused(self) -> None:
        assert said(at(0, 20), others=(0.5, 0.49)) == [TOO_LIKE, None]

    def test_a_picture_nearer_to_somebody_else_than_to_their_own_is_refused(self) -> None:
        own = at(60)
        assert said(at(0), own, (0.49,)) == [None]
        assert said(at(0), at(65), (0.45,)) == [TOO_LIKE]

    def test_what_is_too_like_somebody_else_does_not_count_as_most(self) -> None:
        # One good picture, and three from the folder of a neighbour who is enrolled.
        assert said(at(0, 120, 125, 130), others=(0.1, 0.9, 0.9, 0.9)) == [
            None,
            TOO_LIKE,
            TOO_LIKE,
            TOO_LIKE,
        ]

    def test_not_a_number_is_nobody(self) -> None:
        assert said(at(0), others=(float("nan"),)) == [None]


class TestRepeated:
    def test_what_is_enrolled_already_is_not_enrolled_again(self) -> None:
        assert said(at(0, 30), at(0, 10)) == [REPEATED, None]

    def test_of_equal_pictures_the_first_counts(self) -> None:
        assert said(at(0, 0, 30)) == [None, REPEATED, None]


class TestAnyway:
    def test_only_repeated_pictures_are_objected_to(self) -> None:
        pictures = at(0, 0, 120, 90)
        assert said(pictures, others=(0.9,) * 4, anyway=True) == [None, REPEATED, None, None]


def pictures_of(data: st.DataObject, least: int) -> Floats:
    return at(*data.draw(st.lists(st.integers(0, 359), min_size=least, max_size=8, unique=True)))


@settings(deadline=None)
@given(st.data())
def test_the_order_of_the_pictures_does_not_matter(data: st.DataObject) -> None:
    pictures = pictures_of(data, 1)
    own = pictures_of(data, 0).reshape(-1, 8)
    others = data.draw(st.lists(st.floats(-1, 1), min_size=len(pictures), max_size=len(pictures)))
    order = data.draw(st.permutations(range(len(pictures))))
    first = judge(pictures, own, others, RULE)
    again = judge(pictures[order], own, [others[place] for place in order], RULE)
    assert [one.objection for one in again] == [first[place].objection for place in order]


@settings(deadline=None)
@given(st.data())
def test_nothing_that_the_door_would_take_for_somebody_else_is_ever_enrolled(
    data: st.DataObject,
) -> None:
    pictures = pictures_of(data, 1)
    others = data.draw(st.lists(st.floats(-1, 1), min_size=len(pictures), max_size=len(pictures)))
    for opinion, other in zip(judge(pictures, NOBODY, others, RULE), others, strict=True):
        assert opinion.objection is not None or other < RULE.accept


POINTS = {"operating_points": {"accurate": {"1e-2": 0.3, "1e-3": 0.4, "1e-5": 0.5}}}


class TestRule:
    def test_agreeing_is_what_one_of_a_thousand_pairs_of_two_people_does(self) -> None:
        assert Rule.of(POINTS, "accurate", 0.5) == Rule(0.5, 0.4)

    def test_it_never_asks_more_than_the_door_does(self) -> None:
        assert Rule.of(POINTS, "accurate", 0.3) == Rule(0.3, 0.3)

    def test_without_a_measure_it_asks_what_the_door_does(self) -> None:
        assert Rule.of({}, "accurate", 0.5) == Rule(0.5, 0.5)


class TestEverybody:
    ADA, BOB = Person("a", "Ada"), Person("b", "Bob")

    def test_the_nearest_other_is_named(self) -> None:
        everybody = Everybody([Template(self.ADA, at(0)[0]), Template(self.BOB, at(90)[0])], 8)
        ((person, likeness),) = everybody.nearest_other(at(10), "b")
        assert person == self.ADA
        assert likeness == pytest.approx(np.cos(np.radians(10)), abs=1e-5)
        assert everybody.nearest_other(at(10), "a")[0][0] == self.BOB

    def test_among_nobody_nobody_is_near(self) -> None:
        everybody = Everybody([Template(self.ADA, at(0)[0])], 8)
        assert everybody.nearest_other(at(0, 1), "a") == [(None, -1.0)] * 2

    def test_somebodys_templates_are_replaced_and_nobody_elses(self) -> None:
        everybody = Everybody([Template(self.ADA, row) for row in at(*range(100))], 8)
        everybody.replace(self.BOB, at(200))
        everybody.replace(self.ADA, at(10, 20))
        np.testing.assert_array_equal(everybody.own("a"), at(10, 20))
        np.testing.assert_array_equal(everybody.own("b"), at(200))
        assert everybody.nearest_other(at(200), "a")[0][0] == self.BOB
