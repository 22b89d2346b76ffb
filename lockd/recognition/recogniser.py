"""From one frame to what is seen in it and what it amounts to. Pure, given the networks.

worth a search? -> detect or follow -> fit to be judged? -> embed and identify -> count as evidence
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import cv2

from lockd.config import Settings
from lockd.identity.evidence import Evidence, Recognised, Stranger, Verdict
from lockd.identity.gallery import Gallery
from lockd.identity.observation import Observation, Sighting
from lockd.identity.strangers import Strangers
from lockd.identity.tracks import Tracker
from lockd.recognition.attention import Attention
from lockd.recognition.naming import Named, NamingRule, name
from lockd.recognition.second_eye import SecondEye
from lockd.types import Embedding, Face, Frame, Image, Person
from lockd.vision import quality
from lockd.vision.embedder import Embedder, Probe
from lockd.vision.geometry import Octaves
from lockd.vision.liveness import Liveness
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector


class Vision:
    """The networks, built once, as `Settings` ask for them.

    Attributes:
        liveness: tells pictures from people; None where nobody asks it.
    """

    def __init__(self, settings: Settings, *, liveness: bool = False) -> None:
        """Load them.

        Args:
            liveness: whether presentation attacks are to be looked for.

        Raises:
            ModelError: if one is missing, altered or unusable.
        """
        wanted = settings.recognition
        # What OpenCV has to do here is so small that sharing it out costs more than doing it.
        cv2.setNumThreads(1)
        self.models = Models.load(wanted.folder(), wanted.runtime)
        self.detector = Detector(
            self.models, min_face_px=wanted.search_face_px, threads=wanted.threads
        )
        self.embedder = Embedder(self.models, wanted.profile, threads=wanted.threads)
        self.liveness = Liveness(self.models, threads=wanted.threads) if liveness else None

    def have_done(self, between: Callable[[], None]) -> None:
        """Have something done between any two networks: a frame may take half a second."""
        self.models.between = between


class Recogniser:
    """Follows the visits of one camera.

    Attributes:
        gallery: who is enrolled; replace it when that changes.
        second_eye: the camera for near infrared, if there is one.
        challenged: visits whose face is embedded in every frame, however it is turned.
        vetted: visits of which more is asked than to be recognised: all networks judge them.
    """

    def __init__(self, settings: Settings, vision: Vision, gallery: Gallery) -> None:
        self._recognition = settings.recognition
        self._limits = settings.quality.limits()
        self._accept = settings.recognition.threshold(vision.embedder.accept)
        self._vision = vision
        self._attention = Attention(
            vision.detector,
            still_search_s=settings.recognition.still_search_s,
            follow_search_s=settings.recognition.follow_search_s,
        )
        self._tracker = Tracker(gap_s=settings.recognition.visit_gap_s)
        self._evidence = Evidence(settings.recognition.agreement(), self._accept)
        lock_out = settings.door.lock_out
        self._rule = NamingRule.of(vision.embedder, self._accept, settings.recognition.margin)
        self._strangers = Strangers(
            self._rule.alone, tries=lock_out.denials, barred_s=lock_out.lasts_s
        )
        self._mirrored = False
        self.gallery = gallery
        self.second_eye: SecondEye | None = None
        self.challenged: frozenset[int] = frozenset()
        self.vetted: frozenset[int] = frozenset()

    def look(self, frame: Frame) -> Observation:
        """Judge a frame.

        Args:
            frame: later than every one before.
        """
        octaves = Octaves(frame.image)
        expected = self._tracker.expected(frame.t)
        seen = self._attention.look(
            octaves,
            frame,
            expected,
            missing=len(expected) < self._tracker.count,
            closely=bool(self.challenged),
        )
        followed = self._tracker.update(seen.faces, frame.t)
        measured = [quality.measure(octaves, face) for _, face in followed]
        hindered = [quality.unfit(one, self._limits) for one in measured]
        fit = {
            track.id: quality.merit(one, self._limits)
            for (track, _), one, unfit in zip(followed, measured, hindered, strict=True)
            if not unfit
        }
        chosen = self._chosen(fit, frame.t)
        verdicts = self._closed(track.id for track in self._tracker.ended(frame.t))
        sightings: list[Sighting] = []
        for (track, face), unfit in zip(followed, hindered, strict=True):
            challenged = self._evidence.visit(track.id, frame.t) in self.challenged
            probe, embedding, match, live, there = None, None, None, math.nan, None
            if challenged or track.id in chosen:
                probe = self._vision.embedder.probe(octaves, face)
            if probe is not None and challenged:
                embedding = probe.whole()
            if unfit is not None:
                self._evidence.rejected(track.id, unfit, frame.t)
            elif probe is not None:
                named = self._named(track.id, probe, frame.t)
                match, embedding = named.match, named.whole
                if embedding is not None and match.person and self._vision.liveness is not None:
                    live = self._live(self._vision.liveness, frame.image, face)
                if embedding is not None and match.person and self.second_eye is not None:
                    there = self.second_eye.sees(frame, face)
                verdicts += self._counted(track.id, named, frame.t)
            visit = self._evidence.visit(track.id, frame.t)
            sightings.append(Sighting(visit, face, unfit, match, embedding, live, there))
        evidence = (seen.change.share, seen.change.noise) if seen.change else ()
        return Observation(sightings, verdicts, seen.effort, *evidence)

    def _live(self, liveness: Liveness, image: Image, face: Face) -> float:
        """How live a face looks, by turns as it is and as in a mirror."""
        mirrored, self._mirrored = self._mirrored, not self._mirrored
        return liveness.score(image, face, mirrored=mirrored)

    def _named(self, track: int, probe: Probe, now: float) -> Named:
        """Who a face is; all networks judge those of whom more is asked."""
        vetted = self._evidence.visit(track, now) in self.vetted | self.challenged
        return name(
            probe,
            self.gallery,
            self._rule,
            settled=None if vetted else self._evidence.settled(track),
            known=self._evidence.recognised_face(track),
        )

    def _counted(self, track: int, named: Named, now: float) -> list[Verdict]:
        """Count who a face is; return the verdict that it completes, if any."""
        if named.followed:
            self._evidence.followed(track, now)
            return []
        verdict = self._evidence.judged(track, named.match, now, named.whole, named.first)
        return [self._remembered(verdict, named.first, now)] if verdict else []

    def refused(self, visit: int, person: Person, again_at: float) -> None:
        """Recognise somebody once more, if still there then: they were not let in."""
        self._evidence.refused(visit, person, again_at)

    def finish(self) -> list[Verdict]:
        """End every visit, at the end of a recording."""
        return self._closed(track.id for track in self._tracker.end_all())

    def _remembered(self, verdict: Verdict, face: Embedding, now: float) -> Verdict:
        """The verdict, and what strangers of the last minutes have to do with it.

        They are told apart by the first network alone: the others did not see most of them.
        """
        match verdict:
            case Stranger():
                return replace(verdict, again=self._strangers.came(verdict.face, now))
            case Recognised():
                return replace(verdict, barred=self._strangers.bars(face, now))
        return verdict

    def _closed(self, visits: Iterable[int]) -> list[Verdict]:
        last_words = [self._evidence.ended(visit) for visit in visits]
        return [verdict for verdict in last_words if verdict]

    def _chosen(self, merits: dict[int, float], now: float) -> set[int]:
        """The visits to judge now, as many as a frame may take.

        Those waiting longest come first, and of those that wait alike the best pictures.
        """
        waiting = [visit for visit in merits if self._evidence.wants(visit, now)]
        waiting.sort(key=lambda visit: (self._evidence.last_judged(visit), -merits[visit]))
        return set(waiting[: self._recognition.faces_per_frame])
