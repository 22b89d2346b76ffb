"""How well embeddings tell people apart, in a line: all pairs of photographs, counted."""

from collections.abc import Sequence

import numpy as np

from lockd.evaluation.metrics import Curve, Scores

from .graphs import Array

FALSE_MATCH_RATES = (1e-2, 1e-3, 1e-4)


def told_apart(vectors: Array, people: Sequence[str]) -> str:
    """The true match rate at some false match rates.

    Args:
        vectors: (photographs, size), each of length one.
        people: Who is on each photograph.
    """
    owner = np.unique(np.asarray(people), return_inverse=True)[1].astype(np.int32)
    pairs = np.stack(np.triu_indices(len(owner), k=1), axis=1)
    cosines = (vectors @ vectors.T)[pairs[:, 0], pairs[:, 1]]
    units = owner[pairs]
    same = units[:, 0] == units[:, 1]
    curve = Curve(Scores.of(cosines[same], units[same], cosines[~same], units[~same]))
    thresholds = [(fmr, curve.threshold(fmr)) for fmr in FALSE_MATCH_RATES]
    return ", ".join(
        f"TMR {curve.tar(threshold):.2%} at FMR {fmr:.0e} (cosine {threshold:.3f})"
        for fmr, threshold in thresholds
    )
