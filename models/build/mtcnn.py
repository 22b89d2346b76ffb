"""MTCNN (Zhang et al., 2016): three small networks that find faces and five landmarks.

The published weights expect RGB normalised to about -1..1 and give their
answers through several heads. The door wants to hand over camera pixels and
read one tensor, so the following is folded into the weights:

* the normalisation and the BGR order, into the first convolution (exact, it
  pads nothing);
* the softmax over (not face, face), into one logit, the difference of the two;
* dense layers, into VALID convolutions, which leaves the batch size open;
* all heads, into one convolution.

The kernels are in natural orientation already (rows are image rows). Only the
first dense layer is not: the original flattens columns first.
"""

import io
from typing import Any

import joblib
import numpy as np
import tensorflow as tf

from .graphs import Array, Conv, Graph, beside, prelu

PIXEL_MEAN = 127.5
PIXEL_SCALE = 1 / 128

# The original lists five x, then five y; the door reads points.
LANDMARK_ORDER = (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)


def read_weights(data: bytes) -> list[Array]:
    """The arrays of one `.lz4` file of the package, in layer order."""
    return [np.asarray(array, np.float32) for array in joblib.load(io.BytesIO(data))]


def first_conv(kernel: Array, bias: Array) -> Conv:
    """The first convolution, made to read raw BGR pixels 0..255."""
    rgb = Conv(kernel, bias).after_affine(PIXEL_SCALE, -PIXEL_MEAN * PIXEL_SCALE)
    return rgb.after_channel_flip()


def dense(matrix: Array, bias: Array, rows: int = 1, columns: int = 1) -> Conv:
    """A dense layer over a (rows, columns, channels) map that was flattened columns first."""
    channels = matrix.shape[0] // (rows * columns)
    kernel = matrix.reshape(columns, rows, channels, -1).transpose(1, 0, 2, 3)
    return Conv(np.ascontiguousarray(kernel), bias)


def face_logit(softmax_head: Conv) -> Conv:
    """logit(face) - logit(not face): its sigmoid is the softmax's second output."""
    face, other = softmax_head.permuted([1]), softmax_head.permuted([0])
    return Conv(face.kernel - other.kernel, face.bias - other.bias)


def slope(alpha: Array) -> Array:
    """A PReLU slope in the shape that the converter fuses."""
    return alpha.reshape(1, 1, -1)


def pnet(weights: list[Array]) -> Graph:
    """Proposal network: any image (1, H, W, 3) -> (1, h, w, 5), one candidate per 2 pixels."""
    k1, b1, a1, k2, b2, a2, k3, b3, a3, box_k, box_b, face_k, face_b = weights
    conv1, conv2, conv3 = first_conv(k1, b1), Conv(k2, b2), Conv(k3, b3)
    head = beside(face_logit(Conv(face_k, face_b)), Conv(box_k, box_b))

    def graph(x: Any) -> Any:
        x = prelu(conv1(x), slope(a1))
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        x = prelu(conv2(x), slope(a2))
        x = prelu(conv3(x), slope(a3))
        return head(x)

    return graph


def rnet(weights: list[Array]) -> Graph:
    """Refinement network: patches (n, 24, 24, 3) -> (n, 1, 1, 5)."""
    k1, b1, a1, k2, b2, a2, k3, b3, a3, k4, b4, a4, box_k, box_b, face_k, face_b = weights
    conv1, conv2, conv3 = first_conv(k1, b1), Conv(k2, b2), Conv(k3, b3)
    fc4 = dense(k4, b4, rows=3, columns=3)
    head = beside(face_logit(dense(face_k, face_b)), dense(box_k, box_b))

    def graph(x: Any) -> Any:
        x = prelu(conv1(x), slope(a1))
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        x = prelu(conv2(x), slope(a2))
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = prelu(conv3(x), slope(a3))
        x = prelu(fc4(x), slope(a4))
        return head(x)

    return graph


def onet(weights: list[Array]) -> Graph:
    """Output network: patches (n, 48, 48, 3) -> (n, 1, 1, 15), the landmarks last."""
    k1, b1, a1, k2, b2, a2, k3, b3, a3, k4, b4, a4 = weights[:12]
    k5, b5, a5, box_k, box_b, points_k, points_b, face_k, face_b = weights[12:]
    conv1, conv2, conv3, conv4 = first_conv(k1, b1), Conv(k2, b2), Conv(k3, b3), Conv(k4, b4)
    fc5 = dense(k5, b5, rows=3, columns=3)
    points = dense(points_k, points_b).permuted(LANDMARK_ORDER)
    head = beside(face_logit(dense(face_k, face_b)), dense(box_k, box_b), points)

    def graph(x: Any) -> Any:
        x = prelu(conv1(x), slope(a1))
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        x = prelu(conv2(x), slope(a2))
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = prelu(conv3(x), slope(a3))
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        x = prelu(conv4(x), slope(a4))
        x = prelu(fc5(x), slope(a5))
        return head(x)

    return graph
