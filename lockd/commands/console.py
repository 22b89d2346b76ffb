"""`lockd console`: pages for a browser, and who may use them."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click

from lockd.console import Choice, reported
from lockd.paths import CONSOLE_RUNTIME, CONSOLE_STATE, by_systemd
from lockd.remote.roles import Role

_ROLES = [one.value for one in Role]

state_option = click.option(
    "--state",
    "state",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: by_systemd("STATE") or Path(CONSOLE_STATE),
    help=f"The console's folder [default: {CONSOLE_STATE}].",
)
role_option = click.option(
    "--role", type=Choice(_ROLES), required=True, help="What they may: each what those before may."
)


@click.group()
def console() -> None:
    """Pages for a browser: run them, and say who may use them. See docs/console.md."""


@console.command()
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    default=Path(CONSOLE_RUNTIME) / "control",
    help=f"Where the service hears it [default: {CONSOLE_RUNTIME}/control].",
)
@state_option
@reported
def run(socket: Path, state: Path) -> None:
    """Serve the console; systemd does that."""
    import logging  # noqa: PLC0415

    from lockd.errors import LockdError  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        from lockd.web.server import serve  # noqa: PLC0415
    except ImportError as error:
        raise LockdError(
            f"the console needs {error.name}, which is not installed; `lockd install --console` "
            "brings it, or pip install 'lockd[console]'"
        ) from error
    serve(socket, state)


@console.group()
def user() -> None:
    """Who may log in."""


@user.command("add")
@click.argument("name")
@role_option
@state_option
@reported
def add_user(name: str, role: str, state: Path) -> None:
    """Let NAME log in; asks for a password, or reads it from standard input."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    Accounts(state).add_user(name, _password(), Role(role))
    click.echo(f"{name}: {role}")


@user.command("list")
@state_option
@reported
def list_users(state: Path) -> None:
    """Show who may log in."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    for one in Accounts(state).users().values():
        second = "  one-time passwords" if one.totp else ""
        click.echo(f"{one.name:20}  {one.role:13}  since {one.created_utc}{second}")


@user.command("remove")
@click.argument("name")
@state_option
@reported
def remove_user(name: str, state: Path) -> None:
    """Let NAME log in no more; whoever is logged in so is logged out."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    Accounts(state).remove_user(name)
    click.echo(f"{name}: removed")


@user.command("passwd")
@click.argument("name")
@click.option("--role", type=Choice(_ROLES), help="Change the role instead.")
@state_option
@reported
def passwd(name: str, role: str | None, state: Path) -> None:
    """Give NAME another password, or role; their sessions end."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    if role is not None:
        Accounts(state).change_user(name, role=Role(role))
    else:
        Accounts(state).change_user(name, password=_password())
    click.echo(f"{name}: changed, and logged out everywhere")


@user.command("totp")
@click.argument("name")
@click.option("--off", is_flag=True, help="Ask for none any more.")
@state_option
@reported
def totp(name: str, off: bool, state: Path) -> None:
    """Ask NAME for a one-time password of an app, too; says what to set that up with."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415
    from lockd.web.totp import new_secret, uri  # noqa: PLC0415

    secret = "" if off else new_secret()
    Accounts(state).change_user(name, totp=secret)
    click.echo(f"{name}: no one-time passwords" if off else uri(secret, name, os.uname().nodename))


@console.group()
def token() -> None:
    """Which programs may ask."""


@token.command("add")
@click.argument("name")
@role_option
@state_option
@reported
def add_token(name: str, role: str, state: Path) -> None:
    """Make a token for the program NAME and show it: that cannot be done again."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    click.echo(Accounts(state).add_token(name, Role(role)))


@token.command("list")
@state_option
@reported
def list_tokens(state: Path) -> None:
    """Show which programs may ask."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    for one in Accounts(state).tokens().values():
        click.echo(f"{one.name:20}  {one.role:13}  since {one.created_utc}")


@token.command("revoke")
@click.argument("name")
@state_option
@reported
def revoke_token(name: str, state: Path) -> None:
    """Make the token of NAME worthless."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    Accounts(state).remove_token(name)
    click.echo(f"{name}: revoked")


def _password() -> str:
    """What is typed twice, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise click.UsageError("these were two different passwords")
    return first
