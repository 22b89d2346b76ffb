"""`lockd replay`: the service over a recording."""

from __future__ import annotations

import json
import logging
import signal
from contextlib import ExitStack
from pathlib import Path

import click

from lockd.commands.options import gallery_maker, gallery_option, settings_of
from lockd.console import config_option, reported


@click.command("replay")
@click.argument("source")
@gallery_option
@config_option
@click.option("--realtime", is_flag=True, help="Pace the source like a camera.")
@reported
def replay(source: str, gallery: Path | None, config_file: Path | None, realtime: bool) -> None:
    """Run the service over a video file or a folder of pictures.

    The relay is simulated and nothing is published. Prints one JSON line per event
    and one with a summary at the end.
    """
    from lockd.messages import Event  # noqa: PLC0415
    from lockd.ports import Observer  # noqa: PLC0415
    from lockd.service.assembly import open_service  # noqa: PLC0415
    from lockd.service.parts import Tally  # noqa: PLC0415

    settings = settings_of(
        config_file,
        relay={"factory": "mock"},
        mqtt={"host": None},
        control={"socket": None},
        inputs={"exit": None, "contact": None, "tamper": None},
        signals={"led": None, "buzzer": None},
    )
    camera = settings.camera.from_source(source)
    settings = settings.model_copy(update={"camera": camera})
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    class Printer(Observer):
        def event(self, event: Event) -> None:
            click.echo(json.dumps(event.as_dict(), ensure_ascii=False))

    def print_summary(tally: Tally) -> None:
        summary = {
            "type": "summary",
            "frames": tally.frames,
            "faces": tally.faces,
            "judged": tally.judged,
            "relay": [[round(t, 3), "on" if on else "off"] for t, on in tally.relay],
        }
        click.echo(json.dumps(summary))

    with ExitStack() as stack:
        service = open_service(
            settings,
            stack,
            as_fast_as_possible=not realtime,
            gallery=gallery_maker(gallery, settings),
            remember=False,
            observers=[Printer()],
        )
        signal.signal(signal.SIGINT, lambda *_: service.stop())
        stack.callback(lambda: print_summary(service.tally))
        service.run()
