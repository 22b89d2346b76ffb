"""Python, the packages, the networks and the configuration."""

from __future__ import annotations

import struct
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from packaging.requirements import Requirement

from lockd import __version__
from lockd.commands.doctor.findings import Finding, Machine, ok, problem, skipped, warning
from lockd.config import find
from lockd.errors import ConfigError, LockdError
from lockd.paths import shipped

if TYPE_CHECKING:
    from lockd.recognition.recogniser import Vision

LEAST_PYTHON = (3, 11)
_PHOTOS = (
    "Barack Obama/blue-room-2010.jpg",
    "Barack Obama/congress-2009.jpg",
    "Joe Biden/blue-room-2010.jpg",
)
_MEND_PACKAGES = "install lockd again: `sudo lockd install`, or `pip install .` in your environment"


def python(machine: Machine) -> list[Finding]:
    """Look at the interpreter that runs lockd."""
    version = ".".join(map(str, sys.version_info[:3]))
    bits = struct.calcsize("P") * 8
    text = f"{version}, {bits} bit, {sys.executable}"
    if sys.version_info[:2] < LEAST_PYTHON:
        return [problem(text, "lockd needs Python 3.11; Raspberry Pi OS has it from Bookworm on")]
    if bits != 64:
        return [
            problem(
                text,
                "the TFLite runtime exists for 64 bit only: install the 64-bit Raspberry Pi OS",
            )
        ]
    return [ok(text)]


def packages(machine: Machine) -> list[Finding]:
    """Compare what is installed with what this lockd asks for."""
    try:
        wanted = [Requirement(line) for line in metadata.requires("lockd") or []]
    except metadata.PackageNotFoundError:
        return [skipped("lockd runs from its source tree and is not installed as a package")]
    findings = []
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            findings.append(problem(f"{requirement.name}: not installed", _MEND_PACKAGES))
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            text = f"{requirement.name}: {found}, wanted {requirement.specifier}"
            findings.append(problem(text, _MEND_PACKAGES))
    return findings or [ok(f"lockd {__version__} and the {len(needed)} packages it needs")]


def configuration(machine: Machine) -> list[Finding]:
    """Read the configuration, and list every mistake in it."""
    try:
        path = find(machine.config_file)
        settings = machine.settings
    except ConfigError as error:
        return [problem(str(error), "correct the file; `lockd check-config` shows what it has")]
    if path is None:
        return [warning("no file, so the defaults", "`sudo lockd install` puts one in place")]
    findings = [ok(f"{path}: no mistakes")]
    if settings.relay.factory == "mock":
        findings.append(
            warning("relay.factory: mock: no relay is switched", "set lgpio for a real door")
        )
    return findings


def networks(machine: Machine) -> list[Finding]:
    """Run every network once, and let them tell the people of the demonstration apart."""
    from lockd.recognition.recogniser import Vision  # noqa: PLC0415  # needs the runtime

    vision = Vision(machine.settings)
    models, slow = vision.models, []
    for name, entry in models.manifest["networks"].items():
        network = models.network(name, [side or 48 for side in entry["input"]["shape"]])
        if not np.isfinite(network(np.zeros(network.input_shape, np.float32))).all():
            return [problem(f"{name}: answers with NaN on {models.runtime_name}", _MEND_PACKAGES)]
        if not network.accelerated:
            slow.append(name)
    count = len(models.manifest["networks"])
    text = f"{count} networks in {models.folder} are whole and run on {models.runtime_name}"
    findings = [ok(f"{text} with XNNPACK")]
    if slow:
        findings = [
            warning(
                f"{text}, but without XNNPACK: {', '.join(slow)}",
                "they are slow so; install the runtime's own wheel: `pip install ai-edge-litert`",
            )
        ]
    return [*findings, *_recognition(machine, vision)]


def _recognition(machine: Machine, vision: Vision) -> list[Finding]:
    """Find out whether this processor's kernels give answers that recognise anybody."""
    from lockd.recognition.photographs import template_of  # noqa: PLC0415

    try:
        people = shipped("demo/people")
    except LockdError:
        return [skipped("recognition: the demonstration's photographs are not installed")]
    limits = machine.settings.quality.limits()

    one, again, somebody = (template_of(people / photo, vision, limits) for photo in _PHOTOS)
    same, other = float(one @ again), float(one @ somebody)
    text = f"recognition: one person {same:.2f}, two people {other:.2f}"
    accept = machine.settings.recognition.threshold(vision.embedder.accept)
    if not (same >= accept > other):
        return [
            problem(
                f"{text}, which the threshold {accept:g} does not tell apart",
                "is recognition.accept set too high or too low? If not, this runtime's kernels "
                "are wrong on this processor: try another version of ai-edge-litert",
            )
        ]
    return [ok(f"{text}, threshold {accept:g}")]
