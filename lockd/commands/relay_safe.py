"""`lockd relay-safe`, by the slow way; the quick one is `lockd.service.relay_safe.main`."""

from __future__ import annotations

from pathlib import Path

import click

from lockd.console import config_option, reported
from lockd.service.relay_safe import lock


@click.command("relay-safe")
@config_option
@reported
def relay_safe(config_file: Path | None) -> None:
    """Drive the relay's pin to its locked level and leave.

    The service manager runs this after the service has ended in whatever way: a
    process that was killed leaves its pin as it was. Which pin that is the service
    left word of; if the configuration says otherwise, both are locked.
    """
    for relay in lock(config_file):
        click.echo(str(relay))
