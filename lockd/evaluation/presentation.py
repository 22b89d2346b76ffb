"""How many attacks a door's policies let through, and how many of its people. Pure: numpy only.

The words are those of ISO/IEC 30107-3. An attack instrument's type is what somebody else's
picture was shown with.

    APCER   part of the attacks of one type that are taken for people; the worst type counts
    BPCER   part of people's visits that are taken for attacks
    ACER    the mean of the worst APCER and BPCER
    IAPMR   part of the attacks that a door which knows the person opens to: recognised as well

A policy does one of three things with a visit: it opens, it asks for more, it refuses. A
recording cannot do what it is asked. So an attack passes only where the door opens without a
question, and only somebody who is refused without one is taken for an attack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockd.evaluation.clips import LIVE
from lockd.evaluation.intervals import Rate, rates, resamples
from lockd.evaluation.metrics import Doubles, Flags, Units
from lockd.evaluation.protocols import Resampling
from lockd.evaluation.visits import Visit
from lockd.identity.liveness import (
    LEAST_SCORES,
    Bounds,
    Calibration,
    Means,
    Measure,
    Policy,
    demand,
)

POLICIES = {one.value: Policy.of([one]) for one in Measure}
DEALS = 20
"""How often people are dealt into two halves, each of which is judged by the other's scores."""
BPCERS = (0.01, 0.05, 0.1)
ABOVE = (0.25, 0.5, 0.75)
"""Shares of the live; see `Attacks.above`."""
_ABLE = Means(challenge=True, second_factor=True)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a policy does with visits.

    Attributes:
        opens: for each kind, part of its visits that the door opens to without a question.
        asks: part that are asked for more.
        refuses: part that are refused.
    """

    opens: dict[str, Rate]
    asks: dict[str, Rate]
    refuses: dict[str, Rate]


@dataclass(frozen=True, eq=False)
class Attacks:
    """What was measured.

    Attributes:
        kinds: how many visits there are of each kind, people first.
        people: how many different people are on them, as far as is known.
        calibrated_on: live visits that a score was compared with, on average.
        from_halves: whether these were of the other half of the people.
        policies: by name; of a door that takes everybody for somebody enrolled.
        acer: by policy; NaN without people or attacks.
        worst: by policy, the type of attack that gets through most often.
        eer: of all attacks in one, and the threshold for it.
        at_bpcer: by BPCER, the threshold there and each type's APCER.
        above: by share of the live, how many of each kind score at least as high as so
            many of the calibrating live visits.
        doors: by policy, of a door that knows the people; None if nobody was enrolled.
        curves: by type, float64 (n, 3): threshold, APCER, BPCER.
    """

    kinds: dict[str, int]
    people: int
    calibrated_on: float
    from_halves: bool
    policies: dict[str, Outcome]
    acer: dict[str, Rate]
    worst: dict[str, str]
    eer: Rate
    at_bpcer: dict[float, tuple[float, dict[str, Rate]]]
    above: dict[float, dict[str, Rate]]
    doors: dict[str, Outcome] | None
    curves: dict[str, Doubles]


@dataclass(frozen=True, eq=False)
class _Table:
    """Visits as columns, and how they are resampled."""

    kinds: list[str]
    kind: NDArray[np.str_]
    unit: Units
    resampling: Resampling

    @classmethod
    def of(cls, visits: Sequence[Visit], resampling: Resampling) -> _Table:
        kind = np.array([one.clip.kind for one in visits], dtype=np.str_)
        kinds = sorted(set(kind.tolist()), key=lambda one: (one != LIVE, one))
        return cls(kinds, kind, _units(visits), resampling)

    @property
    def attacks(self) -> list[str]:
        return [one for one in self.kinds if one != LIVE]

    def means(self, values: Doubles, kinds: Sequence[str]) -> dict[str, Rate]:
        """Each kind's mean of a column of parts, with its interval."""

        def statistics(weights: Doubles | None) -> list[float]:
            return [self._mean(values, kind, weights) for kind in kinds]

        return dict(zip(kinds, self.rates(statistics, kinds), strict=True))

    def rates(
        self, statistics: Callable[[Doubles | None], list[float]], kinds: Sequence[str]
    ) -> list[Rate]:
        units = int(self.unit.max(initial=-1)) + 1
        draws = resamples([units], self.resampling.count, self.resampling.seed)
        attempts = [len(np.unique(self.unit[self.of_kind(kind)])) for kind in kinds]
        return rates(statistics, draws, attempts)

    def of_kind(self, kind: str) -> Flags:
        found: Flags = self.kind == kind if kind in self.kinds else self.kind != LIVE
        return found

    def _mean(self, values: Doubles, kind: str, weights: Doubles | None) -> float:
        own = self.of_kind(kind)
        each = np.ones(int(own.sum())) if weights is None else weights[self.unit[own]]
        whole = float(each.sum())
        return float((values[own] * each).sum()) / whole if whole > 0 else math.nan


