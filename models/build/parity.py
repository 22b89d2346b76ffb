"""What is lost between the original networks and the door's, measured on photographs.

The detector is compared as a whole: the door's cascade with PyPI `mtcnn`. The
embedder is compared on identical crops: the shipped file with the float Keras
model, photograph by photograph and then in telling people apart.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from bench.thresholds import subject
from bench.verification import all_pairs, operating_point, tenfold_accuracy, threshold_at
from lockd.vision.embedder import square_crop, standardise
from lockd.vision.geometry import Octaves
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector

from . import original
from .agreement import MIN_FACE_PX, agreement, as_rows
from .graphs import Array
from .networks import by_name
from .photos import portraits, read, sample

DETECTOR_PHOTOS = 300
SUBJECT_PX = 60
FALSE_MATCH_RATES = (1e-2, 1e-3, 1e-4)


def parity(cache: Path, models: Models, photos: Path | None, pairs_csv: Path | None) -> None:
    """Compare and print, on the committed portraits and on a folder of photographs."""
    print_detector("committed portraits", models, portraits())
    print_likeness("committed portraits", *embeddings(cache, models, portraits()))
    if photos is None:
        return
    print_detector("photographs", models, sample(photos, DETECTOR_PHOTOS))
    paths = sorted(photos.rglob("*.jpg"))
    names, ours, theirs = embeddings(cache, models, paths)
    print_likeness("photographs", names, ours, theirs)
    listed = [] if pairs_csv is None else read_pairs(pairs_csv, photos)
    for precision, vectors in (("float original", theirs), ("shipped", ours)):
        print(f"{precision}: {recognition(names, vectors, listed)}")


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
    detector, network = Detector(models, min_face_px=SUBJECT_PX), models.network("facenet")
    names, inputs = [], []
    for path in paths:
        octaves = Octaves(read(path))
        if faces := detector.detect_in(octaves):
            face = subject(faces, octaves.image)
            names.append(path)
            inputs.append(standardise(square_crop(octaves, face, network.input_shape[1])))
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


def recognition(names: list[Path], vectors: Array, listed: list[tuple[Path, Path, bool]]) -> str:
    """How well these vectors tell people apart, in one line."""
    pairs = all_pairs(vectors, [path.parent.name for path in names])
    points = [operating_point(pairs, threshold_at(pairs, fmr)) for fmr in FALSE_MATCH_RATES]
    said = [f"TMR {p.tmr:.2%} at FMR {p.fmr:.0e} (cosine {p.threshold:.3f})" for p in points]
    if listed:
        row = dict(zip(names, vectors, strict=True))
        known = [pair for pair in listed if pair[0] in row and pair[1] in row]
        cosines = np.array([row[first] @ row[second] for first, second, _ in known])
        mean, error = tenfold_accuracy(cosines, np.array([same for *_, same in known]))
        said.append(f"accuracy {mean:.2%} +- {error:.2%} on {len(known)} listed pairs")
    return ", ".join(said)


def read_pairs(pairs_csv: Path, photos: Path) -> list[tuple[Path, Path, bool]]:
    """Pairs of photographs from a file with the columns first, second, same."""
    with pairs_csv.open(newline="") as file:
        return [
            (photos / row["first"], photos / row["second"], row["same"] == "1")
            for row in csv.DictReader(file)
        ]
