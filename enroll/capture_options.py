"""The options of `lockd-enroll add NAME --camera`; light, for every command waits for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

DEFAULT_TIMEOUT_S = 120.0
_CONFIGURED = "configured"
_C = TypeVar("_C", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Wishes:
    """How somebody is to be enrolled at a camera.

    Attributes:
        source: the camera, as in ``camera.source``; None for the configured one.
        timeout_s: how long it may take.
        accept_partial: whether to be content with less than everything.
        preview: whether to show each frame taken.
        save_preview: a file for pictures of the frames taken, or None.
        plain: whether to print lines even in a terminal.
        yes: whether to enrol without being asked.
        json_progress: whether programs, and not people, are told how it goes.
    """

    source: str | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    accept_partial: bool = False
    preview: bool = False
    save_preview: Path | None = None
    plain: bool = False
    yes: bool = False
    json_progress: bool = False


def camera_options(command: _C) -> _C:
    """Let a command take the options of a camera, packed into `wishes`: None without one."""

    @functools.wraps(command)
    def wrapper(*args: Any, camera: str | None, timeout: float | None, **options: Any) -> Any:
        given = {name: options.pop(name) for name in _NAMES}
        wishes = None
        if camera is not None:
            source = None if camera == _CONFIGURED else camera
            wishes = Wishes(source, DEFAULT_TIMEOUT_S if timeout is None else timeout, **given)
        elif timeout is not None or any(given.values()):
            name = next((name for name in _NAMES if given[name]), "timeout")
            raise click.UsageError(f"--{name.replace('_', '-')} needs --camera")
        return command(*args, wishes=wishes, **options)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return cast(_C, wrapper)


_NAMES = ("accept_partial", "preview", "save_preview", "plain", "yes", "json_progress")
_OPTIONS = (
    click.option(
        "--camera",
        is_flag=False,
        flag_value=_CONFIGURED,
        metavar="[SOURCE]",
        help="Take them with the configured camera, or with SOURCE (as camera.source).",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=1, max=3600),
        metavar="SECONDS",
        help="How long that may take [default: 120].",
    ),
    click.option("--accept-partial", is_flag=True, help="Be content with what was taken by then."),
    click.option("--preview", is_flag=True, help="Show each frame taken, in the terminal."),
    click.option(
        "--save-preview",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write pictures of the frames taken to FILE (.jpg or .png).",
    ),
    click.option("--plain", is_flag=True, help="Print lines, and move no cursor."),
    click.option("--yes", is_flag=True, help="Enrol without asking at the end."),
    click.option(
        "--json-progress", is_flag=True, help="Print what to do as JSON lines, for programs."
    ),
)
