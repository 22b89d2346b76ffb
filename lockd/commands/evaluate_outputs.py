"""What the evaluations of `lockd evaluate` share besides their options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import Progress

from lockd.console import err
from lockd.errors import ImageError

PLOTS = (".png", ".svg", ".pdf")


def plot_path(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a plot of no known kind."""
    if value is not None and value.suffix.lower() not in PLOTS:
        raise click.BadParameter(f"{value} should end in {', '.join(PLOTS)}")
    return value


def check_outputs(*paths: Path | None) -> None:
    """Refuse files that cannot be written, before the work is done.

    Raises:
        ImageError: if the folder of one is not there.
    """
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise ImageError(
                f"{path}: cannot be written: {path.parent} is no folder; make it first"
            )


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how much is done; the result is told of more of it."""
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
