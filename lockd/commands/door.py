"""`lockd door`: ask and command the service that runs on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lockd.adapters.control import ask
from lockd.commands.options import socket_of
from lockd.console import Choice, config_option, err, reported
from lockd.remote.commands import COMMANDS, DOOR

REFUSED = 1


_HELP = "\n".join(f"  {name:9}  {COMMANDS[name].does}" for name in DOOR)


@click.command(
    "door", epilog=f"\b\nCommands:\n  {'status':9}  what it is doing (the default)\n{_HELP}"
)
@click.argument(
    "command",
    type=Choice(["status", *DOOR]),
    default="status",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="How long to hold it open."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@reported
def door(command: str, seconds: float | None, as_json: bool, config_file: Path | None) -> None:
    """Ask or command the door of the service that runs here."""
    if (command == "hold-open") != (seconds is not None):
        raise click.UsageError("hold-open needs --seconds, and no other command takes it")
    answer = ask(socket_of(config_file), {"command": command, "seconds": seconds or 0})
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for name, value in answer.items():
            click.echo(f"{name}: {value}")
    if answer.get("lasting") is False:
        err.print("[yellow]not written down: a power cut would make the door forget it[/]")
    if answer.get("result") != "ok":
        err.print(f"[bold red]refused:[/] {answer.get('result')}")
        raise SystemExit(REFUSED)
