"""From pictures to enrolled people: what is good is kept, what is not is told and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from enroll.everybody import Everybody, everybody_in
from enroll.judging import Objection, Opinion, Rule, judge
from lockd.adapters.store import Access, Details, Store, clean_name
from lockd.config import Settings
from lockd.console import administrator
from lockd.errors import ImageError, LockdError, PersonError
from lockd.recognition.photographs import kept_in, read, reduced, search
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Image, Person
from lockd.vision.decoding import decode
from lockd.vision.pictures import encode_jpeg
from lockd.vision.space import Space


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture of one usable face, not yet judged against any other.

    Attributes:
        label: what to call the picture.
        embedding: of the face, as it is kept.
        picture: JPEG, at most 1280 pixels long and without its maker's notes; None
            if photographs are not kept.
    """

    label: str
    embedding: Embedding
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How somebody is to be enrolled.

    Attributes:
        access: their rights, as far as they are given.
        details: what else is kept of them; None leaves it as it is.
        anyway: why objections to who it is are overruled, for the audit trail; or None.
        replace_outdated: forget the templates that other networks made of them.
        unconfirmed: somebody new, who stays a stranger until they are enabled.
    """

    access: Access = field(default_factory=Access)
    details: Callable[[Details], Details] | None = None
    anyway: str | None = None
    replace_outdated: bool = False
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class CandidateVerdict:
    """What became of one picture.

    Attributes:
        label: which.
        reason: in one stable word why it was refused: of `ImageError`, or an
            `Objection`; None if it was accepted.
        message: the reason and the way out, for people; empty if it was accepted.
    """

    label: str
    reason: str | None = None
    message: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it was enrolled."""
        return self.reason is None

    @property
    def repeated(self) -> bool:
        """Whether it was enrolled before, which is no mistake."""
        return self.reason == Objection.REPEATED


@dataclass(slots=True)
class EnrolmentOutcome:
    """What became of one person's pictures.

    Attributes:
        name: theirs.
        verdicts: of each picture.
        error: why nothing at all was enrolled, or None.
        templates: how many they have now of the networks in use.
        left_out: how many there were beyond the most that a person has.
    """

    name: str
    verdicts: list[CandidateVerdict] = field(default_factory=list)
    error: LockdError | None = None
    templates: int = 0
    left_out: int = 0

    @property
    def accepted(self) -> int:
        """How many pictures were enrolled."""
        return 0 if self.error else sum(one.accepted for one in self.verdicts)

    @property
    def repeated(self) -> int:
        """How many pictures had been enrolled before."""
        return sum(one.repeated for one in self.verdicts)

    @property
    def refused(self) -> list[CandidateVerdict]:
        """The pictures that were refused."""
        return [one for one in self.verdicts if not one.accepted and not one.repeated]

    @property
    def failed(self) -> bool:
        """Whether anything was refused."""
        return self.error is not None or bool(self.refused)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "name": self.name,
            "accepted": self.accepted,
            "repeated": self.repeated,
            "refused": [
                {"picture": one.label, "reason": one.reason, "message": one.message}
                for one in self.refused
            ],
            "error": None if self.error is None else str(self.error),
            "templates": self.templates,
            "left_out": self.left_out,
        }


def rule_of(settings: Settings, vision: Vision) -> Rule:
    """Return how alike is alike at this door."""
    recognition = settings.recognition
    accept = recognition.threshold(vision.embedder.accept)
    return Rule.of(vision.models.manifest, recognition.profile, accept)


