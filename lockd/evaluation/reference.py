"""The thresholds that the shipped networks were measured at, for few photographs of one's own.

``models/manifest.json`` may hold them as ``operating_points``: for every profile, the
threshold by false match rate. The model card says on how many comparisons they rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def operating_points(manifest: Mapping[str, Any], profile: str) -> dict[float, float]:
    """Return the threshold by false match rate; empty if the manifest has none."""
    points = manifest.get("operating_points", {}).get(profile, {})
    return {float(fmr): float(threshold) for fmr, threshold in points.items()}


def threshold(points: Mapping[float, float], fmr: float) -> tuple[float, bool] | None:
    """Return the threshold of a false match rate, and whether it lies beyond the table.

    Between entries, and beyond the smallest rate, thresholds are taken to rise evenly
    with the logarithm of the rate: the tail of impostors falls about so. Above the
    greatest rate its threshold stands, which is the stricter.

    Args:
        points: threshold by false match rate.
        fmr: more than 0.

    Returns:
        None if the table has fewer than two entries.
    """
    if len(points) < 2:
        return None
    rates = sorted(points)
    logs, thresholds = [math.log10(rate) for rate in rates], [points[rate] for rate in rates]
    wanted = math.log10(fmr)
    if wanted >= logs[0]:
        return float(np.interp(wanted, logs, thresholds)), False
    slope = (thresholds[0] - thresholds[1]) / (logs[1] - logs[0])
    return thresholds[0] + slope * (logs[0] - wanted), True
