"""Somebody in front of a camera becomes templates: frames in, what the guide takes out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from enroll.capture_frames import Frames
from enroll.capture_pictures import face_picture
from enroll.guide import Guide
from enroll.poses import Advice, CapturePlan, Observed, Pose
from lockd.clock import Clock
from lockd.config import Settings
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Frame, Image
from lockd.vision import quality
from lockd.vision.geometry import Octaves
from lockd.vision.quality import Quality

LEAST_GAP_S = 0.2
"""Between two frames that are judged: the service needs the processor too."""
_PATIENCE_S = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One frame that was taken.

    Attributes:
        pose: in which it shows the person.
        embedding: of the face.
        template: of the face, as it is kept.
        quality: of the face.
        picture: of the face with something around it, uint8 (160, 160, 3).
        image: the whole frame.
    """

    pose: Pose
    embedding: Embedding
    template: Embedding
    quality: Quality
    picture: Image
    image: Image


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come.

    Attributes:
        advice: what to do next; None while there is no frame to tell from.
        taken: so far.
        goals: what is to be taken.
        left_s: until it is too late.
        problem: of the camera, or None.
    """

    advice: Advice | None
    taken: list[Taken]
    goals: list[Pose]
    left_s: float
    problem: str | None


class Capture:
    """Takes frames of one person until the guide has what it wants.

    Attributes:
        guide: says which.
        taken: what was taken.
    """

    def __init__(
        self,
        settings: Settings,
        vision: Vision,
        frames: Frames,
        clock: Clock,
        check: Callable[[Taken], None],
    ) -> None:
        """Prepare it.

        Args:
            settings: which faces are fit to be judged, and how alike one person's are.
            check: called with the first frame taken of somebody; may raise what ends it.
        """
        self._limits = settings.quality.limits()
        self._vision = vision
        self._frames = frames
        self._clock = clock
        self._check = check
        self.taken: list[Taken] = []
        self.guide = Guide(
            CapturePlan(
                accept=settings.recognition.threshold(vision.embedder.accept),
                limits=self._limits,
                mirrored=settings.camera.mirror,
            )
        )

    def run(self, timeout_s: float, tell: Callable[[Progress], None]) -> list[Pose]:
        """Take frames until nothing is missing, time is over, or the recording is.

        Args:
            tell: called with every step, and again and again while nothing happens.

        Returns:
            What is missing, if anything.

        Raises:
            LockdError: if there are no frames to be had.
        """
        deadline = self._clock.now() + timeout_s
        never = threading.Event()
        while self.guide.missing and not self._frames.ended:
            left_s = deadline - self._clock.now()
            if left_s <= 0:
                break
            frame = self._frames.next(min(_PATIENCE_S, left_s))
            began = self._clock.now()
            advice = None if frame is None else self._look(frame)
            left_s = max(0.0, deadline - self._clock.now())
            tell(Progress(advice, self.taken, self.guide.goals, left_s, self._frames.problem))
            if frame is not None:
                self._clock.wait_until(min(began + LEAST_GAP_S, deadline), never)
        return self.guide.missing

    def _look(self, frame: Frame) -> Advice:
        octaves = Octaves(frame.image)
        faces = self._vision.detector.detect_in(octaves)
        measures = [quality.measure(octaves, face) for face in faces]
        observed = [
            Observed(face.box, measured, quality.unfit(measured, self._limits))
            for face, measured in zip(faces, measures, strict=True)
        ]
        made: dict[int, Embedding] = {}

        def embed(place: int) -> Embedding:
            made[place] = self._vision.embedder.embed(octaves, faces[place])
            return made[place]

        advice = self.guide.see(observed, embed, frame.t)
        if not self.guide.taken:
            self.taken.clear()
        if advice.take is not None:
            place = advice.face
            picture = face_picture(octaves, faces[place])
            template = self._vision.embedder.template(octaves, faces[place])
            self.taken.append(
                Taken(advice.take, made[place], template, measures[place], picture, frame.image)
            )
            if len(self.taken) == 1:
                self._check(self.taken[0])
        return advice
