"""Is everybody enrolled well? `check`, and `drop` for what it finds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from enroll.opened import looked_at, name_argument, opened, sure
from enroll.showing import as_json_option
from lockd.console import administrator, config_option, counted, print_table, reported
from lockd.errors import PersonError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enroll.judging import Rule
    from lockd.adapters.store import Store
    from lockd.evaluation.calibration import Enrolled, Gauge
    from lockd.types import Embedding
    from lockd.vision.space import Space

FEWEST = 3
"""Templates; of fewer, a face seen otherwise than in any of them is soon a stranger's."""


@dataclass(frozen=True, slots=True)
class GalleryFinding:
    """One thing to be looked at.

    Attributes:
        kind: damaged, outdated, few, misplaced, weak or alike.
        person: whom it is about.
        other: who else, or None.
        template: its number, or None.
        similarity: that shows it, or None.
        advice: what it is and the way out.
    """

    kind: str
    person: str
    other: str | None
    template: int | None
    similarity: float | None
    advice: str


@click.command()
@config_option
@as_json_option
@reported
def check(config_file: Path | None, as_json: bool) -> None:
    """Look for templates that are weak or look mislabelled, and for people too alike.

    Ends with exit code 1 if there is anything to be looked at. `lockd calibrate` says what
    threshold suits the people enrolled.
    """
    from enroll.people import rule_of  # noqa: PLC0415
    from lockd.evaluation.calibration import gauge  # noqa: PLC0415
    from lockd.recognition.recogniser import Vision  # noqa: PLC0415

    findings: list[GalleryFinding] = []
    with looked_at(config_file) as (settings, store):
        if store is not None:
            vision = Vision(settings)
            rule = rule_of(settings, vision)
            enrolled = _usable(store, vision.embedder.space, findings)
            if enrolled is not None:
                findings += _faces(enrolled, gauge(enrolled), rule)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings], ensure_ascii=False))
    elif findings:
        print_table(_table(findings))
    else:
        click.echo("Nothing found.")
    if findings:
        raise SystemExit(1)


@click.command()
@name_argument()
@click.argument("templates", nargs=-1, required=True, type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@reported
def drop(name: str, templates: tuple[int, ...], yes: bool, config_file: Path | None) -> None:
    """Delete templates of NAME by the numbers that `check` and `show` tell."""
    with opened(config_file) as (_, store):
        person = store.people.named(name).person
        own = {one.id for one in store.templates.of(name)}
        wrong = [str(one) for one in templates if one not in own]
        if wrong:
            raise PersonError(
                f"{person.name}: has no template {', '.join(wrong)}; see `lockd-enroll show`"
            )
        sure(f"Delete {len(set(templates))} of {len(own)} templates of {person.name}?", yes)
        dropped = store.templates.drop(set(templates), by=administrator())
    click.echo(f"{person.name}: {counted(dropped, 'template')} deleted, {len(own) - dropped} left.")


def _usable(store: Store, space: Space, findings: list[GalleryFinding]) -> Enrolled | None:
    """The templates of the networks in use; what is wrong with the others is a finding."""
    import numpy as np  # noqa: PLC0415

    from lockd.evaluation.calibration import Enrolled  # noqa: PLC0415

    names: list[str] = []
    owner: list[int] = []
    labels: list[str] = []
    embeddings: list[Embedding] = []
    for one in store.people.all():
        name = one.person.name
        readable = store.templates.of(name)
        brought = [(kept.id, space.brought(kept.model, kept.embedding)) for kept in readable]
        own = [(number, one) for number, one in brought if one is not None]
        findings += _rows(name, one.templates - len(readable), len(readable) - len(own), len(own))
        owner += [len(names)] * len(own)
        labels += [str(number) for number, _ in own]
        embeddings += [one for _, one in own]
        names.append(name)
    if not embeddings:
        return None
    return Enrolled(names, np.array(owner, np.int32), labels, np.stack(embeddings))


def _rows(name: str, damaged: int, outdated: int, usable: int) -> Iterator[GalleryFinding]:
    for kind, count, advice in (
        ("damaged", damaged, "of the templates are damaged and not used; enrol them again"),
        ("outdated", outdated, "of the templates are of other networks; use `re-embed`"),
    ):
        if count:
            yield GalleryFinding(kind, name, None, None, None, f"{count} {advice}")
    if usable < FEWEST:
        only = counted(usable, "usable template")
        advice = f"{only}; add photographs until there are {FEWEST} or more"
        yield GalleryFinding("few", name, None, None, None, advice)


def _faces(enrolled: Enrolled, gauged: Gauge, rule: Rule) -> Iterator[GalleryFinding]:
    misplaced = set()
    for bad in gauged.misplaced:
        misplaced.add(bad.label)
        yield GalleryFinding(
            *("misplaced", bad.person, bad.other, int(bad.label), bad.similarity),
            f"template {bad.label} is nearer to {bad.other} ({bad.similarity:.2f}) than to "
            f"{bad.person} ({bad.own:.2f}): a photograph of somebody else? `drop` it",
        )
    for label, person, nearest in _own(enrolled):
        if nearest < rule.agree and label not in misplaced:
            yield GalleryFinding(
                *("weak", person, None, int(label), nearest),
                f"template {label} is like no other of theirs ({nearest:.2f}, {rule.agree:.2f} is "
                "usual): add photographs like it, or `drop` it",
            )
    for pair in gauged.alike(rule.accept):
        yield GalleryFinding(
            *("alike", pair.first, pair.second, None, pair.similarity),
            f"alike enough ({pair.similarity:.2f}; the door takes {rule.accept:g}) to be taken for "
            "each other: enrol better photographs, raise recognition.accept, or, if they are "
            "one person, `merge` them",
        )


def _own(enrolled: Enrolled) -> Iterator[tuple[str, str, float]]:
    """Of each template its greatest similarity to another of the same person, if there is one."""
    import numpy as np  # noqa: PLC0415

    for index, person in enumerate(enrolled.people):
        rows = np.flatnonzero(enrolled.owner == index)
        if len(rows) < 2:
            continue
        likeness = enrolled.embeddings[rows] @ enrolled.embeddings[rows].T
        np.fill_diagonal(likeness, -np.inf)
        for row, nearest in zip(rows, likeness.max(axis=1), strict=True):
            yield enrolled.labels[row], person, float(nearest)


def _table(findings: list[GalleryFinding]) -> Table:
    table = Table("What", "Person", "And", "Why, and the way out", show_lines=True)
    for one in findings:
        table.add_row(one.kind, escape(one.person), escape(one.other or ""), escape(one.advice))
    return table
