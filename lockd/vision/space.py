"""Where faces are compared, and which of the templates kept can be brought there. Pure.

A template is kept as each network gave it, the networks side by side, so that it serves
whichever of them a door compares by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lockd.types import Embedding, Floats


@dataclass(frozen=True, eq=False)
class Piece:
    """One network's share in what is compared.

    Attributes:
        size: how many numbers it has.
        scale: root of its weight; the squares of all pieces' sum to 1.
        centre: float32 (n,), what all faces have in common, which is taken away; or None.
    """

    size: int
    scale: float
    centre: Floats | None = None

    def weighed(self, answers: Floats) -> Floats:
        """Return what is compared of a network's answers.

        Args:
            answers: float32 (..., n), of any norm but 0.

        Returns:
            float32 (..., n), of norm `scale`.
        """
        units = answers / np.linalg.norm(answers, axis=-1, keepdims=True)
        if self.centre is not None:
            units = units - self.centre
            units /= np.linalg.norm(units, axis=-1, keepdims=True)
        weighed: Floats = (units * np.float32(self.scale)).astype(np.float32)
        return weighed


@dataclass(frozen=True, eq=False)
class Layout:
    """How one kind of template is made and kept.

    Attributes:
        made: how, in words.
        size: how many numbers it has.
        pieces: where each piece's numbers lie, in the order of comparing.
    """

    made: str
    size: int
    pieces: Sequence[slice]


@dataclass(frozen=True, eq=False)
class Space:
    """Where a composition of networks compares faces.

    Attributes:
        size: how many numbers an embedding has there.
        pieces: of which it consists, one after the other; none if templates are compared as
            they are kept.
        layouts: of the templates that can be brought there, by model; the first is the one
            in which templates are made now.
    """

    size: int
    pieces: Sequence[Piece] = ()
    layouts: Mapping[str, Layout] = field(default_factory=dict)

    @classmethod
    def plain(cls, model: str, size: int) -> Space:
        """Return the space of templates that are compared as they are kept."""
        layout = Layout("", size, [slice(0, size)])
        return cls(size, (), {model: layout})

    @property
    def model(self) -> str:
        """Of the templates that are made now."""
        return next(iter(self.layouts))

    @property
    def first(self) -> Layout:
        """The layout of the templates that are made now."""
        return self.layouts[self.model]

    def brought(self, model: str, kept: Embedding) -> Embedding | None:
        """Return a template as it is compared; None if it cannot be.

        Args:
            model: of the template.
            kept: float32, as the store has it.

        Returns:
            float32 (size,), norm 1.
        """
        layout = self.layouts.get(model)
        if layout is None or kept.shape != (layout.size,):
            return None
        found = self.all_brought(model, kept)
        return found if np.isfinite(found).all() else None

    def all_brought(self, model: str, kept: Floats) -> Floats:
        """Return templates of one kind as they are compared.

        Args:
            model: one of `layouts`.
            kept: float32 (..., n), n being that layout's size.

        Returns:
            float32 (..., size), norm 1; with something not finite in what cannot be compared.
        """
        layout = self.layouts[model]
        if not self.pieces:
            return kept
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = [
                piece.weighed(kept[..., place])
                for piece, place in zip(self.pieces, layout.pieces, strict=True)
            ]
        return np.concatenate(shares, axis=-1)
