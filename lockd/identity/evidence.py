"""Several agreeing frames of one visit, and what they amount to.

One frame proves nothing: every judged frame is another chance for a false match, and
one blurred frame of a colleague looks like a stranger. So a visit collects votes:

    agree_frames of the last window_frames votes name the same person -> Recognised
    stranger_frames votes in a row name nobody, over stranger_after_s  -> Stranger
    the visit ends without either                                     -> Unidentified

Each person is announced once a visit, unless they were `refused`, and a stranger once.
Somebody announced as a stranger who is recognised after all is let in.

Whoever steps into the place of somebody recognised may be followed as the same face. So votes
for another person, or a run of votes for nobody by faces that are not like the one recognised,
begin a new visit, with a number of its own; a colleague in bad light stays who they are.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from lockd.types import Embedding, Match, Person, Unfit


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
    """Enough frames agree on a person.

    Attributes:
        visit: its number.
        person: whom they agree on.
        similarity: the least of theirs.
        barred: whether a stranger with such a face came too often just now.
    """

    visit: int
    person: Person
    similarity: float
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Stranger:
    """Enough frames agree on nobody.

    Attributes:
        visit: its number.
        similarity: the greatest to anybody enrolled, NaN if no one is.
        face: what those frames have in common for the first network, norm 1; None where nothing
            is known of it.
        again: how many visits of this stranger there were shortly before.
        bound: whether the similarity is not the greatest, but no less than that.
    """

    visit: int
    similarity: float
    face: Embedding | None = field(default=None, compare=False, repr=False)
    again: int = 0
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Unidentified:
    """A visit ended without a verdict; `reason` says what stood in the way most often."""

    visit: int
    reason: str


Verdict: TypeAlias = Recognised | Stranger | Unidentified

AMBIGUOUS = "ambiguous"
TOO_BRIEF = "too_brief"
_FACES_KEPT = 16


@dataclass(frozen=True, slots=True)
class _Vote:
    t: float
    person: Person | None
    similarity: float
    face: Embedding | None


@dataclass(slots=True)
class _Visit:
    number: int
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
    nobody_bound: bool = False
    nobody_faces: list[Embedding] = field(default_factory=list)
    recognised: Person | None = None
    face: Embedding | None = None  # theirs
    judged_at: float = -math.inf


class Evidence:
    """The votes of every visit under way, by the id of the track that it is followed by.

    Args:
        agreement: how much it takes.
        alike: from which similarity on two faces are one person's.
    """

    def __init__(self, agreement: Agreement, alike: float = math.inf) -> None:
        self._rules = agreement
        self._alike = alike
        self._visits: dict[int, _Visit] = {}
        self._numbers = count(1)

    def visit(self, track: int, now: float) -> int:
        """Return the number of the visit that a track is part of now."""
        return self._visit(track, now).number

    def wants(self, track: int, now: float) -> bool:
        """Return whether judging this face now is worth the work."""
        known = self._visits.get(track)
        if known is None or not (known.announced or known.stranger):
            return True
        return now - known.judged_at >= self._rules.rejudge_s

    def recognised_face(self, track: int) -> Embedding | None:
        """Return the face of whoever was recognised in the visit under way, norm 1."""
        known = self._visits.get(track)
        return None if known is None else known.face

    def settled(self, track: int) -> Person | None:
        """Return who was recognised, if all that matters is whether it is still them."""
        known = self._visits.get(track)
        if known is None or known.face is None or known.again_at:
            return None
        return known.recognised

    def followed(self, track: int, now: float) -> None:
        """Note that a face is still that of whoever was recognised. That is no vote."""
        known = self._visit(track, now)
        known.judged_at, known.nobodies = now, 0

    def last_judged(self, track: int) -> float:
        """Return when a face was last judged, minus infinity if never."""
        known = self._visits.get(track)
        return -math.inf if known is None else known.judged_at

    def rejected(self, track: int, reason: Unfit, now: float) -> None:
        """Note a frame in which the face was not fit to be judged."""
        self._visit(track, now).hindrances[reason.value] += 1

    def judged(
        self,
        track: int,
        match: Match,
        now: float,
        face: Embedding | None = None,
        first: Embedding | None = None,
    ) -> Verdict | None:
        """Count a frame's match and return the verdict that it completes, if any.

        Args:
            track: of the face.
            match: what the gallery said of it.
            now: monotonic seconds.
            face: its embedding, norm 1; None where it is not known, and cannot be as much as
                `alike` like that of whoever was recognised.
            first: what the first network alone says of it, norm 1.
        """
        known = self._visit(track, now)
        known.judged_at = now
        if match.ambiguous:
            # Somebody enrolled, but who? No vote for anyone, least of all for a stranger.
            known.hindrances[AMBIGUOUS] += 1
            return None
        known.votes.append(_Vote(now, match.person, match.similarity, face))
        _count_nobody(known, match, now, self._alike, face, face if first is None else first)
        return self._recognised(known, now) or self._stranger(known, now)

    def refused(self, visit: int, person: Person, again_at: float) -> None:
        """Announce somebody once more, if still there then: they were not let in."""
        for known in self._visits.values():
            if known.number == visit:
                known.again_at[person.id] = again_at

    def ended(self, track: int) -> Unidentified | None:
        """Forget a face; return why its visit stayed without a verdict, if it lasted and did."""
        known = self._visits.pop(track, None)
        if known is None or known.announced or known.stranger:
            return None
        if known.seen - known.since < self._rules.least_visit_s:
            return None
        if not known.hindrances:
            return Unidentified(known.number, TOO_BRIEF)
        return Unidentified(known.number, known.hindrances.most_common(1)[0][0])

    def _visit(self, track: int, now: float) -> _Visit:
        if track not in self._visits:
            votes: deque[_Vote] = deque(maxlen=self._rules.window_frames)
            self._visits[track] = _Visit(next(self._numbers), now, now, votes)
        known = self._visits[track]
        known.seen = now
        return known

    def _recognised(self, known: _Visit, now: float) -> Recognised | None:
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
        if known.announced - {person.id}:
            self._begin_anew(known, now)
        known.again_at.pop(person.id, None)
        known.announced.add(person.id)
        known.recognised = person
        known.stranger = False  # who takes their place now would be another
        known.face = _mean([vote.face for vote in agreeing if vote.face is not None])
        return Recognised(known.number, person, min(vote.similarity for vote in agreeing))

    def _stranger(self, known: _Visit, now: float) -> Stranger | None:
        if known.stranger or (known.announced and known.face is None):
            return None
        if known.nobodies < self._rules.stranger_frames:
            return None
        if not (now - known.nobody_since >= self._rules.stranger_after_s):
            return None
        if known.announced:
            self._begin_anew(known, now)
        known.stranger = True
        return Stranger(
            known.number,
            known.nobody_similarity,
            _mean(known.nobody_faces),
            bound=known.nobody_bound,
        )

    def _begin_anew(self, known: _Visit, now: float) -> None:
        """Let a new visit begin in the place of somebody who was recognised."""
        known.number, known.since = next(self._numbers), now
        known.hindrances.clear()
        known.announced.clear()
        known.again_at.clear()
        known.stranger, known.recognised, known.face = False, None, None


def _count_nobody(
    known: _Visit,
    match: Match,
    now: float,
    alike: float,
    face: Embedding | None,
    first: Embedding | None,
) -> None:
    """Count the votes for nobody in a row, their first time and greatest similarity."""
    same = known.face is not None and face is not None and float(known.face @ face) >= alike
    if match.person is not None or same:
        known.nobodies = 0
        return
    if known.nobodies == 0:
        known.nobody_since, known.nobody_similarity = now, match.similarity
        known.nobody_bound = match.bound
        known.nobody_faces.clear()
    known.nobodies += 1
    if first is not None and len(known.nobody_faces) < _FACES_KEPT:
        known.nobody_faces.append(first)
    if not (known.nobody_similarity >= match.similarity):
        known.nobody_similarity, known.nobody_bound = match.similarity, match.bound


def _mean(faces: list[Embedding]) -> Embedding | None:
    """What some faces have in common, norm 1; None without any."""
    if not faces:
        return None
    import numpy as np  # noqa: PLC0415  # the settings are read by commands that see nobody

    total = np.stack(faces).sum(axis=0)
    norm = float(np.linalg.norm(total))
    return np.asarray(total / norm, np.float32) if norm > 0 else None
