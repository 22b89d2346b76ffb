"""What several frames of one visit amount to."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.identity.evidence import (
    AMBIGUOUS,
    TOO_BRIEF,
    Agreement,
    Evidence,
    Recognised,
    Stranger,
    Unidentified,
    Verdict,
)
from lockd.types import Embedding, Person, Unfit
from tests.fakes import ADA, GRACE, match, unit

RULES = Agreement(
    agree_frames=3,
    window_frames=5,
    window_s=3.0,
    stranger_frames=4,
    stranger_after_s=1.0,
    least_visit_s=1.0,
    rejudge_s=0.5,
)
STEP = 0.2


def judged(evidence: Evidence, *people: Person | None, start: float = 0.0) -> list[Verdict]:
    verdicts = [
        evidence.judged(1, match(person), start + index * STEP)
        for index, person in enumerate(people)
    ]
    return [verdict for verdict in verdicts if verdict]


def test_three_agreeing_frames_recognise_somebody_once() -> None:
    verdicts = judged(Evidence(RULES), *[ADA] * 10)
    assert verdicts == [Recognised(1, ADA, pytest.approx(0.9))]


def test_two_agreeing_frames_do_not() -> None:
    assert judged(Evidence(RULES), ADA, None, ADA, None) == []


def test_agreement_is_counted_among_the_last_frames_only() -> None:
    assert judged(Evidence(RULES), ADA, None, None, GRACE, None, ADA, ADA) == []
    assert judged(Evidence(RULES), None, ADA, None, ADA, ADA) == [Recognised(1, ADA, 0.9)]


def test_old_votes_do_not_count() -> None:
    evidence = Evidence(RULES)
    assert [evidence.judged(1, match(ADA), t) for t in (0.0, 2.0, 3.5)] == [None] * 3
    assert evidence.judged(1, match(ADA), 4.0) == Recognised(1, ADA, 0.9)


def test_a_vote_counts_up_to_its_age_and_a_stranger_comes_when_it_is_time() -> None:
    evidence = Evidence(RULES)
    assert [evidence.judged(1, match(ADA), t) for t in (0.0, 2.0)] == [None] * 2
    assert evidence.judged(1, match(ADA), 3.0) == Recognised(1, ADA, 0.9)
    assert [evidence.judged(2, match(None), t) for t in (5.0, 5.1, 5.2)] == [None] * 3
    assert evidence.judged(2, match(None, 0.1), 6.0) == Stranger(2, 0.9)


@pytest.mark.parametrize(
    ("similarities", "greatest"),
    [
        ((0.3, 0.1, 0.2, 0.1), 0.3),
        ((0.1, 0.3, 0.2, 0.1), 0.3),
        ((0.1, 0.1, 0.2, 0.3), 0.3),
        ((math.nan, 0.1, 0.2, 0.1), 0.2),
        ((-0.4, -0.2, -0.3, -0.3), -0.2),
    ],
)
def test_the_similarity_of_a_stranger_is_the_greatest_of_the_frames(
    similarities: tuple[float, ...], greatest: float
) -> None:
    evidence = Evidence(RULES)
    evidence.judged(1, match(None, 0.6), 0.0)
    evidence.judged(1, match(ADA), 0.5)  # the count begins anew, and the similarity with it
    verdicts = [evidence.judged(1, match(None, s), 1.0 + i) for i, s in enumerate(similarities)]
    assert verdicts == [None, None, None, Stranger(1, greatest)]


def test_the_similarity_of_a_recognition_is_the_least_of_its_frames() -> None:
    evidence = Evidence(RULES)
    for t, similarity in ((0.0, 0.95), (0.1, 0.75)):
        evidence.judged(1, match(ADA, similarity), t)
    verdict = evidence.judged(1, match(ADA, 0.85), 0.2)
    assert verdict == Recognised(1, ADA, 0.75)


def test_somebody_whose_groups_change_meanwhile_is_still_one_person() -> None:
    changed = replace(ADA, groups=frozenset({"staff"}), valid_until="2026-12-31")
    verdicts = judged(Evidence(RULES), ADA, ADA, *[changed] * 5)
    assert verdicts == [Recognised(1, changed, 0.9)]


def test_votes_for_different_people_are_no_agreement() -> None:
    assert judged(Evidence(RULES), ADA, GRACE, ADA, GRACE) == []


def test_each_visit_collects_its_own_votes() -> None:
    evidence = Evidence(RULES)
    for visit in (1, 2, 3, 4):
        assert evidence.judged(visit, match(ADA), 0.0) is None
        assert evidence.judged(visit, match(ADA), 0.1) is None


def test_a_stranger_needs_enough_frames_over_enough_time() -> None:
    quick = Evidence(RULES)
    assert [quick.judged(1, match(None, 0.1), 9 + t / 100) for t in range(20)] == [None] * 20
    slow = Evidence(RULES)
    assert [slow.judged(1, match(None, 0.1), t) for t in (0.0, 1.0, 2.0)] == [None] * 3
    assert slow.judged(1, match(None, 0.3), 2.1) == Stranger(1, 0.3)


def test_a_stranger_is_announced_once_a_visit() -> None:
    assert len(judged(Evidence(RULES), *[None] * 50)) == 1


def test_one_vote_for_somebody_starts_the_stranger_count_anew() -> None:
    assert judged(Evidence(RULES), None, None, None, ADA, None, None, None) == []
    assert judged(Evidence(RULES), None, ADA, *[None] * 6) != []


def test_with_nobody_enrolled_everyone_becomes_a_stranger() -> None:
    verdicts = [Evidence(RULES)]
    evidence = verdicts.pop()
    found = [evidence.judged(1, match(None, math.nan), t * STEP) for t in range(10)]
    strangers = [one for one in found if one]
    assert len(strangers) == 1
    assert isinstance(strangers[0], Stranger)


def test_a_colleague_taken_for_a_stranger_is_let_in_after_all() -> None:
    verdicts = judged(Evidence(RULES), *[None] * 6, *[ADA] * 5)
    assert [type(one) for one in verdicts] == [Stranger, Recognised]


def test_somebody_recognised_does_not_become_a_stranger_by_turning_away() -> None:
    verdicts = judged(Evidence(RULES), *[ADA] * 3, *[None] * 30)
    assert [type(one) for one in verdicts] == [Recognised]


def test_somebody_else_who_steps_into_the_same_track_is_recognised() -> None:
    verdicts = judged(Evidence(RULES), *[ADA] * 3, *[GRACE] * 5)
    assert [one.person for one in verdicts if isinstance(one, Recognised)] == [ADA, GRACE]


def test_a_face_like_two_people_is_a_vote_for_nobody_and_for_no_stranger() -> None:
    evidence = Evidence(RULES)
    for t in range(30):
        assert evidence.judged(1, match(None, 0.8, ambiguous=True), t * STEP) is None
    assert evidence.ended(1) == Unidentified(1, AMBIGUOUS)


def test_a_visit_without_a_verdict_ends_with_its_most_common_hindrance() -> None:
    evidence = Evidence(RULES)
    reasons = [Unfit.BLURRED, Unfit.TOO_DARK, Unfit.TOO_DARK]
    for index, reason in enumerate(reasons):
        evidence.rejected(1, reason, float(index))
    assert evidence.ended(1) == Unidentified(1, "too_dark")
    assert evidence.ended(1) is None


def test_a_visit_judged_too_seldom_says_so() -> None:
    evidence = Evidence(RULES)
    judged(evidence, ADA)
    evidence.judged(1, match(None), 1.5)
    assert evidence.ended(1) == Unidentified(1, TOO_BRIEF)


def test_somebody_who_only_passes_by_is_not_mentioned() -> None:
    evidence = Evidence(RULES)
    evidence.rejected(1, Unfit.TOO_SMALL, 0.0)
    evidence.rejected(1, Unfit.TOO_SMALL, 0.9)
    assert evidence.ended(1) is None


@pytest.mark.parametrize("people", [[ADA] * 3, [None] * 6])
def test_a_visit_with_a_verdict_ends_in_silence(people: list[Person | None]) -> None:
    evidence = Evidence(RULES)
    assert judged(evidence, *people)
    evidence.rejected(1, Unfit.BLURRED, 9.0)
    assert evidence.ended(1) is None


def test_a_face_is_judged_less_often_once_its_visit_has_a_verdict() -> None:
    evidence = Evidence(RULES)
    assert evidence.wants(1, 0.0)
    judged(evidence, ADA, ADA)
    assert evidence.wants(1, 0.21)
    judged(evidence, ADA, start=0.4)
    assert not evidence.wants(1, 0.5)
    assert evidence.wants(1, 0.9)


def test_so_is_a_strangers() -> None:
    evidence = Evidence(RULES)
    judged(evidence, *[None] * 6)  # the last at 1.0
    assert not evidence.wants(1, 1.4)
    assert evidence.wants(1, 1.5)
    assert evidence.wants(2, 1.4)


def test_it_knows_when_a_face_was_last_judged() -> None:
    evidence = Evidence(RULES)
    evidence.rejected(1, Unfit.BLURRED, 1.0)
    assert evidence.last_judged(1) == evidence.last_judged(2) == -math.inf
    evidence.judged(1, match(ADA), 2.0)
    evidence.judged(1, match(None, 0.8, ambiguous=True), 3.0)
    evidence.rejected(1, Unfit.BLURRED, 4.0)
    assert evidence.last_judged(1) == 3.0
    assert evidence.last_judged(2) == -math.inf


class TestRefused:
    """Somebody who was recognised but not let in."""

    def test_they_are_announced_again_when_it_is_time_and_then_no_more(self) -> None:
        evidence = Evidence(RULES)
        assert judged(evidence, *[ADA] * 3)
        evidence.refused(1, ADA, again_at=2.0)
        assert [evidence.judged(1, match(ADA), t) for t in (1.0, 1.5, 1.9)] == [None] * 3
        assert evidence.judged(1, match(ADA), 2.0) == Recognised(1, ADA, 0.9)
        assert [evidence.judged(1, match(ADA), t) for t in (2.1, 3.0, 4.0)] == [None] * 3

    def test_they_must_still_be_there_then(self) -> None:
        evidence = Evidence(RULES)
        judged(evidence, *[ADA] * 3)
        evidence.refused(1, ADA, again_at=10.0)
        assert [evidence.judged(1, match(ADA), t) for t in (11.0, 11.1)] == [None] * 2
        assert evidence.judged(1, match(ADA), 11.2) == Recognised(1, ADA, 0.9)

    def test_nobody_else_is_announced_again(self) -> None:
        evidence = Evidence(RULES)
        assert len(judged(evidence, *[ADA] * 3, *[GRACE] * 3)) == 2
        evidence.refused(1, ADA, again_at=2.0)
        assert [evidence.judged(1, match(GRACE), t) for t in (2.1, 2.2, 2.3)] == [None] * 3

    def test_it_is_of_no_account_once_they_are_gone(self) -> None:
        evidence = Evidence(RULES)
        evidence.refused(1, ADA, again_at=0.0)
        assert len(judged(evidence, *[ADA] * 10)) == 1


@pytest.mark.parametrize(
    ("blurred", "ambiguous", "reason"), [(2, 3, AMBIGUOUS), (3, 2, Unfit.BLURRED.value)]
)
def test_every_hindrance_counts_alike(blurred: int, ambiguous: int, reason: str) -> None:
    evidence = Evidence(RULES)
    for t in range(blurred):
        evidence.rejected(1, Unfit.BLURRED, t)
    for t in range(ambiguous):
        evidence.judged(1, match(None, 0.8, ambiguous=True), 10 + t)
    assert evidence.ended(1) == Unidentified(1, reason)


@pytest.mark.parametrize(("lasts_s", "mentioned"), [(0.9, False), (1.0, True)])
def test_a_visit_is_mentioned_that_lasts_as_long_as_set(lasts_s: float, mentioned: bool) -> None:
    evidence = Evidence(RULES)
    evidence.rejected(1, Unfit.TOO_SMALL, 100.0)
    evidence.rejected(1, Unfit.TOO_SMALL, 100.0 + lasts_s)
    assert (evidence.ended(1) is not None) == mentioned


@given(
    votes=st.lists(
        st.tuples(st.sampled_from([ADA, GRACE, None]), st.floats(0.01, 1.0)), max_size=40
    )
)
def test_whatever_comes_a_recognition_has_its_agreement(votes) -> None:  # type: ignore[no-untyped-def]
    evidence = Evidence(RULES)
    now = 0.0
    history: list[tuple[float, Person | None]] = []
    announced: list[tuple[int, Person]] = []
    strangers = 0
    for person, step in votes:
        now += step
        history.append((now, person))
        verdict = evidence.judged(1, match(person), now)
        if isinstance(verdict, Recognised):
            recent = [who for t, who in history[-5:] if now - t <= RULES.window_s]
            assert recent.count(verdict.person) >= RULES.agree_frames
            assert verdict.person == person
            announced.append((verdict.visit, verdict.person))
        elif isinstance(verdict, Stranger):
            strangers += 1
            assert not announced
            assert [who for _, who in history[-RULES.stranger_frames :]] == [None] * 4
    assert len(announced) == len(set(announced)), "once a visit"
    visits = [visit for visit, _ in announced]
    assert visits == sorted(visits)
    assert len(set(visits)) == len(visits), "one person a visit"
    assert strangers <= 1


class TestSomebodyElseInTheirPlace:
    """Two people who are followed as one face: who comes second must not hide in the first."""

    ADA_FACE, OTHER_FACE = unit(1), unit(0, 1)

    def evidence(self) -> Evidence:
        return Evidence(RULES, alike=0.5)

    def see(
        self, evidence: Evidence, person: Person | None, face: Embedding, times: list[float]
    ) -> list[Verdict]:
        found = [evidence.judged(1, match(person), t, face) for t in times]
        return [one for one in found if one]

    def test_a_stranger_after_a_grant_is_a_visit_of_their_own(self) -> None:
        evidence = self.evidence()
        (ada,) = self.see(evidence, ADA, self.ADA_FACE, [0.0, 0.2, 0.4])
        (stranger,) = self.see(evidence, None, self.OTHER_FACE, [1.0, 1.5, 2.0, 2.5, 3.0])
        assert (ada.visit, stranger.visit) == (1, 2)
        assert isinstance(stranger, Stranger)
        assert evidence.visit(1, 3.0) == 2

    def test_a_colleague_in_bad_light_is_no_stranger(self) -> None:
        evidence = self.evidence()
        self.see(evidence, ADA, self.ADA_FACE, [0.0, 0.2, 0.4])
        assert self.see(evidence, None, self.ADA_FACE, [1.0 + step for step in range(30)]) == []
        assert evidence.visit(1, 40.0) == 1

    def test_somebody_else_enrolled_is_a_visit_of_their_own_too(self) -> None:
        evidence = self.evidence()
        self.see(evidence, ADA, self.ADA_FACE, [0.0, 0.2, 0.4])
        (grace,) = self.see(evidence, GRACE, self.OTHER_FACE, [5.0, 5.2, 5.4])
        assert grace == Recognised(2, GRACE, pytest.approx(0.9))
        (ada,) = self.see(evidence, ADA, self.ADA_FACE, [9.0, 9.2, 9.4])
        assert ada == Recognised(3, ADA, pytest.approx(0.9))

    def test_after_stranger_and_grant_the_next_stranger_is_told_of(self) -> None:
        evidence = self.evidence()
        times = [0.0, 0.5, 1.0, 1.5]
        (first,) = self.see(evidence, None, self.ADA_FACE, times)
        (ada,) = self.see(evidence, ADA, self.ADA_FACE, [2.0, 2.2, 2.4])
        assert (first.visit, ada.visit) == (1, 1)
        (second,) = self.see(evidence, None, self.OTHER_FACE, [t + 5.0 for t in times])
        assert (type(second), second.visit) == (Stranger, 2)

    def test_a_stranger_is_told_of_once_however_long_they_stay(self) -> None:
        evidence = self.evidence()
        self.see(evidence, ADA, self.ADA_FACE, [0.0, 0.2, 0.4])
        told = self.see(evidence, None, self.OTHER_FACE, [1.0 + step / 2 for step in range(100)])
        assert len(told) == 1

    def test_what_a_strangers_frames_have_in_common_goes_with_the_verdict(self) -> None:
        evidence = self.evidence()
        (stranger,) = self.see(evidence, None, self.OTHER_FACE, [0.0, 0.5, 1.0, 1.5])
        assert isinstance(stranger, Stranger)
        assert stranger.face == pytest.approx(self.OTHER_FACE)

    def test_one_vote_for_somebody_else_begins_nothing(self) -> None:
        evidence = self.evidence()
        self.see(evidence, ADA, self.ADA_FACE, [0.0, 0.2, 0.4])
        assert self.see(evidence, None, self.OTHER_FACE, [1.0, 1.5, 2.0]) == []
        assert self.see(evidence, ADA, self.ADA_FACE, [2.5]) == []
        assert evidence.visit(1, 3.0) == 1
