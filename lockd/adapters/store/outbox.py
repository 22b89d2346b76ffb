"""Messages that the broker does not have yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lockd.adapters.store.database import Database
from lockd.adapters.store.schema import NEW_SERIES
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


class Outbox:
    """Messages in the order they were posted.

    Events are numbered, without gaps, within a series that is as old as the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, postings: Sequence[Posting], *, limit: int, run: str = "") -> None:
        """Write events that are to be published or kept; all of them or none.

        Args:
            postings: oldest first.
            limit: the most messages that wait; beyond it those that weigh least are given up,
                the oldest first, and counted.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        database = self._database
        with database.transaction():
            series, last = database.run("SELECT series, last FROM numbering").fetchone()
            for number, posting in enumerate(postings, last + 1):
                self._write({**posting.values, "series": series, "seq": number}, posting, run)
            database.run(
                "UPDATE numbering SET last = last + ?, last_id = coalesce(?, last_id)",
                *(len(postings), postings[-1].values.get("id") if postings else None),
            )
            self._give_up(limit)

    def last_posted(self) -> str:
        """Return the id of the event that was posted last, empty if none ever was."""
        return str(self._database.value("SELECT last_id FROM numbering"))

    def waiting(self, after: int, limit: int) -> list[WaitingMessage]:
        """Return the oldest messages behind a place that still wait."""
        rows = self._database.rows(
            "SELECT seq, topic, payload, run, t FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
            *(after, limit),
        )
        return [WaitingMessage(*row) for row in rows]

    def count(self) -> int:
        """Return how many messages wait."""
        return int(self._database.value("SELECT count(*) FROM outbox"))

    def delivered(self, seqs: Sequence[int]) -> None:
        """Forget messages that the broker has."""
        with self._database.transaction():
            self._database.run_many("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs])

    def lost(self) -> tuple[int, int]:
        """Return how many messages were given up, ever, and of how many that was not told yet."""
        counters = dict(self._database.rows("SELECT name, value FROM counters"))
        return counters["outbox_dropped"], counters["outbox_dropped"] - counters["lost_told"]

    def count_lost(self, messages: int) -> None:
        """Count messages that were given up before they came here."""
        with self._database.transaction():
            self._database.count("outbox_dropped", messages)

    def told_of(self, lost: int) -> None:
        """Note that so many more of the messages given up were told of."""
        with self._database.transaction():
            self._database.count("lost_told", lost)

    def begin_anew(self) -> None:
        """Forget what waits and number events anew, within a transaction: for an old copy.

        What waited was delivered long ago, and some of the next numbers were given since.
        """
        self._database.run("DELETE FROM outbox")
        self._database.run(NEW_SERIES)

    def _write(self, values: Mapping[str, Any], posting: Posting, run: str) -> None:
        self._database.run_many(
            "INSERT INTO outbox (topic, payload, weight, run, t) VALUES (?, ?, ?, ?, ?)",
            [
                (topic, encode({**values, **more}), posting.weight, run, posting.t)
                for topic, more in posting.topics.items()
            ],
        )
        if posting.kept:
            self._database.run(
                "INSERT INTO events (utc, payload) VALUES (?, ?)", values["utc"], encode(values)
            )

    def _give_up(self, limit: int) -> None:
        too_many = self.count() - limit
        if too_many > 0:
            self._database.run(
                "DELETE FROM outbox WHERE seq IN "
                "(SELECT seq FROM outbox ORDER BY weight, seq LIMIT ?)",
                too_many,
            )
            self._database.count("outbox_dropped", too_many)
