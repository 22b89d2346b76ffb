"""SFace (Zhong et al., 2021) on MobileFaceNet: an aligned 112x112 face -> 128 numbers.

The published file is ONNX with its weights quantized in blocks; here they become
numbers again and the graph is rebuilt. Every batch normalisation is folded into
the convolution or the dense layer next to it, and the dense layer becomes a
convolution over the whole map. The input's (x - 127.5) / 128 stays a step of its
own: the first convolution pads with zeros, so folding it in would change the border.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper

from .graphs import Array, Conv, Graph, depthwise, prelu

MAP = 7  # side of the last feature map


@dataclass(frozen=True)
class Step:
    """A convolution and the slopes of the rectifier behind it."""

    conv: Conv
    slopes: Array
    stride: int
    depthwise: bool


class Weights:
    """The file's tensors by name, dequantized and reshaped."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._tensors: dict[str, Array] = {
            one.name: numpy_helper.to_array(one) for one in model.graph.initializer
        }
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear":
                self._tensors[node.output[0]] = self._dequantized(node)
            elif node.op_type == "Reshape":
                shape = self._tensors[node.input[1]].astype(int)
                self._tensors[node.output[0]] = self._tensors[node.input[0]].reshape(shape)

    def __getitem__(self, name: str) -> Array:
        return self._tensors[name]

    def _dequantized(self, node: onnx.NodeProto) -> Array:
        """Each block along an axis has its own scale and zero point; the last may be short."""
        settings = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        axis, block = settings["axis"], settings["block_size"]
        quantized, scales, zeros = (self._tensors[name] for name in node.input)
        length = quantized.shape[axis]
        scale, zero = (
            np.repeat(values, block, axis).take(range(length), axis) for values in (scales, zeros)
        )
        return ((quantized.astype(np.float32) - zero.astype(np.float32)) * scale).astype(np.float32)


def sface(data: bytes) -> Graph:
    """Aligned BGR faces (n, 112, 112, 3), 0..255 -> vectors (n, 128), not normalised."""
    model = onnx.load_from_string(data)
    weights = Weights(model)
    steps = list(read_steps(model, weights))
    last = read_last(model, weights)
    first = steps[0]
    steps[0] = Step(first.conv.after_channel_flip(), first.slopes, first.stride, first.depthwise)
    offset, gain = (float(weights[name].item()) for name in input_scaling(model))

    def graph(image: Any) -> Any:
        x = (image - offset) * gain
        for step in steps:
            x = prelu(convolved(x, step), step.slopes)
        return tf.reshape(last(x), [-1, 128])

    return graph


def input_scaling(model: onnx.ModelProto) -> tuple[str, str]:
    """The names of what is subtracted from the input and what it is then multiplied by."""
    by_kind = {node.op_type: node for node in model.graph.node}
    return by_kind["Sub"].input[1], by_kind["Mul"].input[1]


def convolved(x: Any, step: Step) -> Any:
    """A step's convolution, padded by the same number of zeros on every side."""
    side = step.conv.kernel.shape[0] // 2
    x = tf.pad(x, [[0, 0], [side, side], [side, side], [0, 0]]) if side else x
    if step.depthwise:
        return depthwise(step.conv, x, step.stride)
    return step.conv(x, step.stride)


def read_steps(model: onnx.ModelProto, weights: Weights) -> Iterator[Step]:
    """The chain of convolution, batch normalisation and rectifier."""
    nodes = [
        one for one in model.graph.node if one.op_type in ("Conv", "BatchNormalization", "PRelu")
    ]
    for conv, norm, relu in zip(*(iter(nodes[: 3 * (len(nodes) // 3)]),) * 3, strict=True):
        kinds = (conv.op_type, norm.op_type, relu.op_type)
        if kinds != ("Conv", "BatchNormalization", "PRelu"):
            raise ValueError(f"{conv.name}: {kinds} is not the order this network should have")
        settings = {one.name: onnx.helper.get_attribute_value(one) for one in conv.attribute}
        kernel = weights[conv.input[1]].transpose(2, 3, 1, 0)
        gain, shift = affine(norm, weights)
        yield Step(
            conv=Conv(kernel, np.zeros(kernel.shape[-1], np.float32)).scaled(gain).shifted(shift),
            slopes=weights[relu.input[1]].reshape(1, 1, -1),
            stride=settings["strides"][0],
            depthwise=settings["group"] > 1,
        )


def read_last(model: onnx.ModelProto, weights: Weights) -> Conv:
    """The dense layer with the normalisations before and behind it, as one convolution."""
    dense = next(node for node in model.graph.node if node.op_type == "Gemm")
    norms = {
        node.output[0]: node for node in model.graph.node if node.op_type == "BatchNormalization"
    }
    before = affine(norms["bn1"], weights)
    behind = affine(norms["fc1"], weights)
    # Stored as (out, channel * row * column): back to what a convolution reads.
    matrix = weights[dense.input[1]]
    kernel = matrix.reshape(matrix.shape[0], -1, MAP, MAP).transpose(2, 3, 1, 0)
    bias = weights[dense.input[2]] + np.einsum("hwio,i->o", kernel, before[1])
    conv = Conv((kernel * before[0][:, None]).astype(np.float32), bias.astype(np.float32))
    return conv.scaled(behind[0]).shifted(behind[1])


def affine(norm: onnx.NodeProto, weights: Weights) -> tuple[Array, Array]:
    """A batch normalisation as gain and shift of every channel."""
    gamma, beta, mean, variance = (weights[name].astype(np.float64) for name in norm.input[1:])
    (epsilon,) = [
        onnx.helper.get_attribute_value(one) for one in norm.attribute if one.name == "epsilon"
    ]
    gain = gamma / np.sqrt(variance + epsilon)
    return gain.astype(np.float32), (beta - gain * mean).astype(np.float32)
