"""Photographs in files: read, searched, and turned into templates and galleries.

A folder of people has one sub-folder per person, named after them, with their
photographs in it: the layout of LFW and of most collections.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lockd.adapters.cameras import list_pictures
from lockd.errors import ImageError
from lockd.files import UnreadableError, read_file
from lockd.identity.gallery import Gallery, Template
from lockd.recognition.recogniser import Vision
from lockd.types import Box, Embedding, Face, Image, Person, Unfit
from lockd.vision import quality
from lockd.vision.geometry import Octaves
from lockd.vision.pictures import decode

MAX_BYTES = 64 << 20
"""The largest file that is read."""

_SEARCHED_PX = 1280  # longest side searched for faces: a portrait's face is far over the least

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
        image: uint8 (height, width, 3), BGR, at full size.
        scale: of the image searched, relative to the full one; at most 1.
        octaves: of the image searched.
        faces: in pixels of the image searched, the largest first.
    """

    image: Image
    scale: float
    octaves: Octaves
    faces: list[Face]

    def at_full_size(self, face: Face) -> Face:
        """Return a face in pixels of the full image."""
        box = face.box
        return Face(
            Box(*(side / self.scale for side in (box.x0, box.y0, box.x1, box.y1))),
            (face.landmarks / np.float32(self.scale)).astype(np.float32),
            face.confidence,
        )


def read(path: Path, vision: Vision) -> Photograph:
    """Read a photograph and find the faces in it.

    Raises:
        ImageError: if it cannot be read.
    """
    try:
        content = read_file(path, MAX_BYTES)
    except UnreadableError as error:
        raise ImageError(f"{path}: {error}") from error
    return search(decode(content, str(path)), vision)


def search(image: Image, vision: Vision) -> Photograph:
    """Find the faces in a picture, at no more than the size that this needs."""
    scale = min(1.0, _SEARCHED_PX / max(image.shape[:2]))
    searched = image
    if scale < 1.0:
        searched = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    octaves = Octaves(searched)
    return Photograph(image, scale, octaves, vision.detector.detect_in(octaves))


def template_of(path: Path, vision: Vision, limits: quality.Limits) -> Embedding:
    """Return the embedding of the one usable face in a photograph.

    Raises:
        ImageError: if it cannot be read, or as `template_in`.
    """
    return template_in(read(path, vision), vision, limits, str(path))


def template_in(
    photograph: Photograph, vision: Vision, limits: quality.Limits, name: str
) -> Embedding:
    """Return the embedding of the one usable face in a picture.

    Faces that could not be judged at the door, such as those of passers-by in the
    background, do not count.

    Args:
        limits: what a face must reach.
        name: of the picture, for the error message.

    Raises:
        ImageError: if it shows no usable face or several.
    """
    face = _usable_face(photograph, limits, name)
    embedding = vision.embedder.embed(photograph.octaves, face)
    if not np.isfinite(embedding).all():
        raise ImageError(
            f"{name}: the networks have no answer for this face; use another one", "no_answer"
        )
    return embedding


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
    if len(usable) > 1:
        raise ImageError(
            f"{name}: shows {len(usable)} faces; use one that shows this person alone",
            "several_faces",
        )
    return usable[0]


def people_folders(folder: Path) -> list[tuple[str, list[Path]]]:
    """Return (name, photographs) of every sub-folder, by name.

    Raises:
        ImageError: if the folder cannot be read or holds no sub-folder with pictures.
    """
    try:
        entries = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{folder}: {error.strerror}") from error
    people = [(one.name, list_pictures(one)) for one in entries if one.is_dir()]
    people = [(name, pictures) for name, pictures in people if pictures]
    if not people:
        raise ImageError(
            f"{folder}: no sub-folder with photographs; make one per person, named after them"
        )
    return people


def gallery_of_folder(
    folder: Path,
    vision: Vision,
    limits: quality.Limits,
    refused: Callable[[ImageError], None],
) -> Gallery:
    """Enrol a folder of people in memory.

    Args:
        folder: one sub-folder per person; its name, with spaces for underscores, is theirs.
        limits: what a face must reach.
        refused: told of every photograph that cannot be used.

    Raises:
        ImageError: if the folder holds nobody at all.
    """
    templates = []
    for name, pictures in people_folders(folder):
        person = Person(str(uuid.uuid5(uuid.NAMESPACE_URL, name)), display_name(name))
        for picture in pictures:
            try:
                templates.append(Template(person, template_of(picture, vision, limits)))
            except ImageError as error:
                refused(error)
    return Gallery(templates, vision.embedder.size)


def display_name(folder_name: str) -> str:
    """Return the name of the person whose folder this is."""
    return folder_name.replace("_", " ").strip()