def measure(
    visits: Sequence[Visit],
    calibrating: Sequence[Visit] | None,
    bounds: Bounds,
    least_frames: int,
    enrolled: set[str] | None,
    resampling: Resampling,
) -> Attacks:
    """Measure policies.

    Args:
        visits: people's and attacks.
        calibrating: the live visits that the door learnt from; None for those of one half
            of the people in `visits`, the other half being judged.
        bounds: which shares of them a score is compared with.
        least_frames: judged frames that a decision takes.
        enrolled: names of the clips that people were enrolled from, which are no visits of
            a door that knows them; None if nobody was enrolled.
    """
    table = _Table.of(visits, resampling)
    whole = np.array([one.score for one in visits], np.float64)
    early = np.array([one.early(least_frames) for one in visits], np.float64)
    decided = np.array([one.decided for one in visits], np.float64)
    judges = _judges(visits, table, calibrating, resampling.seed)
    learnt = whole, [one.score for one in calibrating or ()]
    policies = _outcomes(table, whole, judges, learnt, bounds)
    doors = None
    if enrolled is not None:
        came = [place for place, one in enumerate(visits) if one.clip.name not in enrolled]
        learnt_early = early, [one.early(least_frames) for one in calibrating or ()]
        known = np.array([one.recognised is not None for one in visits])
        doors = _outcomes(table, decided, judges, learnt_early, bounds, known, came)
    sizes = [len(_scores_of(judge.learnt_from, *learnt)) for judge in judges]
    return Attacks(
        kinds={kind: int((table.kind == kind).sum()) for kind in table.kinds},
        people=len({one.clip.person for one in visits} - {None}),
        calibrated_on=float(np.mean(sizes)),
        from_halves=calibrating is None,
        policies=policies,
        acer={name: _acer(table, one) for name, one in policies.items()},
        worst={name: _worst(one.opens) for name, one in policies.items()},
        eer=_eer(table, whole),
        at_bpcer=_at_bpcer(table, whole),
        above=_above(table, whole, judges, learnt),
        doors=doors,
        curves=_curves(table, whole),
    )


@dataclass(frozen=True, eq=False)
class _Judge:
    """Some visits, and those that they are compared with; None for a folder of others."""

    judged: Flags
    learnt_from: Flags | None


_Learnt = tuple[Doubles, list[float]]


def _judges(
    visits: Sequence[Visit], table: _Table, calibrating: Sequence[Visit] | None, seed: int
) -> list[_Judge]:
    everything = np.ones(len(visits), np.bool_)
    if calibrating is not None:
        return [_Judge(everything, None)]
    live = table.kind == LIVE
    units = np.unique(table.unit[live])
    if len(units) < 2:
        return [_Judge(everything, live)]
    random = np.random.default_rng(seed)
    judges = []
    for _ in range(DEALS):
        everybody = np.unique(table.unit)
        # Those who are only attacked are dealt out as well, after the living.
        order = [*random.permutation(units), *random.permutation(np.setdiff1d(everybody, units))]
        first = np.isin(table.unit, order[::2])
        judges += [_Judge(~first, live & first), _Judge(first, live & ~first)]
    return judges


def _scores_of(chosen: Flags | None, own: Doubles, others: list[float]) -> list[float]:
    scores = others if chosen is None else own[chosen].tolist()
    return [one for one in scores if math.isfinite(one)]


def _calibration(scores: list[float]) -> Calibration:
    """What a door with these and no more would go by.

    A door waits for `LEAST_SCORES`. So many are made of fewer by taking all of them as often,
    which moves no quantile.
    """
    times = math.ceil(LEAST_SCORES / len(scores)) if scores else 1
    return Calibration(tuple(scores) * times)


