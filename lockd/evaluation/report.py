"""What an evaluation says: a table for people, JSON and CSV for machines.

``docs/evaluation.md`` explains every key.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from lockd.console import printable
from lockd.errors import ImageError
from lockd.evaluation import sentences
from lockd.evaluation.embeddings import NO_FACE, UNREADABLE, Collection
from lockd.evaluation.identification import Answered, Identification, OpenSet
from lockd.evaluation.intervals import Rate
from lockd.evaluation.metrics import key
from lockd.evaluation.protocols import Point
from lockd.evaluation.verification import Verification
from lockd.files import acting_for

SCHEMA = 1
DOOR = "lockd"
"""The name of the door's own rule among the classifiers."""

_LISTED = 50
_LEFT_OUT = {NO_FACE: "no face was found", UNREADABLE: "they cannot be read as photographs"}


@dataclass(frozen=True)
class Report:
    """What one evaluation found.

    Attributes:
        data: for JSON.
        table: for people.
        columns: names of what `rows` hold.
        rows: for CSV.
        sentence: what it means to whoever owns the door.
    """

    data: dict[str, Any]
    table: Table
    columns: tuple[str, ...]
    rows: list[Sequence[object]]
    sentence: str


def verification(found: Verification, skipped: int) -> Report:
    """Return the report of a verification, in which so many pairs were skipped."""
    table = table_of("Verification", "Value", "95 % interval", "Threshold", "Impostors")
    table.add_row("Accuracy", *cells(found.accuracy), f"{found.best:.3f}", "")
    table.add_row("EER", *cells(found.eer), "", "")
    for one in found.points:
        table.add_row(
            f"TAR at FAR {key(one.at)}", *cells(one.rate), f"{one.threshold:.3f}", _rests_on(one)
        )
    table.add_section()
    table.add_row("TAR of the door", *cells(found.tar), f"{found.accept:.3f}", "")
    table.add_row("FAR of the door", *cells(found.far), f"{found.accept:.3f}", "")
    data = {
        "protocol": "verification",
        "pairs": found.genuine_pairs + found.impostor_pairs,
        "genuine_pairs": found.genuine_pairs,
        "impostor_pairs": found.impostor_pairs,
        "pairs_left_out": skipped,
        "accuracy": found.accuracy.as_dict(),
        "accuracy_threshold": found.best,
        "accuracy_of_folds": found.accuracies,
        "eer": found.eer.as_dict(),
        **_points(found.points, "tar"),
        "configured": {
            "accept": found.accept,
            "far": found.far.as_dict(),
            "tar": found.tar.as_dict(),
        },
    }
    rows: list[Sequence[object]] = [tuple(row) for row in found.det.tolist()]
    sentence = sentences.verification(found)
    return Report(data, table, ("threshold", "far", "fnmr"), rows, sentence)


def identification(found: Sequence[Identification]) -> Report:
    """Return the report of identifications of several numbers of people."""
    rules = list(found[0].top1)
    table = table_of("People", "Rule", "Named rightly", "95 % interval", "Probes")
    rows: list[Sequence[object]] = []
    for one in found:
        for rule in rules:
            table.add_row(str(one.people), rule, *cells(one.top1[rule]), str(one.probes))
            draws = enumerate(one.draws[rule].tolist())
            rows += [(one.people, rule, number, value) for number, value in draws]
    data = {
        "protocol": "identification",
        "people_enrolled": [one.people for one in found],
        "probes": {str(one.people): one.probes for one in found},
        "top1": max(found, key=lambda one: one.people).top1[DOOR].as_dict(),
        "top1_by_people": _by_people(found, DOOR),
        "classifiers": {
            rule: {"top1_by_people": _by_people(found, rule)} for rule in rules if rule != DOOR
        },
    }
    sentence = sentences.identification(max(found, key=lambda one: one.people), DOOR)
    return Report(data, table, ("people", "rule", "draw", "top1"), rows, sentence)


