"""Small pieces that every network shares: folded convolutions and the TFLite converter.

A network is a plain function from a tensor to a tensor whose weights are
constants. There are no variables, so the converter has nothing to freeze and
no READ_VARIABLE operation can end up in the file.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]
Graph = Callable[[Any], Any]

QUANTIZATIONS = ("dynamic-range int8", "float32", "full int8")


@dataclass(frozen=True)
class Conv:
    """A convolution: `kernel` is (rows, columns, channels in, channels out), `bias` (out,)."""

    kernel: Array
    bias: Array

    def __call__(self, x: Any, stride: int = 1, padding: str = "VALID") -> Any:
        y = tf.nn.conv2d(x, self.kernel, stride, padding)
        return tf.nn.bias_add(y, self.bias)

    def after_affine(self, gain: float, offset: float) -> "Conv":
        """This convolution with the input map `x -> gain * x + offset` folded in.

        Exact only where nothing is padded: a padded zero would have to become `offset`.
        """
        bias = self.bias + offset * self.kernel.sum(axis=(0, 1, 2), dtype=np.float64)
        return Conv(np.float32(gain) * self.kernel, bias.astype(np.float32))

    def after_channel_flip(self) -> "Conv":
        """This convolution reading its input channels in reverse order: RGB becomes BGR."""
        return Conv(np.ascontiguousarray(self.kernel[:, :, ::-1, :]), self.bias)

    def scaled(self, gain: Array | float) -> "Conv":
        """This convolution with its output multiplied by `gain`, one number or one per channel."""
        factor = np.asarray(gain, np.float64)
        return Conv(
            (self.kernel * factor).astype(np.float32), (self.bias * factor).astype(np.float32)
        )

    def shifted(self, offset: Array) -> "Conv":
        """This convolution with `offset` added to its output."""
        return Conv(self.kernel, (self.bias + offset).astype(np.float32))

    def permuted(self, channels: Iterable[int]) -> "Conv":
        """This convolution with only the named output channels, in that order."""
        index = list(channels)
        return Conv(np.ascontiguousarray(self.kernel[..., index]), self.bias[index])


def beside(*convs: Conv) -> Conv:
    """Several convolutions of one input as a single one with their channels in a row."""
    kernel = np.concatenate([conv.kernel for conv in convs], axis=3)
    return Conv(kernel, np.concatenate([conv.bias for conv in convs]))


def depthwise(conv: Conv, x: Any, stride: int, padding: str = "VALID") -> Any:
    """A convolution of each channel by itself; its `kernel` is (rows, columns, 1, channels)."""
    kernel = np.swapaxes(conv.kernel, 2, 3)
    y = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], padding)
    return tf.nn.bias_add(y, conv.bias)


def prelu(x: Any, alpha: Array) -> Any:
    """Leaky rectifier with one slope per channel, in the form the converter fuses into PRELU.

    `alpha` must be (1, 1, channels): any other shape stays four separate operations.
    """
    return tf.nn.relu(x) + (-alpha * tf.nn.relu(-x))


def convert(
    graph: Graph,
    input_shape: tuple[int | None, ...],
    quantization: str,
    samples: Iterable[Array] = (),
) -> bytes:
    """The graph as a TFLite file.

    Args:
        graph: The network.
        input_shape: Its input; a size of None stays open and is given at run time.
        quantization: One of QUANTIZATIONS.
        samples: Real inputs, needed for "full int8" only, to find each tensor's range.
    """
    if quantization not in QUANTIZATIONS:
        raise ValueError(f"quantization: {quantization!r} is not one of {QUANTIZATIONS}")
    signature = tf.TensorSpec(input_shape, tf.float32, name="image")
    concrete = tf.function(graph, autograph=False).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if quantization != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "full int8":
        converter.representative_dataset = lambda: ([sample] for sample in samples)
    return bytes(converter.convert())
