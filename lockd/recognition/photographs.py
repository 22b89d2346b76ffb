"""Photographs in files: read, searched, and turned into templates and galleries.

A folder of people has one sub-folder per person, named after them, with their
photographs in it: the layout of LFW and of most collections.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from lockd.adapters.store import clean_name
from lockd.adapters.store.records import key_of
from lockd.errors import ImageError, LockdError, PersonError
from lockd.files import UnreadableError, read_file
from lockd.identity.gallery import Gallery, Template
from lockd.recognition.recogniser import Vision
from lockd.types import Box, Embedding, Face, Image, Person, Unfit
from lockd.vision import quality
from lockd.vision.decoding import decode
from lockd.vision.geometry import Octaves, suppress_nested

MAX_BYTES = 64 << 20
"""The largest file that is read."""

_PORTRAIT_PX = 1280  # longest side of a picture in which a portrait's face is far over the least
_TOLD = 20  # reasons told where a folder holds nobody
_HIDDEN = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})  # by Windows, not by a dot

REMEDY = {
    Unfit.TOO_SMALL: "come closer, or use a photograph with more pixels",
    Unfit.TOO_DARK: "use more light",
    Unfit.TOO_BRIGHT: "use less light",
    Unfit.BLURRED: "hold still, or focus",
    Unfit.TURNED_AWAY: "look towards the camera",
    Unfit.CUT_OFF: "show the whole face",
    Unfit.HARDLY_A_FACE: "show the face uncovered",
}
"""What to do about each reason not to judge a face."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A decoded photograph and the faces in it.

    Attributes:
        octaves: of it.
        faces: in its pixels, the largest first.
    """

    octaves: Octaves
    faces: list[Face]

    @property
    def image(self) -> Image:
        """The photograph, uint8 (height, width, 3), BGR."""
        return self.octaves.image


def read(path: Path, vision: Vision) -> Photograph:
    """Read a photograph and find the faces in it.

    Raises:
        ImageError: if it cannot be read.
    """
    return examine(content_of(path), str(path), vision)


def content_of(path: Path) -> bytes:
    """Return what is in a photograph's file.

    Raises:
        ImageError: if it cannot be read.
    """
    if path.is_dir():
        raise ImageError(
            f"{path}: a folder, no photograph; name or move the photographs in it themselves "
            "(for people in sub-folders there is `lockd-enroll folder`)"
        )
    try:
        return read_file(path, MAX_BYTES)
    except UnreadableError as error:
        raise ImageError(f"{path}: {error}") from error


def examine(content: bytes, name: str, vision: Vision) -> Photograph:
    """Decode a photograph and find the faces in it; `name` is for the error message.

    Raises:
        ImageError: if that cannot be done.
    """
    try:
        return search(decode(content, name), vision)
    except (MemoryError, cv2.error) as error:  # OpenCV has its own word for too little
        raise ImageError(f"{name}: too little memory to search it; make it smaller") from error


def search(image: Image, vision: Vision) -> Photograph:
    """Find the faces in a picture: each that a door's camera would find in as many pixels.

    A large picture is searched as it is and reduced, where portraits are as they are in
    small ones; what is found there counts first.
    """
    octaves = Octaves(image)
    faces = vision.detector.detect_in(octaves)
    scale = _reduction(image)
    if scale < 1.0:
        first = [_enlarged(one, scale) for one in vision.detector.detect(reduced(image))]
        faces = _together(first, faces)
    return Photograph(octaves, faces)


def reduced(image: Image) -> Image:
    """Return a picture, or a smaller one in which a portrait can still be recognised."""
    scale = _reduction(image)
    if scale == 1.0:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _reduction(image: Image) -> float:
    return min(1.0, _PORTRAIT_PX / int(max(image.shape[:2])))


def _enlarged(face: Face, scale: float) -> Face:
    """A face of a picture that was reduced so far, in pixels of the whole."""
    box = Box(*(side / scale for side in (face.box.x0, face.box.y0, face.box.x1, face.box.y1)))
    return Face(box, (face.landmarks / np.float32(scale)).astype(np.float32), face.confidence)


def _together(first: list[Face], second: list[Face]) -> list[Face]:
    """The faces of two searches, those of the second only where the first found none."""
    faces = first + second
    boxes = np.array([(one.box.x0, one.box.y0, one.box.x1, one.box.y1) for one in faces])
    trust = np.array([one.confidence for one in faces])
    trust[: len(first)] += 1.0
    kept = suppress_nested(boxes.reshape(-1, 4).astype(np.float32), trust.astype(np.float32), 0.7)
    return sorted((faces[place] for place in kept), key=lambda one: -face_area(one))


def face_area(face: Face) -> float:
    """Return the area of a face's box in square pixels."""
    area: float = face.box.width * face.box.height
    return area


def template_of(path: Path, vision: Vision, limits: quality.Limits) -> Embedding:
    """Return what the one usable face in a photograph is compared as, once it is enrolled.

    Raises:
        ImageError: if it cannot be read, or as `template_in`.
    """
    return template_in(read(path, vision), vision, limits, str(path))


def template_in(
    photograph: Photograph, vision: Vision, limits: quality.Limits, name: str
) -> Embedding:
    """Return what the one usable face in a picture is compared as, once it is enrolled.

    Raises:
        ImageError: as `kept_in`.
    """
    space = vision.embedder.space
    template = space.brought(space.model, kept_in(photograph, vision, limits, name))
    if template is None:
        raise _no_answer(name)
    return template


