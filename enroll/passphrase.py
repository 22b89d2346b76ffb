"""The passphrase of a file that is encrypted with one: asked for, or out of a file."""

from __future__ import annotations

from pathlib import Path

import click

from enroll.opened import on_a_terminal
from lockd.errors import TransferError
from lockd.files import UnreadableError, read_file

_MAX_PASSPHRASE = 4096

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="Read the passphrase from the first line of a file instead of asking for it.",
)


def passphrase(file: Path | None, *, confirm: bool) -> str:
    """Take the passphrase from a file, or ask for it.

    Raises:
        TransferError: if the file cannot be read, or there is nobody to ask.
    """
    if file is None:
        if not on_a_terminal():
            raise click.UsageError("there is no terminal to ask on; use --passphrase-file")
        return str(
            click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
        )
    try:
        lines = read_file(file, _MAX_PASSPHRASE).decode().splitlines()
    except UnreadableError as error:
        raise TransferError(f"{file}: {error}") from error
    except UnicodeDecodeError as error:
        raise TransferError(
            f"{file}: is no text; put the passphrase into its first line"
        ) from error
    if not lines or not lines[0]:
        raise TransferError(f"{file}: its first line is empty; put the passphrase there")
    return lines[0]
