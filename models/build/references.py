"""Stores what the original networks answer, for tests that run without TensorFlow.

Three files: the faces PyPI `mtcnn` finds in the committed photographs, the
embeddings the float FaceNet and the published SFace give for stated squares of
them, and the logits the published liveness network gives for these. A test cuts
the same square, resizes it the same way and compares.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from . import original
from .graphs import Array
from .inputs import standardised
from .networks import by_name
from .photos import ROOT, Pixels, portraits, read

FOLDER = ROOT / "tests" / "data" / "reference"
FACE_PX = 160
SFACE_PX = 112
LIVENESS_PX = 128


def store(cache: Path) -> None:
    """Write the files."""
    detector = original.Detector()
    faces = {path: detector.detect(read(path)) for path in portraits()}
    weights = {
        name: by_name(name).package.read(cache, by_name(name).member)
        for name in ("facenet", "sface", "liveness")
    }
    facenet = original.facenet(weights["facenet"])
    best = {path: rows[0] for path, rows in faces.items() if len(rows)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    write(
        FOLDER / "detections.json",
        about=f"faces found by PyPI mtcnn 1.0.0 at min_face_size {original.MIN_FACE_SIZE}; "
        "boxes are x0, y0, x1, y1 and may reach beyond the photograph; landmarks are x, y of "
        "image-left eye, image-right eye, nose, image-left and image-right mouth corner",
        photographs={path: detections(rows) for path, rows in faces.items()},
    )
    write(
        FOLDER / "embeddings.json",
        about="the float FaceNet's embedding, L2-normalised, of image[y0:y1, x0:x1] resized to "
        f"{FACE_PX}x{FACE_PX} with cv2.INTER_AREA and standardised: "
        "(x - mean) / max(std, 1/sqrt(n)); `sface` is the published SFace's of the same square "
        f"resized to {SFACE_PX}x{SFACE_PX}",
        photographs={
            path: embedding(facenet, weights["sface"], read(path), row)
            for path, row in best.items()
        },
    )
    write(
        FOLDER / "liveness.json",
        about="the published network's logits, class 0 being live, of the BGR pixels "
        f"image[y0:y1, x0:x1] resized to {LIVENESS_PX}x{LIVENESS_PX} with cv2.INTER_AREA",
        photographs={
            path: logits(weights["liveness"], read(path), row) for path, row in best.items()
        },
    )


def detections(rows: Array) -> list[dict[str, Any]]:
    """Faces in a form that reads well in a test."""
    return [
        {
            "box": rounded(row[:4], 2),
            "confidence": round(float(row[4]), 4),
            "landmarks": [rounded(point, 2) for point in row[5:].reshape(5, 2)],
        }
        for row in rows
    ]


def embedding(facenet: Any, sface: bytes, image: Pixels, face: Array) -> dict[str, Any]:
    """The square around the best face that fits into the photograph, and its embeddings."""
    x0, y0, x1, y1 = square_inside(image, face)
    square = image[y0:y1, x0:x1]
    return {
        "box": [x0, y0, x1, y1],
        "embedding": unit(original.embed(facenet, standardised(resized(square, FACE_PX)))[0]),
        "sface": unit(original.sface(sface, resized(square, SFACE_PX))[0]),
    }


def logits(network: bytes, image: Pixels, face: Array) -> dict[str, Any]:
    """The square around the best face, and what the published liveness network says of it."""
    x0, y0, x1, y1 = square_inside(image, face)
    crop = resized(image[y0:y1, x0:x1], LIVENESS_PX)
    return {"box": [x0, y0, x1, y1], "logits": rounded(original.liveness(network, crop)[0], 5)}


def resized(square: Pixels, side: int) -> Array:
    """A square of pixels as a network's input, values unchanged."""
    smaller = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.float32)[np.newaxis]


def unit(vector: Array) -> list[float]:
    """A vector of length one, for JSON."""
    return rounded(vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64)), 6)


def square_inside(image: Pixels, face: Array) -> tuple[int, int, int, int]:
    """A square of whole pixels with the box's longer side, moved until it lies in the image."""
    height, width = image.shape[:2]
    side = min(round(float((face[2:4] - face[:2]).max())), height, width)
    x0, y0 = (round(float(value)) for value in (face[:2] + face[2:4] - side) / 2)
    x0, y0 = min(max(x0, 0), width - side), min(max(y0, 0), height - side)
    return x0, y0, x0 + side, y0 + side


def rounded(values: Any, digits: int) -> list[float]:
    """Plain numbers for JSON."""
    return [round(float(value), digits) for value in values]


def write(path: Path, about: str, photographs: dict[Path, Any]) -> None:
    """One JSON file, a photograph to a line."""
    lines = [
        f"    {json.dumps(photo.relative_to(ROOT).as_posix())}: {json.dumps(answer)}"
        for photo, answer in photographs.items()
    ]
    body = ",\n".join(lines)
    path.write_text(f'{{\n  "about": {json.dumps(about)},\n  "photographs": {{\n{body}\n  }}\n}}\n')
    print(f"{path.relative_to(ROOT)}: {len(photographs)} photographs")
