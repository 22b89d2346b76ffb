"""A person as a message, a removal, and which of two is the later.

Of two records of one person the greater `Version` counts, whichever came first: doors that heard
the same have the same. It is ordered by, in this order: a removal is above all else, for good; then
the counter; at equal counters whoever is disabled is above whoever is not; then the administrator,
the time, and the bytes. The clock decides only between records that nothing else tells apart.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lockd.fleet.sealing import Kind, Refused, Signed
from lockd.types import Embedding

GREATEST = 2**53 - 1
"""A counter; what a JSON number holds in every language."""
MOST_TEMPLATES = 160
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST_VECTOR = 1 << 13

KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Counter = Annotated[int, Field(ge=0, le=GREATEST)]
_Name = Annotated[str, Field(max_length=256)]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Which record this is; of one person the greatest counts.

    Attributes:
        gone: whether the person was removed.
        counter: greater than any that its administrator had seen, in the whole fleet.
        disabled: whether the doors are to take them for a stranger.
        by: the administrator's key.
        time: seconds since 1970, by the administrator's clock, be it right or wrong.
        digest: of what was signed.
    """

    gone: bool
    counter: int
    disabled: bool
    by: str
    time: int
    digest: str

    def packed(self) -> bytes:
        """Return it as 58 bytes, whose order is that of the versions."""
        flags = bytes([self.gone]), bytes([self.disabled])
        by, digest = bytes.fromhex(self.by), bytes.fromhex(self.digest)
        counter, time = self.counter.to_bytes(8), self.time.to_bytes(8)
        return flags[0] + counter + flags[1] + by + time + digest

    @classmethod
    def unpacked(cls, data: bytes) -> Version:
        """Return what `packed` made bytes of."""
        return cls(
            bool(data[0]),
            int.from_bytes(data[1:9]),
            bool(data[9]),
            data[10:18].hex(),
            int.from_bytes(data[18:26]),
            data[26:].hex(),
        )


class Part(BaseModel):
    """What a message says: strict, frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


_P = TypeVar("_P", bound=Part)


class Stamp(Part):
    """Who said it, and when."""

    by: KeyId
    counter: Counter
    time: Annotated[int, Field(ge=0, le=253_402_300_799)]


class Tombstone(Stamp):
    """Somebody was removed."""

    id: str


class TemplateHead(Part):
    """What is said of one template; its numbers are in the data."""

    model: _Name
    size: Annotated[int, Field(ge=1, le=_LONGEST_VECTOR)]
    created_utc: _Name


class Factor(Part):
    """A PIN's hash, or a card's key and keyed hash, hexadecimal."""

    kind: Literal["pin", "card"]
    kept: Annotated[str, Field(max_length=1024, pattern=r"^([0-9a-f]{2})*$")]


class Profile(Part):
    """What is known of somebody; the door's store checks once more what it takes."""

    name: _Name
    enabled: bool
    groups: Annotated[list[_Name], Field(max_length=1000)] = []
    valid_from: _Name | None = None
    valid_until: _Name | None = None
    external_id: _Name | None = None
    notes: Annotated[str, Field(max_length=2000)] | None = None
    consent_by: _Name | None = None
    consent_utc: _Name | None = None
    factors: Annotated[list[Factor], Field(max_length=64)] = []


class PersonHead(Stamp):
    """The head of a person's record."""

    id: str
    profile: Profile
    templates: Annotated[list[TemplateHead], Field(max_length=MOST_TEMPLATES)]

    @model_validator(mode="after")
    def _is_an_id(self) -> PersonHead:
        if not is_id(self.id):
            raise ValueError("no person's id")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """A person, as a record has them.

    Attributes:
        id: theirs, for good, the same at every door.
        profile: what is known of them.
        templates: model, time of creation and unit vector of each.
    """

    id: str
    profile: Profile
    templates: Sequence[tuple[str, str, Embedding]]

    def head(self) -> dict[str, Any]:
        """Return it for the head of a message, without the stamp."""
        return {
            "id": self.id,
            "profile": self.profile.model_dump(),
            "templates": [
                {"model": model, "size": len(vector), "created_utc": utc}
                for model, utc, vector in self.templates
            ],
        }

    def data(self) -> bytes:
        """Return the templates' numbers: little-endian float32, one vector after the other."""
        return b"".join(vector.astype("<f4").tobytes() for *_, vector in self.templates)


def is_id(text: str) -> bool:
    """Return whether it can be a person's."""
    return _ID.fullmatch(text) is not None


def topic_of(person_id: str) -> str:
    """Return a person's topic below the fleet's: by the first two digits in 256 shards."""
    return f"people/{person_id[:2]}/{person_id}"


def packed(person_id: str) -> bytes:
    """Return an id as 16 bytes."""
    return uuid.UUID(person_id).bytes


def version_of(said: Signed) -> Version:
    """Return which record a message is.

    Raises:
        Refused: `malformed`.
    """
    stamp: PersonHead | Tombstone
    if said.kind is Kind.TOMBSTONE:
        stamp = read(Tombstone, said.head)
        return Version(True, stamp.counter, False, stamp.by, stamp.time, said.digest)
    stamp = read(PersonHead, said.head)
    disabled = not stamp.profile.enabled
    return Version(False, stamp.counter, disabled, stamp.by, stamp.time, said.digest)


def content_of(said: Signed) -> Content:
    """Return the person in a record.

    Raises:
        Refused: `malformed`, also if a template is no unit vector.
    """
    head = read(PersonHead, said.head)
    if len(said.data) != 4 * sum(one.size for one in head.templates):
        raise Refused("malformed")
    templates, place = [], 0
    for one in head.templates:
        vector = np.frombuffer(said.data, "<f4", one.size, place).astype(np.float32)
        if not abs(float(np.dot(vector, vector)) - 1.0) < 1e-3:  # NaN is not less
            raise Refused("malformed")
        templates.append((one.model, one.created_utc, vector))
        place += 4 * one.size
    return Content(head.id, head.profile, templates)


def read(kind: type[_P], head: Any) -> _P:
    """Read the head of a message.

    Raises:
        Refused: `malformed`.
    """
    try:
        return kind.model_validate(head)
    except ValidationError:
        raise Refused("malformed") from None
