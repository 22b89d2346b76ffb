"""The command `lockd-enroll`."""

from __future__ import annotations

import click

from enroll.adding import add, folder, re_embed
from enroll.checking import check, drop
from enroll.managing import access, describe, disable, enable, forget, merge, remove, rename
from enroll.showing import list_, show
from enroll.transfer import export, import_
from lockd import __version__
from lockd.console import EXIT_CODES


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockd-enroll")
def main() -> None:
    """Say who may open the door. A running service sees each change at its next frame."""


for command in (
    *(add, folder, re_embed),
    *(list_, show, check),
    *(access, describe, rename, disable, enable, merge, drop, remove, forget),
    *(export, import_),
):
    main.add_command(command)
