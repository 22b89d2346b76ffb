"""What to tell somebody in front of a camera, and which frames to take of them.

Pure: fed with what one frame after the other shows and when, it answers with what to do
next or with "take this one". It sees to it that

- every frame taken shows one person alone, fit to be judged, and the same one throughout;
- a passer-by is not taken: a pose is held for several frames, the first one longest;
- the frames taken differ: in pose, in time, and in what the networks make of them.

Left and right are those of the person. Poses come from the five landmarks, as
`lockd.vision.quality` measures them: yaw is the nose's way off the middle in eye distances,
pitch its place between eyes (0) and mouth (1). What pitch is straight ahead depends on the
nose and on where the camera hangs, so chin up and down are told from the first frames taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from enroll.poses import GOALS, LEAST_FRONTAL, Advice, CapturePlan, Hint, Observed, Pose, Shot
from lockd.types import Box, Embedding, Unfit
from lockd.vision.quality import Quality

_ASKING = {
    Pose.FRONTAL: Hint.LOOK_STRAIGHT,
    Pose.LEFT: Hint.TURN_LEFT,
    Pose.RIGHT: Hint.TURN_RIGHT,
    Pose.UP: Hint.CHIN_UP,
    Pose.DOWN: Hint.CHIN_DOWN,
}
_MENDING = {
    Unfit.TOO_SMALL: Hint.CLOSER,
    Unfit.TOO_DARK: Hint.MORE_LIGHT,
    Unfit.TOO_BRIGHT: Hint.LESS_LIGHT,
    Unfit.BLURRED: Hint.HOLD_STILL,
    Unfit.CUT_OFF: Hint.WHOLE_FACE,
    Unfit.HARDLY_A_FACE: Hint.UNCOVER,
}


@dataclass(slots=True)
class _Row:
    """Frames in a row that show one person in one pose, or one who is not the first."""

    pose: Pose
    first: Embedding
    since: float
    t: float
    count: int = 1


@dataclass(slots=True)
class Guide:
    """Leads one person through the poses.

    Attributes:
        plan: when a frame is taken.
        taken: what was taken, in order.
    """

    plan: CapturePlan
    taken: list[Shot] = field(default_factory=list)
    _row: _Row | None = None
    _twins_since: float | None = None
    _spared: int = 0
    _other: _Row | None = None
    _last: tuple[Box, float] | None = None

    @property
    def goals(self) -> list[Pose]:
        """What is to be taken.

        Up or down is left out where the limits leave no room for it, and the last ones
        from the front where they would be nearly the same as the first.
        """
        if not self.taken:
            return list(GOALS)
        goals = GOALS[: len(GOALS) - self._spared]
        settled = {Pose.FRONTAL, Pose.LEFT, Pose.RIGHT, *(shot.pose for shot in self.taken)}
        return [pose for pose in goals if pose in settled or self._nod(pose) is not None]

    @property
    def missing(self) -> list[Pose]:
        """What is still to be taken, in the order in which it is asked for."""
        left = Counter(shot.pose for shot in self.taken)
        missing: list[Pose] = []
        for pose in self.goals:
            if left[pose]:
                left[pose] -= 1
            else:
                missing.append(pose)
        return missing

    def see(self, faces: Sequence[Observed], embed: Callable[[int], Embedding], t: float) -> Advice:
        """Answer a frame.

        Args:
            faces: in it.
            embed: makes the embedding of one of them, by its place; asked only where needed.
            t: when it was taken, seconds, later than every one before.
        """
        if not self.missing:
            return Advice(Hint.COMPLETE)
        chosen = self._chosen(faces)
        if isinstance(chosen, Hint):
            return self._none(chosen)
        face = faces[chosen]
        still = self._is_still(face.box, t)
        self._last = face.box, t
        if face.unfit is not None:
            return self._none(self._mending(face.unfit))
        if not still:
            return self._none(Hint.HOLD_STILL)
        embedding = embed(chosen)
        if not np.isfinite(embedding).all():
            return self._none(Hint.UNCOVER)
        if not self._is_the_same(embedding):
            return self._somebody_else(face.quality, embedding, t)
        self._other = None
        return self._judge(face.quality, embedding, chosen, t)

    def _judge(self, quality: Quality, embedding: Embedding, face: int, t: float) -> Advice:
        """Answer a frame of the right person, alone, still and fit."""
        pose = self._pose(quality)
        if pose is None or pose not in self._wanted:
            return self._none(self._asking(quality))
        self._row = row = _continued(self._row, pose, embedding, t, self.plan)
        if row.count < (self.plan.frames if self.taken else self.plan.first_frames):
            return Advice(Hint.STAY)
        if self.taken and t - self.taken[-1].t < self.plan.gap_s:
            return Advice(Hint.STAY)
        if any(_alike(shot.embedding, embedding) > self.plan.twins for shot in self.taken):
            return self._vary(pose, t)
        self.taken.append(Shot(pose, t, embedding, quality.pitch))
        self._row = self._twins_since = None
        return Advice(Hint.TAKEN if self.missing else Hint.COMPLETE, pose, face)

    def _vary(self, pose: Pose, t: float) -> Advice:
        """Ask for something new; without it, be content with one frame from the front less."""
        self._twins_since = t if self._twins_since is None else self._twins_since
        enough = sum(shot.pose is Pose.FRONTAL for shot in self.taken) >= LEAST_FRONTAL
        if pose is Pose.FRONTAL and enough and t - self._twins_since >= self.plan.vary_s:
            self._spared += 1
            self._twins_since = None
        return Advice(Hint.VARY if self.missing else Hint.COMPLETE)

    @property
    def _wanted(self) -> list[Pose]:
        """What may be taken now: frontal ones in their turn, the others in any order."""
        missing = self.missing
        if missing[0] is not Pose.FRONTAL:
            return [pose for pose in missing if pose is not Pose.FRONTAL]
        return missing if self.taken else [Pose.FRONTAL]

    def _chosen(self, faces: Sequence[Observed]) -> int | Hint:
        """The place of the face that is meant, or what to do about it."""
        if not faces:
            self._last = None
            return Hint.NOBODY
        nearest = max(range(len(faces)), key=lambda place: faces[place].quality.size_px)
        least = faces[nearest].quality.size_px / 2
        others = [one for place, one in enumerate(faces) if place != nearest]
        if any(one.unfit is None or one.quality.size_px >= least for one in others):
            return Hint.SEVERAL
        return nearest

    def _none(self, hint: Hint) -> Advice:
        """This frame is none to take: the row of those that agree is over."""
        self._row = None
        if hint in (Hint.NOBODY, Hint.SEVERAL):
            self._other = None
        return Advice(hint)

    def _is_still(self, box: Box, t: float) -> bool:
        if self._last is None or t - self._last[1] > self.plan.pause_s:
            return True
        before = self._last[0]
        allowed = self.plan.moved * max(box.width, box.height)
        (x, y), (x0, y0) = box.centre, before.centre
        steps = abs(x - x0), abs(y - y0), abs(box.height - before.height)
        return max(steps) <= allowed

    def _is_the_same(self, embedding: Embedding) -> bool:
        """Whether it is the person who began: like one of the frontal frames of them."""
        straight = [shot for shot in self.taken if shot.pose is Pose.FRONTAL]
        return not straight or any(
            _alike(shot.embedding, embedding) >= self.plan.accept for shot in straight
        )

    def _somebody_else(self, quality: Quality, embedding: Embedding, t: float) -> Advice:
        """Answer a frame of another person, or of a face too much turned to be told."""
        self._row = None
        if self._pose(quality) is not Pose.FRONTAL:
            return Advice(Hint.NOT_SO_FAR)
        self._other = other = _continued(self._other, Pose.FRONTAL, embedding, t, self.plan)
        if other.count < self.plan.first_frames or t - other.since < self.plan.anew_s:
            return Advice(Hint.SOMEBODY_ELSE)
        self.taken.clear()
        self._other = self._twins_since = None
        self._spared = 0
        return Advice(Hint.BEGUN_AGAIN)

    # Poses

    def _yaw(self, quality: Quality) -> float:
        """The way the nose points, to the person's left: a picture shows that on its right."""
        return -quality.yaw if self.plan.mirrored else quality.yaw

    @property
    def _straight(self) -> float:
        """The pitch of this person who looks straight into this camera."""
        return fmean(shot.pitch for shot in self.taken if shot.pose is Pose.FRONTAL)

    def _nod(self, pose: Pose) -> float | None:
        """How far the pitch must go for chin up or down, or None if the limits forbid it."""
        limits = self.plan.limits
        room = (
            self._straight - limits.min_pitch
            if pose is Pose.UP
            else limits.max_pitch - self._straight
        )
        return min(self.plan.nod, 0.4 * room) if room >= self.plan.nod else None

    def _pose(self, quality: Quality) -> Pose | None:
        """How the head is held; None between two poses, and where it is too far turned."""
        yaw, (least, largest) = self._yaw(quality), self.plan.turned_yaw
        if least <= abs(yaw) <= largest:
            return Pose.LEFT if yaw > 0 else Pose.RIGHT
        if abs(yaw) > self.plan.straight_yaw:
            return None
        if self._askew(quality) is None:
            return Pose.FRONTAL
        if not self.taken:
            return None
        risen = self._straight - quality.pitch  # the nose of a lifted chin is nearer the eyes
        pose = Pose.UP if risen > 0 else Pose.DOWN
        nod = self._nod(pose)
        return pose if nod is not None and abs(risen) >= nod else None

    def _askew(self, quality: Quality) -> Hint | None:
        """What to do if the chin is too low or too high for a frame from the front."""
        if self.taken:
            low, high = (
                self._straight - self._level(Pose.UP),
                self._straight + self._level(Pose.DOWN),
            )
        else:
            limits, edge = self.plan.limits, self.plan.nod / 2
            low, high = limits.min_pitch + edge, limits.max_pitch - edge
        if quality.pitch > high:
            return Hint.STRAIGHT_HIGHER
        return Hint.STRAIGHT_LOWER if quality.pitch < low else None

    def _level(self, pose: Pose) -> float:
        """How far pitch may go up or down for a face that still looks straight."""
        return 0.75 * (self._nod(pose) or self.plan.nod)

    def _asking(self, quality: Quality) -> Hint:
        """What leads from this pose to one that is missing."""
        goal = self.missing[0]
        yaw = self._yaw(quality)
        if goal in (Pose.LEFT, Pose.RIGHT):
            towards = yaw if goal is Pose.LEFT else -yaw
            return Hint.NOT_SO_FAR if towards > self.plan.turned_yaw[1] else _ASKING[goal]
        if abs(yaw) > self.plan.straight_yaw:
            return Hint.LOOK_STRAIGHT
        askew = self._askew(quality) if goal is Pose.FRONTAL else None
        return askew or _ASKING[goal]

    def _mending(self, unfit: Unfit) -> Hint:
        if unfit is Unfit.TURNED_AWAY:
            straight = self.missing[0] is Pose.FRONTAL
            return Hint.LOOK_STRAIGHT if straight else Hint.NOT_SO_FAR
        return _MENDING[unfit]


def _continued(
    row: _Row | None, pose: Pose, embedding: Embedding, t: float, plan: CapturePlan
) -> _Row:
    """The row with one more frame, or a new one if this frame does not agree with it."""
    agrees = (
        row is not None
        and row.pose is pose
        and t - row.t <= plan.pause_s
        and _alike(row.first, embedding) >= plan.accept
    )
    if row is None or not agrees:
        return _Row(pose, embedding, since=t, t=t)
    return _Row(pose, row.first, row.since, t, row.count + 1)


def _alike(one: Embedding, other: Embedding) -> float:
    return float(one @ other)
