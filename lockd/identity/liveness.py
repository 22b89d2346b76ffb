"""What somebody must show, besides their face, before the door opens to them.

A photograph of somebody enrolled is recognised as well as they are. So there are policies:

    off            a face is enough
    passive        the network must not find a presentation attack
    graded         it opens where the network is sure, refuses where it is sure of an attack,
                   and asks for more between
    challenge      whoever is recognised must turn their head as they are asked to
    second_factor  whoever is recognised must enter a PIN, show a card or confirm by telephone

What the network says is a log-odds that means nothing by itself: another camera or lamp moves
it. It is compared with the `Calibration` of this door, the scores of people who were seen to be
live here. Without one, nobody is live silently.

Doubt never opens: what is not known is asked for, and what cannot be asked for is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import reduce
from operator import or_
from typing import Literal, TypeAlias

from lockd.types import Person

LEAST_SCORES = 100
"""Visits that a calibration takes."""
MOST_RECENT = 50
LEAST_RECENT = 30
"""Visits of late, that tell whether the scores have moved: kept, and at least needed."""
MOVED = 0.25
"""How far the share of pairs in which a recent score is the greater one may lie from a half.

With 30 recent scores of the same distribution as 100 others its standard deviation is 0.06
(Mann and Whitney 1947), so that this is four of them.
"""

OFF_SAID = "398 of 400 photographs and videos of enrolled people opened a door like this one"
"""Replay-Attack's test people, each attack a visit."""


Doubt: TypeAlias = Literal["challenge", "second_factor"]
"""What is asked where only the network's doubt stands in the way."""


class Measure(StrEnum):
    """A policy, or a part of one, as the configuration names it."""

    OFF = "off"
    PASSIVE = "passive"
    GRADED = "graded"
    CHALLENGE = "challenge"
    SECOND_FACTOR = "second_factor"


class Heed(IntEnum):
    """How the network's word counts; the greater asks for more."""

    NOT = 0
    PASSIVE = 1
    """It may refuse."""
    GRADED = 2
    """It may refuse, and its doubt is a reason to ask."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of those who were recognised.

    Attributes:
        network: how its word counts.
        challenge: whether a challenge is always asked.
        second_factor: whether a second factor is always asked.
    """

    network: Heed = Heed.NOT
    challenge: bool = False
    second_factor: bool = False

    @classmethod
    def of(cls, measures: Iterable[Measure]) -> Policy:
        """Put measures together.

        Raises:
            ValueError: if there are none, or `off` is one of several.
        """
        wanted = frozenset(measures)
        if not wanted:
            raise ValueError("no policy; write off if a face alone is to open the door")
        if Measure.OFF in wanted and len(wanted) > 1:
            others = " and ".join(sorted(wanted - {Measure.OFF}))
            raise ValueError(f"off stands alone; leave out either it or {others}")
        network = Heed.PASSIVE if Measure.PASSIVE in wanted else Heed.NOT
        return cls(
            Heed.GRADED if Measure.GRADED in wanted else network,
            Measure.CHALLENGE in wanted,
            Measure.SECOND_FACTOR in wanted,
        )

    def __or__(self, other: Policy) -> Policy:
        """Return what asks for everything that either asks for."""
        return Policy(
            max(self.network, other.network),
            self.challenge or other.challenge,
            self.second_factor or other.second_factor,
        )

    @property
    def off(self) -> bool:
        """Whether a face is enough."""
        return self == Policy()

    def __str__(self) -> str:
        """Return it in the words of the configuration, with plus signs."""
        words = [self.network.name.lower()] if self.network else []
        words += ["challenge"] * self.challenge + ["second_factor"] * self.second_factor
        return " + ".join(words) or "off"


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one door.

    Attributes:
        default: of people of no group, and of groups that have none of their own.
        groups: those of groups, by name.
        default_group: of people who have none, as the access rules know it.
    """

    default: Policy
    groups: Mapping[str, Policy] = field(default_factory=dict)
    default_group: str | None = None

    def of(self, person: Person) -> Policy:
        """Return what somebody must show: all that any of their groups asks for."""
        names = person.groups or {self.default_group} - {None}
        asked = [self.groups.get(str(name), self.default) for name in names]
        return reduce(or_, asked) if asked else self.default

    @property
    def all(self) -> frozenset[Policy]:
        """Every policy that somebody may come under."""
        return frozenset({self.default, *self.groups.values()})


class Standing(StrEnum):
    """What a visit's score is worth at this door."""

    LIVE = "live"
    """As good as most of the live."""
    DOUBTFUL = "doubtful"
    SUSPECT = "suspect"
    """Worse than nearly all of the live."""
    UNKNOWN = "unknown"
    """There is no score, or nothing to compare it with."""


