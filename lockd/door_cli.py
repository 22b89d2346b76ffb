"""`lockd door`: ask and command the service that runs on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lockd.adapters.control import ask
from lockd.config import find, load
from lockd.console import config_option, err, reported
from lockd.errors import ControlError

SYSTEM_SOCKET = Path("/run/lockd/control")
REFUSED = 1


@click.command("door")
@click.argument(
    "command",
    type=click.Choice(["status", "unlock", "lock", "lock-down", "lift", "hold-open"]),
    default="status",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="How long to hold it open."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@reported
def door(command: str, seconds: float | None, as_json: bool, config_file: Path | None) -> None:
    r"""Ask or command the door of the service that runs here.

    \b
    status     what it is doing (the default)
    unlock     release it once
    lock       lock at once; ends holding open
    lock-down  nobody comes in until it is lifted
    lift       end lock-down and lock-out
    hold-open  hold it open for --seconds, where door.hold_open_longest_s allows it
    """
    if (command == "hold-open") != (seconds is not None):
        raise click.UsageError("hold-open needs --seconds, and no other command takes it")
    answer = ask(_socket(config_file), {"command": command, "seconds": seconds or 0})
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for name, value in answer.items():
            click.echo(f"{name}: {value}")
    if answer.get("result") != "ok":
        err.print(f"[bold red]refused:[/] {answer.get('result')}")
        raise SystemExit(REFUSED)


def _socket(config_file: Path | None) -> Path:
    path = load(find(config_file)).control.path()
    if path is None and not SYSTEM_SOCKET.exists():
        raise ControlError(
            f"no lockd listens: {SYSTEM_SOCKET} is not there, and control.socket is not set"
        )
    return path or SYSTEM_SOCKET