def _outcomes(
    table: _Table,
    scores: Doubles,
    judges: Sequence[_Judge],
    learnt: _Learnt,
    bounds: Bounds,
    known: Flags | None = None,
    came: Sequence[int] | None = None,
) -> dict[str, Outcome]:
    """What each policy does; with `known`, a door that opens to nobody else."""
    counts = {name: np.zeros((3, len(scores))) for name in POLICIES}
    times = np.zeros(len(scores))
    for judge in judges:
        calibration = _calibration(_scores_of(judge.learnt_from, *learnt))
        times += judge.judged
        for place in np.flatnonzero(judge.judged):
            standing = calibration.standing(float(scores[place]), bounds)
            for name, policy in POLICIES.items():
                wanted = demand(policy, standing, _ABLE)
                row = 0 if wanted.nothing else 2 if wanted.refused else 1
                if known is not None and not known[place]:
                    row = 2  # a stranger to this door
                counts[name][row, place] += 1
    if came is not None:
        table = _Table(table.kinds, table.kind[came], table.unit[came], table.resampling)
    columns = slice(None) if came is None else came
    parts = {name: (count / np.maximum(times, 1))[:, columns] for name, count in counts.items()}
    return {
        name: Outcome(*(table.means(row, table.kinds) for row in part))
        for name, part in parts.items()
    }


def _acer(table: _Table, outcome: Outcome) -> Rate:
    worst = _worst(outcome.opens)
    if not worst or LIVE not in table.kinds:
        return Rate(math.nan, math.nan, math.nan)
    one, other = outcome.opens[worst], outcome.refuses[LIVE]
    return Rate(
        (one.value + other.value) / 2, (one.low + other.low) / 2, (one.high + other.high) / 2
    )


def _worst(opens: Mapping[str, Rate]) -> str:
    attacks = {kind: rate.value for kind, rate in opens.items() if kind != LIVE}
    return max(attacks, key=lambda kind: attacks[kind]) if attacks else ""


def _at_bpcer(table: _Table, scores: Doubles) -> dict[float, tuple[float, dict[str, Rate]]]:
    live = _finite(scores[table.kind == LIVE])
    if not len(live):
        return {}
    found = {}
    for share in BPCERS:
        threshold = float(live[int(share * len(live) + 1e-9)])
        passed = np.asarray(scores >= threshold, np.float64)
        found[share] = threshold, table.means(passed, table.attacks)
    return found


def _above(
    table: _Table, scores: Doubles, judges: Sequence[_Judge], learnt: _Learnt
) -> dict[float, dict[str, Rate]]:
    found = {}
    for share in ABOVE:
        counts, times = np.zeros(len(scores)), np.zeros(len(scores))
        for judge in judges:
            calibration = _calibration(_scores_of(judge.learnt_from, *learnt))
            times += judge.judged
            if calibration.scores:
                counts += judge.judged & (scores >= calibration.quantile(share))
        found[share] = table.means(counts / np.maximum(times, 1), table.kinds)
    return found


def _eer(table: _Table, scores: Doubles) -> Rate:
    """Where as many attacks of all types pass as people do not."""
    live = table.kind == LIVE
    if live.all() or not live.any():
        return Rate(math.nan, math.nan, math.nan)
    known = np.where(np.isfinite(scores), scores, -np.inf)
    order = np.argsort(-known, kind="stable")

    def statistics(weights: Doubles | None) -> list[float]:
        each = (np.ones(len(known)) if weights is None else weights[table.unit])[order]
        passing = np.cumsum(np.where(live[order], 0.0, each))
        kept = np.cumsum(np.where(live[order], each, 0.0))
        if not (passing[-1] > 0 and kept[-1] > 0):
            return [math.nan]
        attacks, people = passing / passing[-1], 1 - kept / kept[-1]
        place = int(np.argmin(np.abs(attacks - people)))
        return [float(attacks[place] + people[place]) / 2]

    return table.rates(statistics, ["all"])[0]


def _curves(table: _Table, scores: Doubles) -> dict[str, Doubles]:
    live = _finite(scores[table.kind == LIVE])
    missing = int((table.kind == LIVE).sum()) - len(live)
    thresholds = np.unique(_finite(scores))
    curves = {}
    for kind in table.attacks if len(live) else ():
        own = scores[table.kind == kind]
        apcer = [float((own >= one).mean()) for one in thresholds]
        below = np.searchsorted(live, thresholds) + missing
        bpcer = below / (len(live) + missing)
        curves[kind] = np.stack([thresholds, apcer, bpcer], axis=1)[::-1].astype(np.float64)
    return curves


def _finite(scores: Doubles) -> Doubles:
    return np.sort(scores[np.isfinite(scores)])


def _units(visits: Sequence[Visit]) -> Units:
    """One number for each person; whoever is not known is somebody of their own."""
    names = [one.clip.person or f"\0{one.clip.name}" for one in visits]
    return np.unique(names, return_inverse=True)[1].astype(np.int32)
