"""A store of an earlier version becomes one of the latest, or stays what it was."""

from __future__ import annotations

import functools
import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault
from lockd.adapters.store.copies import copy_of, sealed_copy_of, unseal_file
from lockd.adapters.store.files import create_private
from lockd.adapters.store.schema import SCHEMA_VERSION
from lockd.errors import PersonError, StoreError
from lockd.types import Person
from tests.fakes import unit

MODEL = "fingerprint"
SIZE = 8
# What lockd 0.1 made, word for word.
VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE people (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL UNIQUE,  -- folded: "Zoë" and "ZOË" are one person
    created_utc TEXT NOT NULL
) STRICT;
CREATE TABLE templates (
    id          INTEGER PRIMARY KEY,
    person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    model       TEXT NOT NULL,         -- fingerprint of the networks that made it
    embedding   BLOB NOT NULL,         -- little-endian float32
    created_utc TEXT NOT NULL
) STRICT;
CREATE INDEX templates_of_person ON templates (person_id);
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    topic       TEXT NOT NULL,
    payload     BLOB NOT NULL
) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('gallery', 3), ('outbox_dropped', 7);
PRAGMA application_id = 1819239275;
PRAGMA user_version = 1;
INSERT INTO people VALUES ('1', 'Ada Lovelace', 'ada lovelace', '2026-01-02T03:04:05Z');
INSERT INTO people VALUES ('2', 'Zoë', 'zoë', '2026-01-02T03:04:06Z');
INSERT INTO outbox (topic, payload) VALUES ('lockd/door/event', CAST('waiting' AS BLOB));
"""
# What the next one made of it, word for word.
VERSION_2 = """
ALTER TABLE people ADD COLUMN
    groups TEXT NOT NULL DEFAULT '[]' CHECK (json_type(groups) = 'array');
ALTER TABLE people ADD COLUMN
    valid_from TEXT CHECK (valid_from IS date(valid_from, '+0 days'));
ALTER TABLE people ADD COLUMN
    valid_until TEXT CHECK (valid_until IS date(valid_until, '+0 days'));
CREATE TABLE door_memory (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    memory      TEXT NOT NULL CHECK (json_type(memory) = 'object')
) STRICT;
PRAGMA user_version = 2;
UPDATE people SET groups = '["staff"]', valid_until = '2026-12-31' WHERE id = '2';
INSERT INTO door_memory VALUES (1, '{"locked_down": true}');
"""
PEOPLE = [("1", "Ada Lovelace", 2), ("2", "Zoë", 1)]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of version 1: two people, three templates, one message."""
    path = tmp_path / "state" / "lockd.db"
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.executescript(VERSION_1)
        raw.executemany(
            "INSERT INTO templates VALUES (?, ?, ?, ?, '2026-01-02T03:04:05Z')",
            [
                (number, person, MODEL, unit(1, number).astype("<f4").tobytes())
                for number, person in ((1, "1"), (2, "1"), (3, "2"))
            ],
        )
    return path


@pytest.fixture
def second(old: Path) -> Path:
    """A store of version 2: the same, with groups, a last day and a lock-down."""
    with closing(sqlite3.connect(old)) as raw, raw:
        raw.executescript(VERSION_2)
    return old


def people(store: Store) -> list[tuple[str, str, int]]:
    return [(one.person.id, one.person.name, one.templates) for one in store.people()]


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute("PRAGMA user_version").fetchone()[0])


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table's columns, as SQLite sees them."""
    with closing(sqlite3.connect(path)) as raw:
        names = raw.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        return {name: raw.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in names}


def test_everybody_and_everything_is_still_there(old: Path) -> None:
    store = Store.open(old, Vault.beside(old))
    assert people(store) == PEOPLE
    templates, refused = store.templates(MODEL, SIZE)
    assert (len(templates), refused) == (3, 0)
    assert {one.person for one in templates} == {Person("1", "Ada Lovelace"), Person("2", "Zoë")}
    assert [one.payload for one in store.waiting(0, 9)] == [b"waiting"]
    assert store.lost() == (7, 0)
    assert store.recall() is None
    store.change_access("zoë", groups=frozenset({"staff"}), by="root")
    store.close()
    assert version(old) == SCHEMA_VERSION


