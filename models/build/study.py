"""Which precision should each network have? Sizes, times and accuracy of three, in one run.

The three candidates of a network take turns on the same inputs, one thread, so
that whatever else the machine does hits all of them alike. The detector is then
judged as a whole by its agreement with PyPI `mtcnn`, the embedder by how well it
tells people apart.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lockd.config import RecognitionSettings, Settings
from lockd.evaluation.embeddings import subject
from lockd.recognition import photographs
from lockd.recognition.recogniser import Vision
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector

from . import original
from .agreement import agreement, as_rows
from .graphs import QUANTIZATIONS, Array
from .inputs import inputs
from .networks import NETWORKS, Network
from .photos import read_all, sample
from .rebuild import rebuild, write
from .telling import told_apart

ROUNDS = 200
DETECTOR_PHOTOS = 300
MIN_FACE_PX = 60


def variants(folder: Path, cache: Path) -> Iterator[tuple[str, Path]]:
    """A folder of networks for each precision: (its name, the folder)."""
    for number, quantization in enumerate(QUANTIZATIONS):
        networks = [replace(network, quantization=quantization) for network in NETWORKS]
        write(folder / str(number), rebuild(cache, networks, inputs), networks)
        yield quantization, folder / str(number)


def study(cache: Path, photos: Path) -> None:
    """Build every network in every precision, measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        folders = dict(variants(Path(folder), cache))
        for network in NETWORKS:
            print_times(network, folders)
        print_agreement(folders, photos)
        print_recognition(folders, photos)


def print_times(network: Network, folders: dict[str, Path]) -> None:
    """Size and time of one network in each precision, and the ratio to float32."""
    image = next(inputs(network))
    loaded = {name: ready(folder / network.file, image) for name, folder in folders.items()}
    times: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(ROUNDS):
        for name, interpreter in loaded.items():
            start = time.perf_counter()
            interpreter.invoke()
            times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    for name, folder in folders.items():
        print(
            f"{network.name} {name}: {(folder / network.file).stat().st_size} bytes, "
            f"{medians[name] * 1e3:.2f} ms, {medians['float32'] / medians[name]:.2f} x float32"
        )


def ready(path: Path, image: Array) -> Any:
    """An interpreter with its input in place, one thread."""
    interpreter = Interpreter(str(path), num_threads=1)
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given, image)
    return interpreter


def print_agreement(folders: dict[str, Path], photos: Path) -> None:
    """The cascade in each precision against PyPI `mtcnn`."""
    images = list(read_all(sample(photos, DETECTOR_PHOTOS)))
    reference = [original.Detector().detect(image) for image in images]
    for name, folder in folders.items():
        detect = as_rows(Detector(Models.load(folder), min_face_px=MIN_FACE_PX))
        found = [detect(image) for image in images]
        print(f"cascade {name}: {agreement(found, reference, least_px=1.25 * MIN_FACE_PX)}")


def print_recognition(folders: dict[str, Path], photos: Path) -> None:
    """The whole pipeline in each precision: likeness to float32, and telling people apart."""
    embedded = {name: embeddings(folder, photos) for name, folder in folders.items()}
    exact = embedded["float32"]
    for name, these in embedded.items():
        common = [path for path in these if path in exact]
        cosines = [float(these[path] @ exact[path]) for path in common]
        people = [path.parent.name for path in these]
        print(
            f"embedding {name}: cosine to float32 mean {np.mean(cosines):.4f}, "
            f"lowest {np.min(cosines):.4f}; {told_apart(np.stack(list(these.values())), people)}"
        )


def embeddings(folder: Path, photos: Path) -> dict[Path, Array]:
    """The door's embedding of every photograph with a face, by the networks of a folder."""
    vision = Vision(Settings(recognition=RecognitionSettings(models=folder)))
    found = {}
    for path in sorted(photos.rglob("*.jpg")):
        photograph = photographs.read(path, vision)
        if (face := subject(photograph)) is not None:
            found[path] = vision.embedder.embed(photograph.octaves, face)
    return found