class SecondSight(StrEnum):
    """What the camera for near infrared says of somebody, where there is one."""

    NONE = "none"
    """There is no such camera."""
    SEEN = "seen"
    UNSEEN = "unseen"
    """It looks where they must be, and nobody is there."""
    UNKNOWN = "unknown"
    """It fails, or they stand where it does not look."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which share of this door's live visits a score is compared with.

    Attributes:
        open_above: a visit that scores at least as high as so many of them is live.
        refuse_below: one that scores lower than all but so many of them is refused.
    """

    open_above: float
    refuse_below: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scores of visits at this door that were seen to be live.

    Attributes:
        scores: mean log-odds of each, in any order.
    """

    scores: tuple[float, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether there are enough of them."""
        return len(self.scores) >= LEAST_SCORES

    def standing(self, score: float, bounds: Bounds) -> Standing:
        """Say what a score is worth.

        Args:
            score: mean log-odds of a visit; NaN where the network said nothing.
        """
        if not (self.complete and math.isfinite(score)):
            return Standing.UNKNOWN
        if score >= self.quantile(bounds.open_above):
            return Standing.LIVE
        return (
            Standing.DOUBTFUL if score >= self.quantile(bounds.refuse_below) else Standing.SUSPECT
        )

    def quantile(self, share: float) -> float:
        """Return the least score that at least so large a share of the scores is not above.

        Args:
            share: 0..1; of 0, the least score.
        """
        return sorted(self.scores)[max(math.ceil(share * len(self.scores)), 1) - 1]

    def moved(self, recent: Sequence[float]) -> bool | None:
        """Return whether scores of late are of another kind, None while that cannot be told."""
        if not self.complete or len(recent) < LEAST_RECENT:
            return None
        wins = sum((one > other) + (one == other) / 2 for one in recent for other in self.scores)
        return abs(wins / (len(recent) * len(self.scores)) - 0.5) > MOVED


class Reason(StrEnum):
    """Why somebody recognised is not let in."""

    ATTACK = "attack"
    """The network takes them for a picture."""
    INFRARED = "infrared"
    """The camera for near infrared sees nobody there."""
    CANNOT_ASK = "cannot_ask"
    """There is nothing to ask them with."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What somebody must show before the door opens; nothing, if it asks for nothing.

    Attributes:
        challenge: whether they must turn their head.
        second_factor: whether they must enter a PIN, or the like.
        refused: why nothing that they could show would help, or None.
    """

    challenge: bool = False
    second_factor: bool = False
    refused: Reason | None = None

    @property
    def nothing(self) -> bool:
        """Whether the door may open."""
        return self == Demand()


@dataclass(frozen=True, slots=True)
class Means:
    """What a door can ask with.

    Attributes:
        challenge: whether whoever stands there can be told to turn their head.
        second_factor: whether there is anything to take a second factor with.
    """

    challenge: bool
    second_factor: bool


def shortcoming(policies: Policies, means: Means, doubt: Doubt) -> str | None:
    """Return what a door would have to ask and cannot, and the way out, or None."""
    for name, policy in [("liveness.policy", policies.default), *policies.groups.items()]:
        asked = {word for word in ("challenge", "second_factor") if getattr(policy, word)}
        asked |= {doubt} if policy.network else set()
        if "challenge" in asked and not means.challenge:
            return (
                f"{name}: {policy} has people turn their head, but nothing at this door can ask "
                "them to, so they are refused: configure signals.left_led and "
                "right_led, signals.voice, .display, .led, .buzzer or .screen, or another policy"
            )
        if "second_factor" in asked and not means.second_factor:
            return (
                f"{name}: {policy} asks for a second factor, but nothing at this door takes one, "
                "so people are refused: configure second_factor, or choose another policy"
            )
    return None


def photographs_open(policies: Policies) -> list[str]:
    """Say for whom a photograph would do, a line for each policy that is off."""
    named = [("liveness.policy", policies.default), *policies.groups.items()]
    return [f"{name}: off: {OFF_SAID}" for name, policy in named if policy.off]


def demand(
    policy: Policy,
    standing: Standing,
    means: Means,
    doubt: Doubt = "challenge",
    infrared: SecondSight = SecondSight.NONE,
) -> Demand:
    """Decide what somebody recognised has to show.

    Args:
        policy: for them.
        standing: of their visit.
        means: of the door.
        doubt: what is asked where only the network's or the camera's doubt stands in the way.
        infrared: what the second camera says. With `off` nobody asks it.
    """
    if policy.off:
        return Demand()
    if infrared is SecondSight.UNSEEN:
        return Demand(refused=Reason.INFRARED)
    if policy.network and standing is Standing.SUSPECT:
        return Demand(refused=Reason.ATTACK)
    challenge, factor = policy.challenge, policy.second_factor
    if _doubts(policy, standing) or infrared is SecondSight.UNKNOWN:
        challenge |= doubt == "challenge"
        factor |= doubt == "second_factor"
    if (challenge and not means.challenge) or (factor and not means.second_factor):
        return Demand(refused=Reason.CANNOT_ASK)
    return Demand(challenge, factor)


def second_sight(seen: Sequence[bool], least: int) -> SecondSight:
    """Say what the second camera's frames amount to.

    Args:
        seen: of each frame in which somebody was recognised and it could be told, whether the
            second camera saw them there.
        least: as many take part, or nothing is known.
    """
    if len(seen) < least:
        return SecondSight.UNKNOWN
    return SecondSight.SEEN if 2 * sum(seen) > len(seen) else SecondSight.UNSEEN


def _doubts(policy: Policy, standing: Standing) -> bool:
    """Whether the network leaves open what it was asked."""
    if policy.network is Heed.GRADED:
        return standing is not Standing.LIVE
    return policy.network is Heed.PASSIVE and standing is Standing.UNKNOWN
