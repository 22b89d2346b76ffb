"""`lockd command-key`: who may sign commands from afar."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path

import click

from lockd.adapters.keys import LONGEST_FILE, keys_file, read_keys
from lockd.adapters.store import opened
from lockd.config import Settings, find, load
from lockd.console import Group, config_option, err, reported
from lockd.errors import BusError
from lockd.files import (
    UnreadableError,
    acting_for,
    alone_in,
    create_private,
    make_folder,
    owner_of,
    read_file,
    write_over,
)
from lockd.remote.judging import ANYBODY
from lockd.remote.signing import KEY_BYTES

file_option = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of keys [default: mqtt.commands.keys_file, or beside the store].",
)


@click.group("command-key", cls=Group)
def command_key() -> None:
    """Say who may sign commands over MQTT; see docs/commands.md.

    A running service obeys each change at once, unless systemd hands it the keys as a
    credential: then after a restart.
    """


def _identity(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise click.BadParameter(f"{value!r}: use up to 64 of a-z, A-Z, 0-9, _ and -")
    if value == ANYBODY:
        raise click.BadParameter(f"{value!r} means commands without a key; use another")
    return value


@command_key.command()
@click.argument("name", callback=_identity)
@click.option(
    "--person",
    metavar="PERSON",
    help="Whose own it is: with `confirm` they say that it is they who stand at the door.",
)
@file_option
@config_option
@reported
def add(name: str, person: str | None, file: Path | None, config_file: Path | None) -> None:
    """Make a key for NAME and print it, this once.

    What is printed is the line of a key file, as `lockd send --key-file` takes it.
    """
    settings, file = _opened(config_file, file)
    key = secrets.token_hex(KEY_BYTES)
    if person is not None:
        with opened(settings.store) as store:
            key = f"{key} {store.people.named(person).person.id}"

    def added(lines: list[str]) -> list[str]:
        if name in read_keys(file):
            raise BusError(
                f"{file}: {name} has a key already; `lockd command-key remove {name}` first"
            )
        return [*lines, f"{name} {key}"]

    _rewrite(file, added)
    may = ", ".join(_may(settings, name)) or "nothing yet, see mqtt.commands.allow"
    err.print(f"{file}: written. {name} may: {may}")
    click.echo(f"{name} {key}")


@command_key.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@file_option
@config_option
@reported
def list_(as_json: bool, file: Path | None, config_file: Path | None) -> None:
    """Show who has a key, and what they may do; never the keys."""
    settings, file = _opened(config_file, file)
    with acting_for(file.parent):
        keys = read_keys(file) if file.exists() else {}
    names = sorted(keys)
    if as_json:
        click.echo(json.dumps({name: _may(settings, name) for name in names}))
    else:
        for name in names:
            own = f" (person {keys[name].person})" if keys[name].person else ""
            click.echo(f"{name}{own}: {', '.join(_may(settings, name)) or 'nothing'}")
    allowed = {one for who in settings.mqtt.commands.allow.values() for one in who}
    for name in sorted(allowed - set(names)):
        err.print(f"mqtt.commands.allow names {name}, who has no key")


@command_key.command()
@click.argument("name")
@file_option
@config_option
@reported
def remove(name: str, file: Path | None, config_file: Path | None) -> None:
    """Take the key of NAME away; what it signs is of no use from then on."""
    _, file = _opened(config_file, file)

    def removed(lines: list[str]) -> list[str]:
        if name not in read_keys(file):
            raise BusError(f"{file}: {name} has no key; see `lockd command-key list`")
        return [line for line in lines if line.split()[:1] != [name]]

    _rewrite(file, removed)
    click.echo(f"{file}: {name} has no key any more.")


def _opened(config_file: Path | None, file: Path | None) -> tuple[Settings, Path]:
    settings = load(find(config_file))
    return settings, file or keys_file(settings)


def _may(settings: Settings, name: str) -> list[str]:
    return [command for command, who in settings.mqtt.commands.allow.items() if name in who]


def _rewrite(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of a file, whole or not at all; one that is missing is made.

    Raises:
        BusError: if it cannot be written, or as from `change`.
    """
    try:
        make_folder(file.parent)
        with acting_for(file.parent):
            file = file.resolve()  # the file, and not a link to it
            with alone_in(file.parent):
                if not file.exists():
                    create_private(file)
                lines = change(read_file(file, LONGEST_FILE).decode(errors="replace").splitlines())
                uid, gid = owner_of(file)
                content = "".join(f"{line}\n" for line in lines).encode()
                write_over(file, content, uid=uid, gid=gid)
    except UnreadableError as error:
        raise BusError(f"{file}: the command keys cannot be read: {error}") from error
    except OSError as error:
        if isinstance(error, BusError):
            raise
        raise BusError(f"{file}: cannot be written: {error.strerror}; run it as root") from error
