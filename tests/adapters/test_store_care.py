"""Looking after a store, by its methods and by `lockd store`."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault, restore
from lockd.commands.main import main
from lockd.config import Settings
from lockd.service.people import People
from tests.fakes import post, unit
from tests.invoking import Run, invoke
from tests.patience import eventually, running

MODEL = "fingerprint"


@pytest.fixture
def path() -> Path:
    """Where the commands look for it, without a configuration."""
    return Settings().store.path()


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Two people, and a message that waits."""
    store = Store.open(path, Vault.beside(path))
    store.people.add("Ada", MODEL, [unit(1), unit(1, 1)], by="root", photographs=[b"a", b"b"])
    store.people.add("Grace", MODEL, [unit(0, 1)], by="root")
    post(store, {}, "topic")
    yield store
    store.close()


@pytest.fixture
def run() -> Run:
    return functools.partial(invoke, main, "store")


def names(store: Store) -> list[str]:
    return [one.person.name for one in store.people.all()]


def spoil(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(statement)


class TestCheck:
    def test_a_store_in_which_nothing_is_wrong(self, store: Store, run: Run, path: Path) -> None:
        result = run("check")
        assert result.exit_code == 0
        assert result.stdout == f"{path}: whole; people: 2, templates: 3\n"
        assert json.loads(run("check", "--json").stdout)["faults"] == []

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("UPDATE templates SET sealed = zeroblob(60) WHERE id = 1", "Ada: template 1 does not"),
            ("UPDATE photographs SET sealed = zeroblob(60) WHERE id = 2", "Ada: photograph 2 does"),
            ("UPDATE people SET name_key = 'eve' WHERE name = 'Ada'", "Ada: is filed under 'eve'"),
            ("UPDATE templates SET person_id = 'x' WHERE id = 3", "templates 3 belongs to nothing"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, store: Store, run: Run, path: Path, statement: str, said: str
    ) -> None:
        spoil(path, statement)
        result = run("check")
        assert result.exit_code == 5
        assert said in result.stdout
        assert json.loads(run("check", "--json").stdout)["faults"]

    def test_files_that_others_may_read_are_told(self, store: Store, run: Run, path: Path) -> None:
        path.with_name("template-key").chmod(0o640)
        path.chmod(0o644)
        result = run("check")
        assert result.exit_code == 5
        assert result.stdout.count("others may read") == 2

    def test_what_does_not_open_is_deleted_when_asked(
        self, store: Store, run: Run, path: Path
    ) -> None:
        spoil(path, "UPDATE templates SET sealed = zeroblob(60) WHERE id = 1")
        spoil(path, "UPDATE photographs SET sealed = zeroblob(60) WHERE id = 2")
        result = run("check", "--mend")
        assert result.exit_code == 0
        assert "2 templates or photographs deleted" in result.stderr
        assert store.people.named("Ada").templates == 1
        assert [(one.action, one.note) for one in store.audit.latest(2)] == [
            ("mend", "photographs 2"),
            ("mend", "templates 1"),
        ]

    def test_looking_makes_nothing(self, run: Run, path: Path) -> None:
        for command in ("check", "audit", "events", "vacuum"):
            assert run(command).exit_code == 5
        assert not path.parent.exists()


class TestBackup:
    def test_it_can_be_put_back(self, store: Store, run: Run, tmp_path: Path) -> None:
        copy = tmp_path / "copy.db"
        result = run("backup", copy)
        assert result.exit_code == 0
        assert "template-key" in result.stdout
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        store.people.remove("Ada", by="root")
        store.people.add("Eve", MODEL, [unit(1)], by="root")
        assert run("restore", copy, "--bring-back").exit_code == 0
        assert names(store) == ["Ada", "Grace"]
        assert list(store.templates.photographs("Ada").values()) == [b"a", b"b"]
        assert store.care.examine() == []
        assert [one.action for one in store.audit.latest(4)] == [
            "restore",
            "add",
            "remove",
            "backup",
        ]
        assert len(store.outbox.waiting(0, 9)) == 1
        assert {file.name for file in tmp_path.iterdir()} <= {"copy.db", "xdg", "cache"}

    def test_it_overwrites_nothing(self, store: Store, run: Run, tmp_path: Path) -> None:
        copy = tmp_path / "copy.db"
        copy.write_text("precious")
        assert run("backup", copy).exit_code == 5
        assert copy.read_text() == "precious"

    def test_it_is_of_one_moment_while_others_write(
        self, store: Store, path: Path, tmp_path: Path
    ) -> None:
        code = (
            "import sys, itertools; from pathlib import Path;"
            "from lockd.adapters.store import Store, Vault; from tests.fakes import unit;"
            "p = Path(sys.argv[1]); s = Store.open(p, Vault.beside(p)); print(flush=True);"
            "[s.people.add(f'P {n}', 'm', [unit(1, n)] * 3, by='x') for n in range(10000)]"
        )
        copy = tmp_path / "copy.db"
        with running(sys.executable, "-c", code, path, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            before = len(store.people.all())
            eventually(lambda: len(store.people.all()) > before)
            store.care.backup(copy, by="root")
        vault = Vault(path.with_name("template-key"), may_make=False)
        with closing(Store.open(copy, vault, copy=True)) as it:
            assert it.care.examine() == []
            assert len(it.people.all()) >= before

    def test_a_running_service_sees_who_was_put_back(
        self, store: Store, path: Path, tmp_path: Path
    ) -> None:
        from lockd.door.rules import AccessRules
        from tests.fakes import ScriptedVision

        store.people.add("Eve", ScriptedVision().fingerprint, [unit(1)], by="root")
        copy = tmp_path / "copy.db"
        store.care.backup(copy, by="root")
        store.people.remove("Eve", by="root")
        embedder = ScriptedVision()
        people = People(
            lambda create: Store.open(path, Vault.beside(path)),
            embedder,  # type: ignore[arg-type]
            AccessRules(),
        )
        people.refresh(0.0)
        assert people.gallery.people == []
        restore(path, copy, Vault.beside(path), by="root", answer=lambda back: True)
        assert people.refresh(0.1)
        assert [one.name for one in people.gallery.people] == ["Eve"]
        people.close()


class TestRestoreRefuses:
    @pytest.fixture
    def copy(self, store: Store, tmp_path: Path) -> Path:
        store.care.backup(tmp_path / "copy.db", by="root")
        return tmp_path / "copy.db"

    def refused(self, store: Store, run: Run, copy: Path, said: str) -> None:
        result = run("restore", copy)
        assert result.exit_code == 5
        assert said in result.stderr
        assert str(copy) in result.stderr
        assert names(store) == ["Ada", "Grace"]
        assert not list(store.path.parent.glob("*restoring*"))

    def test_what_is_no_backup(self, store: Store, run: Run, copy: Path) -> None:
        copy.write_bytes(b"SQLite format 3\0" + os.urandom(9000))
        self.refused(store, run, copy, "not a database")
        copy.write_text("a shopping list")
        self.refused(store, run, copy, "not a backup")

    def test_one_cut_short_or_spoilt_in_the_middle(
        self, store: Store, run: Run, copy: Path
    ) -> None:
        content = copy.read_bytes()
        copy.write_bytes(content[: len(content) // 2])
        self.refused(store, run, copy, str(copy))
        middle = len(content) // 2
        copy.write_bytes(content[:middle] + b"\xa5" * 9000 + content[middle + 9000 :])
        self.refused(store, run, copy, str(copy))

    def test_one_in_which_a_template_does_not_open(
        self, store: Store, run: Run, copy: Path
    ) -> None:
        spoil(copy, "UPDATE templates SET sealed = zeroblob(60) WHERE id = 1")
        self.refused(store, run, copy, "Ada: template 1 does not open")

    def test_one_of_another_key(self, store: Store, run: Run, tmp_path: Path) -> None:
        other = tmp_path / "other" / "lockd.db"
        with closing(Store.open(other, Vault.beside(other))) as another:
            another.care.backup(tmp_path / "copy.db", by="root")
        self.refused(store, run, tmp_path / "copy.db", "another key")


class TestReplace:
    def test_a_store_that_is_missing_is_made(
        self, store: Store, run: Run, path: Path, tmp_path: Path
    ) -> None:
        store.care.backup(tmp_path / "copy.db", by="root")
        store.close()
        path.unlink()
        assert run("restore", tmp_path / "copy.db").exit_code == 0
        again = Store.open(path, Vault.beside(path))
        assert names(again) == ["Ada", "Grace"]
        assert again.outbox.waiting(0, 9) == []
        again.close()

    def test_a_damaged_one_is_put_aside_when_asked_and_nobody_has_it_open(
        self, store: Store, run: Run, path: Path, tmp_path: Path
    ) -> None:
        store.care.backup(tmp_path / "copy.db", by="root")
        store.close()
        path.write_bytes(b"junk" * 3000)
        result = run("restore", tmp_path / "copy.db")
        assert result.exit_code == 5
        assert "--replace" in result.stderr
        assert path.read_bytes() == b"junk" * 3000
        code = "import sys; f = open(sys.argv[1]); print(flush=True); input()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with running(sys.executable, "-c", code, path, **pipes) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            result = run("restore", "--replace", tmp_path / "copy.db")
            assert f"process {holder.pid} has it open" in result.stderr
        assert run("restore", "--replace", tmp_path / "copy.db").exit_code == 0
        again = Store.open(path, Vault.beside(path))
        assert names(again) == ["Ada", "Grace"]
        again.close()
        (aside,) = path.parent.glob("lockd.db.unusable-*")
        assert aside.read_bytes() == b"junk" * 3000


class TestVacuum:
    def test_the_file_becomes_smaller_and_nobody_is_lost(
        self, store: Store, run: Run, path: Path
    ) -> None:
        store.people.add("Big", MODEL, [unit(1)], by="root", photographs=[b"x" * 500_000])
        store.people.remove("Big", by="root")
        before = path.stat().st_size
        assert run("vacuum").exit_code == 0
        assert path.stat().st_size < before / 2
        assert names(store) == ["Ada", "Grace"]
        assert store.care.examine() == []


class TestShowing:
    def test_the_trail_names_those_who_are_still_there(self, store: Store, run: Run) -> None:
        ada = store.people.remove("Ada", by="bob").person.id
        rows = json.loads(run("audit", "--json").stdout)
        assert [(row["action"], row["person"]) for row in rows] == [
            ("remove", None),
            ("add", "Grace"),
            ("add", None),
        ]
        assert rows[0]["person_id"] == ada
        assert "bob" in run("audit", "--limit", "1").stdout

    def test_kept_events_are_printed_one_a_line(self, store: Store, run: Run) -> None:
        for second in (1, 2):
            utc = f"2026-01-01T00:00:0{second}Z"
            post(store, {"utc": utc, "type": "stranger"}, kept=True)
        lines = run("events").stdout.splitlines()
        assert [json.loads(line)["utc"][-3:] for line in lines] == ["02Z", "01Z"]

    def test_a_key_is_made_once(self, run: Run, tmp_path: Path) -> None:
        assert run("make-key", tmp_path / "key").exit_code == 0
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
        assert run("make-key", tmp_path / "key").exit_code == 5
        assert run("make-key", tmp_path / "none" / "key").exit_code == 5
