"""What a door of a fleet holds of it, beside its own people, whom it makes what the fleet says.

A row of `fleet_messages` is what was published of a person, and the revision in which that is their
row here. So whoever was changed or removed here since is found by their revision, whatever changed
them, and however long ago. What is held is known to be whole by the digest in the sealed state.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lockd.adapters.store.database import Database
from lockd.adapters.store.factors import Factors
from lockd.adapters.store.people import People
from lockd.adapters.store.records import MAX_NAME, Details, Removal, clean_name, key_of
from lockd.adapters.store.removal import verified
from lockd.adapters.store.rights import nonce_of
from lockd.adapters.store.rows import PERSON, begin_epoch, find, to_person
from lockd.adapters.store.templates import Templates
from lockd.adapters.store.vault import SealError
from lockd.errors import PersonError, StoreError
from lockd.fleet.records import Content, Factor, Profile
from lockd.identity.factors import FactorKind, is_kept
from lockd.types import Person

log = logging.getLogger(__name__)

_PURPOSE = "fleet"
_BY = "fleet"


@dataclass(frozen=True, slots=True)
class Held:
    """What a door holds of its fleet.

    Attributes:
        state: `lockd.fleet.state.State`, as bytes.
        rows: topic and packed version of each message.
        stamp: names this very state.
        turned: whether people were put back from a backup, or confirmed, since it was written.
    """

    state: bytes
    rows: Sequence[tuple[str, bytes]]
    stamp: str
    turned: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written at once.

    Attributes:
        before: stamp of the state that it follows; empty of the first.
        state: anew.
        messages: by topic; None is to be dropped.
        versions: packed, of the people among them.
        people: to be made so.
        own: ids of those whom this door signed as they are here.
        removed: ids of those who are to go.
    """

    before: str
    state: bytes
    messages: Mapping[str, bytes | None]
    versions: Mapping[str, bytes]
    people: Sequence[Content] = ()
    own: Sequence[str] = ()
    removed: Sequence[str] = ()


class SupersededError(StoreError):
    """Another program has changed what is held since it was read."""


