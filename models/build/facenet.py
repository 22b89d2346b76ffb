"""FaceNet (Schroff et al., 2015) on Inception-ResNet-v1: a 160x160 face -> 128 numbers.

The published file is a Keras 2 model whose residual additions are Lambda
layers, stored as bytecode of one Python version. No bytecode is run: the graph
is walked layer by layer as its configuration describes it, and a Lambda can
only be the scaled sum its name says it is.

On the way every batch normalisation and residual scale is folded into the
convolution before it, and the last dense layer becomes a 1x1 convolution,
which older TFLite runtimes load as well.
"""

import json
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from .graphs import Array, Conv, Graph


@dataclass(frozen=True)
class Layer:
    """One layer as the file describes it: what kind, its settings, the layers it reads."""

    name: str
    kind: str
    config: dict[str, Any]
    inputs: tuple[str, ...]


def read_layers(file: h5py.File) -> list[Layer]:
    """The layers in the order in which they can be computed."""
    config = json.loads(file.attrs["model_config"])["config"]
    return [
        Layer(
            name=item["name"],
            kind=item["class_name"],
            config=item["config"],
            inputs=tuple(node[0] for node in (item["inbound_nodes"] or [[]])[0]),
        )
        for item in config["layers"]
    ]


def read_weights(file: h5py.File, layer: Layer) -> dict[str, Array]:
    """A layer's arrays by their short name: kernel, bias, beta, moving_mean, moving_variance."""
    group = file["model_weights"][layer.name]
    names = [name.decode() for name in group.attrs["weight_names"]]
    return {
        name.rsplit("/", 1)[-1].split(":")[0]: np.asarray(group[name], np.float32) for name in names
    }


class Folder:
    """Folds the layers of the file into few convolutions and the steps between them."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._layers = read_layers(file)
        self._convs: dict[str, Conv] = {}
        self._step_of: dict[str, str] = {}
        self.steps: list[Layer] = []
        for layer in self._layers:
            self._fold(layer)

    @property
    def convs(self) -> dict[str, Conv]:
        """The folded convolutions, by the name of the layer they came from."""
        return self._convs

    def _fold(self, layer: Layer) -> None:
        sources = tuple(self._step_of[name] for name in layer.inputs)
        if layer.kind == "BatchNormalization":
            self._convs[sources[0]] = self._normalised(layer, self._convs[sources[0]])
            self._step_of[layer.name] = sources[0]
            return
        if layer.kind == "Dropout":
            self._step_of[layer.name] = sources[0]
            return
        if layer.kind == "Lambda":
            self._scale_residual(layer, sources)
        if layer.kind in ("Conv2D", "Dense"):
            self._convs[layer.name] = self._conv(layer)
        self._step_of[layer.name] = layer.name
        self.steps.append(Layer(layer.name, layer.kind, layer.config, sources))

    def _conv(self, layer: Layer) -> Conv:
        weights = read_weights(self._file, layer)
        kernel = weights["kernel"]
        if layer.kind == "Dense":
            kernel = kernel[np.newaxis, np.newaxis]
        return Conv(kernel, weights.get("bias", np.zeros(kernel.shape[-1], np.float32)))

    def _normalised(self, layer: Layer, conv: Conv) -> Conv:
        weights = read_weights(self._file, layer)
        variance = weights["moving_variance"].astype(np.float64) + layer.config["epsilon"]
        gain = weights.get("gamma", np.float32(1)) / np.sqrt(variance)
        return conv.scaled(gain).shifted(weights["beta"] - gain * weights["moving_mean"])

    def _scale_residual(self, layer: Layer, sources: tuple[str, ...]) -> None:
        if not layer.name.endswith("_ScaleSum"):
            raise ValueError(f"layer {layer.name}: a Lambda that is not a scaled sum")
        branch = sources[1]
        self._convs[branch] = self._convs[branch].scaled(layer.config["arguments"]["scale"])


def facenet(file: h5py.File) -> Graph:
    """Standardised BGR faces (n, 160, 160, 3) -> vectors (n, 128), not normalised."""
    folder = Folder(file)
    first = next(layer.name for layer in folder.steps if layer.kind == "Conv2D")
    folder.convs[first] = folder.convs[first].after_channel_flip()

    def graph(image: Any) -> Any:
        values = {folder.steps[0].name: image}
        for step in folder.steps[1:]:
            values[step.name] = run(step, [values[name] for name in step.inputs], folder.convs)
        return tf.reshape(values[folder.steps[-1].name], [-1, 128])

    return graph


def run(step: Layer, inputs: list[Any], convs: dict[str, Conv]) -> Any:
    """One step of the folded graph."""
    x, config = inputs[0], step.config
    match step.kind:
        case "Conv2D":
            return convs[step.name](x, config["strides"][0], config["padding"].upper())
        case "Dense":
            return convs[step.name](x)
        case "Activation":
            return tf.nn.relu(x)
        case "Lambda":
            return x + inputs[1]
        case "Concatenate":
            return tf.concat(inputs, config["axis"])
        case "MaxPooling2D":
            padding = config["padding"].upper()
            return tf.nn.max_pool2d(x, config["pool_size"], config["strides"], padding)
        case "GlobalAveragePooling2D":
            return tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")
    raise ValueError(f"layer {step.name}: {step.kind} is not a layer this network should have")
