"""What became of photographs, as tables, lines and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from lockd.console import err, print_table, printable, shown
from lockd.errors import ImageError

if TYPE_CHECKING:
    from enroll.people import EnrolmentOutcome
    from lockd.recognition.photographs import People

_LISTED = 20  # people told one by one


def report(
    outcomes: list[EnrolmentOutcome], as_json: bool = False, people: People | None = None
) -> None:
    """Say what was enrolled and what was refused, why, and what to do about it.

    A table on a terminal, lines where standard output goes elsewhere: the refused ones
    then on standard error.

    Args:
        outcomes: of each person.
        as_json: as JSON.
        people: the folder that they come from.
    """
    of, outcomes = len(outcomes), outcomes + _passed_over(people)
    for remark in people.remarks if people else ():
        err.print(f"[yellow]note:[/] {escape(printable(remark))}")
    if as_json:
        click.echo(shown(json.dumps([one.as_json() for one in outcomes], ensure_ascii=False)))
        return
    if sys.stdout.isatty():
        made = table(outcomes)
        if made.row_count:
            print_table(made)
    else:
        for _, why in _refusals(outcomes):
            err.print(f"[yellow]refused:[/] {escape(printable(why))}")
    enrolled = [one for one in outcomes if one.accepted]
    for one in [one for one in outcomes if one.accepted or one.repeated][:_LISTED]:
        click.echo(_line(one))
    if len(outcomes) > 1:
        click.echo(
            f"{len(enrolled)} of {of} people enrolled from "
            f"{sum(one.accepted for one in outcomes)} photographs, "
            f"{sum(one.error is not None or len(one.refused) for one in outcomes)} refused"
        )


def table(outcomes: list[EnrolmentOutcome]) -> Table:
    """Return a table of the refused pictures, and of all if they are one person's."""
    made = Table("Person", "Picture", "Result", show_lines=True)
    for column in made.columns:
        column.overflow = "fold"
    for one in outcomes:
        for picture, result in _rows(one, everything=len(outcomes) == 1):
            made.add_row(escape(printable(one.name)), escape(printable(picture)), result)
    return made


def _rows(one: EnrolmentOutcome, *, everything: bool) -> Iterator[tuple[str, str]]:
    """The pictures of one person to be told of, and what became of them, as markup."""
    if one.error is not None:
        yield "", f"[red]refused[/]: {escape(printable(str(one.error)))}"
    for said in one.verdicts:
        why = escape(printable(said.message.removeprefix(f"{said.label}: ")))
        if not said.accepted and not said.repeated:
            yield said.label, f"[red]refused[/]: {why}"
        elif everything and one.error is None:
            yield said.label, why or "[green]accepted[/]"


def fail_if_refused(outcomes: list[EnrolmentOutcome], people: People | None = None) -> None:
    """End with the exit code of what was refused or passed over, if anything was."""
    outcomes = outcomes + _passed_over(people)
    codes = [one.error.exit_code for one in outcomes if one.error is not None]
    if any(one.refused for one in outcomes) or ImageError.exit_code in codes:
        raise SystemExit(ImageError.exit_code)
    if codes:
        raise SystemExit(codes[0])


def _passed_over(people: People | None) -> list[EnrolmentOutcome]:
    """What in a folder is nobody's, as if somebody were called so."""
    from enroll.people import EnrolmentOutcome  # noqa: PLC0415

    passed_over = people.passed_over if people else {}
    return [EnrolmentOutcome(path.name, error=error) for path, error in passed_over.items()]


def _refusals(outcomes: list[EnrolmentOutcome]) -> Iterator[tuple[str, str]]:
    for one in outcomes:
        if one.error is not None:
            yield one.name, str(one.error)
        for said in one.refused:
            yield one.name, said.message


def _line(one: EnrolmentOutcome) -> str:
    line = f"{printable(one.name)}: {one.accepted} enrolled, {len(one.refused)} refused"
    if one.repeated:
        line += f", {one.repeated} enrolled already"
    if one.left_out:
        line += f"; the {one.templates} most varied are kept, {one.left_out} left out"
    return line
