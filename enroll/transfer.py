"""To another door or into a safe place: `export`, and back: `import`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from enroll.opened import looked_at, name_argument, nobody, opened
from enroll.passphrase import passphrase, passphrase_option
from enroll.showing import as_json_option
from lockd.console import config_option, counted, print_table, reported
from lockd.errors import PersonError, TransferError
from lockd.files import UnreadableError, read_file, write_over

if TYPE_CHECKING:
    from enroll.importing import Step


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@name_argument("names", nargs=-1)
@passphrase_option
@config_option
@reported
def export(
    file: Path, names: tuple[str, ...], passphrase_file: Path | None, config_file: Path | None
) -> None:
    """Write people into a new encrypted FILE: everybody, or those named.

    With rights, details, PIN and cards (as they are kept), templates and, if they are kept,
    photographs. Only the passphrase protects it: whoever has both has everybody's templates, and
    can try out PINs and card numbers.
    """
    from enroll.portable import pack  # noqa: PLC0415
    from enroll.sealed import seal  # noqa: PLC0415

    with looked_at(config_file) as (_, store):
        if store is None:
            raise nobody(names[0]) if names else PersonError("nobody is enrolled to be exported")
        people = [store.people.named(name) for name in names] or store.people.all()
        people = list({one.person.id: one for one in people}.values())
        content = pack(store, people)
    _write_new(file, seal(content, passphrase(passphrase_file, confirm=True)))
    click.echo(f"{counted(len(people), 'person', 'people')} written to {file}.")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
@click.option("--replace", is_flag=True, help="Also replace people who are enrolled here.")
@click.option(
    "--anyway", metavar="REASON", help="Also take people who look like others; for the audit trail."
)
@click.option("--dry-run", is_flag=True, help="Only show what it would do.")
@as_json_option
@config_option
@reported
def import_(
    file: Path,
    passphrase_file: Path | None,
    replace: bool,
    anyway: str | None,
    dry_run: bool,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Enrol the people of a FILE that `export` wrote.

    Each person is one transaction. Somebody of the same name who is enrolled here is left
    as they are, unless told to --replace them: then templates, rights and details are the
    file's. People who look like somebody else here are refused, and so are templates of
    other networks.
    """
    from enroll.importing import Importer  # noqa: PLC0415
    from enroll.portable import unpack  # noqa: PLC0415
    from enroll.sealed import MAX_BYTES, unseal  # noqa: PLC0415

    try:
        sealed = read_file(file, MAX_BYTES)
    except UnreadableError as error:
        raise TransferError(f"{file}: {error}") from error
    content = unseal(sealed, passphrase(passphrase_file, confirm=False), str(file))
    del sealed
    people = unpack(content, str(file))
    del content
    with opened(config_file) as (settings, store):
        importer = Importer(settings, store, replace=replace, anyway=anyway)
        steps = [importer.step(one, write=not dry_run) for one in people]
    _report(steps, as_json, dry_run)
    if any(one.refused for one in steps):
        raise SystemExit(PersonError.exit_code)


def _write_new(path: Path, content: bytes) -> None:
    """Write a private file that was not there.

    Raises:
        TransferError: if it is there, or cannot be written.
    """
    try:
        write_over(path, content, new=True)
    except FileExistsError:
        raise TransferError(f"{path}: is there already; name a new file") from None
    except OSError as error:
        raise TransferError(f"{path}: {error.strerror}; nothing was written") from error


def _report(steps: list[Step], as_json: bool, dry_run: bool) -> None:
    if as_json:
        rows: list[dict[str, Any]] = [one.as_json() for one in steps]
        click.echo(json.dumps({"dry_run": dry_run, "people": rows}, ensure_ascii=False))
        return
    table = Table("Name", "Templates", "Would be" if dry_run else "Was", "Why")
    for one in steps:
        table.add_row(escape(one.name), str(one.templates), one.action, escape(one.why))
    print_table(table, "Name")
