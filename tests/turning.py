"""Heads that turn: faces, and somebody who does as asked."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lockd.identity.challenge import Challenge, ChallengeRules, Outcome, Prompt
from lockd.types import Box, Embedding, Face
from tests.fakes import unit

ADAS, GRACES = unit(1, 0), unit(0, 1)


def face_turned(
    shift: float, *, x: float = 320.0, y: float = 240.0, side: float = 120.0, roll: float = 0.0
) -> Face:
    """A face whose nose is so many eye distances to the image's right of the middle.

    Args:
        shift: eye distances.
        x: of the box's centre, pixels.
        y: of the box's centre, pixels.
        side: of the box, pixels.
        roll: degrees that the face is turned in the image.
    """
    eyes = 0.4 * side
    around = np.array([[-0.5, -0.3], [0.5, -0.3], [shift, 0.05], [-0.4, 0.3], [0.4, 0.3]])
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    landmarks = eyes * around @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    half = side / 2
    return Face(Box(x - half, y - half, x + half, y + half), landmarks.astype(np.float32), 0.99)


@dataclass
class Turner:
    """Somebody who does as asked, some time after.

    A head moves from one angle to another along 3u^2 - 2u^3. `hears` is to be called with each
    prompt, at any time; `shift` says where the nose is then, positive to the person's left.

    Attributes:
        rng: for what is random of the following.
        reacts_s: from a prompt until the head begins to move.
        moves_s: from one angle to another.
        turns: how far, in eye distances, or in degrees: whatever `shift` is to be.
        rest: the shift of this person who looks at the camera.
        goes_on: by so much a second further while the same is asked, as far as `farthest`.
        farthest: from the front.
    """

    rng: random.Random
    reacts_s: tuple[float, float] = (0.4, 0.9)
    moves_s: tuple[float, float] = (0.6, 1.0)
    turns: tuple[float, float] = (0.3, 0.45)
    rest: float = 0.0
    goes_on: float = 0.0
    farthest: float = math.inf
    _heard: Prompt = Prompt.FRONT
    _moves: list[tuple[float, float, Prompt, float]] = field(default_factory=list)

    def hears(self, prompt: Prompt, t: float) -> None:
        if prompt is self._heard:
            return
        self._heard = prompt
        begin = t + self.rng.uniform(*self.reacts_s)
        if self._moves:
            begin = max(begin, self._moves[-1][0] + self._moves[-1][1])
        far = self.rng.uniform(*self.turns)
        self._moves.append((begin, self.rng.uniform(*self.moves_s), prompt, far))

    def shift(self, t: float) -> float:
        now = self.rest
        ends = [*(begin for begin, *_ in self._moves[1:]), math.inf]
        for (begin, lasts, prompt, far), end in zip(self._moves, ends, strict=False):
            longer = self.goes_on * max(0.0, min(t, end) - begin - lasts)
            side = {Prompt.FRONT: 0, Prompt.LEFT: 1, Prompt.RIGHT: -1}[prompt]
            where = self.rest + side * max(far, min(far + longer, self.farthest))
            u = min(1.0, max(0.0, (t - begin) / lasts))
            now += (where - now) * (3 * u**2 - 2 * u**3)
        return now


def challenged(
    rules: ChallengeRules,
    seed: int,
    turner: Turner,
    *,
    fps: float = 10.0,
    jitter: float = 0.0,
    missing: float = 0.0,
    mirrored: bool = False,
    embedding: Callable[[float], Embedding | None] = lambda shift: ADAS,
) -> tuple[Outcome, float]:
    """Ask somebody, frame by frame; return how it ended, and when.

    Args:
        rules: what is asked.
        seed: of what is asked, and of what a camera and a detector add.
        turner: who is asked; they notice each prompt 0.1 s after the frame that led to it.
        fps: frames a second; each comes up to 15 % sooner or later.
        jitter: standard deviation of the shift; box and size vary accordingly.
        missing: part of the frames in which the face is not found.
        mirrored: whether the camera's picture is.
        embedding: of the face when it is turned so far.
    """
    rng = random.Random(f"camera {seed}")
    challenge = Challenge(
        rules, now=0.0, rng=random.Random(seed), mirrored=mirrored, known=embedding(0.0)
    )
    t = 0.0
    while challenge.outcome is None:
        t += rng.uniform(0.85, 1.15) / fps
        shift = turner.shift(t)
        seen = (-shift if mirrored else shift) + rng.gauss(0.0, jitter)
        face = face_turned(
            seen,
            x=320 + 50 * seen + rng.gauss(0.0, 100 * jitter),
            y=240 + rng.gauss(0.0, 100 * jitter),
            side=120 * math.exp(rng.gauss(0.0, jitter)),
        )
        if rng.random() < missing:
            challenge.seen(t, None, None)
        else:
            challenge.seen(t, face, embedding(shift))
        challenge.pass_time(t)
        turner.hears(challenge.prompt, t + 0.1)
    return challenge.outcome, t


def looped(
    rules: ChallengeRules, seed: int, period_s: float, holds: float, fps: float = 10.0
) -> Outcome:
    """Show a video of somebody who turns left and right by turns, begun at any moment.

    Args:
        rules: what is asked.
        seed: of what is asked, and of the moment.
        period_s: from one turn to the left to the next.
        holds: part of the time in which the head is at the front, before each turn.
        fps: frames a second.
    """
    challenge = Challenge(rules, now=0.0, rng=random.Random(seed))
    phase = random.Random(f"moment {seed}").random()
    t = 0.0
    while challenge.outcome is None:
        t += 1 / fps
        half, within = divmod((t / period_s + phase) % 1.0 * 2, 1.0)
        moved = max(0.0, (within - holds) / (1 - holds))
        shift = 0.38 * math.sin(math.pi * moved) * (-1 if half else 1)
        challenge.seen(t, face_turned(shift), ADAS)
    return challenge.outcome
