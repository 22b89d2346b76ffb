"""What counts as a turn that was asked, and what does not."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.identity.challenge import (
    Challenge,
    ChallengeRules,
    Failed,
    Failure,
    Outcome,
    Passed,
    Prompt,
    nose_shift,
)
from lockd.types import Embedding, Face
from tests.fakes import unit
from tests.turning import ADAS, GRACES, Turner, challenged, face_turned, looped

FRONT, LEFT, RIGHT = Prompt.FRONT, Prompt.LEFT, Prompt.RIGHT
RULES = ChallengeRules()


class Drawn(random.Random):
    """What is drawn is written down: the sides, and how much of the range a pause takes."""

    def __init__(self, *sides: Prompt, pause: float = 0.0) -> None:
        super().__init__(1)
        self._sides = list(sides)
        self._pause = pause

    def choice(self, seq: object) -> Prompt:  # type: ignore[override]
        assert list(seq) == [LEFT, RIGHT]  # type: ignore[call-overload]
        return self._sides.pop(0)

    def uniform(self, a: float, b: float) -> float:
        return a + self._pause * (b - a)


class Story:
    """A challenge that asks for LEFT and RIGHT, told frame by frame from 100 s on."""

    def __init__(
        self,
        *sides: Prompt,
        rules: ChallengeRules = RULES,
        pause: float = 0.0,
        mirrored: bool = False,
        known: Embedding | None = None,
    ) -> None:
        self.t = 100.0
        self.challenge = Challenge(
            rules,
            now=self.t,
            rng=Drawn(*(sides or (LEFT, RIGHT)), pause=pause),
            mirrored=mirrored,
            known=known,
        )

    def see(
        self,
        shift: float,
        after: float = 0.125,
        *,
        who: Embedding | None = ADAS,
        x: float = 320.0,
        side: float = 120.0,
        roll: float = 0.0,
    ) -> Story:
        """A frame so much later with the nose so far to the image's right."""
        face = face_turned(shift, x=x, side=side, roll=roll)
        return self.look(face, who, after)

    def look(self, face: Face | None, who: Embedding | None, after: float = 0.125) -> Story:
        self.t += after
        self.challenge.seen(self.t, face, who)
        return self

    def film(self, *shifts: float, after: float = 0.125) -> Story:
        for shift in shifts:
            self.see(shift, after)
        return self

    def asked(self) -> Story:
        """Look at the camera until a turn is asked; the last frame so far is the one."""
        while self.prompt is FRONT and self.outcome is None:
            self.see(0.0)
        return self

    def turned(self, sign: int = 1) -> Story:
        """Turn as people do, some time after it was asked, and come back."""
        self.film(0.0, 0.0, *(sign * shift for shift in (0.05, 0.15, 0.22, 0.30)))
        return self.film(*(sign * shift for shift in (0.36, 0.3, 0.15, 0.05)))

    @property
    def prompt(self) -> Prompt:
        return self.challenge.prompt

    @property
    def outcome(self) -> Outcome | None:
        return self.challenge.outcome


def failed(reason: Failure) -> Failed:
    return Failed(reason)


# What is measured.


@pytest.mark.parametrize("shift", [-0.6, -0.25, 0.0, 0.1, 0.25, 0.6])
@pytest.mark.parametrize("roll", [0.0, 30.0, -90.0, 180.0])
@pytest.mark.parametrize("side", [30.0, 300.0])
def test_the_shift_is_in_eye_distances_however_the_face_is_held(
    shift: float, roll: float, side: float
) -> None:
    face = face_turned(shift, x=50.0, y=900.0, side=side, roll=roll)
    assert nose_shift(face) == pytest.approx(shift, abs=1e-4)


