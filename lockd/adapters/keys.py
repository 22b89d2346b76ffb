"""The keys that sign commands from afar: who has one, and what it is.

One file, a line for each identity: its name, a space and 64 hexadecimal digits; behind them, of
one that is somebody's own, a space and that person's id. A line that begins with `#` is a
comment. It is looked for in this order: the systemd credential
`command-keys`; the file that `mqtt.commands.keys_file` names; the file `command-keys`
beside the store. It is read again whenever it changed, so that a key which was removed is
of no use from then on. A credential alone stays as it was when systemd started the service.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lockd.config import Settings
from lockd.errors import BusError
from lockd.files import acting_for, at_once
from lockd.paths import credential
from lockd.remote.judging import ANYBODY
from lockd.remote.signing import KEY_BYTES

log = logging.getLogger(__name__)

CREDENTIAL = "command-keys"
KEYS_FILE = "command-keys"
LONGEST_FILE = 1 << 16
_LINE = re.compile(r"([A-Za-z0-9_-]{1,64})[ \t]+([0-9a-fA-F]{64})(?:[ \t]+([0-9A-Za-z-]{1,64}))?")


class Key(NamedTuple):
    """The key of an identity.

    Attributes:
        secret: that signs.
        person: id of whose own it is, who may confirm with it that it is they; or None.
    """

    secret: bytes
    person: str | None


class CommandKeys:
    """The keys as they are now.

    Attributes:
        file: where they are.
        problem: why they cannot be used, or None; then nobody has one.
    """

    def __init__(self, file: Path, *, private: bool = True) -> None:
        """Name the file; it is read when its keys are asked for.

        Args:
            private: whether its mode must keep it from others; systemd keeps what it
                hands over from them by other means.
        """
        self.file = file
        self.problem: str | None = None
        self._private = private
        self._keys: Mapping[str, bytes] = {}
        self._bound: Mapping[str, str] = {}
        self._read_of: tuple[int, ...] | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> CommandKeys:
        """Find out where a service's keys are."""
        handed = credential(CREDENTIAL)
        return cls(handed or keys_file(settings), private=handed is None)

    def current(self) -> Mapping[str, bytes]:
        """Return the key of each identity; none if the file is wrong in any way.

        Costs one look at the file's status while that stays as it is. May be called from any
        thread.
        """
        with self._lock:
            self._refresh()
            return self._keys

    def bound(self) -> Mapping[str, str]:
        """Return the person's id of each identity that is somebody's own, as `current` does."""
        with self._lock:
            self._refresh()
            return self._bound

    def _refresh(self) -> None:
        state = _state(self.file)
        if state != self._read_of or state is None:
            self._read_of = state
            self._read()

    def _read(self) -> None:
        before, self.problem = self.problem, None
        self._keys, self._bound = {}, {}
        try:
            found = read_keys(self.file, private=self._private)
            self._keys = {name: one.secret for name, one in found.items()}
            self._bound = {name: one.person for name, one in found.items() if one.person}
        except BusError as error:
            self.problem = str(error)
            if self.problem != before:
                log.error("%s; no signed command is obeyed", self.problem)


def keys_file(settings: Settings) -> Path:
    """Return the file of keys that the settings name; it need not be there."""
    return settings.mqtt.commands.keys_file or settings.store.path().with_name(KEYS_FILE)


def read_keys(file: Path, *, private: bool = True) -> dict[str, Key]:
    """Return the key of each identity in a file.

    Args:
        private: whether nobody but its owner may have any right to it.

    Raises:
        BusError: if it is missing, cannot be read, is not private or has a mistake. The
            message names the line, and never what is in it.
    """
    try:
        with acting_for(file.parent), open(file, "rb", opener=at_once) as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            content = opened.read(LONGEST_FILE + 1)
    except OSError as error:
        raise BusError(
            f"{file}: the command keys cannot be read: {error.strerror}; make one with "
            "`lockd command-key add NAME`"
        ) from error
    if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BusError(
            f"{file}: others than its owner may use it (mode {mode:04o}), so its keys are no "
            f"secret; make new ones, and `chmod 600 {file}`"
        )
    if len(content) > LONGEST_FILE:
        raise BusError(f"{file}: longer than {LONGEST_FILE} bytes; is it a file of keys?")
    return keys_in(content, str(file))


def keys_in(content: bytes, where: str) -> dict[str, Key]:
    """Return the key of each identity in what a file, or something else, has.

    Args:
        content: lines, see above.
        where: they are from, for the error message.

    Raises:
        BusError: if there is a mistake, as from `read_keys`.
    """
    keys: dict[str, Key] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            raise BusError(
                f"{where}: line {number} is not a name of a-z, A-Z, 0-9, _ and -, a space and "
                f"{2 * KEY_BYTES} hexadecimal digits; correct it"
            )
        if found[1] in keys or found[1] == ANYBODY:
            why = "is there twice" if found[1] in keys else "means commands without a key"
            raise BusError(f"{where}: line {number}: {found[1]} {why}; give it another name")
        keys[found[1]] = Key(bytes.fromhex(found[2]), found[3])
    return keys


def _state(file: Path) -> tuple[int, ...] | None:
    """What changes whenever a file does; None if there is none to be seen."""
    try:
        one = file.stat()
    except OSError:
        return None
    return one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns
