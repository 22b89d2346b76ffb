"""Between a face that was recognised and a door that opens: what the policy asks to be shown.

    recognised -> gathering -> waiting -> challenged -> confirming -> asked for a factor -> open
                  frames for   till no    turns the     looks at      enters a PIN, or
                  the network  other is   head          the camera    the like

Each step is left out where `identity.liveness.demand` does not ask for it. Whoever fails is
suspected: that is an alert and a denial, and they have no second try before they have left the
picture. One visit is challenged at a time, for two would not know who is meant.
"""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from lockd.clock import Clock
from lockd.config import Settings
from lockd.identity.challenge import Challenge, ChallengeRules, Passed, Prompt
from lockd.identity.evidence import Recognised
from lockd.identity.liveness import (
    Demand,
    Policy,
    Reason,
    SecondSight,
    Standing,
    demand,
    shortcoming,
)
from lockd.identity.observation import Observation
from lockd.recognition.recogniser import Recogniser
from lockd.recognition.second_eye import SecondEye
from lockd.service.door_controller import DoorController
from lockd.service.live_scores import LiveScores
from lockd.service.second_factor import FactorOutcome, SecondFactor
from lockd.service.visit_frames import VisitFrames
from lockd.types import Signal

log = logging.getLogger(__name__)

_ONCE_MORE_S = 1.0
_CONFIRM_S = 4.0
_PROVEN_S = 10.0
LOST = "lost"
"""Who passed the challenge is not seen to be the one who was recognised."""
NO_FACTOR = "no_second_factor"
WRONG = "wrong"

_SIGNALS = {
    Prompt.FRONT: Signal.ASK_FRONT,
    Prompt.LEFT: Signal.ASK_LEFT,
    Prompt.RIGHT: Signal.ASK_RIGHT,
}


class _Step(Enum):
    GATHERING = auto()
    WAITING = auto()
    CHALLENGED = auto()
    CONFIRMING = auto()
    FACTOR = auto()


@dataclass(slots=True)
class _Held:
    """Somebody recognised who is not let in yet."""

    one: Recognised
    policy: Policy
    seen: float
    until: float
    step: _Step = _Step.GATHERING
    demand: Demand = field(default_factory=Demand)
    score: float = math.nan
    challenge: Challenge | None = None
    proofs: list[str] = field(default_factory=list)


