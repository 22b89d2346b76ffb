"""What is lost between the original networks and the door's, measured on photographs.

The detector is compared as a whole: the door's cascade with PyPI `mtcnn`. The
embedder is compared on identical crops: the shipped file with the float Keras
model, photograph by photograph and then in telling people apart.
"""

from pathlib import Path
from typing import Any

import numpy as np

from lockd.config import Settings
from lockd.evaluation.embeddings import subject
from lockd.recognition import photographs
from lockd.recognition.recogniser import Vision
from lockd.vision.embedder import square_crop, standardise
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector

from . import original
from .agreement import MIN_FACE_PX, agreement, as_rows
from .graphs import Array
from .networks import by_name
from .photos import portraits, read, sample
from .telling import told_apart

DETECTOR_PHOTOS = 300


def parity(cache: Path, models: Models, photos: Path | None) -> None:
    """Compare and print, on the committed portraits and on a folder of photographs."""
    print_detector("committed portraits", models, portraits())
    print_likeness("committed portraits", *embeddings(cache, models, portraits()))
    if photos is None:
        return
    print_detector("photographs", models, sample(photos, DETECTOR_PHOTOS))
    paths = sorted(photos.rglob("*.jpg"))
    names, ours, theirs = embeddings(cache, models, paths)
    print_likeness("photographs", names, ours, theirs)
    people = [path.parent.name for path in names]
    for precision, vectors in (("float original", theirs), ("shipped", ours)):
        print(f"{precision}: {told_apart(vectors, people)}")


def print_detector(what: str, models: Models, paths: list[Path]) -> None:
    """The cascade's agreement with PyPI `mtcnn`, both looking for faces of any size."""
    reference, ours = original.Detector(), as_rows(Detector(models, min_face_px=MIN_FACE_PX))
    images = [read(path) for path in paths]
    theirs = [reference.detect(image) for image in images]
    found = [ours(image) for image in images]
    for least_px in (MIN_FACE_PX, 2 * MIN_FACE_PX, 4 * MIN_FACE_PX):
        result = agreement(found, theirs, least_px)
        print(f"{len(paths)} {what}, faces from {least_px} px: {result}")


def embeddings(cache: Path, models: Models, paths: list[Path]) -> tuple[list[Path], Array, Array]:
    """Photographs with a face, the shipped network's unit vectors, the original's."""
    vision, network = Vision(Settings()), models.network("facenet")
    names, inputs = [], []
    for path in paths:
        photograph = photographs.read(path, vision)
        if (face := subject(photograph)) is not None:
            names.append(path)
            crop = square_crop(photograph.octaves, face, network.input_shape[1])
            inputs.append(standardise(crop))
    ours = np.concatenate([network(image) for image in inputs])
    source = by_name("facenet")
    facenet = original.facenet(source.package.read(cache, source.member))
    theirs = original.embed(facenet, np.concatenate(inputs))
    return names, unit(ours), unit(theirs)


def unit(vectors: Any) -> Array:
    """Each row divided by its length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def print_likeness(what: str, names: list[Path], ours: Array, theirs: Array) -> None:
    """Cosine of the shipped embedding with the original one of the same crop."""
    cosines = (ours * theirs).sum(axis=1)
    print(
        f"{len(names)} {what}: cosine of shipped and float embedding mean {cosines.mean():.4f}, "
        f"1st percentile {np.percentile(cosines, 1):.4f}, lowest {cosines.min():.4f}"
    )