def test_a_flat_picture_tilted_away_keeps_its_shift() -> None:
    face = face_turned(0.1)
    tilted = replace(face, landmarks=face.landmarks @ np.array([[0.3, 0.1], [0.0, 1.0]], "f4"))
    level = replace(face, landmarks=face.landmarks * np.array([0.3, 1.0], "f4"))
    assert nose_shift(level) == pytest.approx(0.1, abs=1e-5)
    assert abs(nose_shift(tilted)) < RULES.least_shift


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_landmark_that_is_no_number_has_no_shift(value: float) -> None:
    face = face_turned(0.3)
    for place in np.ndindex(5, 2):
        landmarks = face.landmarks.copy()
        landmarks[place] = value
        assert math.isnan(nose_shift(replace(face, landmarks=landmarks)))


def test_eyes_in_one_point_have_no_shift() -> None:
    face = face_turned(0.3)
    face.landmarks[1] = face.landmarks[0]
    assert math.isnan(nose_shift(face))


# Who does as asked.


def test_whoever_turns_as_asked_passes() -> None:
    story = Story()
    assert story.prompt is FRONT
    assert story.asked().prompt is LEFT
    assert story.turned().prompt is FRONT
    assert story.outcome is None
    assert story.asked().prompt is RIGHT
    assert story.turned(-1).outcome == Passed()
    assert story.prompt is FRONT


def test_left_is_that_of_whoever_turns_in_a_mirror_too() -> None:
    story = Story(mirrored=True).asked().turned(-1).asked()
    assert story.turned().outcome == Passed()
    assert Story(mirrored=True).asked().turned().outcome == failed(Failure.WRONG_TURN)


def test_the_same_side_may_be_asked_twice_and_a_third_turn() -> None:
    story = Story(RIGHT, RIGHT, LEFT, rules=ChallengeRules(turns=3))
    for sign in (-1, -1, 1):
        assert story.outcome is None
        story.asked().turned(sign)
    assert story.outcome == Passed()


@pytest.mark.parametrize("turns", [-1, 0, 1, 4])
def test_a_challenge_asks_for_two_or_three_turns(turns: int) -> None:
    with pytest.raises(ValueError, match=f"2 or 3 turns, not for {turns}"):
        ChallengeRules(turns=turns)


@pytest.mark.parametrize(
    ("fps", "moves_s", "jitter"),
    [(25, (0.4, 0.9), 0.02), (10, (0.4, 0.9), 0.02), (5, (0.6, 1.0), 0.02), (4, (0.8, 1.2), 0.02),
     (3, (0.9, 1.2), 0.01)],
)  # fmt: skip
def test_people_pass_at_any_frame_rate(
    fps: int, moves_s: tuple[float, float], jitter: float
) -> None:
    outcomes = []
    for seed in range(100):
        rng = random.Random(seed)
        turner = Turner(rng, moves_s=moves_s, rest=rng.uniform(-0.06, 0.06))
        outcome, t = challenged(RULES, seed, turner, fps=fps, jitter=jitter)
        outcomes.append(outcome)
        assert t < 8.5
    assert outcomes.count(Passed()) >= 95, Counter(outcomes)


def test_sides_and_pauses_are_drawn_evenly() -> None:
    asked: Counter[tuple[Prompt, ...]] = Counter()
    pauses = []
    for seed in range(400):
        story = Story()
        story.challenge = Challenge(RULES, now=story.t, rng=random.Random(seed))
        first = story.asked().prompt
        pauses.append(story.t - 100.125)
        sign = 1 if first is LEFT else -1
        asked[first, story.turned(sign).asked().prompt] += 1
    assert set(asked) == {(one, two) for one in (LEFT, RIGHT) for two in (LEFT, RIGHT)}
    assert max(asked.values()) < 140
    assert 0.3 <= min(pauses) < 0.45
    assert 0.9 < max(pauses) <= 1.0 + 0.125


def test_whoever_was_looking_aside_is_waited_for() -> None:
    story = Story().film(*[0.2] * 4)
    assert (story.prompt, story.outcome) == (FRONT, None)
    assert story.asked().prompt is LEFT