def open_set(found: OpenSet, accept: float, margin: float) -> Report:
    """Return the report of an open-set identification with the door's thresholds."""
    table = table_of("Open set", "Value", "95 % interval", "Threshold", "Strangers")
    rows: list[Sequence[object]] = []
    for name, one in found.rules.items():
        used = "as configured" if name == DOOR else "as used"
        table.add_row(f"[bold]{name}[/], by threshold")
        _add_points(table, one.points)
        if one.with_margin:
            table.add_row(f"[bold]{name}[/], margin {margin:g}")
            _add_points(table, one.with_margin)
        table.add_row(f"[bold]{name}[/], {used}")
        table.add_row("  FNIR", *cells(one.fnir), f"{accept:.3f}" if name == DOOR else "none")
        table.add_row("    another's name", *cells(one.misnamed))
        table.add_row("  FPIR", *cells(one.fpir))
        if one.spared.value:
            table.add_row("  strangers, first network alone", *cells(one.spared))
            table.add_row("    decisions changed by that", str(one.changed))
        table.add_section()
        rows += [(name, *row) for row in one.det.tolist()]
    door = found.rules[DOOR]
    data = {
        "protocol": "open-set",
        "probes": found.probes,
        "stranger_probes": found.strangers,
        **_points(door.points, "fnir"),
        "with_margin": {"margin": margin, **_points(door.with_margin or door.points, "fnir")},
        "configured": {"accept": accept, "margin": margin, **_as_used(door)},
        "first_network_alone": {
            "strangers": door.spared.as_dict(),
            "decisions_changed": door.changed,
        },
        "classifiers": {
            name: {**_points(one.points, "fnir"), "as_used": _as_used(one)}
            for name, one in found.rules.items()
            if name != DOOR
        },
    }
    columns = ("rule", "threshold", "fpir", "fnir")
    return Report(data, table, columns, rows, sentences.open_set(door))


def about(faces: Collection) -> dict[str, Any]:
    """Return what every report says of the photographs."""
    return {
        "images": faces.images,
        "people": len(faces.people),
        "embedded": len(faces.paths),
        "computed": faces.computed,
        "without_face": len(faces.without_face),
        "without_face_photographs": sorted(faces.without_face),
        "left_out": {reason: sorted(paths) for reason, paths in sorted(faces.left_out.items())},
    }


def left_out(faces: Collection) -> list[str]:
    """Return lines that list the photographs that were left out, by reason."""
    lines = []
    for reason, paths in sorted(faces.left_out.items()):
        why = _LEFT_OUT.get(reason, reason.replace("_", " "))
        lines.append(f"{len(paths)} of {faces.images} photographs left out: {why}")
        lines += [f"  {printable(path)}" for path in sorted(paths)[:_LISTED]]
        if len(paths) > _LISTED:
            lines.append(f"  and {len(paths) - _LISTED} more; --json lists all")
    return lines


def write_json(report: Report, path: Path) -> None:
    """Write a report for machines.

    Raises:
        ImageError: if the file cannot be written.
    """
    _write(path, json.dumps({"schema": SCHEMA, **report.data}, ensure_ascii=False, indent=2) + "\n")


def write_csv(report: Report, path: Path) -> None:
    """Write the curve or the draws of a report.

    Raises:
        ImageError: if the file cannot be written.
    """
    try:
        with acting_for(path), path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([report.columns, *report.rows])
    except OSError as error:
        raise _unwritable(path, error) from error


def percent(rate: Rate) -> str:
    """Return a rate for people, with as many digits as it needs."""
    digits = 2 if rate.value == 0 or rate.value >= 5e-4 else 4
    return f"{100 * rate.value:.{digits}f} %"


def cells(rate: Rate) -> tuple[str, str]:
    """Return a rate and its interval as cells of a table."""
    digits = 2 if rate.value == 0 or rate.value >= 5e-4 else 4
    return percent(rate), f"{100 * rate.low:.{digits}f} to {100 * rate.high:.{digits}f}"


def table_of(*columns: str) -> Table:
    """Return an empty table."""
    table = Table()
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _add_points(table: Table, points: Sequence[Point]) -> None:
    for one in points:
        what = f"  FNIR at FPIR {key(one.at)}"
        table.add_row(what, *cells(one.rate), f"{one.threshold:.3f}", _rests_on(one))


def _rests_on(one: Point) -> str:
    return str(one.rests_on) if one.rests_on else "0 (too few)"


def _points(points: Sequence[Point], rate: str) -> dict[str, Any]:
    return {
        rate: {key(one.at): one.rate.as_dict() for one in points},
        "threshold": {key(one.at): one.threshold for one in points},
        "rests_on": {key(one.at): one.rests_on for one in points},
    }


def _as_used(one: Answered) -> dict[str, Any]:
    return {
        "fpir": one.fpir.as_dict(),
        "fnir": one.fnir.as_dict(),
        "misnamed": one.misnamed.as_dict(),
    }


def _by_people(found: Sequence[Identification], rule: str) -> dict[str, Any]:
    return {str(one.people): one.top1[rule].as_dict() for one in found}


def _write(path: Path, text: str) -> None:
    try:
        with acting_for(path):  # surrogates, as a file's name may have them
            path.write_text(text, "utf-8", errors="backslashreplace")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ImageError:
    return ImageError(f"{path}: cannot be written: {error.strerror}")
