"""`lockd store`: is it whole, copies of it, and what it knows of the past."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from lockd.adapters.store import Returning, Store, StrangerPicture, Vault, restore
from lockd.adapters.store import make_key as write_key
from lockd.adapters.store import opened as open_store
from lockd.config import Settings, find, load
from lockd.console import Group, administrator, config_option, counted, err, print_table, reported
from lockd.errors import StoreError
from lockd.files import write_over

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many."
)


@click.group("store", cls=Group)
def store() -> None:
    """Look after the people and their templates on disk; see docs/store.md."""


@store.command()
@click.option(
    "--mend",
    is_flag=True,
    help="Put back what was changed past lockd; delete templates and photographs that do not open.",
)
@json_option
@config_option
@reported
def check(mend: bool, as_json: bool, config_file: Path | None) -> None:
    """Look at everything: the file, the key, each template, rights, the audit trail, who may read.

    And whether it is the latest: whom an older copy turned back.

    Ends with exit code 5 if something is wrong.
    """
    with _opened(config_file, writable=mend) as (settings, opened):
        if mend:
            if put_back := opened.care.put_back(by=administrator()):
                err.print(f"{counted(put_back, 'person', 'people')} put back as they were sealed")
            count = opened.care.mend(by=administrator())
            err.print(
                f"{counted(count, 'template or photograph', 'templates or photographs')} deleted"
            )
        faults = opened.care.examine()
        people = opened.people.all()
        templates = sum(one.templates for one in people)
    path = settings.store.path()
    if as_json:
        values = {
            "store": str(path),
            "people": len(people),
            "templates": templates,
            "faults": [one.text for one in faults],
        }
        click.echo(json.dumps(values, ensure_ascii=False))
    else:
        for one in faults:
            click.echo(one.text)
        if not faults:
            click.echo(f"{path}: whole; people: {len(people)}, templates: {templates}")
    if faults:
        raise SystemExit(StoreError.exit_code)


@store.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@reported
def backup(file: Path, config_file: Path | None) -> None:
    """Copy the store into FILE while the service goes on."""
    with _opened(config_file, writable=True) as (settings, opened):
        opened.care.backup(file, by=administrator())
    key = Vault.open(settings.store).key_file
    click.echo(f"{file}: written. It is of no use without the key {key}: keep a copy elsewhere.")


@store.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@reported
def confirm(yes: bool, config_file: Path | None) -> None:
    """Take a store that is older than it should be for the latest.

    Shows why nobody is recognised by it, and whom it turns back: remove or disable them
    first. People whose own record was altered stay strangers; see `check --mend`.
    """
    with _opened(config_file, writable=True) as (settings, opened):
        faults = opened.care.turned_back()
        for one in faults:
            click.echo(one.text)
        if not faults:
            click.echo(f"{settings.store.path()}: is the latest; there is nothing to confirm")
            return
        if not yes:
            _ask("Are these the people who may come in from now on?", "--yes")
        opened.care.confirm(by=administrator())
    click.echo("Confirmed. The door knows them again.")


def _ask(question: str, option: str) -> None:
    """Ask on a terminal.

    Raises:
        StoreError: if there is nobody to ask.
        click.Abort: if the answer is no.
    """
    if not sys.stdin.isatty():
        raise StoreError(f"nobody is there to be asked; nothing was changed; use {option}")
    click.confirm(question, abort=True, err=True)


@store.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--replace", is_flag=True, help="Put a store aside that cannot be used.")
@click.option("--bring-back", is_flag=True, help="With those who were removed or disabled since.")
@click.option("--leave-out", is_flag=True, help="Without those who were removed or disabled since.")
@config_option
@reported
def restore_(
    file: Path, replace: bool, bring_back: bool, leave_out: bool, config_file: Path | None
) -> None:
    """Make the people those of the backup FILE, if nothing is wrong with it.

    A running service sees them at its next frame. Events and the audit trail stay. Whoever
    was removed or disabled since comes back only if you say so.
    """
    if bring_back and leave_out:
        raise click.UsageError("--bring-back and --leave-out exclude each other")

    def answer(back: list[Returning]) -> bool:
        if not (bring_back or leave_out):
            for one in back:
                err.print(f"{one.name} was {one.why} since this backup", markup=False)
            return click.confirm("Bring them back? (No leaves them out.)", err=True)
        return bring_back

    settings = load(find(config_file)).store
    people = restore(
        *(settings.path(), file, Vault.open(settings)),
        by=administrator(),
        replace=replace,
        generation_file=settings.generation_file,
        answer=answer if bring_back or leave_out or sys.stdin.isatty() else None,
    )
    click.echo(f"{settings.path()}: people: {people}, as in {file}")


@store.command()
@config_option
@reported
def vacuum(config_file: Path | None) -> None:
    """Write the file anew, without the room of what was deleted."""
    with _opened(config_file, writable=True) as (settings, opened):
        before, now = opened.care.vacuum()
    click.echo(f"{settings.store.path()}: {before} bytes before, {now} now")


@store.command()
@limit_option
@json_option
@config_option
@reported
def audit(limit: int, as_json: bool, config_file: Path | None) -> None:
    """Show who changed what, the last change first."""
    with _opened(config_file) as (_, opened):
        entries = opened.audit.latest(limit)
        names = {one.person.id: one.person.name for one in opened.people.all()}
    rows: list[dict[str, Any]] = [
        {
            "utc": one.utc,
            "by": one.by,
            "action": one.action,
            "person_id": one.person_id,
            "person": names.get(one.person_id or ""),
            "note": one.note,
        }
        for one in entries
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table("Time (UTC)", "By", "Action", "Person", "Note")
    for row in rows:
        whom = row["person"] or row["person_id"]
        cells = (row["utc"], row["by"], row["action"], whom, row["note"])
        table.add_row(*(escape(str(cell or "")) for cell in cells))
    print_table(table, "Time (UTC)", "By", "Action", "Person")


@store.command()
@limit_option
@config_option
@reported
def events(limit: int, config_file: Path | None) -> None:
    """Print the events that were kept (store.keep_events_days), the last first, as JSON lines."""
    with _opened(config_file) as (_, opened):
        for event in opened.events.latest(limit):
            click.echo(json.dumps(event, ensure_ascii=False))


@store.command()
@click.option(
    "--save",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Write the pictures into a folder, as JPEGs.",
)
@click.option("--forget", "numbers", type=int, multiple=True, help="Delete one, by its number.")
@click.option("--forget-all", is_flag=True, help="Delete all of them.")
@json_option
@config_option
@reported
def strangers(
    folder: Path | None,
    numbers: tuple[int, ...],
    forget_all: bool,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Show which pictures of strangers are kept (store.keep_strangers), the last first."""
    changing = bool(numbers or forget_all)
    if changing and folder is not None:
        raise click.UsageError("--save and --forget exclude each other")
    with _opened(config_file, writable=changing) as (_, opened):
        kept = opened.strangers.all()
        if changing:
            wanted = [one.id for one in kept] if forget_all else numbers
            deleted = opened.strangers.forget(wanted, by=administrator())
            click.echo(f"{counted(deleted, 'picture')} deleted")
            return
        if folder is not None:
            for one in kept:
                _save(folder, one, opened.strangers.picture(one.id))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in kept]))
        return
    for one in kept:
        click.echo(f"{one.id}: {one.utc}, event {one.event_id}")
    if not kept:
        click.echo("No picture of a stranger is kept.")


def _save(folder: Path, one: StrangerPicture, picture: bytes | None) -> None:
    file = folder / f"stranger-{one.id}-{one.utc[:19].replace(':', '')}.jpg"
    if picture is None:
        err.print(f"picture {one.id} is damaged and left out", style="yellow")
        return
    try:
        write_over(file, picture)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}") from error


@store.command("make-key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@reported
def make_key(file: Path) -> None:
    """Make a key in FILE, for store.key_file or a systemd credential."""
    try:
        made = write_key(file)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}") from error
    if not made:
        raise StoreError(f"{file}: is there already; a key is never overwritten")
    click.echo(f"{file}: written. Keep a copy elsewhere: without it nobody's templates open.")


@contextmanager
def _opened(
    config_file: Path | None, *, writable: bool = False
) -> Iterator[tuple[Settings, Store]]:
    settings = load(find(config_file))
    with open_store(settings.store, writable=writable) as opened:
        yield settings, opened
