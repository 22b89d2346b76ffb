"""Every photograph against every other, in bounded memory. Pure: numpy only.

LFW's 13,000 photographs make 85 million pairs. They are compared block by block; of the
impostors each block adds to a histogram, and only the greatest are kept one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockd.evaluation.metrics import BINS, Flags, Ints, Scores, Units, histogram_of
from lockd.types import Floats

BLOCK = 1024  # photographs on a side: a block of similarities takes 4 MB
_KEPT_PART = 0.02
KEPT_LEAST = 200_000


class Greatest:
    """The greatest of many similarities, with the units that each came from."""

    def __init__(self, capacity: int) -> None:
        """Keep so many."""
        self._capacity = capacity
        self._similarities: list[Floats] = []
        self._units: list[Units] = []
        self._held = 0
        self._floor = np.float32(-np.inf)

    def add(self, block: Floats, rows: Units, columns: Units, wanted: Flags | None = None) -> None:
        """Take the greatest of a block.

        Args:
            block: float32 (n, m), similarities.
            rows: int32 (n,), the unit of each row.
            columns: int32 (m,), the unit of each column.
            wanted: bool (n, m), which of them count; all if it is not given.
        """
        great = block >= self._floor
        if wanted is not None:
            great &= wanted
        first, second = np.divmod(np.flatnonzero(great), block.shape[1])
        self.add_all(block[first, second], np.stack([rows[first], columns[second]], axis=1))

    def add_all(self, similarities: Floats, units: Units) -> None:
        """Take the greatest of a list.

        Args:
            similarities: float32 (n,).
            units: int32 (n, 2), the two units of each.
        """
        self._similarities.append(similarities)
        self._units.append(units)
        self._held += len(similarities)
        if self._held > 2 * self._capacity:
            self._prune()

    def sorted(self) -> tuple[Floats, Units]:
        """Return float32 (k,), rising, and int32 (k, 2)."""
        similarities, units = self._joined()
        order = np.argsort(similarities)[max(0, len(similarities) - self._capacity) :]
        return similarities[order], units[order]

    def _prune(self) -> None:
        similarities, units = self._joined()
        kept = np.argpartition(similarities, -self._capacity)[-self._capacity :]
        self._similarities, self._units = [similarities[kept]], [units[kept]]
        self._floor = self._similarities[0].min()
        self._held = len(kept)

    def _joined(self) -> tuple[Floats, Units]:
        if not self._similarities:
            return np.empty(0, np.float32), np.empty((0, 2), np.int32)
        return np.concatenate(self._similarities), np.concatenate(self._units)


@dataclass(frozen=True, eq=False)
class AllPairs:
    """Every pair of photographs.

    Attributes:
        scores: with people for units.
        folds: int64 (f, f, `BINS`), symmetric: the impostors between two folds' people.
    """

    scores: Scores
    folds: Ints


def all_pairs(
    embeddings: Floats,
    owner: Units,
    fold: Units,
    templates: Floats | None = None,
) -> AllPairs:
    """Compare every photograph with every other.

    Args:
        embeddings: float32 (n, size), norm 1.
        owner: int32 (n,), the person on each.
        fold: int32 (people,), the fold of each person.
        templates: float32 (n, size), what each is compared as once it is enrolled, as the first
            of a pair is; `embeddings` if that is the same.
    """
    order = np.lexsort((owner, fold[owner]))
    templates = (embeddings if templates is None else templates)[order]
    embeddings, owner = embeddings[order], owner[order]
    photographs = np.bincount(owner, minlength=len(fold)).astype(np.int64)
    impostors = _impostors(photographs)
    greatest = Greatest(max(KEPT_LEAST, int(_KEPT_PART * impostors)))
    folds = np.zeros((int(fold.max()) + 1,) * 2 + (BINS,), np.int64)
    for rows, columns in _blocks(fold[owner]):
        similarities = templates[rows] @ embeddings[columns].T
        wanted = _impostors_in(owner, rows, columns)
        places = fold[owner[rows.start]], fold[owner[columns.start]]
        folds[places] += histogram_of(similarities if wanted is None else similarities[wanted])
        greatest.add(similarities, owner[rows], owner[columns], wanted)
    genuine, of = _genuine(templates, embeddings, owner, photographs)
    tail, units = greatest.sorted()
    total = folds.sum(axis=(0, 1))
    complete = len(tail) == impostors
    return AllPairs(
        Scores(
            genuine,
            of,
            tail,
            units,
            impostors,
            None if complete else total,
            None if complete else photographs,
        ),
        folds + np.where(np.eye(len(folds), dtype=bool)[..., None], 0, folds.swapaxes(0, 1)),
    )


def _blocks(fold: Units) -> Iterator[tuple[slice, slice]]:
    """Blocks that cover the upper triangle, each within one pair of folds."""
    starts = [0, *(np.flatnonzero(np.diff(fold)) + 1), len(fold)]
    parts = [
        slice(int(low), int(min(low + BLOCK, high)))
        for start, high in itertools.pairwise(starts)
        for low in range(int(start), int(high), BLOCK)
    ]
    for index, rows in enumerate(parts):
        for columns in parts[index:]:
            yield rows, columns


def _impostors_in(owner: Units, rows: slice, columns: slice) -> Flags | None:
    """Which pairs of a block are of two people and not in another block; None for all."""
    if owner[rows].max() < owner[columns].min() or owner[rows].min() > owner[columns].max():
        return None
    wanted: Flags = owner[rows][:, None] != owner[columns][None, :]
    return np.triu(wanted) if rows == columns else wanted


def _impostors(photographs: Ints) -> int:
    return int((photographs.sum() ** 2 - (photographs**2).sum()) // 2)


def _genuine(
    templates: Floats, embeddings: Floats, owner: Units, photographs: Ints
) -> tuple[Floats, Units]:
    """The similarities within each person, rising, and whose they are."""
    values: list[Floats] = [np.empty(0, np.float32)]
    whose: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    for person in np.flatnonzero(photographs > 1):
        own = owner == person
        alike = templates[own] @ embeddings[own].T
        values.append(alike[np.triu_indices(len(alike), 1)])
        whose.append(np.full(len(values[-1]), person, np.int32))
    similarities, units = np.concatenate(values), np.concatenate(whose)
    order = np.argsort(similarities)
    units = units[order]
    return similarities[order], np.stack([units, np.full_like(units, -1)], axis=1)


def fold_of_people(photographs: Ints, folds: int, seed: int) -> Units:
    """Deal people out to folds, at random but with like numbers of photographs.

    Args:
        photographs: int64 (people,).
        folds: how many; no more than there are people.
        seed: the same seed deals alike.

    Returns:
        int32 (people,).
    """
    shuffled = np.random.default_rng(seed).permutation(len(photographs))
    by_size = shuffled[np.argsort(-photographs[shuffled], kind="stable")]
    fold = np.empty(len(photographs), np.int32)
    turn = np.arange(len(photographs)) % (2 * folds)  # forth and back, lest the first get most
    fold[by_size] = np.minimum(turn, 2 * folds - 1 - turn)
    return fold


def similarities_of(first: Floats, second: Floats) -> Floats:
    """Return the cosine of each pair of rows of unit vectors; float32 (n,)."""
    similarities: Floats = np.einsum("ij,ij->i", first, second)
    return similarities
