"""A face to one unit vector, by the networks that the manifest composes.

Each network of the composition has its crop and its preprocessing. What all faces have in
common for it, the centre, is taken away from its unit vector; then the networks' vectors are
concatenated, each scaled by the root of its weight, so that the cosine of two results is the
weighted mean of the networks' cosines and everything behind this file sees one vector.

A template is the mean of a face and its mirror image. It is kept as the networks gave it, all
of them side by side whichever the door compares by; `Embedder.space` brings it where probes are.

FaceNet: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face
Recognition and Clustering", CVPR 2015; here an Inception-ResNet-v1. SFace: Zhong,
Deng, Hu, Zhao, Li and Wen, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust
Face Recognition", IEEE TIP 30 (2021); here a MobileFaceNet.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from lockd.errors import ModelError
from lockd.types import Embedding, Face, Floats, Image
from lockd.vision.geometry import Octaves, square
from lockd.vision.models import Models, Network, as_input
from lockd.vision.space import Layout, Piece, Space

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


class _Eye:
    """A network, and how its input is cut and prepared. Loaded when it is first needed."""

    def __init__(self, models: Models, part: Mapping[str, Any], threads: int) -> None:
        self.name: str = part["network"]
        self._models, self._threads = models, threads
        self._crop = _known(CROPS, "crop", part["crop"])
        self._crop_px: int = part["crop_px"]
        self._preprocess = _known(PREPROCESSING, "preprocessing", part["preprocessing"])
        self._network: Network | None = None
        self.looks = 0

    def load(self) -> Network:
        """Return the network, read and checked at the first time."""
        if self._network is None:
            self._network = self._models.network(self.name, threads=self._threads)
        return self._network

    def see(self, octaves: Octaves, face: Face, *, mirrored: bool = False) -> Floats | None:
        """Return the unit vector of a face; None if the answer is zeros or not finite.

        Args:
            mirrored: the mean of a face and its mirror image, norm 1.
        """
        crop = self._crop(octaves, face, self._crop_px)
        crops = [crop, np.ascontiguousarray(crop[:, ::-1])] if mirrored else [crop]
        total: Floats | None = None
        for one in crops:
            self.looks += 1
            vector = _unit(self.load()(self._preprocess(one)).reshape(-1))
            if vector is None:
                return None
            total = vector if total is None else total + vector
        return None if total is None else _unit(total)


class Probe:
    """A face that is embedded no further than it is asked for.

    Attributes:
        head: float32 (k,), the first numbers of its embedding: the first network's. NaN if
            that gave no answer.
    """

    def __init__(self, eyes: Sequence[tuple[_Eye, Piece]], octaves: Octaves, face: Face) -> None:
        """Ask the first network."""
        self._rest, self._size = eyes[1:], sum(piece.size for _, piece in eyes)
        self._octaves, self._face = octaves, face
        self.head: Floats = self._seen(*eyes[0])
        self._whole: Embedding | None = None

    @property
    def complete(self) -> bool:
        """Whether the first network is the only one, so that its numbers are all there are."""
        return not self._rest

    def whole(self) -> Embedding:
        """Ask the other networks, too; return the embedding as `Embedder.embed` does."""
        if self._whole is None:
            shares = [self.head]
            for eye, piece in self._rest:
                if np.isfinite(shares[-1]).all():
                    shares.append(self._seen(eye, piece))
            good = len(shares) == 1 + len(self._rest) and np.isfinite(shares[-1]).all()
            self._whole = (
                np.concatenate(shares) if good else np.full(self._size, np.nan, np.float32)
            )
        return self._whole

    def _seen(self, eye: _Eye, piece: Piece) -> Floats:
        vector = eye.see(self._octaves, self._face)
        return np.full(piece.size, np.nan, np.float32) if vector is None else piece.weighed(vector)


class Embedder:
    """A composition of the manifest's. Not for use by two threads at once.

    Attributes:
        size: length of an embedding.
        accept: the least similarity of a match that the model card recommends.
        accept_first: the same for the first network alone.
        fingerprint: hexadecimal; differs whenever embeddings of two compositions
            cannot be compared.
        space: where embeddings are compared, and which templates lie in it.
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
        manifest = models.manifest
        composition = _known(manifest["embedders"], "profile", profile)
        parts = composition["networks"]
        kinds = manifest["templates"]
        self._eyes = {
            _key(one): _Eye(models, one, threads) for one in [*parts, *kinds[0]["networks"]]
        }
        pieces = _pieces(parts, manifest)
        self._seeing = [
            (self._eyes[_key(part)], piece) for part, piece in zip(parts, pieces, strict=True)
        ]
        for eye, _ in self._seeing:
            eye.load()
        self._makes = [self._eyes[_key(one)] for one in kinds[0]["networks"]]
        self.size: int = composition["embedding_size"]
        self.accept: float = composition["accept"]
        self.accept_first: float = composition.get("accept_first", self.accept)
        centres = manifest["centres"]
        named = [{**part, "centre": centres.get(part.get("centre"))} for part in parts]
        self.fingerprint = _hash([_described(one, manifest) for one in named])
        self.space = Space(self.size, pieces, _layouts(parts, manifest))

    @property
    def staged(self) -> bool:
        """Whether the first network alone may do."""
        return len(self._seeing) > 1

    @property
    def looks(self) -> Counter[str]:
        """How often each network was asked."""
        return Counter({eye.name: eye.looks for eye in self._eyes.values()})

    def probe(self, octaves: Octaves, face: Face) -> Probe:
        """Ask the first network about a face, and the others when it is found to be needed."""
        return Probe(self._seeing, octaves, face)

    def embed(self, octaves: Octaves, face: Face) -> Embedding:
        """Return the unit vector of a face.

        Args:
            octaves: of the image in which the face was found.
            face: in pixels of that image.

        Returns:
            float32 (size,) of norm 1, or NaN throughout if a network answered with
            zeros or anything not finite. NaN matches nobody.
        """
        return self.probe(octaves, face).whole()

    def enrolled(self, octaves: Octaves, face: Face) -> Embedding:
        """Return what a face is compared as once it is enrolled.

        The same as `template` brought to the `space`, by the networks of this composition alone.

        Returns:
            float32 (size,) of norm 1, or NaN throughout as of `embed`.
        """
        shares = []
        for eye, piece in self._seeing:
            vector = eye.see(octaves, face, mirrored=True)
            if vector is None:
                return np.full(self.size, np.nan, np.float32)
            shares.append(piece.weighed(vector))
        return np.concatenate(shares)

    def template(self, octaves: Octaves, face: Face) -> Embedding:
        """Return the template of a face, to be kept; `space` brings it where probes are.

        Returns:
            float32 (`space.first.size`,) of norm 1, or NaN throughout as of `embed`.
        """
        seen = [eye.see(octaves, face, mirrored=True) for eye in self._makes]
        vectors = [one for one in seen if one is not None]
        if len(vectors) < len(seen):
            return np.full(self.space.first.size, np.nan, np.float32)
        whole: Embedding = np.concatenate(vectors) / np.float32(math.sqrt(len(vectors)))
        return whole


