"""What a check says, and what it may ask of the machine."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from lockd.config import Settings, find, load
from lockd.paths import ASKED_BY_SERVICE, DROP_INS, UNIT, UNIT_FILE

INSTALL = "run `sudo lockd install`"
_COMMAND_S = 8.0
_LOADED = re.compile(r"^LoadCredential=([^:\s]+):(/.*?)\s*$", re.MULTILINE)


class Status(StrEnum):
    """How a check ended, from the best on."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        status: how grave it is.
        text: what was found.
        mend: what to do about it; empty if there is nothing to do.
    """

    status: Status
    text: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return what JSON can hold."""
        return {**asdict(self), "status": self.status.value}


def ok(text: str) -> Finding:
    """Say that all is well."""
    return Finding(Status.OK, text)


def skipped(text: str) -> Finding:
    """Say why something was not looked at."""
    return Finding(Status.SKIPPED, text)


def warning(text: str, mend: str) -> Finding:
    """Say what works but should not stay so."""
    return Finding(Status.WARNING, text, mend)


def problem(text: str, mend: str) -> Finding:
    """Say what keeps the door from working, or from being safe."""
    return Finding(Status.PROBLEM, text, mend)


@dataclass(frozen=True)
class Machine:
    """The machine looked at.

    Attributes:
        config_file: as given on the command line, or None to look for it.
        save_frame: where the camera's picture goes, or None to keep none.
        root: in front of every path of the system; `/` but in tests.
    """

    config_file: Path | None = None
    save_frame: Path | None = None
    root: Path = Path("/")

    @cached_property
    def settings(self) -> Settings:
        """The configuration.

        Raises:
            ConfigError: if it has mistakes.
        """
        return load(find(self.config_file))

    def path(self, absolute: str | Path) -> Path:
        """Return where a path of the system is."""
        return self.root / str(absolute).lstrip("/")

    def text(self, absolute: str | Path) -> str | None:
        """Return a file's text without trailing NULs and space, or None if it has none to give."""
        try:
            return self.path(absolute).read_text("utf-8", "replace").rstrip("\0 \n")
        except OSError:
            return None

    def user(self, name: str) -> pwd.struct_passwd | None:
        """Return a user of this machine, or None."""
        try:
            return pwd.getpwnam(name)
        except KeyError:
            return None

    def group_name(self, gid: int) -> str:
        """Return a group's name, or its number if it has none."""
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    @cached_property
    def unit(self) -> dict[str, str]:
        """What the running systemd knows of the service; empty without systemd."""
        names = "LoadState,ActiveState,UnitFileState,MainPID,StatusText,NRestarts,DropInPaths"
        said = run("systemctl", "show", UNIT, "--property", names)
        if self.root != Path("/") or said is None or said.returncode != 0:
            return {}
        pairs = (line.partition("=") for line in said.stdout.splitlines())
        return {name: value for name, _, value in pairs}

    def credential(self, name: str) -> Path | None:
        """Return where a secret is that systemd hands to the service, or None if it hands none.

        While the service runs that is its copy, for root to see; before, what is copied. The
        unit and its drop-ins tell of that, for `systemctl show` does not.
        """
        handed = self.path(f"/run/credentials/{UNIT}/{name}")
        if _exists(handed):
            return handed
        loaded = dict(_LOADED.findall("\n".join(self.unit_texts)))
        return self.path(loaded[name]) if name in loaded else None

    @property
    def unit_texts(self) -> list[str]:
        """The unit and its drop-ins, as systemd reads them one after the other."""
        names = sorted(one.name for one in self.path(DROP_INS).glob("*.conf"))
        files = (UNIT_FILE, *(f"{DROP_INS}/{one}" for one in names))
        return [text for one in files if (text := self.text(one)) is not None]

    @property
    def installed(self) -> bool:
        """Whether `lockd install`, or somebody by hand, has put the unit in place."""
        return self.path(UNIT_FILE).exists()

    @property
    def service_runs(self) -> bool:
        """Whether the service has the camera and the pins just now."""
        if ASKED_BY_SERVICE in os.environ:
            return True
        return self.unit.get("ActiveState") in ("active", "reloading", "deactivating")


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table.

    Attributes:
        name: for machines.
        look: makes the findings.
        limit_s: how long it may take.
        apart: it runs in a process of its own, for native code may crash or hang in it.
    """

    name: str
    look: Callable[[Machine], Sequence[Finding]]
    limit_s: float = 15.0
    apart: bool = False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # only root may look there
        return False


def run(*command: str, limit_s: float = _COMMAND_S) -> subprocess.CompletedProcess[str] | None:
    """Run a program of the system's, and return None if it is missing or does not end."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=limit_s, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
