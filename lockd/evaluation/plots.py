"""Curves and histograms as pictures. The only place that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lockd.errors import ImageError, LockdError
from lockd.evaluation.intervals import Rate
from lockd.evaluation.metrics import BINS, Doubles, Ints
from lockd.files import acting_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")

_SHOWN_BINS = 200


def check() -> None:
    """Raise LockdError if matplotlib is not installed."""
    _figure(1)


def error_rates(
    path: Path,
    curves: Mapping[str, Doubles],
    names: tuple[str, str],
    histograms: tuple[Ints, Ints],
    kinds: tuple[str, str],
    accept: float,
) -> None:
    """Draw a detection error trade-off curve and the similarities behind it.

    Args:
        curves: by name; float64 (n, 3), threshold and two error rates.
        names: of the two rates, the one that a lower threshold raises first.
        histograms: int64 (`BINS`,), of those to accept and those to refuse.
        kinds: what these two are.
        accept: the door's threshold, marked.

    Raises:
        LockdError: if matplotlib is missing or the file cannot be written.
    """
    figure, (left, right) = _figure(2)
    _draw_curves(left, curves)
    left.set(xlabel=names[0], ylabel=names[1])
    left.set_title("Detection error trade-off")
    left.grid(True, which="both", alpha=0.3)
    left.legend()
    _draw_histograms(right, histograms, kinds, accept)
    _save(figure, path)


def presentation(path: Path, curves: Mapping[str, Doubles]) -> None:
    """Draw a detection error trade-off curve for each type of attack.

    Args:
        curves: by type; float64 (n, 3), threshold, APCER and BPCER.

    Raises:
        LockdError: if matplotlib is missing or the file cannot be written.
    """
    figure, (axes,) = _figure(1)
    axes.set(xscale="log", yscale="log", xlim=(1e-3, 1.3), ylim=(1e-3, 1.3))
    for name, curve in curves.items():
        drawn = np.maximum(curve[:, 1:], 1e-3)
        axes.step(drawn[:, 0], drawn[:, 1], where="post", label=name)
    axes.set(xlabel="APCER", ylabel="BPCER")
    axes.set_title("Detection error trade-off of presentation attacks")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    _save(figure, path)


def by_people(path: Path, people: Sequence[int], top1: Mapping[str, Sequence[Rate]]) -> None:
    """Draw how often the right person is named first, by the number of people enrolled.

    Args:
        people: how many were enrolled.
        top1: for each rule, one rate for each number of people.

    Raises:
        LockdError: if matplotlib is missing or the file cannot be written.
    """
    figure, (axes,) = _figure(1)
    for name, rates in top1.items():
        values = np.array([one.value for one in rates])
        spread = np.array([(one.value - one.low, one.high - one.value) for one in rates]).T
        axes.errorbar(people, values, yerr=spread, label=name, marker="o", capsize=3)
    axes.set(xlabel="people enrolled", ylabel="named rightly (top-1)")
    axes.set_title("Closed-set identification")
    axes.grid(True, alpha=0.3)
    axes.legend()
    _save(figure, path)


def _draw_curves(axes: Axes, curves: Mapping[str, Doubles]) -> None:
    axes.set(xscale="log", yscale="log", xlim=(1e-6, 1.3), ylim=(1e-4, 1.3))
    for place, (name, curve) in enumerate(curves.items()):
        # A rate of zero has no place on a logarithmic axis: it lies on the edge.
        drawn = np.maximum(curve[:, 1:], (1e-6, 1e-4))
        # The first, the door's, is wide: another may run exactly along it.
        width = 1.2 if place else 4.0
        axes.step(drawn[:, 0], drawn[:, 1], where="post", label=name, linewidth=width)


def _draw_histograms(
    axes: Axes, histograms: tuple[Ints, Ints], kinds: tuple[str, str], accept: float
) -> None:
    edges = np.linspace(-1.0, 1.0, _SHOWN_BINS + 1)
    for histogram, kind in zip(histograms, kinds, strict=True):
        counts = histogram.reshape(_SHOWN_BINS, BINS // _SHOWN_BINS).sum(axis=1)
        axes.stairs(counts / max(1, int(counts.sum())), edges, label=kind, fill=True, alpha=0.5)
    axes.axvline(accept, color="black", linestyle="--", label=f"accept {accept:.3f}")
    used = edges[:-1][sum(one.reshape(_SHOWN_BINS, -1).sum(axis=1) for one in histograms) > 0]
    axes.set(xlim=(used.min() - 0.05, used.max() + 0.06))
    axes.set(yscale="log", xlabel="similarity", ylabel="part of them")
    axes.set_title("Similarities")
    axes.legend()


def _figure(count: int) -> tuple[Figure, Sequence[Axes]]:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise LockdError(
            "matplotlib is not installed; run `pip install 'lockd[evaluate]'`"
        ) from error
    # Without pyplot there is no window system to choose: files are drawn by Agg.
    figure = Figure(figsize=(6.0 * count, 4.5), layout="constrained")
    return figure, [figure.add_subplot(1, count, place) for place in range(1, count + 1)]


def _save(figure: Figure, path: Path) -> None:
    try:
        with acting_for(path):
            figure.savefig(path, dpi=120)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from error