def test_a_head_that_swings_on_its_way_back_is_waited_for() -> None:
    story = Story().film(0.3, 0.11).see(0.17, 0.1)
    assert story.outcome is None
    # The pause begins anew, and ends at the front only.
    assert story.film(0.11, 0.0, 0.0).prompt is FRONT
    assert story.see(0.13).prompt is FRONT
    assert story.see(0.119).prompt is LEFT


def test_a_pause_is_waited_for_to_its_end() -> None:
    story = Story(pause=1.0).film(*[0.0] * 8)  # 0.875 s since the first
    assert story.prompt is FRONT
    assert story.see(0.0).prompt is LEFT


# Who does not.


def test_a_still_is_out_of_time() -> None:
    story = Story().asked().film(*[0.0] * 16)
    assert story.outcome is None
    assert story.see(0.0).outcome == failed(Failure.TIME_OVER)
    assert story.turned().outcome == failed(Failure.TIME_OVER)


def test_a_turn_that_stops_short_is_out_of_time() -> None:
    story = Story().asked().film(0.0, 0.1, 0.2, *[0.2499] * 21)
    assert (story.prompt, story.outcome) == (LEFT, None)
    assert story.see(0.2499).outcome == failed(Failure.TIME_OVER)


def test_a_turn_may_take_three_seconds_and_no_longer() -> None:
    for extra, outcome in ((0, None), (1, failed(Failure.TIME_OVER))):
        story = Story().asked().film(0.0, 0.1, 0.2, *[0.2] * (20 + extra))
        assert story.see(0.28).outcome == outcome
        assert story.prompt is (LEFT if outcome else FRONT)


def test_a_turn_to_the_other_side_fails_at_once() -> None:
    story = Story().asked().film(0.0, -0.08, -0.16)
    assert story.outcome is None
    assert story.see(-0.1601).outcome == failed(Failure.WRONG_TURN)


def test_a_turn_that_was_recorded_too_early_fails() -> None:
    story = Story(pause=1.0).film(0.0, 0.0, 0.0, 0.08, 0.16)
    assert story.outcome is None
    assert story.see(0.1601).outcome == failed(Failure.TOO_EARLY)


def test_whoever_leans_in_the_pause_is_not_asked_before_they_look_again() -> None:
    story = Story().film(*[0.0] * 3, *[0.14] * 10)
    assert (story.prompt, story.outcome) == (FRONT, None)
    assert story.see(0.1).prompt is LEFT


def test_nobody_turns_the_moment_they_are_asked() -> None:
    assert Story().asked().see(0.17, 0.19).outcome == failed(Failure.TOO_EARLY)
    assert Story().asked().see(0.17, 0.2001).outcome is None


def test_a_turn_begins_in_time() -> None:
    for last, outcome in ((0.12, None), (0.13, failed(Failure.TIME_OVER))):
        story = Story().asked().film(*[0.0] * 15)
        assert story.see(0.17, last).outcome == outcome


def swapped(*shifts: float, times: int = 2) -> Story:
    """Photographs held before the camera, exchanged between two frames."""
    story = Story(LEFT, *[LEFT] * times)
    for _ in range(times):
        story.asked().film(0.0, 0.0, *shifts)
    return story


@pytest.mark.parametrize("left", [0.25, 0.28, 0.3, 0.4, 0.7])
def test_swapped_photographs_do_not_pass(left: float) -> None:
    story = swapped(left, left, left, left)
    assert not isinstance(story.outcome, Passed)
    story = Story(LEFT, LEFT, LEFT).asked().film(0.0, 0.0, left, left, left)
    assert story.challenge.outcome != Passed()


