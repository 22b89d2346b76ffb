"""What a door keeps of its fleet's people, in memory: which record of each, and the digests of all.

A digest is a sum of a keyed hash of each thing, so that a change costs what it changes; the key is
the fleet's, so that nobody else finds two lists with one sum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lockd.fleet.gone import Page

SHARDS = 256
SHARD_BYTES = 8
_WHOLE = 1 << 128


class Holdings:
    """Records by person, and who is gone; ids are 16 bytes, records are packed versions.

    Attributes:
        gone: who was removed, for good; listed: those of them who stand on a list.
        ends: hash at the end of each page that is kept, by its topic.
    """

    def __init__(self, key: bytes) -> None:
        """Hold nothing.

        Args:
            key: of the digests.
        """
        self._key = key
        self._versions: dict[bytes, bytes] = {}
        self._sums = [0] * SHARDS
        self._held = 0
        self.gone: set[bytes] = set()
        self.listed: set[bytes] = set()
        self.ends: dict[str, str] = {}

    def version(self, person: bytes) -> bytes | None:
        """Return which record of somebody is kept, None if none is."""
        return self._versions.get(person)

    def lives(self, person: bytes) -> bool:
        """Return whether somebody is there and was not removed."""
        kept = self._versions.get(person)
        return kept is not None and not kept[0] and person not in self.gone

    def living(self) -> Iterator[bytes]:
        """Yield everybody who is."""
        return filter(self.lives, self._versions)

    def set(self, person: bytes, version: bytes | None) -> None:
        """Keep a record in the place of the one before, or none."""
        old = self._versions.get(person)
        if old is not None:
            if self.lives(person):
                self._sums[person[0]] -= self._term(person, old)
            del self._versions[person]
            self._hold(-self._term(person, old))
        if version is None:
            return
        self._versions[person] = version
        self._hold(self._term(person, version))
        if version[0]:
            self.bury(person)
        elif person not in self.gone:
            self._sums[person[0]] += self._term(person, version)

    def bury(self, person: bytes) -> None:
        """Know that somebody was removed."""
        if person in self.gone:
            return
        if self.lives(person):
            self._sums[person[0]] -= self._term(person, self._versions[person])
        self.gone.add(person)
        self._sums[person[0]] += self._term(person, b"gone")

    def put_page(self, topic: str, page: Page) -> None:
        """Keep a page of a list of the removed."""
        name = topic.encode()
        if old := self.ends.get(topic):
            self._hold(-self._term(name, old.encode()))
        self.ends[topic] = page.hashes[-1]
        self._hold(self._term(name, page.hashes[-1].encode()))
        self.listed.update(page.people)
        for one in page.people:
            self.bury(one)

    def digest(self) -> str:
        """Return what all who have the same people have in common, 32 hexadecimal digits."""
        return f"{sum(self._sums) % _WHOLE:032x}"

    def shards(self) -> bytes:
        """Return the same of each shard, `SHARD_BYTES` each."""
        return b"".join((one % (1 << 64)).to_bytes(SHARD_BYTES) for one in self._sums)

    def held(self) -> str:
        """Return the digest of all that is kept, removals too, 32 hexadecimal digits."""
        return f"{self._held:032x}"

    def _hold(self, change: int) -> None:
        self._held = (self._held + change) % _WHOLE

    def _term(self, name: bytes, what: bytes) -> int:
        found = hashlib.blake2b(name + what, key=self._key, digest_size=16).digest()
        return int.from_bytes(found)
