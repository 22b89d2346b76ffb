"""A PIN, a card, a telephone: right for whom the door waits, and for nobody else."""

from __future__ import annotations

import contextlib
import logging
import queue
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.pins import Board
from lockd.adapters.store import Store, Vault
from lockd.config import SecondFactorSettings, Settings, parse
from lockd.errors import StoreError
from lockd.identity.factors import FactorKind, hash_card, hash_pin, is_card
from lockd.service import factor_checker
from lockd.service.keypads import open_second_factor
from lockd.service.second_factor import EARLY_S, MOST_WAITING, FactorOutcome, SecondFactor
from lockd.service.store_writer import Work
from lockd.types import FactorEntry, Person
from tests.fakes import FixedTime, unit
from tests.patience import PATIENCE_S, eventually

ADA_PIN, GRACE_PIN, ADA_CARD, GRACE_CARD = "2580", "139746", "0001234567", "0007654321"
UTC_S = 1_790_000_000.0
DEVICES = "  keypad: {device: /dev/none-1}\n  reader: {device: /dev/none-2}\n"


class Pad:
    """A keypad that is as it is told to be."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.alive = True
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Telephones:
    """Whose identities are whose."""

    def __init__(self) -> None:
        self.people: dict[str, str] = {}

    def current(self) -> Mapping[str, bytes]:
        return dict.fromkeys(self.people, bytes(32))

    def bound(self) -> Mapping[str, str]:
        return self.people


def settings(text: str = "", *, confirm: bool = False) -> SecondFactorSettings:
    more = "mqtt: {host: h, commands: {allow: {confirm: [phone]}}}\n" if confirm else ""
    said = f"second_factor:\n{DEVICES}{'  confirm: true' if confirm else ''}\n{text}\n{more}"
    return parse(said, "lockd.yaml").second_factor


def store_work(store: Store) -> Callable[[Work], None]:
    """Has things written at once, as far as they can be."""

    def have_done(work: Work) -> None:
        with contextlib.suppress(StoreError):
            work(store)

    return have_done


class Desk:
    """A second factor with people, and hands that type."""

    def __init__(self, store: Store, wanted: SecondFactorSettings) -> None:
        self.store: Store | None = store
        self.entries: queue.Queue[FactorEntry] = queue.Queue(MOST_WAITING)
        self.wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.wall = FixedTime(datetime.fromtimestamp(UTC_S, UTC))
        self.pad = Pad()
        self.telephones = Telephones()
        self.factor = SecondFactor(
            wanted,
            entries=self.entries,
            store=lambda: self.store,
            wall=self.wall,
            wake=lambda: self.wakes.put(None),
            have_done=store_work(store),
            keypads=[self.pad],
            keys=self.telephones,
        )
        self.factor.serve(0.0)

    def enter(self, kind: str, secret: str, now: float = 1.0) -> list[FactorOutcome]:
        """Type, and return what came of it."""
        self.entries.put(FactorEntry(kind, secret))
        return self.settled(now)

    def settled(self, now: float = 1.0) -> list[FactorOutcome]:
        """What comes of everything entered."""
        found = self.factor.serve(now)
        while self.factor.checking:
            self.wakes.get(timeout=PATIENCE_S)
            found += self.factor.serve(now)
        return found


Make = Callable[..., Desk]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lockd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store.open(path, Vault.beside(path), timeout_s=0.05)) as store:
        for name in ("Ada", "Grace", "Alan"):
            store.people.add(name, "model", [unit(1)], by="root")
        store.factors.set_pin("Ada", hash_pin(ADA_PIN), by="root")
        store.factors.add_card("Ada", hash_card(ADA_CARD), by="root")
        store.factors.set_pin("Grace", hash_pin(GRACE_PIN), by="root")
        store.factors.add_card("Grace", hash_card(GRACE_CARD), by="root")
        yield store


@pytest.fixture
def make(store: Store) -> Iterator[Make]:
    desks: list[Desk] = []

    def made(text: str = "", *, confirm: bool = False) -> Desk:
        desks.append(Desk(store, settings(text, confirm=confirm)))
        return desks[-1]

    yield made
    for desk in desks:
        desk.factor.close()
        assert desk.pad.closed


def person(store: Store, name: str = "Ada") -> Person:
    return store.people.named(name).person


RIGHT = [("pin", ADA_PIN), ("card", ADA_CARD)]
WRONG = [
    ("pin", "2581"),
    ("pin", GRACE_PIN),
    ("pin", ADA_CARD),
    ("pin", ""),
    ("card", GRACE_CARD),
    ("card", ADA_PIN),
    ("card", "0000000001"),
    ("pin", "\0" * 64),
]


@pytest.mark.parametrize(("kind", "secret"), RIGHT)
def test_whoever_is_waited_for_shows_their_own(
    make: Make, store: Store, kind: str, secret: str
) -> None:
    desk, ada = make(), person(store)
    desk.factor.ask(7, ada, until=20.0)
    assert desk.enter(kind, secret) == [FactorOutcome(7, ada, kind, ok=True)]
    assert desk.enter(kind, secret) == [], "once is enough"


@pytest.mark.parametrize(("kind", "secret"), WRONG)
def test_anything_else_is_wrong(make: Make, store: Store, kind: str, secret: str) -> None:
    desk, ada = make(), person(store)
    desk.factor.ask(7, ada, until=20.0)
    assert desk.enter(kind, secret) == [FactorOutcome(7, ada, kind, ok=False, reason="wrong")]
    assert desk.enter("pin", ADA_PIN) == [FactorOutcome(7, ada, "pin", ok=True)]


def test_somebody_who_has_none_shows_none(make: Make, store: Store) -> None:
    desk = make()
    alan = person(store, "Alan")
    desk.factor.ask(7, alan, until=20.0)
    assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [False]
    assert [one.ok for one in desk.enter("pin", "")] == [False]


def test_what_somebody_can_show_is_what_they_have_and_the_door_takes(
    make: Make, store: Store
) -> None:
    desk = make(confirm=True)
    assert desk.factor.kinds_of(person(store)) == {"pin", "card"}
    assert desk.factor.kinds_of(person(store, "Alan")) == frozenset()
    desk.telephones.people["phone"] = person(store, "Alan").id
    assert desk.factor.kinds_of(person(store, "Alan")) == {"confirm"}
    without = Desk(store, Settings().second_factor)
    assert without.factor.kinds_of(person(store)) == frozenset()
    without.factor.close()


@pytest.mark.parametrize(("kind", "secret"), RIGHT)
def test_where_nobody_is_waited_for_nothing_comes_of_it(make: Make, kind: str, secret: str) -> None:
    desk = make()
    assert desk.enter(kind, secret) == []
    assert desk.enter(kind, "0000000001") == []


def test_nobody_is_waited_for_longer_than_asked(make: Make, store: Store) -> None:
    desk = make()
    desk.factor.ask(7, person(store), until=20.0)
    assert desk.enter("pin", ADA_PIN, now=20.0) == []
    desk.factor.ask(8, person(store), until=60.0)
    desk.factor.cancel(8)
    desk.factor.cancel(99)
    assert desk.enter("card", ADA_CARD, now=40.0) == []


def test_a_visit_that_was_cancelled_while_its_pin_was_checked_has_no_outcome(
    make: Make, store: Store
) -> None:
    desk = make()
    desk.factor.ask(7, person(store), until=20.0)
    desk.entries.put(FactorEntry("pin", ADA_PIN))
    assert desk.factor.serve(1.0) == []
    desk.factor.cancel(7)
    assert desk.settled() == []


@pytest.mark.parametrize("how", ["removed", "disabled", "changed"])
def test_a_pin_that_was_taken_away_while_it_was_checked_opens_nothing(
    make: Make, store: Store, how: str
) -> None:
    desk = make()
    desk.factor.ask(7, person(store), until=20.0)
    desk.entries.put(FactorEntry("pin", ADA_PIN))
    desk.factor.serve(1.0)
    if how == "removed":
        store.people.remove("Ada", by="root")
    elif how == "disabled":
        store.people.set_enabled("Ada", False, by="root")
    else:
        store.factors.set_pin("Ada", hash_pin("1397"), by="root")
    assert not [one for one in desk.settled() if one.ok]
    assert not [one for one in desk.enter("pin", ADA_PIN) if one.ok]


def test_whoever_is_disabled_or_has_lost_the_card_is_refused_from_then_on(
    make: Make, store: Store
) -> None:
    desk = make()
    ada = person(store)
    store.factors.remove("Ada", FactorKind.CARD, by="root")
    desk.factor.ask(7, ada, until=20.0)
    assert [one.ok for one in desk.enter("card", ADA_CARD)] == [False]
    store.people.set_enabled("Ada", False, by="root")
    assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [False]


def test_of_two_who_wait_it_is_whose_it_is(make: Make, store: Store) -> None:
    desk, ada, grace = make(), person(store), person(store, "Grace")
    desk.factor.ask(7, ada, until=20.0)
    desk.factor.ask(8, grace, until=20.0)
    assert desk.enter("pin", GRACE_PIN) == [FactorOutcome(8, grace, "pin", ok=True)]
    desk.factor.ask(8, grace, until=20.0)
    wrong = desk.enter("card", "0000000001")
    assert [(one.visit, one.person, one.ok) for one in wrong] == [
        (7, ada, False),
        (8, grace, False),
    ]


def test_what_was_shown_just_before_it_is_asked_for_counts(make: Make, store: Store) -> None:
    desk, ada = make(), person(store)
    assert desk.enter("card", GRACE_CARD, now=0.5) == []
    assert desk.enter("card", ADA_CARD, now=1.0) == []
    desk.factor.ask(7, ada, until=40.0)
    assert desk.settled(1.0 + EARLY_S) == [FactorOutcome(7, ada, "card", ok=True)]
    desk.factor.ask(8, ada, until=40.0)
    assert desk.settled(12.0) == [], "and once"
    desk.factor.cancel(8)
    assert desk.enter("card", ADA_CARD, now=13.0) == []
    desk.factor.ask(9, ada, until=40.0)
    assert desk.settled(13.1 + EARLY_S) == []


class TestSlowing:
    def test_after_so_many_wrong_ones_not_even_the_right_one_is_looked_at_for_a_while(
        self, make: Make, store: Store
    ) -> None:
        desk, ada = make(), person(store)
        desk.factor.ask(7, ada, until=1000.0)
        for _ in range(4):
            assert desk.enter("pin", "0000") == [FactorOutcome(7, ada, "pin", False, "wrong")]
        slowed = [FactorOutcome(7, ada, "pin", False, "slowed")]
        assert desk.enter("pin", ADA_PIN) == slowed
        assert desk.enter("pin", ADA_PIN, now=5.9) == slowed
        assert desk.enter("pin", ADA_PIN, now=6.0) == [FactorOutcome(7, ada, "pin", ok=True)]
        desk.factor.ask(7, ada, until=1000.0)
        assert [one.reason for one in desk.enter("pin", "0000", now=6.0)] == ["wrong"]

    def test_entries_that_come_at_once_are_slowed_as_those_that_come_one_by_one(
        self, make: Make, store: Store
    ) -> None:
        desk, ada = make(), person(store)
        desk.factor.ask(7, ada, until=20.0)
        for _ in range(MOST_WAITING - 1):
            desk.entries.put(FactorEntry("pin", "0000"))
        desk.entries.put(FactorEntry("pin", ADA_PIN))
        assert [one.reason for one in desk.settled()] == ["wrong"] * 4 + ["slowed"] * 4

    def test_the_wrong_tries_of_one_slow_nobody_else(self, make: Make, store: Store) -> None:
        desk, ada, grace = make(), person(store), person(store, "Grace")
        desk.factor.ask(7, ada, until=20.0)
        for _ in range(4):
            desk.enter("pin", "0000")
        desk.factor.ask(8, grace, until=20.0)
        assert desk.enter("pin", GRACE_PIN) == [FactorOutcome(8, grace, "pin", ok=True)]

    def test_in_all_only_so_many_are_judged(self, make: Make, store: Store) -> None:
        desk = make("  wrong_tries: {in_all: 4, within_s: 100}")
        for visit, name in enumerate(("Ada", "Grace")):
            desk.factor.ask(visit, person(store, name), until=1000.0)
            assert desk.enter("card", "0000000001")[0].reason == "wrong"
            desk.factor.cancel(visit)
        desk.factor.ask(9, person(store), until=1000.0)
        assert [one.reason for one in desk.enter("pin", ADA_PIN, now=99.9)] == ["slowed"]
        assert [one.ok for one in desk.enter("pin", ADA_PIN, now=100.0)] == [True]

    def test_the_count_outlives_a_restart(self, make: Make, store: Store) -> None:
        desk, ada = make(), person(store)
        desk.factor.ask(7, ada, until=20.0)
        for _ in range(5):
            desk.enter("pin", "0000", now=float(_ * 6))
            desk.factor.ask(7, ada, until=100.0)
        again = make()
        again.factor.ask(7, ada, until=100.0)
        assert [one.reason for one in again.enter("pin", ADA_PIN, now=1.0)] == ["slowed"]
        assert [one.ok for one in again.enter("pin", ADA_PIN, now=31.0)] == [True]
        assert store.factors.wrong_tries() == {}


class TestAlone:
    ALONE = "  alone: [pin, card]\n  least_digits: 6"

    def test_a_card_or_a_pin_opens_by_itself_only_where_the_owner_says_so(
        self, make: Make, store: Store
    ) -> None:
        grace = person(store, "Grace")
        assert make().enter("card", GRACE_CARD) == []
        desk = make(self.ALONE)
        assert desk.enter("card", GRACE_CARD) == [FactorOutcome(None, grace, "card", ok=True)]
        assert desk.enter("pin", GRACE_PIN) == [FactorOutcome(None, grace, "pin", ok=True)]
        one = make("  alone: [card]")
        assert one.enter("pin", GRACE_PIN) == []

    @pytest.mark.parametrize(
        ("kind", "secret"), [("card", "0000000009"), ("pin", "999999"), ("pin", GRACE_CARD)]
    )
    def test_what_is_nobodys_is_wrong_and_slowed(self, make: Make, kind: str, secret: str) -> None:
        desk = make(self.ALONE + "\n  wrong_tries: {in_all: 6}")
        for _ in range(3):
            assert desk.enter(kind, secret) == [FactorOutcome(None, None, kind, False, "wrong")]
        assert desk.enter(kind, secret) == [FactorOutcome(None, None, kind, False, "slowed")]

    def test_a_pin_that_two_people_have_lets_nobody_in_alone(
        self, make: Make, store: Store
    ) -> None:
        store.factors.set_pin("Alan", hash_pin(GRACE_PIN), by="root")
        desk = make(self.ALONE)
        assert [one.ok for one in desk.enter("pin", GRACE_PIN)] == [False]

    def test_somebody_disabled_does_not_come_in_by_card(self, make: Make, store: Store) -> None:
        desk = make(self.ALONE)
        store.people.set_enabled("Grace", False, by="root")
        assert [one.ok for one in desk.enter("card", GRACE_CARD)] == [False]

    def test_whoever_comes_by_card_is_not_whom_the_door_waits_for(
        self, make: Make, store: Store
    ) -> None:
        desk, ada, grace = make(self.ALONE), person(store), person(store, "Grace")
        desk.factor.ask(7, ada, until=20.0)
        assert desk.enter("card", GRACE_CARD) == [FactorOutcome(None, grace, "card", ok=True)]
        assert desk.enter("card", ADA_CARD) == [FactorOutcome(7, ada, "card", ok=True)]

    def test_the_wrong_tries_of_one_are_not_undone_by_coming_alone(
        self, make: Make, store: Store
    ) -> None:
        desk, ada = make(self.ALONE), person(store)
        desk.factor.ask(7, ada, until=20.0)
        for _ in range(4):
            desk.enter("pin", "000000")
        desk.factor.cancel(7)
        assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [False]


class TestTelephones:
    def test_somebodys_own_confirms_for_them_while_they_are_waited_for(
        self, make: Make, store: Store
    ) -> None:
        desk, ada = make(confirm=True), person(store)
        desk.telephones.people["phone"] = ada.id
        assert desk.factor.confirm("phone", UTC_S) == "nothing"
        desk.factor.ask(7, ada, until=20.0)
        assert desk.factor.confirm("phone", UTC_S + 1) is None
        assert desk.factor.confirm("phone", UTC_S + 1) == "nothing", "once"
        assert desk.factor.serve(1.0) == [FactorOutcome(7, ada, "confirm", ok=True)]
        assert desk.factor.serve(1.0) == []

    def test_it_confirms_for_nobody_else_and_an_unbound_one_for_nobody(
        self, make: Make, store: Store
    ) -> None:
        desk = make(confirm=True)
        desk.telephones.people["phone"] = person(store, "Grace").id
        desk.factor.ask(7, person(store), until=20.0)
        assert desk.factor.confirm("phone", UTC_S) == "nothing"
        assert desk.factor.confirm("porter", UTC_S) == "not_bound"
        assert desk.factor.serve(1.0) == []

    def test_what_was_signed_before_the_door_asked_is_too_old(
        self, make: Make, store: Store
    ) -> None:
        desk, ada = make(confirm=True), person(store)
        desk.telephones.people["phone"] = ada.id
        desk.factor.ask(7, ada, until=20.0)
        assert desk.factor.confirm("phone", UTC_S - 6) == "before_asked"
        desk.wall.time = datetime.fromtimestamp(UTC_S + 60, UTC)
        desk.factor.ask(7, ada, until=40.0)
        assert desk.factor.confirm("phone", UTC_S - 4) is None, "asked on, not anew"

    def test_after_the_time_is_over_it_is_of_no_use(self, make: Make, store: Store) -> None:
        desk, ada = make(confirm=True), person(store)
        desk.telephones.people["phone"] = ada.id
        desk.factor.ask(7, ada, until=20.0)
        desk.factor.serve(20.0)
        assert desk.factor.confirm("phone", UTC_S) == "nothing"

    def test_where_the_time_is_not_known_or_it_is_off_nothing_confirms(
        self, make: Make, store: Store
    ) -> None:
        desk, off, ada = make(confirm=True), make(), person(store)
        for one in (desk, off):
            one.telephones.people["phone"] = ada.id
            one.wall.time = None
            one.factor.ask(7, ada, until=20.0)
        assert desk.factor.confirm("phone", UTC_S) == "before_asked"
        assert off.factor.confirm("phone", UTC_S) == "off"


class TestEnrolling:
    def test_the_next_card_is_handed_over_as_what_is_kept_of_it_and_opens_nothing(
        self, make: Make, store: Store
    ) -> None:
        desk = make("  alone: [card]")
        assert desk.factor.read_card(1.0, "root")["result"] == "no_card"
        assert desk.enter("card", "0000000042", now=1.5) == []
        assert desk.enter("card", GRACE_CARD, now=1.6) == [], "and the newest counts"
        desk.entries.put(FactorEntry("card", "0000000042"))
        assert desk.settled(1.7) == []
        answer = desk.factor.read_card(2.0, "root")
        assert answer["result"] == "card"
        assert is_card(b64decode(answer["kept"]), "0000000042")
        assert "42" not in repr(answer) or not is_card(b64decode(answer["kept"]), "42")
        assert desk.factor.read_card(2.5, "root")["result"] == "no_card", "once"

    def test_a_card_that_is_somebodys_already_is_not_handed_over(self, make: Make) -> None:
        desk = make()
        desk.factor.read_card(1.0, "root")
        desk.enter("card", ADA_CARD, now=1.5)
        assert desk.factor.read_card(2.0, "root") == {"result": "taken"}

    def test_a_card_shown_before_anybody_asked_is_not_handed_over(self, make: Make) -> None:
        desk = make()
        desk.enter("card", "0000000042", now=1.0)
        assert desk.factor.read_card(2.0, "root")["result"] == "no_card"
        desk.enter("card", "0000000042", now=3.0)
        assert desk.factor.read_card(60.0, "root")["result"] == "no_card"

    def test_once_nobody_asks_any_more_cards_open_again(self, make: Make) -> None:
        desk = make("  alone: [card]")
        desk.factor.read_card(1.0, "root")
        assert [one.ok for one in desk.enter("card", GRACE_CARD, now=4.1)] == [True]

    def test_pins_are_judged_meanwhile(self, make: Make, store: Store) -> None:
        desk = make()
        desk.factor.read_card(1.0, "root")
        desk.factor.ask(7, person(store), until=20.0)
        assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [True]

    def test_without_a_reader_there_is_none_to_read(self, store: Store) -> None:
        keypad = parse("second_factor: {keypad: {device: /dev/none}}").second_factor
        desk = Desk(store, keypad)
        assert desk.factor.read_card(1.0, "root")["result"] == "off"
        desk.factor.close()


class TestFailing:
    def test_without_a_store_nothing_is_right(self, make: Make, store: Store) -> None:
        desk = make()
        fresh = Desk(store, settings())
        fresh.store = None
        fresh.factor.close()
        empty: Any = None
        none = SecondFactor(
            settings("  alone: [card]"),
            entries=desk.entries,
            store=lambda: empty,
            wall=desk.wall,
            wake=lambda: None,
            have_done=store_work(store),
        )
        none.ask(7, person(store), until=20.0)
        for entry in (FactorEntry("pin", ADA_PIN), FactorEntry("card", ADA_CARD)):
            desk.entries.put(entry)
        assert [(one.visit, one.reason) for one in none.serve(1.0)] == [(7, "store")] * 2
        assert "no PIN and no card is known" in str(none.problem)
        assert none.read_card(2.0, "root")["result"] == "no_card"
        none.close()

    def test_a_store_that_fails_later_leaves_people_as_they_were(
        self, make: Make, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk, ada = make(), person(store)
        for name in ("changed", "usable", "note_wrong_tries"):
            monkeypatch.setattr(store.factors, name, self._fails)
        desk.factor.ask(7, ada, until=20.0)
        assert [one.reason for one in desk.enter("pin", "0000")] == ["wrong"]
        assert desk.enter("pin", ADA_PIN) == [FactorOutcome(7, ada, "pin", ok=True)]

    def test_what_could_not_be_read_when_it_changed_is_read_as_soon_as_it_can_be(
        self, make: Make, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk, ada = make(), person(store)
        store.factors.remove("Ada", FactorKind.PIN, by="root")
        with monkeypatch.context() as failing:
            failing.setattr(store.factors, "usable", self._fails)
            desk.factor.serve(1.0)
        desk.factor.ask(7, ada, until=20.0)
        assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [False]

    @staticmethod
    def _fails(*_: Any, **__: Any) -> Any:
        raise StoreError("broken")

    def test_a_check_that_fails_is_no_factor_and_no_try(
        self, make: Make, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk, ada = make(), person(store)
        desk.factor.ask(7, ada, until=20.0)

        def fails(*_: object) -> bool:
            raise MemoryError(ADA_PIN)

        monkeypatch.setattr(factor_checker, "is_shown", fails)
        assert desk.enter("pin", ADA_PIN) == [FactorOutcome(7, ada, "pin", False, "store")]
        assert store.factors.wrong_tries() == {}
        monkeypatch.undo()
        assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [True]

    def test_a_damaged_pin_is_a_problem_and_fits_nobody(self, make: Make, store: Store) -> None:
        desk, ada = make(), person(store)
        assert desk.factor.problem is None
        store.database.run("UPDATE factors SET sealed = zeroblob(80) WHERE kind = 'pin'")
        store.people.rename("Alan", "Alan T", by="root")
        desk.factor.ask(7, ada, until=20.0)
        assert [one.ok for one in desk.enter("pin", ADA_PIN)] == [False]
        assert "2 PINs or cards are damaged" in str(desk.factor.problem)
        assert [one.ok for one in desk.enter("card", ADA_CARD)] == [True]

    def test_a_keypad_that_fails_is_a_problem_and_the_rest_goes_on(
        self, make: Make, store: Store
    ) -> None:
        desk = make()
        desk.pad.problem = "second_factor.keypad.device: gone"
        assert desk.factor.problem == "second_factor.keypad.device: gone"
        assert desk.factor.alive
        desk.factor.ask(7, person(store), until=20.0)
        assert [one.ok for one in desk.enter("card", ADA_CARD)] == [True]

    def test_a_thread_that_died_or_hangs_is_noticed(
        self, make: Make, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = make()
        desk.pad.alive = False
        assert not desk.factor.alive
        assert "keypad's thread" in str(desk.factor.problem)
        desk.pad.alive = True
        assert desk.factor.alive
        now = factor_checker.time.monotonic()
        desk.factor.ask(7, person(store), until=20.0)
        go_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        monkeypatch.setattr(factor_checker, "is_shown", lambda *_: go_on.get())
        desk.entries.put(FactorEntry("pin", ADA_PIN))
        desk.factor.serve(1.0)
        assert desk.factor.alive
        monkeypatch.setattr(factor_checker.time, "monotonic", lambda: now + 60)
        assert not desk.factor.alive
        assert "checks PINs" in str(desk.factor.problem)
        go_on.put(False)
        monkeypatch.undo()
        desk.settled()
        assert desk.factor.alive
        desk.factor.close()
        assert not desk.factor.alive


def test_no_pin_and_no_card_is_ever_logged(
    make: Make, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        desk = make("  alone: [card]")
        desk.factor.ask(7, person(store), until=20.0)
        for kind, secret in [*WRONG, *RIGHT]:
            if len(secret) > 3:
                desk.enter(kind, secret)
        desk.factor.read_card(2.0, "root")
        desk.enter("card", "0000000042")
        desk.factor.read_card(2.0, "root")
    assert "wrong" in caplog.text
    for secret in (ADA_PIN, GRACE_PIN, "1234567", "7654321", "2581", "000042"):
        assert secret not in caplog.text


def test_whatever_happens_to_the_service_its_thread_is_woken_when_a_check_is_done(
    make: Make, store: Store
) -> None:
    desk = make()
    desk.factor.ask(7, person(store), until=20.0)
    desk.entries.put(FactorEntry("card", ADA_CARD))
    desk.factor.serve(1.0)
    desk.wakes.get(timeout=PATIENCE_S)
    assert eventually(lambda: desk.factor.serve(1.0))[0].ok


def bits_of_card(number: int) -> list[int]:
    data = [number >> place & 1 for place in reversed(range(24))]
    return [sum(data[:12]) % 2, *data, 1 - sum(data[12:]) % 2]


def test_pulses_on_the_pins_and_keys_of_a_keypad_are_a_factor(store: Store, tmp_path: Path) -> None:
    wanted = parse(
        "relay: {factory: mock}\n"
        "second_factor: {wiegand: {d0_pin: 5, d1_pin: 6}, keypad: {device: /dev/none}}",
        "lockd.yaml",
    )
    board, wakes = Board("mock"), queue.SimpleQueue[None]()
    factor = open_second_factor(
        wanted, board, lambda: store, None, FixedTime(), lambda: wakes.put(None), store_work(store)
    )
    assert factor is not None
    factor.serve(0.0)
    factor.ask(7, person(store), until=20.0)
    pins = [board.pin_factory.pin(number) for number in (5, 6)]
    for bit in bits_of_card(int(ADA_CARD)):
        pins[bit].drive_low()
        pins[bit].drive_high()
    found: list[FactorOutcome] = []
    while not found:
        wakes.get(timeout=PATIENCE_S)
        found = factor.serve(1.0)
    assert found == [FactorOutcome(7, person(store), "card", ok=True)]
    assert "/dev/none" in eventually(lambda: factor.problem)
    factor.close()
    board.close()


def test_where_nothing_is_taken_nothing_is_opened(store: Store) -> None:
    board = Board("mock")
    nothing = open_second_factor(
        parse("relay: {factory: mock}"),
        board,
        lambda: store,
        None,
        FixedTime(),
        lambda: None,
        store_work(store),
    )
    assert nothing is None
    board.close()


def test_what_is_entered_faster_than_it_is_judged_is_not_heard(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = parse("relay: {factory: mock}\nsecond_factor: {wiegand: {d0_pin: 5, d1_pin: 6}}")
    board, wakes = Board("mock"), queue.SimpleQueue[None]()
    factor = open_second_factor(
        wanted, board, lambda: store, None, FixedTime(), lambda: wakes.put(None), store_work(store)
    )
    assert factor is not None
    pins = [board.pin_factory.pin(number) for number in (5, 6)]
    for _ in range(MOST_WAITING + 1):
        for bit in bits_of_card(4711):
            pins[bit].drive_low()
            pins[bit].drive_high()
        wakes.get(timeout=PATIENCE_S)
    assert "was not heard" in caplog.text
    assert "4711" not in caplog.text
    factor.close()
    board.close()
