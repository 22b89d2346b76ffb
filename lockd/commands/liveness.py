"""`lockd liveness`: what this door knows of living faces, and learning it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lockd.adapters.control import ask
from lockd.commands.options import socket_of
from lockd.console import Choice, config_option, err, reported

REFUSED = 1


@click.command("liveness")
@click.argument("action", type=Choice(["status", "calibrate", "reset"]), default="status")
@click.option(
    "--minutes",
    type=click.FloatRange(min=1, max=480),
    default=30.0,
    show_default=True,
    help="How long you vouch for everybody who comes, with calibrate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@reported
def liveness(action: str, minutes: float, as_json: bool, config_file: Path | None) -> None:
    r"""Say how this door tells people from pictures of them.

    The network's scores mean something only beside those of people who were live at this very
    door. They are learnt from visits that passed a challenge, until there are enough.

    \b
    status     what is asked, how many visits were learnt from, and whether scores have moved
    calibrate  learn anew from everybody recognised in the next minutes: stay there and watch.
               Nobody is let in meanwhile without a challenge
    reset      forget all of it: everybody is challenged until the door has learnt again
    """
    request = {"command": "liveness", "action": action, "seconds": minutes * 60}
    answer = ask(socket_of(config_file), request)
    if as_json:
        click.echo(json.dumps(answer))
    elif answer.get("result") == "ok":
        click.echo("\n".join(_lines(answer)))
    if answer.get("result") != "ok":
        err.print(f"[bold red]refused:[/] {answer.get('reason', answer.get('result'))}")
        raise SystemExit(REFUSED)


def _lines(answer: dict[str, Any]) -> list[str]:
    lines = [f"policy: {answer['policy']}"]
    lines += [f"policy of {name}: {policy}" for name, policy in answer["groups"].items()]
    learnt = f"{answer['scores']} of {answer['needed']} visits"
    if answer["vouching_s"]:
        lines.append(f"learning from everybody for {answer['vouching_s']} s more: {learnt}")
    elif not answer["calibrated"]:
        lines.append(f"not calibrated yet, so everybody is challenged: {learnt}")
    else:
        lines.append(f"calibrated with {answer['scores']} visits")
    lines += [f"  {share} of the live score at most {value}"
              for share, value in answer["quantiles"].items()]  # fmt: skip
    if answer["moved"]:
        lines.append("the scores of late are of another kind: calibrate anew")
    return lines
