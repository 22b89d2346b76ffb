"""Is this face there, or a picture of it? What the networks say of one frame.

Each network sees the face with what is around it: the detector's box enlarged, and where
that leaves the picture, made smaller and moved until it fits. It answers with one logit
for a living face and one for each kind of attack. Their log-odds are summed over the
networks. What a score is worth depends on the camera and its light: it is for comparing
with other scores of the same door, and no threshold comes with the networks.

The networks are MiniFASNets, of Silent-Face-Anti-Spoofing (2020): a MobileFaceNet for
texture and context. models/README.md has what they let through.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lockd.errors import ModelError
from lockd.types import Box, Face, Floats, Image
from lockd.vision.geometry import Octaves
from lockd.vision.models import Models, Network, as_input

LIVE = "live_logit"
"""The first of each network's output channels."""


@dataclass(frozen=True)
class _Part:
    network: Network
    crop_px: int
    enlarged: float


class Liveness:
    """The networks that the manifest composes for it. Not for use by two threads at once.

    Attributes:
        fingerprint: hexadecimal; differs whenever scores cannot be compared. A calibration
            belongs to it.
        names: of the networks that are summed.
    """

    def __init__(self, models: Models, *, threads: int = 1) -> None:
        """Build the networks.

        Args:
            threads: that the runtime may use for each network.

        Raises:
            ModelError: if the manifest composes none, or in a way that this version does
                not know.
        """
        compositions = models.manifest.get("liveness", {})
        described = [part for one in compositions.values() for part in one["networks"]]
        if not described:
            raise ModelError(
                f"{models.folder / 'manifest.json'}: composes no network for liveness; "
                "install lockd again, or run `git checkout models`"
            )
        self._parts = [_part(models, part, threads) for part in described]
        self.names: tuple[str, ...] = tuple(part["network"] for part in described)
        identity = [{**part, "sha256": models.sha256(part["network"])} for part in described]
        canonical = json.dumps([identity, "mirrored by turns"], sort_keys=True).encode()
        self.fingerprint = hashlib.sha256(canonical).hexdigest()

    def score(self, image: Image, face: Face, *, mirrored: bool = False) -> float:
        """Return how much the face looks as if it were there.

        A visit's mean is worth more where every other frame was judged as in a mirror: what the
        networks mistake, they mistake less often from both sides.

        Args:
            image: uint8 (height, width, 3), BGR, in which the face was found.
            face: in pixels of that image.
            mirrored: whether the networks see it as in a mirror.

        Returns:
            Log-odds in nats, summed over the networks; rises with liveness. NaN where a
            network says nothing, or the face has no area. NaN is not live.
        """
        total = 0.0
        for part in self._parts:
            crop = context(image, face.box, part.enlarged, part.crop_px)
            if crop is None:
                return math.nan
            if mirrored:
                crop = np.ascontiguousarray(crop[:, ::-1])
            total += log_odds(part.network(as_input(crop)).reshape(-1))
        return total


def context(image: Image, box: Box, enlarged: float, size: int) -> Image | None:
    """Cut a box and what is around it, as much of it as the picture has.

    The cut keeps the proportions of the box, lies within the picture, and is stretched to
    a square: so were the networks taught.

    Args:
        image: uint8 (height, width, 3).
        box: in pixels of the image.
        enlarged: how many times as wide and high as the box, where there is room.
        size: side of the result in pixels.

    Returns:
        uint8 (size, size, 3), or None if the box has no area.
    """
    height, width = image.shape[:2]
    if not (box.width > 0 and box.height > 0):
        return None
    scale = min(enlarged, width / box.width, height / box.height)
    x0, x1 = _within(box.centre[0], scale * box.width, width)
    y0, y1 = _within(box.centre[1], scale * box.height, height)
    left, top = int(x0), int(y0)
    part = Octaves(image[top : math.ceil(y1), left : math.ceil(x1)])
    return part.cut(Box(x0 - left, y0 - top, x1 - left, y1 - top), size, replicate=True)


def log_odds(logits: Floats) -> float:
    """Return the log-odds of the first class, in nats.

    Args:
        logits: float32 (classes,).

    Returns:
        log p / (1 - p) of their softmax; NaN if one of them is not finite.
    """
    if not np.isfinite(logits).all():
        return math.nan
    return float(logits[0] - np.logaddexp.reduce(logits[1:].astype(np.float64)))


def _within(centre: float, length: float, whole: int) -> tuple[float, float]:
    """A stretch of this length, moved until it lies in 0..whole."""
    start = min(max(centre - length / 2, 0.0), whole - length)
    start = max(start, 0.0)  # by rounding
    return start, min(start + length, float(whole))


def _part(models: Models, part: dict[str, Any], threads: int) -> _Part:
    name = part["network"]
    first = models.manifest["networks"][name]["output"].get("channels", ["none"])[0]
    known = {"crop": "context", "first channel": LIVE}
    for what, found in {"crop": part["crop"], "first channel": first}.items():
        if found != known[what]:
            raise ModelError(
                f"manifest.json: the {what} {found!r} of {name} is unknown to this lockd, which "
                f"has {known[what]}; install the lockd that came with these models"
            )
    return _Part(models.network(name, threads=threads), part["crop_px"], part["enlarged"])
