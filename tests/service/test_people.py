"""The people of a store that fails, goes and comes back."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.adapters.store import STORE_PAUSE_S, Store, Vault, gallery
from lockd.door.events import DoorMemory
from lockd.door.rules import AccessRules, Group
from lockd.errors import StoreError
from lockd.identity.gallery import Gallery
from lockd.service.people import People
from tests.fakes import ScriptedVision, unit

MODEL = ScriptedVision().fingerprint


class Site:
    """A folder with a store, and peoples of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lockd.db"
        self.wall = 1e9
        self.writable = True
        self.peoples: list[People] = []

    def open(self, create: bool) -> Store:
        if not create and not self.path.exists():
            raise StoreError(f"{self.path}: it is gone")
        if not self.writable:
            return Store.open_read_only(self.path, Vault.beside(self.path))
        return Store.open(self.path, Vault.beside(self.path), timeout_s=0.01)

    def people(self, **arguments: Any) -> People:
        embedder: Any = ScriptedVision()
        access = AccessRules({"staff": Group(None)})
        opener = arguments.pop("opener", self.open)
        arguments = {"wall": lambda: self.wall, **arguments}
        self.peoples.append(People(opener, embedder, access, **arguments))
        return self.peoples[-1]

    def used(self) -> People:
        """A people that a service has begun with."""
        people = self.people()
        people.recall()
        return people

    def enrol(self, name: str, groups: frozenset[str] = frozenset()) -> None:
        store = Store.open(self.path, Vault.beside(self.path))
        store.people.add(name, MODEL, [unit(1)], by="root")
        if groups:
            store.people.change_access(name, groups=groups, by="root")
        store.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    for people in site.peoples:
        people.close()


def names(people: People) -> list[str]:
    return sorted(person.name for person in people.gallery.people)


def test_people_are_read_at_the_start_and_when_they_changed(site: Site) -> None:
    site.enrol("Ada")
    people = site.people()
    assert people.refresh(0.0)
    assert names(people) == ["Ada"]
    assert not people.refresh(0.1)
    site.enrol("Grace")
    assert people.refresh(0.2)
    assert names(people) == ["Ada", "Grace"]


def test_a_store_that_is_not_there_yet_is_made(site: Site) -> None:
    people = site.people()
    assert people.refresh(0.0)
    assert site.path.exists()
    assert people.problem is None


def test_a_damaged_store_leaves_nobody_and_is_taken_when_it_is_mended(site: Site) -> None:
    site.enrol("Ada")
    good = site.path.read_bytes()
    site.path.write_bytes(b"junk" * 1000)
    people = site.people()
    assert "damaged and was left as it is" in str(people.problem)
    assert not people.refresh(0.0)
    assert site.path.read_bytes() == b"junk" * 1000
    site.path.write_bytes(good)
    assert not people.refresh(1.0), "it is left alone for a while"
    assert people.refresh(1.0 + STORE_PAUSE_S)
    assert names(people) == ["Ada"]
    assert people.problem is None


def test_a_store_that_was_taken_away_leaves_the_people_and_is_not_made_anew(site: Site) -> None:
    site.enrol("Ada")
    people = site.people()
    people.refresh(0.0)
    away = site.path.with_name("away.db")
    site.path.rename(away)
    for t in (1.0, 4.0, 7.0):
        assert not people.refresh(t)
    assert "gone" in str(people.problem) or "taken away" in str(people.problem)
    assert names(people) == ["Ada"]
    assert not site.path.exists()
    away.rename(site.path)
    assert people.refresh(20.0)
    assert people.problem is None


def test_a_store_that_was_replaced_is_read(site: Site, tmp_path: Path) -> None:
    site.enrol("Ada")
    people = site.people()
    people.refresh(0.0)
    other = Site(tmp_path / "other")
    other.enrol("Grace")
    os.replace(other.path, site.path)
    for name in ("template-key", "lockd.db.generation"):
        shutil.copy(other.path.with_name(name), site.path.parent)
    for suffix in ("-wal", "-shm"):
        site.path.with_name(site.path.name + suffix).unlink(missing_ok=True)
    assert not people.refresh(1.0)
    assert people.refresh(1.0 + STORE_PAUSE_S)
    assert names(people) == ["Grace"]


def test_a_store_that_keeps_failing_is_opened_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.enrol("Ada")
    people = site.people()
    people.refresh(0.0)
    first = people.store
    assert first is not None

    def fail() -> bool:
        raise StoreError("disk I/O error")

    monkeypatch.setattr(first.gallery, "changed", fail)
    for t in range(20):
        people.refresh(float(t))
    assert people.store is not first
    assert people.problem is None
    assert names(people) == ["Ada"]


