"""The manifest: what the runtime must know about each file, and the hash it must have."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .networks import (
    CENTRES,
    DETECTOR,
    EMBEDDERS,
    FETCHED_LIVENESS,
    LIVENESS,
    OPERATING_POINTS,
    TEMPLATES,
    Network,
)

SCHEMA = 1


def entry(network: Network, data: bytes) -> dict[str, Any]:
    """One network's part of the manifest."""
    output: dict[str, Any] = {"shape": network.output_shape}
    if network.channels is not None:
        output["channels"] = network.channels
    return {
        "file": network.file,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "input": {
            "shape": network.input_shape,
            "dtype": "float32",
            "range": network.input_range,
            "colour": "BGR",
        },
        "output": output,
        "quantization": network.quantization,
        "licence": network.package.licence,
        "source": {
            "registry": network.package.registry,
            "package": network.package.name,
            "version": network.package.version,
            "sha256": network.package.sha256,
            "member": [network.member],
        },
    }


def manifest(networks: Iterable[Network], files: Mapping[str, bytes]) -> str:
    """The text of `manifest.json` for these networks and their files, by network name."""
    content = {
        "schema": SCHEMA,
        "networks": {network.name: entry(network, files[network.name]) for network in networks},
        "detector": DETECTOR,
        "embedders": EMBEDDERS,
        "templates": TEMPLATES,
        "centres": CENTRES,
        "liveness": LIVENESS,
        "operating_points": OPERATING_POINTS,
    }
    return _in_rows(json.dumps(content, indent=2)) + "\n"


def _in_rows(text: str) -> str:
    """Lists of numbers each on one line."""
    return re.sub(r"\[[-\d.,\s]+\]", lambda found: " ".join(found[0].split()), text)


def fetched(networks: Iterable[Network], files: Mapping[str, bytes]) -> str:
    """The text of `fetched.json` for the networks that an owner added."""
    entries = {network.name: entry(network, files[network.name]) for network in networks}
    parts = [one for one in FETCHED_LIVENESS if one["network"] in entries]
    compositions = {"minifasnet": {"networks": parts}}
    content = {"schema": SCHEMA, "networks": entries, "liveness": compositions}
    return json.dumps(content, indent=2) + "\n"
