"""Turn your head: what a photograph cannot do when it is asked to.

Whoever stands there is asked to turn their head to one side, a few times, at random:

    look at the camera -> a random pause -> left or right? -> look at the camera -> ...

A turn counts only if it begins after it was asked, passes `least_shift` to the right side, and
is followed all the way: no gap, no jump of box, scale or angle, the same person's embeddings
from frame to frame. Anything else fails, for a reason, and for good.

What is measured is the nose's shift across the eyes: its offset from the mean of eyes and mouth
corners, along the eyes, in eye distances. It does not change when a flat picture is moved, turned
in its plane or tilted far away, and little when it is bent.

A turn to the right side that could not be followed, too quick or lost in profile, is asked once
more, with another side at random.

A recording knows neither the sides nor the pauses. One that alternates and runs on comes too early
or turns wrongly; one that is held until it is asked, or begun just in time, passes with
the probability `ChallengeRules.guessed`, if it turns slowly enough. Whoever chooses recordings as
they are asked, a mask with a nose, and a face computed meanwhile are not told from a person here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np

from lockd.types import Box, Embedding, Face


class Prompt(StrEnum):
    """What is asked; left and right are those of whoever turns."""

    FRONT = "front"
    LEFT = "left"
    RIGHT = "right"


class Chance(Protocol):
    """What chooses at random, as `random.Random` does."""

    def choice(self, seq: Sequence[Prompt], /) -> Prompt:
        """Return one of several, each as probable."""

    def uniform(self, a: float, b: float, /) -> float:
        """Return a number between two, all as probable."""


class Failure(StrEnum):
    """Why a challenge was not passed."""

    WRONG_TURN = "wrong_turn"
    """To the other side."""
    TOO_EARLY = "too_early"
    """Before it was asked, or sooner than anybody can hear and move."""
    TIME_OVER = "time_over"
    """Not begun, not finished, or not back at the front in time."""
    GAP = "gap"
    """The face was not seen for a moment."""
    JUMP = "jump"
    """The face was somewhere else, of another size or at another angle at once."""
    OTHER_FACE = "other_face"
    """The face is another one's."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Every turn was made as it was asked."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not passed, and never will be."""

    reason: Failure


Outcome: TypeAlias = Passed | Failed


@dataclass(frozen=True, slots=True)
class ChallengeRules:
    """What is asked, and what counts.

    Shifts are in eye distances, other lengths in sides of the box.

    Attributes:
        turns: how many, 2 or 3.
        alike: the least similarity of a frame to the last one or to whoever was recognised, and
            of every frame from the front to the latter; the embedder's `accept`.
        least_shift: what a turn must pass.
        front: the greatest shift, to either side, of somebody who looks at the camera.
        leaves: from this on a head has begun to turn. Between the two it does neither.
        between: a turn is followed if one angle at least was seen in the middle of it, by so much
            beyond that at which it was asked, and by so much before that at which it passed.
        settles_s: for how long the front must be seen: one frame in profile may look like it.
        pause_s: the least and greatest pause before a turn is asked, in which that is included.
        repeats: how many turns that could not be followed may be made again.
        earliest_s: whoever begins sooner after they were asked did not wait for it.
        begin_s: within which a turn must begin, after it was asked.
        turn_s: within which it must pass `least_shift`.
        longest_s: the whole.
        gap_s: the longest time between two frames that show the face.
        missed: how many frames in a row may show no face, within `gap_s`.
        profile_s: how long a head may go unseen in profile, on its way back or for another try.
        lost_s: nothing was seen for so long by the clock, be it for want of frames: given up.

    Raises:
        ValueError: if fewer or more turns are asked for.
    """

    turns: int = 2
    alike: float = 0.5
    least_shift: float = 0.25
    front: float = 0.12
    leaves: float = 0.16
    between: float = 0.08
    settles_s: float = 0.3
    pause_s: tuple[float, float] = (0.3, 1.0)
    repeats: int = 1
    earliest_s: float = 0.2
    begin_s: float = 2.0
    turn_s: float = 3.0
    longest_s: float = 8.0
    gap_s: float = 0.7
    missed: int = 2
    profile_s: float = 1.8
    lost_s: float = 2.5

    def __post_init__(self) -> None:
        if not 2 <= self.turns <= 3:
            raise ValueError(f"a challenge asks for 2 or 3 turns, not for {self.turns}")

    @property
    def guessed(self) -> float:
        """The probability that a recording passes which cannot choose, at best.

        Each turn, asked again or not, is one of two sides at random, and a wrong one fails. The
        pauses cannot lower it: whoever plays a recording may start it when the turn is asked.
        """
        return 0.5**self.turns


