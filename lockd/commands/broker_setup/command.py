"""The command `lockd broker-setup`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lockd.console import err, reported

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _many(*names: str, metavar: str, what: str) -> Callable[[_Command], _Command]:
    return click.option(*names, multiple=True, metavar=metavar, help=f"{what}; may be given again.")


@click.command("broker-setup")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to make, or to complete.",
)
@_many("--door", "doors", metavar="ID", what="A door, by its door.id")
@_many("--user", "readers", metavar="NAME", what="Somebody who may read what doors say")
@_many("--home-assistant", "home_assistants", metavar="NAME", what="A Home Assistant's user")
@_many("--command-user", "commanders", metavar="NAME", what="Somebody who may send commands")
@_many("--host", "hosts", metavar="NAME/IP", what="What clients call the broker [this machine]")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the broker [8883].")
@click.option("--base-topic", help="Of the doors [lockd].")
@click.option("--prefix", help="Of Home Assistant's discovery [homeassistant].")
@click.option("--broker-folder", "folder", help="Where mosquitto reads [/etc/mosquitto/lockd].")
@click.option(
    "--client-certificates", is_flag=True, help="Everybody needs a certificate and a password."
)
@click.option(
    "--renew-certificate", is_flag=True, help="Make new certificates by the same authority."
)
@reported
def broker_setup(
    out: Path,
    doors: tuple[str, ...],
    readers: tuple[str, ...],
    home_assistants: tuple[str, ...],
    commanders: tuple[str, ...],
    hosts: tuple[str, ...],
    port: int | None,
    base_topic: str | None,
    prefix: str | None,
    folder: str | None,
    client_certificates: bool,
    renew_certificate: bool,
) -> None:
    """Make the keys, passwords and access list of a mosquitto for doors.

    Run again with the same folder it keeps what there is and adds what is new. Nothing
    outside the folder is touched; its README says what goes where.
    """
    from lockd.commands.broker_setup.steps import plan_in, set_up  # noqa: PLC0415

    before = plan_in(out)
    here = socket.gethostname()
    usual = (here, f"{here}.local", "localhost", "127.0.0.1")
    plan = before.with_more(
        hosts=hosts or before.hosts or usual,
        port=port,
        folder=folder,
        base_topic=base_topic,
        prefix=prefix,
        doors=doors,
        readers=readers,
        home_assistants=home_assistants,
        commanders=commanders,
        client_certificates=client_certificates or None,
    )
    changes: list[str] = []

    def say(line: str) -> None:
        changes.append(line)
        click.echo(line)

    set_up(out, plan, renew=renew_certificate, say=say)
    if not changes:
        click.echo("Everything is in place; nothing was changed.")
    err.print(f"What goes where is in {out / 'README'}.")
