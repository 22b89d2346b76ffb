"""Templates whose likeness is an angle."""

from __future__ import annotations

import math

import numpy as np

from lockd.types import Embedding, Floats
from lockd.vision.space import Piece, Space


def at(*degrees: float, size: int = 8) -> Floats:
    """Pictures in one plane: their similarity is the cosine of the angle between them."""
    angles = np.radians(degrees)
    pictures = np.zeros((len(degrees), size), np.float32)
    pictures[:, 0], pictures[:, 1] = np.cos(angles), np.sin(angles)
    return pictures


def kept(space: Space, compared: Floats) -> list[Embedding]:
    """Templates as they are kept that are compared as some vectors are.

    Args:
        space: of a composition in which new templates have no other networks' answers.
        compared: float32 (n, m), norm 1; each network sees the first of its numbers.
    """
    return [
        np.concatenate([_answer(piece, one[: piece.size]) for piece in space.pieces]).astype("f4")
        / np.float32(math.sqrt(len(space.pieces)))
        for one in compared
    ]


def _answer(piece: Piece, direction: Floats) -> Floats:
    """The unit vector that, less what all faces have in common, has a direction."""
    if piece.centre is None:
        return direction
    along = float(piece.centre @ direction)
    far = math.sqrt(along**2 + 1.0 - float(piece.centre @ piece.centre)) - along
    answer: Floats = piece.centre + np.float32(far) * direction
    return answer
