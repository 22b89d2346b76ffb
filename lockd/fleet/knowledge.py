"""What a door knows of its fleet, and the seal that it is read and written with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lockd.fleet.charter import Head
from lockd.fleet.gone import Page, ids
from lockd.fleet.holdings import SHARD_BYTES, SHARDS, Holdings
from lockd.fleet.records import Content, Version, content_of, packed, topic_of
from lockd.fleet.sealing import Kind, Seal, Signed, parse, sign
from lockd.fleet.state import State


class Knowledge:
    """What is known; `Replica` says how it changes.

    Attributes:
        state: what it must remember; changed in place.
        charter: who may sign.
        heads: the last of each administrator, with the digests of its shards.
        fresh: what is to be kept and is not yet, by topic: messages, or None to be dropped; whoever
            keeps it clears it.
    """

    def __init__(self, state: State, message: Callable[[str], bytes | None]) -> None:
        """Know nobody yet.

        Args:
            message: returns what is kept of a topic.
        """
        self.state, self._kept = state, message
        self.fresh: dict[str, bytes | None] = {}
        self.charter = state.read_charter()
        self.heads: dict[str, tuple[Head, bytes]] = {}
        self._seal = Seal(state.keys)
        self._holds = Holdings(state.digest_key)
        self._unlisted: set[bytes] = set()

    @property
    def administers(self) -> bool:
        """Whether this door may sign for all."""
        return self.state.me in self.charter.administrators

    def people(self) -> Iterator[str]:
        """Yield the ids of all who are not removed."""
        return ids([*self._holds.living()])

    def count(self) -> int:
        """Return how many they are."""
        return sum(1 for _ in self._holds.living())

    def is_gone(self, person_id: str) -> bool:
        """Return whether somebody was removed, for good."""
        return packed(person_id) in self._holds.gone

    def version(self, person_id: str) -> Version | None:
        """Return which record of somebody is kept."""
        kept = self._holds.version(packed(person_id))
        return Version.unpacked(kept) if kept else None

    def packed_version(self, person_id: str) -> bytes:
        """Return it as it is kept; empty if none is."""
        return self._holds.version(packed(person_id)) or b""

    def digest(self) -> str:
        """Return what all doors with the same people have in common, 32 hexadecimal digits."""
        return self._holds.digest()

    def shards(self) -> bytes:
        """Return the same of each shard, 8 bytes each."""
        return self._holds.shards()

    def behind(self) -> list[int]:
        """Return the shards in which an administrator who signed last has others."""
        latest = max((head.counter for head, _ in self.heads.values()), default=0)
        if latest < self._latest() or not latest:
            return []
        theirs = [data for head, data in self.heads.values() if head.counter == latest]
        mine, wide = self.shards(), SHARD_BYTES
        return [
            one
            for one in range(SHARDS)
            if all(data[one * wide :][:wide] != mine[one * wide :][:wide] for data in theirs)
        ]

    def missing(self) -> str | None:
        """Return the administrator of whose removals some did not come, or None."""
        for by, count in self.state.expected.items():
            if by not in self.charter.revoked and count > self.state.gone.get(by, (0, ""))[0]:
                return by
        return None

    def problem(self) -> str | None:
        """Return in a word what is wrong with what the broker brings, or None."""
        if self.state.forked:
            return "forked"
        return "incomplete" if self.missing() else None

    def _latest(self) -> int:
        revoked = self.charter.revoked
        return max((count for by, count in self.state.seen.items() if by not in revoked), default=0)

    def drop_tombstone(self, person_id: str) -> str | None:
        """Forget a tombstone of somebody who stands on a list; return its topic, to be wiped."""
        key = packed(person_id)
        kept = self._holds.version(key)
        if kept is None or not kept[0] or key not in self._holds.listed:
            return None
        self._holds.set(key, None)
        topic = topic_of(person_id)
        self.fresh[topic] = None
        return topic

    def tombstones(self, before: int) -> list[str]:
        """Return the ids of those who are on a list and whose tombstone is older than a time."""
        found = []
        for id_ in ids([*self._holds.listed]):
            version = self.version(id_)
            if version is not None and version.gone and version.time < before:
                found.append(id_)
        return found

    def adopt(self, charter: bytes) -> None:
        """Go by another charter from now on."""
        self.state.charter = charter
        self.charter = self.state.read_charter()

    def add_key(self, epoch: int, key: bytes) -> None:
        """Know one more of the fleet's keys."""
        self.state.keys[epoch] = key
        self._seal = Seal(self.state.keys)

    # What is sealed

    def seal(self, topic: str, plain: bytes) -> bytes:
        """Seal something signed with the key in use."""
        return self._seal.seal(plain, self.state.fleet, topic)

    def signed(self, kind: Kind, topic: str, head: dict[str, object], data: bytes = b"") -> bytes:
        """Sign with this door's key and seal."""
        plain = sign(self.state.sign, kind, self.state.fleet, topic, head, data)
        return self.seal(topic, plain)

    def unsealed(self, topic: str, message: bytes) -> bytes:
        """Open what is sealed; who said it is still to be looked at.

        Raises:
            Refused: as `Seal.open`.
        """
        return self._seal.open(message, self.state.fleet, topic)

    def resealed(self, topic: str, message: bytes) -> bytes:
        """Seal what is kept anew, with the key in use; who signed it stays."""
        return self.seal(topic, self.unsealed(topic, message))

    def opened(self, topic: str, message: bytes) -> Content | None:
        """Return the person in a record that is kept; None of a tombstone."""
        said = self._opened(topic, message, Kind.PERSON, Kind.TOMBSTONE)
        return None if said.kind is Kind.TOMBSTONE else content_of(said)

    def remember(self) -> bytes:
        """Return what must be kept of the state, with the digest of all that is."""
        self.state.held = self._holds.held()
        return self.state.to_bytes()

    def kept(self, topic: str) -> bytes | None:
        """Return what is kept of a topic, or is to be, None if nothing is."""
        return self._message(topic)

    def _message(self, topic: str) -> bytes | None:
        return self.fresh[topic] if topic in self.fresh else self._kept(topic)

    def _opened(self, topic: str, message: bytes, *kinds: Kind) -> Signed:
        return parse(self._seal.open(message, self.state.fleet, topic), *kinds)

    def _opened_page(self, topic: str, message: bytes) -> Page:
        return Page.of(self._opened(topic, message, Kind.GONE))
