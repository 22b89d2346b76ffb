"""What the store was last known to be, kept outside of it: notices when an older one is put back.

A sealed file with the generation of the people, which rises by one with each change of them,
and the last changes, to name what an older store turns back. It is written after the change
is on disk, so that a power cut leaves it behind the store and never ahead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lockd.adapters.store.records import utc_now
from lockd.adapters.store.vault import SealError, Vault
from lockd.errors import StoreError
from lockd.files import UnreadableError, acting_for, alone_in, read_file, write_over

SUFFIX = ".generation"
_PURPOSE = "generation"
_LONGEST = 1 << 20
_MOST_CHANGES = 200


@dataclass(frozen=True, slots=True)
class Change:
    """What became of somebody in a generation: removed, disabled or changed."""

    generation: int
    what: str
    person_id: str
    utc: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the file says."""

    generation: int
    changes: tuple[Change, ...] = ()


def witness_of(store: Path, vault: Vault, file: Path | None) -> Witness:
    """Return what knows the latest generation of a store, by default a file beside it."""
    return Witness(file or store.with_name(store.name + SUFFIX), vault)


class Witness:
    """The file of one store.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: Path, vault: Vault) -> None:
        self.path = path
        self._vault = vault

    def read(self) -> Known | None:
        """Return what was known last, None if there is no such file.

        Raises:
            StoreError: if it was altered, is another store's, or cannot be read.
        """
        try:
            with acting_for(self.path.parent):
                if not self.path.exists():
                    return None
                sealed = read_file(self.path, _LONGEST)
            values = json.loads(self._vault.unseal(sealed, _PURPOSE))
        except SealError:
            raise StoreError(f"{self.path}: was altered, or belongs to another store") from None
        except (UnreadableError, OSError) as error:
            raise StoreError(f"{self.path}: cannot be read: {error}") from error
        return Known(values["generation"], tuple(Change(*one) for one in values["changes"]))

    def read_anyhow(self) -> Known | str | None:
        """As `read`, but what is wrong is returned."""
        try:
            return self.read()
        except StoreError as error:
            return str(error)

    def advance(self, generation: int, changed: Iterable[tuple[str, str]] = ()) -> None:
        """Write down a generation that is on disk, unless a later one is known.

        Args:
            changed: what became of whom in it, by id.

        Raises:
            StoreError: if it cannot be written; then what was there stays.
        """
        try:
            with acting_for(self.path.parent), alone_in(self.path.parent):
                known = self.read() or Known(0)
                utc = utc_now()
                new = [Change(generation, *one, utc) for one in changed]
                if generation > known.generation or new:
                    later = max(generation, known.generation)
                    self._write(Known(later, (*known.changes, *new)[-_MOST_CHANGES:]))
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error

    def begin_anew(self, generation: int) -> None:
        """Write a generation in the place of what cannot be read; an administrator said so.

        Raises:
            StoreError: if it cannot be written.
        """
        try:
            self._write(Known(generation))
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _write(self, known: Known) -> None:
        changes = [[one.generation, one.what, one.person_id, one.utc] for one in known.changes]
        content = json.dumps({"generation": known.generation, "changes": changes}).encode()
        write_over(self.path, self._vault.seal(content, _PURPOSE))
