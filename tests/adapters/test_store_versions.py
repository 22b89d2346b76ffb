"""A store of an earlier version becomes one of the latest; one of no use stays what it is."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault, schema
from lockd.errors import StoreError
from lockd.files import create_private
from lockd.vision.space import Space
from tests.fakes import unit
from tests.patience import PATIENCE_S, running

MODEL = "fingerprint"
LATEST = schema.FIRST + len(schema.STEPS) - 1
# What a later lockd may want.
LATER = (
    "ALTER TABLE people ADD COLUMN badge TEXT;\nUPDATE people SET badge = external_id",
    "CREATE TABLE visits (id INTEGER PRIMARY KEY) STRICT;\nINSERT INTO visits VALUES (7)",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of this version with somebody in it."""
    path = tmp_path / "state" / "lockd.db"
    with closing(Store.open(path, Vault.beside(path))) as store:
        store.people.add("Ada", MODEL, [unit(1, 2)], by="root")
        store.memory.remember({"locked_down": True})
    return path


@pytest.fixture
def later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With that store there, this lockd becomes a later one."""
    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, *LATER])


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute("PRAGMA user_version").fetchone()[0])


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table's columns, as SQLite sees them."""
    with closing(sqlite3.connect(path)) as raw:
        names = raw.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        return {name: raw.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in names}


def test_a_later_version_takes_the_steps_that_are_left_and_everybody_is_still_there(
    path: Path, tmp_path: Path, later: None
) -> None:
    assert version(path) == LATEST
    with pytest.raises(StoreError, match=r"has to become .* start lockd once"):
        Store.open_read_only(path, Vault.beside(path))
    for _ in range(2):
        with closing(Store.open(path, Vault.beside(path))) as store:
            assert [one.person.name for one in store.people.all()] == ["Ada"]
            assert len(store.gallery.usable(Space.plain(MODEL, 8))[0]) == 1
            assert store.memory.recall() == {"locked_down": True}
            assert store.database.rows("SELECT id FROM visits") == [(7,)], "each step once"
            assert store.care.examine() == []
    assert version(path) == LATEST + 2
    new = tmp_path / "new" / "lockd.db"
    Store.open(new, Vault.beside(new)).close()
    assert tables(path) == tables(new)


def test_what_was_valid_for_whole_days_stays_so_and_may_be_to_the_minute_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / "lockd.db"
    [minutes] = [place for place, one in enumerate(schema.STEPS) if "%H:%M" in one]
    days = schema.STEPS[:minutes]
    with monkeypatch.context() as before:
        before.setattr(schema, "STEPS", days)
        with closing(Store.open(path, Vault.beside(path))) as store:
            whole = {"valid_from": "2026-01-01", "valid_until": "2026-12-31"}
            store.people.add("Ada", MODEL, [unit(1)], by="root", **whole)  # type: ignore[arg-type]
            with pytest.raises(StoreError, match="CHECK"):
                store.people.change_access("Ada", by="root", valid_until="2026-12-31T17:00")
    with closing(Store.open(path, Vault.beside(path))) as store:
        assert store.care.examine() == []
        ada = store.people.named("Ada").person
        assert (ada.valid_from, ada.valid_until) == ("2026-01-01", "2026-12-31")
        store.people.change_access("Ada", by="root", valid_until="2026-12-31T17:00")
        assert store.care.examine() == []
    with closing(Store.open_read_only(path, Vault.beside(path))) as store:
        assert store.people.named("Ada").person.valid_until == "2026-12-31T17:00"


def test_a_step_that_fails_leaves_the_store_as_the_step_before_made_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = "CREATE TABLE half (id INTEGER);\nINSERT INTO nowhere VALUES (1)"
    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, LATER[0], failing])
    with pytest.raises(StoreError, match="no such table: nowhere"):
        Store.open(path, Vault.beside(path))
    assert version(path) == LATEST + 1
    assert "half" not in tables(path)
    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS[:-1], LATER[1]])
    with closing(Store.open(path, Vault.beside(path))) as store:
        assert store.people.named("Ada").templates == 1


# Runs in a process of its own, and forks: each child opens a fresh copy of a store, or makes
# one, and kills itself, as if by kill -9, at the next line of the code that does it.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from lockd.adapters.store import Store, Vault, schema

old = Path(sys.argv[1])
schema.STEPS += sys.argv[2:]
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
    if old.exists():
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


