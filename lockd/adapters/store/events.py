"""Events that are kept, for as long as the owner wants, and no longer."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from lockd.adapters.store.database import Database
from lockd.messages import encode


class Events:
    """Events as they were published (see `Outbox.post`), by time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest events kept, the last first."""
        rows = self._database.rows(
            "SELECT payload FROM events ORDER BY utc DESC, id DESC LIMIT ?", limit
        )
        return [json.loads(payload) for (payload,) in rows]

    def forget_before(self, when: datetime) -> int:
        """Delete events that are older; return how many.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        return self._database.forget_before("events", when)

    def write_for(self, person_id: str, name: str, new_id: str) -> tuple[int, int]:
        """Put another name and id into what is told of somebody, within a transaction.

        Return how many waiting messages and how many kept events were changed.
        """
        counts = []
        for table, key in (("outbox", "seq"), ("events", "id")):
            changed = [
                (new, number)
                for number, payload in self._database.rows(f"SELECT {key}, payload FROM {table}")
                if (new := _written_for(payload, person_id, name, new_id)) is not None
            ]
            self._database.run_many(f"UPDATE {table} SET payload = ? WHERE {key} = ?", changed)
            counts.append(len(changed))
        return counts[0], counts[1]


def _written_for(payload: bytes, person_id: str, name: str, new_id: str) -> bytes | None:
    """A payload with somebody else in the place of a person, or None if they are not in it."""
    try:
        values = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(values, dict) or values.get("person_id") != person_id:
        return None
    kept = {
        key: value.replace(name, new_id) if isinstance(value, str) and name else value
        for key, value in values.items()
    }
    kept |= {"person_id": new_id}
    if name and "person" in values:
        kept["person"] = new_id
    return encode(kept)
