"""Who was recognised is let in only once they have shown what the policy asks for."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from lockd.identity.challenge import Prompt
from lockd.identity.evidence import Recognised
from lockd.identity.liveness import LEAST_SCORES, Calibration
from lockd.identity.observation import Observation, Sighting
from lockd.service.live_scores import LiveScores
from lockd.service.second_factor import FactorOutcome
from lockd.service.vetting import Vetting
from lockd.types import Embedding, Face, Person, Signal
from tests.fakes import ADA, GRACE, face_at, match, unit
from tests.service.test_door_controller import Keeping

LIVE, DOUBTFUL, FAKE = 90.0, 40.0, -5.0
"""Scores, where the live have 0 to 99, the upper half opens and none of them is refused."""
BOUNDS = {"open_above": 0.5, "refuse_below": 0.01}
SCREEN = {"screen": True}
FRAME_S = 0.1
_EYES = 0.4


def turned(shift: float) -> Face:
    """A face whose nose is so many eye distances to the left of whoever has it."""
    face = face_at(100, 100)
    landmarks = face.landmarks.copy()
    landmarks[2, 0] += np.float32(shift * _EYES * 100)
    return Face(face.box, landmarks, face.confidence)


class Recognising:
    """Knows who is to be recognised once more, and who is looked at closely."""

    def __init__(self) -> None:
        self.challenged: frozenset[int] = frozenset()
        self.again: list[tuple[int, str, float]] = []

    def refused(self, visit: int, person: Person, again_at: float) -> None:
        self.again.append((visit, person.name, round(again_at, 3)))


class Factors:
    """A keypad that says what it is told to say."""

    problem: str | None = None

    def __init__(self) -> None:
        self.kinds = frozenset({"pin"})
        self.asked: dict[int, Person] = {}
        self.outcomes: list[FactorOutcome] = []

    def ask(self, visit: int, person: Person, until: float) -> None:
        self.asked[visit] = person

    def cancel(self, visit: int) -> None:
        self.asked.pop(visit)

    def kinds_of(self, person: Person) -> frozenset[str]:
        return self.kinds

    def serve(self, now: float) -> list[FactorOutcome]:
        outcomes, self.outcomes = self.outcomes, []
        return outcomes


class SecondCamera:
    """A camera for near infrared of which only its problem is asked: sightings say what it sees."""

    problem: str | None = None


class Visited:
    """A door, whoever stands before it, and the time that passes in frames."""

    def __init__(
        self,
        liveness: Any = None,
        *,
        calibrated: bool = True,
        second_eye: SecondCamera | None = None,
        **sections: Any,
    ) -> None:
        sections = {"signals": SCREEN, **sections}
        policy = liveness if isinstance(liveness, dict) else {"policy": liveness}
        self.keeping = Keeping(liveness={**BOUNDS, **policy}, **sections)
        self.recognising = Recognising()
        self.factors = Factors()
        self.scores = LiveScores("networks")
        if calibrated:
            self.scores.calibration = Calibration(tuple(map(float, range(LEAST_SCORES))))
        settings = self.keeping.settings
        self.vetting = Vetting(
            settings,
            clock=self.keeping.clock,
            door=self.keeping.keeper,
            recogniser=self.recognising,  # type: ignore[arg-type]
            scores=self.scores,
            alike=0.5,
            factor=self.factors if settings.second_factor.kinds else None,  # type: ignore[arg-type]
            second_eye=second_eye,  # type: ignore[arg-type]
            rng=random.Random(1),
        )
        self.t = 0.0

    def frame(
        self, *sightings: Sighting, recognised: Recognised | None = None, s: float = FRAME_S
    ) -> None:
        """Let the next frame come."""
        self.t += s
        self.keeping.at(self.t)
        self.vetting.pass_time(self.t)
        self.vetting.observed(Observation(list(sightings), []), self.t)
        if recognised is not None:
            self.vetting.recognised(recognised)
        self.keeping.keeper.show(faces=bool(sightings))

    def comes(
        self,
        score: float = math.nan,
        *,
        visit: int = 1,
        person: Person = ADA,
        infrared: bool | None = None,
    ) -> None:
        """Somebody is seen three times and recognised in the third."""
        sighting = seen(score, visit=visit, person=person, infrared=infrared)
        for _ in range(2):
            self.frame(sighting)
        self.frame(sighting, recognised=Recognised(visit, person, 0.8))

    def obeys(self, seconds: float = 12.0, **more: Any) -> None:
        """Whoever is there does as they are asked, until nobody asks any more."""
        shift = 0.0
        for _ in range(round(seconds / FRAME_S)):
            shift += max(-0.08, min(0.08, self.turn_asked - shift))
            self.frame(seen(shift=shift, named=abs(shift) < 0.1, **more))
            if self.vetting.asking is None:
                return

    @property
    def turn_asked(self) -> float:
        """How far to the left whoever is asked should turn."""
        asking = self.vetting.asking
        return 0.0 if asking is None else {Prompt.LEFT: 0.35, Prompt.RIGHT: -0.35}.get(asking, 0.0)

    def stands(self, seconds: float, **more: Any) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.frame(seen(**more))

    @property
    def learnt(self) -> int:
        """How many visits the door has learnt from."""
        return int(self.scores.status(self.keeping.settings.liveness.bounds(), self.t)["scores"])

    @property
    def opened(self) -> bool:
        return "on" in self.keeping.output.log

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [details for told, details in self.keeping.told if told == kind]


def seen(
    score: float = math.nan,
    *,
    visit: int = 1,
    person: Person = ADA,
    shift: float = 0.0,
    named: bool = True,
    embedding: Embedding | None = None,
    infrared: bool | None = None,
) -> Sighting:
    found = match(person) if named else None
    face = unit(1.0) if embedding is None else embedding
    return Sighting(visit, turned(shift), None, found, face, score, infrared)


def test_without_a_policy_a_face_is_enough() -> None:
    door = Visited("off")
    door.comes()
    assert door.opened
    assert [one["proof"] for one in door.told("access_granted")] == ["face"]


# The network


def test_who_scores_as_the_live_do_is_let_in_at_once() -> None:
    door = Visited("graded")
    door.comes(LIVE)
    assert door.opened
    assert [one["proof"] for one in door.told("access_granted")] == ["network"]
    assert door.vetting.asking is None


def test_who_scores_less_than_all_the_live_is_suspected_and_refused() -> None:
    door = Visited("graded")
    door.comes(FAKE)
    door.stands(30, score=LIVE)
    assert not door.opened
    (told,) = door.told("spoof_suspected")
    assert (told["reason"], told["person"], told["visit"]) == ("attack", ADA.name, 1)
    assert Signal.DENIED in door.keeping.shown


def test_the_score_of_a_visit_is_the_mean_of_its_frames() -> None:
    door = Visited("passive")
    for score in (-100.0, -100.0):
        door.frame(seen(score))
    door.frame(seen(LIVE), recognised=Recognised(1, ADA, 0.8))
    assert not door.opened


def test_frames_that_show_another_do_not_count() -> None:
    door = Visited("graded")
    for _ in range(5):
        door.frame(seen(LIVE, person=GRACE))
    door.frame(seen(FAKE), recognised=Recognised(1, ADA, 0.8))
    assert not door.opened
    door.stands(0.2, score=FAKE)
    assert door.told("spoof_suspected")


def test_too_few_frames_are_waited_for_and_then_nothing_is_known() -> None:
    door = Visited({"policy": "graded", "least_frames": 5, "gather_s": 2.0})
    door.comes(LIVE)
    door.stands(0.1, score=LIVE)
    assert not door.opened
    door.stands(0.1, score=LIVE)
    assert door.opened

    door = Visited({"policy": "graded", "least_frames": 5, "gather_s": 2.0})
    door.comes(LIVE)
    door.stands(1.8)
    assert door.vetting.asking is None
    door.stands(0.3)
    assert door.vetting.asking is Prompt.FRONT
    assert not door.opened


@pytest.mark.parametrize("policy", ["graded", "passive"])
def test_a_door_that_was_not_calibrated_lets_nobody_in_silently(policy: str) -> None:
    door = Visited(policy, calibrated=False)
    door.comes(1e6)
    door.stands(20, score=1e6)
    assert not door.opened


@pytest.mark.parametrize("policy", ["graded", "passive"])
def test_a_network_that_says_nothing_is_doubt(policy: str) -> None:
    door = Visited(policy)
    door.comes(math.nan)
    door.stands(4)
    assert door.vetting.asking is not None
    assert not door.opened


# The challenge


def test_who_does_as_asked_is_let_in() -> None:
    door = Visited("challenge")
    door.comes()
    assert not door.opened
    assert door.vetting.published["challenge"] == "front"
    assert door.recognising.challenged == {1}
    door.obeys()
    assert door.opened
    assert [one["proof"] for one in door.told("access_granted")] == ["challenge"]
    assert not door.recognising.challenged
    assert door.vetting.published["challenge"] == "none"
    assert {Signal.ASK_FRONT, Signal.ASK_LEFT} & set(door.keeping.shown)


def test_in_doubt_the_challenge_is_asked() -> None:
    door = Visited("graded")
    door.comes(DOUBTFUL)
    assert not door.opened
    door.obeys()
    assert door.opened


def test_who_stands_still_has_failed_and_has_no_second_try_before_leaving() -> None:
    door = Visited("challenge")
    door.comes()
    door.stands(10)
    (told,) = door.told("spoof_suspected")
    assert told["reason"] == "time_over"
    # Recognised anew, say as another visit in the same place.
    door.frame(seen(visit=2), recognised=Recognised(2, ADA, 0.8))
    door.stands(5, visit=2)
    assert door.vetting.asking is None
    assert door.recognising.again[-1][:2] == (2, ADA.name)
    # They leave the picture, come back, and do as asked.
    door.t += 3.0
    door.comes(visit=3)
    door.obeys(visit=3)
    assert door.opened


def test_another_face_in_their_place_has_failed() -> None:
    door = Visited("challenge")
    door.comes()
    door.frame(seen(embedding=unit(0.0, 1.0), named=False))
    assert [one["reason"] for one in door.told("spoof_suspected")] == ["other_face"]


def test_who_is_not_in_the_picture_any_more_has_failed() -> None:
    door = Visited("challenge")
    door.comes()
    for _ in range(30):
        door.frame()
    assert [one["reason"] for one in door.told("spoof_suspected")] == ["gap"]


def test_a_camera_that_gives_no_frame_lets_nobody_pass() -> None:
    door = Visited("challenge")
    door.comes()
    deadline = door.vetting.next_deadline
    assert deadline is not None
    door.vetting.pass_time(deadline + 0.01)
    assert door.told("spoof_suspected")
    assert not door.opened


def test_who_passed_must_be_seen_to_be_the_one_recognised() -> None:
    door = Visited("challenge")
    door.comes()
    shift = 0.0
    for _ in range(150):
        shift += max(-0.08, min(0.08, door.turn_asked - shift))
        door.frame(seen(shift=shift, named=False))
    assert [one["reason"] for one in door.told("spoof_suspected")] == ["lost"]
    assert not door.opened


def test_two_are_challenged_one_after_the_other() -> None:
    door = Visited("challenge")
    door.comes()
    door.frame(seen(), seen(visit=2, person=GRACE), recognised=Recognised(2, GRACE, 0.8))
    assert door.recognising.challenged == {1}
    shifts = {1: 0.0, 2: 0.0}
    for _ in range(300):
        for visit, shift in shifts.items():
            mine = visit in door.recognising.challenged
            target = door.turn_asked if mine else 0.0
            shifts[visit] = shift + max(-0.08, min(0.08, target - shift))
        door.frame(
            *(
                seen(
                    visit=visit, person=person, shift=shifts[visit], named=abs(shifts[visit]) < 0.1
                )
                for visit, person in ((1, ADA), (2, GRACE))
            )
        )
    assert [one["person"] for one in door.told("access_granted")] == [ADA.name, GRACE.name]


def test_who_waits_and_leaves_is_forgotten() -> None:
    door = Visited("challenge")
    door.comes()
    door.frame(seen(), seen(visit=2, person=GRACE), recognised=Recognised(2, GRACE, 0.8))
    door.obeys()
    door.stands(10)
    assert len(door.told("access_granted")) == 1
    assert not door.told("spoof_suspected")
    assert door.vetting.next_deadline is None


def test_failures_count_towards_the_lock_out() -> None:
    door = Visited("challenge", door={"lock_out": {"denials": 2, "rest_s": 1.0}})
    for visit in (1, 2):
        door.comes(visit=visit)
        door.stands(9, visit=visit)
        door.t += 3.0
        door.frame()
    assert door.told("locked_out")


def test_a_door_that_cannot_ask_refuses_and_says_so() -> None:
    door = Visited("challenge", signals={})
    assert door.vetting.problem is not None
    assert "signals.left_led" in door.vetting.problem
    door.comes()
    door.stands(10)
    assert not door.opened
    assert [one["reason"] for one in door.told("access_denied")] == ["cannot_ask"]
    assert not door.told("spoof_suspected")


def test_who_may_not_come_in_is_asked_nothing() -> None:
    door = Visited("challenge", access={"groups": {"night": {"hours": {"sat": ["01:00-02:00"]}}}})
    night = Person("1", "Ada Lovelace", frozenset({"night"}))
    door.comes(person=night)
    assert door.vetting.asking is None
    assert [one["reason"] for one in door.told("access_denied")] == ["outside_hours"]


def test_who_showed_enough_but_came_at_a_bad_moment_need_not_show_it_again() -> None:
    door = Visited("challenge")
    door.comes()
    door.keeping.keeper.command("lock-down", 0, "root")
    door.obeys()
    assert not door.opened
    door.keeping.keeper.command("lift", 0, "root")
    assert door.recognising.again
    door.frame(seen(), recognised=Recognised(1, ADA, 0.8))
    assert door.opened


def test_groups_have_policies_of_their_own() -> None:
    groups = {
        "staff": {"hours": "always", "liveness": "off"},
        "guests": {"hours": "always", "liveness": "challenge"},
    }
    door = Visited("graded", access={"groups": groups})
    door.comes(person=Person("1", "Ada", frozenset({"staff"})))
    assert door.opened
    door = Visited("graded", access={"groups": groups})
    door.comes(LIVE, person=Person("2", "Bob", frozenset({"staff", "guests"})))
    assert not door.opened
    assert door.vetting.asking is not None


# A second factor

KEYPAD = {"keypad": {"device": "/dev/input/event7"}}


def presented(
    door: Visited, *, ok: bool = True, visit: int | None = 1, reason: str = "wrong"
) -> None:
    door.factors.outcomes.append(
        FactorOutcome(visit, ADA if ok else None, "pin", ok, None if ok else reason)
    )
    door.frame(seen())


def test_a_second_factor_is_asked_for_and_opens() -> None:
    door = Visited("second_factor", second_factor=KEYPAD)
    door.comes()
    assert door.factors.asked == {1: ADA}
    assert not door.opened
    presented(door)
    assert door.opened
    assert [one["proof"] for one in door.told("access_granted")] == ["pin"]
    assert not door.factors.asked


def test_a_wrong_one_is_a_denial_and_may_be_tried_again() -> None:
    door = Visited(
        "second_factor", second_factor=KEYPAD, door={"lock_out": {"denials": 2, "rest_s": 1.0}}
    )
    door.comes()
    presented(door, ok=False)
    (told,) = door.told("factor_refused")
    assert (told["reason"], told["person"]) == ("pin", ADA.name)
    presented(door, ok=False)
    assert door.told("locked_out")
    assert not door.opened


def test_who_gives_none_is_not_let_in_and_asked_again_later() -> None:
    door = Visited("second_factor", second_factor=KEYPAD)
    door.comes()
    door.stands(21)
    assert not door.opened
    assert not door.factors.asked
    assert [one["reason"] for one in door.told("access_denied")] == ["no_second_factor"]
    assert door.recognising.again[-1][:2] == (1, ADA.name)


def test_one_that_was_not_looked_at_is_no_denial() -> None:
    door = Visited("second_factor", second_factor=KEYPAD)
    door.comes()
    presented(door, ok=False, reason="slowed")
    assert not door.told("factor_refused")
    assert not door.opened


def test_who_has_no_factor_is_not_asked_for_one() -> None:
    door = Visited("second_factor", second_factor=KEYPAD)
    door.factors.kinds = frozenset()
    door.comes()
    assert not door.factors.asked
    assert [one["reason"] for one in door.told("access_denied")] == ["no_second_factor"]


def test_the_pin_of_one_visit_opens_to_no_other() -> None:
    door = Visited("second_factor", second_factor=KEYPAD)
    door.comes()
    presented(door, visit=2)
    assert not door.opened


def test_both_are_needed_where_both_are_asked() -> None:
    door = Visited(["passive", "challenge", "second_factor"], second_factor=KEYPAD)
    door.comes(DOUBTFUL)
    door.obeys()
    assert not door.opened
    assert door.factors.asked
    presented(door)
    assert [one["proof"] for one in door.told("access_granted")] == ["challenge+pin"]


def test_who_comes_with_a_factor_alone_is_let_in() -> None:
    door = Visited("graded", second_factor=KEYPAD)
    presented(door, visit=None)
    assert [one["proof"] for one in door.told("access_granted")] == ["pin"]
    assert door.opened


def test_without_a_keypad_nobody_can_be_asked_for_a_pin() -> None:
    door = Visited("second_factor")
    door.comes()
    assert not door.opened
    assert [one["reason"] for one in door.told("access_denied")] == ["cannot_ask"]


# What the door learns


def test_the_door_learns_from_who_passed_and_from_nobody_else() -> None:
    door = Visited("graded", calibrated=False)
    door.comes(LIVE)
    door.obeys()
    assert door.learnt == 1
    door.t += 3.0
    door.comes(FAKE, visit=2)
    door.stands(10, visit=2)
    assert door.told("spoof_suspected")
    assert door.learnt == 1


def test_while_somebody_vouches_everybody_is_learnt_from_and_challenged() -> None:
    door = Visited("graded")
    door.scores.vouch(60.0, door.t)
    door.comes(LIVE)
    assert not door.opened
    assert door.vetting.asking is not None
    assert door.learnt == 1


def test_a_reload_lets_go_of_everybody_and_they_are_recognised_once_more() -> None:
    door = Visited("challenge")
    door.comes()
    door.vetting.abandon()
    assert door.recognising.again[-1][:2] == (1, ADA.name)
    assert not door.recognising.challenged
    assert door.vetting.next_deadline is None


# The second eye


@pytest.mark.parametrize("policy", ["passive", "graded", "challenge", "second_factor"])
def test_whom_the_second_camera_does_not_see_is_suspected_whatever_is_asked(policy: str) -> None:
    door = Visited(policy, second_eye=SecondCamera(), second_factor=KEYPAD)
    door.comes(LIVE, infrared=False)
    door.obeys(score=LIVE, infrared=True)
    assert not door.opened
    assert [one["reason"] for one in door.told("spoof_suspected")] == ["infrared"]


def test_whom_both_cameras_see_is_let_in_by_the_policy() -> None:
    door = Visited("graded", second_eye=SecondCamera())
    door.comes(LIVE, infrared=True)
    assert door.opened
    assert [one["proof"] for one in door.told("access_granted")] == ["network+infrared"]


def test_most_of_the_frames_decide() -> None:
    for frames, opens in (((True, True, False), True), ((True, False, False), False)):
        door = Visited("graded", second_eye=SecondCamera())
        for there in frames[:-1]:
            door.frame(seen(LIVE, infrared=there))
        door.frame(seen(LIVE, infrared=frames[-1]), recognised=Recognised(1, ADA, 0.8))
        assert door.opened is opens


def test_a_second_camera_that_cannot_tell_is_doubt() -> None:
    door = Visited("passive", second_eye=SecondCamera())
    door.comes(LIVE)
    door.stands(2.5, score=LIVE)
    assert door.vetting.asking is None  # it may still come
    door.stands(1.0, score=LIVE)
    assert door.vetting.asking is Prompt.FRONT
    assert not door.opened
    door.obeys(score=LIVE)
    assert [one["proof"] for one in door.told("access_granted")] == ["challenge"]


def test_who_changes_places_with_a_picture_after_the_challenge_is_suspected() -> None:
    door = Visited("challenge", second_eye=SecondCamera())
    door.comes(infrared=True)
    while len(door.recognising.challenged) == 0 or door.vetting.asking is not Prompt.FRONT:
        door.frame(seen(infrared=True))
    door.obeys(infrared=False)
    assert not door.opened
    assert [one["reason"] for one in door.told("spoof_suspected")] == ["infrared"]


def test_what_is_wrong_with_the_second_camera_is_told() -> None:
    camera = SecondCamera()
    door = Visited("graded", second_eye=camera)
    assert door.vetting.problem is None
    camera.problem = "camera.infrared: covered: almost no structure"
    assert door.vetting.problem == camera.problem
