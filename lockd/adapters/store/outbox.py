"""Messages that the broker does not have yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockd.adapters.store.database import Database


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the broker has not acknowledged."""

    seq: int
    topic: str
    payload: bytes


class WaitingMessages(Database):
    """Messages in the order they were posted, numbered; no number is given twice."""

    def post(
        self, topics: Sequence[str], payload: bytes, *, keep: int, event_utc: str | None = None
    ) -> None:
        """Write a message that is to be published, once for each topic.

        Args:
            topics: where to; none for an event that is only kept.
            payload: what.
            keep: the most messages that wait; beyond it the oldest are dropped.
            event_utc: when it happened, if it is to be kept as an event, too.
        """
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO outbox (topic, payload) VALUES (?, ?)",
                [(topic, payload) for topic in topics],
            )
            if event_utc is not None:
                self._connection.execute(
                    "INSERT INTO events (utc, payload) VALUES (?, ?)", (event_utc, payload)
                )
            waiting = self._connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
            if waiting > keep:
                self._connection.execute(
                    "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT ?)",
                    (waiting - keep,),
                )
                self._count("outbox_dropped", waiting - keep)

    def waiting(self, after: int, limit: int) -> list[Message]:
        """Return the oldest messages with a greater number that still wait."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT seq, topic, payload FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Message(*row) for row in rows]

    def delivered(self, seqs: Sequence[int]) -> None:
        """Forget messages that the broker has."""
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs]
            )

    def dropped(self) -> int:
        """Return how many messages were dropped because too many were waiting."""
        with self._errors():
            row = self._connection.execute(
                "SELECT value FROM counters WHERE name = 'outbox_dropped'"
            ).fetchone()
        return int(row[0])
