"""Templates whose likeness is an angle."""

from __future__ import annotations

import numpy as np

from lockd.types import Floats


def at(*degrees: float, size: int = 8) -> Floats:
    """Pictures in one plane: their similarity is the cosine of the angle between them."""
    angles = np.radians(degrees)
    pictures = np.zeros((len(degrees), size), np.float32)
    pictures[:, 0], pictures[:, 1] = np.cos(angles), np.sin(angles)
    return pictures
