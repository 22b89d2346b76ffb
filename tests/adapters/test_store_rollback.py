"""What somebody puts back, or writes into the store past lockd, gives nobody anything."""

from __future__ import annotations

import functools
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.store import Store, Vault, schema
from lockd.adapters.store.witness import Witness
from lockd.commands.main import main
from lockd.door.rules import AccessRules
from lockd.errors import StoreError
from lockd.identity.factors import FactorKind, hash_card, hash_pin
from lockd.service.people import People
from tests.fakes import ScriptedVision, unit
from tests.invoking import Run, invoke
from tests.killing import PLACES, killed_after
from tests.patience import running

MODEL = ScriptedVision().fingerprint
SPACE = ScriptedVision().space


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three people."""
    path = tmp_path / "state" / "lockd.db"
    with opened(path) as store:
        for number, name in enumerate(("Ada", "Bob", "Eve")):
            store.people.add(name, MODEL, [unit(1, number), unit(2, number, 5)], by="root")
    return path


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    """The store as it is at the beginning."""
    return Path(shutil.copy(path, tmp_path / "copy.db"))


@pytest.fixture
def run(path: Path, tmp_path: Path) -> Run:
    config = tmp_path / "lockd.yaml"
    config.write_text("store: {folder: state}\n")
    return lambda *arguments: functools.partial(invoke, main, "store")(
        *arguments, "--config", config
    )


def opened(path: Path) -> closing[Store]:
    return closing(Store.open(path, Vault.beside(path)))


def raw(path: Path, *statements: str) -> None:
    """Write past lockd."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def known(path: Path) -> set[str]:
    """Whom the door knows, and with how many templates.

    Raises:
        StoreError: if it may go by nobody.
    """
    with opened(path) as store:
        faces = store.gallery.read(SPACE).faces
        return {f"{one.name} {sum(t.person.id == one.id for t in faces)}" for one in faces.people}


def faults(path: Path) -> str:
    with opened(path) as store:
        return "\n".join(one.text for one in store.care.examine())


EVERYBODY = {"Ada 2", "Bob 2", "Eve 2"}


def change(path: Path) -> None:
    """What is to be turned back: one removed, one disabled, one with other rights."""
    with opened(path) as store:
        store.people.remove("Ada", by="root")
        store.people.set_enabled("Bob", False, by="root")
        store.people.change_access("Eve", by="root", valid_until="2026-01-01")


