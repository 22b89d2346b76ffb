"""Who is in a photograph: what `lockd identify` prints and draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from lockd.adapters.store import opened
from lockd.config import Settings
from lockd.errors import ImageError
from lockd.files import acting_for
from lockd.identity.gallery import Gallery
from lockd.recognition import photographs
from lockd.recognition.naming import NamingRule, name
from lockd.recognition.recogniser import Vision
from lockd.types import Face, Match, Unfit
from lockd.vision import quality
from lockd.vision.pictures import annotate, encode_jpeg

STRANGER = "stranger"


@dataclass(frozen=True, eq=False)
class Identified:
    """One face: where it is in the photograph, who it is, and whether a door would judge it."""

    face: Face
    match: Match
    unfit: Unfit | None

    @property
    def name(self) -> str:
        """The person's name, or ``stranger``."""
        return self.match.person.name if self.match.person else STRANGER

    @property
    def similarity(self) -> float | None:
        """To the nearest person, or what it is at most; None if nobody is enrolled."""
        return self.match.similarity if math.isfinite(self.match.similarity) else None

    def caption(self) -> str:
        """The name and the similarity."""
        at_most = "at most " if self.match.bound else ""
        similarity = "" if self.similarity is None else f" {at_most}{self.similarity:.2f}"
        return self.name + similarity


@dataclass(frozen=True, eq=False)
class PhotographResult:
    """What one photograph shows."""

    path: Path
    photograph: photographs.Photograph
    faces: list[Identified]

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines; coordinates in pixels of the upright photograph."""
        height, width = self.photograph.image.shape[:2]
        return {
            "image": str(self.path),
            "width": width,
            "height": height,
            "faces": [face_as_dict(one) for one in self.faces],
        }

    def as_text(self) -> str:
        """Return it for people."""
        if not self.faces:
            return f"{self.path}: no face"
        lines = [f"{self.path}:"]
        for one in self.faces:
            box = one.face.box
            where = f"{round(box.width)}x{round(box.height)} at {round(box.x0)},{round(box.y0)}"
            remark = f", {one.unfit.value.replace('_', ' ')} for a door" if one.unfit else ""
            lines.append(f"  {one.caption()}  ({where}{remark})")
        return "\n".join(lines)

    def annotate(self, folder: Path, written: set[Path]) -> Path:
        """Write the photograph with boxes, landmarks and names; return the new file.

        Args:
            folder: for the new file; made if need be.
            written: the files that must stay, such as those of photographs of the same
                name in other folders; the new one is added.

        Raises:
            ImageError: if it cannot be written.
        """
        labels = [(one.face, one.caption(), one.match.person is not None) for one in self.faces]
        names = chain([""], (f"-{number}" for number in count(2)))
        targets = (folder / f"{self.path.stem}{name}.annotated.jpg" for name in names)
        target = next(target for target in targets if target not in written)
        try:
            with acting_for(target):
                folder.mkdir(parents=True, exist_ok=True)
                target.write_bytes(encode_jpeg(annotate(self.photograph.image, labels)))
        except OSError as error:
            raise ImageError(f"{target}: cannot be written: {error.strerror}") from error
        written.add(target)
        return target


class Identifier:
    """The networks and the people to compare with.

    Raises:
        LockdError: if either cannot be had.
    """

    def __init__(
        self,
        settings: Settings,
        gallery: Callable[[Vision], Gallery] | None,
        vision: Vision | None = None,
    ) -> None:
        """Build it.

        Args:
            settings: thresholds, models and store.
            gallery: makes the people, instead of the store.
            vision: the networks, if they are there already.
        """
        self._settings = settings
        self._vision = vision or Vision(settings)
        self._rule = NamingRule.of(
            self._vision.embedder,
            settings.recognition.threshold(self._vision.embedder.accept),
            settings.recognition.margin,
        )
        self._gallery = gallery(self._vision) if gallery else self._from_store()

    def identify(self, path: Path) -> PhotographResult:
        """Say who is in a photograph.

        Raises:
            ImageError: if it cannot be read.
        """
        photograph = photographs.read(path, self._vision)
        return PhotographResult(path, photograph, self.among(photograph))

    def among(self, photograph: photographs.Photograph) -> list[Identified]:
        """Say who each face of a photograph is."""
        limits = self._settings.quality.limits()
        return [
            Identified(
                face,
                name(
                    self._vision.embedder.probe(photograph.octaves, face),
                    self._gallery,
                    self._rule,
                ).match,
                quality.unfit(quality.measure(photograph.octaves, face), limits),
            )
            for face in photograph.faces
        ]

    def _from_store(self) -> Gallery:
        embedder = self._vision.embedder
        if not self._settings.store.path().exists():  # nobody was ever enrolled
            return Gallery((), embedder.size)
        with opened(self._settings.store) as store:
            templates, _ = store.gallery.usable(embedder.space)
        return Gallery(templates, embedder.size)


def face_as_dict(one: Identified) -> dict[str, Any]:
    """Return a face for machines; coordinates in pixels of the upright photograph."""
    box = one.face.box
    values: dict[str, Any] = {
        "person": one.name,
        "known": one.match.person is not None,
        "similarity": None if one.similarity is None else round(one.similarity, 4),
        "similarity_bound": one.match.bound,
        "box": [round(side, 1) for side in (box.x0, box.y0, box.x1, box.y1)],
        "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in one.face.landmarks],
        "confidence": round(one.face.confidence, 4),
        "unfit": one.unfit.value if one.unfit else None,
    }
    return values
