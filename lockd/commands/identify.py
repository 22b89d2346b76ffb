"""`lockd identify`: who is in a photograph."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.markup import escape

from lockd.commands.options import gallery_maker, gallery_option, settings_of
from lockd.console import config_option, err, printable, reported, shown
from lockd.errors import ImageError


@click.command("identify")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@gallery_option
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON line per image, for machines.")
@click.option(
    "--annotate",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pictures with boxes, landmarks and names into this folder.",
)
@reported
def identify(
    images: tuple[Path, ...],
    gallery: Path | None,
    config_file: Path | None,
    as_json: bool,
    annotate: Path | None,
) -> None:
    """Find the faces in photographs and say who each one is."""
    from lockd.recognition.identifier import Identifier  # noqa: PLC0415

    settings = settings_of(config_file)
    identifier = Identifier(settings, gallery_maker(gallery, settings))
    failures = []
    written: set[Path] = set()
    for path in images:
        try:
            result = identifier.identify(path)
        except ImageError as error:
            failures.append(error)
            err.print(f"[bold red]error:[/] {escape(printable(str(error)))}")
            continue
        told = json.dumps(result.as_dict(), ensure_ascii=False) if as_json else result.as_text()
        click.echo(shown(told))
        if annotate is not None:
            click.echo(shown(f"  written: {result.annotate(annotate, written)}"), err=as_json)
    if failures:
        raise SystemExit(ImageError.exit_code)
