"""What `lockd evaluate pad` says; ``docs/evaluation.md`` explains every key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lockd.evaluation.clips import LIVE
from lockd.evaluation.intervals import Rate
from lockd.evaluation.metrics import key
from lockd.evaluation.presentation import Attacks
from lockd.evaluation.report import Report, cells, table_of
from lockd.identity.liveness import LEAST_SCORES, Bounds

_ASKING = ("passive", "graded")


def presentation(found: Attacks, bounds: Bounds) -> Report:
    """Return the report of an evaluation of presentation attacks."""
    table = table_of("Presentation attacks", "Value", "95 % interval", "Visits")
    for share, (_, apcer) in found.at_bpcer.items():
        table.add_row(f"[bold]APCER at BPCER {key(share)}[/] of these people")
        _add(table, _worst_first(apcer), found.kinds)
    table.add_row("EER, all types together", *cells(found.eer), "")
    table.add_section()
    for policy in _ASKING:
        outcome = found.policies[policy]
        table.add_row(f"[bold]{policy}[/]: APCER")
        _add(table, _worst_first(_attacks(outcome.opens)), found.kinds)
        if LIVE in outcome.refuses:
            table.add_row("  BPCER: live refused", *cells(outcome.refuses[LIVE]), "")
            table.add_row("  live not asked", *cells(outcome.opens[LIVE]), "")
            table.add_row("  ACER", *cells(found.acer[policy]), "")
        table.add_section()
    for policy, outcome in (found.doors or {}).items():
        table.add_row(f"[bold]{policy}[/]: the door opens (IAPMR)")
        _add(table, _worst_first(_attacks(outcome.opens)), {})
        _add(table, {one: rate for one, rate in outcome.opens.items() if one == LIVE}, {})
    rows: list[Sequence[object]] = [
        (kind, *row) for kind, curve in found.curves.items() for row in curve.tolist()
    ]
    columns = ("type", "threshold", "apcer", "bpcer")
    return Report(_data(found, bounds), table, columns, rows, _sentence(found))


def _data(found: Attacks, bounds: Bounds) -> dict[str, Any]:
    doors = found.doors or {}
    return {
        "protocol": "pad",
        "visits": found.kinds,
        "people": found.people,
        "calibration": {
            "visits": found.calibrated_on,
            "of": "halves" if found.from_halves else "folder",
            "a_door_asks_for": LEAST_SCORES,
        },
        "bounds": {"open_above": bounds.open_above, "refuse_below": bounds.refuse_below},
        "apcer": {name: _rates(_attacks(one.opens)) for name, one in found.policies.items()},
        "worst": found.worst,
        "bpcer": {name: _live(one.refuses) for name, one in found.policies.items()},
        "acer": {name: rate.as_dict() for name, rate in found.acer.items()},
        "asked": {name: _rates(one.asks) for name, one in found.policies.items()},
        "not_asked": {name: _live(one.opens) for name, one in found.policies.items()},
        "eer": found.eer.as_dict(),
        "at_bpcer": {
            key(share): {"threshold": threshold, "apcer": _rates(apcer)}
            for share, (threshold, apcer) in found.at_bpcer.items()
        },
        "above_live": {f"{share:g}": _rates(rates) for share, rates in found.above.items()},
        "iapmr": {name: _rates(_attacks(one.opens)) for name, one in doors.items()},
        "door": {
            name: {"opens": _live(one.opens), "asks": _live(one.asks)}
            for name, one in doors.items()
        },
    }


def _sentence(found: Attacks) -> str:
    parts = []
    for policy in ("off", *_ASKING):
        outcome = (found.doors or found.policies)[policy]
        attacks = _attacks(outcome.opens)
        if attacks:
            worst = max(attacks, key=lambda kind: attacks[kind].value)
            parts.append(
                f"{policy}: {_of(attacks[worst])} of 1,000 attacks ({worst}) open the door"
            )
    graded = (found.doors or found.policies)["graded"]
    if LIVE in graded.asks:
        parts.append(f"graded asks {_of(graded.asks[LIVE])} of 1,000 live visits for more")
    return "; ".join(parts) + "." if parts else "Nothing was measured."


def _of(rate: Rate) -> str:
    seen = f"{round(1000 * rate.value):,}" if rate.value == rate.value else "nobody knows how many"
    return f"{seen} (at most {min(1000, round(1000 * rate.high + 0.499)):,})"


def _add(table: Any, rates: Mapping[str, Rate], visits: Mapping[str, int]) -> None:
    for kind, rate in rates.items():
        table.add_row(f"  {kind}", *cells(rate), str(visits.get(kind, "")))


def _worst_first(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    return dict(sorted(rates.items(), key=lambda one: -one[1].value))


def _attacks(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    return {kind: rate for kind, rate in rates.items() if kind != LIVE}


def _rates(rates: Mapping[str, Rate]) -> dict[str, Any]:
    return {kind: rate.as_dict() for kind, rate in _worst_first(rates).items()}


def _live(rates: Mapping[str, Rate]) -> dict[str, Any] | None:
    return rates[LIVE].as_dict() if LIVE in rates else None
