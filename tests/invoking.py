"""Running the commands within the tests' own process."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.testing import CliRunner, Result

Run = Callable[..., Result]


def invoke(command: click.Command, *arguments: object) -> Result:
    """Run a command; what it did not mean to raise is raised here."""
    result = CliRunner().invoke(command, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
