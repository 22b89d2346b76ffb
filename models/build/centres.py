"""What all faces have in common for each network, measured on a folder of photographs.

Embeddings do not lie evenly on their sphere: those of any two people have a part in common, which
says nothing of who they are. It is taken away before faces are compared. The door's origin lies a
little further out than the mean, for that told people apart better in every half of the
development set when the centre came from the other half.
"""

import json
from pathlib import Path

import numpy as np

from lockd.config import Settings
from lockd.errors import ImageError
from lockd.evaluation.embeddings import subject
from lockd.recognition import photographs
from lockd.recognition.recogniser import Vision

from .graphs import Array
from .networks import BEYOND, TEMPLATES

DIGITS = 4


def centres(photos: Path) -> dict[str, list[float]]:
    """The centre of each network that templates are made of, over every face in a folder."""
    vision = Vision(Settings())
    found: list[Array] = []
    for path in sorted(photos.rglob("*.jpg")):
        try:
            photograph = photographs.read(path, vision)
        except ImageError as error:
            print(error)
            continue
        if (face := subject(photograph)) is not None:
            found.append(vision.embedder.template(photograph.octaves, face))
    names = [one["network"] for one in TEMPLATES[0]["networks"]]
    parts = np.split(np.stack(found), len(names), axis=1)
    answers = {
        name: part / np.linalg.norm(part, axis=1)[:, None]
        for name, part in zip(names, parts, strict=True)
    }
    return {
        name: [round(float(one), DIGITS) for one in BEYOND[name] * part.mean(axis=0)]
        for name, part in answers.items()
    }


def write(photos: Path, path: Path) -> None:
    """Measure, and keep for the manifest."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in centres(photos).items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"wrote {path}; `models/build/run.sh --write` takes it into the manifest")