class Enroller:
    """Judges pictures and puts the good ones into a store.

    Attributes:
        vision: the networks.
        rule: how alike is alike.
    """

    def __init__(self, settings: Settings, store: Store, vision: Vision | None = None) -> None:
        """Build the networks.

        Args:
            store: where people are kept.
            vision: the networks, if they are there already.

        Raises:
            ModelError: if a network is missing, altered or unusable.
        """
        self.vision = vision or Vision(settings)
        self._store = store
        self._limits = settings.quality.limits()
        self._keep_photographs = settings.store.keep_photographs
        self.rule = rule_of(settings, self.vision)
        self._everybody = Everybody([], self.vision.embedder.size)

    def outdated(self) -> list[str]:
        """Return the names of those who have templates that the networks in use did not make."""
        models = self.vision.embedder.space.layouts
        return [one.name for one in self._store.templates.outdated(models)]

    def candidate(self, picture: Path | Image, label: str) -> Candidate:
        """Find the one usable face in a picture.

        Args:
            picture: a file, or uint8 (height, width, 3), BGR.
            label: what to call it.

        Raises:
            ImageError: if it cannot be read, or shows no usable face or several.
        """
        photograph = (
            read(picture, self.vision)
            if isinstance(picture, Path)
            else search(picture, self.vision)
        )
        embedding = kept_in(photograph, self.vision, self._limits, label)
        kept = encode_jpeg(reduced(photograph.image)) if self._keep_photographs else None
        return Candidate(label, embedding, kept)

    def verdicts(
        self, name: str, candidates: Sequence[Candidate], *, anyway: bool = False
    ) -> list[CandidateVerdict]:
        """Judge pictures of one person by each other and by who is enrolled; write nothing.

        Args:
            candidates: any number of pictures.
            anyway: object to repeated pictures only.
        """
        opinions = self._opinions(name, candidates, anyway=anyway)
        return [
            self._verdict(candidate.label, opinion, other)
            for candidate, (opinion, other) in zip(candidates, opinions, strict=True)
        ]

    def add(
        self,
        name: str,
        photos: Sequence[Path],
        done: Callable[[], None],
        terms: Terms | None = None,
    ) -> EnrolmentOutcome:
        """Enrol one person from photographs.

        Args:
            done: called after each was looked at.

        Raises:
            StoreError: if the store cannot be written; then nothing was.
        """
        return self._add(name, [(str(one), one) for one in photos], done, terms or Terms())

    def embed_again(self, name: str, done: Callable[[], None]) -> EnrolmentOutcome:
        """Enrol somebody anew from the photographs that are kept of them.

        Args:
            done: called after each was looked at.

        Raises:
            StoreError: if the store cannot be written; then nothing was.
        """
        kept = self._store.templates.photographs(name)
        if not kept:
            error = f"{name}: no photograph is kept; name a folder with some, or remove them"
            return EnrolmentOutcome(name, error=ImageError(error))
        pictures = [
            (label := f"photograph of template {number}", decode(content, label))
            for number, content in kept.items()
        ]
        return self._add(name, pictures, done, Terms(replace_outdated=True))

    def _add(
        self,
        name: str,
        pictures: Sequence[tuple[str, Path | Image]],
        done: Callable[[], None],
        terms: Terms,
    ) -> EnrolmentOutcome:
        outcome = EnrolmentOutcome(name)
        candidates = []
        for label, picture in pictures:
            try:
                candidates.append(self.candidate(picture, label))
            except ImageError as error:
                outcome.verdicts.append(CandidateVerdict(label, error.reason, str(error)))
            done()
        self.enrol(outcome, candidates, terms)
        order = [label for label, _ in pictures]
        outcome.verdicts.sort(key=lambda one: order.index(one.label))
        return outcome

    def enrol(
        self, outcome: EnrolmentOutcome, candidates: Sequence[Candidate], terms: Terms
    ) -> EnrolmentOutcome:
        """Judge pictures and write the good ones, in one transaction.

        Args:
            outcome: of the person; gets the verdicts.

        Raises:
            StoreError: if the store cannot be written; then nothing was.
        """
        try:
            outcome.name = clean_name(outcome.name)
            judged = self.verdicts(outcome.name, candidates, anyway=terms.anyway is not None)
            outcome.verdicts += judged
            good = [one for one, said in zip(candidates, judged, strict=True) if said.accepted]
            if good:
                self._write(outcome, good, terms)
            elif outcome.repeated:
                self._change(outcome, terms)
        except PersonError as error:
            outcome.error = error
        return outcome

    def _change(self, outcome: EnrolmentOutcome, terms: Terms) -> None:
        """Write what was said of somebody whose pictures are all enrolled already."""
        one = self._store.people.named(outcome.name)
        if terms.replace_outdated:
            stored = self._store.templates.of(outcome.name)
            layouts = self.vision.embedder.space.layouts
            old = [kept.id for kept in stored if kept.model not in layouts]
            self._store.templates.drop(old, by=administrator())
        if terms.access:
            self._store.people.change_access(outcome.name, by=administrator(), **terms.access)
        if terms.details is not None:
            details = terms.details(one.details)
            self._store.people.change_details(outcome.name, details, by=administrator())
        outcome.templates = len(self._everybody.own(one.person.id))

    def _write(self, outcome: EnrolmentOutcome, good: list[Candidate], terms: Terms) -> None:
        space = self.vision.embedder.space
        known = self._store.people.find(outcome.name)
        before = len(self._everybody.own(known.person.id)) if known else 0
        details = known.details if known else Details()
        person = self._store.people.add(
            outcome.name,
            space.model,
            [one.embedding for one in good],
            by=administrator(),
            note=terms.anyway and self._overruled(outcome.name, good, terms.anyway),
            replace_outdated=terms.replace_outdated,
            unconfirmed=terms.unconfirmed,
            photographs=[one.picture for one in good if one.picture is not None],
            details=None if terms.details is None else terms.details(details),
            **terms.access,
        )
        stored = self._store.templates.of(outcome.name)
        brought = [space.brought(one.model, one.embedding) for one in stored]
        kept = [one for one in brought if one is not None]
        self._everybody.replace(person, kept)
        outcome.templates = len(kept)
        outcome.left_out = before + len(good) - len(kept)

    def _opinions(
        self, name: str, candidates: Sequence[Candidate], *, anyway: bool
    ) -> list[tuple[Opinion, Person | None]]:
        """What the rule says of each picture, and whom else it is most like."""
        if not candidates:
            return []
        self._look_again()
        known = self._store.people.find(name)
        id_ = known.person.id if known else None
        space = self.vision.embedder.space
        pictures = np.stack([_compared(space, one) for one in candidates])
        nearest = self._everybody.nearest_other(pictures, id_)
        likeness = [like for _, like in nearest]
        opinions = judge(pictures, self._everybody.own(id_), likeness, self.rule, anyway=anyway)
        return [(opinion, other) for opinion, (other, _) in zip(opinions, nearest, strict=True)]

    def _overruled(self, name: str, good: list[Candidate], reason: str) -> str:
        """What the audit trail says of objections overruled: ids, for names can be forgotten."""
        told = set()
        for opinion, other in self._opinions(name, good, anyway=False):
            if opinion.objection is Objection.TOO_LIKE and other is not None:
                told.add(f"too like {other.id}")
            elif opinion.objection is Objection.NOT_THE_SAME:
                told.add("not the same person as the others")
        return f"anyway: {reason} ({'; '.join(sorted(told)) or 'there was no objection'})"

    def _look_again(self) -> None:
        """Read who is enrolled, if that may have changed."""
        if self._store.gallery.changed():
            self._everybody = everybody_in(self._store, self.vision.embedder.space)

    def _verdict(self, label: str, opinion: Opinion, other: Person | None) -> CandidateVerdict:
        if opinion.objection is None:
            return CandidateVerdict(label)
        if opinion.objection is Objection.REPEATED:
            return CandidateVerdict(label, Objection.REPEATED, f"{label}: enrolled already")
        if opinion.objection is Objection.TOO_LIKE:
            name = other.name if other else "somebody"
            message = (
                f"{label}: too like {name}, who is enrolled (similarity {opinion.similarity:.2f}; "
                f"the door takes {self.rule.accept:g} for them); use a better photograph, or say "
                "--anyway with the reason"
            )
        else:
            message = (
                f"{label}: not the same person as the other pictures (similarity "
                f"{opinion.similarity:.2f}, {self.rule.agree:.2f} is needed); leave it out, or, "
                "if it is them, say --anyway with the reason"
            )
        return CandidateVerdict(label, opinion.objection, message)


def _compared(space: Space, candidate: Candidate) -> Embedding:
    """A picture's template as it is compared.

    Raises:
        ImageError: if it cannot be.
    """
    found = space.brought(space.model, candidate.embedding)
    if found is None:
        raise ImageError(f"{candidate.label}: no template of the networks in use", "no_answer")
    return found
