"""The people as the door is to know them, read as they change."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lockd.adapters.store.database import Database
from lockd.adapters.store.rights import COLUMNS, nonce_of, opened
from lockd.adapters.store.rows import to_person
from lockd.adapters.store.templates import open_template
from lockd.errors import StoreError
from lockd.identity.gallery import Faces, Template
from lockd.identity.large import LARGE, LargeFaces, LevelsOf
from lockd.types import Embedding, Floats, Person
from lockd.vision.space import Space

log = logging.getLogger(__name__)

_AT_ONCE = 4096


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
    faces: Faces | LargeFaces
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
        return list(reading.faces) if isinstance(reading.faces, Faces) else [], unusable

    def changed(self) -> bool:
        """Return whether people or templates may have changed since the last call.

        True at the first call. Costs microseconds when nobody wrote.
        """
        return self._changes.seen()

    def read(
        self, space: Space, before: Reading | None = None, *, compact: bool = False
    ) -> Reading:
        """Return who changed since a reading, or everybody whom the door is to know.

        Args:
            space: where the networks in use compare.
            before: the last reading with the same networks.
            compact: whether very many templates are kept as `LargeFaces`, which ask here for what
                they do not keep.

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
            faces, outdated, damaged = self._faces_since(since, people, holds, space, compact)
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
        compact: bool,
    ) -> tuple[Faces | LargeFaces, Counter[str], Counter[str]]:
        """The faces of those who changed, in one array that is filled as the rows lie."""
        run, vault = self._database.run, self._database.vault
        # A few are looked up one by one; everybody is read as the rows lie in the file.
        tables = "people CROSS JOIN templates" if since >= 0 else "templates CROSS JOIN people"
        rows = f"{tables} ON people.id = person_id"
        which = "WHERE enabled AND revision > ?"
        # By person the rows are all over the file; but where each goes the index knows.
        numbers = run(
            f"SELECT templates.id FROM {rows} {which} ORDER BY person_id, templates.id", since
        )
        places = {number: place for place, (number,) in enumerate(numbers)}
        sizes = {model: layout.size for model, layout in space.layouts.items()}
        large = compact and len(places) >= LARGE
        taken = (_Levels if large else _Matrix)(space, len(places))
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
            if model not in sizes:
                outdated[person_id] += 1
                continue
            theirs = nonce_of(sealed) in holds[person_id]
            embedding = open_template(vault, sealed, person_id, model) if theirs else None
            if embedding is None or embedding.shape != (sizes[model],):
                damaged[person_id] += 1
                log.error("template %d of person %s is damaged and not used", number, person_id)
                continue
            owners[places[number]] = person_id
            taken.put(places[number], model, embedding)
        for place in taken.finish():
            damaged[str(owners[place])] += 1
            owners[place] = None
        if isinstance(taken, _Matrix):
            return Faces.of_rows(people, owners, taken.matrix), outdated, damaged
        return self._large(people, owners, taken.levels, space), outdated, damaged

    def _large(
        self,
        people: dict[str, Person],
        owners: list[str | None],
        levels: LevelsOf,
        space: Space,
    ) -> LargeFaces:
        if None in owners:
            used = [row for row, owner in enumerate(owners) if owner is not None]
            owners, levels = [owners[row] for row in used], levels.holding(levels.levels[used])
        starts = [row for row, own in enumerate(owners) if row == 0 or own != owners[row - 1]]
        named = [people[str(owners[row])] for row in starts]
        exact = functools.partial(self.exact, space)
        return LargeFaces(named, np.asarray(starts, np.intp), levels, exact)

    def exact(
        self, space: Space, person_id: str, which: Sequence[int], count: int
    ) -> Floats | None:
        """Return templates of somebody as they are compared, None if they cannot be read.

        Args:
            which: by their places, in the order in which they were read.
            count: how many there were then; if there are not as many now it is all there are.

        Returns:
            float32 (n, size); none of somebody who is not to be known any more.
        """
        run, vault = self._database.run, self._database.vault
        try:
            with self._database.snapshot():
                query = f"SELECT rights, {COLUMNS} FROM people WHERE id = ? AND enabled"
                row = run(query, person_id).fetchone()
                kept = opened(vault, row[0], person_id) if row else None
                rows = run(
                    "SELECT fingerprint, sealed FROM templates JOIN models ON models.id = model_id "
                    "WHERE person_id = ? ORDER BY templates.id",
                    person_id,
                ).fetchall()
        except StoreError as error:
            log.error("%s", error)
            return None
        if kept is None or kept.row != tuple(row[1:]):
            return np.empty((0, space.size), np.float32)
        theirs = [one for one in rows if one[0] in space.layouts and nonce_of(one[1]) in kept.holds]
        if len(theirs) == count:
            theirs = [theirs[place] for place in which]
        found = [
            brought
            for model, sealed in theirs
            if (one := open_template(vault, sealed, person_id, model)) is not None
            and (brought := space.brought(model, one)) is not None
        ]
        return np.stack(found) if found else np.empty((0, space.size), np.float32)


class _Matrix:
    """Takes templates as they come, and keeps them as they are compared."""

    def __init__(self, space: Space, count: int) -> None:
        self._space = space
        self._kept = np.zeros((count, max(one.size for one in space.layouts.values())), np.float32)
        self._kinds = np.full(count, "", object)
        self.matrix = np.zeros((0, space.size), np.float32)

    def put(self, place: int, model: str, embedding: Embedding) -> None:
        self._kept[place, : len(embedding)] = embedding
        self._kinds[place] = model

    def finish(self) -> list[int]:
        """Return the places of those that cannot be compared."""
        self.matrix = np.zeros((len(self._kept), self._space.size), np.float32)
        for model, layout in self._space.layouts.items():
            own = np.flatnonzero(self._kinds == model)
            if len(own):
                brought = self._space.all_brought(model, self._kept[own, : layout.size])
                self.matrix[own] = brought
        return [int(one) for one in np.flatnonzero(~np.isfinite(self.matrix).all(axis=1))]


class _Levels:
    """The same, but keeps only their levels; some at a time, so that they are never all there."""

    def __init__(self, space: Space, count: int) -> None:
        self._space = space
        self._waiting: list[tuple[int, str, Embedding]] = []
        self._bad: list[int] = []
        self.levels = LevelsOf(count, space.size)

    def put(self, place: int, model: str, embedding: Embedding) -> None:
        self._waiting.append((place, model, embedding))
        if len(self._waiting) >= _AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for model in {one[1] for one in waiting}:
            own = [one for one in waiting if one[1] == model]
            brought = self._space.all_brought(model, np.stack([one[2] for one in own]))
            good = np.isfinite(brought).all(axis=1)
            places = np.array([one[0] for one in own], np.intp)
            self._bad += places[~good].tolist()
            self.levels.put(places[good], brought[good])

    def finish(self) -> list[int]:
        self._settle()
        return self._bad
