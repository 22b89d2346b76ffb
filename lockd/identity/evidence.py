"""Several agreeing frames of one visit, and what they amount to.

One frame proves nothing: every judged frame is another chance for a false match, and
one blurred frame of a colleague looks like a stranger. So a visit collects votes:

    agree_frames of the last window_frames votes name the same person -> Recognised
    stranger_frames votes in a row name nobody, over stranger_after_s  -> Stranger
    the visit ends without either                                     -> Unidentified

Each person is announced once a visit, unless they were `refused`, and a stranger once.
Somebody announced as a stranger who is recognised after all is let in; nobody who was
recognised becomes a stranger in the same visit.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TypeAlias

from lockd.types import Match, Person, Unfit


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much evidence it takes.

    Attributes:
        agree_frames: votes for one person that recognise them.
        window_frames: among how many of the last votes.
        window_s: and not older than this.
        stranger_frames: votes in a row for nobody that make a stranger.
        stranger_after_s: and over at least this time.
        least_visit_s: a visit shorter than this ends without a word.
        rejudge_s: how often a face is judged again once its visit has a verdict.
    """

    agree_frames: int = 3
    window_frames: int = 5
    window_s: float = 3.0
    stranger_frames: int = 8
    stranger_after_s: float = 1.5
    least_visit_s: float = 1.0
    rejudge_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Recognised:
    """Enough frames agree on a person; `similarity` is the least of theirs."""

    visit: int
    person: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class Stranger:
    """Enough frames agree on nobody; `similarity` is the greatest, NaN if no one is enrolled."""

    visit: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Unidentified:
    """A visit ended without a verdict; `reason` says what stood in the way most often."""

    visit: int
    reason: str


Verdict: TypeAlias = Recognised | Stranger | Unidentified

AMBIGUOUS = "ambiguous"
TOO_BRIEF = "too_brief"


@dataclass(frozen=True, slots=True)
class _Vote:
    t: float
    person: Person | None
    similarity: float


@dataclass(slots=True)
class _Visit:
    since: float
    seen: float
    votes: deque[_Vote]
    hindrances: Counter[str] = field(default_factory=Counter)
    announced: set[str] = field(default_factory=set)
    again_at: dict[str, float] = field(default_factory=dict)
    stranger: bool = False
    nobodies: int = 0  # how many of the last votes, in a row, were for nobody
    nobody_since: float = 0.0
    nobody_similarity: float = math.nan
    judged_at: float = -math.inf


class Evidence:
    """The votes of every visit under way, by the id of its track."""

    def __init__(self, agreement: Agreement) -> None:
        self._rules = agreement
        self._visits: dict[int, _Visit] = {}

    def wants(self, visit: int, now: float) -> bool:
        """Return whether judging this visit's face now is worth the work."""
        known = self._visits.get(visit)
        if known is None or not (known.announced or known.stranger):
            return True
        return now - known.judged_at >= self._rules.rejudge_s

    def last_judged(self, visit: int) -> float:
        """Return when a visit's face was last judged, minus infinity if never."""
        known = self._visits.get(visit)
        return -math.inf if known is None else known.judged_at

    def rejected(self, visit: int, reason: Unfit, now: float) -> None:
        """Note a frame in which the face was not fit to be judged."""
        self._visit(visit, now).hindrances[reason.value] += 1

    def judged(self, visit: int, match: Match, now: float) -> Verdict | None:
        """Count a frame's match and return the verdict that it completes, if any."""
        known = self._visit(visit, now)
        known.judged_at = now
        if match.ambiguous:
            # Somebody enrolled, but who? No vote for anyone, least of all for a stranger.
            known.hindrances[AMBIGUOUS] += 1
            return None
        known.votes.append(_Vote(now, match.person, match.similarity))
        _count_nobody(known, match, now)
        return self._recognised(visit, known, now) or self._stranger(visit, known, now)

    def refused(self, visit: int, person: Person, again_at: float) -> None:
        """Announce somebody once more, if still there then: they were not let in."""
        known = self._visits.get(visit)
        if known is not None:
            known.again_at[person.id] = again_at

    def ended(self, visit: int) -> Unidentified | None:
        """Forget a visit; return why it stayed without a verdict, if it lasted and did."""
        known = self._visits.pop(visit, None)
        if known is None or known.announced or known.stranger:
            return None
        if known.seen - known.since < self._rules.least_visit_s:
            return None
        if not known.hindrances:
            return Unidentified(visit, TOO_BRIEF)
        return Unidentified(visit, known.hindrances.most_common(1)[0][0])

    def _visit(self, visit: int, now: float) -> _Visit:
        votes: deque[_Vote] = deque(maxlen=self._rules.window_frames)
        known = self._visits.setdefault(visit, _Visit(now, now, votes))
        known.seen = now
        return known

    def _recognised(self, visit: int, known: _Visit, now: float) -> Recognised | None:
        window = [vote for vote in known.votes if now - vote.t <= self._rules.window_s]
        person = window[-1].person
        if person is None:
            return None
        # By id: their groups may have changed between two frames.
        agreeing = [one for one in window if one.person is not None and one.person.id == person.id]
        if len(agreeing) < self._rules.agree_frames:
            return None
        if person.id in known.announced and not now >= known.again_at.get(person.id, math.inf):
            return None
        known.again_at.pop(person.id, None)
        known.announced.add(person.id)
        return Recognised(visit, person, min(vote.similarity for vote in agreeing))

    def _stranger(self, visit: int, known: _Visit, now: float) -> Stranger | None:
        if known.announced or known.stranger:
            return None
        if known.nobodies < self._rules.stranger_frames:
            return None
        if not (now - known.nobody_since >= self._rules.stranger_after_s):
            return None
        known.stranger = True
        return Stranger(visit, known.nobody_similarity)


def _count_nobody(known: _Visit, match: Match, now: float) -> None:
    """Count the votes for nobody in a row, their first time and greatest similarity."""
    if match.person is not None:
        known.nobodies = 0
        return
    if known.nobodies == 0:
        known.nobody_since, known.nobody_similarity = now, match.similarity
    known.nobodies += 1
    if not (known.nobody_similarity >= match.similarity):
        known.nobody_similarity = match.similarity
