"""The commands `lockd backup` and `lockd restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from enroll.opened import sure
from enroll.passphrase import passphrase, passphrase_option
from lockd.adapters.store import opened as open_store
from lockd.commands.backup import archive
from lockd.commands.backup.contents import back_up
from lockd.commands.backup.placing import Placing, Restored
from lockd.commands.install import steps
from lockd.commands.install.system import System
from lockd.config import find, load
from lockd.console import administrator, config_option, counted, err, reported
from lockd.paths import SYSTEM_CONFIG, UNIT, UNIT_FILE

_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_file
@passphrase_option
@config_option
@reported
def backup(file: Path, passphrase_file: Path | None, config_file: Path | None) -> None:
    """Write the whole door into a new encrypted FILE, while it goes on.

    The store and its key, the configuration and what lies beside it, passwords, certificates and
    keys for commands: all it takes to go on with another card (`lockd restore`). Only the
    passphrase protects it.
    """
    found = find(config_file)
    settings = load(found)
    words = passphrase(passphrase_file, confirm=True)
    with open_store(settings.store, writable=True) as store:
        manifest = back_up(
            settings, found, store, file, words, lambda text: err.print(text, style="yellow")
        )
        store.audit.note_backup(administrator(), file)
    for one in manifest.files:
        click.echo(one.path)
    click.echo(
        f"{file}: {counted(len(manifest.files), 'file')}. It is of no use without the passphrase: "
        "keep both, apart from each other and from the door."
    )


@click.command()
@_file
@passphrase_option
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    default=Path("/"),
    help="Put the files below this folder: a card that is mounted there.",
)
@click.option("--replace", is_flag=True, help="Put aside what is there and differs.")
@click.option(
    "--with-removed", is_flag=True, help="Bring back those, too, who were removed here since."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@reported
def restore(
    file: Path,
    passphrase_file: Path | None,
    root: Path,
    replace: bool,
    with_removed: bool,
    yes: bool,
) -> None:
    """Make this door, or one on another card, what it was when FILE was written.

    The backup is looked through before anything is changed. Of a service that runs here the door is
    locked meanwhile. Restore only what you wrote yourself: it says what root runs.
    """
    with archive.opened(file, passphrase(passphrase_file, confirm=False)) as opened:
        manifest = opened.manifest
        click.echo(f"door {manifest.door}, {manifest.made_utc}, lockd {manifest.version}:")
        for one in manifest.files:
            click.echo(f"  {one.path}")
        sure("Restore these?", yes)
        placing = Placing(opened, root, by=administrator())
        config = manifest.item("configuration")
        service = config is not None and config.path == SYSTEM_CONFIG
        with _service_stopped(root) if service else _nothing_to_do():
            done = placing.restore(replace=replace, with_removed=with_removed)
    _tell(done, manifest.made_utc)


@contextmanager
def _nothing_to_do() -> Iterator[None]:
    yield


@contextmanager
def _service_stopped(root: Path) -> Iterator[None]:
    """Stop the service of this machine, which locks the door, and start it with what is new."""
    if root != Path("/") or not Path(UNIT_FILE).exists():
        yield
        return
    system = System(root, say=click.echo)
    runs = system.asks("systemctl", "is-active", UNIT) in ("active", "activating", "reloading")
    if runs:
        system.run("systemctl", "stop", UNIT)
    try:
        yield
        steps.fit(system)
    finally:
        if runs:
            system.run("systemctl", "start", UNIT)


def _tell(done: Restored, made_utc: str) -> None:
    click.echo(f"Restored; people: {done.people}.")
    for name in done.left_out:
        err.print(f"{name} was removed here since, and stays so", markup=False)
    for name in done.kept_out:
        err.print(f"{name} was disabled here since, and stays so", markup=False)
    if done.unknown is not None:
        err.print(
            f"{done.unknown}\nso it is not known who was removed here since", style="yellow",
            markup=False,
        )  # fmt: skip
    for path in done.aside:
        err.print(f"put aside: {path}; delete it once all is well", markup=False)
    err.print(
        f"Rights, PINs, cards and keys for commands are those of {made_utc}: what was taken away "
        "since, take away again.",
        style="yellow",
        markup=False,
    )
