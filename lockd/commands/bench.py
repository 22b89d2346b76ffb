"""What one frame costs on this machine, stage by stage: what `lockd bench` prints.

The frame is 640x480 with one face, made from a photograph that comes with lockd.
Stages are measured in turns within one run, so that a busy moment hits them alike;
compare them as ratios.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from lockd.commands.options import settings_of
from lockd.config import Settings
from lockd.console import config_option, reported
from lockd.errors import ImageError
from lockd.identity.gallery import Gallery, Template
from lockd.paths import shipped
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Frame, Image, Person
from lockd.vision.decoding import decode
from lockd.vision.geometry import Octaves

WIDTH, HEIGHT = 640, 480
_TEMPLATES_EACH = 5
_FACE = "demo/people/Barack Obama/congress-2009.jpg"


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Milliseconds of every stage: (median, 10th and 90th percentile)."""

    runtime: str
    threads: int
    templates: int
    runs: int
    stages: dict[str, tuple[float, float, float]]
    memory_mb: float

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "runtime": self.runtime,
            "threads": self.threads,
            "templates": self.templates,
            "runs": self.runs,
            "milliseconds": {
                name: dict(zip(("median", "p10", "p90"), map(_rounded, times), strict=True))
                for name, times in self.stages.items()
            },
            "memory_mb": _rounded(self.memory_mb),
        }

    def as_text(self) -> str:
        """Return it for people."""
        lines = [
            f"{WIDTH}x{HEIGHT} with one face, {self.runtime}, {self.threads} threads, "
            f"{os.cpu_count()} cores, {self.templates} templates, {self.runs} runs; milliseconds:",
            f"  {'':10} {'median':>8} {'p10':>8} {'p90':>8}",
        ]
        lines += [
            f"  {name:10} {median:8.2f} {low:8.2f} {high:8.2f}"
            for name, (median, low, high) in self.stages.items()
        ]
        whole = self.stages["frame"][0]
        lines.append(
            f"  {1000 / whole:.1f} frames a second; resident memory {self.memory_mb:.0f} MB"
        )
        return "\n".join(lines)


def one_face(width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Return a frame with one face in it, uint8 (height, width, 3)."""
    path = shipped(_FACE)
    picture = decode(path.read_bytes(), str(path))
    scale = height / picture.shape[0]
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    side = width - picture.shape[1]
    return cv2.copyMakeBorder(  # type: ignore[return-value]
        picture, 0, 0, side // 2, side - side // 2, cv2.BORDER_REPLICATE
    )


def measure(settings: Settings, seconds: float, templates: int) -> BenchResult:
    """Measure.

    Args:
        seconds: for about how long.
        templates: in the gallery that is searched.

    Raises:
        LockdError: if the networks or the photograph cannot be had.
    """
    vision = Vision(settings)
    image = one_face()
    octaves = Octaves(image)
    faces = vision.detector.detect_in(octaves)
    if len(faces) != 1:
        raise ImageError(f"{_FACE}: {len(faces)} faces found in the benchmark's frame, expected 1")
    probe = vision.embedder.embed(octaves, faces[0])
    gallery = _crowd(templates, vision.embedder.size)
    numbers = iter(range(1, 1_000_000))

    def whole_frame() -> None:
        # A new watcher each time: one that has its verdict would skip the embedding.
        watcher = Recogniser(settings, vision, gallery)
        number = next(numbers)
        watcher.look(Frame(image, float(number), number))

    stages: dict[str, Callable[[], object]] = {
        "detect": lambda: vision.detector.detect(image),
        "embed": lambda: vision.embedder.embed(Octaves(image), faces[0]),
        "identify": lambda: gallery.identify(probe, accept=0.7, margin=0.05),
        "frame": whole_frame,
    }
    times = _in_turns(stages, seconds)
    return BenchResult(
        runtime=vision.models.runtime_name,
        threads=settings.recognition.threads,
        templates=templates,
        runs=len(times["frame"]),
        stages={name: _summary(taken) for name, taken in times.items()},
        memory_mb=_resident_mb(),
    )


def _in_turns(stages: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    for stage in stages.values():
        stage()
    times: dict[str, list[float]] = {name: [] for name in stages}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, stage in stages.items():
            start = time.perf_counter()
            stage()
            times[name].append((time.perf_counter() - start) * 1000)
    return times


def _crowd(templates: int, size: int) -> Gallery:
    """A gallery of people who do not exist."""
    vectors = np.random.default_rng(1).standard_normal((templates, size), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = [number // _TEMPLATES_EACH for number in range(templates)]
    return Gallery(
        (
            Template(Person(f"{number:07}", f"Person {number}"), vector)
            for number, vector in zip(numbers, vectors, strict=True)
        ),
        size,
    )


def _summary(times: list[float]) -> tuple[float, float, float]:
    median, low, high = np.percentile(times, (50, 10, 90))
    return float(median), float(low), float(high)


def _resident_mb() -> float:
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _rounded(value: float) -> float:
    return round(value, 3)


@click.command("bench")
@config_option
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True)
@click.option(
    "--templates",
    type=click.IntRange(1, 2_000_000),
    default=1000,
    show_default=True,
    help="How many the gallery has.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reported
def bench(config_file: Path | None, seconds: float, templates: int, as_json: bool) -> None:
    """Measure on this machine what one frame costs, stage by stage."""
    result = measure(settings_of(config_file), seconds, templates)
    click.echo(json.dumps(result.as_dict()) if as_json else result.as_text())