def test_swapped_photographs_in_a_shaking_hand_do_not_pass() -> None:
    for seed in range(300):
        rng = random.Random(seed)
        for fps in (4, 10, 25):
            challenge = Challenge(RULES, now=0.0, rng=random.Random(seed))
            t, heard = 0.0, math.inf
            while challenge.outcome is None:
                t += 1 / fps
                side = {FRONT: 0.0, LEFT: 0.3, RIGHT: -0.3}[challenge.prompt]
                heard = min(heard, t) if side else math.inf
                shift = (side if t - heard > 0.4 else 0.0) + rng.uniform(-0.03, 0.03)
                challenge.seen(t, face_turned(shift), ADAS)
            assert challenge.outcome != Passed()


def test_a_turn_too_quick_to_follow_is_asked_once_more() -> None:
    story = Story(LEFT, RIGHT, RIGHT).asked().film(0.0, 0.0, 0.31)
    assert (story.prompt, story.outcome) == (FRONT, None)
    assert story.film(0.3, 0.1).asked().prompt is RIGHT
    story.turned(-1)
    assert story.outcome is None  # two turns are still two turns
    assert story.asked().turned(-1).outcome == Passed()


def test_a_second_turn_too_quick_to_follow_fails() -> None:
    story = Story(LEFT, RIGHT, RIGHT).asked().film(0.0, 0.0, 0.31, 0.1).asked()
    assert story.film(0.0, 0.0, -0.31).outcome == failed(Failure.JUMP)


@pytest.mark.parametrize(
    ("step", "after", "followed"),
    [(0.159, 0.04, True), (0.161, 0.04, False), (0.249, 0.1, True), (0.251, 0.1, False),
     (0.299, 0.2, True), (0.301, 0.2, False), (0.301, 0.6, False)],
)  # fmt: skip
def test_so_far_a_head_turns_between_two_frames(step: float, after: float, followed: bool) -> None:
    story = Story(LEFT, RIGHT, RIGHT).asked().film(-0.05, -0.05, -0.05).see(step - 0.05, after)
    assert story.prompt is (LEFT if followed else FRONT)


def test_an_angle_in_the_middle_of_the_turn_must_be_seen() -> None:
    # Eight hundredths beyond that at which it was asked, and as many before the last one.
    assert Story().asked().film(0.0, 0.0, 0.081, 0.26).prompt is FRONT
    assert Story().asked().film(0.0, 0.0, 0.079, 0.26).prompt is LEFT
    assert Story().asked().film(0.0, 0.0, 0.24, 0.319).prompt is LEFT
    assert Story().asked().film(0.0, 0.0, 0.24, 0.321).prompt is FRONT


def test_the_middle_counts_from_the_angle_at_which_it_was_asked() -> None:
    leaning = Story().film(*[0.1] * 4)
    assert leaning.prompt is LEFT
    assert leaning.film(0.1, 0.179, 0.25).prompt is LEFT
    leaning = Story(RIGHT, LEFT).film(*[0.1] * 4)
    assert leaning.film(0.1, 0.021, -0.02, -0.14, -0.26).prompt is FRONT


def test_an_angle_seen_before_the_head_was_back_is_none_of_this_turn() -> None:
    story = Story().asked().film(0.0, 0.0, 0.1, 0.0, 0.28)
    assert (story.prompt, story.outcome) == (LEFT, None)


def test_a_photograph_slid_in_beside_the_other_is_a_jump() -> None:
    story = Story().asked()
    for x in (320, 350, 380):
        story.see(0.0, x=x)
    assert story.outcome is None
    assert story.see(0.2, x=290).outcome == failed(Failure.JUMP)


@pytest.mark.parametrize(
    ("after", "x", "same"),
    [(0.1, 320 + 38, True), (0.1, 320 + 39, False), (0.1, 320 - 39, False),
     (0.5, 320 + 95, True), (0.5, 320 + 97, False)],
)  # fmt: skip
def test_so_far_a_face_moves_between_two_frames(after: float, x: float, same: bool) -> None:
    story = Story().see(0.0).see(0.0, after, x=x)
    assert story.outcome == (None if same else failed(Failure.JUMP))