def test_an_old_store_becomes_what_a_new_one_is(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "lockd.db"
    for path in (old, new):
        Store.open(path, Vault.beside(path)).close()
    assert tables(old) == tables(new)


def unsealed(old: Path) -> Path:
    """The copy that an update left of a store of version 1, as it was."""
    target = old.parent.parent / "unsealed.db"
    target.unlink(missing_ok=True)
    unseal_file(sealed_copy_of(old, 1), target, Vault.beside(old))
    return target


def test_a_sealed_copy_of_it_is_kept_that_the_lockd_before_could_use(old: Path) -> None:
    Store.open(old, Vault.beside(old)).close()
    copy = sealed_copy_of(old, 1)
    assert copy.name == "lockd.db.v1.sealed"
    assert {file.name for file in old.parent.iterdir()} == {old.name, copy.name, "template-key"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert b"Lovelace" not in copy.read_bytes()
    plain = unsealed(old)
    assert version(plain) == 1
    with closing(sqlite3.connect(plain)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("SELECT count(*) FROM templates").fetchone() == (3,)
        assert len(raw.execute("PRAGMA table_info(people)").fetchall()) == 4


def test_no_plain_template_is_left_in_any_file(old: Path) -> None:
    blobs = [unit(1, number).astype("<f4").tobytes() for number in (1, 2, 3)]
    assert any(blobs[0] in file.read_bytes() for file in old.parent.iterdir())
    store = Store.open(old, Vault.beside(old))
    for file in old.parent.iterdir():
        assert not any(blob in file.read_bytes() for blob in blobs), file
    store.close()


def test_what_was_only_in_the_journal_is_in_the_copy(old: Path) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM people").fetchall()  # keeps the journal from being folded in
        with closing(sqlite3.connect(old)) as writer, writer:
            writer.execute("UPDATE people SET name = 'Zoe' WHERE id = '2'")
        Store.open(old, Vault.beside(old), timeout_s=0.01).close()
        assert copy_of(old, 1).exists()  # for the reader holds the plain pages
    Store.open(old, Vault.beside(old)).close()
    assert not copy_of(old, 1).exists()
    with closing(sqlite3.connect(unsealed(old))) as raw:
        assert raw.execute("SELECT name FROM people WHERE id = '2'").fetchone() == ("Zoe",)


def test_whoever_is_removed_is_removed_with_the_copy(old: Path) -> None:
    store = Store.open(old, Vault.beside(old))
    with pytest.raises(PersonError):
        store.remove("Nobody", by="root")
    assert sealed_copy_of(old, 1).exists()
    removal = store.remove("Zoë", by="root")
    assert removal.copies == [sealed_copy_of(old, 1)]
    assert removal.verified
    assert not sealed_copy_of(old, 1).exists()
    store.close()


def test_a_copy_that_cannot_be_deleted_keeps_the_person(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    store = Store.open(old, Vault.beside(old))
    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(StoreError, match="Permission denied"):
        store.remove("Zoë", by="root")
    assert people(store) == PEOPLE
    store.close()


def test_a_copy_that_cannot_be_written_leaves_the_store_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lockd.adapters.store.copies.to_disk", full)
    with pytest.raises(StoreError, match=r"No space left .* free some space"):
        Store.open(old, Vault.beside(old))
    assert version(old) == 1
    assert {file.name for file in old.parent.iterdir()} == {"lockd.db"}


def test_a_planted_link_is_never_written_through(old: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name in ("lockd.db.v1.bak.unfinished", "lockd.db.v1.sealed.unfinished"):
        (old.parent / name).symlink_to(precious)
    Store.open(old, Vault.beside(old)).close()
    assert precious.read_text() == "precious"
    assert not sealed_copy_of(old, 1).is_symlink()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_private(link)
    assert not (tmp_path / "elsewhere").exists()


def test_a_copy_under_way_has_no_journal_that_a_later_one_would_take_for_its_own(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()

    class PageByPage(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **_: object) -> None:
            def look(*_: int) -> None:
                seen.update(file.name for file in old.parent.iterdir())

            super().backup(target, pages=1, progress=look)

    connect = functools.partial(sqlite3.connect, factory=PageByPage)
    monkeypatch.setattr("lockd.adapters.store.copies.sqlite3.connect", connect)
    Store.open(old, Vault.beside(old)).close()
    assert seen == {f"{old.name}{end}" for end in ("", "-wal", "-shm", ".v1.bak.unfinished")}


def test_an_old_store_that_may_only_be_read_shows_its_people(old: Path) -> None:
    before = old.read_bytes()
    store = Store.open_read_only(old, Vault.beside(old))
    assert people(store) == PEOPLE
    assert len(store.templates(MODEL, SIZE)[0]) == 3
    assert store.outdated("other")[0] == Person("1", "Ada Lovelace")
    assert store.recall() is None
    for write in (
        lambda: store.remember({"locked_down": True}),
        lambda: store.change_access("Zoë", valid_until="2026-12-31", by="root"),
    ):
        with pytest.raises(StoreError):
            write()
    store.close()
    assert old.read_bytes() == before
    assert not copy_of(old, 1).exists()


# Runs in a process of its own, and forks: each child opens a fresh copy of the old store
# and kills itself, as if by kill -9, at the next line of the code that updates it.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from lockd.adapters.store import Store, Vault, schema

old = Path(sys.argv[1])
lines = 0

def tracer(frame, event, _):
    global lines
    if "adapters/store/" not in frame.f_code.co_filename:
        return None
    if event == "line":
        lines += 1
        if lines == last:
            os.kill(os.getpid(), signal.SIGKILL)
    return tracer

last, ended = 0, False
while not ended:
    last += 1
    folder = old.parent.parent / f"killed-{last}"
    shutil.copytree(old.parent, folder)
    child = os.fork()
    if child == 0:
        sys.settrace(tracer)
        Store.open(folder / old.name, Vault.beside(folder / old.name)).close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    ended = not os.WIFSIGNALED(status)
    assert ended or os.WTERMSIG(status) == signal.SIGKILL
print(last)
"""


@pytest.mark.kills
def test_a_process_killed_at_any_line_of_it_leaves_an_old_store_or_a_new_one(
    old: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(old)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stderr
    versions = []
    for number in range(1, int(run.stdout) + 1):
        path = tmp_path / f"killed-{number}" / old.name
        found = version(path)
        with closing(sqlite3.connect(path)) as raw:
            columns = len(raw.execute("PRAGMA table_info(people)").fetchall())
        assert (found, columns) in {(1, 4), (SCHEMA_VERSION, 13)}
        plain, sealed = copy_of(path, 1), sealed_copy_of(path, 1)
        assert found == 1 or plain.exists() or sealed.exists()
        assert sealed.exists() or not plain.exists() or version(plain) == 1
        versions.append(found)
        store = Store.open(path, Vault.beside(path))
        assert people(store) == PEOPLE
        store.close()
        left = {file.name for file in path.parent.iterdir()}
        left -= {one for one in left if re.fullmatch(r"template-key\..*\.unfinished", one)}
        assert left == {path.name, sealed.name, "template-key"}
    assert versions == sorted(versions)
    assert versions.count(1) > 30
    assert versions.count(SCHEMA_VERSION) > 30


def test_two_that_open_an_old_store_at_once_both_get_a_new_one(old: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lockd.adapters.store import Store, Vault;"
        "path = Path(sys.argv[1]); sys.stdin.readline();"
        "print(len(Store.open(path, Vault.beside(path)).people()))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(old)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [one.communicate(timeout=300)[0] for one in started] == ["2\n"] * 4
    assert version(old) == SCHEMA_VERSION


def test_the_copy_put_back_is_updated_again(old: Path) -> None:
    store = Store.open(old, Vault.beside(old))
    store.change_access("Zoë", groups=frozenset({"staff"}), by="root")
    store.close()
    shutil.copyfile(unsealed(old), old)
    again = Store.open(old, Vault.beside(old))
    assert people(again) == PEOPLE
    assert again.people()[1].person.groups == frozenset()
    again.close()


class TestWhatTheDatabaseItselfRefuses:
    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("groups", "staff"),
            ("groups", json.dumps({"staff": 1})),
            ("groups", None),
            ("valid_from", "2026-02-30"),
            ("valid_until", "tomorrow"),
            ("valid_until", "now"),
        ],
    )
    def test_rights_that_make_no_sense(self, old: Path, column: str, value: str | None) -> None:
        Store.open(old, Vault.beside(old)).close()
        with closing(sqlite3.connect(old)) as raw, pytest.raises(sqlite3.Error):
            raw.execute(f"UPDATE people SET {column} = ?", (value,))  # noqa: S608

    @pytest.mark.parametrize("memory", ["", "[]", "{"])
    def test_a_memory_that_is_no_object(self, old: Path, memory: str) -> None:
        Store.open(old, Vault.beside(old)).close()
        with closing(sqlite3.connect(old)) as raw, pytest.raises(sqlite3.Error):
            raw.execute("INSERT INTO door_memory VALUES (1, ?)", (memory,))


def test_a_store_of_the_second_version_keeps_rights_and_what_the_door_remembers(
    second: Path, tmp_path: Path
) -> None:
    plain = unit(1, 3).astype("<f4").tobytes()
    assert plain in second.read_bytes()
    for open_store in (Store.open_read_only, Store.open, Store.open):
        store = open_store(second, Vault.beside(second))
        assert people(store) == PEOPLE
        zoe = store.person("zoë").person
        assert (zoe.groups, zoe.valid_until) == (frozenset({"staff"}), "2026-12-31")
        assert store.recall() == {"locked_down": True}
        assert len(store.templates(MODEL, SIZE)[0]) == 3
        store.close()
    assert version(second) == SCHEMA_VERSION
    assert not [file for file in second.parent.iterdir() if plain in file.read_bytes()]
    assert sealed_copy_of(second, 2).exists()
    new = tmp_path / "new" / "lockd.db"
    Store.open(new, Vault.beside(new)).close()
    assert tables(second) == tables(new)
