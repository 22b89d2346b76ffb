"""The people as the door is to know them, read as they change."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np

from lockd.adapters.store.database import Database
from lockd.adapters.store.rights import COLUMNS, nonce_of, opened
from lockd.adapters.store.rows import to_person
from lockd.adapters.store.templates import open_template
from lockd.identity.gallery import Faces, Template
from lockd.types import Person
from lockd.vision.space import Space

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """Who changed since the reading before, and as whom.

    Attributes:
        stamp: of the store when it was read.
        whole: whether this is everybody, and not only those who changed.
        gone: who is not, or not as they were, by id.
        faces: of those who changed and are to be known, as far as they can be compared.
        outdated: how many of their templates other networks made, by person.
        damaged: how many of them cannot be used, by person.
    """

    stamp: tuple[int, int]
    whole: bool
    gone: frozenset[str]
    faces: Faces
    outdated: Counter[str]
    damaged: Counter[str]


class Changes:
    """Whether people may have changed, for one who reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version = (-1, -1)
        self._stamp = (-1, -1)

    def seen(self) -> bool:
        """Return whether anything may have changed since the last call.

        True at the first call. Costs microseconds when nobody wrote.
        """
        # Of the file, by others; and by this store itself, which the pragma leaves out.
        others = self._database.value("PRAGMA data_version")
        version = others, self._database.connection.total_changes
        if version == self._version:
            return False
        stamp = stamp_of(self._database)
        changed = stamp != self._stamp
        self._version, self._stamp = version, stamp
        return changed


def stamp_of(database: Database) -> tuple[int, int]:
    """Return which store this is, and how often people in it were changed."""
    counters = dict(database.rows("SELECT name, value FROM counters"))
    return counters["epoch"], counters["gallery"]


class StoredGallery:
    """Whoever is enabled, with those of their templates that can be compared."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = Changes(database)

    def usable(self, space: Space) -> tuple[list[Template], int]:
        """Return the templates that the door compares with, and the number of those it cannot.

        Args:
            space: where it compares; templates that do not lie there are left out.
        """
        reading = self.read(space)
        unusable = reading.outdated.total() + reading.damaged.total()
        return list(reading.faces), unusable

    def changed(self) -> bool:
        """Return whether people or templates may have changed since the last call.

        True at the first call. Costs microseconds when nobody wrote.
        """
        return self._changes.seen()

    def read(self, space: Space, before: Reading | None = None) -> Reading:
        """Return who changed since a reading, or everybody whom the door is to know.

        Args:
            space: where the networks in use compare.
            before: the last reading with the same networks.

        Raises:
            StoreError: if it cannot be read, or may not be the latest.
        """
        known = self._database.roll.known()
        with self._database.snapshot():
            stamp = stamp_of(self._database)
            if before is None or before.stamp[0] != stamp[0] or before.stamp > stamp:
                before = None
            since = -1 if before is None else before.stamp[1]
            self._database.roll.must_be_trusted(known, since)
            people, holds, gone, spoilt = self._people_since(since)
            faces, outdated, damaged = self._faces_since(since, people, holds, space)
        damaged.update(spoilt)
        return Reading(stamp, before is None, gone.union(spoilt, people), faces, outdated, damaged)

    def _people_since(
        self, since: int
    ) -> tuple[dict[str, Person], dict[str, frozenset[str]], frozenset[str], list[str]]:
        """Those who changed, what is theirs, who is not to be known, whose rows make no sense."""
        people: dict[str, Person] = {}
        holds: dict[str, frozenset[str]] = {}
        run = self._database.run
        gone = {row[0] for row in run("SELECT person_id FROM gone WHERE revision > ?", since)}
        spoilt: list[str] = []
        for id_, sealed, *row in run(
            f"SELECT id, rights, {COLUMNS} FROM people WHERE revision > ?", since
        ).fetchall():
            name, groups, valid_from, valid_until, enabled, _ = row
            if not enabled:
                gone.add(id_)
                continue
            kept = opened(self._database.vault, sealed, id_)
            try:
                if kept is None or kept.row != tuple(row):
                    raise ValueError
                people[id_] = to_person(id_, name, groups, valid_from, valid_until)
                holds[id_] = kept.holds
            except ValueError:
                log.error("the record of person %s is damaged; they are a stranger now", id_)
                spoilt.append(id_)
        return people, holds, frozenset(gone), spoilt

    def _faces_since(
        self,
        since: int,
        people: dict[str, Person],
        holds: dict[str, frozenset[str]],
        space: Space,
    ) -> tuple[Faces, Counter[str], Counter[str]]:
        """The faces of those who changed, in one array that is filled as the rows lie."""
        run, vault = self._database.run, self._database.vault
        # A few are looked up one by one; everybody is read as the rows lie in the file.
        tables = "people CROSS JOIN templates" if since >= 0 else "templates CROSS JOIN people"
        rows = f"{tables} ON people.id = person_id"
        which = "WHERE enabled AND revision > ?"
        # By person the rows are all over the file; but where each goes the index knows.
        numbers = run(f"SELECT templates.id FROM {rows} {which} ORDER BY person_id", since)
        places = {number: place for place, (number,) in enumerate(numbers)}
        layouts = {model: layout.size for model, layout in space.layouts.items()}
        kept = np.zeros((len(places), max(layouts.values())), np.float32)
        kinds = np.full(len(places), "", object)
        owners: list[str | None] = [None] * len(places)
        outdated: Counter[str] = Counter()
        damaged: Counter[str] = Counter()
        fingerprints = dict(run("SELECT id, fingerprint FROM models"))
        for number, person_id, model_id, sealed in run(
            f"SELECT templates.id, person_id, model_id, sealed FROM {rows} {which}", since
        ):
            if person_id not in people:
                continue
            model = fingerprints.get(model_id, "")
            if model not in layouts:
                outdated[person_id] += 1
                continue
            theirs = nonce_of(sealed) in holds[person_id]
            embedding = open_template(vault, sealed, person_id, model) if theirs else None
            if embedding is None or embedding.shape != (layouts[model],):
                damaged[person_id] += 1
                log.error("template %d of person %s is damaged and not used", number, person_id)
                continue
            place = places[number]
            kept[place, : layouts[model]] = embedding
            kinds[place], owners[place] = model, person_id
        matrix = np.zeros((len(places), space.size), np.float32)
        for model, size in layouts.items():
            own = np.flatnonzero(kinds == model)
            if len(own):
                matrix[own] = space.all_brought(model, kept[own, :size])
        for place in np.flatnonzero(~np.isfinite(matrix).all(axis=1)).tolist():
            damaged[str(owners[place])] += 1
            owners[place] = None
        return Faces.of_rows(people, owners, matrix), outdated, damaged
