"""Who was removed, in the order each administrator removed them, in a chain of hashes.

A tombstone may be forgotten once every door knows of it; the list, sixteen bytes a person, never
is. Each entry's hash covers all before it, so that a page from which somebody was taken out, or
that is an older one, does not lead to the hash that a door remembers. What is on any page is
removed all the same: a list can only take away.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from lockd.fleet.records import KeyId, Part, read
from lockd.fleet.sealing import Refused, Signed

PAGE = 1000
"""People on one page: 16 kilobytes."""
_ID = 16


class PageHead(Part):
    """What stands on top of a page.

    Attributes:
        before: hash of all that stands on the pages before it, hexadecimal.
    """

    by: KeyId
    page: Annotated[int, Field(ge=0, le=10_000_000)]
    before: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Page:
    """One page of one administrator's list.

    Attributes:
        by: whose.
        number: from 0 on.
        people: ids, 16 bytes each.
        hashes: before the first of them, and after each.
    """

    def __init__(self, by: str, number: int, before: str, people: Sequence[bytes]) -> None:
        self.by, self.number, self.people = by, number, list(people)
        self.hashes = [before]
        for one in people:
            joined = bytes.fromhex(self.hashes[-1]) + one
            self.hashes.append(hashlib.sha256(joined).hexdigest())

    @classmethod
    def of(cls, said: Signed) -> Page:
        """Read a page.

        Raises:
            Refused: `malformed`.
        """
        head = read(PageHead, said.head)
        count, left = divmod(len(said.data), _ID)
        if left or not 1 <= count <= PAGE:
            raise Refused("malformed")
        data = said.data
        people = [data[place : place + _ID] for place in range(0, len(data), _ID)]
        return cls(head.by, head.page, head.before, people)

    @property
    def first(self) -> int:
        """How many people stand on the pages before it."""
        return self.number * PAGE

    @property
    def end(self) -> int:
        """How many stand on it and on those before it."""
        return self.first + len(self.people)

    @property
    def topic(self) -> str:
        """Where it is published, below the fleet's topic."""
        return page_topic(self.by, self.number)

    @property
    def aside(self) -> str:
        """Where it is kept beside another one of the same number; nothing is published there."""
        return f"{self.topic}#{self.hashes[-1][:16]}"

    def starts(self, other: Page) -> bool:
        """Return whether another page goes on from this one, or is it."""
        return other.hashes[: len(self.hashes)] == self.hashes

    def head(self) -> dict[str, str | int]:
        """Return what stands on top."""
        return {"by": self.by, "page": self.number, "before": self.hashes[0]}

    def data(self) -> bytes:
        """Return who stands on it."""
        return b"".join(self.people)

    def at(self, count: int) -> str | None:
        """Return the hash after so many people of the whole list, None if not on this page."""
        place = count - self.first
        return self.hashes[place] if 0 <= place < len(self.hashes) else None

    def with_one(self, person: bytes) -> Page:
        """Return the page that has somebody more: this one, or the next if it is full."""
        if len(self.people) < PAGE:
            return Page(self.by, self.number, self.hashes[0], [*self.people, person])
        return Page(self.by, self.number + 1, self.hashes[-1], [person])


def page_topic(by: str, number: int) -> str:
    """Return the topic of a page, below the fleet's."""
    return f"gone/{by}/{number}"


def start(by: str) -> str:
    """Return the hash before the first entry of somebody's list."""
    return hashlib.sha256(f"lockd fleet gone {by}".encode()).hexdigest()


def ids(people: Sequence[bytes]) -> Iterator[str]:
    """Yield people's ids as they are written."""
    return (str(uuid.UUID(bytes=one)) for one in people)
