"""Which of a person's templates to keep when there are too many: the most varied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lockd.types import Embedding

MAX_TEMPLATES = 20
"""The most templates a person has of one composition of networks."""


def most_varied(embeddings: Sequence[Embedding], keep: int) -> list[int]:
    """Choose the embeddings that show most of how somebody can look.

    Farthest-first traversal (Gonzalez 1985): the most typical first, then again and again
    the one that is least like all chosen so far. None left out is further from its nearest
    one chosen than twice the least possible.

    Args:
        embeddings: float32 unit vectors of one length, all of one person.
        keep: how many at most.

    Returns:
        The places of those chosen, rising; all of them if there are no more than `keep`.
        Of equal ones the first counts.
    """
    if len(embeddings) <= keep:
        return list(range(len(embeddings)))
    if keep < 1:
        return []
    vectors = np.stack(embeddings)
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    likeness = vectors @ vectors[chosen[0]]
    while len(chosen) < keep:
        likeness[chosen] = np.inf
        chosen.append(int(np.argmin(likeness)))
        likeness = np.maximum(likeness, vectors @ vectors[chosen[-1]])
    return sorted(chosen)
