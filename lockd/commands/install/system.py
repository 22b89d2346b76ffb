"""A machine that is changed piece by piece, or only told what would be changed.

Every change asks first whether it is one, so that a second run changes nothing. Files are
replaced at once: whoever reads one meanwhile, and a power cut, find the old or the new.
"""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lockd.errors import InstallError
from lockd.files import write_over


class System:
    """The machine, or a folder that will become one.

    Args:
        root: `/`, or the folder; below another than `/` only files are changed.
        dry_run: change nothing, say what would be.
        say: told of every change, in one line each.

    Attributes:
        changes: how many there were, or would be.
        live: whether this is the running machine and not a folder.

    Raises:
        InstallError: if the machine is to be changed by somebody who may not.
    """

    def __init__(
        self, root: Path = Path("/"), *, dry_run: bool = False, say: Callable[[str], None] = print
    ) -> None:
        self.root = root
        self.dry_run = dry_run
        self.live = root.resolve() == Path("/")
        self.changes = 0
        self._say = say
        if self.live and not dry_run and os.geteuid() != 0:
            raise InstallError(
                "only root may change the system; use sudo, or see what it would do with --dry-run"
            )
        if self.live and not dry_run and shutil.which("systemctl") is None:
            raise InstallError("this system has no systemd (no systemctl); lockd needs it here")

    def path(self, absolute: str) -> Path:
        """Return where a path of the system is."""
        return self.root / absolute.lstrip("/")

    def report(self, done: str, would: str) -> None:
        """Count a change and say it."""
        self.changes += 1
        self._say(f"would {would}" if self.dry_run else done)

    def note(self, text: str) -> None:
        """Say something that is no change."""
        self._say(text)

    def has(self, absolute: str) -> bool:
        """Return whether there is such a file, folder or link, as far as this user may know."""
        return os.path.lexists(self.path(absolute))

    def read(self, absolute: str) -> bytes | None:
        """Return a file's content, or None if there is none.

        Raises:
            InstallError: if this user may not read it.
        """
        try:
            return self.path(absolute).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InstallError(
                f"{self.path(absolute)}: {error.strerror}; run this as root"
            ) from error

    def write(
        self, absolute: str, content: bytes, *, mode: int = 0o644, group: str | None = None
    ) -> bool:
        """Make a file what it should be, and return whether it was not.

        Args:
            absolute: the file; its folder is made if need be.
            mode: of the file; that of an existing one with this content stays.
            group: who owns it beside root, where there is such a group.
        """
        before = self.read(absolute)
        if before == content:
            return False
        done, would = ("wrote", "write") if before is None else ("replaced", "replace")
        if not self.dry_run:
            with _errors(self.path(absolute)):
                place = self.path(absolute)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_over(place, content, mode=mode, gid=self._gid(group), as_owner=False)
        self.report(f"{done} {absolute}", f"{would} {absolute}")
        return True

    def link(self, absolute: str, target: str) -> bool:
        """Point a symbolic link somewhere, in one step, and return whether it did not before."""
        path = self.path(absolute)
        if path.is_symlink() and os.readlink(path) == target:
            return False
        if not self.dry_run:
            with _errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                beside = path.with_name(f".{path.name}.new")
                beside.unlink(missing_ok=True)
                beside.symlink_to(target)
                beside.replace(path)
        self.report(f"linked {absolute} to {target}", f"link {absolute} to {target}")
        return True

    def remove(self, absolute: str) -> bool:
        """Remove a file, a link or a whole folder, and return whether there was one."""
        path = self.path(absolute)
        if not self.has(absolute):
            return False
        if not self.dry_run:
            with _errors(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        self.report(f"removed {absolute}", f"remove {absolute}")
        return True

    def remove_if_empty(self, absolute: str) -> None:
        """Remove a folder that has nothing in it."""
        path = self.path(absolute)
        if path.is_dir() and not any(path.iterdir()):
            self.remove(absolute)

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Run a program of the live machine; its output is seen only if it fails.

        Raises:
            InstallError: if it fails or is missing.
        """
        words = " ".join(command)
        if self.live and not self.dry_run:
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, check=False, env=environment
                )
            except OSError as error:
                raise InstallError(f"{command[0]}: {error.strerror}; is it installed?") from error
            if done.returncode != 0:
                said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
                raise InstallError("\n  ".join([f"failed ({done.returncode}): {words}", *said]))
        if self.live:
            self.report(f"ran {words}", f"run {words}")

    def asks(self, *command: str) -> str | None:
        """Return what a program answers, or None if it fails or this is not the live machine."""
        if not self.live:
            return None
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def _gid(self, group: str | None) -> int:
        """Return a group's number, or -1 to leave it; a folder's groups are not this machine's."""
        if group is None or not self.live:
            return -1
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            return -1


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}; nothing more was changed") from error
