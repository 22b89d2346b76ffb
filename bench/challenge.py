"""Who passes a challenge: printed photographs that were moved, videos that run on, and heads.

    python -m bench.challenge [TRACKS.csv.gz] [--times 200]
    python -m bench.challenge --heads FOLDER [--times 100] [--fps 4]

TRACKS has the boxes and landmarks of real clips, frame by frame: the columns `kind`, `clip`,
`frame`, `confidence`, box and landmarks (`x0`, `y0`, ..., `lex`, `ley`, `rex`, ..., `rmy`). Every
clip is played against many random challenges, over and over from any frame on, forwards and
backwards, at the speed at which it was taken and faster, its face always taken for the right one.
Of what is called an attack none may pass; people who did not know of any challenge should not
either.

Videos are of somebody who turns left and right by turns, for ever, and nobody starts them
in time. The part that passes is that of the best of many rhythms.

Heads are those of the photographs in FOLDER that look into the camera (one each, anywhere below
it), rendered as if they turned (`tests/heads.py`), found and embedded by the networks in every
frame: people who do as asked, and should pass.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from lockd.config import Settings
from lockd.identity.challenge import Challenge, ChallengeRules, Failed, Outcome, Passed
from lockd.recognition.recogniser import Vision
from lockd.types import Box, Face
from lockd.vision.geometry import Octaves
from tests.heads import Sitter, sat
from tests.porch import porch
from tests.turning import ADAS, looped

POINTS = ("le", "re", "n", "lm", "rm")


def clips_of(path: str) -> dict[tuple[str, str], list[tuple[int, Face]]]:
    """The faces of each clip, by kind and name."""
    clips: dict[tuple[str, str], list[tuple[int, Face]]] = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            box = Box(*(float(row[name]) for name in ("x0", "y0", "x1", "y1")))
            landmarks = np.array([[float(row[point + axis]) for axis in "xy"] for point in POINTS])
            face = Face(box, landmarks.astype(np.float32), float(row["confidence"]))
            clips[row["kind"], row["clip"]].append((int(row["frame"]), face))
    return clips


def played(clip: list[tuple[int, Face]], seed: int, rules: ChallengeRules) -> Outcome:
    """Play a clip from somewhere on, to and fro."""
    rng = random.Random(f"camera {seed}")
    challenge = Challenge(rules, now=0.0, rng=random.Random(seed), mirrored=rng.random() < 0.5)
    frames_a_second = rng.choice((20.0, 20.0, 40.0, 100.0))  # the camera's, and played faster
    at, step = rng.randrange(len(clip)), rng.choice((-1, 1))
    t = 0.05
    while challenge.outcome is None:
        challenge.seen(t, clip[at][1], ADAS)
        if not 0 <= at + step < len(clip):
            step = -step
        elapsed = abs(clip[at + step][0] - clip[at][0]) / frames_a_second
        at, t = at + step, t + min(max(elapsed, 0.02), rules.gap_s)
    return challenge.outcome


def tell(what: str, outcomes: list[Outcome]) -> None:
    reasons = Counter(one.reason.value for one in outcomes if isinstance(one, Failed))
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    print(f"{what}: {outcomes.count(Passed())} of {len(outcomes)} passed; failed: {told or 'none'}")


def rhythms() -> Iterator[tuple[float, float]]:
    """Periods in seconds, and the part in which the head is at the front."""
    return itertools.product(
        (1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6), (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    )


def perform(folder: Path, times: int, fps: float, rules: ChallengeRules) -> None:
    """Let people sit before the camera, each a few times."""
    vision = Vision(Settings())
    rules = replace(rules, alike=vision.embedder.accept)
    photographs = sorted(one for one in folder.rglob("*") if one.suffix in {".jpg", ".png"})
    sitters: list[Sitter] = []
    for photograph in photographs[:: max(1, len(photographs) // times)]:
        image = porch(photograph)
        if vision.detector.detect_in(Octaves(image)):
            sitters += [one for one in [Sitter(vision, image)] if not math.isnan(one.ahead)]
    ends = [sat(sitters[seed % len(sitters)], rules, seed, fps) for seed in range(times)]
    tell(f"{len(sitters)} heads at {fps:g} frames a second", [outcome for outcome, _ in ends])
    took = sorted(t for outcome, t in ends if outcome == Passed())
    if took:
        print(f"they took {took[len(took) // 2]:.1f} s, at most {took[-1]:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tracks", nargs="?")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--heads", type=Path)
    parser.add_argument("--fps", type=float, default=4.0)
    wanted = parser.parse_args()
    rules = ChallengeRules()
    if wanted.heads:
        perform(wanted.heads, wanted.times, wanted.fps, rules)
        return
    if wanted.tracks:
        outcomes: dict[str, list[Outcome]] = defaultdict(list)
        for (kind, _), clip in clips_of(wanted.tracks).items():
            outcomes[kind] += [played(clip, seed, rules) for seed in range(wanted.times)]
        for kind, ends in outcomes.items():
            tell(f"{kind} tracks", ends)
    best: tuple[float, list[Outcome]] = (-1.0, [])
    everything: list[Outcome] = []
    for period_s, holds in rhythms():
        ends = [looped(rules, seed, period_s, holds) for seed in range(wanted.times)]
        everything += ends
        best = max(best, (ends.count(Passed()) / len(ends), ends), key=lambda one: one[0])
    tell("videos that run on, any rhythm", everything)
    tell("videos that run on, the best rhythm", best[1])
    print(f"a recording that is started when a turn is asked: {rules.guessed:.4f}")


if __name__ == "__main__":
    main()
