"""What administrators do with people, and what it leaves in the trail."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockd.adapters.store import Details, Store, Vault, removal
from lockd.errors import PersonError, StoreError
from lockd.identity.variety import MAX_TEMPLATES
from lockd.types import Embedding
from lockd.vision.space import Space
from tests.fakes import post, unit

MODEL = "fingerprint"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lockd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store.open(path, Vault.beside(path), timeout_s=0.05)
    yield store
    store.close()


def vectors(count: int, seed: int = 0) -> list[Embedding]:
    rows = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def told(store: Store) -> list[tuple[str, str, str | None]]:
    """The trail from its beginning: by whom, what, about whom."""
    return [(one.by, one.action, one.person_id) for one in reversed(store.audit.latest())]


def event(utc: str, person_id: str, name: str, **more: Any) -> dict[str, Any]:
    return {"utc": utc, "person": name, "person_id": person_id, **more}


def test_every_change_is_in_the_trail_with_who_made_it(store: Store) -> None:
    ada = store.people.add("Ada", MODEL, [unit(1), unit(2, 1)], by="alice", note="anyway: a twin")
    grace = store.people.add("Grace", MODEL, [unit(0, 1)], by="alice")
    store.people.change_access("Ada", by="bob", groups=frozenset({"staff"}))
    store.people.change_details("Ada", Details(external_id="7"), by="bob")
    store.people.rename("Ada", "Ada Lovelace", by="bob")
    store.people.set_enabled("Grace", False, by="carol")
    store.people.set_enabled("Grace", True, by="carol")
    store.templates.drop([store.templates.of("Ada Lovelace")[0].id], by="dave")
    store.people.merge("Grace", "Ada Lovelace", by="dave")
    store.people.remove("Ada Lovelace", by="erin")
    assert told(store) == [
        ("alice", "add", ada.id),
        ("alice", "add", grace.id),
        ("bob", "change_access", ada.id),
        ("bob", "change_details", ada.id),
        ("bob", "rename", ada.id),
        ("carol", "disable", grace.id),
        ("carol", "enable", grace.id),
        ("dave", "drop_templates", ada.id),
        ("dave", "merge", ada.id),
        ("erin", "remove", ada.id),
    ]
    assert store.audit.latest()[-1].note == "anyway: a twin"
    assert [one.action for one in store.audit.latest(2)] == ["remove", "merge"]


def test_a_change_that_fails_leaves_no_trace_in_the_trail(store: Store) -> None:
    store.people.add("Ada", MODEL, [unit(1)], by="alice")
    for fail in (
        lambda: store.people.rename("Nobody", "Ada", by="bob"),
        lambda: store.templates.drop([store.templates.of("Ada")[0].id], by="bob"),
        lambda: store.people.merge("Ada", "ada", by="bob"),
        lambda: store.people.change_details("Ada", Details(consent_utc="yesterday"), by="bob"),
    ):
        with pytest.raises(PersonError):
            fail()
    assert [one[1] for one in told(store)] == ["add"]
    assert len(store.templates.of("Ada")) == 1


def test_who_did_it_and_why_cannot_forge_lines(store: Store) -> None:
    store.people.add("Ada", MODEL, [unit(1)], by="eve\nroot\x1b[2J", note="a\nb")
    (entry,) = store.audit.latest()
    assert (entry.by, entry.note) == ("everoot[2J", "a b")


class TestDetails:
    DETAILS = Details("0042", "two lines\nof notes", "hr@example.org", "2026-01-02")

    def test_they_come_back_as_they_were_given(self, store: Store) -> None:
        store.people.add("Ada", MODEL, [unit(1)], by="root", details=self.DETAILS)
        assert store.people.named("ADA").details == self.DETAILS
        store.people.add("Ada", MODEL, [unit(2)], by="root")
        assert store.people.all()[0].details == self.DETAILS
        store.people.change_details("Ada", Details(external_id=""), by="root")
        assert store.people.named("Ada").details == Details()

    def test_no_two_people_have_the_same_external_id(self, store: Store) -> None:
        store.people.add("Ada", MODEL, [unit(1)], by="root", details=Details("42"))
        with pytest.raises(PersonError, match="somebody else has the external id '42'"):
            store.people.add("Grace", MODEL, [unit(2)], by="root", details=Details("42"))
        assert [one.person.name for one in store.people.all()] == ["Ada"]

    @pytest.mark.parametrize(
        "bad",
        [
            Details(notes="x" * 2001),
            Details(external_id="a\nb"),
            Details(consent_by="\u202e"),
            Details(consent_utc="2026-02-30"),
        ],
    )
    def test_what_cannot_be_shown_or_is_no_time_is_refused(
        self, store: Store, bad: Details
    ) -> None:
        with pytest.raises(PersonError):
            store.people.add("Ada", MODEL, [unit(1)], by="root", details=bad)
        assert store.people.all() == []


def test_a_name_that_is_almost_right_is_suggested(store: Store) -> None:
    store.people.add("Ada Lovelace", MODEL, [unit(1)], by="root")
    with pytest.raises(PersonError, match="did you mean 'Ada Lovelace'"):
        store.people.named("ada lovelance")


def test_a_name_is_changed_to_one_that_nobody_else_has(store: Store) -> None:
    ada = store.people.add("Ada", MODEL, [unit(1)], by="root")
    store.people.add("Grace", MODEL, [unit(0, 1)], by="root")
    with pytest.raises(PersonError, match="somebody of that name"):
        store.people.rename("Ada", "GRACE", by="root")
    assert store.people.rename("Ada", "ADA", by="root").id == ada.id
    assert store.people.named("ada").person.name == "ADA"


def test_the_most_varied_templates_are_kept(store: Store) -> None:
    store.people.add("Ada", MODEL, vectors(15), by="root")
    store.people.add("Ada", MODEL, vectors(15, seed=1), by="root", photographs=[b"jpeg"] * 15)
    assert len(store.templates.of("Ada")) == MAX_TEMPLATES
    photographs = store.templates.photographs("Ada")
    assert set(photographs) < {one.id for one in store.templates.of("Ada")}
    store.people.add("Ada", "newer", vectors(3), by="root")
    assert store.people.named("Ada").templates == MAX_TEMPLATES + 3


def test_merged_people_are_one_with_the_templates_of_both(store: Store, path: Path) -> None:
    old = store.people.add("A. Lovelace", MODEL, [unit(0, 1)], by="root", photographs=[b"jpeg"])
    ada = store.people.add("Ada", MODEL, [unit(1)], by="root", groups=frozenset({"staff"}))
    post(store, event("2026-01-01T00:00:00Z", old.id, old.name), "t")
    assert store.people.merge("a. lovelace", "Ada", by="root") == ada
    assert [one.person for one in store.people.all()] == [ada]
    reading = store.gallery.read(Space.plain(MODEL, 8))
    assert (len(reading.faces), reading.damaged.total()) == (2, 0)
    assert list(store.templates.photographs("Ada").values()) == [b"jpeg"]
    # What is told of the one is found when the other is removed.
    assert json.loads(store.outbox.waiting(0, 1)[0].payload)["person_id"] == ada.id
    assert store.people.remove("Ada", by="root").messages == 1


class TestKeptEvents:
    def post(self, store: Store, *days: str) -> None:
        for day in days:
            post(store, event(f"{day}T12:00:00.123Z", "1", "Ada"), kept=True)

    def test_they_are_kept_with_the_message_or_without_one(self, store: Store) -> None:
        self.post(store, "2026-11-20", "2026-11-21")
        post(store, event("2026-11-22T00:00:00Z", "1", "Ada"), "topic")
        assert [one["utc"][:10] for one in store.events.latest()] == ["2026-11-21", "2026-11-20"]
        assert len(store.events.latest(1)) == 1
        assert len(store.outbox.waiting(0, 9)) == 1

    def test_what_is_too_old_goes_and_leaves_nothing(self, store: Store, path: Path) -> None:
        self.post(store, "2026-11-01", "2026-11-21")
        assert store.events.forget_before(NOW - timedelta(days=30)) == 0
        assert store.events.forget_before(NOW - timedelta(days=7)) == 1
        assert [one["utc"][:10] for one in store.events.latest()] == ["2026-11-21"]
        assert not any(b"2026-11-01T12" in file.read_bytes() for file in path.parent.iterdir())
        assert store.events.forget_before(NOW) == 1
        assert store.events.latest() == []

    def test_the_trail_is_kept_for_its_own_time(self, store: Store) -> None:
        store.people.add("Ada", MODEL, [unit(1)], by="root")
        with closing(sqlite3.connect(store.path)) as raw, raw:
            raw.execute("UPDATE audit SET utc = '2026-01-01T00:00:00Z'")
        assert store.audit.forget_before(NOW - timedelta(days=365)) == 0
        assert store.audit.forget_before(NOW - timedelta(days=300)) == 1
        assert store.audit.latest() == []


class TestRemoval:
    NAME = "Somebody Unforgettable"

    def enrol(self, store: Store) -> str:
        person = store.people.add(
            self.NAME, MODEL, vectors(9), by="root", photographs=[b"x" * 20_000] * 9
        )
        utc = "2026-11-20T00:00:00.000Z"
        told = event(utc, person.id, self.NAME, reason=f"{self.NAME} came")
        post(store, told, "a", "b", kept=True)
        post(store, event(utc, "another", "Grace"), "a")
        return person.id

    def test_it_tells_what_was_deleted_and_that_nothing_is_left(
        self, store: Store, path: Path
    ) -> None:
        id_ = self.enrol(store)
        removal = store.people.remove(self.NAME, by="root")
        assert (removal.templates, removal.photographs) == (9, 9)
        assert (removal.messages, removal.events) == (2, 1)
        assert removal.verified
        assert not any(b"nforgettable" in file.read_bytes() for file in path.parent.iterdir())
        assert store.events.latest()[0]["person"] == id_
        assert store.events.latest()[0]["reason"] == f"{id_} came"
        assert json.loads(store.outbox.waiting(0, 9)[2].payload)["person"] == "Grace"

    def test_a_journal_that_somebody_reads_is_told_and_not_passed_over(
        self, store: Store, path: Path
    ) -> None:
        self.enrol(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM people").fetchall()
            removal = store.people.remove(self.NAME, by="root")
        assert not removal.verified
        assert removal.left == [f"{path}-wal"]
        assert store.people.all() == []

    def test_a_name_that_others_records_have_is_told_and_left_alone(self, store: Store) -> None:
        self.enrol(store)
        notes = f"shares a desk with {self.NAME}"
        store.people.add("Grace", MODEL, [unit(1)], by="root", details=Details(notes=notes))
        removal = store.people.remove(self.NAME, by="root")
        assert removal.mentions == ["people.notes"]
        assert removal.verified
        assert store.people.named("Grace").details.notes == notes

    def test_backups_that_are_still_there_are_told(self, store: Store, tmp_path: Path) -> None:
        self.enrol(store)
        for name in ("kept", "lost"):
            store.care.backup(tmp_path / name, by="root")
        (tmp_path / "lost").unlink()
        assert store.people.remove(self.NAME, by="root").backups == [tmp_path / "kept"]

    def test_what_the_database_leaves_behind_is_found_and_goes(
        self, store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.enrol(store)
        store.database.run("PRAGMA secure_delete = OFF")
        rewritten: list[bool] = []
        rewrite = removal.rewrite
        monkeypatch.setattr(removal, "rewrite", lambda db: rewritten.append(True) or rewrite(db))
        assert store.people.remove(self.NAME, by="root").verified
        assert rewritten == [True]
        assert b"nforgettable" not in path.read_bytes()

    def test_it_is_undone_whole_when_it_fails(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.enrol(store)

        def fail(*_: object) -> None:
            raise StoreError("disk full")

        monkeypatch.setattr(store.audit, "note", fail)
        with pytest.raises(StoreError):
            store.people.remove(self.NAME, by="root")
        assert store.people.named(self.NAME).templates == 9
        assert store.events.latest()[0]["person"] == self.NAME


def test_somebody_unconfirmed_is_kept_and_unknown_to_the_door(store: Store) -> None:
    store.people.add("Ada", MODEL, [unit(1)], by="mqtt:anna", unconfirmed=True)
    assert not store.people.named("Ada").enabled
    assert not store.gallery.read(Space.plain(MODEL, 8), None).faces.people
    with pytest.raises(PersonError, match="enrolled already"):
        store.people.add("ADA", MODEL, [unit(0, 1)], by="mqtt:anna", unconfirmed=True)
    assert store.people.named("Ada").templates == 1
