"""People as they travel from door to door: what is in an exported file.

Whoever knows the passphrase may still have made nonsense, so every value is checked as if
a stranger had written it; the store checks it once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lockd.adapters.store import Access, Details, Enrolled, NewFactor, Store
from lockd.errors import TransferError
from lockd.identity.factors import MOST_CARDS, FactorKind, is_kept
from lockd.identity.variety import MAX_TEMPLATES
from lockd.types import Embedding

MAX_VALUES = 1_000_000
"""In a file, as JSON: 250 bytes of memory each to read; 30,000 people with five templates."""


def _shown(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a character that cannot be shown")
    return text


_Text = Annotated[str, Field(max_length=2000)]
_Name = Annotated[str, Field(max_length=256)]
_Group = Annotated[str, Field(max_length=256), AfterValidator(_shown)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        hide_input_in_errors=True,
    )


class PortableTemplate(_Part):
    """One template; in the file, binary values are in base64."""

    model: _Name
    embedding: Annotated[bytes, Field(max_length=1 << 15)]
    photograph: bytes | None = None

    @field_validator("embedding")
    @classmethod
    def _is_unit(cls, raw: bytes) -> bytes:
        if len(raw) % 4 or not abs(np.linalg.norm(np.frombuffer(raw, "<f4")) - 1.0) < 1e-3:
            raise ValueError("no unit vector")
        return raw

    def vector(self) -> Embedding:
        """Return the embedding."""
        return np.frombuffer(self.embedding, "<f4").astype(np.float32)


class PortableFactor(_Part):
    """A PIN's hash, or a card's key and keyed hash."""

    kind: Annotated[FactorKind, Field(strict=False)]
    kept: Annotated[bytes, Field(max_length=256)]

    @model_validator(mode="after")
    def _is_kept(self) -> PortableFactor:
        if self.kind is FactorKind.CONFIRM or not is_kept(self.kind, self.kept):
            raise ValueError("neither a PIN's hash nor a card's")
        return self


class PortablePerson(_Part):
    """One person."""

    name: _Name
    enabled: bool
    groups: Annotated[list[_Group], Field(max_length=1000)]
    valid_from: _Name | None
    valid_until: _Name | None
    external_id: _Name | None
    notes: _Text | None
    consent_by: _Name | None
    consent_utc: _Name | None
    # Of some compositions of networks.
    templates: Annotated[list[PortableTemplate], Field(max_length=8 * MAX_TEMPLATES)]
    # Written only if there are any, so that an earlier lockd reads what it can use.
    factors: Annotated[list[PortableFactor], Field(max_length=MOST_CARDS + 1)] = []

    @field_validator("factors")
    @classmethod
    def _one_pin(cls, factors: list[PortableFactor]) -> list[PortableFactor]:
        if sum(one.kind is FactorKind.PIN for one in factors) > 1:
            raise ValueError("more than one PIN")
        return factors

    def access(self) -> Access:
        """Return their rights."""
        return Access(
            groups=frozenset(self.groups), valid_from=self.valid_from, valid_until=self.valid_until
        )

    def details(self) -> Details:
        """Return what else is kept of them."""
        return Details(self.external_id, self.notes, self.consent_by, self.consent_utc)

    def new_factors(self) -> list[NewFactor]:
        """Return their PIN and cards."""
        return [(one.kind, one.kept) for one in self.factors]


class _Content(_Part):
    format: Literal[1]
    people: Annotated[list[PortablePerson], Field(max_length=1_000_000)]


def pack(store: Store, people: Sequence[Enrolled]) -> bytes:
    """Return people as bytes, as `unpack` reads them; damaged templates are left out.

    Raises:
        TransferError: if they are too many for one file.
    """
    packed = [_packed(store, one) for one in people]
    wrapped = _Content(format=1, people=packed)
    content = wrapped.model_dump_json(exclude_defaults=True).encode()
    if _values(content) > MAX_VALUES:
        raise TransferError(f"{len(people)} people are too many for one file; name some of them")
    return content


def unpack(content: bytes, name: str) -> list[PortablePerson]:
    """Read what `pack` wrote.

    Args:
        name: of the file, for the error message.

    Raises:
        TransferError: if something in it makes no sense, or there is too much of it.
    """
    if (values := _values(content)) > MAX_VALUES:
        raise TransferError(
            f"{name}: up to {values} values, and {MAX_VALUES} are read at most; export fewer "
            "people at once"
        )
    try:
        return _Content.model_validate_json(content).people
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise TransferError(f"{name}: {place}: {first['msg']}; export it again") from None


def _values(content: bytes) -> int:
    """No fewer than the values that a JSON text can have: one of these stands before each."""
    return sum(map(content.count, (b",", b"[", b"{")))


def _packed(store: Store, one: Enrolled) -> PortablePerson:
    name = one.person.name
    photographs = store.templates.photographs(name)
    return PortablePerson(
        name=name,
        enabled=one.enabled,
        groups=sorted(one.person.groups),
        valid_from=one.person.valid_from,
        valid_until=one.person.valid_until,
        external_id=one.details.external_id,
        notes=one.details.notes,
        consent_by=one.details.consent_by,
        consent_utc=one.details.consent_utc,
        templates=[
            PortableTemplate(
                model=kept.model,
                embedding=kept.embedding.astype("<f4").tobytes(),
                photograph=photographs.get(kept.id),
            )
            for kept in store.templates.of(name)
        ],
        factors=[PortableFactor(kind=kept.kind, kept=kept.kept) for kept in store.factors.of(name)],
    )
