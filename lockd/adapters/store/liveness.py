"""What the liveness network said of people who were live: numbers only, of nobody in particular."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lockd.adapters.store.database import Database
from lockd.adapters.store.rights import nonce_of
from lockd.adapters.store.vault import SealError
from lockd.errors import StoreError

_PURPOSE = "liveness"


class Liveness:
    """One sealed JSON object, replaced whole: who could write it could open the door."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, values: Mapping[str, Any]) -> None:
        """Write it.

        Args:
            values: that JSON has; NaN is none.

        Raises:
            StoreError: if it cannot be written; then what was there stays.
        """
        text = json.dumps(dict(values), allow_nan=False).encode()
        with self._database.transaction():
            sealed = self._database.vault.seal(text, _PURPOSE)
            self._database.run("INSERT OR REPLACE INTO liveness VALUES (1, ?)", sealed)
            self._database.roll.note_liveness(sealed)

    def kept(self) -> dict[str, Any] | None:
        """Return what was written last, or None if nothing ever was.

        Raises:
            StoreError: if it cannot be read, was altered, or is not what was written last.
        """
        with self._database.snapshot():
            sealed = self._database.value("SELECT sealed FROM liveness") or b""
            latest = self._database.roll.liveness()
        if not sealed and not latest:
            return None
        try:
            if nonce_of(sealed) != latest:
                raise SealError
            return dict(json.loads(self._database.vault.unseal(sealed, _PURPOSE)))
        except SealError:
            raise StoreError(
                f"store {self._database.path}: the liveness scores were altered or turned back; "
                "learn them anew with `lockd liveness reset`"
            ) from None