def kept_in(photograph: Photograph, vision: Vision, limits: quality.Limits, name: str) -> Embedding:
    """Return the template of the one usable face in a picture, as it is kept.

    Faces that could not be judged at the door, such as those of passers-by in the
    background, do not count. In a photograph of many pixels a passer-by could be; so there
    those do not count that are less than half as large as the largest and could not be
    judged in a picture of fewer.

    Args:
        limits: what a face must reach.
        name: of the picture, for the error message.

    Raises:
        ImageError: if it shows no usable face or several.
    """
    face = _usable_face(photograph, limits, name)
    template = vision.embedder.template(photograph.octaves, face)
    if not np.isfinite(template).all():
        raise _no_answer(name)
    return template


def _no_answer(name: str) -> ImageError:
    return ImageError(
        f"{name}: the networks have no answer for this face; use another one", "no_answer"
    )


def _usable_face(photograph: Photograph, limits: quality.Limits, name: str) -> Face:
    if not photograph.faces:
        raise ImageError(
            f"{name}: no face found; use a photograph that shows the whole face", "no_face"
        )
    measured = [
        (face, quality.unfit(quality.measure(photograph.octaves, face), limits))
        for face in photograph.faces
    ]
    usable = [face for face, why in measured if why is None]
    first = measured[0][1]
    if not usable and first is not None:
        raise ImageError(
            f"{name}: the face is {first.value.replace('_', ' ')}; {REMEDY[first]}", first.value
        )
    rivals = _rivals(usable, photograph, limits)
    if len(rivals) > 1:
        raise ImageError(
            f"{name}: shows {len(rivals)} faces; use one that shows this person alone",
            "several_faces",
        )
    return rivals[0]


def _rivals(usable: list[Face], photograph: Photograph, limits: quality.Limits) -> list[Face]:
    """Those of the usable faces that the photograph may be of, the largest first."""
    sizes = [max(one.box.width, one.box.height) for one in usable]
    passing = min(limits.min_face_px / _reduction(photograph.image), max(sizes) / 2)
    return [one for one, size in zip(usable, sizes, strict=True) if size >= passing]


@dataclass(frozen=True)
class People:
    """Who has photographs in a folder.

    Attributes:
        photographs: everything in a person's folders, by the person's name: what is no
            photograph is found out when it is read.
        passed_over: what is nobody's, with the reason.
        remarks: what else to know.
    """

    photographs: dict[str, list[Path]] = field(default_factory=dict)
    passed_over: dict[Path, LockdError] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def people_in(folder: Path) -> People:
    """Find the people of a folder with one sub-folder per person, named after them.

    Sub-folders whose names mean the same person are one person's. What is hidden is left
    out: names that begin with a dot, and what Windows hides.

    Raises:
        ImageError: if the folder cannot be read or holds nobody's photographs.
    """
    found = People()
    named: dict[str, tuple[str, str]] = {}
    for entry in entries_of(folder):
        try:
            name, pictures = _person_of(entry)
        except LockdError as error:
            found.passed_over[entry] = error
            continue
        before, known = named.setdefault(key_of(name), (entry.name, name))
        if before != entry.name:
            found.remarks.append(
                f"{entry}: the same person as {before}; their photographs are put together"
            )
        found.photographs.setdefault(known, []).extend(pictures)
    if not found.photographs:
        reasons = "".join(f"\n  {one}" for one in [*found.passed_over.values()][:_TOLD])
        raise ImageError(
            f"{folder}: no sub-folder with photographs; make one per person, named after "
            f"them{reasons}"
        )
    return found


def entries_of(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden, by name.

    Raises:
        ImageError: if it cannot be read.
    """
    try:
        return sorted(
            one
            for one in folder.iterdir()
            if not one.name.startswith(".") and one.name.casefold() not in _HIDDEN
        )
    except OSError as error:
        raise ImageError(f"{folder}: {error.strerror}") from error


def _person_of(entry: Path) -> tuple[str, list[Path]]:
    """Whose folder it is, and what is in it.

    Raises:
        ImageError: if it is none, is empty or cannot be read.
        PersonError: if nobody can be called that.
    """
    if not entry.is_dir():
        raise ImageError(f"{entry}: in nobody's folder; move it into one named after the person")
    try:
        name = clean_name(entry.name.replace("_", " "))
    except PersonError as error:
        raise PersonError(f"{entry}: {error}; rename the folder") from error
    return name, photographs_of(entry)


def photographs_of(path: Path) -> list[Path]:
    """Return what of somebody is in a folder, or the one file that a path is.

    Raises:
        ImageError: if it is a folder that is empty or cannot be read.
    """
    pictures = entries_of(path) if path.is_dir() else [path]
    if not pictures:
        raise ImageError(f"{path}: an empty folder; put this person's photographs there")
    return pictures


def gallery_of(
    people: People,
    vision: Vision,
    limits: quality.Limits,
    refused: Callable[[ImageError], None],
) -> Gallery:
    """Enrol people in memory.

    Args:
        people: as of `people_in`.
        limits: what a face must reach.
        refused: told of every photograph that cannot be used.
    """
    templates = []
    for name, pictures in people.photographs.items():
        person = Person(str(uuid.uuid5(uuid.NAMESPACE_URL, name)), name)
        for picture in pictures:
            try:
                templates.append(Template(person, template_of(picture, vision, limits)))
            except ImageError as error:
                refused(error)
    return Gallery(templates, vision.embedder.size)
