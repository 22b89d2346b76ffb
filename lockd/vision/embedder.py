"""A face to one unit vector, by the networks that the manifest composes.

Each network of the composition has its crop and its preprocessing. The networks'
unit vectors are concatenated, each scaled by the root of its weight, so that the
cosine of two results is the weighted mean of the networks' cosines and everything
behind this file sees one vector.

FaceNet: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face
Recognition and Clustering", CVPR 2015; here an Inception-ResNet-v1. SFace: Zhong,
Deng, Hu, Zhao, Li and Wen, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust
Face Recognition", IEEE TIP 30 (2021); here a MobileFaceNet.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lockd.errors import ModelError
from lockd.types import Embedding, Face, Floats, Image
from lockd.vision.geometry import Octaves, square
from lockd.vision.models import Models, Network, as_input

_T = TypeVar("_T")


def square_crop(octaves: Octaves, face: Face, size: int) -> Image:
    """Cut the square around the detector's box, the border replicated.

    The square has the box's centre and longer side, so that the face keeps its
    proportions.
    """
    return octaves.cut(square(face.box), size, replicate=True)


def aligned_crop(octaves: Octaves, face: Face, size: int) -> Image:
    """Cut the face with its landmarks where ArcFace's template has them.

    Deng, Guo, Xue and Zafeiriou, "ArcFace", CVPR 2019: 112x112, eyes level.
    """
    return octaves.align(face.landmarks, ARCFACE_112 * np.float32(size / 112), size)


def standardise(image: Image) -> Floats:
    """Return (x - mean) / max(std, 1 / sqrt(n)) over the whole image.

    FaceNet's "prewhitening"; in float32 throughout.

    Args:
        image: uint8 (height, width, 3).

    Returns:
        float32 (1, height, width, 3).
    """
    pixels = as_input(image)
    spread = max(float(pixels.std()), 1.0 / math.sqrt(pixels.size))
    standard: Floats = (pixels - pixels.mean()) / np.float32(spread)
    return standard


ARCFACE_112 = np.float32(0.5) + np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ],
    np.float32,
)
"""Landmarks of a face aligned to 112x112; published for pixel centres, hence the half."""

CROPS: dict[str, Callable[[Octaves, Face, int], Image]] = {
    "square": square_crop,
    "aligned": aligned_crop,
}
PREPROCESSING: dict[str, Callable[[Image], Floats]] = {
    "standardise": standardise,
    "raw": as_input,
}


@dataclass(frozen=True)
class _Part:
    network: Network
    crop: Callable[[Octaves, Face, int], Image]
    crop_px: int
    preprocess: Callable[[Image], Floats]
    scale: float


class Embedder:
    """A composition of the manifest's. Not for use by two threads at once.

    Attributes:
        size: length of an embedding.
        accept: the least similarity of a match that the model card recommends.
        fingerprint: hexadecimal; differs whenever embeddings of two compositions
            cannot be compared. A template carries it.
    """

    def __init__(self, models: Models, profile: str, *, threads: int = 1) -> None:
        """Build the networks.

        Args:
            profile: name of the composition in the manifest.
            threads: that the runtime may use for each network.

        Raises:
            ModelError: if the manifest has no such composition, or names a crop or
                preprocessing that this version does not know.
        """
        composition = _known(models.manifest["embedders"], "profile", profile)
        total = sum(part["weight"] for part in composition["networks"])
        self._parts = [
            _Part(
                network=models.network(part["network"], threads=threads),
                crop=_known(CROPS, "crop", part["crop"]),
                crop_px=part["crop_px"],
                preprocess=_known(PREPROCESSING, "preprocessing", part["preprocessing"]),
                scale=math.sqrt(part["weight"] / total),
            )
            for part in composition["networks"]
        ]
        self.size: int = composition["embedding_size"]
        self.accept: float = composition["accept"]
        described = [
            {**part, "sha256": models.sha256(part["network"])} for part in composition["networks"]
        ]
        canonical = json.dumps(described, sort_keys=True).encode()
        self.fingerprint = hashlib.sha256(canonical).hexdigest()

    def embed(self, octaves: Octaves, face: Face) -> Embedding:
        """Return the unit vector of a face.

        Args:
            octaves: of the image in which the face was found.
            face: in pixels of that image.

        Returns:
            float32 (size,) of norm 1, or NaN throughout if a network answered with
            zeros or anything not finite. NaN matches nobody.
        """
        vectors = []
        for part in self._parts:
            crop = part.crop(octaves, face, part.crop_px)
            vector = part.network(part.preprocess(crop)).reshape(-1)
            norm = float(np.linalg.norm(vector))
            if not (0.0 < norm < math.inf):
                return np.full(self.size, np.nan, np.float32)
            vectors.append(vector * np.float32(part.scale / norm))
        return np.concatenate(vectors)


def _known(choices: dict[str, _T], what: str, name: str) -> _T:
    if name not in choices:
        raise ModelError(
            f"manifest.json: {what} {name!r} is unknown to this lockd, "
            f"which has {', '.join(choices)}; install the lockd that came with these models"
        )
    return choices[name]
