"""Checks that folding changed nothing: each float graph against the original network."""

from pathlib import Path

import numpy as np

from . import original
from .graphs import Array
from .inputs import inputs
from .networks import NETWORKS, Network

TOLERANCE = 1e-3  # the largest logit is about 20, float32 has seven digits


def original_answer(network: Network, data: bytes, images: Array) -> Array:
    """What the original answers to the same BGR inputs, in the order of our channels."""
    if network.name == "facenet":
        return original.embed(original.facenet(data), images)
    if network.name == "sface":
        return original.sface(data, images)
    if network.name == "liveness":
        return original.liveness(data, images)
    heads = original.stage(network.name, data)((images[..., ::-1] - 127.5) / 128)
    maps = [np.asarray(head).reshape(len(images), -1, head.shape[-1]) for head in heads]
    face = np.log(maps[-1][..., 1:] / maps[-1][..., :1])
    parts = [face, maps[0]]
    if len(maps) == 3:  # landmarks: five x, then five y
        x, y = maps[1][..., :5], maps[1][..., 5:]
        parts.append(np.stack([x, y], axis=-1).reshape(len(images), -1, 10))
    return np.concatenate(parts, axis=-1)


def difference(network: Network, cache: Path) -> float:
    """The largest absolute difference between our float graph and the original."""
    images = np.concatenate(list(inputs(network)))
    expected = original_answer(network, network.package.read(cache, network.member), images)
    found = np.asarray(network.build(cache)(images)).reshape(expected.shape)
    return float(np.abs(found - expected).max())


def verify(cache: Path) -> list[str]:
    """Networks whose folded graph is not the original: none, or one line each."""
    problems = []
    for network in NETWORKS:
        worst = difference(network, cache)
        verdict = f"{network.name}: folded graph within {worst:.1e} of the original"
        print(verdict)
        if not (worst <= TOLERANCE):
            problems.append(f"{verdict}, allowed are {TOLERANCE:.0e}")
    return problems
