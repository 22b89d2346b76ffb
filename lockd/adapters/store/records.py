"""What the store says of people, and what may be said to it."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import numpy as np

from lockd.door.validity import begins_before_it_ends, is_moment
from lockd.errors import PersonError
from lockd.messages import utc_text
from lockd.types import JOINERS, Embedding, Person

MAX_NAME = 64
MAX_NOTES = 2000

# Controls, surrogates and invisible directions would forge logs and lists.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_UNSEEN = str.maketrans("_", " ", JOINERS)


class Access(TypedDict, total=False):
    """What may be changed of a person's rights; what is left out stays. See `Person`."""

    groups: frozenset[str]
    valid_from: str | None
    valid_until: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a person besides name and rights; nothing of it decides anything.

    Attributes:
        external_id: their number elsewhere, as on a badge; no two people have the same.
        notes: anything, at most `MAX_NOTES` characters, in as many lines as need be.
        consent_by: who recorded that they agreed to be recognised.
        consent_utc: when they agreed, ISO 8601: a day, or a day and a time.
    """

    external_id: str | None = None
    notes: str | None = None
    consent_by: str | None = None
    consent_utc: str | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A person as the store has them.

    Attributes:
        person: who, and their rights.
        templates: how many, those that other networks made and damaged ones too.
        created_utc: when they were enrolled first.
        enabled: whether the door knows them; to it somebody disabled is a stranger.
        details: what else is known of them.
    """

    person: Person
    templates: int
    created_utc: str
    enabled: bool = True
    details: Details = Details()


@dataclass(frozen=True, slots=True, eq=False)
class StoredTemplate:
    """One template as the store has it."""

    id: int
    model: str
    embedding: Embedding
    created_utc: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what, and when; a person's id stays when the person is gone."""

    utc: str
    by: str
    action: str
    person_id: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a store.

    Attributes:
        text: what, for people.
        table: where its row is, if it is one.
        row: that row's number.
        person_id: whose it is.
    """

    text: str
    table: str = ""
    row: int | None = None
    person_id: str | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """What was deleted of somebody, and what could not be.

    Attributes:
        person: who it was.
        templates: how many were deleted.
        photographs: how many were deleted.
        messages: how many, on their way to the broker, have the id for the name now.
        events: how many of those kept have.
        factors: how many PINs and cards were deleted.
        left: where something of them was still found afterwards; empty if nowhere.
        mentions: where other people's records have the name in them, which was left alone.
        backups: files that an administrator once made, and that are still there.
    """

    person: Person
    templates: int
    photographs: int
    messages: int
    events: int
    factors: int = 0
    left: list[str] = field(default_factory=list)
    mentions: list[str] = field(default_factory=list)
    backups: list[Path] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Return whether nothing was found of them any more."""
        return not self.left


def clean_name(name: str) -> str:
    """Return a name as it is kept: NFC, without space at its ends.

    Raises:
        PersonError: if it is empty, too long, or has characters that no name has.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not key_of(cleaned):
        raise PersonError("a person's name is empty; give one")
    if len(cleaned) > MAX_NAME:
        raise PersonError(
            f"{cleaned[:20]!r}...: a name of {len(cleaned)} characters; the most is {MAX_NAME}"
        )
    around = zip(f" {cleaned[:-1]}", cleaned, f"{cleaned[1:]} ", strict=True)
    bad = [
        char
        for before, char, after in around
        if not _is_seen(char) and not (char in JOINERS and _joins(before, after))
    ]
    if bad:
        raise PersonError(f"{cleaned!r}: the character {bad[0]!r} cannot be part of a name")
    return cleaned


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) not in _HIDDEN


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between two characters does something; a virama it may end alone."""
    virama = unicodedata.combining(before) == 9
    return virama or all(_is_seen(one) and not one.isspace() for one in (before, after))


def key_of(name: str) -> str:
    """Return what the ways of writing one name have in common.

    Composed or not, in upper or lower case, with spaces or underscores, joined or not.
    """
    seen = unicodedata.normalize("NFC", name.translate(_UNSEEN))
    return " ".join(seen.split()).casefold()


def checked(person: Person) -> Person:
    """Return a person whose rights make sense.

    Raises:
        PersonError: if theirs do not.
    """
    first, last = person.valid_from, person.valid_until
    for moment in (first, last):
        if moment is not None and not is_moment(moment):
            raise PersonError(
                f"{person.name}: {moment!r} is no day, and no minute of one; use 2026-12-31 or "
                "2026-12-31T14:30"
            )
    if first and last and not begins_before_it_ends(first, last):
        raise PersonError(f"{person.name}: valid until {last}, which is before it begins, {first}")
    return person


def checked_details(details: Details) -> Details:
    """Return details that can be kept; an empty text is none.

    Raises:
        PersonError: if a text is too long, has hidden characters, or is no time.
    """
    for one in fields(details):
        text = getattr(details, one.name)
        most, allowed = (MAX_NOTES, "\n\t") if one.name == "notes" else (MAX_NAME, "")
        if text is None:
            continue
        if len(text) > most:
            raise PersonError(f"{one.name}: {len(text)} characters; the most is {most}")
        bad = [char for char in text if unicodedata.category(char) in _HIDDEN]
        if set(bad) - set(allowed):
            raise PersonError(f"{one.name}: {text[:20]!r} has a character that cannot be shown")
    if details.consent_utc and not _is_time(details.consent_utc):
        raise PersonError(
            f"consent: {details.consent_utc!r} is no time; use one such as 2026-12-31"
        )
    return Details(*(getattr(details, one.name) or None for one in fields(details)))


def is_unit(embedding: Embedding) -> bool:
    """Return whether an embedding's norm is 1."""
    # NaN is in no range, and many at once are quicker without numpy's own norm.
    return abs(math.sqrt(float(np.dot(embedding, embedding))) - 1.0) < 1e-3


def utc_now() -> str:
    """Return the time as it is written."""
    return utc_text(timespec="seconds")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