class TestAnOlderFile:
    def test_nobody_is_recognised_by_it_and_who_was_turned_back_is_named(
        self, path: Path, copy: Path, run: Run
    ) -> None:
        assert known(path) == EVERYBODY
        change(path)
        assert faults(path) == ""
        shutil.copy(copy, path)
        with pytest.raises(StoreError, match=r"generation 4, and 7 was known.*lockd store confirm"):
            known(path)
        said = run("check")
        assert said.exit_code == 5
        for text in ("Ada: was removed on 20", "Bob: was disabled on 20", "Eve: is as before a ch"):
            assert text in said.stdout
        assert "is enabled again" in said.stdout

    def test_once_an_administrator_confirmed_it_counts_and_no_other_one_does(
        self, path: Path, copy: Path, run: Run, tmp_path: Path
    ) -> None:
        change(path)
        newer = shutil.copy(path, tmp_path / "newer.db")
        shutil.copy(copy, path)
        refused = run("confirm")
        assert refused.exit_code == 5
        assert "Ada: was removed" in refused.stdout
        with opened(path) as store:  # who should not be there is taken away first
            store.people.remove("Ada", by="root")
            store.people.set_enabled("Bob", False, by="root")
        with pytest.raises(StoreError):
            known(path)
        assert run("confirm", "--yes").exit_code == 0
        assert known(path) == {"Eve 2"}
        assert run("check").exit_code == 0
        assert "nothing to confirm" in run("confirm").stdout
        confirmed = shutil.copy(path, tmp_path / "confirmed.db")
        for older in (copy, newer):
            shutil.copy(older, path)
            with pytest.raises(StoreError, match="older copy"):
                known(path)
        shutil.copy(confirmed, path)
        assert known(path) == {"Eve 2"}

    def test_after_that_no_row_of_the_past_that_was_lost_can_be_put_back(
        self, path: Path, copy: Path, tmp_path: Path
    ) -> None:
        with opened(path) as store:
            for _ in range(9):
                store.people.change_access("Ada", by="root", groups=frozenset({"staff"}))
        lost = shutil.copy(path, tmp_path / "lost.db")
        shutil.copy(copy, path)
        with opened(path) as store:
            store.care.confirm(by="root")
        for _ in range(12):  # one of these would have the same number as theirs
            with opened(path) as store:
                store.people.change_access("Ada", by="root", groups=frozenset())
            whole = path.read_bytes()
            raw(
                path,
                f"ATTACH '{lost}' AS old",
                "INSERT OR REPLACE INTO people SELECT * FROM old.people WHERE name = 'Ada'",
            )
            with pytest.raises(StoreError, match="put in, taken out or turned back"):
                known(path)
            path.write_bytes(whole)
            assert known(path) == EVERYBODY

    def test_until_then_rights_are_taken_in_it_and_none_given_and_doubt_stays(
        self, path: Path, copy: Path
    ) -> None:
        change(path)
        shutil.copy(copy, path)
        giving: list[Callable[[Store], object]] = [
            lambda store: store.people.add("Zoe", MODEL, [unit(7)], by="root"),
            lambda store: store.people.rename("Ada", "Zoe", by="root"),
            lambda store: store.people.change_access("Eve", by="root", valid_until=None),
            lambda store: store.people.set_enabled("Bob", True, by="root"),
            lambda store: store.people.merge("Ada", "Bob", by="root"),
        ]
        with opened(path) as store:
            for give in giving:
                with pytest.raises(StoreError, match="lockd store confirm"):
                    give(store)
            assert store.people.remove("Ada", by="root").verified
            for name in ("Bob", "Eve", "Bob", "Eve", "Bob"):
                store.people.set_enabled(name, False, by="root")
        with pytest.raises(StoreError, match="older copy"):
            known(path)

    def test_a_running_door_goes_by_whom_it_knew_and_one_that_starts_by_nobody(
        self, path: Path, copy: Path
    ) -> None:
        change(path)

        def door() -> People:
            vision: Any = ScriptedVision()
            opener = lambda create: Store.open(path, Vault.beside(path))  # noqa: E731
            return People(opener, vision, AccessRules())

        with closing(door()) as people:
            people.refresh(0.0)
            assert [one.name for one in people.gallery.people] == ["Eve"]
            replacement = path.with_name("replacement")
            shutil.copy(copy, replacement)
            replacement.rename(path)
            for now in range(1, 30, 3):
                people.refresh(float(now))
            assert [one.name for one in people.gallery.people] == ["Eve"]
            assert "older copy" in str(people.problem)
        with closing(door()) as people:
            people.refresh(0.0)
            assert people.gallery.people == []
            assert "older copy" in str(people.problem)
            with opened(path) as store:
                store.care.confirm(by="root")
            assert people.refresh(9.0)
            assert {one.name for one in people.gallery.people} == {"Ada", "Bob", "Eve"}
            assert people.problem is None

    def test_one_of_before_the_seals_is_older_too(self, path: Path) -> None:
        first(path)
        assert known(path) == EVERYBODY
        change(path)
        first(path, of=path)
        with pytest.raises(StoreError, match="generation 0, and 4 was known"):
            known(path)


