"""Options that several commands share, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from lockd.config import Settings, find, load
from lockd.console import err, printable
from lockd.errors import ImageError

if TYPE_CHECKING:
    from lockd.identity.gallery import Gallery
    from lockd.recognition.photographs import People
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


def tell_passed_over(people: People) -> None:
    """Say what in a folder of people is nobody's, and whose folders were put together."""
    for remark in people.remarks:
        err.print(f"[yellow]note:[/] {escape(printable(remark))}")
    for error in people.passed_over.values():
        err.print(f"[yellow]passed over:[/] {escape(printable(str(error)))}")


def gallery_maker(folder: Path | None, settings: Settings) -> Callable[[Vision], Gallery] | None:
    """Return what enrols a folder of people, or None to use the store.

    Raises:
        ImageError: if the folder holds nobody at all.
    """
    if folder is None:
        return None
    from lockd.recognition.photographs import gallery_of, people_in  # noqa: PLC0415

    people = people_in(folder)
    tell_passed_over(people)

    def refused(error: ImageError) -> None:
        err.print(f"[yellow]refused:[/] {escape(printable(str(error)))}")

    return lambda vision: gallery_of(people, vision, settings.quality.limits(), refused)
