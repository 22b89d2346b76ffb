"""The command `lockd-enroll`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from enroll.rights import days_told, given, groups_told, rights_options, told
from lockd import __version__
from lockd.adapters.store import Store, Vault, clean_name
from lockd.config import Settings, find, load
from lockd.console import EXIT_CODES, administrator, config_option, err, reported
from lockd.errors import ImageError, PersonError, StoreError

if TYPE_CHECKING:
    from enroll.people import Outcome


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockd-enroll")
def main() -> None:
    """Say who may open the door. A running service sees each change at its next frame."""


@main.command()
@click.argument("name")
@click.argument(
    "photos", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@rights_options
@config_option
@reported
def add(
    name: str,
    photos: tuple[Path, ...],
    groups: tuple[str, ...],
    valid_from: str | None,
    valid_until: str | None,
    config_file: Path | None,
) -> None:
    """Enrol NAME from photographs, or give NAME more of them.

    Each photograph must show exactly one usable face. Those that do not are refused
    with the reason; the others are enrolled. Of the rights of somebody enrolled already,
    those not given stay; see also `access`.
    """
    from enroll.people import Enroller  # noqa: PLC0415

    name = clean_name(name)
    with _opened(config_file) as (settings, store), _progress("enrolling", len(photos)) as step:
        access = given(settings, groups, valid_from, valid_until)
        outcome = Enroller(settings, store).add(name, photos, step, access=access)
    _report([outcome])
    _fail_if_refused([outcome])


@main.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@rights_options
@config_option
@reported
def folder(
    directory: Path,
    groups: tuple[str, ...],
    valid_from: str | None,
    valid_until: str | None,
    config_file: Path | None,
) -> None:
    """Enrol everybody in a folder with one sub-folder of photographs per person.

    A person is named after the sub-folder, with spaces for underscores. The rights given
    are everybody's in it.
    """
    from enroll.people import Enroller  # noqa: PLC0415
    from lockd.photographs import people_folders, shown_name  # noqa: PLC0415

    people = people_folders(directory)
    total = sum(len(photos) for _, photos in people)
    outcomes: list[Outcome] = []
    try:
        with _opened(config_file) as (settings, store), _progress("enrolling", total) as step:
            access = given(settings, groups, valid_from, valid_until)
            enroller = Enroller(settings, store)
            for name, photos in people:
                outcomes.append(enroller.add(shown_name(name), photos, step, access=access))
    finally:
        _report(outcomes)
    _fail_if_refused(outcomes)


@main.command("re-embed")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@reported
def re_embed(directory: Path, config_file: Path | None) -> None:
    """Enrol again, from a folder as for `folder`, those whom other networks enrolled.

    Templates can only be compared with those of the same networks, so after an update or
    a change of recognition.profile the old ones are of no use. Each person's are replaced
    at once; those of people without a usable photograph stay, unused.
    """
    from enroll.people import Enroller  # noqa: PLC0415
    from lockd.photographs import people_folders, shown_name  # noqa: PLC0415

    found = {
        clean_name(shown_name(name)).casefold(): pics for name, pics in people_folders(directory)
    }
    outcomes: list[Outcome] = []
    with _opened(config_file) as (settings, store):
        enroller = Enroller(settings, store)
        names = enroller.outdated()
        photos = {name: found.get(name.casefold(), []) for name in names}
        with _progress("enrolling", sum(map(len, photos.values()))) as step:
            for name in names:
                outcomes.append(enroller.add(name, photos[name], step, replace_outdated=True))
    for outcome in outcomes:
        if not photos[outcome.name]:
            outcome.refused.append(
                PersonError(
                    f"{outcome.name}: no photographs in {directory}; add some, or remove them"
                )
            )
    if not outcomes:
        click.echo("Everybody's templates are of the networks in use.")
    _report(outcomes)
    _fail_if_refused(outcomes)


@main.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reported
def list_(config_file: Path | None, as_json: bool) -> None:
    """Show who is enrolled."""
    with _opened(config_file) as (settings, store):
        people = store.people()
    if as_json:
        rows = [
            {
                "id": one.person.id,
                "name": one.person.name,
                "templates": one.templates,
                "created_utc": one.created_utc,
                "groups": sorted(one.person.groups),
                "valid_from": one.person.valid_from,
                "valid_until": one.person.valid_until,
            }
            for one in people
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not people:
        click.echo("Nobody is enrolled, so everyone is a stranger.")
        return
    columns = {
        "Name": [one.person.name for one in people],
        "Groups": [groups_told(one.person, settings) for one in people],
        "Valid": [days_told(one.person) for one in people],
        "Templates": [str(one.templates) for one in people],
        "Enrolled (UTC)": [one.created_utc[:16].replace("T", " ") for one in people],
    }
    shown = {title: cells for title, cells in columns.items() if any(cells)}
    table = Table(*shown)
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(escape, row))
    Console().print(table)


@main.command()
@click.argument("name")
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
    with _opened(config_file) as (settings, store):
        rights = given(settings, groups, valid_from, valid_until)
        if no_groups:
            rights["groups"] = frozenset()
        click.echo(told(store.change_access(name, by=administrator(), **rights), settings))


@main.command()
@click.argument("name")
@config_option
@reported
def remove(name: str, config_file: Path | None) -> None:
    """Forget NAME and their templates."""
    with _opened(config_file) as (_, store):
        removal = store.remove(name, by=administrator())
    click.echo(f"Removed {removal.person.name}.")
    if not removal.verified:
        raise StoreError(f"something of them is still in {', '.join(removal.left)}")


@contextmanager
def _opened(config_file: Path | None) -> Iterator[tuple[Settings, Store]]:
    settings = load(find(config_file))
    store = Store.open(settings.store.path(), Vault.open(settings.store))
    try:
        yield settings, store
    finally:
        store.close()


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _report(outcomes: list[Outcome]) -> None:
    """Say what was enrolled and what was refused."""
    for outcome in outcomes:
        for error in outcome.refused:
            err.print(f"[yellow]refused:[/] {escape(str(error))}")
    enrolled = [outcome for outcome in outcomes if outcome.accepted]
    accepted = sum(outcome.accepted for outcome in outcomes)
    refused = sum(len(outcome.refused) for outcome in outcomes)
    for outcome in enrolled[:20]:
        click.echo(f"{outcome.name}: {outcome.accepted} enrolled, {len(outcome.refused)} refused")
    if len(outcomes) > 1:
        click.echo(
            f"{len(enrolled)} of {len(outcomes)} people enrolled from {accepted} photographs, "
            f"{refused} refused"
        )


def _fail_if_refused(outcomes: list[Outcome]) -> None:
    if any(outcome.refused for outcome in outcomes):
        raise SystemExit(ImageError.exit_code)
