"""The nonces of commands that came from afar, so that none is obeyed twice over a restart."""

from __future__ import annotations

from lockd.adapters.store.database import Database
from lockd.remote.nonces import KEEP_S, MOST, Seen


class Nonces:
    """Per key the newest command, and those of `KEEP_S` before it; see `lockd.remote.nonces`.

    A row's `expires_utc` is its command's time and `KEEP_S`: once a newer command bears a
    later time, the row is not needed. The newest of a key stays for good.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, series: str, nonce: str, time: int) -> Seen:
        """Write down that a command was seen; on disk when this returns `Seen.NEW`.

        Args:
            series: names the key that signed it; another key begins anew.
            nonce: the command's.
            time: the command's, seconds since 1970.

        Returns:
            `Seen.NEW`, or why it may not be obeyed; then nothing was written.

        Raises:
            StoreError: if it cannot be written.
        """
        expires, run = float(time + KEEP_S), self._database.run
        with self._database.transaction():
            newest, known = run(
                "SELECT max(expires_utc), max(nonce = ?) FROM nonces WHERE identity = ?",
                *(nonce, series),
            ).fetchone()
            if known:
                return Seen.KNOWN
            newest = expires if newest is None else newest
            if expires < newest - KEEP_S:
                return Seen.TOO_OLD
            run(
                "DELETE FROM nonces WHERE identity = ? AND expires_utc < ?",
                *(series, max(newest, expires) - KEEP_S),
            )
            (count,) = run("SELECT count(*) FROM nonces WHERE identity = ?", series).fetchone()
            if count >= MOST:
                return Seen.FULL
            run(
                "INSERT INTO nonces (identity, nonce, expires_utc) VALUES (?, ?, ?)",
                *(series, nonce, expires),
            )
        return Seen.NEW
