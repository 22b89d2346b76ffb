"""What the frames said in which visits showed one person."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lockd.identity.liveness import SecondSight, second_sight
from lockd.identity.observation import Sighting
from lockd.types import Embedding

_MOST_VISITS = 64


@dataclass(slots=True)
class FramesOf:
    """Those of one visit, since it shows this person.

    Attributes:
        person: their id.
        t: of the last one.
        scores: of the liveness network, where it was asked.
        infrared: whether the second camera saw them, where that could be told.
        face: embedded last.
    """

    person: str
    t: float = -math.inf
    scores: list[float] = field(default_factory=list)
    infrared: list[bool] = field(default_factory=list)
    face: Embedding | None = None

    def score(self, least: int) -> float:
        """Return the mean score; NaN if there are fewer than so many."""
        if len(self.scores) < least:
            return math.nan
        return sum(self.scores) / len(self.scores)

    def second_sight(self, least: int) -> SecondSight:
        """Return what the second camera says, if there are at least so many frames."""
        return second_sight(self.infrared, least)


class VisitFrames:
    """The frames of the last visits."""

    def __init__(self) -> None:
        self._visits: dict[int, FramesOf] = {}

    def count(self, sighting: Sighting, person: str, t: float) -> None:
        """Take one in which a visit shows somebody."""
        known = self._visits.get(sighting.visit)
        if known is None or known.person != person:
            known = self._visits[sighting.visit] = FramesOf(person)
        known.t, known.face = t, sighting.embedding
        if math.isfinite(sighting.liveness):
            known.scores.append(sighting.liveness)
        if sighting.infrared is not None:
            known.infrared.append(sighting.infrared)
        if len(self._visits) > _MOST_VISITS:
            del self._visits[min(self._visits, key=lambda one: self._visits[one].t)]

    def of(self, visit: int, person: str) -> FramesOf:
        """Return those in which a visit shows somebody; none, if it shows somebody else."""
        known = self._visits.get(visit)
        return known if known is not None and known.person == person else FramesOf(person)
