"""Events that are kept, for as long as the owner wants, and no longer."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lockd.adapters.store.database import Database, utc_of
from lockd.adapters.store.rows import find
from lockd.messages import encode

_LARGEST = 2**63 - 1
_TEXT = "CAST(payload AS TEXT)"  # newer SQLites take a blob for JSON of their own


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which of the events kept are looked for; what is None or empty does not matter.

    Attributes:
        since, until: when, with a zone; `until` is the first moment that counts no more.
        types: values of `EventType`.
        person: a name as it is enrolled, however it is written; or a person's id, or a name that
            stands in events, of somebody who is enrolled no longer.
        by: who commanded: a user, or ``mqtt:`` and an identity.
    """

    since: datetime | None = None
    until: datetime | None = None
    types: Collection[str] = ()
    person: str | None = None
    by: Collection[str] = ()


class Events:
    """Events as they were published (see `Outbox.post`), by time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest events kept, the last first."""
        return self.find(limit=limit)

    def find(
        self,
        wanted: EventFilter = EventFilter(),
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Return events that were kept, the last first, as docs/mqtt.md has them.

        Args:
            wanted: which.
            limit: how many at most; None for all.
            offset: how many of the last are passed over.

        Raises:
            StoreError: if it cannot be read.
        """
        where, values = self._condition(wanted)
        rows = self._database.rows(
            f"SELECT payload {where} ORDER BY utc DESC, id DESC LIMIT ? OFFSET ?",
            *(*values, _LARGEST if limit is None else limit, offset),
        )
        return [json.loads(payload) for (payload,) in rows]

    def count(self, wanted: EventFilter = EventFilter()) -> int:
        """Return how many there are.

        Raises:
            StoreError: if it cannot be read.
        """
        where, values = self._condition(wanted)
        return int(self._database.value(f"SELECT count(*) {where}", *values))

    def _condition(self, wanted: EventFilter) -> tuple[str, list[Any]]:
        """What SQL looks in and for, and the values in it; a spoilt row is never found."""
        times, values = [], list[Any]()
        for sign, when in ((">=", wanted.since), ("<", wanted.until)):
            if when is not None:
                times.append(f"utc {sign} ? AND ")
                values.append(utc_of(when))
        conditions = ["json_type(payload) = 'object'"]

        def one_of(key: str, those: Collection[str]) -> str:
            values.extend(those)
            return f"json_extract(payload, '$.{key}') IN ({', '.join('?' * len(those))})"

        for key, those in (("type", wanted.types), ("by", wanted.by)):
            if those:
                conditions.append(one_of(key, those))
        if wanted.person is not None:
            known = find(self._database, wanted.person)
            ids = [wanted.person, *([] if known is None else [known.person.id])]
            own = one_of("person_id", ids), one_of("person", [wanted.person])
            conditions.append(f"({' OR '.join(own)})")
        # CASE, for SQL may look at conditions in any order, and the others mind what is no JSON.
        matches = f"CASE WHEN json_valid(payload) THEN {' AND '.join(conditions)} END"
        source = f"(SELECT id, utc, {_TEXT} AS payload FROM events)"
        return f"FROM {source} WHERE {''.join(times)}{matches}", values

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
