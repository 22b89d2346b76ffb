"""Who is not as they were left, in a store that is not the latest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockd.adapters.store import rights
from lockd.adapters.store.database import Database
from lockd.adapters.store.records import Fault
from lockd.adapters.store.roll import WAY_OUT
from lockd.adapters.store.witness import Change, Known

_OF_EVERYBODY = "('restore', 'confirm')"
_OF_NO_RIGHTS = "('change_details', 'command', 'backup')"


@dataclass(frozen=True, slots=True)
class Returning:
    """Somebody whom an older copy of the people brings back.

    Attributes:
        person_id: their id.
        name: theirs in the copy.
        why: they should not come back: removed, or disabled.
    """

    person_id: str
    name: str
    why: str


def turned_back(database: Database, known: Known | str | None) -> Iterator[Fault]:
    """Say why people may not be the latest, and as far as can be known who is not.

    Args:
        known: from `Roll.known`.
    """
    doubt = database.roll.doubt(known, everybody=True)
    if doubt is None:
        return
    yield Fault(f"{doubt}; nobody is recognised by it: {WAY_OUT.partition(', and ')[2]}")
    generation = database.roll.generation()
    if isinstance(known, Known) and known.generation > generation:
        yield from _by_the_witness(database, known, generation)
    else:
        yield from _by_the_trail(database)


def returning(now: Database | None, known: Known | str | None, copy: Database) -> list[Returning]:
    """Return whom a copy of the people brings back though they were removed or disabled.

    Args:
        now: the store as it is, if there is one.
        known: what the witness knows of it.
        copy: what is to take its place.
    """
    removed, disabled = taken_away(now, known)
    everybody = copy.rows("SELECT id, name, enabled FROM people ORDER BY name_key")
    return [
        Returning(id_, name, "removed" if id_ in removed else "disabled")
        for id_, name, enabled in everybody
        if id_ in removed or (id_ in disabled and enabled)
    ]


def taken_away(now: Database | None, known: Known | str | None) -> tuple[set[str], set[str]]:
    """Return the ids of those who were removed, and of those who were disabled, as far as is known.

    Args:
        now: the store as it is, if there is one.
        known: what the witness knows of it.
    """
    removed, disabled, generation = set[str](), set[str](), 0
    if now is not None:
        generation = now.roll.generation()
        there = dict(now.rows("SELECT id, enabled FROM people"))
        removed = {id_ for (id_,) in now.rows("SELECT person_id FROM gone")} - there.keys()
        disabled = {id_ for id_, enabled in there.items() if not enabled}
    for one in _latest(known.changes if isinstance(known, Known) else ()):
        if one.generation > generation:  # it knows more than the store as it is
            removed.discard(one.person_id)
            disabled.discard(one.person_id)
            if one.what != "changed":
                (removed if one.what == "removed" else disabled).add(one.person_id)
    return removed, disabled


def _latest(changes: tuple[Change, ...]) -> list[Change]:
    """Of each person the last change."""
    return list({one.person_id: one for one in changes}.values())


def _by_the_witness(database: Database, known: Known, generation: int) -> Iterator[Fault]:
    rows = database.run("SELECT id, name, enabled FROM people").fetchall()
    there = {id_: (name, enabled) for id_, name, enabled in rows}
    lost = tuple(one for one in known.changes if one.generation > generation)
    for one in _latest(lost):
        name, enabled = there.get(one.person_id, (None, 0))
        if one.what == "removed" and name is not None:
            text = f"{name}: was removed on {one.utc} and is back"
        elif one.what == "disabled" and enabled:
            text = f"{name}: was disabled on {one.utc} and is enabled again"
        elif one.what == "changed" and name is not None:
            text = f"{name}: is as before a change of {one.utc}"
        elif one.what == "changed":
            text = f"person {one.person_id}: was there on {one.utc} and is gone"
        else:
            continue
        yield Fault(text, person_id=one.person_id)
    named = len({one.generation for one in lost})
    if (unnamed := known.generation - generation - named) > 0:
        yield Fault(f"{unnamed} more changes were turned back, of whom is not known any more")


def _by_the_trail(database: Database) -> Iterator[Fault]:
    begin = database.value(f"SELECT max(id) FROM audit WHERE action IN {_OF_EVERYBODY}") or 0
    last = {
        id_: (number, action, utc)
        for id_, number, action, utc in database.run(
            "SELECT person_id, max(id), action, utc FROM audit WHERE id > ? "
            f"AND person_id IS NOT NULL AND action NOT IN {_OF_NO_RIGHTS} GROUP BY person_id",
            begin,
        ).fetchall()
    }
    gone = {id_ for (id_,) in database.run("SELECT person_id FROM gone").fetchall()}
    for id_, name, sealed in database.run("SELECT id, name, rights FROM people").fetchall():
        kept = rights.opened(database.vault, sealed, id_)
        number, action, utc = last.pop(id_, (0, "", ""))
        if kept is not None and number > kept.entry:
            back = "and is back" if action == "remove" else "and is as before that"
            text = f"{name}: entry {number} of the audit trail, {action} on {utc}, {back}"
            yield Fault(text, person_id=id_)
        elif id_ in gone and kept is not None and kept.entry >= begin > 0:
            yield Fault(f"{name}: was removed and is back", person_id=id_)
    for id_, (number, action, utc) in last.items():
        if action != "remove" and id_ not in gone:
            text = f"person {id_}: entry {number} of the audit trail, {action} on {utc}; is gone"
            yield Fault(text, person_id=id_)