class Fleet:
    """The fleet's part of a store."""

    def __init__(
        self, database: Database, people: People, templates: Templates, factors: Factors
    ) -> None:
        self._database = database
        self._people = people
        self._templates = templates
        self._factors = factors

    def held(self) -> Held | None:
        """Return what is held, None of a door that is in no fleet.

        Raises:
            StoreError: if it cannot be read, was altered, or is not what was written last.
        """
        database = self._database
        with database.snapshot():
            row = database.run("SELECT epoch, sealed FROM fleet").fetchone()
            latest = database.roll.fleet()
            if row is None and not latest:
                return None
            epoch, sealed = row or (0, b"")
            now = database.value("SELECT value FROM counters WHERE name = 'epoch'")
            rows = database.run("SELECT topic, version FROM fleet_messages").fetchall()
        try:
            if nonce_of(sealed) != latest:
                raise SealError
            state = database.vault.unseal(sealed, _PURPOSE)
        except SealError:
            raise StoreError(
                f"store {database.path}: what is kept of the fleet was altered or turned back; "
                "leave it and join anew: `lockd fleet leave`"
            ) from None
        return Held(
            state, [(topic, bytes(version)) for topic, version in rows], latest, epoch != now
        )

    def stamp(self) -> str:
        """Return what names the state that was written last; empty if there is none."""
        return self._database.roll.fleet()

    def message(self, topic: str) -> bytes | None:
        """Return what is held of a topic, None if nothing is.

        Raises:
            StoreError: if it cannot be read.
        """
        query = "SELECT message FROM fleet_messages WHERE topic = ? AND message != x''"
        found = self._database.value(query, topic)
        return None if found is None else bytes(found)

    def write(self, change: Change) -> list[Removal]:
        """Write what came or was signed, all or nothing; return who was removed.

        Raises:
            SupersededError: if something else was written since what it follows.
            StoreError: if it cannot be written; then nothing was.
        """

        def done() -> list[tuple[Removal, list[bytes]]]:
            with self._database.transaction():
                return self._write(change)

        takes = change.removed or not all(one.profile.enabled for one in change.people)
        gone = self._database.revoke(done) if takes else done()
        return [verified(self._database, removal, blobs) for removal, blobs in gone]

    def _write(self, change: Change) -> list[tuple[Removal, list[bytes]]]:
        run = self._database.run
        if self._database.roll.fleet() != change.before:
            raise SupersededError(f"store {self._database.path}: the fleet's part was changed")
        removed = []
        for person in self._these(change.removed):
            removed.append(self._people.delete(person, by=_BY))
        for topic, message in change.messages.items():
            if message is None:
                run("DELETE FROM fleet_messages WHERE topic = ?", topic)
                continue
            id_ = topic.rpartition("/")[2] if topic in change.versions else None
            run(
                "INSERT INTO fleet_messages VALUES (?1, ?2, 0, ?3, ?4) ON CONFLICT (topic) DO "
                "UPDATE SET version = excluded.version, message = excluded.message",
                *(topic, id_, change.versions.get(topic, b""), message),
            )
        self._agree([*self._take_in(change.people), *change.own])
        self._keep(change.state)
        return removed

    def _keep(self, state: bytes) -> None:
        sealed = self._database.vault.seal(state, _PURPOSE)
        self._database.run(
            "INSERT OR REPLACE INTO fleet SELECT 1, value, ? FROM counters WHERE name = 'epoch'",
            sealed,
        )
        self._database.roll.note_fleet(sealed)

    def _take_in(self, people: Iterable[Content]) -> list[str]:
        """Make people what their records say; return the ids of those who are now.

        Whoever was removed or disabled at this door, which nobody was told of yet, stays so.
        Whoever cannot be made so is not to come in as they were before.
        """
        database, agreed = self._database, []
        epoch = "SELECT value = (SELECT epoch FROM fleet) FROM counters WHERE name = 'epoch'"
        counts = bool(database.value(epoch))  # not what a backup brought back
        for one in people:
            here, enabled, same = self._here(one.id) if counts else (True, True, True)
            if not (here or same):
                continue
            database.run("SAVEPOINT one")
            try:
                self._adopt(one, enabled=one.profile.enabled and (enabled or same))
            except (PersonError, ValueError, sqlite3.IntegrityError) as error:
                database.run("ROLLBACK TO one")
                log.error("person %s of the fleet cannot be known here: %s", one.id, error)
                self._shut_out(one.id)
            database.run("RELEASE one")
            if enabled or same or not one.profile.enabled:
                agreed.append(one.id)
        return agreed

    def _here(self, person_id: str) -> tuple[bool, bool, bool]:
        """Whether somebody is here, is enabled, and is what their last record said."""
        query = (
            "SELECT people.id IS NOT NULL, coalesce(enabled, 0), coalesce(people.revision, 0) = "
            "coalesce((SELECT revision FROM fleet_messages WHERE person_id = ?1), 0) "
            "FROM (SELECT ?1 AS one) LEFT JOIN people ON people.id = one"
        )
        here, enabled, same = self._database.run(query, person_id).fetchone()
        return bool(here), bool(enabled), bool(same)

    def _shut_out(self, person_id: str) -> None:
        """Disable somebody who is here."""
        self._database.roll.look(person_id)
        query = "UPDATE people SET enabled = 0 WHERE id = ? AND enabled"
        if self._database.run(query, person_id).rowcount:
            self._people.done(_BY, "disable", person_id)

    def _adopt(self, content: Content, *, enabled: bool) -> None:
        profile = content.profile
        person = Person(
            content.id,
            profile.name,
            frozenset(profile.groups),
            profile.valid_from,
            profile.valid_until,
        )
        factors = [(FactorKind(one.kind), bytes.fromhex(one.kept)) for one in profile.factors]
        if not all(is_kept(kind, kept) for kind, kept in factors):
            raise PersonError("neither a PIN's hash nor a card's")
        name = self._free(clean_name(profile.name), content.id)
        person = replace(person, name=name)
        database, people = self._database, self._people
        database.roll.look(person.id)
        query = "UPDATE people SET name = ?, name_key = ? WHERE id = ?"
        if not database.run(query, name, key_of(name), person.id).rowcount:
            people.make(name, person.id)
        people.give(person, {})
        details = Details(
            profile.external_id, profile.notes, profile.consent_by, profile.consent_utc
        )
        try:
            people.describe(person, details)
        except PersonError:  # somebody else has that external id
            people.describe(person, replace(details, external_id=None))
        templates = [(model, (vector, None, utc)) for model, utc, vector in content.templates]
        people.make_just_so(person, templates, factors, enabled)
        people.done(_BY, "fleet", person.id)

    def _free(self, name: str, person_id: str) -> str:
        """The name, with the beginning of the id behind it if somebody else here has it."""
        query = "SELECT EXISTS (SELECT 1 FROM people WHERE name_key = ? AND id != ?)"
        if not self._database.value(query, key_of(name), person_id):
            return name
        return f"{name[: MAX_NAME - 11].strip()} ({person_id[:8]})"

    def _agree(self, ids: Iterable[str]) -> None:
        """Note that people are here what their records say."""
        self._database.run_many(
            "UPDATE fleet_messages SET revision = coalesce("
            "(SELECT revision FROM people WHERE id = person_id), 0) WHERE person_id = ?",
            [(one,) for one in ids],
        )

    def changed_here(self) -> list[str]:
        """Return the ids of those who are not what their records say, have none, or were removed.

        Raises:
            StoreError: if it cannot be read.
        """
        return self._ids(
            "SELECT id FROM people LEFT JOIN fleet_messages ON person_id = people.id "
            "WHERE person_id IS NULL "
            "OR fleet_messages.revision != people.revision "
            "OR substr(version, 1, 1) != x'00'"
        )

    def removed_here(self) -> list[str]:
        """Return the ids of those who were removed at this door alone, so far.

        Raises:
            StoreError: if it cannot be read.
        """
        return self._ids(
            "SELECT person_id FROM fleet_messages WHERE revision != 0 "
            "AND substr(version, 1, 1) = x'00' AND person_id NOT IN (SELECT id FROM people)"
        )

    def _ids(self, query: str) -> list[str]:
        return [id_ for (id_,) in self._database.rows(query)]

    def here(self, ids: Iterable[str]) -> list[str]:
        """Return those of some ids who are enrolled at this door."""
        return [one.id for one in self._these(ids)]

    def content(self, person_id: str) -> Content | None:
        """Return somebody as this door has them, None if nobody has that id.

        Raises:
            StoreError: if it cannot be read.
        """
        for person in self._these([person_id]):
            one = find(self._database, person.name)
            if one is not None:
                templates = self._templates.of(person.name)
                return Content(
                    person_id,
                    Profile(
                        name=person.name,
                        enabled=one.enabled,
                        groups=sorted(person.groups),
                        valid_from=person.valid_from,
                        valid_until=person.valid_until,
                        external_id=one.details.external_id,
                        notes=one.details.notes,
                        consent_by=one.details.consent_by,
                        consent_utc=one.details.consent_utc,
                        factors=[
                            Factor.model_validate(
                                {"kind": kept.kind.value, "kept": kept.kept.hex()}
                            )
                            for kept in self._factors.of(person.name)
                        ],
                    ),
                    [(kept.model, kept.created_utc, kept.embedding) for kept in templates],
                )
        return None

    def end(self, *, by: str, removing: Callable[[str], bool]) -> list[Removal]:
        """Forget the fleet; return who was removed with it.

        Args:
            removing: asked of each id that came from the fleet, whether they go with it.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        rows = self._database.rows(
            "SELECT person_id FROM fleet_messages JOIN people ON people.id = person_id"
        )
        going = [id_ for (id_,) in rows if removing(id_)]
        with self._database.transaction():
            gone = [self._people.delete(one, by=by) for one in self._these(going)]
            self._database.run("DELETE FROM fleet_messages")
            self._database.run("DELETE FROM fleet")
            self._database.roll.note_fleet(b"")
        self._database.fold_journal()
        return [verified(self._database, removal, blobs) for removal, blobs in gone]

    def read_anew(self) -> None:
        """Have what the fleet says of everybody be written once more, at the next occasion."""
        with self._database.transaction():
            begin_epoch(self._database)

    def _these(self, ids: Iterable[str]) -> list[Person]:
        found = []
        for one in ids:
            row = self._database.rows(f"SELECT {PERSON} FROM people WHERE id = ?", one)
            found += [to_person(*row[0])] if row else []
        return found
