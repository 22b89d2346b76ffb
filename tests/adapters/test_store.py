"""People, templates and waiting messages on disk."""

from __future__ import annotations

import json
import sqlite3
import stat
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.store import MAX_NAME, Access, Posting, Store, Vault, clean_name
from lockd.errors import PersonError, StoreError
from lockd.types import Embedding
from lockd.vision.space import Space
from tests.fakes import unit

MODEL = "fingerprint"
SIZE = 8
SPACE = Space.plain(MODEL, SIZE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lockd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store.open(path, Vault.beside(path), timeout_s=0.05)
    yield store
    store.close()


def names(store: Store) -> list[str]:
    return [one.person.name for one in store.people.all()]


def everything(path: Path) -> bytes:
    """All bytes of a store, its journal too."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_new_store_is_private_to_its_owner(store: Store, path: Path) -> None:
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_people_and_templates_come_back_as_they_were(store: Store, path: Path) -> None:
    person = store.people.add("Ada", MODEL, [unit(1, 2), unit(3)], by="root")
    store.close()
    again = Store.open(path, Vault.beside(path))
    templates, refused = again.gallery.usable(SPACE)
    assert refused == 0
    assert {template.person for template in templates} == {person}
    assert np.array_equal(templates[0].embedding, unit(1, 2))
    assert [(one.person.name, one.templates) for one in again.people.all()] == [("Ada", 2)]
    again.close()


def test_adding_again_gives_the_same_person_more_templates(store: Store) -> None:
    first = store.people.add("Zoë", MODEL, [unit(1)], by="root")
    second = store.people.add("ZOË ", MODEL, [unit(2, 1)], by="root")
    decomposed = store.people.add(
        unicodedata.normalize("NFD", "Zoë"), MODEL, [unit(0, 1)], by="root"
    )
    assert first == second == decomposed
    assert [(one.person.name, one.templates) for one in store.people.all()] == [("Zoë", 3)]


def test_people_are_listed_by_name_whatever_their_case(store: Store) -> None:
    for name in ("bob", "Ada", "Cleo"):
        store.people.add(name, MODEL, [unit(1)], by="root")
    assert names(store) == ["Ada", "bob", "Cleo"]


def test_removing_somebody_leaves_nothing_of_them_in_the_files(store: Store, path: Path) -> None:
    store.people.add("Somebody Unforgettable", MODEL, [unit(1, 2, 3)], by="root")
    store.people.add("Ada", MODEL, [unit(1)], by="root")
    with closing(sqlite3.connect(path)) as raw:
        sealed = raw.execute("SELECT sealed FROM templates ORDER BY id").fetchone()[0]
    assert sealed in everything(path)
    removal = store.people.remove("somebody unforgettable", by="root")
    assert removal.person.name == "Somebody Unforgettable"
    assert removal.verified
    assert names(store) == ["Ada"]
    assert sealed not in everything(path)
    assert b"Unforgettable" not in everything(path)


def test_removing_nobody_is_an_error(store: Store) -> None:
    with pytest.raises(PersonError, match="'Ada': nobody of that name"):
        store.people.remove("Ada", by="root")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("a" * (MAX_NAME + 1), "65 characters"),
        ("Ada\nLovelace", "cannot be part"),
        ("Ada\x1b[31m", "cannot be part"),
        ("Ada\u202egnp", "cannot be part"),
        ("Ada\udcff", "cannot be part"),
        ("Ada\u200d", "cannot be part"),
        ("\u200cAda", "cannot be part"),
        ("Ada \u200dL", "cannot be part"),
        ("A\u200d\u200da", "cannot be part"),
        ("\u200d", "empty"),
        ("🏴\U000e0067\U000e007f", "cannot be part"),
    ],
)
def test_a_name_that_would_forge_a_log_or_is_none_is_refused(
    store: Store, name: str, wrong: str
) -> None:
    with pytest.raises(PersonError, match=wrong):
        store.people.add(name, MODEL, [unit(1)], by="root")
    assert store.people.all() == []


@pytest.mark.parametrize(
    "name",
    [
        *("Ada", "Zoë", "李小龍", "Юлия", "نور", "👩‍🚒 Zoë"),
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
        "\u0d9a\u0dca\u200d\u0dc2",  # Sinhala
        "\u0d2e\u0d4b\u0d39\u0d28\u0d4d\u200d \u0d32\u0d3e\u0d32\u0d4d\u200d",  # Malayalam
    ],
)
def test_names_of_the_world_are_kept(store: Store, name: str) -> None:
    store.people.add(name, MODEL, [unit(1)], by="root")
    assert names(store) == [clean_name(name)]


@pytest.mark.parametrize(
    "bad", [np.zeros(SIZE), np.full(SIZE, np.nan), np.full(SIZE, 2.0), np.full(SIZE, np.inf)]
)
def test_what_is_no_unit_vector_is_never_enrolled(store: Store, bad: Embedding) -> None:
    with pytest.raises(ValueError, match="unit vector"), np.errstate(invalid="ignore"):
        store.people.add("Ada", MODEL, [unit(1), bad.astype(np.float32)], by="root")
    assert store.people.all() == []


class TestRights:
    STAFF = Access(
        groups=frozenset({"staff", "cleaners"}), valid_from="2026-01-01", valid_until="2026-12-31"
    )

    def test_somebody_new_has_none(self, store: Store) -> None:
        person = store.people.add("Ada", MODEL, [unit(1)], by="root")
        assert (person.groups, person.valid_from, person.valid_until) == (frozenset(), None, None)

    def test_they_come_back_as_they_were_given(self, store: Store, path: Path) -> None:
        given = store.people.add("Ada", MODEL, [unit(1), unit(2)], by="root", **self.STAFF)
        assert given.groups == {"staff", "cleaners"}
        store.close()
        again = Store.open(path, Vault.beside(path))
        assert again.people.all()[0].person == given
        assert [one.person for one in again.gallery.usable(SPACE)[0]] == [given, given]
        assert again.templates.outdated(["other"]) == [given]
        assert again.people.remove("ada", by="root").person == given
        again.close()

    def test_what_is_not_given_stays(self, store: Store) -> None:
        store.people.add("Ada", MODEL, [unit(1)], by="root", **self.STAFF)
        store.people.add("Ada", MODEL, [unit(2)], by="root")
        changed = store.people.change_access("ADA", valid_until=None, by="root")
        assert changed == store.people.all()[0].person
        assert changed.groups == {"staff", "cleaners"}
        assert (changed.valid_from, changed.valid_until) == ("2026-01-01", None)
        assert (
            store.people.change_access("Ada", groups=frozenset(), by="root").groups == frozenset()
        )

    def test_a_change_is_seen_by_a_running_service(self, store: Store, path: Path) -> None:
        store.people.add("Ada", MODEL, [unit(1)], by="root")
        store.gallery.changed()
        other = Store.open(path, Vault.beside(path))
        other.people.change_access("Ada", groups=frozenset({"staff"}), by="root")
        other.close()
        assert store.gallery.changed()
        assert store.gallery.usable(SPACE)[0][0].person.groups == {"staff"}

    @pytest.mark.parametrize(
        ("access", "wrong"),
        [
            ({"valid_from": "2026-02-30"}, "'2026-02-30' is no day"),
            ({"valid_until": "20261231"}, "'20261231' is no day"),
            ({"valid_until": ""}, "'' is no day"),
            ({"valid_until": "2026-12-31T24:00"}, "is no day, and no minute of one"),
            ({"valid_until": "2026-12-31T14:30:00"}, "is no day, and no minute of one"),
            ({"valid_until": "2026-12-31T14:30Z"}, "is no day, and no minute of one"),
            ({"valid_from": "2026-12-31T14:30", "valid_until": "2026-12-31T14:30"}, "before it"),
            ({"valid_from": "2026-12-31", "valid_until": "2026-12-31T00:00"}, "before it begins"),
            ({"valid_from": "2027-01-01", "valid_until": "2026-12-31"}, "before it begins"),
        ],
    )
    def test_what_makes_no_sense_is_refused_and_nothing_written(
        self, store: Store, access: Access, wrong: str
    ) -> None:
        with pytest.raises(PersonError, match=wrong):
            store.people.add("Ada", MODEL, [unit(1)], by="root", **access)
        assert store.people.all() == []
        person = store.people.add("Ada", MODEL, [unit(1)], by="root", **self.STAFF)
        with pytest.raises(PersonError, match=wrong):
            store.people.change_access("Ada", by="root", **access)
        assert store.people.all()[0].person == person

    def test_nobodys_cannot_be_changed(self, store: Store) -> None:
        with pytest.raises(PersonError, match="'Ada': nobody of that name"):
            store.people.change_access("Ada", groups=frozenset(), by="root")

    def test_a_group_that_somebody_wrote_into_the_file_is_one_that_nobody_has(
        self, store: Store, path: Path
    ) -> None:
        store.people.add("Ada", MODEL, [unit(1)], by="root")
        with sqlite3.connect(path) as raw:
            raw.execute("UPDATE people SET groups = '[[1], null]'")
        raw.close()
        assert store.people.all()[0].person.groups == {"[1]", "None"}


class TestMemory:
    def test_what_the_door_remembers_outlives_it(self, store: Store, path: Path) -> None:
        assert store.memory.recall() is None
        store.memory.remember({"locked_down": True, "denials": [1.5, 2.5]})
        store.memory.remember({"locked_down": False, "until": None})
        store.close()
        again = Store.open(path, Vault.beside(path))
        assert again.memory.recall() == {"locked_down": False, "until": None}
        again.close()

    def test_what_json_has_not_is_refused_and_the_memory_stays(self, store: Store) -> None:
        store.memory.remember({"denials": 3})
        for bad in ({"until": float("nan")}, {"until": float("inf")}):
            with pytest.raises(ValueError, match="JSON compliant"):
                store.memory.remember(bad)
        assert store.memory.recall() == {"denials": 3}

    def test_it_is_no_change_of_the_gallery(self, store: Store, path: Path) -> None:
        store.gallery.changed()
        other = Store.open(path, Vault.beside(path))
        other.memory.remember({"denials": 3})
        other.close()
        assert not store.gallery.changed()

    def test_it_cannot_be_written_where_the_store_may_only_be_read(
        self, store: Store, path: Path
    ) -> None:
        store.memory.remember({"locked_down": True})
        store.close()
        reader = Store.open_read_only(path, Vault.beside(path))
        assert reader.memory.recall() == {"locked_down": True}
        with pytest.raises(StoreError, match="read-only"):
            reader.memory.remember({"locked_down": False})
        reader.close()


def test_templates_of_other_networks_or_of_the_wrong_size_are_counted_and_left_out(
    store: Store,
) -> None:
    store.people.add("Ada", MODEL, [unit(1)], by="root")
    store.people.add("Bob", "another", [unit(2)], by="root")
    store.people.add("Cleo", MODEL, [unit(3, size=16)], by="root")
    templates, refused = store.gallery.usable(SPACE)
    assert [template.person.name for template in templates] == ["Ada"]
    assert refused == 2


def test_a_damaged_template_is_left_out(store: Store, path: Path) -> None:
    store.people.add("Ada", MODEL, [unit(1)], by="root")
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE templates SET sealed = zeroblob(32)")
    raw.close()
    assert store.gallery.usable(SPACE) == ([], 1)


def test_a_change_by_another_process_is_noticed_once(store: Store, path: Path) -> None:
    assert store.gallery.changed()
    assert not store.gallery.changed()
    other = Store.open(path, Vault.beside(path))
    other.people.add("Ada", MODEL, [unit(1)], by="root")
    assert store.gallery.changed()
    assert not store.gallery.changed()
    other.people.remove("Ada", by="root")
    assert store.gallery.changed()
    other.close()


def test_waiting_messages_are_no_change_of_the_gallery(store: Store, path: Path) -> None:
    store.gallery.changed()
    other = Store.open(path, Vault.beside(path))
    other.outbox.post([posting("payload")], limit=10)
    assert not store.gallery.changed()
    other.close()


def posting(what: str, topics: Sequence[str] = ("topic",), weight: int = 1) -> Posting:
    return Posting({"what": what}, {topic: {} for topic in topics}, weight)


def waiting(store: Store, after: int = 0, limit: int = 99) -> list[tuple[str, str, int]]:
    found = [(one.topic, json.loads(one.payload)) for one in store.outbox.waiting(after, limit)]
    return [(topic, values["what"], values["seq"]) for topic, values in found]


def test_messages_wait_in_order_until_they_are_delivered(store: Store) -> None:
    store.outbox.post([posting("one", ["a", "b"]), posting("two", ["a"])], limit=10, run="this")
    store.outbox.post([posting("three", ["a"])], limit=10)
    assert waiting(store) == [("a", "one", 1), ("b", "one", 1), ("a", "two", 2), ("a", "three", 3)]
    first, second, third, last = store.outbox.waiting(0, 10)
    assert [one.run for one in (first, last)] == ["this", ""]
    assert waiting(store, second.seq) == [("a", "two", 2), ("a", "three", 3)]
    assert len(waiting(store, 0, 2)) == 2
    store.outbox.delivered([first.seq, third.seq])
    assert waiting(store) == [("b", "one", 1), ("a", "three", 3)]
    assert store.outbox.count() == 2


def test_an_alert_says_more_than_its_event(store: Store) -> None:
    store.outbox.post(
        [Posting({"what": "x"}, {"events": {}, "alerts/x": {"alert": "x"}})], limit=10
    )
    event, alert = (json.loads(one.payload) for one in store.outbox.waiting(0, 9))
    assert alert == {**event, "alert": "x"}
    assert "alert" not in event


def test_of_too_many_messages_those_that_weigh_least_are_given_up_the_oldest_first(
    store: Store,
) -> None:
    kinds = [(f"alert {n}", 2) for n in range(3)] + [(f"status {n}", 0) for n in range(9)]
    for what, weight in kinds:
        store.outbox.post([posting(what, weight=weight)], limit=10)
    store.outbox.post([posting(f"news {n}") for n in range(3)], limit=10)
    assert [what for _, what, _ in waiting(store)] == [
        *("alert 0", "alert 1", "alert 2"),
        *("status 5", "status 6", "status 7", "status 8"),
        *("news 0", "news 1", "news 2"),
    ]
    assert store.outbox.lost() == (5, 5)
    store.outbox.told_of(3)
    store.outbox.count_lost(1)
    assert store.outbox.lost() == (6, 3)


def test_a_place_is_never_given_twice_and_numbers_have_no_gaps(store: Store, path: Path) -> None:
    store.outbox.post([posting("one")], limit=10)
    (first,) = store.outbox.waiting(0, 10)
    store.outbox.delivered([first.seq])
    store.close()
    again = Store.open(path, Vault.beside(path))
    again.outbox.post([posting("two")], limit=10)
    (second,) = again.outbox.waiting(0, 10)
    assert second.seq > first.seq
    one, two = json.loads(first.payload), json.loads(second.payload)
    assert (one["seq"], two["seq"]) == (1, 2)
    assert one["series"] == two["series"]
    again.close()


def test_what_cannot_be_written_takes_no_number(store: Store) -> None:
    spoilt = Posting({"what": object()}, {"topic": {}})
    with pytest.raises(TypeError):
        store.outbox.post([posting("one"), spoilt], limit=10)
    store.outbox.post([posting("two")], limit=10)
    assert waiting(store) == [("topic", "two", 1)]


def damaged_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


def somebody_elses(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE holidays (day TEXT)")
    raw.close()


def from_the_future(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged_in_the_middle, "damaged and was left as it is"),
        (not_a_database, "damaged and was left as it is"),
        (somebody_elses, "not lockd's"),
        (from_the_future, "schema version 99"),
    ],
)
def test_a_store_that_cannot_be_trusted_is_refused_and_left_as_it_was(
    path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    first = Store.open(path, Vault.beside(path))
    first.people.add("Ada", MODEL, [unit(1)], by="root")
    first.close()
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=said) as error:
        Store.open(path, Vault.beside(path))
    assert str(path) in str(error.value)
    assert path.read_bytes() == before


def test_a_store_that_another_program_is_writing_to_is_an_error_and_nothing_is_written(
    store: Store, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program is writing"):
        store.people.add("Ada", MODEL, [unit(1)], by="root")
    other.execute("ROLLBACK")
    other.close()
    assert store.people.all() == []
    store.people.add("Ada", MODEL, [unit(1)], by="root")


def test_a_failed_enrolment_leaves_no_half_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.database, "count", fail)
    with pytest.raises(KeyboardInterrupt):
        store.people.add("Ada", MODEL, [unit(1)], by="root")
    assert store.people.all() == []


def test_a_store_that_may_only_be_read_can_be_read(store: Store, path: Path) -> None:
    store.people.add("Ada", MODEL, [unit(1)], by="root")
    store.close()
    before = {file.name for file in path.parent.iterdir()}
    reader = Store.open_read_only(path, Vault.beside(path))
    assert names(reader) == ["Ada"]
    assert reader.gallery.changed()
    with pytest.raises(StoreError, match="read-only"):
        reader.people.add("Bob", MODEL, [unit(2)], by="root")
    reader.close()
    assert before <= {file.name for file in path.parent.iterdir()}


def test_a_missing_store_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Store.open_read_only(tmp_path / "none.db", Vault.beside(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Store.open(tmp_path / "file" / "lockd.db", Vault.beside(tmp_path / "file" / "lockd.db"))


def test_a_path_with_odd_characters_works(tmp_path: Path) -> None:
    path = tmp_path / "what? 100% #1" / "lockd.db"
    Store.open(path, Vault.beside(path)).close()
    assert path.exists()


@pytest.mark.parametrize(
    "other", ["ada_lovelace", "ADA  LOVELACE", "Ada\u00a0Lovelace", "A\u200cda Lovelace"], ids=ascii
)
def test_ways_of_writing_one_name_are_one_person(store: Store, other: str) -> None:
    ada = store.people.add("Ada Lovelace", MODEL, [unit(1)], by="root")
    assert store.people.add(other, MODEL, [unit(2)], by="root") == ada
    assert store.people.named(other).templates == 2