# What a head that turns, and a detector, do between two frames: so much at once, and so much a
# second. People who sit and talk before a camera (20 frames a second) stay within 0.16 and 0.20
# from a frame to the next.
_MOVES, _MOVES_A_SECOND = 0.2, 1.2  # of the box's centre, in sides of the box
_GROWS, _GROWS_A_SECOND = 0.2, 0.6  # of the box's side, natural logarithm
_TURNS, _TURNS_A_SECOND, _TURNS_AT_MOST = 0.1, 1.5, 0.3  # of the shift, in eye distances


def nose_shift(face: Face) -> float:
    """How far the nose is from the middle of eyes and mouth, along the eyes.

    Args:
        face: with finite landmarks, or not.

    Returns:
        Eye distances, positive to the image's right: about 0 from the front, 0.25 at 30 degrees;
        NaN where the eyes are one point or anything is not finite.
    """
    eye, other, nose, left, right = face.landmarks.astype(np.float64)
    across = other - eye
    with np.errstate(all="ignore"):
        shift = (nose - (eye + other + left + right) / 4) @ across / (across @ across)
    return float(shift) if math.isfinite(shift) else math.nan


@dataclass(frozen=True, slots=True)
class _Sight:
    t: float
    shift: float  # positive to the left of whoever turns
    box: Box
    side: float
    embedding: Embedding


