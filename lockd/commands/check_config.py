"""`lockd check-config`: every setting in effect, or every mistake."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from lockd.config import find, load
from lockd.console import config_option, err, reported


@click.command("check-config")
@config_option
@reported
def check_config(config_file: Path | None) -> None:
    """Check the configuration and print every setting in effect."""
    path = find(config_file)
    settings = load(path)
    err.print(f"{path or 'no file, the defaults'}: good", style="green")
    click.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), nl=False)
