"""Messages that the broker does not have yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lockd.adapters.store.database import Database
from lockd.messages import encode


@dataclass(frozen=True, slots=True)
class Posting:
    """An event to be published, kept, or both.

    Attributes:
        values: its payload but for the number, which the store gives it.
        topics: where to, and what the payload has there besides.
        weight: how much it matters; see `lockd.messages.weight`.
        t: when it happened, on the clock of the run that posts it.
        kept: whether it is kept here as an event, by its `utc`.
    """

    values: Mapping[str, Any]
    topics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weight: int = 1
    t: float = 0.0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that the broker has not acknowledged.

    Attributes:
        seq: its place; no two messages ever have the same.
        topic: where to.
        payload: JSON.
        run: of the service, that posted it.
        t: when, on that run's clock.
    """

    seq: int
    topic: str
    payload: bytes
    run: str
    t: float


class WaitingMessages(Database):
    """Messages in the order they were posted.

    Events are numbered, without gaps, within a series that is as old as the store.
    """

    def post(self, postings: Sequence[Posting], *, limit: int, run: str = "") -> None:
        """Write events that are to be published or kept; all of them or none.

        Args:
            postings: oldest first.
            limit: the most messages that wait; beyond it those that weigh least are given up,
                the oldest first, and counted.
            run: of the service.
        """
        with self._transaction():
            series, last = self._connection.execute("SELECT series, last FROM numbering").fetchone()
            for number, posting in enumerate(postings, last + 1):
                self._write({**posting.values, "series": series, "seq": number}, posting, run)
            self._connection.execute(
                "UPDATE numbering SET last = last + ?, last_id = coalesce(?, last_id)",
                (len(postings), postings[-1].values.get("id") if postings else None),
            )
            self._give_up(limit)

    def last_posted(self) -> str:
        """Return the id of the event that was posted last, empty if none ever was."""
        with self._errors():
            return str(self._connection.execute("SELECT last_id FROM numbering").fetchone()[0])

    def waiting(self, after: int, limit: int) -> list[WaitingMessage]:
        """Return the oldest messages behind a place that still wait."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT seq, topic, payload, run, t FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [WaitingMessage(*row) for row in rows]

    def count_waiting(self) -> int:
        """Return how many messages wait."""
        with self._errors():
            return int(self._connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def delivered(self, seqs: Sequence[int]) -> None:
        """Forget messages that the broker has."""
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs]
            )

    def lost(self) -> tuple[int, int]:
        """Return how many messages were given up, ever, and of how many that was not told yet."""
        with self._errors():
            counters = dict(
                self._connection.execute(
                    "SELECT name, value FROM counters WHERE name IN ('outbox_dropped', 'lost_told')"
                ).fetchall()
            )
        ever = int(counters["outbox_dropped"])
        return ever, ever - int(counters["lost_told"])

    def count_lost(self, messages: int) -> None:
        """Count messages that were given up before they came here."""
        with self._transaction():
            self._count("outbox_dropped", messages)

    def told_of(self, lost: int) -> None:
        """Note that so many more of the messages given up were told of."""
        with self._transaction():
            self._count("lost_told", lost)

    def _write(self, values: Mapping[str, Any], posting: Posting, run: str) -> None:
        self._connection.executemany(
            "INSERT INTO outbox (topic, payload, weight, run, t) VALUES (?, ?, ?, ?, ?)",
            [
                (topic, encode({**values, **more}), posting.weight, run, posting.t)
                for topic, more in posting.topics.items()
            ],
        )
        if posting.kept:
            self._connection.execute(
                "INSERT INTO events (utc, payload) VALUES (?, ?)", (values["utc"], encode(values))
            )

    def _give_up(self, limit: int) -> None:
        waiting = self._connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
        if waiting > limit:
            self._connection.execute(
                "DELETE FROM outbox WHERE seq IN "
                "(SELECT seq FROM outbox ORDER BY weight, seq LIMIT ?)",
                (waiting - limit,),
            )
            self._count("outbox_dropped", waiting - limit)
