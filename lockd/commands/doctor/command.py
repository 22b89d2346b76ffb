"""The command `lockd doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from lockd.commands.doctor.findings import Check, Finding, Machine, Status
from lockd.console import config_option, reported

_COLOURS = {
    Status.OK: "green",
    Status.SKIPPED: "dim",
    Status.WARNING: "yellow",
    Status.PROBLEM: "bold red",
}
_NAME = len("configuration")


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.option(
    "--save-frame",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the camera's picture in this file; otherwise none is kept.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="CHECK",
    help="Make this check only, such as camera; may be given again.",
)
@reported
def doctor(
    config_file: Path | None, as_json: bool, save_frame: Path | None, only: tuple[str, ...]
) -> None:
    """Check this machine: what is wrong with it, and how to mend it.

    Changes nothing and never moves the relay. Best run as root, which may look
    everywhere. Ends with exit code 1 if there is a problem.
    """
    from lockd.commands.doctor.examine import examine  # noqa: PLC0415
    from lockd.commands.doctor.table import CHECKS  # noqa: PLC0415

    names = [check.name for check in CHECKS]
    if unknown := [name for name in only if name not in names]:
        raise click.BadParameter(f"{unknown[0]} is no check; there are {', '.join(names)}")
    checks = [check for check in CHECKS if not only or check.name in only]
    machine = Machine(config_file, save_frame)
    found: list[tuple[Check, Finding]] = []
    console = Console(highlight=False, soft_wrap=True)
    for check, findings in examine(checks, machine):
        for finding in findings:
            found.append((check, finding))
            if not as_json:
                _show(console, check, finding)
    if as_json:
        rows = [{"check": check.name, **finding.as_dict()} for check, finding in found]
        click.echo(json.dumps({"schema": 1, "checks": rows}, ensure_ascii=False))
    else:
        console.print(f"\n{_summary([finding for _, finding in found])}")
    if any(finding.status is Status.PROBLEM for _, finding in found):
        raise SystemExit(1)


def _show(console: Console, check: Check, finding: Finding) -> None:
    indent = "\n" + " " * (_NAME + 11)
    text = escape(finding.text).replace("\n", indent)
    colour = _COLOURS[finding.status]
    console.print(f"[{colour}]{finding.status.value:8}[/] {check.name:{_NAME}}  {text}")
    if finding.mend:
        console.print(f"{indent[1:]}-> {escape(finding.mend)}")


def _summary(findings: list[Finding]) -> str:
    counts = {status: sum(one.status is status for one in findings) for status in Status}
    if not counts[Status.PROBLEM] + counts[Status.WARNING]:
        return "Nothing is wrong."
    words = [
        f"{count} {status.value}{'s' if count > 1 else ''}"
        for status in (Status.PROBLEM, Status.WARNING)
        if (count := counts[status])
    ]
    return ", ".join(words) + "."
