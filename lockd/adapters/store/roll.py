"""The seal over everybody: who is enrolled in which revision, and where the audit trail ends.

A person's own seal (`rights`) says that their row is one that lockd wrote; not that it is the last
one. So the roll has a sum over everybody's id and revision (`tally`), the generation of the
people, and the last link of the audit trail's `chain`, all sealed in one row that every change
writes anew. That the whole file is the latest one the `witness` knows.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lockd.adapters.store import chain, rights
from lockd.adapters.store.schema import Database
from lockd.adapters.store.sealed_state import State, read_state, write_state
from lockd.adapters.store.tally import Tally, moved, term
from lockd.adapters.store.witness import Known, Witness
from lockd.errors import StoreError

_LEAP = 1 << 20
"""Revisions are left out by so many where a past was lost: none of it ever comes again."""
WAY_OUT = "see `lockd store check` for what it turned back, and `lockd store confirm`"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Before:
    """How somebody was before a transaction changed them.

    Attributes:
        revision: of their row.
        good: whether the row was as it was sealed.
        holds: what is theirs, as it was sealed.
    """

    revision: int
    good: bool
    holds: frozenset[str]


_NEW = _Before(0, True, frozenset())


class Roll:
    """The seal of one open store; what changes people or the audit trail goes through it."""

    def __init__(self, database: Database, witness: Witness | None) -> None:
        """Look at nothing yet.

        Args:
            witness: knows the latest generation; None of a copy, which may be of any.
        """
        self._database = database
        self.witness = witness
        self._tally = Tally()
        self.begin()

    def begin(self) -> None:
        """Begin a transaction."""
        self._state: State | None = None
        self._written = self._anew = False
        self._before: dict[str, _Before] = {}
        self._added: dict[str, set[str]] = {}
        self._touched: set[str] = set()
        self._told: list[tuple[str, str]] = []

    # What is asked of a store

    def known(self) -> Known | str | None:
        """Return what the witness knows, or what is wrong with it, or None if it was never made.

        To be asked before what it is compared with is read: changes are written there first.
        """
        return None if self.witness is None else self.witness.read_anyhow()

    def doubt(
        self, known: Known | str | None, *, everybody: bool = False, since: int = -1
    ) -> str | None:
        """Return why the people cannot be trusted to be the latest, or None.

        Args:
            known: from `known`.
            everybody: whether to look at everybody, too.
            since: only at those who changed since a revision at which everybody was looked at.
        """
        path = self._database.path
        try:
            state = read_state(self._database)
        except StoreError as error:
            return str(error)
        if isinstance(known, str):
            return known
        if self.witness is not None and known is None and state.witnessed:
            return f"{self.witness.path}: is gone, so nobody knows whether {path} is the latest"
        if known is not None and known.generation > state.generation:
            return (
                f"store {path}: is of generation {state.generation}, and {known.generation} was "
                "known: an older copy was put in its place"
            )
        if everybody and not self._is_everybody(state, since):
            return f"store {path}: somebody was put in, taken out or turned back past lockd"
        return None

    def must_be_trusted(self, known: Known | str | None, since: int = -1) -> None:
        """Look whether the people are the latest; see `doubt`.

        Raises:
            StoreError: if not; then nobody is to be recognised by them.
        """
        if (doubt := self.doubt(known, everybody=True, since=since)) is not None:
            raise StoreError(f"{doubt}; nobody is recognised by it: {WAY_OUT}")

    def audit_faults(self) -> Iterator[str]:
        """Say which entries of the audit trail are not as they were written."""
        state = read_state(self._database)
        query = (
            "SELECT id, utc, by, action, person_id, note, link FROM audit WHERE id > ? ORDER BY id"
        )
        rows = self._database.run(query, state.unsealed).fetchall()
        ends = (state.first, state.before), (state.last, state.link)
        yield from chain.broken(rows, state.key, *ends)

    def generation(self) -> int:
        """Return the generation of the people, 0 if it cannot be known."""
        try:
            return read_state(self._database).generation
        except StoreError:
            return 0

    def holds(self, person_id: str) -> frozenset[str]:
        """Return what is somebody's, by nonce: as it was sealed, and what is new."""
        sealed = self._database.value("SELECT rights FROM people WHERE id = ?", person_id)
        kept = rights.opened(self._database.vault, sealed, person_id)
        return (kept.holds if kept else frozenset()).union(self._added.get(person_id, ()))

    def as_sealed(self) -> set[str]:
        """Return the ids of those who have a PIN or a card and whose row is as it was sealed."""
        rows = self._database.run(
            f"SELECT id, rights, {rights.COLUMNS} FROM people "
            "WHERE id IN (SELECT person_id FROM factors)"
        ).fetchall()
        found = set()
        for id_, sealed, *row in rows:
            kept = rights.opened(self._database.vault, sealed, id_)
            if kept is not None and kept.row == tuple(row):
                found.add(id_)
        return found

    def liveness(self) -> str:
        """Return the nonce of what is kept of it; empty if nothing is."""
        return read_state(self._database).liveness

    def fleet(self) -> str:
        """Return the same of what is kept of a fleet."""
        return read_state(self._database).fleet

    def tries(self) -> dict[str, int]:
        """Return the wrong tries in a row, by person's id."""
        return read_state(self._database).tries

    # What a change tells, within its transaction

    def note_liveness(self, sealed: bytes) -> None:
        """Note what is kept of it from now on."""
        self._now().liveness = rights.nonce_of(sealed)
        self._written = True

    def note_fleet(self, sealed: bytes) -> None:
        """Note what is kept of a fleet from now on; nothing is none."""
        self._now().fleet = rights.nonce_of(sealed)
        self._written = True

    def note_tries(self, person_id: str, tries: int) -> None:
        """Note how many wrong tries in a row somebody has."""
        known = self._now().tries
        known.pop(person_id, None)
        query = "SELECT EXISTS (SELECT 1 FROM people WHERE id = ?)"
        if tries and self._database.value(query, person_id):
            known[person_id] = tries
        self._written = True

    def look(self, person_id: str) -> None:
        """Note how somebody is, before they are changed; anew is of no account."""
        if person_id in self._before:
            return
        query = f"SELECT rights, {rights.COLUMNS} FROM people WHERE id = ?"
        row = self._database.run(query, person_id).fetchone()
        if row is not None:
            kept = rights.opened(self._database.vault, row[0], person_id)
            good = kept is not None and kept.row == tuple(row[1:])
            self._before[person_id] = _Before(
                int(row[-1]), good, kept.holds if kept else frozenset()
            )

    def made(self, person_id: str) -> None:
        """Note that somebody is new."""
        self._before[person_id] = _NEW

    def vouched(self, person_id: str, revision: int) -> None:
        """Note that somebody whose row was not as it was sealed is so again, in a revision."""
        self._before[person_id] = replace(self._before[person_id], revision=revision, good=True)

    def added(self, person_id: str, sealed: bytes) -> None:
        """Note that a template, a PIN or a card of somebody is new."""
        self._added.setdefault(person_id, set()).add(rights.nonce_of(sealed))

    def tell(self, what: str, person_id: str) -> None:
        """Let the witness know what becomes of somebody."""
        self._told.append((what, person_id))

    def touch(self, person_id: str) -> None:
        """Note that somebody is changed, or deleted; before their revision is."""
        self.look(person_id)
        self._touched.add(person_id)

    def link(self, *entry: Any) -> bytes:
        """Return the link of a new entry of the audit trail, its number first."""
        state = self._now()
        state.link = chain.link_of(state.key, state.link, entry)
        state.last = int(entry[0])
        self._written = True
        return bytes.fromhex(state.link)

    def cut(self, number: int) -> None:
        """Note that the audit trail is deleted up to an entry."""
        state = self._now()
        link = self._database.value("SELECT link FROM audit WHERE id = ?", number)
        state.before = (link or b"").hex()
        state.first = number + 1
        self._written = True

    def finish(self) -> None:
        """Seal what was changed, before it is committed.

        Raises:
            StoreError: if people are to be given rights in a store that cannot be trusted, or
                one whose row cannot.
        """
        if self._touched:
            self._seal_people()
        if self._written:
            write_state(self._database, self._now())

    def committed(self) -> None:
        """Let the witness know; one that cannot is told of, and lags behind."""
        told, self._told, self._added = self._told, [], {}
        if (told or self._anew) and self.witness is not None and self._state is not None:
            try:
                if self._anew and isinstance(self.known(), str):
                    self.witness.begin_anew(self._state.generation)
                self.witness.advance(self._state.generation, told)
            except StoreError as error:
                log.error("%s; an older store in the place of this one would not be noticed", error)

    def _seal_people(self) -> None:
        state, database = self._now(), self._database
        known = self.known()
        trusted = self.doubt(known) is None
        for id_ in sorted(self._touched):
            row = database.run("SELECT revision, enabled FROM people WHERE id = ?", id_).fetchone()
            before = self._before.get(id_, _NEW)
            revision, enabled = row or (0, 0)
            if enabled and not (trusted and before.good):
                self._refuse(id_, trusted)
            if row is not None:
                rights.seal(database, id_, state.last, before.holds.union(self._added.get(id_, ())))
            change = term(state.key, id_, revision) - term(state.key, id_, before.revision)
            state.people = moved(state.people, change)
            if row is None:
                state.tries.pop(id_, None)
            what = "changed" if enabled else "disabled" if row else "removed"
            self.tell(what, id_)
        state.generation += trusted
        state.witnessed |= isinstance(known, Known)
        self._written = True

    def _refuse(self, person_id: str, trusted: bool) -> None:
        path = self._database.path
        if not trusted:
            raise StoreError(
                f"store {path}: may be older than it should be, so nobody gets rights in it; "
                f"{WAY_OUT}"
            )
        name = self._database.value("SELECT name FROM people WHERE id = ?", person_id)
        raise StoreError(
            f"store {path}: the record of {name} was changed past lockd; `lockd store check` says "
            "how, and `lockd store check --mend` puts back what was sealed"
        )

    # What makes a new beginning

    def found(self) -> None:
        """Seal a store that has no seal yet, within a transaction; for an older version's.

        One with people in it is of no generation where one is known already: it is older.
        """
        database, known = self._database, self.known()
        begin = 1
        if isinstance(known, Known):
            anybody = database.value("SELECT EXISTS (SELECT 1 FROM people)")
            begin = 0 if anybody else known.generation
        self._state = State(secrets.token_hex(32), begin, "")
        for number, *entry in database.run(
            "SELECT id, utc, by, action, person_id, note FROM audit ORDER BY id"
        ).fetchall():
            self._state.first = self._state.first if self._state.last else number
            link = self.link(number, *entry)
            database.run("UPDATE audit SET link = ? WHERE id = ?", link, number)
        database.run("UPDATE people SET revision = 1 WHERE revision = 0")
        for (id_,) in database.run("SELECT id FROM people").fetchall():
            rights.seal(database, id_, self._state.last)
        self._count_anew(self._state)

    def renew(self, generation: int = 0) -> None:
        """Take everybody as they are, within a transaction, as a generation later than all known.

        Args:
            generation: a known one besides those of the store and the witness.
        """
        known = self.known()
        try:
            state = self._now()
        except StoreError:
            last = self._database.value("SELECT max(id) FROM audit") or 0
            state = State(secrets.token_hex(32), 0, "", first=last + 1, last=last, unsealed=last)
            self._state = state
        latest = known.generation if isinstance(known, Known) else 0
        state.generation = max(state.generation, generation, latest) + 1
        self._anew = True
        self._database.run("UPDATE counters SET value = value + ? WHERE name = 'gallery'", _LEAP)
        self._count_anew(state)

    def catch_up(self) -> None:
        """Let the witness know of a change that a power cut, or a full disk, kept from it."""
        if self.witness is None:
            return
        known, generation = self.known(), self.generation()
        if self.doubt(known) is not None or (
            isinstance(known, Known) and known.generation == generation
        ):
            return
        try:
            self.witness.advance(generation)
        except StoreError as error:
            log.error("%s", error)

    def _count_anew(self, state: State) -> None:
        state.people = self._sum_of_all(state)
        liveness = self._database.value("SELECT sealed FROM liveness")
        state.liveness = rights.nonce_of(liveness) if liveness else ""
        write_state(self._database, state)

    # The row

    def _now(self) -> State:
        """The state within a transaction."""
        if self._state is None:
            self._state = read_state(self._database)
        return self._state

    def _is_everybody(self, state: State, since: int) -> bool:
        """Whether those who are there are those whom the seal has, each in their last revision."""
        run = self._database.run
        if since >= 0:
            gone = [row[0] for row in run("SELECT person_id FROM gone WHERE revision > ?", since)]
            rows = run("SELECT id, revision FROM people WHERE revision > ?", since).fetchall()
            if self._tally.after(state.key, rows, gone) == state.people:
                return True
        if self._sum_of_all(state) == state.people:
            return True
        # Somebody's revision that alone is spoilt costs nobody else the door: the seal has it.
        rows = []
        for id_, sealed, revision in run("SELECT id, rights, revision FROM people").fetchall():
            kept = rights.opened(self._database.vault, sealed, id_)
            rows.append((id_, int(kept.row[-1] or 0) if kept else revision))
        return self._tally.of_all(state.key, rows) == state.people

    def _sum_of_all(self, state: State) -> str:
        rows = self._database.run("SELECT id, revision FROM people").fetchall()
        return self._tally.of_all(state.key, rows)
