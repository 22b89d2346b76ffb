"""Who a face is, by no more networks than it takes.

Most faces are nobody's: the first network alone shows that no answer of the others could make
them somebody's. Who they are *not* is decided exactly as by all networks, by a bound; who somebody
is, never without all of them. Only where somebody was recognised already, and the first network
alone goes on knowing them, are the others not asked once more: that decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lockd.identity.gallery import Gallery, could_reach
from lockd.types import Embedding, Floats, Match, Person
from lockd.vision.embedder import Embedder, Probe


@dataclass(frozen=True, slots=True)
class NamingRule:
    """When a face is somebody's.

    Attributes:
        accept: least similarity of a match.
        margin: how much nearer than the second-nearest person they must be.
        alone: least similarity, by the first network alone, of two faces of one person.
    """

    accept: float
    margin: float
    alone: float

    @classmethod
    def of(cls, embedder: Embedder, accept: float, margin: float) -> NamingRule:
        """Return the rule for a composition of networks.

        Args:
            accept: least similarity of a match.
            margin: as above.
        """
        return cls(accept, margin, embedder.accept_first if embedder.staged else accept)


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Who a face is.

    Attributes:
        match: what the gallery says of it.
        whole: its embedding, norm 1; None where not all networks were asked.
        first: what the first network alone says of it, norm 1.
        followed: whether it was only seen that it is still who was recognised before.
    """

    match: Match
    whole: Embedding | None
    first: Embedding
    followed: bool = False


def name(
    probe: Probe,
    gallery: Gallery,
    rule: NamingRule,
    *,
    settled: Person | None = None,
    known: Embedding | None = None,
) -> Named:
    """Say who a face is.

    Args:
        probe: of the face.
        gallery: who is enrolled.
        rule: when it is somebody's.
        settled: who was recognised in this place, if all that matters is whether it is they.
        known: their face, norm 1, if anybody was: a face that may be as much as `accept` like it
            is embedded whole.
    """
    first = _unit(probe.head)
    if settled is not None and not probe.complete:
        match = gallery.still(settled, probe.head, alone=rule.alone, accept=rule.accept)
        if match is not None:
            return Named(match, None, first, followed=True)
    needed = known is not None and could_reach(known, probe.head, rule.accept)
    if not (needed or probe.complete):
        match = gallery.screen(probe.head, accept=rule.accept)
        if match is not None:
            return Named(match, None, first)
    whole = probe.whole()
    match = gallery.identify(whole, accept=rule.accept, margin=rule.margin)
    return Named(match, whole, first)


def _unit(head: Floats) -> Embedding:
    unit: Embedding = head / np.float32(np.linalg.norm(head))
    return unit
