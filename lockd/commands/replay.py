"""`lockd replay`: the service over a recording."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockd.commands.options import (
    gallery_maker,
    gallery_option,
    liveness_option,
    settings_of,
    with_liveness,
)
from lockd.config import find
from lockd.console import config_option, err, reported
from lockd.identity.liveness import OFF_SAID, Measure

if TYPE_CHECKING:
    from lockd.service.parts import Tally


@click.command("replay")
@click.argument("source")
@gallery_option
@config_option
@liveness_option
@click.option("--realtime", is_flag=True, help="Pace the source like a camera.")
@click.option(
    "--annotate",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.mp4",
    help="Write a film with boxes, names, verdicts and the relay.",
)
@reported
def replay(
    source: str,
    gallery: Path | None,
    config_file: Path | None,
    liveness: list[Measure] | None,
    realtime: bool,
    annotate: Path | None,
) -> None:
    """Run the service over a video file or a folder of pictures.

    The relay is simulated and nothing is published. Prints one JSON line with what is asked
    besides a face, one per event, and one with a summary at the end.
    """
    from lockd.adapters.cameras import pace_of  # noqa: PLC0415
    from lockd.identity.observation import Observation  # noqa: PLC0415
    from lockd.messages import Event  # noqa: PLC0415
    from lockd.ports import Observer  # noqa: PLC0415
    from lockd.service.assembly import open_service  # noqa: PLC0415
    from lockd.types import Frame  # noqa: PLC0415

    _check(annotate, source)
    settings = settings_of(
        config_file,
        relay={"factory": "mock"},
        mqtt={"host": None},
        control={"socket": None},
        inputs={"exit": None, "contact": None, "tamper": None},
        signals={
            "led": None,
            "buzzer": None,
            "left_led": None,
            "right_led": None,
            "screen": True,
        },
    )
    configured = find(config_file) is not None
    settings = with_liveness(settings, liveness, configured=configured)
    camera = settings.camera.from_source(source)
    settings = settings.model_copy(update={"camera": camera})
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    rate, length_s = pace_of(Path(str(camera.source)).expanduser(), camera.fps)

    class Printer(Observer):
        def event(self, event: Event) -> None:
            click.echo(json.dumps(event.as_dict(), ensure_ascii=False))

        def observed(self, frame: Frame, observation: Observation) -> None:
            shown(frame.t)

    with ExitStack() as stack:
        shown = stack.enter_context(_progress(length_s))
        observers: list[Observer] = [Printer()]
        if annotate is not None:
            from lockd.commands.annotated import AnnotatedVideo  # noqa: PLC0415

            film = AnnotatedVideo(annotate, rate)
            stack.callback(film.close)
            observers.append(film)
        service = open_service(
            settings,
            stack,
            as_fast_as_possible=not realtime,
            gallery=gallery_maker(gallery, settings),
            remember=False,
            observers=observers,
        )
        signal.signal(signal.SIGINT, lambda *_: service.stop())
        asked = {"liveness": str(settings.policies().default)}
        if asked["liveness"] == "off":
            asked["warning"] = OFF_SAID
        click.echo(json.dumps({"type": "recording", **asked}))
        stack.callback(lambda: _print_summary(service.tally, asked))
        service.run()


def _check(annotate: Path | None, source: str) -> None:
    """Refuse to write what is no MP4, or over the recording itself.

    Raises:
        click.BadParameter: then.
    """
    if annotate is None:
        return
    if annotate.suffix.lower() != ".mp4":
        raise click.BadParameter(f"{annotate} should end in .mp4", param_hint="--annotate")
    if annotate.exists() and Path(source).exists() and annotate.samefile(source):
        raise click.BadParameter(f"{annotate} is the recording", param_hint="--annotate")


def _print_summary(tally: Tally, asked: dict[str, str]) -> None:
    summary = {
        "type": "summary",
        "frames": tally.frames,
        "faces": tally.faces,
        "judged": tally.judged,
        "relay": [[round(t, 3), "on" if on else "off"] for t, on in tally.relay],
        **asked,
    }
    click.echo(json.dumps(summary))


@contextmanager
def _progress(length_s: float | None) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how far it has come; what is told goes above it.

    Args:
        length_s: of the recording, if it is known.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns,
        console=err,
        transient=True,
        disable=not err.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task("loading", total=None)

        def show(t: float) -> None:
            bar.update(task, description=f"{t:.1f} s", total=length_s, completed=t)

        yield show
