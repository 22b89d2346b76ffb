"""The commands `lockd install` and `lockd uninstall`."""

from __future__ import annotations

from pathlib import Path

import click

from lockd.commands.install import steps
from lockd.commands.install.system import System
from lockd.console import reported

_dry_run = click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
_root = click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("/"),
    help="Put the files below this folder, for an image; no program is run then.",
)


@click.command()
@_dry_run
@_root
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with every wheel that is needed; then no network is.",
)
@click.option("--console", is_flag=True, help="Pages for a browser, too; see docs/console.md.")
@reported
def install(dry_run: bool, root: Path, wheels: Path | None, console: bool) -> None:
    """Put the service in place on this machine, or bring it up to date.

    Asks nothing and may be repeated. An edited configuration is never touched.
    """
    system = System(root, dry_run=dry_run, say=click.echo)
    steps.install(system, wheels, with_console=console)


@click.command()
@_dry_run
@reported
def rollback(dry_run: bool) -> None:
    """Go back to the version that was in use before; once more goes forth again.

    The service is started again, which locks the door for a moment. If this lockd does not even
    start, call /opt/lockd/.previous/bin/lockd.
    """
    steps.roll_back(System(dry_run=dry_run, say=click.echo))


@click.command()
@_dry_run
@_root
@click.option(
    "--purge",
    is_flag=True,
    help="Delete the configuration and everybody's templates, too. There is no way back.",
)
@reported
def uninstall(dry_run: bool, root: Path, purge: bool) -> None:
    """Stop the service, lock the door, and remove what `lockd install` brought.

    The configuration and the enrolled people stay, unless --purge is given.
    """
    steps.uninstall(System(root, dry_run=dry_run, say=click.echo), purge=purge)