def test_only_who_changed_is_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("Ada", "Grace", "Eve"):
        site.enrol(name)
    people = site.people()
    people.refresh(0.0)
    # Nobody reads this row again, for nobody said that Grace was changed.
    with closing(sqlite3.connect(site.path)) as raw, raw:
        raw.execute("UPDATE people SET name = 'Mallory' WHERE name = 'Grace'")
    admin = Store.open(site.path, Vault.beside(site.path))
    admin.people.rename("Ada", "Ada Lovelace", by="root")
    assert people.refresh(0.1)
    assert names(people) == ["Ada Lovelace", "Eve", "Grace"]
    admin.people.set_enabled("Eve", False, by="root")
    assert people.refresh(0.2)
    assert names(people) == ["Ada Lovelace", "Grace"]
    admin.people.set_enabled("Eve", True, by="root")
    admin.people.remove("Ada Lovelace", by="root")
    assert people.refresh(0.3)
    assert names(people) == ["Eve", "Grace"]
    assert not people.refresh(0.4)
    admin.close()


def test_a_damaged_template_costs_nobody_else_the_door(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Ada", "Grace"):
        site.enrol(name)
    with closing(sqlite3.connect(site.path)) as raw, raw:
        raw.execute("UPDATE templates SET sealed = zeroblob(60) WHERE id = 1")
    people = site.people()
    assert people.refresh(0.0)
    assert (names(people), people.damaged) == (["Grace"], 1)
    assert "template 1 of person" in caplog.text
    assert people.problem is None
    site.enrol("Ada")
    people.refresh(0.1)
    assert (names(people), people.damaged) == (["Ada", "Grace"], 1)
    admin = Store.open(site.path, Vault.beside(site.path))
    admin.people.remove("Ada", by="root")
    admin.close()
    people.refresh(0.2)
    assert (names(people), people.damaged) == (["Grace"], 0)


JUNK = st.one_of(
    st.binary(max_size=60), st.text(max_size=60), st.integers(-9, 9), st.none(), st.floats()
)
COLUMNS = st.sampled_from(
    ["people.groups", "people.name", "people.valid_from", "people.valid_until", "people.enabled",
     "people.name_key", "people.revision", "templates.sealed", "templates.model_id",
     "templates.created_utc", "people.created_utc"]
)  # fmt: skip


@given(st.lists(st.tuples(COLUMNS, JUNK), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_whatever_somebody_wrote_into_a_row_the_others_come_in(
    junk: list[tuple[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        for name in ("Ada", "Grace"):
            site.enrol(name)
        with closing(sqlite3.connect(site.path)) as raw, raw:
            for column, value in junk:
                table, name = column.split(".")
                with suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):
                    statement = f"UPDATE {table} SET {name} = ? WHERE rowid = 1"  # noqa: S608
                    raw.execute(statement, (value,))
        people = site.people()
        assert people.refresh(0.0)
        assert people.problem is None
        assert "Grace" in names(people)
        probe = people.gallery.identify(unit(1), accept=0.5, margin=0.0)
        assert probe.person is not None
        people.close()


def test_groups_that_do_not_exist_are_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.enrol("Ada", frozenset({"stuff"}))
    site.people().refresh(0.0)
    assert (
        "access.groups has no stuff; this group lets nobody in, and 1 people are in it"
        in caplog.text
    )
    assert "Ada" not in caplog.text


def test_people_who_are_given_need_no_store() -> None:
    embedder: Any = ScriptedVision()
    gallery = Gallery((), 8)
    people = People(None, embedder, AccessRules(), gallery=gallery)
    assert not people.refresh(0.0)
    assert people.gallery is gallery
    people.keep(DoorMemory(locked_down=True))
    assert people.recall() is None


# What the door remembers


def test_what_is_kept_is_recalled_once_as_old_as_it_is(site: Site) -> None:
    site.used().keep(DoorMemory(locked_down=True, denials=2, locked_out_s=30, rest_s=60))
    site.wall += 10
    again = site.people()
    assert again.recall() == DoorMemory(locked_down=True, denials=2, locked_out_s=20, rest_s=60)
    assert again.recall() is None


def test_a_store_that_can_be_read_only_later_is_recalled_then(site: Site) -> None:
    site.used().keep(DoorMemory(locked_down=True))
    site.peoples.pop().close()
    good = site.path.read_bytes()
    site.path.write_bytes(b"junk" * 1000)
    people = site.people()
    assert people.recall() is None
    people.keep(DoorMemory(denials=1))  # what happens meanwhile is not written over it
    site.path.write_bytes(good)
    people.refresh(10.0)
    assert people.recall() == DoorMemory(locked_down=True)


@pytest.mark.parametrize("text", ['{"utc": 1}', "{}", '{"utc": "x"}', '{"what": 1, "utc": 1e9}'])
def test_a_memory_that_makes_no_sense_is_none(
    site: Site, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.used().keep(DoorMemory(locked_down=True))
    connection = sqlite3.connect(site.path)
    connection.execute("UPDATE door_memory SET memory = ?", (text,))
    connection.commit()
    connection.close()
    found = site.people().recall()
    assert found in (None, DoorMemory())
    assert found is not None or "cannot be read" in caplog.text


def test_what_could_not_be_written_is_written_when_nobody_else_writes(site: Site) -> None:
    people = site.used()
    people.refresh(0.0)
    with closing(sqlite3.connect(site.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        people.keep(DoorMemory(locked_down=True, locked_out_s=30))
        people.refresh(1.0)
        other.execute("ROLLBACK")
    site.wall += 10
    assert site.people().recall() == DoorMemory()
    people.refresh(1.0 + STORE_PAUSE_S)
    assert site.people().recall() == DoorMemory(locked_down=True, locked_out_s=20)


def test_a_rehearsal_neither_writes_nor_reads_what_the_door_remembers(site: Site) -> None:
    site.used().keep(DoorMemory(locked_down=True))
    rehearsal = site.people(remember=False)
    assert rehearsal.recall() is None
    rehearsal.keep(DoorMemory())
    assert site.people().recall() == DoorMemory(locked_down=True)


@contextmanager
def unwritable(site: Site) -> Iterator[None]:
    """Somebody else writes to the store, and does not end."""
    with closing(sqlite3.connect(site.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_what_no_store_takes_is_in_memory_for_the_next_process(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "door-memory.json"
    site.used().keep(DoorMemory(denials=1))
    people = site.people(copy=copy)
    people.recall()
    assert people.lasting
    with unwritable(site):
        people.keep(DoorMemory(locked_down=True))
        assert not people.lasting
    site.wall += 5
    # The process is killed now; the next one has both, and takes the later.
    again = site.people(copy=copy)
    assert again.recall() == DoorMemory(locked_down=True)
    assert again.recall() is None


def test_what_the_store_has_of_later_goes_before_the_copy(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "door-memory.json"
    first = site.people(copy=copy)
    first.recall()
    first.keep(DoorMemory(locked_down=True))
    site.wall += 5
    site.used().keep(DoorMemory(denials=2))
    assert site.people(copy=copy).recall() == DoorMemory(denials=2)


def test_without_a_store_the_copy_is_recalled_and_an_older_store_adds_nothing(
    site: Site, tmp_path: Path
) -> None:
    copy = tmp_path / "door-memory.json"
    site.used().keep(DoorMemory(denials=1))
    people = site.people(copy=copy)
    people.recall()
    site.wall += 1
    with unwritable(site):
        people.keep(DoorMemory(locked_down=True))
    people.close()
    good = site.path.read_bytes()
    site.path.write_bytes(b"junk" * 1000)
    again = site.people(copy=copy)
    assert again.recall() == DoorMemory(locked_down=True)
    assert again.recall() is None
    site.path.write_bytes(good)
    again.refresh(10.0)
    assert again.recall() is None


@pytest.mark.parametrize("text", ["", "[]", '{"utc": "x"}', "junk"])
def test_a_copy_that_makes_no_sense_is_none(site: Site, tmp_path: Path, text: str) -> None:
    copy = tmp_path / "door-memory.json"
    copy.write_text(text)
    site.used().keep(DoorMemory(denials=2))
    assert site.people(copy=copy).recall() == DoorMemory(denials=2)


def test_what_is_adopted_is_kept_without_what_goes_on_just_now(site: Site) -> None:
    people = site.people()
    people.adopt(DoorMemory(locked_down=True, held_s=math.inf, released_s=3.0))
    assert people.recall() is None
    assert site.people().recall() == DoorMemory(locked_down=True)


def test_a_store_that_cannot_be_written_is_said_and_survived(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    people = site.used()
    blocker = sqlite3.connect(site.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    people.keep(DoorMemory(locked_down=True))
    blocker.close()
    assert "would not outlive a restart" in caplog.text


def test_a_store_that_could_only_be_read_is_written_when_it_can_be(site: Site) -> None:
    site.enrol("Ada")
    site.writable = False
    people = site.people()
    assert people.refresh(0.0)
    for t in (1.0, 61.0, 122.0):
        assert not people.refresh(t), "nothing changed"
        assert people.store is not None
        assert not people.store.writable
    site.writable = True
    people.refresh(183.0)
    assert people.store is not None
    assert people.store.writable
    assert names(people) == ["Ada"]


def test_templates_are_asked_of_the_store_that_is_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "LARGE", 1)
    site.enrol("Ada")
    site.writable = False
    people = site.people()
    people.refresh(0.0)
    people.refresh(61.0)
    site.writable = True
    people.refresh(122.0)
    assert people.store is not None
    assert people.store.writable
    match = people.gallery.identify(unit(1), accept=0.5, margin=0.1)
    assert match.similarity == pytest.approx(1.0, abs=1e-6)