class TestWhatKnowsTheGeneration:
    def test_it_is_missed_and_a_spoilt_one_is_noticed(self, path: Path, run: Run) -> None:
        file = path.with_name("lockd.db.generation")
        change(path)
        for spoil in (file.unlink, lambda: file.write_bytes(b"\0" * 200), file.touch):
            before = file.read_bytes()
            spoil()
            if not file.exists() or file.read_bytes() != before:
                with pytest.raises(StoreError, match=r"lockd\.db\.generation: (is gone|was alter)"):
                    known(path)
                assert run("confirm", "--yes").exit_code == 0
            assert known(path) == {"Eve 2"}

    def test_an_older_one_cries_no_wolf(self, path: Path, tmp_path: Path) -> None:
        file = path.with_name("lockd.db.generation")
        old = file.read_bytes()
        change(path)
        file.write_bytes(old)
        assert known(path) == {"Eve 2"}
        assert file.read_bytes() != old, "it is brought up to date"

    def test_a_power_cut_before_it_is_written_locks_nobody_out(
        self, path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut(*_: object) -> None:
            raise StoreError("the power is gone")

        with monkeypatch.context() as patch:
            patch.setattr(Witness, "advance", cut)
            change(path)
        assert known(path) == {"Eve 2"}
        assert faults(path) == ""
        shutil.copy(copy, path)
        with pytest.raises(StoreError, match="older copy"):
            known(path)

    @pytest.mark.parametrize("where", PLACES)
    def test_a_kill_between_the_two_locks_nobody_out(
        self, path: Path, copy: Path, where: str
    ) -> None:
        killed_after(path, where, "remove", "Ada")
        assert known(path) == {"Bob 2", "Eve 2"}
        assert faults(path) == ""
        shutil.copy(copy, path)
        with pytest.raises(StoreError, match="generation 4, and 5 was known"):
            known(path)

    def test_it_never_says_more_than_what_is_on_disk(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cuts: list[Path] = []
        advance = Witness.advance

        def cut(*values: Any) -> None:
            for do in (lambda: None, lambda: advance(*values)):
                do()
                cuts.append(tmp_path / f"cut {len(cuts)}")
                shutil.copytree(path.parent, cuts[-1])

        with monkeypatch.context() as patch:
            patch.setattr(Witness, "advance", cut)
            change(path)
        assert len(cuts) == 6
        for one in cuts:
            assert faults(one / path.name) == ""
        assert known(cuts[0] / path.name) == {"Bob 2", "Eve 2"}

    def test_it_is_written_as_people_change_and_not_for_anything_else(self, path: Path) -> None:
        file = path.with_name("lockd.db.generation")
        before = file.stat().st_ino, file.read_bytes()
        with opened(path) as store:
            store.memory.remember({"locked_down": True})
            with store.database.transaction():
                store.audit.note("ada_phone", "command", note="unlock: ok")
            store.audit.note_backup("root", path)
            store.care.vacuum()
        assert (file.stat().st_ino, file.read_bytes()) == before

    def test_it_may_lie_elsewhere(self, path: Path, copy: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "stick" / "generation"
        elsewhere.parent.mkdir()
        shutil.copy(path.with_name("lockd.db.generation"), elsewhere)
        vault = Vault.beside(path)
        with closing(Store.open(path, vault, generation_file=elsewhere)) as store:
            store.people.set_enabled("Ada", False, by="root")
        shutil.copy(copy, path)  # as all of the folder is then
        with (
            closing(Store.open(path, vault, generation_file=elsewhere)) as store,
            pytest.raises(StoreError, match="older copy"),
        ):
            store.gallery.read(SPACE)

    def test_whoever_reads_while_others_change_people_is_never_alarmed(self, path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from lockd.adapters.store import Store, Vault;"
            "p = Path(sys.argv[1]); s = Store.open(p, Vault.beside(p)); print(flush=True);"
            "[s.people.set_enabled('Ada', n % 2 == 0, by='x') for n in range(10**6)]"
        )
        with (
            running(sys.executable, "-c", code, path, stdout=subprocess.PIPE) as writer,
            opened(path) as store,
        ):
            assert writer.stdout is not None
            writer.stdout.readline()
            stamps = {store.gallery.read(SPACE).stamp for _ in range(400)}
        assert len(stamps) > 1

    def test_two_who_change_people_at_once_leave_the_later_generation(self, path: Path) -> None:
        vault = Vault.beside(path)
        with opened(path) as one, opened(path) as other:
            one.people.set_enabled("Ada", False, by="root")
            other.people.set_enabled("Bob", False, by="root")
            assert one.database.roll.witness is not None
            one.database.roll.witness.advance(4)
        found = Witness(path.with_name("lockd.db.generation"), vault).read()
        assert found is not None
        assert found.generation == 6


class TestARowWrittenPastLockd:
    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("enabled = 1", "Ada: enabled was changed past lockd from 0 to 1"),
            ("enabled = 1, groups = '[\"staff\"]'", "Ada: groups was changed past lockd"),
            ("enabled = 1, valid_until = NULL", "Ada: valid_until was changed past lockd"),
            ("enabled = 1, valid_from = NULL", "Ada: valid_from was changed past lockd"),
            ("enabled = 1, name = 'Root', name_key = 'root'", "Root: name was changed past lockd"),
            ("enabled = 1, revision = 99", "Ada: revision was changed past lockd"),
            ("enabled = 1, rights = NULL", "Ada: the record is none that lockd wrote"),
            ("enabled = 1, rights = zeroblob(90)", "Ada: the record is none that lockd wrote"),
            (
                "enabled = 1, rights = (SELECT rights FROM people WHERE name = 'Bob')",
                "Ada: the record is none that lockd wrote",
            ),
        ],
    )
    def test_its_person_is_a_stranger_and_named_and_the_others_come_in(
        self, path: Path, run: Run, statement: str, told: str
    ) -> None:
        dates = {"valid_from": "2026-01-01", "valid_until": "2026-01-02"}
        with opened(path) as store:
            store.people.change_access("Ada", by="root", **dates)  # type: ignore[arg-type]
            store.people.set_enabled("Ada", False, by="root")
        raw(path, f"UPDATE people SET {statement} WHERE name = 'Ada'")  # noqa: S608
        assert known(path) == {"Bob 2", "Eve 2"}
        assert told in run("check").stdout
        name = "Root" if "Root" in statement else "Ada"
        with opened(path) as store:  # a change of theirs does not make it good
            with pytest.raises(StoreError, match="changed past lockd"):
                store.people.change_access(name, by="root", groups=frozenset({"staff"}))
            with pytest.raises(StoreError, match="changed past lockd"):
                store.people.add(name, MODEL, [unit(7)], by="root")
        assert known(path) == {"Bob 2", "Eve 2"}
        mended = run("check", "--mend")
        if "rights" in statement:
            with opened(path) as store:
                assert store.people.remove("Ada", by="root").verified
        else:
            assert "1 person put back" in mended.stderr
            with opened(path) as store:
                ada = store.people.named("Ada")
                assert (ada.enabled, ada.person.groups) == (False, frozenset())
                assert (ada.person.valid_from, ada.person.valid_until) == tuple(dates.values())
        assert faults(path) == ""
        assert known(path) == {"Bob 2", "Eve 2"}

    def test_somebody_put_in_is_noticed(self, path: Path) -> None:
        raw(path, "INSERT INTO people SELECT 'x', 'Mallory', 'mallory', created_utc, groups, "
            "valid_from, valid_until, 1, NULL, NULL, NULL, NULL, 1, rights FROM people "
            "WHERE name = 'Ada'", "UPDATE templates SET person_id = 'x' WHERE id = 1")  # fmt: skip
        with pytest.raises(StoreError, match="put in, taken out or turned back"):
            known(path)
        assert "Mallory: the record is none that lockd wrote" in faults(path)

    def test_somebody_taken_out_is_noticed(self, path: Path) -> None:
        raw(path, "PRAGMA foreign_keys = ON", "DELETE FROM people WHERE name = 'Ada'")
        with pytest.raises(StoreError, match="put in, taken out or turned back"):
            known(path)
        assert "entry 1 of the audit trail, add on" in faults(path)

    @pytest.mark.parametrize("change", ["disable", "remove"])
    def test_somebody_turned_back_with_all_that_is_theirs_is_noticed_and_named(
        self, path: Path, copy: Path, change: str, run: Run
    ) -> None:
        with opened(path) as store:
            if change == "remove":
                store.people.remove("Ada", by="root")
            else:
                store.people.set_enabled("Ada", False, by="root")
        raw(
            path,
            f"ATTACH '{copy}' AS old",
            "INSERT OR REPLACE INTO people SELECT * FROM old.people WHERE name = 'Ada'",
            "INSERT OR REPLACE INTO templates SELECT * FROM old.templates WHERE person_id IN "
            "(SELECT id FROM old.people WHERE name = 'Ada')",
            "DELETE FROM gone",
        )
        with pytest.raises(StoreError, match="put in, taken out or turned back"):
            known(path)
        assert f"Ada: entry 4 of the audit trail, {change} on" in run("check").stdout
        with opened(path) as store:
            store.people.remove("Ada", by="root")
        assert run("confirm", "--yes").exit_code == 0
        assert known(path) == {"Bob 2", "Eve 2"}

    def test_a_template_that_was_dropped_and_is_put_back_is_not_used(
        self, path: Path, copy: Path, run: Run
    ) -> None:
        with opened(path) as store:
            store.templates.drop([1], by="root")
        raw(
            path,
            f"ATTACH '{copy}' AS old",
            "INSERT INTO templates SELECT * FROM old.templates WHERE id = 1",
        )
        assert known(path) == {"Ada 1", "Bob 2", "Eve 2"}
        assert "Ada: template 1 was put there past lockd" in faults(path)
        with opened(path) as store:  # nor does a change of its person make it theirs
            store.people.rename("Ada", "Ada L.", by="root")
        assert known(path) == {"Ada L. 1", "Bob 2", "Eve 2"}
        assert run("check", "--mend").exit_code == 0
        assert known(path) == {"Ada L. 1", "Bob 2", "Eve 2"}

    def test_a_template_that_was_taken_out_is_missed(self, path: Path, run: Run) -> None:
        raw(path, "DELETE FROM templates WHERE id = 1")
        assert known(path) == {"Ada 1", "Bob 2", "Eve 2"}
        assert "Ada: 1 templates, PINs or cards are gone past lockd" in faults(path)
        assert run("check", "--mend").exit_code == 0

    def test_a_pin_that_was_changed_and_a_card_that_was_lost_are_not_put_back(
        self, path: Path, tmp_path: Path, run: Run
    ) -> None:
        pins, card = [hash_pin("2580"), hash_pin("1397")], hash_card("1")
        with opened(path) as store:
            store.factors.set_pin("Ada", pins[0], by="root")
            store.factors.add_card("Ada", card, by="root")
            store.database.fold_journal()
        old = shutil.copy(path, tmp_path / "old.db")

        def theirs() -> tuple[set[bytes], int]:
            with opened(path) as store:
                found, damaged = store.factors.usable()
                assert {one.kept for one in store.factors.of("Ada")} == {one.kept for one in found}
                return {one.kept for one in found}, damaged

        assert theirs() == ({pins[0], card}, 0)
        with opened(path) as store:
            store.factors.set_pin("Ada", pins[1], by="root")
            store.factors.remove("Ada", FactorKind.CARD, by="root")
        raw(
            path,
            f"ATTACH '{old}' AS old",
            "DELETE FROM factors",
            "INSERT INTO factors SELECT * FROM old.factors",
        )
        assert theirs() == (set(), 2)
        said = faults(path)
        assert "Ada: pin 1 was put there past lockd" in said
        assert "Ada: card 2 was put there past lockd" in said
        with opened(path) as store:  # nor does a change of its person make them theirs
            store.people.change_access("Ada", by="root", groups=frozenset({"staff"}))
            store.people.merge("Ada", "Bob", by="root")
        assert theirs_of(path, "Bob") == set()
        assert run("check", "--mend").exit_code == 0

    def test_a_pin_of_somebody_removed_comes_back_with_them_to_no_door(
        self, path: Path, copy: Path
    ) -> None:
        with opened(path) as store:
            store.factors.set_pin("Bob", hash_pin("2580"), by="root")
        change(path)
        shutil.copy(copy, path)
        with opened(path) as store, pytest.raises(StoreError, match="older copy"):
            store.factors.usable()

    @pytest.mark.parametrize("written", ["enabled = 1", "enabled = 1, groups = '[\"staff\"]'"])
    def test_a_card_alone_opens_for_nobody_whose_row_was_written_past_lockd(
        self, path: Path, written: str
    ) -> None:
        with opened(path) as store:
            store.factors.add_card("Ada", hash_card("1"), by="root")
            store.people.set_enabled("Ada", False, by="root")
        raw(path, f"UPDATE people SET {written} WHERE name = 'Ada'")  # noqa: S608
        with opened(path) as store:
            assert store.factors.usable() == ([], 1)

    def test_wrong_tries_are_not_made_good_by_writing(self, path: Path) -> None:
        with opened(path) as store:
            ada = store.people.named("Ada").person.id
            store.factors.note_wrong_tries(ada, 5)
        with closing(sqlite3.connect(path)) as file:
            assert not [
                name
                for (name,) in file.execute("SELECT name FROM sqlite_schema")
                if "tries" in name
            ], "no table has them in the clear"
        with opened(path) as store:
            assert store.factors.wrong_tries() == {ada: 5}
            store.people.remove("Ada", by="root")
            assert store.factors.wrong_tries() == {}

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE liveness SET sealed = (SELECT sealed FROM old.liveness)",
            "UPDATE liveness SET sealed = zeroblob(99)",
            "DELETE FROM liveness",
        ],
    )
    def test_scores_of_liveness_are_the_last_ones(
        self, path: Path, tmp_path: Path, run: Run, statement: str
    ) -> None:
        with opened(path) as store:
            assert store.liveness.kept() is None
            store.liveness.keep({"scores": [0.1]})
            store.database.fold_journal()
        old = shutil.copy(path, tmp_path / "old.db")
        with opened(path) as store:
            store.liveness.keep({"scores": [0.9]})
            assert store.liveness.kept() == {"scores": [0.9]}
        raw(path, f"ATTACH '{old}' AS old", statement)
        with opened(path) as store:
            with pytest.raises(StoreError, match="lockd liveness reset"):
                store.liveness.kept()
            assert "liveness scores were altered or turned back" in run("check").stdout
            store.liveness.keep({})
            assert store.liveness.kept() == {}
        assert run("check").exit_code == 0

    @pytest.mark.parametrize("statement", ["DELETE FROM roll", "UPDATE roll SET sealed = 'x'"])
    def test_without_the_seal_over_everybody_nobody_is_known(
        self, path: Path, run: Run, statement: str
    ) -> None:
        raw(path, statement.replace("'x'", "zeroblob(99)"))
        with pytest.raises(StoreError, match="the seal over the people was altered or is gone"):
            known(path)
        # Who commanded is written down all the same.
        with opened(path) as store, store.database.transaction():
            store.audit.note("ada_phone", "command", note="lock: ok")
        assert run("confirm", "--yes").exit_code == 0
        assert known(path) == EVERYBODY
        assert faults(path) == ""