class Vetting:
    """Holds whoever was recognised until they have shown what is asked of them."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        door: DoorController,
        recogniser: Recogniser,
        scores: LiveScores,
        alike: float,
        factor: SecondFactor | None = None,
        second_eye: SecondEye | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Hold nobody.

        Args:
            scores: what this door knows of the network's scores.
            alike: from which similarity on two faces are one person's.
            factor: takes PINs and the like, if there is anything for it.
            second_eye: the camera for near infrared, if there is one.
            rng: chooses what is asked; the system's by default.
        """
        self._settings = settings.liveness
        self._rules = ChallengeRules(turns=settings.liveness.turns, alike=alike)
        self._policies = settings.policies()
        self._means = settings.means()
        self._mirrored = settings.camera.mirror
        self._gap_s = settings.recognition.visit_gap_s
        self._factor_s = settings.second_factor.timeout_s
        self._clock = clock
        self._door = door
        self._recogniser = recogniser
        self._scores = scores
        self._factor = factor
        self._second_eye = second_eye
        self._rng = rng or random.SystemRandom()
        self._held: dict[int, _Held] = {}
        self._frames = VisitFrames()
        self._failed: dict[str, float] = {}
        self._proven: dict[int, tuple[str, str, float]] = {}

    @property
    def asking(self) -> Prompt | None:
        """What somebody is asked to do just now."""
        for held in self._held.values():
            if held.step is _Step.CHALLENGED and held.challenge is not None:
                return held.challenge.prompt
            if held.step is _Step.CONFIRMING:
                return Prompt.FRONT
        return None

    @property
    def published(self) -> dict[str, Any]:
        """What is published of it: words."""
        asking = self.asking
        return {
            "liveness": str(self._policies.default),
            "photographs_open": any(policy.off for policy in self._policies.all),
            "challenge": "none" if asking is None else asking.value,
        }

    @property
    def problem(self) -> str | None:
        """What somebody should do about it, or None."""
        wrong = shortcoming(self._policies, self._means, self._settings.doubt)
        blind = None if self._second_eye is None else self._second_eye.problem
        return wrong or self._scores.problem or blind

    @property
    def next_deadline(self) -> float | None:
        """When `pass_time` has something to do, or None."""
        times = [held.until for held in self._held.values()]
        times += [
            held.challenge.next_deadline
            for held in self._held.values()
            if held.step is _Step.CHALLENGED and held.challenge is not None
        ]
        return min(times, default=None)

    def recognised(self, one: Recognised) -> None:
        """Let somebody in, or hold them until they have shown what is asked of them."""
        now = self._clock.now()
        if one.visit in self._held:
            return
        if self._has_failed(one.person.id, now):
            self._recogniser.refused(one.visit, one.person, now + _ONCE_MORE_S)
            return
        reason = self._door.refuses(one)
        policy = self._policies.of(one.person)
        proven, proof, until = self._proven.get(one.visit, ("", "", -math.inf))
        if reason is not None or policy.off or (proven == one.person.id and now < until):
            self._open(one, proof or "face", now)
            return
        wait_s = self._settings.gather_s if policy.network or self._second_eye else 0.0
        self._held[one.visit] = _Held(one, policy, now, now + wait_s)
        self.pass_time(now)

    def observed(self, look: Observation, t: float) -> None:
        """Take what a frame showed.

        Args:
            t: when it was taken.
        """
        for sighting in look.sightings:
            person = sighting.match.person if sighting.match else None
            if person is None or sighting.match is None:
                continue
            if self._has_failed(person.id, t):
                self._failed[person.id] = t
            if not sighting.match.bound:  # then not all networks said so
                self._frames.count(sighting, person.id, t)
        self._proven = {visit: one for visit, one in self._proven.items() if t < one[2]}
        for visit, held in list(self._held.items()):
            seen = next((one for one in look.sightings if one.visit == visit), None)
            if seen is not None:
                held.seen = t
            if held.step is _Step.CHALLENGED and held.challenge is not None:
                if seen is None:
                    held.challenge.seen(t, None, None)
                else:
                    held.challenge.seen(t, seen.face, seen.embedding)
            elif held.step is _Step.CONFIRMING and seen is not None and seen.match is not None:
                named = seen.match.person
                if seen.infrared is False:
                    self._fail(held, Reason.INFRARED.value, self._clock.now())
                elif named is not None and named.id == held.one.person.id:
                    held.proofs.append("challenge")
                    self._scores.passed(held.score, self._clock.now())
                    self._ask_factor(held, self._clock.now())
        self.pass_time(self._clock.now())

    def pass_time(self, now: float) -> None:
        """Go on with whoever is held, as far as can be done now."""
        for outcome in self._factor.serve(now) if self._factor else ():
            self._take_factor(outcome, now)
        for held in list(self._held.values()):
            self._go_on(held, now)
        self._recogniser.challenged = frozenset(
            visit
            for visit, held in self._held.items()
            if held.step in (_Step.CHALLENGED, _Step.CONFIRMING)
        )
        self._recogniser.vetted = frozenset(self._held)
        asking = self.asking
        self._door.asking = None if asking is None else _SIGNALS[asking]

    def abandon(self) -> None:
        """Let go of everybody; whoever is still in view is recognised once more."""
        for held in list(self._held.values()):
            self._let_go(held)
            self._recogniser.refused(held.one.visit, held.one.person, self._clock.now())
        self._recogniser.challenged = self._recogniser.vetted = frozenset()

    # Step by step

    def _go_on(self, held: _Held, now: float) -> None:
        match held.step:
            case _Step.GATHERING:
                self._judge(held, now)
            case _Step.WAITING if now - held.seen > self._gap_s:
                self._let_go(held)  # they have left
            case _Step.WAITING if self.asking is None:
                self._challenge(held, now)
            case _Step.CHALLENGED if held.challenge is not None:
                held.challenge.pass_time(now)
                if isinstance(held.challenge.outcome, Passed):
                    held.step, held.until = _Step.CONFIRMING, now + _CONFIRM_S
                elif held.challenge.outcome is not None:
                    self._fail(held, held.challenge.outcome.reason, now)
            case _Step.CONFIRMING if now >= held.until:
                self._fail(held, LOST, now)
            case _Step.FACTOR if now >= held.until:
                self._let_go(held)
                self._door.deny(held.one, NO_FACTOR)
                self._recogniser.refused(held.one.visit, held.one.person, now + _ONCE_MORE_S)

    def _judge(self, held: _Held, now: float) -> None:
        """Decide what somebody has to show, once there are frames enough."""
        frames = self._frames.of(held.one.visit, held.one.person.id)
        least, late = self._settings.least_frames, now >= held.until
        standing, infrared = Standing.UNKNOWN, SecondSight.NONE
        if self._second_eye is not None:
            infrared = frames.second_sight(least)
        if held.policy.network:
            held.score = frames.score(least)
        gathering = held.policy.network and math.isnan(held.score)
        if not late and (gathering or infrared is SecondSight.UNKNOWN):
            return
        if held.policy.network:
            standing = self._scores.standing(held.score, self._settings.bounds(), now)
            self._scores.came(held.score, now)
        held.demand = demand(held.policy, standing, self._means, self._settings.doubt, infrared)
        log.info(
            "visit %d: %s, %s, infrared: %s",
            held.one.visit,
            held.policy,
            standing.value,
            infrared.value,
        )
        if held.demand.refused in (Reason.ATTACK, Reason.INFRARED):
            self._fail(held, held.demand.refused.value, now)
        elif held.demand.refused is not None:
            self._let_go(held)
            self._door.deny(held.one, held.demand.refused.value)
        elif held.demand.challenge:
            held.step, held.until = _Step.WAITING, math.inf
            self._go_on(held, now)
        else:
            if held.policy.network:
                held.proofs.append("network")
            if infrared is SecondSight.SEEN:
                held.proofs.append("infrared")
            self._ask_factor(held, now)

    def _challenge(self, held: _Held, now: float) -> None:
        held.challenge = Challenge(
            self._rules,
            now=now,
            rng=self._rng,
            mirrored=self._mirrored,
            known=self._frames.of(held.one.visit, held.one.person.id).face,
        )
        held.step, held.until = _Step.CHALLENGED, math.inf
        self._door.challenged(held.one)

    def _ask_factor(self, held: _Held, now: float) -> None:
        """Ask for a second factor, or open where none is needed."""
        if not held.demand.second_factor or self._factor is None:
            self._let_go(held)
            self._scores.let_in(held.score)
            self._open(held.one, "+".join(held.proofs) or "face", now)
            return
        if not self._factor.kinds_of(held.one.person):  # they have none to give
            self._let_go(held)
            self._door.deny(held.one, NO_FACTOR)
            return
        held.step, held.until = _Step.FACTOR, now + self._factor_s
        self._factor.ask(held.one.visit, held.one.person, held.until)

    def _open(self, one: Recognised, proof: str, now: float) -> None:
        if self._door.recognised(one, proof):
            self._proven.pop(one.visit, None)
            return
        if proof != "face":
            self._proven[one.visit] = one.person.id, proof, now + _PROVEN_S
        self._recogniser.refused(one.visit, one.person, now + _ONCE_MORE_S)

    def _take_factor(self, outcome: FactorOutcome, now: float) -> None:
        held = None if outcome.visit is None else self._held.get(outcome.visit)
        if not outcome.ok and outcome.reason != WRONG:
            log.warning("second factor: not looked at: %s", outcome.reason)
        elif not outcome.ok:
            self._door.wrong_factor(None if held is None else held.one, outcome.kind)
        elif outcome.visit is None and outcome.person is not None:
            self._door.recognised(Recognised(0, outcome.person, math.nan), outcome.kind)
        elif held is not None and held.step is _Step.FACTOR and outcome.person is not None:
            held.proofs.append(outcome.kind)
            held.demand = replace(held.demand, second_factor=False)
            self._ask_factor(held, now)

    def _fail(self, held: _Held, reason: str, now: float) -> None:
        self._let_go(held)
        self._failed[held.one.person.id] = now
        self._door.suspect(held.one, reason)

    def _let_go(self, held: _Held) -> None:
        del self._held[held.one.visit]
        if held.step is _Step.FACTOR and self._factor is not None:
            self._factor.cancel(held.one.visit)

    def _has_failed(self, person: str, t: float) -> bool:
        """Whether somebody failed and was in view since."""
        return t - self._failed.get(person, -math.inf) <= self._gap_s