@pytest.mark.parametrize(
    ("after", "factor", "same"),
    [(0.1, math.exp(0.255), True), (0.1, math.exp(0.265), False), (0.1, math.exp(-0.265), False),
     (0.5, math.exp(0.495), True), (0.5, math.exp(0.505), False)],
)  # fmt: skip
def test_so_much_a_face_grows_between_two_frames(after: float, factor: float, same: bool) -> None:
    story = Story().see(0.0).see(0.0, after, side=120 * factor)
    assert story.outcome == (None if same else failed(Failure.JUMP))


def test_a_face_that_is_not_seen_for_a_moment_may_be_another() -> None:
    story = Story().film(0.0).look(None, None, 0.04).look(None, None, 0.04)
    assert story.outcome is None
    assert story.see(0.0, 0.04).look(None, None, 0.04).look(None, None, 0.04).outcome is None
    assert story.look(None, None, 0.04).outcome == failed(Failure.GAP)


def test_frames_that_are_too_far_apart_are_a_gap() -> None:
    assert Story().see(0.0).see(0.0, 0.69).outcome is None
    assert Story().see(0.0).see(0.0, 0.71).outcome == failed(Failure.GAP)
    assert Story().see(0.0).look(None, None, 0.35).see(0.0, 0.36).outcome == failed(Failure.GAP)
    assert Story().see(0.0, 0.71).outcome == failed(Failure.GAP)


def test_another_face_in_its_place_fails() -> None:
    assert Story().see(0.0).see(0.0, who=GRACES).outcome == failed(Failure.OTHER_FACE)
    turning = Story().asked().film(0.0, 0.0, 0.1)
    assert turning.see(0.2, who=GRACES).outcome == failed(Failure.OTHER_FACE)


def like(similarity: float, other: Embedding = ADAS, towards: Embedding = GRACES) -> Embedding:
    return np.asarray(similarity * other + math.sqrt(1 - similarity**2) * towards, np.float32)


def test_who_is_alike_from_frame_to_frame_is_the_same() -> None:
    assert Story().see(0.2).see(0.2, who=like(0.501)).outcome is None
    assert Story().see(0.2).see(0.2, who=like(0.499)).outcome == failed(Failure.OTHER_FACE)


def test_who_becomes_another_step_by_step_is_another_at_the_front() -> None:
    on_the_way = [like(math.cos(angle)) for angle in np.linspace(0, math.pi / 2, 12)]
    story = Story().see(0.0)
    for who in on_the_way:
        story.see(0.15, who=who)
    assert story.outcome is None
    assert story.see(0.119, who=GRACES).outcome == failed(Failure.OTHER_FACE)


def test_the_first_face_must_be_that_which_was_recognised() -> None:
    assert Story(known=GRACES).see(0.0).outcome == failed(Failure.OTHER_FACE)
    assert Story(known=like(0.501)).see(0.0).outcome is None
    assert Story(known=unit(math.nan)).see(0.0).outcome == failed(Failure.OTHER_FACE)


def test_a_cut_out_that_is_turned_in_its_plane_does_not_turn() -> None:
    story = Story()
    for step in range(60):
        story.see(0.03, roll=10.0 * step)
    assert story.outcome == failed(Failure.TIME_OVER)


def test_a_print_that_is_bent_to_and_fro_does_not_pass() -> None:
    # Bent as far as any print was, in time with what is asked.
    story = Story().asked()
    for step in range(80):
        story.see(0.225 * math.sin(step / 4))
    assert isinstance(story.outcome, Failed)


def test_a_telephone_that_is_shaken_does_not_pass() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        challenge = Challenge(RULES, now=0.0, rng=random.Random(seed))
        t = 0.0
        while challenge.outcome is None:
            t += 0.1
            face = face_turned(
                rng.gauss(0.0, 0.08), x=320 + rng.gauss(0.0, 12.0), roll=rng.gauss(0.0, 20.0)
            )
            challenge.seen(t, face, ADAS)
        assert challenge.outcome != Passed()