def theirs_of(path: Path, name: str) -> set[bytes]:
    with opened(path) as store:
        return {one.kept for one in store.factors.of(name)}


class TestTheAuditTrail:
    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("UPDATE audit SET by = 'somebody' WHERE id = 2", "entry 2 of the audit trail was alt"),
            ("UPDATE audit SET utc = '2020' WHERE id = 3", "entry 3 of the audit trail was alt"),
            ("UPDATE audit SET note = 'x' WHERE id = 1", "entry 1 of the audit trail was alt"),
            ("UPDATE audit SET link = NULL WHERE id = 3", "entry 3 of the audit trail was alt"),
            ("DELETE FROM audit WHERE id = 2", "entry 2 of the audit trail: gone"),
            ("DELETE FROM audit WHERE id = 1", "entry 1 of the audit trail: gone"),
            ("DELETE FROM audit WHERE id > 1", "entries 2 to 3 of the audit trail: gone"),
            ("DELETE FROM audit", "entries 1 to 3 of the audit trail: gone"),
            (
                "INSERT INTO audit (utc, by, action) VALUES ('2026', 'root', 'enable')",
                "entry 4 of the audit trail was added",
            ),
            (
                "UPDATE audit SET (by, link) = (SELECT 'x', link FROM audit WHERE id = 1) "
                "WHERE id = 2",
                "entry 2 of the audit trail was alt",
            ),
        ],
    )
    def test_whatever_is_written_into_it_past_lockd_is_named(
        self, path: Path, run: Run, statement: str, told: str
    ) -> None:
        raw(path, statement)
        said = run("check")
        assert said.exit_code == 5
        assert told in said.stdout
        assert known(path) == EVERYBODY, "it decides nothing"

    def test_it_is_whole_when_what_is_too_old_was_deleted(self, path: Path) -> None:
        now = datetime.now(UTC)
        with opened(path) as store:
            assert store.audit.forget_before(now - timedelta(days=1)) == 0
            assert store.audit.forget_before(now + timedelta(days=1)) == 3
            assert store.care.examine() == []
            store.people.set_enabled("Ada", False, by="root")
            assert [one.action for one in store.audit.latest()] == ["disable"]
            assert store.care.examine() == []

    def test_a_clock_that_was_wrong_for_a_while_loses_nothing_and_keeps_nothing(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = datetime.now(UTC)

        def days(count: int) -> str:
            return (now + timedelta(days=count)).isoformat(timespec="seconds")

        with opened(path) as store:
            # Three of now are there; a clock that ran ahead, one that was behind, and a right one.
            for utc in (days(900), days(-900), days(0)):
                monkeypatch.setattr("lockd.adapters.store.audit.utc_now", lambda utc=utc: utc)
                store.people.set_enabled("Ada", False, by=utc)
            monkeypatch.undo()
            assert store.audit.forget_before(now - timedelta(days=30)) == 0
            assert store.audit.forget_before(now + timedelta(seconds=30)) >= 3
            assert store.care.examine() == []


class TestRestoring:
    @pytest.fixture
    def backup(self, path: Path, tmp_path: Path) -> Path:
        with opened(path) as store:
            store.care.backup(tmp_path / "backup", by="root")
        return tmp_path / "backup"

    @pytest.mark.parametrize("lost", [False, True])
    def test_whoever_was_removed_or_disabled_since_comes_back_only_if_that_is_said(
        self, path: Path, backup: Path, run: Run, lost: bool
    ) -> None:
        change(path)
        if lost:
            path.unlink()
        refused = run("restore", backup)
        assert refused.exit_code == 5
        assert "Ada, who was removed" in refused.stderr
        assert "Bob, who was disabled" in refused.stderr
        assert lost or known(path) == {"Eve 2"}
        assert run("restore", backup, "--leave-out").exit_code == 0
        assert known(path) == {"Eve 2"}
        assert faults(path) == ""
        assert run("restore", backup, "--bring-back").exit_code == 0
        assert known(path) == EVERYBODY
        assert faults(path) == ""

    def test_nobody_is_asked_about_where_nobody_was_removed(
        self, path: Path, backup: Path, run: Run
    ) -> None:
        with opened(path) as store:
            store.people.remove("Ada", by="root")
        assert run("restore", backup, "--bring-back").exit_code == 0
        assert run("restore", backup).exit_code == 0
        with opened(path) as store:
            assert store.people.remove("Ada", by="root").verified
        assert run("restore", backup).exit_code == 5

    def test_what_an_older_store_turned_back_is_asked_about_too(
        self, path: Path, copy: Path, backup: Path, run: Run
    ) -> None:
        change(path)
        shutil.copy(copy, path)
        assert "Ada, who was removed" in run("restore", backup).stderr
        assert run("restore", backup, "--leave-out").exit_code == 0
        assert known(path) == {"Eve 2"}


def first(path: Path, *, of: Path | None = None) -> None:
    """Make a store one of the first version, in the place of what there is."""
    source = of or path
    new = source.with_name("first")
    with closing(sqlite3.connect(new)) as made, made:
        for statement in schema.STEPS[0].split(";\n"):
            made.execute(statement)
        made.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        made.execute(f"PRAGMA user_version = {schema.FIRST}")
        made.execute("ATTACH ? AS old", (str(source),))
        for (table,) in made.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
            columns = [row[1] for row in made.execute(f"PRAGMA main.table_info({table})")]
            listed = ", ".join(columns)
            if not table.startswith("sqlite_"):
                made.execute(f"DELETE FROM main.{table}")  # noqa: S608
                copied = f"INSERT INTO main.{table} SELECT {listed} FROM old.{table}"  # noqa: S608
                made.execute(copied)
    new.chmod(0o600)
    new.rename(path)
    if of is None:
        path.with_name("lockd.db.generation").unlink()


class TestAStoreOfTheFirstVersion:
    @pytest.fixture
    def old(self, path: Path) -> Path:
        first(path)
        return path

    def test_is_sealed_as_it_is_and_from_then_on_nothing_is_turned_back(self, old: Path) -> None:
        assert known(old) == EVERYBODY
        assert faults(old) == ""
        with opened(old) as store:
            assert [one.action for one in store.audit.latest()] == ["add"] * 3
        migrated = old.read_bytes()
        change(old)
        assert known(old) == {"Eve 2"}
        old.write_bytes(migrated)
        with pytest.raises(StoreError, match="older copy"):
            known(old)

    def test_a_power_cut_before_the_generation_is_written_is_no_alarm(
        self, old: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Witness, "advance", lambda *_: None)
            assert known(old) == EVERYBODY
        assert not old.with_name("lockd.db.generation").exists()
        assert known(old) == EVERYBODY
        change(old)
        assert known(old) == {"Eve 2"}

    def test_a_backup_of_it_is_restored(self, old: Path, run: Run, tmp_path: Path) -> None:
        backup = shutil.copy(old, tmp_path / "backup")
        assert run("check").exit_code == 5, "it has to be opened once where it may be written"
        assert known(old) == EVERYBODY
        assert run("restore", backup).exit_code == 0
        assert known(old) == EVERYBODY
