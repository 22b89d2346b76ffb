"""Changing and forgetting people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from enroll.details import changed, details_options
from enroll.opened import name_argument, opened, sure
from enroll.rights import given, rights_options, told
from lockd.adapters.store import UNREACHED, Removal, Store
from lockd.config import Settings
from lockd.console import administrator, config_option, counted, err, reported
from lockd.errors import PersonError, StoreError
from lockd.files import acting_for, write_over

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@name_argument()
@rights_options
@click.option("--no-groups", is_flag=True, help="Take them out of every group.")
@config_option
@reported
def access(
    name: str,
    groups: tuple[str, ...],
    no_groups: bool,
    valid_from: str | None,
    valid_until: str | None,
    config_file: Path | None,
) -> None:
    """Say when NAME may come in, and show it.

    The groups given take the place of those before; what is not given stays.
    """
    if groups and no_groups:
        raise click.UsageError("--group and --no-groups exclude each other")
    with opened(config_file, revoking=True) as (settings, store):
        rights = given(settings, groups, valid_from, valid_until)
        if no_groups:
            rights["groups"] = frozenset()
        person = store.people.named(name).person
        if rights:
            person = store.people.change_access(name, by=administrator(), **rights)
        click.echo(told(person, settings))


@click.command()
@name_argument()
@details_options
@config_option
@reported
def describe(name: str, config_file: Path | None, **details: Any) -> None:
    """Say what else is to be kept of NAME: their number elsewhere, notes, consent.

    What is not given stays; `none` takes it away.
    """
    change = changed(**details)
    if change is None:
        raise click.UsageError("nothing to change; see --help")
    with opened(config_file) as (_, store):
        one = store.people.named(name)
        store.people.change_details(name, change(one.details), by=administrator())
    click.echo(f"Changed what is kept of {one.person.name}.")


@click.command()
@name_argument()
@click.argument("new")
@config_option
@reported
def rename(name: str, new: str, config_file: Path | None) -> None:
    """Give NAME the name NEW; templates, rights and details stay."""
    with opened(config_file) as (_, store):
        old = store.people.named(name).person
        person = store.people.rename(name, new, by=administrator())
    click.echo(f"{old.name} is called {person.name} now.")


@click.command()
@name_argument()
@config_option
@reported
def disable(name: str, config_file: Path | None) -> None:
    """Make NAME a stranger to the door, but keep everything."""
    with opened(config_file, revoking=True) as (_, store):
        person = store.people.set_enabled(name, False, by=administrator())
    click.echo(f"{person.name} is a stranger to the door now; see `lockd-enroll enable`.")


@click.command()
@name_argument()
@config_option
@reported
def enable(name: str, config_file: Path | None) -> None:
    """Let the door know NAME again."""
    with opened(config_file) as (_, store):
        person = store.people.set_enabled(name, True, by=administrator())
    click.echo(f"The door knows {person.name} again.")


@click.command()
@name_argument("source")
@name_argument("target")
@click.option("--anyway", metavar="REASON", help="Though they do not look like one person.")
@yes_option
@config_option
@reported
def merge(
    source: str, target: str, anyway: str | None, yes: bool, config_file: Path | None
) -> None:
    """Give TARGET the templates of SOURCE, who is the same person, and forget SOURCE.

    Name, rights, details and PIN are TARGET's, cards are of both: whose face SOURCE's templates
    show can come in as TARGET.
    """
    with opened(config_file) as (settings, store):
        old, new = store.people.named(source).person, store.people.named(target).person
        if anyway is None:
            _check_alike(settings, store, old.name, new.name)
        sure(f"Forget {old.name}, and let their face come in as {new.name}?", yes)
        store.people.merge(source, target, by=administrator(), note=anyway and f"anyway: {anyway}")
        templates = store.people.named(target).templates
    click.echo(f"{old.name} is {new.name} now, with {counted(templates, 'template')}.")


def _check_alike(settings: Settings, store: Store, source: str, target: str) -> None:
    """See whether two are one person.

    Raises:
        PersonError: if no template of one is like one of the other.
    """
    from enroll.people import rule_of  # noqa: PLC0415
    from lockd.recognition.recogniser import Vision  # noqa: PLC0415

    vision = Vision(settings)
    agree = rule_of(settings, vision).agree
    space = vision.embedder.space
    ours, theirs = (
        [
            brought
            for one in store.templates.of(name)
            if (brought := space.brought(one.model, one.embedding)) is not None
        ]
        for name in (source, target)
    )
    likeness = max((float(one @ other) for one in ours for other in theirs), default=-1.0)
    if not likeness >= agree:
        raise PersonError(
            f"{source} and {target} do not look like one person (similarity {likeness:.2f}, "
            f"{agree:.2f} is needed); if they are, say --anyway with the reason"
        )


@click.command()
@name_argument()
@yes_option
@config_option
@reported
def remove(name: str, yes: bool, config_file: Path | None) -> None:
    """Forget NAME: templates, photographs, PIN and cards, rights and details.

    See `forget` for a report of what was deleted.
    """
    with opened(config_file, revoking=True) as (_, store):
        person = store.people.named(name).person
        sure(f"Forget {person.name}?", yes)
        removal = store.people.remove(name, by=administrator())
    click.echo(f"Removed {removal.person.name}.")
    _warn(removal)


@click.command()
@name_argument()
@click.option(
    "--report",
    "report_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file: what was deleted, as JSON.",
)
@yes_option
@config_option
@reported
def forget(name: str, report_file: Path, yes: bool, config_file: Path | None) -> None:
    """Forget NAME, look whether anything is left, and write a report of what was deleted.

    The report has the name in it: give it to whoever asked to be forgotten.
    """
    with opened(config_file, revoking=True) as (_, store):
        person = store.people.named(name).person
        sure(f"Forget {person.name}?", yes)
        try:
            write_over(report_file, b"", new=True)  # before anything is deleted
        except OSError as error:
            raise StoreError(f"{report_file}: {error.strerror}; nothing was deleted") from error
        try:
            removal = store.people.remove(name, by=administrator())
        except BaseException:
            with acting_for(report_file.parent):
                report_file.unlink()
            raise
        _write_report(report_file, removal)
    click.echo(f"Removed {removal.person.name}; see {report_file}.")
    _warn(removal)
    for place in UNREACHED:
        err.print(f"not reached: {place}", style="dim", markup=False)
    if not removal.verified:
        raise SystemExit(StoreError.exit_code)


def _write_report(path: Path, removal: Removal) -> None:
    report = json.dumps(_removal_data(removal), ensure_ascii=False, indent=2)
    try:
        write_over(path, f"{report}\n".encode())
    except OSError as error:
        click.echo(report)
        raise StoreError(
            f"{path}: {error.strerror}; {removal.person.name} was removed, and this is the report"
        ) from error


def _removal_data(removal: Removal) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": removal.person.name,
        "id": removal.person.id,
        "templates": removal.templates,
        "photographs": removal.photographs,
        "pins_and_cards": removal.factors,
        "events": removal.events,
        "messages": removal.messages,
        "verified": removal.verified,
        "left": removal.left,
        "mentions": removal.mentions,
        "backups": [str(one) for one in removal.backups],
        "not_reached": list(UNREACHED),
    }


def _warn(removal: Removal) -> None:
    """Say where something of them still is."""
    for place in removal.left:
        err.print(f"still found: {place}", style="bold red", markup=False)
    for place in removal.mentions:
        err.print(f"the name is also in {place}", style="yellow", markup=False)
    for backup in removal.backups:
        err.print(f"still in the backup {backup}; delete it", style="yellow", markup=False)
