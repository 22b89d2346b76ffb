"""Templates of very many people in a quarter of the memory, with the answers of all of it.

Each number of a template is kept as one of 256 levels instead of four bytes, and the processor
compares sixteen or more of them at once. What that leaves uncertain is bounded: of a template x and
its levels x' the distance |x - x'| is known, at most r over all of them, and the probe's own, q.
By the triangle inequality |x - p| is then within r + q of |x' - p'|, and by Cauchy's and Schwarz's
x.p is within r|p| of x'.p.

    1  the templates whose levels are nearest to the probe's are found; of all others the similarity
       is at most (N^2 + |p|^2 - (d - r - q)^2) / 2, d being the distance of the last of those that
       were found, and N the greatest norm of a template
    2  of those found x'.p is computed: whose x'.p + r|p| is less than the second person's
       x'.p - r|p| can be neither the nearest person nor the second
    3  the similarity of those who are left is computed from the templates themselves

If the bound of 1 is not less than the second person's in 2, more are looked for. So nearest person
and runner-up, all that an answer depends on, are those of a search through everything. The
templates themselves stay where they are sealed, and are asked for by the person, a few at a time.
Where they cannot be had the nearest counts for as little, and the others for as much, as can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lockd.types import Embedding, Floats, Person

LARGE = 10_000
"""Templates, from which on a gallery is kept so."""
SURELY_NOT = np.float32(-2.0)
"""A similarity that nobody has: of who is certainly not among the nearest two."""
FIRST_LOOK, _MORE = 64, 8
_SLACK = 1e-5  # for what single precision rounds
_CHUNK = 4096

Exact: TypeAlias = Callable[[str, Sequence[int], int], "Floats | None"]
"""Returns templates of somebody, float32 (n, size), None if they cannot be had: by their id, which
of their templates are asked for, and of how many. If they have not as many any more it is all of
them, or none of somebody who is not to be known."""
Levels: TypeAlias = "NDArray[np.uint8]"


@dataclass(frozen=True, slots=True)
class Scale:
    """What a level stands for.

    Attributes:
        step: between two levels.
    """

    step: float

    @classmethod
    def of(cls, sample: Floats) -> Scale:
        """Return one for which few numbers of templates such as these are too large."""
        greatest = float(np.abs(sample).max()) if sample.size else 0.0
        return cls(max(greatest * 1.1, 1e-3) / 127.0)

    def levels(self, numbers: Floats) -> Levels:
        """Return the levels nearest to some numbers."""
        levels = np.rint(numbers / np.float32(self.step)) + 128.0
        clipped: Levels = np.clip(levels, 0, 255).astype(np.uint8)
        return clipped

    def numbers(self, levels: Levels) -> Floats:
        """Return what levels stand for."""
        numbers: Floats = (levels.astype(np.float32) - np.float32(128.0)) * np.float32(self.step)
        return numbers


class LevelsOf:
    """Levels of templates that come a few at a time, and how far they are from them at most.

    Attributes:
        levels: uint8 (templates, size).
        scale: theirs, by the first that came.
        error: r, the greatest distance of a template from its levels.
        norm: N, the greatest norm of a template.
    """

    def __init__(self, count: int, size: int) -> None:
        self.levels: Levels = np.full((count, size), 128, np.uint8)
        self.scale = Scale(1.0)
        self.error = self.norm = 0.0
        self._begun = False

    def put(self, places: NDArray[np.intp], templates: Floats, error: float = 0.0) -> None:
        """Keep the levels of some templates, which may err by so much, in these rows."""
        if not self._begun:
            self.scale, self._begun = Scale.of(templates), True
        levels = self.scale.levels(templates)
        self.levels[places] = levels
        off = np.linalg.norm(templates - self.scale.numbers(levels), axis=1)
        self.error = max(self.error, float(off.max(initial=0.0)) + error)
        norms = np.linalg.norm(templates, axis=1)
        self.norm = max(self.norm, float(norms.max(initial=0.0)) + error)

    def holding(self, levels: Levels) -> LevelsOf:
        """Return the same with other levels, of some of the same templates."""
        other = LevelsOf(0, levels.shape[1])
        other.levels, other.scale, other._begun = levels, self.scale, self._begun
        other.error, other.norm = self.error, self.norm
        return other


@dataclass(frozen=True, slots=True, eq=False)
class LargeFaces:
    """As `gallery.Faces`, but with levels for the templates.

    Attributes:
        people: who, each with one template at least.
        starts: row of each person's first template.
        kept: levels of the templates.
        exact: asks for the templates themselves.
    """

    people: Sequence[Person]
    starts: NDArray[np.intp]
    kept: LevelsOf
    exact: Exact
    norms: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many templates there are."""
        return len(self.kept.levels)

    @property
    def size(self) -> int:
        """How many numbers each has."""
        return int(self.kept.levels.shape[1])

    def lengths(self) -> NDArray[np.intp]:
        """Return how many templates each of the people has."""
        return np.diff(self.starts, append=len(self))

    def only(self, present: NDArray[np.bool_]) -> LargeFaces:
        """Return the templates of those people of whom it is true."""
        lengths = self.lengths()[present]
        people = [one for one, there in zip(self.people, present, strict=True) if there]
        starts = (np.cumsum(lengths) - lengths).astype(np.intp)
        return self._with(people, starts, self.kept.levels[np.repeat(present, self.lengths())])

    def joined(
        self,
        people: Sequence[Person],
        starts: NDArray[np.intp],
        more: Floats,
        error: float = 0.0,
    ) -> LargeFaces:
        """Return these and others; nobody may be in both.

        Args:
            more: the others' templates, float32 (n, size).
            error: how far these may be from what they stand for.
        """
        both = self._with(
            [*self.people, *people],
            np.concatenate([self.starts, starts + len(self)]),
            np.concatenate([self.kept.levels, np.zeros(more.shape, np.uint8)]),
        )
        both.kept.put(np.arange(len(self), len(both)), more, error)
        return both

    def numbers(self) -> Floats:
        """Return what the levels stand for, within the error of the templates."""
        return self.kept.scale.numbers(self.kept.levels)

    def _with(
        self, people: Sequence[Person], starts: NDArray[np.intp], levels: Levels
    ) -> LargeFaces:
        return LargeFaces(people, starts, self.kept.holding(levels), self.exact)

    # Searching

    def similarities(self, probe: Embedding, present: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return the least and the greatest that the similarity to each of the people can be.

        They are one for the nearest two, `SURELY_NOT` for whoever is certainly neither of these,
        and NaN, which names nobody, for whoever is not to be known any more.

        Args:
            probe: float32 (size,).
            present: of each of the people, whether they count.
        """
        low: Floats = np.full(len(self.people), SURELY_NOT, np.float32)
        high = low.copy()
        norm = float(np.linalg.norm(probe))
        if not math.isfinite(norm):
            low.fill(math.nan)
            return low, low
        slack = np.float32(self.kept.error * norm + _SLACK)
        for place, theirs in self._contenders(probe, norm, present).items():
            own = self._exact(place, list(theirs))
            if own is None:
                about = max(theirs.values())
                low[place], high[place] = about - slack, about + slack
            else:
                low[place] = high[place] = (own @ probe).max() if len(own) else math.nan
        return low, high

    def _exact(self, place: int, which: Sequence[int]) -> Floats | None:
        """Some templates of one of the people, by their rows."""
        start = int(self.starts[place])
        end = int(self.starts[place + 1]) if place + 1 < len(self.starts) else len(self)
        return self.exact(self.people[place].id, [row - start for row in which], end - start)

    def _contenders(
        self, probe: Floats, norm: float, present: NDArray[np.bool_]
    ) -> dict[int, dict[int, np.float32]]:
        """Who may be the nearest or the second: of each which rows, and how near about."""
        wanted = FIRST_LOOK
        while True:
            wanted = min(wanted, len(self))
            rows, bound = self._nearest(probe, norm, wanted, self.kept.norm)
            owners = np.searchsorted(self.starts, rows, side="right") - 1
            there = present[owners]
            rows, owners = rows[there], owners[there]
            about = self._about(rows, probe)
            best = np.full(len(self.people), -np.inf, np.float32)
            np.maximum.at(best, owners, about)
            slack = self.kept.error * norm + _SLACK
            second = float(np.partition(best, -2)[-2]) - slack if len(best) > 1 else -math.inf
            if wanted == len(self) or bound < second:
                found: dict[int, dict[int, np.float32]] = {}
                for at in np.flatnonzero(about + np.float32(slack) >= second).tolist():
                    found.setdefault(int(owners[at]), {})[int(rows[at])] = about[at]
                return found
            wanted *= _MORE

    def _nearest(
        self, probe: Floats, norm: float, wanted: int, greatest: float
    ) -> tuple[NDArray[np.intp], float]:
        """The rows whose levels are nearest to a probe's, and the most that all others can be.

        Args:
            greatest: norm of as much of a template as is compared.
        """
        import cv2  # noqa: PLC0415  # whoever only lists people waits for no OpenCV

        if wanted == len(self):
            return np.arange(wanted), -math.inf
        kept, scale = self.kept, self.kept.scale
        levels = scale.levels(probe[None])
        own = float(np.linalg.norm(probe - scale.numbers(levels)[0]))
        squares, rows = cv2.batchDistance(
            levels, kept.levels[:, : len(probe)], cv2.CV_32S, normType=cv2.NORM_L2SQR, K=wanted
        )
        far = max(0.0, scale.step * math.sqrt(float(squares[0, -1])) - kept.error - own - _SLACK)
        return rows[0].astype(np.intp), (greatest**2 + norm**2 - far**2) / 2 + _SLACK

    def _about(self, rows: NDArray[np.intp], probe: Floats) -> Floats:
        """What the levels of some rows stand for, times the first numbers of a probe."""
        kept, size = self.kept, len(probe)
        pieces = [
            kept.scale.numbers(kept.levels[rows[start : start + _CHUNK], :size]) @ probe
            for start in range(0, len(rows), _CHUNK)
        ]
        return np.concatenate(pieces) if pieces else np.empty(0, np.float32)

    def by_head(self, head: Floats, present: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return what can be said of each of the people by a probe's first numbers.

        Returns:
            The greatest similarity that they can have, and the greatest of the first numbers: of
            the nearest as it is, of others `SURELY_NOT`.
        """
        known, norm = len(head), float(np.linalg.norm(head))
        first_norm, rest_norm = self._norms(known)
        rest = rest_norm * math.sqrt(max(0.0, 1.0 - norm**2))
        rows, bound = self._nearest(head, norm, min(FIRST_LOOK, len(self)), first_norm)
        bounds = np.full(len(self.people), np.float32(bound + rest), np.float32)
        alone: Floats = np.full(len(self.people), SURELY_NOT, np.float32)
        owners = np.searchsorted(self.starts, rows, side="right") - 1
        about = self._about(rows, head)
        slack = self.kept.error * norm + _SLACK
        # Rows of theirs that were not found are below the bound of all others.
        np.maximum.at(bounds, owners, (about + np.float32(slack + rest)).astype(np.float32))
        first = int(owners[int(np.argmax(about))]) if len(rows) else 0
        near = rows[owners == first].tolist()
        own = self._exact(first, near) if near and present[first] else None
        if own is not None and len(own):
            heads = own[:, :known]
            length = np.maximum(np.linalg.norm(heads, axis=1) * np.float32(norm), np.float32(1e-6))
            alone[first] = ((heads @ head) / length).max()
        return bounds, alone

    def _norms(self, known: int) -> tuple[float, float]:
        """The greatest norms of the first numbers of a template, and of the others."""
        if known not in self.norms:
            kept, first, rest = self.kept, 0.0, 0.0
            for start in range(0, len(self), _CHUNK):
                numbers = kept.scale.numbers(kept.levels[start : start + _CHUNK])
                heads, tails = numbers[:, :known], numbers[:, known:]
                first = max(first, float(np.linalg.norm(heads, axis=1).max(initial=0.0)))
                rest = max(rest, float(np.linalg.norm(tails, axis=1).max(initial=0.0)))
            self.norms[known] = first + kept.error, rest + kept.error
        return self.norms[known]
