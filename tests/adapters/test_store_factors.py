"""PINs and cards in the store: sealed, bound to whose they are, and forgotten with them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lockd.adapters.store import Details, Store, Vault, restore
from lockd.errors import FactorError, PersonError
from lockd.identity.factors import MOST_CARDS, FactorKind, hash_card, hash_pin, is_card, is_pin
from tests.fakes import unit

MODEL = "fingerprint"
PIN, CARD = FactorKind.PIN, FactorKind.CARD


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lockd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store.open(path, Vault.beside(path), timeout_s=0.05)) as store:
        for name in ("Ada", "Grace"):
            store.people.add(name, MODEL, [unit(1)], by="root")
        yield store


def kept(store: Store, name: str) -> list[tuple[FactorKind, bytes]]:
    return [(one.kind, one.kept) for one in store.factors.of(name)]


def test_a_new_pin_takes_the_place_of_the_old_and_cards_are_added(store: Store) -> None:
    first, second, card, other = hash_pin("2580"), hash_pin("1397"), hash_card("1"), hash_card("2")
    store.factors.set_pin("ada", first, by="alice")
    store.factors.add_card("ADA", card, by="alice")
    store.factors.set_pin("Ada", second, by="alice")
    store.factors.add_card("Ada", other, by="alice")
    assert kept(store, "Ada") == [(CARD, card), (PIN, second), (CARD, other)]
    assert store.factors.counts() == {
        store.people.named("Ada").person.id: Counter({CARD: 2, PIN: 1})
    }
    found, damaged = store.factors.usable()
    assert damaged == 0
    assert {one.person.name for one in found} == {"Ada"}
    actions = [one.action for one in store.audit.latest(4)]
    assert actions == ["add_card", "set_pin", "add_card", "set_pin"]
    assert store.care.examine() == []


def test_nobody_has_more_than_so_many_cards(store: Store) -> None:
    for number in range(MOST_CARDS):
        store.factors.add_card("Ada", hash_card(str(number)), by="root")
    with pytest.raises(FactorError, match=f"more than {MOST_CARDS} cards"):
        store.factors.add_card("Ada", hash_card("99"), by="root")
    assert len(store.factors.of("Ada")) == MOST_CARDS


def test_they_are_taken_away_by_kind_or_one_by_one(store: Store) -> None:
    store.factors.set_pin("Ada", hash_pin("2580"), by="root")
    for number in "123":
        store.factors.add_card("Ada", hash_card(number), by="root")
    second = store.factors.of("Ada")[2]
    store.factors.remove_card(second.id, by="root")
    assert [is_card(one, "2") for kind, one in kept(store, "Ada") if kind is CARD] == [False] * 2
    with pytest.raises(FactorError, match=f"no card {second.id}"):
        store.factors.remove_card(second.id, by="root")
    with pytest.raises(FactorError, match="no card"):
        store.factors.remove_card(store.factors.of("Ada")[0].id, by="root")
    assert store.factors.remove("Ada", PIN, by="root") == 1
    assert store.factors.remove("Ada", PIN, by="root") == 0
    assert store.factors.remove("Ada", CARD, by="root") == 2
    assert store.factors.of("Ada") == []
    assert store.audit.latest(1)[0].action == "remove_card"


def test_nobody_who_is_not_enrolled_has_any(store: Store) -> None:
    for change in (
        lambda: store.factors.set_pin("Alan", hash_pin("2580"), by="root"),
        lambda: store.factors.add_card("Alan", hash_card("1"), by="root"),
        lambda: store.factors.remove("Alan", PIN, by="root"),
        lambda: store.factors.of("Alan"),
    ):
        with pytest.raises(PersonError, match="Alan"):
            change()


def test_somebody_disabled_has_none_to_the_door(store: Store) -> None:
    store.factors.set_pin("Ada", hash_pin("2580"), by="root")
    store.people.set_enabled("Ada", False, by="root")
    assert store.factors.usable() == ([], 0)
    assert len(store.factors.of("Ada")) == 1


def test_a_running_service_notices_each_change(store: Store, path: Path) -> None:
    assert store.factors.changed()
    assert not store.factors.changed()
    with closing(Store.open(path, Vault.beside(path))) as other:
        other.factors.set_pin("Ada", hash_pin("2580"), by="root")
        assert store.factors.changed()
        other.factors.remove("Ada", PIN, by="root")
        assert store.factors.changed()
        other.people.set_enabled("Ada", False, by="root")
        assert store.factors.changed()
    assert not store.factors.changed()


def test_neither_a_pin_nor_a_card_is_readable_in_the_file(store: Store, path: Path) -> None:
    card = hash_card("0001234567")
    store.factors.set_pin("Ada", hash_pin("90210443"), by="root")
    store.factors.add_card("Ada", card, by="root")
    store.database.fold_journal()
    content = path.read_bytes()
    for secret in (b"90210443", b"0001234567", b"argon2", card[:32], card[32:]):
        assert secret not in content


def test_one_that_somebody_moves_to_another_person_no_longer_opens(
    store: Store, path: Path
) -> None:
    store.factors.set_pin("Ada", hash_pin("2580"), by="root")
    store.factors.add_card("Ada", hash_card("1"), by="root")
    ada, grace = (store.people.named(name).person.id for name in ("Ada", "Grace"))
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE factors SET person_id = ?", (grace,))
        raw.commit()
    assert store.factors.usable() == ([], 2)
    assert sorted(one.text for one in store.care.examine()) == [
        "Ada: 2 templates, PINs or cards are gone past lockd",
        "Grace: card 2 does not open, or is none",
        "Grace: pin 1 does not open, or is none",
    ]
    assert store.care.mend(by="root") == 2
    assert store.factors.counts() == {}
    assert ada != grace


def test_a_card_made_a_pin_no_longer_opens(store: Store, path: Path) -> None:
    store.factors.add_card("Ada", hash_card("1"), by="root")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE factors SET kind = 'pin'")
        raw.commit()
    assert store.factors.usable() == ([], 1)


def test_whoever_is_removed_has_none_and_nothing_of_them_is_left(store: Store, path: Path) -> None:
    store.factors.set_pin("Ada", hash_pin("2580"), by="root")
    store.factors.add_card("Ada", hash_card("1"), by="root")
    ada = store.people.named("Ada").person.id
    store.factors.note_wrong_tries(ada, 4)
    sealed = store.factors.sealed(ada)
    removal = store.people.remove("Ada", by="root")
    assert removal.factors == len(sealed) == 2
    assert removal.verified
    assert store.factors.counts() == store.factors.wrong_tries() == {}
    content = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert not any(one in content for one in sealed)


def test_what_is_left_of_one_is_found(store: Store, path: Path) -> None:
    store.factors.set_pin("Ada", hash_pin("2580"), by="root")
    sealed = store.factors.sealed(store.people.named("Ada").person.id)[0]
    store.people.change_details("Grace", Details(notes="x"), by="root")
    store.database.run("UPDATE audit SET note = ? WHERE id = 1", sealed.hex())
    store.database.run("CREATE TABLE hidden (copy BLOB)")
    store.database.run("INSERT INTO hidden VALUES (?)", sealed)
    assert store.people.remove("Ada", by="root").left


def test_two_who_are_one_have_the_cards_of_both_and_one_pin(store: Store) -> None:
    store.factors.set_pin("Ada", hash_pin("2580"), by="root")
    store.factors.set_pin("Grace", hash_pin("1397"), by="root")
    store.factors.add_card("Ada", hash_card("1"), by="root")
    store.factors.add_card("Grace", hash_card("2"), by="root")
    store.people.merge("Ada", "Grace", by="root")
    found = store.factors.of("Grace")
    assert [is_pin(one.kept, "1397") for one in found if one.kind is PIN] == [True]
    cards = [one.kept for one in found if one.kind is CARD]
    assert [[is_card(one, number) for one in cards] for number in "12"] == [
        [False, True],
        [True, False],
    ]
    assert store.factors.usable()[1] == 0


def test_wrong_tries_outlive_a_restart(store: Store, path: Path) -> None:
    ada, grace = (store.people.named(name).person.id for name in ("Ada", "Grace"))
    store.factors.note_wrong_tries(ada, 3)
    store.factors.note_wrong_tries(ada, 4)
    store.factors.note_wrong_tries(grace, 1)
    store.factors.note_wrong_tries(grace, 0)
    store.factors.note_wrong_tries("nobody", 7)
    with closing(Store.open(path, Vault.beside(path))) as other:
        assert other.factors.wrong_tries() == {ada: 4}


def test_a_backup_brings_them_back(store: Store, path: Path, tmp_path: Path) -> None:
    pin = hash_pin("2580")
    store.factors.set_pin("Ada", pin, by="root")
    store.care.backup(tmp_path / "backup.db", by="root")
    store.factors.set_pin("Ada", hash_pin("1397"), by="root")
    store.factors.add_card("Grace", hash_card("1"), by="root")
    store.factors.note_wrong_tries(store.people.named("Grace").person.id, 2)
    restore(path, tmp_path / "backup.db", Vault.beside(path), by="root")
    assert kept(store, "Ada") == [(PIN, pin)]
    assert kept(store, "Grace") == []
