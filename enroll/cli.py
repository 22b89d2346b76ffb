"""The command `lockd-enroll`."""

from __future__ import annotations

import click

from lockd import __version__
from lockd.commands import Commands
from lockd.console import EXIT_CODES


@click.group(
    cls=Commands,
    elsewhere={
        "access": "enroll.managing:access",
        "add": "enroll.adding:add",
        "check": "enroll.checking:check",
        "describe": "enroll.managing:describe",
        "disable": "enroll.managing:disable",
        "drop": "enroll.checking:drop",
        "enable": "enroll.managing:enable",
        "export": "enroll.transfer:export",
        "folder": "enroll.adding:folder",
        "forget": "enroll.managing:forget",
        "import": "enroll.transfer:import_",
        "list": "enroll.showing:list_",
        "merge": "enroll.managing:merge",
        "re-embed": "enroll.adding:re_embed",
        "remove": "enroll.managing:remove",
        "rename": "enroll.managing:rename",
        "show": "enroll.showing:show",
    },
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="lockd-enroll")
def main() -> None:
    """Say who may open the door. A running service sees each change at its next frame."""
