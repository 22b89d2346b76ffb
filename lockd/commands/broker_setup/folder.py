"""The folder that is made: what is in it stays, what is new is added."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from lockd.errors import InstallError
from lockd.files import acting_for, write_over

SECRET, SHARED, PUBLIC = 0o600, 0o640, 0o644
_WRITTEN = "written.json"


class Folder:
    """Files below one folder, each replaced at once, none that its owner has edited.

    Args:
        root: made if it is not there.
        say: told of every change, in one line each.

    Raises:
        InstallError: if it cannot be made.
    """

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self._root = root
        self._say = say
        with _errors(root):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._written: dict[str, str] = json.loads(self.text(_WRITTEN) or "{}")

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return (self._root / name).exists()

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None if there is none.

        Raises:
            InstallError: if it cannot be read.
        """
        with _errors(self._root / name):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None

    def text(self, name: str) -> str | None:
        """Return a file's text, or None if there is none."""
        content = self.read(name)
        return None if content is None else content.decode("utf-8", "replace")

    def put(self, name: str, content: bytes | str, mode: int) -> None:
        """Make a file what it should be, whatever it was.

        Raises:
            InstallError: if it cannot be written.
        """
        data = content.encode() if isinstance(content, str) else content
        before = self.read(name)
        if before == data:
            return
        with _errors(self._root / name):
            _replace(self._root / name, data, mode)
        self._say(f"{'wrote' if before is None else 'brought up to date:'} {name}")

    def put_generated(self, name: str, text: str, mode: int) -> None:
        """Write a file that may have been edited since; then the new one goes beside it."""
        before = self.read(name)
        digest = hashlib.sha256(text.encode()).hexdigest()
        seen = self._written.get(name)
        edited = before is not None and hashlib.sha256(before).hexdigest() not in (seen, digest)
        if edited and seen != digest:
            self.put(f"{name}.new", text, mode)
            self._say(f"{name} was edited, so it stays; compare it with {name}.new")
        elif not edited:
            self.put(name, text, mode)
        if seen != digest:
            self._written[name] = digest
            kept = json.dumps(self._written, indent=2, sort_keys=True) + "\n"
            with _errors(self._root / _WRITTEN):
                _replace(self._root / _WRITTEN, kept.encode(), PUBLIC)


def _replace(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_over(path, content, mode=mode)


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        with acting_for(path):
            yield
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}; name another folder with --out") from error
