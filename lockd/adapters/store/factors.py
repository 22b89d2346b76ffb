"""PINs and cards: what is kept of them, sealed and bound to whose they are."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockd.adapters.store.audit import Audit
from lockd.adapters.store.database import Database
from lockd.adapters.store.gallery import Changes
from lockd.adapters.store.records import utc_now
from lockd.adapters.store.rights import nonce_of
from lockd.adapters.store.rows import PERSON, changed, named, to_person
from lockd.adapters.store.vault import SealError, Vault
from lockd.errors import FactorError
from lockd.identity.factors import MOST_CARDS, FactorKind, is_kept
from lockd.types import Person

log = logging.getLogger(__name__)

NewFactor = tuple[FactorKind, bytes]
"""What `lockd.identity.factors` makes of a PIN or a card."""


@dataclass(frozen=True, slots=True)
class KeptFactor:
    """A PIN or a card of somebody.

    Attributes:
        id: the row's number.
        person: whose.
        kind: PIN or card.
        created_utc: when it was enrolled.
        kept: what `lockd.identity.factors` makes of it.
    """

    id: int
    person: Person
    kind: FactorKind
    created_utc: str
    kept: bytes = field(repr=False)


def open_factor(vault: Vault, sealed: bytes, person_id: str, kind: str) -> bytes | None:
    """Return what a row has, or None if it was altered or moved to somebody else."""
    try:
        kept = vault.unseal(sealed, kind, person_id)
    except SealError:
        return None
    return kept if is_kept(FactorKind(kind), kept) else None


class Factors:
    """PINs and cards by whose they are."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._changes = Changes(database)

    def changed(self) -> bool:
        """Return whether any may have changed since the last call; True at the first."""
        return self._changes.seen()

    def usable(self) -> tuple[list[KeptFactor], int]:
        """Return those of everybody enabled, and how many are damaged and so not among them.

        Raises:
            StoreError: if they cannot be read, or may not be the latest.
        """
        known = self._database.roll.known()
        with self._database.snapshot():
            self._database.roll.must_be_trusted(known)
            rows = self._rows("WHERE enabled")
            good = self._database.roll.as_sealed()
        found = [one for one in rows if one is not None and one.person.id in good]
        return found, len(rows) - len(found)

    def of(self, name: str) -> list[KeptFactor]:
        """Return somebody's, but for damaged ones, in the order they were enrolled.

        Raises:
            PersonError: if nobody of that name is enrolled.
        """
        person = named(self._database, name).person
        return [one for one in self._rows("WHERE people.id = ?", person.id) if one is not None]

    def counts(self) -> Mapping[str, Counter[FactorKind]]:
        """Return how many of each kind everybody has, by person's id, damaged ones too."""
        found: dict[str, Counter[FactorKind]] = {}
        for person_id, kind in self._database.rows("SELECT person_id, kind FROM factors"):
            found.setdefault(person_id, Counter())[FactorKind(kind)] += 1
        return found

    def set_pin(self, name: str, kept: bytes, *, by: str) -> Person:
        """Give somebody a PIN, in the place of the one they had.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():
            person = named(self._database, name).person
            self._delete(person.id, FactorKind.PIN)
            self.put(person.id, [(FactorKind.PIN, kept)])
            self._done(by, "set_pin", person.id)
        self._database.fold_journal()
        return person

    def add_card(self, name: str, kept: bytes, *, by: str) -> Person:
        """Give somebody a card more.

        Raises:
            PersonError: if nobody of that name is enrolled.
            FactorError: if they have `MOST_CARDS` already.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():
            person = named(self._database, name).person
            self.put(person.id, [(FactorKind.CARD, kept)])
            self._done(by, "add_card", person.id)
        return person

    def remove(self, name: str, kind: FactorKind, *, by: str) -> int:
        """Take somebody's PIN or all their cards away; return how many there were.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then nothing was.
        """
        return self._database.revoke(lambda: self._remove(name, kind, by))

    def remove_card(self, number: int, *, by: str) -> None:
        """Take one card away, by its row's number.

        Raises:
            FactorError: if there is no such card.
            StoreError: if it cannot be written; then nothing was.
        """

        def away() -> None:
            with self._database.transaction():
                owner = self._database.value(
                    "SELECT person_id FROM factors WHERE id = ? AND kind = 'card'", number
                )
                if owner is None:
                    raise FactorError(f"there is no card {number}; see `lockd-enroll show NAME`")
                self._database.run("DELETE FROM factors WHERE id = ?", number)
                self._done(by, "remove_card", owner)

        self._database.revoke(away)
        self._database.fold_journal()

    def put(self, person_id: str, new: Sequence[NewFactor]) -> None:
        """Give somebody more, within a transaction.

        Raises:
            FactorError: if that would be too many cards.
        """
        for kind, kept in new:
            sealed = self._database.vault.seal(kept, kind.value, person_id)
            self._database.roll.added(person_id, sealed)
            self._database.run(
                "INSERT INTO factors (person_id, kind, created_utc, sealed) VALUES (?, ?, ?, ?)",
                *(person_id, kind.value, utc_now(), sealed),
            )
        cards = self._database.value(
            "SELECT count(*) FROM factors WHERE person_id = ? AND kind = 'card'", person_id
        )
        if cards > MOST_CARDS:
            raise FactorError(
                f"nobody has more than {MOST_CARDS} cards; remove one first: "
                "`lockd-enroll card NAME --remove`"
            )

    def forget(self, person_id: str) -> None:
        """Delete somebody's, within a transaction."""
        self._database.run("DELETE FROM factors WHERE person_id = ?", person_id)

    def move(self, source: str, target: str) -> None:
        """Give somebody else's to one who is the same, within a transaction.

        A PIN only if they have none; of too many cards the newest are left behind.
        """
        own = self._rows("WHERE people.id = ?", target)
        kinds = Counter(one.kind for one in own if one is not None)
        for one in self._rows("WHERE people.id = ?", source):
            if one is None:
                continue
            most = 1 if one.kind is FactorKind.PIN else MOST_CARDS
            if kinds[one.kind] < most:
                kinds[one.kind] += 1
                self.put(target, [(one.kind, one.kept)])

    def sealed(self, person_id: str) -> list[bytes]:
        """Return all that is sealed of somebody, as it is."""
        rows = self._database.rows("SELECT sealed FROM factors WHERE person_id = ?", person_id)
        return [bytes(one) for (one,) in rows]

    def wrong_tries(self) -> dict[str, int]:
        """Return the wrong tries in a row, by person's id, of those who have any.

        Raises:
            StoreError: if they cannot be read, or were altered.
        """
        return self._database.roll.tries()

    def note_wrong_tries(self, person_id: str, tries: int) -> None:
        """Write down how many wrong tries in a row somebody has.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():
            self._database.roll.note_tries(person_id, tries)

    def _remove(self, name: str, kind: FactorKind, by: str) -> int:
        with self._database.transaction():
            person = named(self._database, name).person
            count = self._delete(person.id, kind)
            if count:
                self._done(by, f"remove_{kind.value}", person.id)
        self._database.fold_journal()
        return count

    def _delete(self, person_id: str, kind: FactorKind) -> int:
        return self._database.run(
            "DELETE FROM factors WHERE person_id = ? AND kind = ?", person_id, kind.value
        ).rowcount

    def _done(self, by: str, action: str, person_id: str) -> None:
        changed(self._database, person_id)
        self._audit.note(by, action, person_id)

    def _rows(self, which: str, *values: str) -> list[KeptFactor | None]:
        return list(self._opened(which, *values))

    def _opened(self, which: str, *values: str) -> Iterator[KeptFactor | None]:
        """Each factor, None in the place of one that is damaged."""
        for number, kind, created_utc, sealed, *person in self._database.rows(
            f"SELECT factors.id, kind, factors.created_utc, sealed, {PERSON} FROM factors "
            f"JOIN people ON people.id = person_id {which} ORDER BY factors.id",
            *values,
        ):
            theirs = nonce_of(sealed) in self._database.roll.holds(person[0])
            kept = open_factor(self._database.vault, sealed, person[0], kind) if theirs else None
            try:
                owner = to_person(*person)
            except ValueError:
                kept = None
            if kept is None:
                log.error("%s %d is damaged and not used; see `lockd store check`", kind, number)
                yield None
            else:
                yield KeptFactor(number, owner, FactorKind(kind), created_utc, kept)
