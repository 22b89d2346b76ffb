"""The commands that came from afar, so that none is obeyed twice over a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lockd.adapters.store.database import Database
from lockd.remote.nonces import KEEP_S, MOST, Closed


@dataclass(frozen=True, slots=True)
class SeenCommand:
    """A command that was seen.

    Attributes:
        series: names the key that signed it; another key begins anew.
        nonce: its own.
        time: its own, seconds since 1970.
        refused: whether it was.
    """

    series: str
    nonce: str
    time: int
    refused: bool = False


class Nonces:
    """What `lockd.remote.nonces` must know after a restart.

    A row's `expires_utc` is its command's time and `KEEP_S`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, commands: Iterable[SeenCommand], closed: Mapping[str, Closed]) -> None:
        """Write down what was seen and which times are over, within a transaction."""
        database = self._database
        for series, times in closed.items():
            database.run(
                "INSERT OR REPLACE INTO closed VALUES (?, ?, ?)",
                *(series, times.before, times.up_to),
            )
        for one in commands:
            database.run(
                "INSERT OR REPLACE INTO nonces (identity, nonce, expires_utc, refused) "
                "VALUES (?, ?, ?, ?)",
                *(one.series, one.nonce, float(one.time + KEEP_S), one.refused),
            )
        for series in closed:
            database.run(
                "DELETE FROM nonces WHERE identity = ? AND expires_utc < max("
                "(SELECT before_utc FROM closed WHERE identity = nonces.identity) + ?, "
                "ifnull((SELECT max(expires_utc) FROM nonces AS others "
                "WHERE identity = ? AND NOT refused) - ?, 0))",
                *(series, float(KEEP_S), series, float(KEEP_S)),
            )

    def all(self) -> tuple[list[SeenCommand], dict[str, Closed]]:
        """Return the commands that were seen, of each key the latest, and the times that are over.

        Raises:
            StoreError: if they cannot be read.
        """
        with self._database.snapshot():
            rows = self._database.run(
                "SELECT identity, nonce, expires_utc, refused FROM (SELECT *, row_number() OVER "
                "(PARTITION BY identity ORDER BY expires_utc DESC) AS place FROM nonces) "
                "WHERE place <= ? ORDER BY expires_utc",
                MOST,
            ).fetchall()
            closed = self._database.run("SELECT * FROM closed").fetchall()
        return (
            [SeenCommand(who, nonce, int(utc) - KEEP_S, bool(no)) for who, nonce, utc, no in rows],
            {who: Closed(before, up_to) for who, before, up_to in closed},
        )
