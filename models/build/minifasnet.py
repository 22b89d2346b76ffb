"""MiniFASNet (Silent-Face-Anti-Spoofing, 2020): a face and what is around it -> live or an attack.

A MobileFaceNet whose channels were pruned, with or without squeeze-and-excitation: the
network in an ONNX file, where batch normalisations are folded already, and those that their
authors publish for PyTorch. Both are read into the same chain of steps. Behind the last
rectifier everything is linear, so its dense layers and their normalisation become one
convolution. The published class of living people becomes the first channel.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper

from .graphs import Array, Conv, Graph, depthwise, prelu
from .pytorch import state_dict

HALVING = ("conv1", "conv_23.conv_dw", "conv_34.conv_dw", "conv_45.conv_dw")
"""What has a stride of 2; a PyTorch file does not say so."""


@dataclass(frozen=True)
class Step:
    """A convolution, and the slopes of the rectifier behind it where there is one."""

    conv: Conv
    slopes: Array | None
    stride: int

    def __call__(self, x: Any) -> Any:
        y = convolved(self.conv, x, self.stride)
        return y if self.slopes is None else prelu(y, self.slopes)


@dataclass(frozen=True)
class Block:
    """A bottleneck: wider, convolved channel by channel, narrower; perhaps with a gate."""

    wider: Step
    channelwise: Step
    narrower: Step
    gate: tuple[Step, Step] | None

    def __call__(self, x: Any) -> Any:
        y = self.narrower(self.channelwise(self.wider(x)))
        if self.gate is not None:
            squeeze, excite = self.gate
            whole = tf.reduce_mean(y, axis=[1, 2], keepdims=True)
            y = y * tf.sigmoid(excite(tf.nn.relu(squeeze(whole))))
        return x + y if self.channelwise.stride == 1 else y


def of_onnx(data: bytes) -> Graph:
    """BGR crops (n, 128, 128, 3), 0..255 -> logits (n, 3) of an ONNX file, the first of live."""
    model = onnx.load_from_string(data)
    weights = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    nodes = [one for one in model.graph.node if one.op_type in ("Conv", "PRelu")]
    dense = [weights[one.input[1]] for one in model.graph.node if one.op_type == "MatMul"]
    (norm,) = [one for one in model.graph.node if one.op_type == "BatchNormalization"]
    gain, shift = affine(*(weights[name] for name in norm.input[1:]), epsilon_of(norm))
    return network(onnx_steps(nodes, weights), last(dense[0], gain, shift, dense[1], live=0))


def of_pytorch(data: bytes) -> Graph:
    """BGR crops (n, 80, 80, 3), 0..255 -> logits (n, 3) of a PyTorch file, the first of live."""
    weights = {name.removeprefix("module."): one for name, one in state_dict(data).items()}
    end = last(weights["linear.weight"].T, *norm_of(weights, "bn"), weights["prob.weight"].T, 1)
    return network(pytorch_steps(weights), end)


def network(steps: Iterable[Step], end: Conv) -> Graph:
    """The graph of a chain of steps and of what is behind the last of them."""
    chain = list(steps)
    stem, rest, tail = chain[:2], chain[2:-2], chain[-2:]
    parts = [*stem, *blocks(rest), *tail]

    def graph(image: Any) -> Any:
        x = image
        for part in parts:
            x = part(x)
        return tf.reshape(end(x), [-1, end.bias.size])

    return graph


def blocks(steps: list[Step]) -> Iterator[Block]:
    """Bottlenecks: three convolutions each, and two more where no rectifier follows them."""
    while steps:
        gated = len(steps) > 3 and steps[3].slopes is None
        gate = (steps[3], steps[4]) if gated else None
        yield Block(steps[0], steps[1], steps[2], gate)
        steps = steps[5:] if gated else steps[3:]


def convolved(conv: Conv, x: Any, stride: int) -> Any:
    """A convolution as PyTorch pads it: one zero on every side of a 3x3 kernel, else none."""
    padding = "SAME" if conv.kernel.shape[0] == 3 and stride == 1 else "VALID"
    if stride > 1:
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    channelwise = conv.kernel.shape[2] == 1
    return depthwise(conv, x, stride, padding) if channelwise else conv(x, stride, padding)


def onnx_steps(nodes: list[onnx.NodeProto], weights: Mapping[str, Array]) -> Iterator[Step]:
    """Every convolution of an ONNX file with the rectifier that follows it."""
    slopes = {one.input[0]: weights[one.input[1]] for one in nodes if one.op_type == "PRelu"}
    for node in nodes:
        if node.op_type == "Conv":
            kernel, bias = (weights[name] for name in node.input[1:])
            settings = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            yield Step(
                Conv(kernel.transpose(2, 3, 1, 0), bias),
                shaped(slopes.get(node.output[0])),
                settings["strides"][0],
            )


def pytorch_steps(weights: Mapping[str, Array]) -> Iterator[Step]:
    """Every convolution of a PyTorch file, its normalisation folded, with its rectifier."""
    for name, kernel in weights.items():
        if kernel.ndim == 4:
            layer, _, kind = name.removesuffix(".weight").rpartition(".")
            norm = f"{layer}.{kind.replace('fc', 'bn')}" if "fc" in kind else f"{layer}.bn"
            gain, shift = norm_of(weights, norm)
            plain = Conv(kernel.transpose(2, 3, 1, 0), np.zeros(len(kernel), np.float32))
            yield Step(
                plain.scaled(gain).shifted(shift),
                shaped(weights.get(f"{layer}.prelu.weight")),
                2 if layer in HALVING else 1,
            )


def last(first: Array, gain: Array, shift: Array, second: Array, live: int) -> Conv:
    """Two dense layers (in, out) with a normalisation between them, `live` before the others."""
    matrix = (first.astype(np.float64) * gain) @ second
    bias = shift.astype(np.float64) @ second
    conv = Conv(matrix[None, None].astype(np.float32), bias.astype(np.float32))
    others = [one for one in range(bias.size) if one != live]
    return conv.permuted([live, *others])


def shaped(slopes: Array | None) -> Array | None:
    """Slopes in the shape that the converter fuses."""
    return None if slopes is None else slopes.reshape(1, 1, -1)


def norm_of(weights: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """A batch normalisation of a PyTorch file as gain and shift."""
    kinds = ("weight", "bias", "running_mean", "running_var")
    return affine(*(weights[f"{name}.{kind}"] for kind in kinds), epsilon=1e-5)


def affine(
    gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> tuple[Array, Array]:
    """A batch normalisation as gain and shift of every channel."""
    gain = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    return gain.astype(np.float32), (beta - gain * mean).astype(np.float32)


def epsilon_of(norm: onnx.NodeProto) -> float:
    """What a normalisation adds to the variance."""
    (found,) = [
        onnx.helper.get_attribute_value(one) for one in norm.attribute if one.name == "epsilon"
    ]
    return float(found)
