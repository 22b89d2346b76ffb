"""The networks as their authors published them, to compare ours with.

MTCNN is the PyPI package itself. FaceNet is loaded by Keras from the published
configuration and weights, every layer as it stands; only its Lambda layers,
whose bytecode no current Python runs, are replaced by the sum they stand for.
"""

import io
import json
from typing import Any

import h5py
import keras
import numpy as np
import onnxruntime
from mtcnn import MTCNN
from mtcnn.network.onet import ONet
from mtcnn.network.pnet import PNet
from mtcnn.network.rnet import RNet

from .graphs import Array
from .mtcnn import read_weights

MIN_FACE_SIZE = 20  # PyPI mtcnn 1.0.0 finds nothing at 40: its image pyramid ends below its nets

BATCH = 32


class ScaledSum(keras.layers.Layer):  # type: ignore[misc]
    """`inputs[0] + scale * inputs[1]`, the residual addition of Inception-ResNet."""

    def __init__(self, arguments: dict[str, float], name: str, **_: Any) -> None:
        super().__init__(name=name)
        self._scale = arguments["scale"]

    def call(self, inputs: list[Any]) -> Any:
        return inputs[0] + self._scale * inputs[1]


def facenet(data: bytes) -> Any:
    """The Keras model in a published `facenet_keras.h5`."""
    with h5py.File(io.BytesIO(data)) as file:
        config = json.loads(file.attrs["model_config"])["config"]
        for layer in config["layers"]:
            if layer["class_name"] == "Lambda":
                layer["class_name"] = "ScaledSum"
        model = keras.Model.from_config(config, custom_objects={"ScaledSum": ScaledSum})
        for layer in model.layers:
            group = file["model_weights"][layer.name]
            layer.set_weights([group[name][()] for name in group.attrs["weight_names"]])
    return model


def embed(model: Any, faces_bgr: Array) -> Array:
    """What the Keras FaceNet answers to standardised BGR faces (n, 160, 160, 3): (n, 128)."""
    return np.asarray(model.predict([faces_bgr[..., ::-1]], batch_size=BATCH, verbose=0))


def sface(data: bytes, faces_bgr: Array) -> Array:
    """What the published ONNX file answers to aligned BGR faces (n, 112, 112, 3): (n, 128)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the file's unread inputs are worth a warning each
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    # The file also lists the float weights that its quantized ones replaced; none is read.
    unread = {
        one.name: np.zeros(one.shape, np.float32)
        for one in session.get_inputs()
        if one.name.endswith(("_weight", "_bias"))
    }
    planes = np.ascontiguousarray(faces_bgr[..., ::-1].transpose(0, 3, 1, 2))
    answers = [session.run(None, {"data": face[None], **unread})[0] for face in planes]
    return np.concatenate(answers)


def liveness(data: bytes, crops_bgr: Array) -> Array:
    """What the published ONNX file answers to BGR crops (n, 128, 128, 3), live first: (n, 3)."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    planes = np.ascontiguousarray(crops_bgr.transpose(0, 3, 1, 2))
    return np.concatenate([session.run(None, {"input": one[None]})[0] for one in planes])


def stage(name: str, data: bytes) -> Any:
    """One stage of PyPI `mtcnn` ("mtcnn-pnet", "mtcnn-rnet" or "mtcnn-onet") with its weights."""
    model = {"mtcnn-pnet": PNet, "mtcnn-rnet": RNet, "mtcnn-onet": ONet}[name]()
    model.build()
    model.set_weights(read_weights(data))
    return model


class Detector:
    """PyPI `mtcnn` at MIN_FACE_SIZE, answering in the terms that lockd uses."""

    def __init__(self) -> None:
        self._mtcnn = MTCNN()

    def detect(self, image_bgr: np.ndarray[Any, Any]) -> Array:
        """Faces of an image as rows (x0, y0, x1, y1, confidence, 5 x (x, y)), best first."""
        found = self._mtcnn.detect_faces(
            np.ascontiguousarray(image_bgr[:, :, ::-1]),
            min_face_size=MIN_FACE_SIZE,
            fit_to_image=False,
            output_type="numpy",
            box_format="xyxy",
        )
        if len(found) == 0:
            return np.empty((0, 15), np.float32)
        points = found[:, 6:16].reshape(-1, 2, 5).swapaxes(1, 2).reshape(-1, 10)
        rows = np.hstack([found[:, 1:6], points]).astype(np.float32)
        return rows[np.argsort(-rows[:, 4])]
