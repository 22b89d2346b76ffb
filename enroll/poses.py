"""How a head is held, what somebody before a camera is told, and when a frame is taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lockd.types import Box, Embedding, Unfit
from lockd.vision.quality import Limits, Quality


class Pose(StrEnum):
    """How a head is held."""

    FRONTAL = "frontal"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


class Hint(StrEnum):
    """What to do next."""

    NOBODY = "nobody"
    SEVERAL = "several"
    CLOSER = "closer"
    WHOLE_FACE = "whole_face"
    MORE_LIGHT = "more_light"
    LESS_LIGHT = "less_light"
    UNCOVER = "uncover"
    HOLD_STILL = "hold_still"
    LOOK_STRAIGHT = "look_straight"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    STRAIGHT_HIGHER = "straight_higher"
    STRAIGHT_LOWER = "straight_lower"
    CHIN_UP = "chin_up"
    CHIN_DOWN = "chin_down"
    NOT_SO_FAR = "not_so_far"
    VARY = "vary"
    STAY = "stay"
    SOMEBODY_ELSE = "somebody_else"
    BEGUN_AGAIN = "begun_again"
    TAKEN = "taken"
    COMPLETE = "complete"


_F, _L, _R, _U, _D = Pose
GOALS = (_F, _F, _L, _R, _U, _D, _F, _F)
"""What is taken, in the order in which it is asked for."""
LEAST_FRONTAL = 2
"""Frames from the front without which nobody is enrolled, partially or not."""


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """When a frame is taken.

    Attributes:
        accept: least similarity of two frames of one person, -1..1: the door's.
        limits: what a face must reach to be judged at all.
        mirrored: whether the pictures are, so that left and right are swapped.
        first_frames: in a row that agree before the first is taken.
        frames: in a row that agree before each of the others.
        gap_s: between two that are taken.
        pause_s: the longest between two frames in a row.
        moved: how far a still face may go from one frame to the next, in its own sizes.
        twins: similarity of two frames from which on they are nearly the same.
        vary_s: how long something else is asked for before it is done without.
        straight_yaw: the largest of a face that looks straight.
        turned_yaw: least and largest of one that is turned a little.
        nod: how far pitch goes up and down from straight, where the limits leave room.
        anew_s: how long somebody else stands there alone before it begins again with them.
    """

    accept: float
    limits: Limits = field(default_factory=Limits)
    mirrored: bool = False
    first_frames: int = 5
    frames: int = 3
    gap_s: float = 1.0
    pause_s: float = 3.0
    moved: float = 0.15
    twins: float = 0.98
    vary_s: float = 8.0
    straight_yaw: float = 0.1
    turned_yaw: tuple[float, float] = (0.13, 0.35)
    nod: float = 0.08
    anew_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """One face in a frame.

    Attributes:
        box: where.
        quality: what was measured of it.
        unfit: why it cannot be judged, or None.
    """

    box: Box
    quality: Quality
    unfit: Unfit | None


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame that was taken."""

    pose: Pose
    t: float
    embedding: Embedding
    pitch: float


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer to one frame.

    Attributes:
        hint: what to do next.
        take: as what to take this frame, or None.
        face: which of its faces, where it is taken.
    """

    hint: Hint
    take: Pose | None = None
    face: int = 0
