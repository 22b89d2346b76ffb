"""Options that several commands share, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from lockd.config import Settings, find, load
from lockd.console import err
from lockd.errors import ImageError

if TYPE_CHECKING:
    from lockd.identity.gallery import Gallery
    from lockd.recognition.recogniser import Vision

gallery_option = click.option(
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Use a folder with one sub-folder of photographs per person instead of the store.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def settings_of(config_file: Path | None, **sections: dict[str, Any]) -> Settings:
    """Read the configuration, with some settings replaced by the command line's."""
    settings = load(find(config_file))
    changed = {
        name: getattr(settings, name).model_copy(update=values)
        for name, values in sections.items()
        if values
    }
    return settings.model_copy(update=changed)


def gallery_maker(folder: Path | None, settings: Settings) -> Callable[[Vision], Gallery] | None:
    """Return what enrols a folder of people, or None to use the store."""
    if folder is None:
        return None
    from lockd.recognition.photographs import gallery_of_folder  # noqa: PLC0415

    def refused(error: ImageError) -> None:
        err.print(f"[yellow]refused:[/] {escape(str(error))}")

    return lambda vision: gallery_of_folder(folder, vision, settings.quality.limits(), refused)