def killed_at_each_line(path: Path) -> list[Path]:
    """What is left of a store after each."""
    command = [sys.executable, "-c", KILLED, str(path), *LATER]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=5 * PATIENCE_S
    )
    assert run.returncode == 0, run.stderr
    folder = path.parent.parent
    return [folder / f"killed-{number}" / path.name for number in range(1, int(run.stdout) + 1)]


@pytest.mark.kills
def test_a_process_killed_at_any_line_of_an_update_leaves_the_steps_before_it(
    path: Path, later: None
) -> None:
    versions = []
    for killed in killed_at_each_line(path):
        versions.append(version(killed))
        columns = len(tables(killed)["people"])
        assert columns == (14 if versions[-1] == LATEST else 15)
        with closing(Store.open(killed, Vault.beside(killed))) as store:
            assert store.people.named("Ada").templates == 1
            assert store.care.examine() == []
    assert versions == sorted(versions)
    assert [min(9, versions.count(one)) for one in range(LATEST, LATEST + 3)] == [9, 9, 9]


@pytest.mark.kills
def test_a_process_killed_at_any_line_of_making_a_store_leaves_none_or_one(
    tmp_path: Path, later: None
) -> None:
    for killed in killed_at_each_line(tmp_path / "none" / "lockd.db"):
        assert not killed.exists() or version(killed) in (0, *range(schema.FIRST, LATEST + 3))
        with closing(Store.open(killed, Vault.beside(killed))) as store:
            assert store.people.all() == []
            assert store.care.examine() == []


@pytest.mark.parametrize("there", [True, False])
def test_several_that_open_a_store_at_once_all_get_a_new_one(
    path: Path, tmp_path: Path, there: bool
) -> None:
    if not there:
        path = tmp_path / "new" / "lockd.db"
    script = (
        "import sys; from pathlib import Path; from lockd.adapters.store import *;"
        "from lockd.adapters.store import schema; schema.STEPS += sys.argv[2:];"
        "path = Path(sys.argv[1]); sys.stdin.readline();"
        "print(len(Store.open(path, Vault.beside(path)).people.all()))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        started = [
            stack.enter_context(running(sys.executable, "-c", script, path, *LATER, **pipes))
            for _ in range(4)
        ]
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        told = [one.communicate(timeout=PATIENCE_S)[0] for one in started]
    assert told == [f"{int(there)}\n"] * 4
    assert version(path) == LATEST + 2


# What the first of lockd 0.1 were, word for word.
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
PRAGMA application_id = 1819239275;
PRAGMA user_version = 1;
INSERT INTO people VALUES ('1', 'Ada Lovelace', 'ada lovelace', '2026-01-02T03:04:05Z');
"""


@pytest.mark.parametrize("open_store", [Store.open, Store.open_read_only])
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (VERSION_1, r"of lockd 0\.1 \(schema version 1\).*move it away and enrol everybody"),
        (f"{VERSION_1}PRAGMA user_version = {schema.FIRST - 1};", "move it away and enrol"),
        (f"{VERSION_1}PRAGMA user_version = {LATEST + 1};", "install the lockd that wrote it"),
        ("CREATE TABLE holidays (day TEXT)", "not lockd's; name another folder"),
    ],
    ids=["the first of 0.1", "the last of 0.1", "of a later lockd", "somebody else's"],
)
def test_one_of_no_use_is_refused_and_left_as_it_is(
    tmp_path: Path, open_store: Callable[[Path, Vault], Store], script: str, said: str
) -> None:
    path = tmp_path / "refused" / "lockd.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(script)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=said):
        open_store(path, Vault.beside(path))
    assert path.read_bytes() == before
    assert not path.with_name("template-key").exists()


def test_a_planted_link_is_never_written_through(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_private(link)
    assert not (tmp_path / "elsewhere").exists()


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
            ("valid_until", "2026-12-31T25:00"),
            ("valid_until", "2026-12-31 14:30"),
        ],
    )
    def test_rights_that_make_no_sense(self, path: Path, column: str, value: str | None) -> None:
        with closing(sqlite3.connect(path)) as raw, pytest.raises(sqlite3.Error):
            raw.execute(f"UPDATE people SET {column} = ?", (value,))  # noqa: S608

    @pytest.mark.parametrize("memory", ["", "[]", "{"])
    def test_a_memory_that_is_no_object(self, path: Path, memory: str) -> None:
        with closing(sqlite3.connect(path)) as raw, pytest.raises(sqlite3.Error):
            raw.execute("INSERT OR REPLACE INTO door_memory VALUES (1, ?)", (memory,))
