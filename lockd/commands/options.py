"""Options that several commands share, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from lockd.adapters.control import SYSTEM_SOCKET
from lockd.config import Settings, find, load
from lockd.console import err, printable
from lockd.errors import ControlError, ImageError
from lockd.identity.liveness import Measure, Policy

if TYPE_CHECKING:
    from lockd.identity.gallery import Gallery
    from lockd.recognition.photographs import People
    from lockd.recognition.recogniser import Vision

gallery_option = click.option(
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Use a folder with one sub-folder of photographs per person instead of the store.",
)


def _measures(_: click.Context, __: click.Parameter, text: str | None) -> list[Measure] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.replace("+", ",").split(",")]
    unknown = [word for word in words if word not in list(Measure)]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no policy; there are {', '.join(Measure)}")
    try:
        Policy.of(map(Measure, words))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return list(map(Measure, words))


liveness_option = click.option(
    "--liveness",
    metavar="POLICY",
    callback=_measures,
    help="What is asked besides a face, such as graded or passive,second_factor, for everybody. "
    "Without a configuration: off, for a recording cannot be asked to turn its head.",
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


def socket_of(config_file: Path | None) -> Path:
    """Return where the service of this machine listens.

    Raises:
        ControlError: if nothing listens anywhere.
    """
    path = load(find(config_file)).control.path()
    if path is None and not SYSTEM_SOCKET.exists():
        raise ControlError(
            f"no lockd listens: {SYSTEM_SOCKET} is not there, and control.socket is not set"
        )
    return path or SYSTEM_SOCKET


def with_liveness(
    settings: Settings, measures: list[Measure] | None, *, configured: bool
) -> Settings:
    """Return settings for a recording, with what it is to show besides a face.

    Args:
        measures: asked for on the command line, for everybody, or None.
        configured: whether there is a configuration; without one nothing is asked.
    """
    if measures is None:
        if configured:
            return settings
        measures = [Measure.OFF]
    groups = {
        name: group.model_copy(update={"liveness": None})
        for name, group in settings.access.groups.items()
    }
    return settings.model_copy(
        update={
            "liveness": settings.liveness.model_copy(update={"policy": measures}),
            "access": settings.access.model_copy(update={"groups": groups}),
        }
    )


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
