"""The guide: what it asks for, what it takes, and what it never takes."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enroll.guide import Guide
from enroll.poses import GOALS, Advice, CapturePlan, Hint, Observed, Pose
from lockd.types import Box, Embedding, Unfit
from lockd.vision.quality import Limits, Quality

PLAN = CapturePlan(accept=0.5)
STEP_S = 0.2
SIZE = 64


def somebody(number: int) -> Embedding:
    vector = np.zeros(SIZE, np.float32)
    vector[number] = 1
    return vector


@functools.cache
def shot_of(person: int, moment: int, spread: float = 0.3) -> Embedding:
    """One frame of somebody: like the others of them, but not the same."""
    noise = np.random.default_rng([person, moment]).normal(size=SIZE).astype(np.float32)
    vector = somebody(person) + np.float32(spread) * noise / np.linalg.norm(noise)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def face(
    yaw: float = 0.0,
    pitch: float = 0.55,
    *,
    x: float = 100.0,
    size: float = 200.0,
    unfit: Unfit | None = None,
) -> Observed:
    quality = Quality(size, 1.0, 120.0, 0.5, yaw, pitch, 0.99)
    return Observed(Box(x, 50.0, x + size * 0.8, 50.0 + size), quality, unfit)


POSES = {
    Pose.FRONTAL: face(),
    Pose.LEFT: face(yaw=0.22),
    Pose.RIGHT: face(yaw=-0.22),
    Pose.UP: face(pitch=0.44),
    Pose.DOWN: face(pitch=0.66),
}


@dataclass
class Sitting:
    """A guide, and what it said to one frame after the other."""

    guide: Guide = field(default_factory=lambda: Guide(PLAN))
    t: float = 0.0
    moment: int = 0
    heard: list[Advice] = field(default_factory=list)

    def show(
        self, *faces: Observed, person: int = 0, times: int = 1, spread: float = 0.3
    ) -> Advice:
        """Show the same, frame after frame; returns the last answer."""
        for _ in range(times):
            self.t += STEP_S
            self.moment += 1
            embedding = shot_of(person, self.moment, spread)
            self.heard.append(self.guide.see(faces, lambda _, one=embedding: one, self.t))
        return self.heard[-1]

    def begin(self, person: int = 0) -> None:
        """Up to the first frame taken."""
        advice = self.show(face(), person=person, times=PLAN.first_frames)
        assert advice.take is Pose.FRONTAL

    @property
    def poses(self) -> list[Pose]:
        return [shot.pose for shot in self.guide.taken]


@pytest.fixture
def sitting() -> Sitting:
    return Sitting()


class TestTaking:
    def test_whoever_does_as_told_is_taken_in_every_pose(self, sitting: Sitting) -> None:
        for pose in GOALS:
            sitting.show(POSES[pose], times=PLAN.first_frames + 1)
        assert sitting.poses == list(GOALS)
        assert [one.take for one in sitting.heard if one.take] == list(GOALS)
        assert sitting.guide.missing == []
        assert sitting.show(face()) == Advice(Hint.COMPLETE)

    def test_the_last_one_taken_says_that_it_is_complete(self, sitting: Sitting) -> None:
        for pose in GOALS:
            sitting.show(POSES[pose], times=PLAN.first_frames + 1)
        taken = [one for one in sitting.heard if one.take]
        assert [one.hint for one in taken] == [Hint.TAKEN] * 7 + [Hint.COMPLETE]

    def test_poses_are_taken_in_whatever_order_they_come(self, sitting: Sitting) -> None:
        for pose in (Pose.FRONTAL, Pose.DOWN, Pose.RIGHT, Pose.LEFT, Pose.UP):
            sitting.show(POSES[pose], times=PLAN.first_frames + 1)
        assert sitting.poses == [Pose.FRONTAL, Pose.DOWN, Pose.RIGHT, Pose.LEFT, Pose.UP]

    def test_nothing_but_a_frontal_face_begins(self, sitting: Sitting) -> None:
        for pose in (Pose.LEFT, Pose.RIGHT):
            assert sitting.show(POSES[pose], times=20).hint is Hint.LOOK_STRAIGHT
        assert sitting.poses == []

    def test_the_first_takes_longer_than_the_others(self, sitting: Sitting) -> None:
        sitting.show(face(), times=PLAN.first_frames - 1)
        assert sitting.poses == []
        sitting.show(face())
        assert sitting.poses == [Pose.FRONTAL]
        sitting.t += 10
        sitting.show(POSES[Pose.LEFT], times=PLAN.frames)
        assert sitting.poses == [Pose.FRONTAL, Pose.LEFT]

    def test_between_two_taken_some_time_passes(self, sitting: Sitting) -> None:
        for pose in GOALS * 3:
            sitting.show(POSES[pose], times=PLAN.frames)
        times = [shot.t for shot in sitting.guide.taken]
        assert len(times) == len(GOALS)
        assert np.diff(times).min() >= PLAN.gap_s - 1e-9

    def test_the_last_ones_from_the_front_wait_for_the_other_poses(self, sitting: Sitting) -> None:
        assert sitting.show(face(), times=60).hint is Hint.TURN_LEFT
        assert sitting.poses == [Pose.FRONTAL] * 2

    def test_nearly_the_same_is_not_taken_again(self, sitting: Sitting) -> None:
        advice = sitting.show(face(), times=200, spread=0.05)
        assert sitting.poses == [Pose.FRONTAL]
        assert advice.hint is Hint.VARY
        sitting.show(face(), times=5)
        assert sitting.poses == [Pose.FRONTAL, Pose.FRONTAL]

    def test_whoever_cannot_look_different_is_not_kept_for_the_last_ones(
        self, sitting: Sitting
    ) -> None:
        for pose in GOALS[:-2]:
            sitting.show(POSES[pose], times=PLAN.first_frames + 1)
        assert sitting.guide.missing == [Pose.FRONTAL] * 2
        twin = sitting.guide.taken[0].embedding
        for _ in range(100):
            sitting.t += STEP_S
            advice = sitting.guide.see([face()], lambda _: twin, sitting.t)
        assert advice.hint is Hint.COMPLETE
        assert len(sitting.poses) == len(GOALS) - 2

    def test_a_frame_that_breaks_the_row_makes_it_begin_again(self, sitting: Sitting) -> None:
        for between in ([], [face(unfit=Unfit.BLURRED)], [POSES[Pose.LEFT]], [face(), face(x=500)]):
            sitting.show(face(), times=PLAN.first_frames - 1)
            sitting.show(*between)
        assert sitting.poses == []

    def test_a_pause_breaks_the_row(self, sitting: Sitting) -> None:
        for _ in range(10):
            sitting.show(face(), times=PLAN.first_frames - 1)
            sitting.t += PLAN.pause_s
        assert sitting.poses == []

    def test_a_face_that_moves_is_not_taken(self, sitting: Sitting) -> None:
        for step in range(30):
            advice = sitting.show(face(x=100 + 40 * step))
        assert advice.hint is Hint.HOLD_STILL
        assert sitting.poses == []

    def test_one_who_comes_closer_is_not_still(self, sitting: Sitting) -> None:
        for step in range(12):
            advice = sitting.show(face(size=100 * 1.25**step))
        assert advice.hint is Hint.HOLD_STILL

    def test_networks_without_an_answer_take_nothing(self, sitting: Sitting) -> None:
        nan = np.full(SIZE, np.nan, np.float32)
        for step in range(20):
            advice = sitting.guide.see([face()], lambda _: nan, step * STEP_S)
        assert advice.hint is Hint.UNCOVER
        assert sitting.poses == []


class TestWho:
    def test_somebody_else_is_never_taken_after_the_first(self, sitting: Sitting) -> None:
        sitting.begin(person=0)
        for pose in (Pose.LEFT, Pose.UP):
            assert sitting.show(POSES[pose], person=1, times=5).hint is Hint.NOT_SO_FAR
        assert sitting.show(face(), person=1, times=5).hint is Hint.SOMEBODY_ELSE
        assert sitting.poses == [Pose.FRONTAL]

    def test_people_who_take_turns_are_not_taken(self, sitting: Sitting) -> None:
        for _ in range(20):
            sitting.show(face(), person=0)
            sitting.show(face(), person=1)
        assert sitting.poses == []

    def test_whoever_stays_instead_is_begun_with_anew(self, sitting: Sitting) -> None:
        sitting.begin(person=0)
        steps = round(PLAN.anew_s / STEP_S)
        assert sitting.show(face(), person=1, times=steps).hint is Hint.SOMEBODY_ELSE
        sitting.show(face(), person=1, times=2)
        assert Hint.BEGUN_AGAIN in [one.hint for one in sitting.heard[-2:]]
        assert sitting.poses == []
        sitting.show(face(), person=1, times=PLAN.first_frames)
        assert sitting.poses == [Pose.FRONTAL]

    def test_a_passer_by_does_not_undo_what_was_taken(self, sitting: Sitting) -> None:
        sitting.begin(person=0)
        for _ in range(10):
            sitting.show(face(), person=1, times=15)
            sitting.show(face(), person=0)
        for _ in range(10):
            sitting.show(face(), person=1, times=15)
            sitting.show()
        assert Hint.BEGUN_AGAIN not in [one.hint for one in sitting.heard]
        assert sitting.poses[0] is Pose.FRONTAL

    def test_two_who_could_both_be_meant_are_told(self, sitting: Sitting) -> None:
        beside = face(x=400, size=90)
        assert sitting.show(face(), beside, times=10).hint is Hint.SEVERAL
        large_but_dark = face(x=400, size=150, unfit=Unfit.TOO_DARK)
        assert sitting.show(large_but_dark, face(), times=10).hint is Hint.SEVERAL
        assert sitting.poses == []

    def test_somebody_far_behind_does_not_count(self, sitting: Sitting) -> None:
        behind = face(x=400, size=60, unfit=Unfit.TOO_SMALL)
        advice = sitting.show(behind, face(), times=PLAN.first_frames)
        assert (advice.take, advice.face) == (Pose.FRONTAL, 1)


class TestHints:
    def test_one_who_held_the_head_askew_at_first_is_led_back_to_it(self) -> None:
        sitting = Sitting()
        for pitch in (0.5, 0.5, 0.5, 0.5):
            sitting.show(face(pitch=pitch), times=PLAN.first_frames + 1)
        for pose in (face(yaw=0.2), face(yaw=-0.2), face(pitch=0.4), face(pitch=0.6)):
            sitting.show(pose, times=PLAN.first_frames + 1)
        assert sitting.guide.missing == [Pose.FRONTAL] * 2
        assert sitting.show(face(pitch=0.6)).hint is Hint.STRAIGHT_HIGHER
        assert sitting.show(face(pitch=0.4)).hint is Hint.STRAIGHT_LOWER

    @pytest.mark.parametrize(
        ("faces", "hint"),
        [
            ([], Hint.NOBODY),
            ([face(unfit=Unfit.TOO_SMALL)], Hint.CLOSER),
            ([face(unfit=Unfit.TOO_DARK)], Hint.MORE_LIGHT),
            ([face(unfit=Unfit.TOO_BRIGHT)], Hint.LESS_LIGHT),
            ([face(unfit=Unfit.BLURRED)], Hint.HOLD_STILL),
            ([face(unfit=Unfit.CUT_OFF)], Hint.WHOLE_FACE),
            ([face(unfit=Unfit.HARDLY_A_FACE)], Hint.UNCOVER),
            ([face(yaw=0.6, unfit=Unfit.TURNED_AWAY)], Hint.LOOK_STRAIGHT),
            ([face(yaw=0.2)], Hint.LOOK_STRAIGHT),
            ([face(pitch=0.78)], Hint.STRAIGHT_HIGHER),
            ([face(pitch=0.27)], Hint.STRAIGHT_LOWER),
            ([face()], Hint.STAY),
        ],
    )
    def test_the_first_frame_says_what_is_wrong(
        self, sitting: Sitting, faces: Sequence[Observed], hint: Hint
    ) -> None:
        assert sitting.show(*faces) == Advice(hint)

    def test_every_reason_not_to_judge_a_face_has_a_hint(self, sitting: Sitting) -> None:
        for unfit in Unfit:
            assert sitting.show(face(unfit=unfit)).take is None

    def test_what_is_missing_is_asked_for_in_its_turn(self, sitting: Sitting) -> None:
        sitting.show(face(), times=60)  # what there is to take from the front
        asked = []
        for pose in (Pose.LEFT, Pose.RIGHT, Pose.UP, Pose.DOWN):
            asked.append(sitting.show(face()).hint)
            sitting.show(POSES[pose], times=PLAN.first_frames)
        assert asked == [Hint.TURN_LEFT, Hint.TURN_RIGHT, Hint.CHIN_UP, Hint.CHIN_DOWN]

    @pytest.mark.parametrize("mirrored", [False, True])
    def test_left_is_the_persons_own_left(self, mirrored: bool) -> None:
        # Who turns to their left has the nose on the right of a picture not mirrored.
        sitting = Sitting(Guide(replace(PLAN, mirrored=mirrored)))
        sitting.show(face(), times=40)
        sitting.show(face(yaw=0.22), times=PLAN.frames)
        assert sitting.poses[-1] is (Pose.RIGHT if mirrored else Pose.LEFT)

    def test_one_who_turns_too_far_is_told_so(self, sitting: Sitting) -> None:
        sitting.show(face(), times=40)
        assert sitting.show(face(yaw=0.4)).hint is Hint.NOT_SO_FAR
        assert sitting.show(face(yaw=0.6, unfit=Unfit.TURNED_AWAY)).hint is Hint.NOT_SO_FAR

    def test_up_and_down_are_told_from_how_this_person_looks_straight(self) -> None:
        for straight in (0.4, 0.55, 0.68):
            sitting = Sitting()
            sitting.show(face(pitch=straight), times=40)
            assert set(sitting.poses) == {Pose.FRONTAL}
            sitting.show(face(pitch=straight - 0.11), times=PLAN.frames)
            assert sitting.poses[-1] is Pose.UP

    @pytest.mark.parametrize(("straight", "left_out"), [(0.3, Pose.UP), (0.75, Pose.DOWN)])
    def test_what_the_limits_leave_no_room_for_is_not_asked_for(
        self, straight: float, left_out: Pose
    ) -> None:
        limits = Limits()
        sitting = Sitting(Guide(replace(PLAN, limits=limits)))
        sitting.show(face(pitch=straight), times=PLAN.first_frames)
        assert sitting.poses == [Pose.FRONTAL]
        assert left_out not in sitting.guide.goals
        assert len(sitting.guide.goals) == len(GOALS) - 1


@dataclass
class Obedient:
    """Somebody who does what the hints say, as well as people do."""

    straight: float
    clumsiness: float
    random: np.random.Generator
    mirrored: bool = False
    yaw: float = 0.3
    pitch: float = 0.3
    size: float = 70.0
    lively: float = 0.3

    def do(self, hint: Hint) -> None:
        step = 0.05 * (1 + self.clumsiness * self.random.random())
        towards_left = -step if self.mirrored else step
        match hint:
            case Hint.TURN_LEFT:
                self.yaw += towards_left
            case Hint.TURN_RIGHT:
                self.yaw -= towards_left
            case Hint.CHIN_UP | Hint.STRAIGHT_HIGHER:
                self.pitch -= step / 2
            case Hint.CHIN_DOWN | Hint.STRAIGHT_LOWER:
                self.pitch += step / 2
            case Hint.LOOK_STRAIGHT:
                self.yaw *= 0.6
                self.pitch += (self.straight - self.pitch) * 0.4
            case Hint.NOT_SO_FAR:
                self.yaw *= 0.8
                self.pitch += (self.straight - self.pitch) * 0.2
            case Hint.CLOSER:
                self.size *= 1.1

    def seen(self) -> Observed:
        jitter = self.random.normal(0, 0.01, 2)
        yaw, pitch = self.yaw + jitter[0], self.pitch + jitter[1]
        unfit = None
        if self.size < 80:
            unfit = Unfit.TOO_SMALL
        elif abs(yaw) > 0.45 or not 0.25 <= pitch <= 0.8:
            unfit = Unfit.TURNED_AWAY
        return face(yaw, pitch, size=self.size, unfit=unfit)


@settings(max_examples=50, deadline=None)
@given(
    straight=st.floats(0.34, 0.71),
    clumsiness=st.floats(0, 1),
    fps=st.floats(1, 15),
    mirrored=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_whoever_does_what_the_hints_say_is_done_within_two_minutes(
    straight: float, clumsiness: float, fps: float, mirrored: bool, seed: int
) -> None:
    guide = Guide(replace(PLAN, mirrored=mirrored))
    person = Obedient(straight, clumsiness, np.random.default_rng(seed), mirrored)
    t, moment = 0.0, 0
    while guide.missing:
        t += 1 / fps
        moment += 1
        assert t < 120, (guide.missing, person)
        embedding = shot_of(0, moment)
        advice = guide.see([person.seen()], lambda _, one=embedding: one, t)
        person.do(advice.hint)
    assert Counter(shot.pose for shot in guide.taken) == Counter(guide.goals)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[tuple[Observed, int]], float]:
    """One frame of anything: who is in it, how, and how long after the last."""
    places = st.sampled_from([100.0, 110.0, 320.0])
    faces = st.builds(
        face,
        st.sampled_from([0.0, 0.05, 0.12, 0.22, -0.22, 0.4]),
        st.sampled_from([0.35, 0.45, 0.55, 0.65, 0.75]),
        x=places,
        size=st.sampled_from([60.0, 120.0, 130.0]),
        unfit=st.sampled_from([None, None, None, None, *Unfit]),
    )
    seen = draw(st.lists(st.tuples(faces, st.integers(0, 2)), max_size=2))
    return seen, draw(st.sampled_from([0.1, 0.2, 0.5, 2.0]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(crowds(), st.integers(1, 12)), max_size=25))
def test_whatever_is_shown_only_one_person_is_taken_alone_and_well(
    scenes: list[tuple[tuple[list[tuple[Observed, int]], float], int]],
) -> None:
    guide = Guide(PLAN)
    t, moment = 0.0, 0
    history: list[tuple[list[tuple[Observed, int]], float]] = []
    taken: list[tuple[int, float]] = []
    for (seen, step), times in scenes:
        for _ in range(times):
            t, moment = t + step, moment + 1
            history.append((seen, t))
            embeddings = [shot_of(person, moment) for _, person in seen]
            before = len(guide.taken)
            complete = not guide.missing
            advice = guide.see([one for one, _ in seen], embeddings.__getitem__, t)
            if advice.hint is Hint.BEGUN_AGAIN:
                assert guide.taken == []
                taken.clear()
            if advice.take is None:
                assert len(guide.taken) in (0, before)
                continue
            assert not complete
            chosen, person = seen[advice.face]
            # Fit, and nobody else who could be meant.
            assert chosen.unfit is None
            assert sum(one.unfit is None for one, _ in seen) == 1
            # The same person as all the others, and for some frames on end.
            assert {one for one, _ in taken} <= {person}
            row = history[-(PLAN.frames if taken else PLAN.first_frames) :]
            assert len(row) == (PLAN.frames if taken else PLAN.first_frames)
            for others, _ in row:
                nearest = max(others, key=lambda one: one[0].quality.size_px)
                assert nearest[1] == person
            assert np.diff([when for _, when in row]).max() <= PLAN.pause_s
            # Not too soon, and unlike those before.
            assert not taken or t - taken[-1][1] >= PLAN.gap_s
            earlier = guide.taken[:-1]
            assert all(
                float(one.embedding @ embeddings[advice.face]) <= PLAN.twins for one in earlier
            )
            taken.append((person, t))
            assert not Counter(one.pose for one in guide.taken) - Counter(GOALS)
            assert guide.taken[0].pose is Pose.FRONTAL
