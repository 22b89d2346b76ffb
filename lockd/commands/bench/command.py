"""The command `lockd bench`: what a frame costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lockd.commands.bench.report import as_dict, as_text, compared, load, plot
from lockd.commands.bench.stages import measure
from lockd.commands.options import settings_of
from lockd.console import config_option, reported

_SAVED = click.Path(dir_okay=False, path_type=Path)


@click.command("bench")
@config_option
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True)
@click.option(
    "--templates",
    type=click.IntRange(1, 2_000_000),
    default=1000,
    show_default=True,
    help="How many the gallery has.",
)
@click.option(
    "--limit", is_flag=True, help="Time the detector's bare networks on the same inputs as well."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", "picture", type=_SAVED, help="Draw it: an SVG file.")
@click.option(
    "--compare",
    nargs=2,
    type=_SAVED,
    help="Measure nothing; set two runs that --json printed beside each other.",
)
@reported
def bench(
    config_file: Path | None,
    seconds: float,
    templates: int,
    limit: bool,
    as_json: bool,
    picture: Path | None,
    compare: tuple[Path, Path] | None,
) -> None:
    """Measure on this machine what one frame costs, stage by stage."""
    if compare:
        click.echo(compared(load(compare[0]), load(compare[1])))
        return
    settings = settings_of(config_file)
    measured, vision = measure(settings, seconds, templates)
    run = as_dict(measured, vision, settings, templates)
    click.echo(json.dumps(run) if as_json else as_text(run, limit=limit))
    if picture is not None:
        picture.write_text(plot(run), "utf-8")
