"""What one frame showed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from lockd.identity.evidence import Verdict
from lockd.types import Embedding, Face, Match, Unfit


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame.

    Attributes:
        visit: number of the visit it belongs to.
        face: where, in pixels of the frame.
        unfit: why it was not judged, or None.
        match: who it is; None where it was not judged, be it unfit, be it that its
            visit has its verdict or that others came first. Its similarity may be a bound.
        embedding: where all networks saw it, norm 1.
        liveness: log-odds that it is live; NaN where the network was not asked.
        infrared: whether the second camera sees it too; None where that cannot be told.
    """

    visit: int
    face: Face
    unfit: Unfit | None
    match: Match | None
    embedding: Embedding | None = field(default=None, compare=False, repr=False)
    liveness: float = field(default=math.nan, compare=False)
    infrared: bool | None = None


class Effort(StrEnum):
    """How a frame was looked at."""

    STILL = "still"
    """Nothing had moved: not searched."""
    FOLLOWED = "followed"
    """Only near the faces known."""
    PARTLY = "partly"
    """Searched where something had moved."""
    SEARCHED = "searched"
    """Searched everywhere."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one frame showed, and the verdicts that it completed.

    Attributes:
        sightings: the faces.
        verdicts: of visits, most of them without a face any more.
        effort: how the frame was looked at.
        changed: part of the picture that is not as it was when searched last, 0..1; NaN where
            nobody asked.
        noise: of the picture, in octaves of light; NaN as well.
    """

    sightings: list[Sighting]
    verdicts: list[Verdict]
    effort: Effort = Effort.SEARCHED
    changed: float = field(default=math.nan, compare=False)
    noise: float = field(default=math.nan, compare=False)

    def face_of(self, visit: int | None = None) -> Face | None:
        """Return the face of a visit, or of any, if it is in the frame."""
        faces = (one.face for one in self.sightings if visit in (None, one.visit))
        return next(faces, None)
