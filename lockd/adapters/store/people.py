"""People, what they may do, and what is known of them."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from typing import Unpack

from lockd.adapters.store.audit import Audit
from lockd.adapters.store.database import Database, DiskFullError
from lockd.adapters.store.events import Events
from lockd.adapters.store.factors import Factors, NewFactor
from lockd.adapters.store.records import (
    Access,
    Details,
    Enrolled,
    Removal,
    checked,
    checked_details,
    clean_name,
    is_unit,
    key_of,
    utc_now,
)
from lockd.adapters.store.removal import verified
from lockd.adapters.store.rows import changed, delete, everybody, find, named
from lockd.adapters.store.templates import NewTemplate, Templates
from lockd.errors import PersonError, StoreError
from lockd.types import Embedding, Person


class People:
    """People by their names; every change is one transaction and leaves an audit entry."""

    def __init__(
        self,
        database: Database,
        templates: Templates,
        factors: Factors,
        events: Events,
        audit: Audit,
    ) -> None:
        self._database = database
        self._templates = templates
        self._factors = factors
        self._events = events
        self._audit = audit

    def all(self) -> list[Enrolled]:
        """Return everybody, by name."""
        return everybody(self._database)

    def find(self, name: str) -> Enrolled | None:
        """Return whoever has a name, however it is written, or None."""
        return find(self._database, name)

    def named(self, name: str) -> Enrolled:
        """Return whoever has a name.

        Raises:
            PersonError: if nobody of that name is enrolled; it says whose name is like it.
        """
        return named(self._database, name)

    def add(
        self,
        name: str,
        model: str,
        embeddings: Sequence[Embedding],
        *,
        by: str,
        note: str | None = None,
        replace_outdated: bool = False,
        unconfirmed: bool = False,
        photographs: Sequence[bytes | None] = (),
        details: Details | None = None,
        **access: Unpack[Access],
    ) -> Person:
        """Enrol somebody, or give somebody enrolled more templates.

        Of more than `MAX_TEMPLATES` that one composition of networks made, the most varied
        are kept.

        Args:
            name: as `clean_name` allows.
            model: fingerprint of the networks that made the embeddings.
            embeddings: float32 unit vectors, at least one.
            note: for the audit entry; must name nobody.
            replace_outdated: also forget the templates that other networks made of them.
            unconfirmed: enrol somebody new, who stays a stranger until they are enabled.
            photographs: to be kept, as they are in their files: one or None for each
                embedding, or none at all.
            details: what else is known of them; None leaves what there is.
            access: their rights, as far as they are given.

        Raises:
            PersonError: if the name, the details or the rights cannot be used.
            ValueError: if an embedding is not a unit vector.
            StoreError: if it cannot be written; then nothing was.
        """
        new = _checked(name, embeddings, photographs)
        with self._database.transaction():
            if unconfirmed and self.find(name) is not None:
                raise PersonError(f"{name}: somebody of that name is enrolled already")
            person = self._enrol(name, access, details)
            if unconfirmed:
                self._enable(person, False)
            if replace_outdated:
                self._templates.forget(person.id, but_of=model)
            self._templates.put(person.id, model, new)
            self.done(by, "add", person.id, note)
        return person

    def put(
        self,
        name: str,
        models: Sequence[str],
        embeddings: Sequence[Embedding],
        *,
        by: str,
        note: str | None = None,
        photographs: Sequence[bytes | None],
        factors: Sequence[NewFactor] = (),
        details: Details,
        enabled: bool,
        **access: Unpack[Access],
    ) -> Person:
        """Make somebody just so, whether they are enrolled or not: for what comes from a file.

        As `add`, but templates, photographs, PIN and cards, details, what is given of rights, and
        whether the door is to know them, take the place of whatever there was.

        Args:
            models: of each embedding.
        """
        new = _checked(name, embeddings, photographs)
        with self._database.transaction():
            person = self._enrol(name, access, details)
            self.make_just_so(person, list(zip(models, new, strict=True)), factors, enabled)
            self.done(by, "put", person.id, note)
        self._database.fold_journal()
        return person

    def make_just_so(
        self,
        person: Person,
        templates: Sequence[tuple[str, NewTemplate]],
        factors: Sequence[NewFactor],
        enabled: bool,
    ) -> None:
        """Replace what somebody is known by, within a transaction; each template with its model."""
        self._enable(person, enabled)
        self._templates.forget(person.id)
        for model in dict.fromkeys(model for model, _ in templates):
            self._templates.put(person.id, model, [one for its, one in templates if its == model])
        self._factors.forget(person.id)
        self._factors.put(person.id, factors)

    def merge(self, source: str, target: str, *, by: str, note: str | None = None) -> Person:
        """Give somebody the templates of somebody else who is the same, and forget the latter.

        Name, rights, details and a PIN are the target's; cards are of both. `note` is for the
        audit entry and must name nobody.

        Raises:
            PersonError: if one of them is not enrolled, or both are one.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():
            old, new = self.named(source).person, self.named(target).person
            if old.id == new.id:
                raise PersonError(f"{new.name}: cannot be merged with themselves")
            photographs = self._templates.photographs(old.name)
            own = self._templates.of(old.name)
            for model in {one.model for one in own}:
                self._templates.put(
                    new.id,
                    model,
                    [
                        (one.embedding, photographs.get(one.id), one.created_utc)
                        for one in own
                        if one.model == model
                    ],
                )
            self._factors.move(old.id, new.id)
            self._events.write_for(old.id, "", new.id)  # so that `remove` finds them all
            delete(self._database, old.id)
            self.done(by, "merge", new.id, "; ".join(filter(None, (f"with {old.id}", note))))
        self._database.fold_journal()
        return new

    def change_access(self, name: str, *, by: str, **access: Unpack[Access]) -> Person:
        """Change somebody's rights; what is not given stays.

        Raises:
            PersonError: if nobody of that name is enrolled, or the rights make no sense.
            StoreError: if it cannot be written; then nothing was.
        """
        return self._database.revoke(lambda: self._change_access(name, access, by))

    def _change_access(self, name: str, access: Access, by: str) -> Person:
        with self._changing(name, "change_access", by) as person:
            return self.give(person, access)

    def change_details(self, name: str, details: Details, *, by: str) -> None:
        """Replace what is known of somebody besides name and rights, all of it.

        Raises:
            PersonError: if nobody of that name is enrolled, the details cannot be kept, or
                somebody else has that external id.
            StoreError: if it cannot be written; then nothing was.
        """
        with self._database.transaction():  # which the door need not be told of
            person = self.named(name).person
            self.describe(person, details)
            self._database.run(
                "UPDATE fleet_messages SET revision = -1 WHERE person_id = ? AND revision > 0",
                person.id,
            )
            self._audit.note(by, "change_details", person.id)

    def rename(self, name: str, new: str, *, by: str) -> Person:
        """Give somebody another name; events of before keep the old one.

        Raises:
            PersonError: if nobody of that name is enrolled, or somebody else has the new one.
            StoreError: if it cannot be written; then nothing was.
        """
        new = clean_name(new)
        with self._changing(name, "rename", by) as person:
            other = self.find(new)
            if other is not None and other.person.id != person.id:
                raise PersonError(
                    f"{new!r}: somebody of that name is enrolled; merge them, or choose another "
                    "name"
                )
            self._database.run(
                "UPDATE people SET name = ?, name_key = ? WHERE id = ?",
                *(new, key_of(new), person.id),
            )
        return replace(person, name=new)

    def set_enabled(self, name: str, enabled: bool, *, by: str) -> Person:
        """Let the door know somebody, or treat them as a stranger until it is to again.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then nothing was.
        """
        if enabled:
            return self._set_enabled(name, True, by)
        return self._database.revoke(lambda: self._set_enabled(name, False, by))

    def _set_enabled(self, name: str, enabled: bool, by: str) -> Person:
        with self._changing(name, "enable" if enabled else "disable", by) as person:
            self._enable(person, enabled)
        return person

    def remove(self, name: str, *, by: str) -> Removal:
        """Forget somebody: templates, photographs, PIN and cards, rights and details.

        Messages on their way and events kept have their id for their name then, and so has
        the audit trail.

        Returns:
            What was deleted, and whether anything is left.

        Raises:
            PersonError: if nobody of that name is enrolled.
            StoreError: if it cannot be written; then they are still there. If the disk is too full
                for it they are disabled.
        """
        try:
            removal, blobs = self._database.revoke(lambda: self._remove(name, by))
        except DiskFullError as error:
            person = self.set_enabled(name, False, by=by)
            raise StoreError(
                f"{error}. {person.name} is a stranger to the door now; remove them again when "
                "there is room"
            ) from error
        return verified(self._database, removal, blobs)

    def _remove(self, name: str, by: str) -> tuple[Removal, list[bytes]]:
        with self._database.transaction():
            return self.delete(self.named(name).person, by=by)

    def delete(self, person: Person, *, by: str) -> tuple[Removal, list[bytes]]:
        """Delete somebody, within a transaction; return what that was, and all that was sealed.

        What `verified` then looks for.
        """
        templates, photographs = self._templates.sealed(person.id)
        factors = self._factors.sealed(person.id)
        records = self._database.rows(
            "SELECT message FROM fleet_messages WHERE person_id = ?", person.id
        )
        # Whether it is a tombstone that takes its place the fleet decides.
        self._database.run(
            "UPDATE fleet_messages SET message = x'' WHERE person_id = ? "
            "AND substr(version, 1, 1) = x'00'",
            person.id,
        )
        messages, events = self._events.write_for(person.id, person.name, person.id)
        delete(self._database, person.id)
        self._audit.note(by, "remove", person.id)
        removal = Removal(
            person, len(templates), len(photographs), messages, events,
            factors=len(factors), backups=self._audit.backups(),
        )  # fmt: skip
        sealed = [*templates, *photographs, *factors, *(bytes(one) for (one,) in records)]
        return removal, sealed

    @contextmanager
    def _changing(self, name: str, action: str, by: str) -> Iterator[Person]:
        """Change somebody who is enrolled."""
        with self._database.transaction():
            person = self.named(name).person
            yield person
            self.done(by, action, person.id)

    def done(self, by: str, action: str, person_id: str, note: str | None = None) -> None:
        """Tell running services and the audit trail, within a transaction."""
        changed(self._database, person_id)
        self._audit.note(by, action, person_id, note)

    def _enrol(self, name: str, access: Access, details: Details | None) -> Person:
        found = self.find(name)
        person = self.give(self.make(clean_name(name)) if found is None else found.person, access)
        if details is not None:
            self.describe(person, details)
        return person

    def make(self, name: str, person_id: str | None = None) -> Person:
        """Write somebody new, within a transaction, under a name that nobody has."""
        person = Person(person_id or str(uuid.uuid4()), name)
        self._database.roll.made(person.id)
        self._database.run(
            "INSERT INTO people (id, name, name_key, created_utc) VALUES (?, ?, ?, ?)",
            *(person.id, name, key_of(name), utc_now()),
        )
        return person

    def give(self, person: Person, access: Access) -> Person:
        """Write somebody's rights, within a transaction; return them as they are now."""
        person = checked(replace(person, **access))
        self._database.run(
            "UPDATE people SET groups = ?, valid_from = ?, valid_until = ? WHERE id = ?",
            *(json.dumps(sorted(person.groups)), person.valid_from, person.valid_until, person.id),
        )
        return person

    def _enable(self, person: Person, enabled: bool) -> None:
        self._database.run("UPDATE people SET enabled = ? WHERE id = ?", enabled, person.id)

    def describe(self, person: Person, details: Details) -> None:
        """Write what else is known of somebody, within a transaction."""
        kept = checked_details(details)
        try:
            self._database.run(
                "UPDATE people SET external_id = ?, notes = ?, consent_by = ?, consent_utc = ? "
                "WHERE id = ?",
                *(kept.external_id, kept.notes, kept.consent_by, kept.consent_utc, person.id),
            )
        except sqlite3.IntegrityError as error:
            raise PersonError(
                f"{person.name}: somebody else has the external id {kept.external_id!r}"
            ) from error


def _checked(
    name: str, embeddings: Sequence[Embedding], photographs: Sequence[bytes | None]
) -> list[NewTemplate]:
    """What is to be enrolled, if it can be.

    Raises:
        PersonError: if the name cannot be used.
        ValueError: if the rest cannot.
    """
    name = clean_name(name)
    if not embeddings or not all(is_unit(one) for one in embeddings):
        raise ValueError(f"{name}: only unit vectors can be enrolled, and at least one")
    if photographs and len(photographs) != len(embeddings):
        raise ValueError(f"{name}: {len(photographs)} photographs, one for each or none")
    return [(one, picture, None) for one, picture in zip_longest(embeddings, photographs)]
