"""Every command that the documents have one type: there is such a one, with such options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from enroll.cli import main as enroll
from lockd.commands.main import main as lockd
from tests.conftest import ROOT

# But for the changelog, which names what is no more.
PAGES = [
    *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md"),
    *ROOT.glob("docs/*.md"),
    ROOT / "models/README.md",
]
PROGRAMS: dict[str, click.Command] = {"lockd": lockd, "lockd-enroll": enroll}
# Of others, before it in the same line: whoever it runs as, and what it is fed by.
BEFORE = r"(?:^|[|;&(]\s*)(?:\$ )?(?:sudo (?:-u \S+ )?|\S*/)?"
# What a figure says that lockd does.
FIGURES = {"starts", "ends,", "was"}
COMMAND = re.compile(BEFORE + r"((?:lockd-enroll|lockd) [^|;&<>)#]*)")


def typed(text: str) -> Iterator[str]:
    """The commands in a page: in its blocks, a line each, and in its sentences' code."""
    text = re.sub(r" *\\\n", " ", text)
    blocks = re.findall(r"^(?: {4,}|\t)(.*)$", text, re.M)
    for line in [*blocks, *re.findall(r"`([^`]+)`", re.sub(r"^ {4,}.*$", "", text, flags=re.M))]:
        for command in COMMAND.findall(" ".join(line.split())):
            if command.split()[1:2] and command.split()[1] not in FIGURES:
                yield command.strip()


def mistake(command: str) -> str | None:
    """Say what is wrong with a command, as far as its names go."""
    program, *words = shlex.split(command.replace("'", "").replace('"', ""))
    at = PROGRAMS[program]
    known = {"--help", "--version"}
    context = click.Context(at)
    for word in words:
        known |= {name for one in at.params for name in (*one.opts, *one.secondary_opts)}
        if word.startswith("-") and word != "-":
            option = word.partition("=")[0].strip("[],.")
            if option not in known:
                return f"{option} is no option of {at.name}"
        elif isinstance(at, click.Group):
            found = at.get_command(context, word.strip("[],.:"))
            if found is None:
                return f"{word} is no command of {at.name}"
            at = found
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    found = {one: mistake(one) for one in typed(page.read_text("utf-8"))}
    assert not {one: wrong for one, wrong in found.items() if wrong}


def test_commands_are_found_where_they_are_typed() -> None:
    page = (
        "    sudo lockd doctor \\\n  --json  # all\n    echo x | lockd send lock\n\nOr `lockd run`."
    )
    assert list(typed(page)) == [
        "lockd doctor --json",
        "lockd send lock",
        "lockd run",
    ]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("lockd doctor --json", None),
        ("lockd console user add ada --role administrator", None),
        ("lockd console user ad ada", "ad is no command of user"),
        ("lockd doctr", "doctr is no command of main"),
        ("lockd-enroll list --jsn", "--jsn is no option of list"),
    ],
)
def test_what_there_is_not_is_noticed(command: str, wrong: str | None) -> None:
    assert mistake(command) == wrong
