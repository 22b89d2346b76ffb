"""What the door must not forget in a power cut: lock-out, lock-down, denials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lockd.adapters.store.database import Database


class Memory:
    """One JSON object, replaced whole; what is in it is the door's affair."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Write what the door is to know after a restart; it is on disk when this returns.

        Args:
            memory: values that JSON has; NaN is none.

        Raises:
            StoreError: if it cannot be written; then the memory before stays.
        """
        text = json.dumps(dict(memory), allow_nan=False)
        with self._database.transaction():
            self._database.run("INSERT OR REPLACE INTO door_memory VALUES (1, ?)", text)

    def recall(self) -> dict[str, Any] | None:
        """Return what was remembered last, or None if nothing ever was."""
        text = self._database.value("SELECT memory FROM door_memory")
        return None if text is None else dict(json.loads(text))
