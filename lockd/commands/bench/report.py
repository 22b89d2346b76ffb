"""What was measured, for people, for machines, as a plot, and beside another run."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import click
import numpy as np

from lockd import __version__
from lockd.adapters.machine import temperature_c
from lockd.commands.bench.stages import Measured, Times
from lockd.config import Settings
from lockd.recognition.recogniser import Vision

SCHEMA = 1
_PARTS = {
    "stages": "a frame with one face, searched and judged",
    "frames": "whole frames",
    "detection": "the detector, and its networks alone on the same inputs",
}


def as_dict(
    measured: Measured, vision: Vision, settings: Settings, templates: int
) -> dict[str, Any]:
    """Return what was measured, for machines; milliseconds and MB."""
    walk = measured.walk_up
    return {
        "schema": SCHEMA,
        "machine": machine(),
        "version": __version__,
        "runtime": vision.models.runtime_name,
        "profile": settings.recognition.profile,
        "threads": settings.recognition.threads,
        "templates": templates,
        "runs": len(next(iter(measured.stages.values()))),
        **{name: _summaries(getattr(measured, name)) for name in _PARTS},
        "overhead": _overhead(measured.detection),
        "walk_up": None
        if walk is None
        else {"judged": walk[0], "clip_ms": _ms(walk[1]), "last_look_ms": _ms(walk[2])},
        "ready_ms": _ms(measured.start_s),
        "memory_mb": measured.memory_mb,
        "temperature_after_c": temperature_c(),
    }


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides lockd."""
    board = _first("/proc/device-tree/model") or _cpu() or platform.machine()
    return {
        "board": board.strip("\0 \n"),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "governor": _first("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "temperature_c": temperature_c(),
    }


def as_text(run: Mapping[str, Any], *, limit: bool = False) -> str:
    """Return a run for people.

    Args:
        limit: whether to say what the detector costs beyond its networks.
    """
    about = run["machine"]
    lines = [
        f"lockd {run['version']}, {about['board']}, {about['cores']} cores, {about['kernel']}, "
        f"Python {about['python']}",
        f"{run['runtime']}, {run['profile']}, {run['threads']} threads, "
        f"{run['templates']} templates, {run['runs']} runs; "
        f"governor {about['governor'] or 'unknown'}, "
        f"{_degrees(about['temperature_c'])} before, {_degrees(run['temperature_after_c'])} after",
    ]
    parts = _PARTS if limit else {name: _PARTS[name] for name in ("stages", "frames")}
    for part, title in parts.items():
        lines += [
            "",
            f"{title + '; milliseconds':54} {'p50':>8} {'p95':>8} {'p99':>8} {'processor':>9}",
        ]
        lines += [
            f"  {name:52} {one['p50']:8.2f} {one['p95']:8.2f} {one['p99']:8.2f} {one['cpu']:9.2f}"
            for name, one in run[part].items()
        ]
    if limit:
        lines += [
            f"  {name}: ours on top {share:.0%} of the processor's time"
            for name, share in run["overhead"].items()
        ]
    lines += ["", _walked(run["walk_up"]), _viewed(run["stages"], run["frames"])]
    whole = run["frames"]["one face"]["p50"]
    lines.append(
        f"{1000 / whole:.1f} frames a second with a new face in each; networks ready in "
        f"{run['ready_ms']:.0f} ms; resident memory {run['memory_mb'] or math.nan:.0f} MB"
    )
    return "\n".join(lines)


def _walked(walk: Mapping[str, Any] | None) -> str:
    if walk is None:
        return "somebody walking up: not recognised"
    return (
        f"somebody walking up at 15 frames a second: recognised by {walk['judged']} judged frames, "
        f"{walk['clip_ms']:.0f} ms after the first that was fit, the last of them "
        f"{walk['last_look_ms']:.0f} ms of work"
    )


def _viewed(
    stages: Mapping[str, Mapping[str, float]], frames: Mapping[str, Mapping[str, float]]
) -> str:
    share = stages["noted for viewers"]["cpu"] / frames["known, followed"]["cpu"]
    return (
        f"the console's viewers, however many: {share:.1%} on top of a followed frame, and in "
        f"another thread {stages['a picture for viewers']['cpu']:.1f} ms for each picture"
    )


def compared(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return two runs beside each other, medians in milliseconds."""
    lines = []
    for word, run in (("first", first), ("second", second)):
        about = run["machine"]
        lines.append(
            f"{word}: lockd {run['version']}, {about['board']}, {run['runtime']}, {run['profile']}"
        )
    for part, title in _PARTS.items():
        lines += ["", f"{title:54} {'first':>8} {'second':>8} {'ratio':>7}"]
        for name in [one for one in first[part] if one in second[part]]:
            before, after = first[part][name]["p50"], second[part][name]["p50"]
            ratio = f"{after / before:7.2f}" if before > 0 else f"{'-':>7}"
            lines.append(f"  {name:52} {before:8.2f} {after:8.2f} {ratio}")
    return "\n".join(lines)


def load(path: Path) -> dict[str, Any]:
    """Read a run that `--json` printed.

    Raises:
        click.BadParameter: if it is none.
    """
    try:
        run = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise click.BadParameter(
            f"{path}: not JSON ({error}); save a run with `lockd bench --json`"
        ) from error
    found = run.get("schema") if isinstance(run, dict) else None
    if found != SCHEMA or not _PARTS.keys() <= run.keys():
        raise click.BadParameter(
            f"{path}: schema {found!r}, this lockd compares schema {SCHEMA}; measure again with it"
        )
    return dict(run)


def plot(run: Mapping[str, Any]) -> str:
    """Return the medians as bars: SVG."""
    rows = [(name, one["p50"], one["p95"]) for part in _PARTS for name, one in run[part].items()]
    return bars(rows, f"{run['machine']['board']}: median, and 95 of 100 runs (pale)")


def bars(rows: Sequence[tuple[str, float, float]], title: str) -> str:
    """Return bars: SVG.

    Args:
        rows: a name, milliseconds, and how far the pale bar behind goes, in milliseconds.
        title: what stands below.
    """
    longest = max(most for _, _, most in rows) or 1.0
    height = 24 * len(rows) + 40
    drawn = [_bar(18 + 24 * row, *one, 500 / longest) for row, one in enumerate(rows)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'{"".join(drawn)}<text x="200" y="{height - 10}">{escape(title)}</text></svg>\n'
    )


def _bar(y: int, name: str, median: float, most: float, px: float) -> str:
    bar = f'<rect x="200" y="{y}" height="16"'
    return (
        f'<text x="190" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
        f'{bar} width="{most * px:.1f}" fill="#cde"/>{bar} width="{median * px:.1f}" fill="#369"/>'
        f'<text x="710" y="{y + 12}">{median:.2f} ms</text>'
    )


def _summaries(times: Times) -> dict[str, dict[str, float]]:
    summaries = {}
    for name, taken in times.items():
        wall, cpu = np.array(taken).T * 1e3
        p50, p95, p99 = np.percentile(wall, (50, 95, 99)).tolist()
        summaries[name] = {
            "p50": round(p50, 3),
            "p95": round(p95, 3),
            "p99": round(p99, 3),
            "cpu": round(float(np.median(cpu)), 3),
        }
    return summaries


def _overhead(detection: Times) -> dict[str, float]:
    """What the detector takes of the processor beyond its networks, in parts of these.

    The tenth that was disturbed least: caches are shared with whatever else runs.
    """
    least = {
        name: np.percentile([cpu for _, cpu in taken], 10) for name, taken in detection.items()
    }
    scenes = dict.fromkeys(name.partition(":")[0] for name in least)
    return {
        scene: round(float(least[f"{scene}: detection"] / least[f"{scene}: its networks"]) - 1, 3)
        for scene in scenes
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)


def _degrees(value: float | None) -> str:
    return "unknown temperature" if value is None else f"{value:.0f} °C"


def _first(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None


def _cpu() -> str | None:
    names = [line for line in (_first("/proc/cpuinfo") or "").splitlines() if "model name" in line]
    return names[0].partition(":")[2].strip() if names else None