def test_a_video_that_turns_by_turns_seldom_comes_in_time() -> None:
    passed = tried = 0
    for seed in range(300):
        rng = random.Random(seed)
        outcome = looped(RULES, seed, rng.uniform(2, 6), rng.uniform(0.0, 0.7))
        passed, tried = passed + (outcome == Passed()), tried + 1
    assert 0 < passed / tried < 0.15


@pytest.mark.parametrize("turns", [2, 3])
def test_a_recording_that_is_held_until_it_is_asked_guesses_the_sides(turns: int) -> None:
    rules = ChallengeRules(turns=turns)
    sides = [LEFT, RIGHT, LEFT][:turns]
    passed = 0
    for seed in range(400):
        turner = Turner(random.Random(seed), reacts_s=(0.3, 0.3), moves_s=(0.5, 0.5))
        todo = list(sides)
        challenge = Challenge(rules, now=0.0, rng=random.Random(seed))
        t, before = 0.0, FRONT
        while challenge.outcome is None:
            t += 0.05
            challenge.seen(t, face_turned(turner.shift(t)), ADAS)
            if challenge.prompt is not before:
                before = challenge.prompt
                turner.hears(FRONT if before is FRONT or not todo else todo.pop(0), t)
        passed += challenge.outcome == Passed()
    assert rules.guessed == 0.5**turns
    assert passed / 400 == pytest.approx(rules.guessed, abs=0.06)


# Heads in profile, of which a detector sees little.


def in_profile() -> Story:
    """Asked for LEFT, turned so far that the face is lost, and not seen for three frames."""
    story = Story(LEFT, RIGHT, RIGHT).asked().film(0.0, 0.0, 0.1, 0.2)
    return story.look(None, None).look(None, None).look(None, None)


def test_a_face_lost_in_profile_is_asked_once_more() -> None:
    story = in_profile()
    assert (story.prompt, story.outcome) == (FRONT, None)
    assert story.look(None, None, 0.5).film(0.2, 0.1).asked().prompt is RIGHT
    story.turned(-1)
    assert story.outcome is None  # two turns are still two turns
    assert story.asked().turned(-1).outcome == Passed()


def test_a_face_lost_in_profile_a_second_time_fails() -> None:
    story = in_profile().film(0.2, 0.1).asked().film(0.0, 0.0, -0.1, -0.2)
    for _ in range(2):
        assert story.look(None, None).outcome is None
    assert story.look(None, None).outcome == failed(Failure.GAP)


def test_a_face_lost_before_it_turned_or_for_too_long_fails() -> None:
    story = Story().asked().film(0.0, 0.0, 0.1, 0.15)
    assert story.look(None, None).look(None, None).outcome is None
    assert story.look(None, None).outcome == failed(Failure.GAP)
    assert in_profile().look(None, None, 1.4).outcome is None
    assert in_profile().look(None, None, 1.5).outcome == failed(Failure.GAP)


def test_who_was_lost_in_profile_comes_back_as_the_same() -> None:
    story = in_profile().see(0.2, who=GRACES)
    assert story.outcome is None  # not seen, as far as anybody knows
    back = in_profile().film(0.1, 0.0, 0.0, 0.0)
    assert back.see(0.0, who=GRACES).outcome == failed(Failure.OTHER_FACE)
    for _ in range(14):
        story.see(0.0, who=GRACES)
    assert story.outcome == failed(Failure.GAP)


def test_on_the_way_back_a_profile_may_look_like_somebody_else() -> None:
    story = Story(known=ADAS).asked().film(0.0, 0.0, 0.1, 0.2, 0.3)
    assert story.prompt is FRONT
    assert story.see(0.4, who=GRACES).see(0.05, who=GRACES).outcome is None
    assert story.film(0.3, 0.2, 0.1).asked().prompt is RIGHT


