"""The command `lockd-enroll`."""

from __future__ import annotations

import click

from lockd.console import EXIT_CODES, Commands, version_option


@click.group(
    cls=Commands,
    package="enroll",
    table={
        "access": (".managing:access", "Say when somebody may come in."),
        "add": (".adding:add", "Enrol somebody, from photographs or at a camera."),
        "card": (".factors:card", "Give somebody a card, or take it away."),
        "check": (".checking:check", "Look for weak templates and people too alike."),
        "describe": (".managing:describe", "Keep their number elsewhere, notes, consent."),
        "disable": (".managing:disable", "Make somebody a stranger, but keep everything."),
        "drop": (".checking:drop", "Delete templates by their numbers."),
        "enable": (".managing:enable", "Let the door know somebody again."),
        "export": (".transfer:export", "Write people into an encrypted file."),
        "folder": (".adding:folder", "Enrol everybody in a folder of photographs."),
        "forget": (".managing:forget", "Remove somebody, and report what was deleted."),
        "import": (".transfer:import_", "Enrol the people of an exported file."),
        "list": (".showing:list_", "Show who is enrolled."),
        "merge": (".managing:merge", "Make one person out of two."),
        "pin": (".factors:pin", "Give somebody a PIN, or take it away."),
        "re-embed": (".adding:re_embed", "Enrol again whom other networks enrolled."),
        "remove": (".managing:remove", "Forget somebody: templates, rights and details."),
        "report": (".report:report", "Write all that is held on somebody, for them to read."),
        "rename": (".managing:rename", "Give somebody another name."),
        "show": (".showing:show", "Show what is kept of somebody."),
    },
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@version_option("lockd-enroll")
def main() -> None:
    """Say who may open the door. A running service sees each change at its next frame."""
