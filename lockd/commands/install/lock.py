"""Which versions are installed: `requirements.lock` has every one, with its hashes.

It is one file for all that lockd can be installed for, on x86-64 and aarch64, by Python 3.11 and
later; `make lock` makes it. Below each package stands who needs it, by which the part that
somebody wants is picked. Nothing outside Python's own library is imported here.

    python3 -m lockd.commands.install.lock demo > wanted.txt   # and what lockd itself needs
    pip install --require-hashes --requirement wanted.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockd.errors import InstallError

LOCK = "requirements.lock"
BUILD = "build"
"""The extra that builds lockd itself."""
_OWN = "lockd (pyproject.toml)"
_FIRST = re.compile(r"([A-Za-z0-9._-]+)==([^ ;]+)")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Locked:
    """One version of a package.

    Attributes:
        name: as PyPI normalises it.
        version: of it.
        needed_by: names of packages, and `lockd (pyproject.toml)`.
        text: what pip is told: version, environment and hashes.
    """

    name: str
    version: str
    needed_by: frozenset[str]
    text: str


def read(text: str) -> list[Locked]:
    """Return what is in a lock file.

    Raises:
        InstallError: if it is none.
    """
    found = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"\A(#.*\n)*", "", text)):
        told, _, via = block.partition("    # via ")
        first = _FIRST.match(block)
        if first is None or "--hash=sha256:" not in told or not via:
            raise InstallError(f"{LOCK}: {block[:60]!r} is no line of a lock; get it again")
        needed_by = frozenset(one.strip() for one in via.split(","))
        found.append(Locked(_normal(first[1]), first[2], needed_by, told.rstrip() + "\n"))
    return found


def chosen(lock: Iterable[Locked], direct: Iterable[str]) -> list[Locked]:
    """Return what is needed by some of the packages that lockd names, and by these in turn."""
    wanted, lock = set(direct), list(lock)
    names = {one.name for one in lock if one.name in wanted and _OWN in one.needed_by}
    while True:
        more = {one.name for one in lock if one.needed_by & names} - names
        if not more:
            return [one for one in lock if one.name in names]
        names |= more


def direct(project: Mapping[str, Any], extras: Iterable[str]) -> set[str]:
    """Return the names of packages that pyproject.toml names.

    Args:
        project: its table of that name.
        extras: besides what lockd always needs.
    """
    table = {"": project["dependencies"], **project["optional-dependencies"]}
    names, left = set(), ["", *extras]
    while left:
        for requirement in table[left.pop()]:
            name = _NAME.match(requirement)
            if requirement.startswith("lockd["):
                left += [one.strip() for one in requirement[6:].partition("]")[0].split(",")]
            elif name is not None:
                names.add(_normal(name[0]))
    return names


def requirements(tree: Path, *extras: str) -> str:
    """Return what pip is to install before lockd, as it reads it, by a tree's lock.

    Raises:
        InstallError: if the tree has none.
    """
    try:
        text = (tree / LOCK).read_text("utf-8")
        project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}; get lockd again") from error
    return "".join(one.text for one in chosen(read(text), direct(project, extras)))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.stdout.write(requirements(Path(), BUILD, *sys.argv[1:]))
