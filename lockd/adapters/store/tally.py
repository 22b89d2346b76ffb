"""The sum over everybody: the additive multiset hash of Clarke et al. (ASIACRYPT 2003).

Each person in their revision adds a keyed hash, so that the sum follows a change of one person
without a look at the others, and nobody without the key finds others of the same sum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

_MODULUS = 1 << 256


def term(key: str, person_id: str, revision: int) -> int:
    """Return what somebody adds; nothing before they were changed for the first time.

    Args:
        key: hexadecimal.
    """
    if revision <= 0:
        return 0
    text = json.dumps([person_id, revision]).encode()
    return int.from_bytes(hashlib.blake2b(text, key=bytes.fromhex(key), digest_size=32).digest())


def moved(total: str, by: int) -> str:
    """Return a sum with something added, both of them modulo 2**256; sums are hexadecimal."""
    return f"{(int(total or '0', 16) + by) % _MODULUS:064x}"


class Tally:
    """The sum over those who were read, kept so that only who changed is to be read again."""

    def __init__(self) -> None:
        """Know nobody."""
        self._key = ""
        self._terms: dict[str, tuple[int, int]] = {}
        self._total = 0

    def of_all(self, key: str, rows: Iterable[tuple[str, int]]) -> str:
        """Return the sum over these people and nobody else: their ids and revisions."""
        known = self._terms if key == self._key else {}
        self._key, self._terms, self._total = key, {}, 0
        for person_id, revision in rows:
            before = known.get(person_id)
            self._put(person_id, revision, before[1] if before and before[0] == revision else None)
        return moved("0", self._total)

    def after(self, key: str, rows: Iterable[tuple[str, int]], gone: Iterable[str]) -> str | None:
        """Return the sum after some changed and some went; None if it was never reckoned."""
        if key != self._key:
            return None
        for person_id in gone:
            self._total -= self._terms.pop(person_id, (0, 0))[1]
        for person_id, revision in rows:
            self._total -= self._terms.get(person_id, (0, 0))[1]
            self._put(person_id, revision)
        return moved("0", self._total)

    def _put(self, person_id: str, revision: int, value: int | None = None) -> None:
        value = term(self._key, person_id, revision) if value is None else value
        self._terms[person_id] = revision, value
        self._total += value
