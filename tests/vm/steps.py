"""What the documents tell an administrator to type, taken from them to be tried as it is."""

from __future__ import annotations

import subprocess
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import dedent

DROP_IN = Path("/etc/systemd/system/lockd.service.d/override.conf")
_EDIT = "sudo systemctl edit lockd"


def block(document: Path, after: str, indent: int = 4) -> str:
    """Return the first indented block behind a line with some words in it."""
    lines = dropwhile(lambda line: after not in line, document.read_text().splitlines())
    rest = list(lines)[1:]
    assert rest, f"{document}: does not say {after!r}"
    inside = " " * indent
    found = takewhile(
        lambda line: line.startswith(inside),
        dropwhile(lambda line: not line.startswith(inside), rest),
    )
    return dedent("\n".join(found)) + "\n"


def fenced(document: Path, after: str) -> str:
    """Return the first block between fences behind a line with some words in it."""
    _, found, rest = document.read_text().partition(after)
    assert found, f"{document}: does not say {after!r}"
    return rest.split("```")[1].partition("\n")[2]


def carry_out(commands: str, folder: Path) -> str:
    """Type commands into a shell, one after the other, until one fails; return what they print."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def edited(commands: str) -> str:
    """Do what `systemctl edit` asks for in an editor; return the commands before it."""
    before, _, typed = commands.partition(f"{_EDIT}\n")
    DROP_IN.parent.mkdir(exist_ok=True)
    with DROP_IN.open("a") as file:
        file.write(dedent(typed))
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    return before
