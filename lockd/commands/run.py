"""`lockd run`: the service."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import click

from lockd.config import Settings, find, load
from lockd.console import config_option, log_to_stderr, reported, signals_heard
from lockd.paths import CONFIG_VARIABLE


@click.command("run")
@config_option
@reported
def run(config_file: Path | None) -> None:
    """Run the service: watch the camera and open the door."""
    from lockd.service.assembly import Runner  # noqa: PLC0415

    if config_file is not None:  # for the commands that the service starts
        os.environ[CONFIG_VARIABLE] = str(config_file.resolve())

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
    with signals_heard(handlers) as hears:
        runner.run({"signal-listener": hears})