def test_a_front_that_is_seen_for_a_moment_only_may_be_a_mistake() -> None:
    story = Story().asked().film(0.0, 0.0, 0.1, 0.2, 0.3)
    story.film(0.02, 0.05, 0.25, 0.3, 0.25, 0.2)
    assert (story.prompt, story.outcome) == (FRONT, None)
    assert story.film(0.1).asked().prompt is RIGHT


def test_on_its_way_out_a_profile_that_looks_like_somebody_else_was_not_seen() -> None:
    story = Story(known=ADAS).asked().film(0.0, 0.0, 0.1, 0.2).see(0.22, who=GRACES)
    assert story.film(0.24, 0.3).prompt is FRONT
    story = Story(LEFT, RIGHT, RIGHT, known=ADAS).asked().film(0.0, 0.0, 0.1, 0.2)
    story.see(0.22, who=GRACES).see(0.26, who=GRACES)
    assert (story.prompt, story.outcome) == (LEFT, None)
    assert story.see(0.3, who=GRACES).prompt is FRONT  # lost, and asked once more
    assert story.film(0.2, 0.1).asked().prompt is RIGHT


# What ends it.


def test_it_is_over_after_eight_seconds() -> None:
    story = Story().film(*[0.2] * 63)
    assert story.outcome is None
    assert story.see(0.2).outcome is None  # at 8 s sharp
    assert story.see(0.2, 0.001).outcome == failed(Failure.TIME_OVER)


def test_a_turn_that_passes_after_the_end_does_not_count() -> None:
    story = Story(rules=replace(RULES, longest_s=2.8)).asked().turned().asked()
    assert story.outcome is None
    assert story.turned(-1).outcome == failed(Failure.TIME_OVER)


def test_the_clock_ends_it_without_a_frame() -> None:
    story = Story().see(0.0)
    assert story.challenge.next_deadline == pytest.approx(102.625)
    story.challenge.pass_time(102.6)
    assert story.outcome is None
    story.challenge.pass_time(102.63)
    assert story.outcome == failed(Failure.GAP)


def test_the_clock_ends_it_though_frames_come() -> None:
    story = Story().film(*[0.2] * 60)
    assert story.challenge.next_deadline == 108.0
    story.challenge.pass_time(108.0)
    assert story.outcome is None
    story.challenge.pass_time(108.01)
    assert story.outcome == failed(Failure.TIME_OVER)


def test_nothing_changes_how_it_ended() -> None:
    story = Story().asked().turned().asked().turned(-1)
    story.see(0.0, who=GRACES).look(None, None, 5.0).challenge.pass_time(1e6)
    assert story.outcome == Passed()
    story = Story().see(0.0, 5.0)
    story.challenge.pass_time(1e6)
    assert story.outcome == failed(Failure.GAP)


def test_a_frame_that_is_not_later_is_left_out() -> None:
    story = Story().asked().see(0.0)
    for after in (0.0, -0.1):
        assert story.see(-0.5, after).outcome is None


def test_a_time_that_is_no_number_ends_it() -> None:
    assert Story().see(0.0, math.nan).outcome == failed(Failure.TIME_OVER)
    story = Story()
    story.challenge.pass_time(math.nan)
    assert isinstance(story.outcome, Failed)


