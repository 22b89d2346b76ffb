"""Folders of photographs to embeddings, with the names of those that gave none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

import lockd.vision
from lockd.adapters.cameras import list_pictures
from lockd.errors import ImageError
from lockd.evaluation.cache import Cache, Found, digest_of
from lockd.evaluation.metrics import Units
from lockd.recognition import photographs
from lockd.recognition.photographs import People, entries_of, face_area, people_in
from lockd.recognition.recogniser import Vision
from lockd.types import Face, Floats
from lockd.vision import quality

NO_FACE = "no_face"
NO_ANSWER = "no_answer"
UNREADABLE = "unreadable"

_LARGE = 0.25  # a face counts if it has this part of the largest one's area
_SAVE_EVERY = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """A photograph of a collection, and whose it is."""

    person: str
    path: Path


@dataclass(frozen=True, eq=False)
class Collection:
    """The faces of a folder of photographs.

    Attributes:
        people: names; of everyone who has a photograph, usable or not.
        owner: int32 (n,), who each face belongs to.
        paths: of each face's photograph, relative to the folder.
        embeddings: float32 (n, size), norm 1.
        templates: float32 (n, size), norm 1, what each is compared as once it is enrolled.
        left_out: photographs that gave none, by the reason: `NO_FACE`, `NO_ANSWER` of
            the networks, `UNREADABLE`, or a name of `Unfit`.
        computed: how many were embedded now and not remembered.
    """

    people: list[str]
    owner: Units
    paths: list[str]
    embeddings: Floats
    templates: Floats
    left_out: dict[str, list[str]] = field(default_factory=dict)
    computed: int = 0

    @property
    def images(self) -> int:
        """How many photographs there are, those without a face included."""
        return len(self.paths) + sum(len(paths) for paths in self.left_out.values())

    @property
    def without_face(self) -> list[str]:
        """Photographs in which no face was found."""
        return self.left_out.get(NO_FACE, [])


def listed(people: People) -> list[Listed]:
    """Return the photographs of people one by one."""
    return [Listed(name, path) for name, paths in people.photographs.items() for path in paths]


def listed_strangers(folder: Path) -> tuple[list[Listed], People]:
    """Return photographs of people whose names do not matter, and where they were found.

    Args:
        folder: with one sub-folder per person, or with photographs of one person each.

    Raises:
        LockdError: if it cannot be read or holds no photograph.
    """
    loose = list_pictures(folder)
    people = People({one.name: [one] for one in entries_of(folder)}) if loose else people_in(folder)
    return listed(people), people


def collect(
    wanted: Sequence[Listed],
    folder: Path,
    vision: Vision,
    cache: Cache,
    *,
    limits: quality.Limits | None = None,
    step: Callable[[], None] = lambda: None,
) -> Collection:
    """Embed photographs, or remember them.

    Args:
        folder: that their paths are told relative to.
        cache: of the same networks and limits.
        limits: what a face must reach to be judged, or None to judge every face.
        step: called after each photograph.

    Raises:
        ImageError: if not one of them shows a face, or the cache cannot be written.
    """
    people = sorted({one.person for one in wanted})
    number = {person: index for index, person in enumerate(people)}
    kept: list[tuple[int, str, Found]] = []
    left_out: dict[str, list[str]] = {}
    computed = 0
    try:
        for one in wanted:
            found, new = _found(one.path, vision, cache, limits)
            computed += new
            label = _label(one.path, folder)
            if found.embedding is None:
                left_out.setdefault(found.reason, []).append(label)
            else:
                kept.append((number[one.person], label, found))
            if new and computed % _SAVE_EVERY == 0:
                cache.save()
            step()
    finally:
        cache.save()
    if not kept:
        raise ImageError(
            f"{folder}: not one of {len(wanted)} photographs shows a usable face; "
            "lower recognition.search_face_px if the faces are small"
        )
    return Collection(
        people,
        np.array([owner for owner, _, _ in kept], np.int32),
        [path for _, path, _ in kept],
        np.stack([found.embedding for _, _, found in kept if found.embedding is not None]),
        np.stack([found.template for _, _, found in kept if found.template is not None]),
        left_out,
        computed,
    )


def subject(photograph: photographs.Photograph) -> Face | None:
    """Return the face that a photograph is of, or None if there is none.

    Of the faces with at least a quarter of the largest one's area, it is the one whose
    middle is nearest to the photograph's: portraits have their subject there, and LFW
    was cut so.
    """
    if not photograph.faces:
        return None
    height, width = photograph.image.shape[:2]
    largest = max(map(face_area, photograph.faces))
    large = [face for face in photograph.faces if face_area(face) >= _LARGE * largest]

    def off_centre(face: Face) -> float:
        x, y = face.box.centre
        return math.hypot(x - width / 2, y - height / 2)

    return min(large, key=off_centre)


def recipe(vision: Vision, limits: quality.Limits | None) -> str:
    """Return a hash, hexadecimal, of all that an embedding depends on but the photograph.

    Networks, runtime, settings, and the code between the photograph and the networks.
    """
    code = [
        *sorted(Path(lockd.vision.__file__).parent.glob("*.py")),
        Path(photographs.__file__),
        Path(__file__),
    ]
    parts = {
        "embedder": vision.embedder.fingerprint,
        "detector": {
            name: vision.models.sha256(network)
            for name, network in vision.models.manifest["detector"].items()
        },
        "min_face_px": vision.detector.min_face_px,
        "runtime": vision.models.runtime_name,
        "limits": None if limits is None else asdict(limits),
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _found(
    path: Path, vision: Vision, cache: Cache, limits: quality.Limits | None
) -> tuple[Found, bool]:
    """What comes of a photograph, and whether it was not known before."""
    try:
        content = photographs.content_of(path)
        digest = digest_of(content)
        known = cache.get(digest)
        if known is not None:
            return known, False
        found = _embedded(photographs.examine(content, str(path), vision), vision, limits)
    except ImageError:
        return Found(None, reason=UNREADABLE), False
    cache.put(digest, found)
    return found, True


def _embedded(
    photograph: photographs.Photograph, vision: Vision, limits: quality.Limits | None
) -> Found:
    face = subject(photograph)
    if face is None:
        return Found(None, reason=NO_FACE)
    if limits is not None:
        unfit = quality.unfit(quality.measure(photograph.octaves, face), limits)
        if unfit is not None:
            return Found(None, reason=unfit.value)
    embedding = vision.embedder.embed(photograph.octaves, face)
    template = vision.embedder.enrolled(photograph.octaves, face)
    if not (np.isfinite(embedding).all() and np.isfinite(template).all()):
        return Found(None, reason=NO_ANSWER)
    return Found(embedding, template)


def _label(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