class Challenge:
    """What one person is asked, from the moment that they were recognised.

    Args:
        rules: what is asked, and what counts.
        now: monotonic seconds.
        rng: chooses turns and pauses; nobody may foresee it: `random.SystemRandom` at a door.
        mirrored: whether the camera's picture is a mirror's.
        known: embedding of whoever was recognised; without it, that of the first frame from
            the front.

    Attributes:
        prompt: what to ask now.
        outcome: None while it goes on.
    """

    def __init__(
        self,
        rules: ChallengeRules,
        *,
        now: float,
        rng: Chance,
        mirrored: bool = False,
        known: Embedding | None = None,
    ) -> None:
        self.prompt = Prompt.FRONT
        self.outcome: Outcome | None = None
        self._rules = rules
        self._left = -1.0 if mirrored else 1.0
        self._known = known
        self._rng = rng
        self._repeats = rules.repeats
        self._todo = [self._drawn() for _ in range(rules.turns)]
        self._ends = now + rules.longest_s
        self._seen_at = now
        self._looked_at = -math.inf
        self._missed = 0
        self._last: _Sight | None = None
        self._ahead_since: float | None = None
        self._settled: float | None = None
        self._returning = False
        self._asked: _Sight | None = None
        self._begun = False
        self._between = math.inf

    @property
    def next_deadline(self) -> float:
        """When `pass_time` will end it, if nothing is seen before."""
        return min(self._ends, self._seen_at + self._rules.lost_s)

    def pass_time(self, now: float) -> None:
        """Fail what is over by the clock; a frame may be told of later than it was taken."""
        if self.outcome is None and not now <= self.next_deadline:
            self._fail(Failure.GAP if now <= self._ends else Failure.TIME_OVER)

    def seen(self, t: float, face: Face | None, embedding: Embedding | None) -> None:
        """Take a frame into account.

        A face without an embedding, or of which anything is not finite, was not seen.

        Args:
            t: when it was taken, monotonic seconds; one not later than the last is left out.
            face: of the challenged visit's track; None if it is not in the frame.
            embedding: of that face, whichever way it looks.
        """
        if self.outcome is not None or t <= self._looked_at:
            return
        self._looked_at = t
        if not t <= self._ends:
            return self._fail(Failure.TIME_OVER)
        sight = self._sight(t, face, embedding)
        self._missed += sight is None
        self._look_for_gaps(t)
        if self.outcome is not None or sight is None:
            return None
        if (flaw := self._flaw(sight)) is not None:
            return self._fail(flaw)
        if self._asked is None or self._last is None:
            self._wait(sight)
        else:
            self._follow(sight, self._last, self._asked)
        self._missed, self._seen_at, self._last = 0, t, sight
        return None

    def _look_for_gaps(self, t: float) -> None:
        """See that the face was seen often enough up to now for this to be the same one."""
        rules = self._rules
        if t - self._seen_at <= rules.gap_s and self._missed <= rules.missed:
            return
        # Few detectors find a face in profile. What is next begins at the front, with the same one.
        if not self._in_profile or t - self._seen_at > rules.profile_s:
            self._fail(Failure.GAP)
        elif self._asked is not None:
            self._again(Failure.GAP)

    @property
    def _in_profile(self) -> bool:
        """Whether a head turns away as it was asked to, or is on its way back."""
        return self._returning or (self._asked is not None and self._begun)

    def _fail(self, reason: Failure) -> None:
        self.outcome = Failed(reason)

    def _sight(self, t: float, face: Face | None, embedding: Embedding | None) -> _Sight | None:
        """What a frame showed, None if that is not enough to go by."""
        if face is None or embedding is None:
            return None
        shift, side = self._left * nose_shift(face), (face.box.width + face.box.height) / 2
        measures = (shift, side, *face.box.centre, float(np.sum(embedding)))
        if not (all(map(math.isfinite, measures)) and side > 0):
            return None
        sight = _Sight(t, shift, face.box, side, embedding)
        # A face in profile says little; at the front it has to be theirs.
        return None if self._in_profile and self._strange(sight) else sight

    def _flaw(self, sight: _Sight) -> Failure | None:
        """What tells that this is not the face of before, one frame later."""
        if self._last is not None and not _near(self._last, sight):
            return Failure.JUMP
        if self._strange(sight):
            return Failure.OTHER_FACE
        if self._known is None and self._ahead(sight):
            self._known = sight.embedding
        return None

    def _strange(self, sight: _Sight) -> bool:
        """Whether it is not whoever was recognised; in profile, nor the face of the last frame."""
        if self._known is not None:
            if self._alike(sight, self._known):
                return False
            if self._ahead(sight):
                return True
        return self._last is not None and not self._alike(sight, self._last.embedding)

    def _alike(self, sight: _Sight, other: Embedding) -> bool:
        return float(other @ sight.embedding) >= self._rules.alike

    def _ahead(self, sight: _Sight) -> bool:
        return abs(sight.shift) <= self._rules.front

    def _wait(self, sight: _Sight) -> None:
        """Look for a head at the front, that stays there until it is asked."""
        rules, (side, pause) = self._rules, self._todo[0]
        if not abs(sight.shift) <= rules.leaves:
            if self._settled is not None and sight.t - self._settled >= rules.earliest_s:
                return self._fail(Failure.TOO_EARLY)
            self._ahead_since = self._settled = None  # it is still on its way back
        if not self._ahead(sight):
            return None
        since = self._ahead_since = sight.t if self._ahead_since is None else self._ahead_since
        if sight.t - since >= rules.settles_s:
            self._settled, self._returning = since, False
            if sight.t - since >= pause:
                self.prompt, self._asked = side, sight
                self._begun, self._between = False, math.inf
        return None

    def _follow(self, sight: _Sight, last: _Sight, asked: _Sight) -> None:
        """Look for the turn that was asked."""
        rules, since = self._rules, sight.t - asked.t
        sign = 1.0 if self.prompt is Prompt.LEFT else -1.0
        shift = sign * sight.shift
        if not since <= (rules.turn_s if self._begun else rules.begin_s):
            return self._fail(Failure.TIME_OVER)
        if not shift >= -rules.leaves:
            return self._fail(Failure.WRONG_TURN)
        if not self._begun and shift > rules.leaves:
            if not since >= rules.earliest_s:
                return self._fail(Failure.TOO_EARLY)
            self._begun = True
        if not _steady(last, sight):
            return self._again(Failure.JUMP)
        if shift >= rules.least_shift and shift >= self._between + rules.between:
            return self._turned()
        on_the_way = shift >= sign * asked.shift + rules.between
        self._between = min(self._between, shift) if on_the_way else math.inf
        return None

    def _again(self, reason: Failure) -> None:
        """Ask for another turn in place of one that nobody could follow."""
        if not self._repeats:
            return self._fail(reason)
        self._repeats -= 1
        self._todo[0] = self._drawn()
        self._look_ahead()
        return None

    def _turned(self) -> None:
        self._todo.pop(0)
        self._look_ahead()
        if not self._todo:
            self.outcome = Passed()

    def _look_ahead(self) -> None:
        self.prompt, self._asked, self._settled = Prompt.FRONT, None, None
        self._ahead_since, self._returning = None, True

    def _drawn(self) -> tuple[Prompt, float]:
        """A side at random, and the pause before it is asked."""
        side = self._rng.choice((Prompt.LEFT, Prompt.RIGHT))
        return side, self._rng.uniform(*self._rules.pause_s)


def _near(before: _Sight, after: _Sight) -> bool:
    """Whether a box is where, and as large as, one face can be a moment later."""
    elapsed = after.t - before.t
    moved = math.dist(before.box.centre, after.box.centre) / max(before.side, after.side)
    grown = abs(math.log(after.side / before.side))
    return (
        moved <= _MOVES + _MOVES_A_SECOND * elapsed and grown <= _GROWS + _GROWS_A_SECOND * elapsed
    )


def _steady(before: _Sight, after: _Sight) -> bool:
    """Whether a head can have turned so far since."""
    most = min(_TURNS + _TURNS_A_SECOND * (after.t - before.t), _TURNS_AT_MOST)
    return abs(after.shift - before.shift) <= most
