"""What the door goes by of a person, sealed in their row: nobody gives it to them past lockd.

With the name, groups, dates and whether they are enabled, the seal has which templates, PIN and
cards are theirs, by the nonces that they were sealed with. One that was taken away and is put back
is no more theirs than one that was altered.
"""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass

from lockd.adapters.store.schema import Database
from lockd.adapters.store.vault import NONCE_BYTES, SealError, Vault

COLUMNS = "name, groups, valid_from, valid_until, enabled, revision"
_PURPOSE = "rights"


@dataclass(frozen=True, slots=True)
class Rights:
    """What was sealed of somebody.

    Attributes:
        row: the values of `COLUMNS`.
        holds: their templates, PIN and cards, by nonce; hexadecimal.
        entry: number of the last entry that the audit trail had then.
    """

    row: tuple[str | int | None, ...]
    holds: frozenset[str]
    entry: int


def seal(database: Database, person_id: str, entry: int, allowed: Set[str] | None = None) -> None:
    """Seal what somebody's rows say now, within a transaction.

    Args:
        entry: number of the audit trail's last entry.
        allowed: what may be theirs, by nonce; None is all that is there.
    """
    row = database.run(f"SELECT {COLUMNS} FROM people WHERE id = ?", person_id).fetchone()
    theirs = nonces(database, person_id)
    content = json.dumps(
        [list(row), sorted(theirs if allowed is None else theirs & allowed), entry]
    )
    sealed = database.vault.seal(content.encode(), _PURPOSE, person_id)
    database.run("UPDATE people SET rights = ? WHERE id = ?", sealed, person_id)


def opened(vault: Vault, sealed: bytes | None, person_id: str) -> Rights | None:
    """Return what was sealed of somebody, None if nothing was or it was altered."""
    try:
        row, holds, entry = json.loads(vault.unseal(sealed or b"", _PURPOSE, person_id))
    except SealError:
        return None
    return Rights(tuple(row), frozenset(holds), entry)


def nonce_of(sealed: bytes) -> str:
    """Return what names a thing that is sealed."""
    return bytes(sealed[:NONCE_BYTES]).hex()


def nonces(database: Database, person_id: str) -> set[str]:
    """Return what names the templates, PIN and cards that somebody has."""
    rows = database.run(
        f"SELECT substr(sealed, 1, {NONCE_BYTES}) FROM templates WHERE person_id = ?1 UNION ALL "
        f"SELECT substr(sealed, 1, {NONCE_BYTES}) FROM factors WHERE person_id = ?1",
        person_id,
    )
    return {nonce_of(sealed) for (sealed,) in rows}
