"""Events that are kept, for as long as the owner wants, and no longer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from lockd.adapters.store.database import Database


class Events(Database):
    """Events as they were published (see `WaitingMessages.post`), by time."""

    def events(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest events kept, the last first."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT payload FROM events ORDER BY utc DESC, id DESC LIMIT ?", (limit,)
            ).fetchall()
        return [json.loads(payload) for (payload,) in rows]

    def forget_old(self, now: datetime, *, events_days: int, audit_days: int) -> int:
        """Delete events and audit entries that are too old; return how many.

        Args:
            now: the time, with its zone; from a clock that is known to be right.
            events_days: how long events are kept; with 0 all are deleted.
            audit_days: how long audit entries are kept.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        deleted = 0
        with self._errors():
            found = any(
                self._old(table, now, days) for table, days in _ages(events_days, audit_days)
            )
        if not found:  # writing costs a card its life, and everybody else a wait
            return 0
        with self._transaction():
            for table, days in _ages(events_days, audit_days):
                deleted += self._connection.execute(
                    f"DELETE FROM {table} WHERE utc < ?",
                    (_before(now, days),),
                ).rowcount
        self._fold_journal()
        return deleted

    def _old(self, table: str, now: datetime, days: int) -> bool:
        return bool(
            self._connection.execute(
                f"SELECT EXISTS (SELECT 1 FROM {table} WHERE utc < ?)",
                (_before(now, days),),
            ).fetchone()[0]
        )

    def _write_for(self, person_id: str, name: str, new_id: str) -> tuple[int, int]:
        """Put another name and id into what is told of somebody, within a transaction.

        Return how many waiting messages and how many kept events were changed.
        """
        counts = []
        for table, key in (("outbox", "seq"), ("events", "id")):
            changed = [
                (new, number)
                for number, payload in self._connection.execute(
                    f"SELECT {key}, payload FROM {table}"
                ).fetchall()
                if (new := _written_for(payload, person_id, name, new_id)) is not None
            ]
            self._connection.executemany(
                f"UPDATE {table} SET payload = ? WHERE {key} = ?",
                changed,
            )
            counts.append(len(changed))
        return counts[0], counts[1]


def _ages(events_days: int, audit_days: int) -> Iterator[tuple[str, int]]:
    yield "events", events_days
    yield "audit", audit_days


def _before(now: datetime, days: int) -> str:
    # Both ways of writing a time that are in use, with and without milliseconds, compare.
    return (now.astimezone(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S")


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
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
