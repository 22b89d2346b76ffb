"""The command `lockd`."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from rich.markup import escape

from lockd import __version__
from lockd.commands import Commands
from lockd.config import Settings, find, load
from lockd.config.files import ENVIRONMENT
from lockd.console import EXIT_CODES, config_option, err, log_to_stderr, reported, signals_heard
from lockd.errors import ImageError

if TYPE_CHECKING:
    from lockd.identity.gallery import Gallery
    from lockd.watcher import Vision


@click.group(
    cls=Commands,
    elsewhere={
        "broker-setup": "lockd.broker_setup.command:broker_setup",
        "calibrate": "lockd.calibration_cli:calibrate",
        "command-key": "lockd.command_key_cli:command_key",
        "doctor": "lockd.doctor.command:doctor",
        "door": "lockd.door_cli:door",
        "evaluate": "lockd.evaluation.cli:evaluate",
        "home-assistant": "lockd.homeassistant_cli:home_assistant",
        "install": "lockd.install.command:install",
        "send": "lockd.send_cli:send",
        "store": "lockd.store_cli:store",
        "uninstall": "lockd.install.command:uninstall",
        "watch": "lockd.watch.command:watch",
    },
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="lockd")
def main() -> None:
    """A door that knows its people."""


gallery_option = click.option(
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Use a folder with one sub-folder of photographs per person instead of the store.",
)


def _settings(config_file: Path | None, **sections: dict[str, Any]) -> Settings:
    """Read the configuration, with some settings replaced by the command line's."""
    settings = load(find(config_file))
    changed = {
        name: getattr(settings, name).model_copy(update=values)
        for name, values in sections.items()
        if values
    }
    return settings.model_copy(update=changed)


@main.command()
@config_option
@reported
def run(config_file: Path | None) -> None:
    """Run the service: watch the camera and open the door."""
    from lockd.assembly import Runner  # noqa: PLC0415

    if config_file is not None:  # for the commands that the service starts
        os.environ[ENVIRONMENT] = str(config_file.resolve())

    def read() -> Settings:
        settings = load(find(config_file))
        log_to_stderr(settings.log)
        return settings

    runner = Runner(read)
    handlers: dict[int, Callable[[], None]] = {
        signal.SIGTERM: runner.stop,
        signal.SIGINT: runner.stop,
        signal.SIGHUP: runner.reload,
    }
    with signals_heard(handlers):
        runner.run()


@main.command()
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
    from lockd.assembly import open_service  # noqa: PLC0415
    from lockd.messages import Event  # noqa: PLC0415
    from lockd.parts import Tally, Watchers  # noqa: PLC0415

    settings = _settings(
        config_file,
        camera={"source": source},
        relay={"factory": "mock"},
        mqtt={"host": None},
        control={"socket": None},
        inputs={"exit": None, "contact": None, "tamper": None},
        signals={"led": None, "buzzer": None},
    )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    def print_event(event: Event) -> None:
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
            gallery=_gallery_maker(gallery, settings),
            remember=False,
            watchers=Watchers(event=print_event),
        )
        signal.signal(signal.SIGINT, lambda *_: service.stop())
        stack.callback(lambda: print_summary(service.tally))
        service.run()


@main.command()
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
    from lockd.identify import Identifier  # noqa: PLC0415

    settings = _settings(config_file)
    identifier = Identifier(settings, _gallery_maker(gallery, settings))
    failures = []
    written: set[Path] = set()
    for path in images:
        try:
            result = identifier.identify(path)
        except ImageError as error:
            failures.append(error)
            err.print(f"[bold red]error:[/] {escape(str(error))}")
            continue
        click.echo(
            json.dumps(result.as_dict(), ensure_ascii=False) if as_json else result.as_text()
        )
        if annotate is not None:
            click.echo(f"  written: {result.annotate(annotate, written)}", err=as_json)
    if failures:
        raise SystemExit(ImageError.exit_code)


@main.command()
@click.option("--camera", type=click.IntRange(0), help="Use this camera instead of the clip.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the broker [a free one]."
)
@reported
def demo(camera: int | None, port: int) -> None:
    """Watch the whole system work, with a simulated relay and a broker of its own."""
    from lockd.demo import Demo  # noqa: PLC0415

    logging.basicConfig(level=logging.ERROR)
    if not Demo(camera, port).run():
        raise SystemExit(1)


@main.command()
@config_option
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True)
@click.option(
    "--templates",
    type=click.IntRange(1, 2_000_000),
    default=1000,
    show_default=True,
    help="How many the gallery has.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reported
def bench(config_file: Path | None, seconds: float, templates: int, as_json: bool) -> None:
    """Measure on this machine what one frame costs, stage by stage."""
    from lockd.bench import measure  # noqa: PLC0415

    result = measure(_settings(config_file), seconds, templates)
    click.echo(json.dumps(result.as_dict()) if as_json else result.as_text())


@main.command("relay-safe")
@config_option
@reported
def relay_safe(config_file: Path | None) -> None:
    """Drive the relay's pin to its locked level and leave.

    The service manager runs this after the service has ended in whatever way: a
    process that was killed leaves its pin as it was. Which pin that is the service
    left word of; without it the configuration counts.
    """
    from lockd.relay_safe import lock  # noqa: PLC0415

    click.echo(str(lock(config_file)))


@main.command("check-config")
@config_option
@reported
def check_config(config_file: Path | None) -> None:
    """Check the configuration and print every setting in effect."""
    path = find(config_file)
    settings = load(path)
    err.print(f"{path or 'no file, the defaults'}: good", style="green")
    click.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), nl=False)


def _gallery_maker(folder: Path | None, settings: Settings) -> Callable[[Vision], Gallery] | None:
    """Return what enrols a folder of people, or None to use the store."""
    if folder is None:
        return None
    from lockd.photographs import gallery_of_folder  # noqa: PLC0415

    def refused(error: ImageError) -> None:
        err.print(f"[yellow]refused:[/] {escape(str(error))}")

    return lambda vision: gallery_of_folder(folder, vision, settings.quality.limits(), refused)


if __name__ == "__main__":
    main()