def spoilt(face: Face, who: Embedding, what: int) -> tuple[Face, Embedding]:
    """The same with something that is no number."""
    if what < 10:
        landmarks = face.landmarks.copy()
        landmarks[what // 2, what % 2] = math.nan
        return replace(face, landmarks=landmarks), who
    if what < 14:
        name = ("x0", "y0", "x1", "y1")[what - 10]
        return replace(face, box=replace(face.box, **{name: math.nan})), who
    return face, np.where(np.arange(who.size) == what % who.size, np.float32(math.nan), who)


@pytest.mark.parametrize("what", range(16))
def test_what_is_no_number_was_not_seen(what: int) -> None:
    story = Story().see(0.0)
    for _ in range(3):
        assert story.outcome is None
        story.look(*spoilt(face_turned(0.0), ADAS, what))
    assert story.outcome == failed(Failure.GAP)


def test_a_face_without_an_embedding_or_without_size_was_not_seen() -> None:
    for face, who in ((face_turned(0.0), None), (None, ADAS), (face_turned(0.0, side=0.0), ADAS)):
        story = Story().see(0.0).look(face, who).look(face, who)
        assert story.outcome is None
        assert story.look(face, who).outcome == failed(Failure.GAP)


# Whatever comes.

FRAMES = st.lists(
    st.tuples(
        st.floats(0.02, 0.8) | st.just(0.1),
        st.floats(-0.6, 0.6)
        | st.just(math.nan)
        | st.sampled_from([0.0, 0.1, 0.2, 0.3, -0.2, -0.3]),
        st.sampled_from([ADAS, ADAS, ADAS, GRACES, unit(math.nan)]),
    ),
    max_size=80,
)


@given(st.integers(0, 1000), FRAMES)
def test_who_passed_was_seen_to_turn_as_asked(
    seed: int, frames: list[tuple[float, float, Embedding]]
) -> None:
    challenge = Challenge(RULES, now=0.0, rng=random.Random(seed))
    t = 0.0
    counted = 0
    since_asked: list[tuple[float, float]] = []
    for after, shift, who in frames:
        t += after
        prompt = challenge.prompt
        challenge.seen(t, face_turned(shift), who)
        if prompt is not FRONT and np.isfinite([shift, *who]).all():  # else it was not seen
            since_asked.append((t, shift if prompt is LEFT else -shift))
            if challenge.prompt is FRONT and challenge.outcome != failed(Failure.JUMP):
                last, angles = since_asked[-1], [angle for _, angle in since_asked]
                counted += last[1] >= 0.25 and any(0.0 < angle < last[1] for angle in angles[:-1])
                assert min(angles) >= -0.1601
        if challenge.prompt is FRONT:
            since_asked = []
    if challenge.outcome == Passed():
        assert counted == RULES.turns
        assert t <= RULES.longest_s


@given(st.integers(0, 1000), st.lists(st.floats(-0.2499, 0.2499), min_size=90, max_size=90))
def test_nothing_flat_passes_however_it_is_moved(seed: int, shifts: list[float]) -> None:
    challenge = Challenge(RULES, now=0.0, rng=random.Random(seed))
    for index, shift in enumerate(shifts, 1):
        challenge.seen(index / 10, face_turned(shift), ADAS)
    assert isinstance(challenge.outcome, Failed)


@given(
    st.integers(0, 10_000),
    st.sampled_from(["shift", "box", "face"]),
    st.integers(0, 40),
)
def test_one_flaw_in_what_would_pass_is_enough(seed: int, flaw: str, when: int) -> None:
    """The same frames, and one of them, or all from one on, are spoilt."""
    turner = Turner(random.Random(seed), moves_s=(0.6, 0.9))
    challenge = Challenge(RULES, now=0.0, rng=random.Random(seed))
    t, number = 0.0, 0
    while challenge.outcome is None:
        t, number = t + 0.1, number + 1
        face, who = face_turned(turner.shift(t)), ADAS
        if number > when + 2:
            if flaw == "shift":  # no turn is seen
                face = face_turned(0.0)
            elif flaw == "box" and number == when + 3:
                face = face_turned(turner.shift(t), x=520)
            elif flaw == "face":
                who = GRACES
        challenge.seen(t, face, who)
        turner.hears(challenge.prompt, t)
    if t >= 0.1 * (when + 3):
        assert challenge.outcome != Passed() or flaw == "shift"