def _unit(vector: Floats) -> Floats | None:
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if 0.0 < norm < math.inf else None


def _pieces(parts: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> list[Piece]:
    """What is made of each network's answer."""
    total = sum(part["weight"] for part in parts)
    pieces = []
    for part in parts:
        centre = None
        if "centre" in part:
            centre = np.array(_known(manifest["centres"], "centre", part["centre"]), np.float32)
        pieces.append(Piece(_size(part, manifest), math.sqrt(part["weight"] / total), centre))
    return pieces


def template_kinds(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the kinds of template that a manifest knows: how each is made, by its model."""
    return {_model(kind, manifest): _made(kind) for kind in manifest["templates"]}


def _layouts(parts: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> dict[str, Layout]:
    """The kinds of template that have an answer of each of the networks."""
    found: dict[str, Layout] = {}
    for kind in manifest["templates"]:
        places: dict[tuple[Any, ...], slice] = {}
        end = 0
        for one in kind["networks"]:
            start, end = end, end + _size(one, manifest)
            places[_key(one)] = slice(start, end)
        if all(_key(part) in places for part in parts):
            own = [places[_key(part)] for part in parts]
            found[_model(kind, manifest)] = Layout(_made(kind), end, own)
        elif not found:
            raise ModelError(
                f"manifest.json: templates are made of {_made(kind)}, which lacks a network "
                "of the profile; install the lockd that came with these models"
            )
    return found


def _made(kind: Mapping[str, Any]) -> str:
    networks = " and ".join(one["network"] for one in kind["networks"])
    return networks + (", with the mirror image" if kind["mirrored"] else "")


def _model(kind: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    described: Any = [_described(one, manifest) for one in kind["networks"]]
    return _hash({"networks": described, "mirrored": True} if kind["mirrored"] else described)


def _size(part: Mapping[str, Any], manifest: Mapping[str, Any]) -> int:
    return int(manifest["networks"][part["network"]]["output"]["shape"][-1])


def _key(part: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a network's answer depends on."""
    return part["network"], part["crop"], part["crop_px"], part["preprocessing"]


def _described(part: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**part, "sha256": manifest["networks"][part["network"]]["sha256"]}


def _hash(described: object) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _known(choices: Mapping[str, _T], what: str, name: str) -> _T:
    if name not in choices:
        raise ModelError(
            f"manifest.json: {what} {name!r} is unknown to this lockd, "
            f"which has {', '.join(choices)}; install the lockd that came with these models"
        )
    return choices[name]
