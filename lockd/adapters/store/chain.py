"""The chain of the audit trail: each entry's link is made of the entry and of the link before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def link_of(key: str, before: str, entry: Sequence[Any]) -> str:
    """Return the link of an entry, hexadecimal: BLAKE2b with a key, which whoever alters it lacks.

    Args:
        key: hexadecimal.
        before: the link of the entry before.
        entry: its number first.
    """
    text = json.dumps([before, *entry])
    return hashlib.blake2b(text.encode(), key=bytes.fromhex(key), digest_size=32).hexdigest()


def broken(
    rows: Iterable[Sequence[Any]], key: str, begin: tuple[int, str], end: tuple[int, str]
) -> Iterator[str]:
    """Say which entries are not as they were written.

    Args:
        rows: the entries, by number, each with its link as the last.
        begin: the number of the first one, and the link before it.
        end: the number of the last one, and its link.
    """
    (following, link), (last, last_link) = begin, end
    for number, *entry, kept in rows:
        if number > last or number < following:
            yield f"entry {number} of the audit trail was added past lockd"
            continue
        if number > following:
            yield _gone(following, number - 1)
        elif kept is None or link_of(key, link, (number, *entry)) != kept.hex():
            yield f"entry {number} of the audit trail was altered past lockd"
        link, following = (kept or b"").hex(), number + 1
    if following <= last:
        yield _gone(following, last)
    elif link != last_link:
        yield f"entry {last} of the audit trail was altered past lockd"


def _gone(first: int, last: int) -> str:
    which = f"entry {first}" if first == last else f"entries {first} to {last}"
    return f"{which} of the audit trail: gone"
