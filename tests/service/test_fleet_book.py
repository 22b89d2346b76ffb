"""A door's part in a fleet, over real stores: what one enrols, the others know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.store import Details, Store, SupersededError, Vault, restore
from lockd.errors import StoreError
from lockd.fleet.administrator import Said
from lockd.fleet.joining import Newcomer, admitted_by_file
from lockd.fleet.records import Content, Profile
from lockd.fleet.sealing import new_boxer, new_signer
from lockd.fleet.state import State, found
from lockd.identity.factors import FactorKind, hash_card
from lockd.service.fleet_book import FleetBook, Outcome
from lockd.service.fleet_root import at_once, rotate, throw_out
from lockd.types import Embedding

NOW = 1_790_000_000
MODEL = "model"


def vectors(count: int = 2, seed: int = 0) -> list[Embedding]:
    rows = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


class Site:
    """A door's store, its book, and all that it ever published."""

    def __init__(self, folder: Path, state: State) -> None:
        self.path = folder / "lockd.db"
        self.store = Store.open(self.path, Vault.beside(self.path), timeout_s=0.05)
        self.book = FleetBook.begin(self.store, state)

    def say(self) -> list[Said]:
        return self.book.sign_changes(NOW)

    def hear(self, said: list[Said]) -> Outcome:
        return self.book.take([(one.topic, one.message) for one in said])

    def names(self) -> list[str]:
        return [one.person.name for one in self.store.people.all()]

    def held(self) -> list[Said]:
        return [Said(one, self.book.message(one) or b"") for one in self.book.all_held()]

    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.path, Vault.beside(self.path), timeout_s=0.05)
        self.book = FleetBook(self.store)


def joined(founder: State, door: str, *, enrols: bool = True) -> State:
    newcomer = Newcomer(door, new_signer(), new_boxer())
    answer = admitted_by_file(founder, newcomer.request, enrols=enrols, time=NOW)
    return newcomer.received_file(answer)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Front, back, and a gate that may not enrol."""
    founder = found("front", NOW)
    states = [founder, joined(founder, "back"), joined(founder, "gate", enrols=False)]
    for state in states:
        state.charter = founder.charter
    made = [Site(tmp_path / state.door, state) for state in states]
    yield made
    for one in made:
        one.store.close()


def enrol(site: Site, name: str = "Ada", seed: int = 0) -> str:
    return site.store.people.add(name, MODEL, vectors(seed=seed), by="test").id


def test_whoever_is_enrolled_at_one_door_is_the_same_at_all(sites: list[Site]) -> None:
    front, back, gate = sites
    id_ = enrol(front)
    front.store.people.change_access("Ada", by="test", groups=frozenset({"staff"}))
    front.store.people.change_details("Ada", Details("7", "a note"), by="test")
    front.store.factors.add_card("Ada", hash_card("0123"), by="test")
    said = front.say()
    for site in (back, gate):
        assert site.hear(said).changed == 1
        one = site.store.people.named("Ada")
        assert (one.person.id, one.person.groups) == (id_, frozenset({"staff"}))
        assert (one.details.external_id, one.details.notes) == ("7", "a note")
        assert [kept.kind for kept in site.store.factors.of("Ada")] == [FactorKind.CARD]
        theirs = [kept.embedding for kept in site.store.templates.of("Ada")]
        assert np.array_equal(np.stack(theirs), np.stack(vectors()))
        assert site.store.care.examine() == []
        assert site.book.replica.digest() == front.book.replica.digest()
        assert site.say() == []
    assert front.say() == []


def test_every_change_at_a_door_that_may_enrol_reaches_the_others(sites: list[Site]) -> None:
    front, back, _ = sites
    enrol(front)
    back.hear(front.say())
    back.store.people.rename("Ada", "Ada Lovelace", by="test")
    front.hear(back.say())
    assert front.names() == ["Ada Lovelace"]
    front.store.people.change_details("Ada Lovelace", Details(notes="new"), by="test")
    back.hear(front.say())
    assert back.store.people.named("Ada Lovelace").details.notes == "new"
    front.store.people.set_enabled("Ada Lovelace", False, by="test")
    back.hear(front.say())
    assert not back.store.people.named("Ada Lovelace").enabled


def test_whoever_is_removed_at_one_door_goes_from_all_for_good(sites: list[Site]) -> None:
    front, back, gate = sites
    id_ = enrol(front)
    old = front.say()
    for site in (back, gate):
        site.hear(old)
    record = old[0].message
    back.store.people.remove("Ada", by="test")
    gone = back.say()
    for site in (front, gate):
        site.hear(gone)
        assert site.names() == []
        site.hear(old)
        assert site.names() == []
        site.reopen()
        site.hear(old)
        assert site.names() == []
        assert site.book.replica.is_gone(id_)
    for site in sites:  # nor is what was published of them left in the file
        content = b"".join(file.read_bytes() for file in site.path.parent.glob("lockd.db*"))
        assert record[40:90] not in content


def test_two_of_one_name_are_both_known(sites: list[Site]) -> None:
    front, back, gate = sites
    first, second = enrol(front), enrol(back, seed=1)
    said, other = front.say(), back.say()
    for site in (front, back, gate):
        site.hear([*said, *other])
    assert front.names() == ["Ada", f"Ada ({second[:8]})"]
    assert back.names() == ["Ada", f"Ada ({first[:8]})"]
    assert {one.book.replica.digest() for one in sites} == {front.book.replica.digest()}


def test_two_with_one_external_id_are_both_known(sites: list[Site]) -> None:
    front, back, _ = sites
    enrol(front, "Ada")
    enrol(back, "Grace", seed=1)
    for site, name in ((front, "Ada"), (back, "Grace")):
        site.store.people.change_details(name, Details(external_id="7"), by="test")
    back.hear(front.say())
    assert back.store.people.named("Ada").details.external_id is None


def test_a_door_that_may_not_enrol_says_nothing_of_its_own_people(sites: list[Site]) -> None:
    front, _, gate = sites
    id_ = enrol(gate, "Guest")
    assert gate.say() == []
    assert gate.book.local_only() == [id_]
    enrol(front)
    said = front.say()
    gate.hear(said)
    gate.store.people.remove("Ada", by="test")
    assert gate.say() == []
    gate.hear(said)
    assert gate.names() == ["Guest"]  # whom a door removed for itself stays away there


def test_people_put_back_from_a_backup_are_made_what_the_fleet_says(
    sites: list[Site], tmp_path: Path
) -> None:
    front, back, _ = sites
    for name, seed in (("Ada", 0), ("Grace", 1)):
        enrol(front, name, seed)
    back.hear(front.say())
    back.store.care.backup(tmp_path / "backup", by="test")
    front.store.people.remove("Ada", by="test")
    front.store.people.rename("Grace", "Grace Hopper", by="test")
    back.hear(front.say())
    back.store.close()
    restore(
        back.path, tmp_path / "backup", Vault.beside(back.path), by="test", answer=lambda _: True
    )
    back.reopen()
    assert back.names() == ["Ada", "Grace"]
    assert back.book.mend() == 2
    assert back.names() == ["Grace Hopper"]
    assert back.say() == []
    assert back.book.mend() == 0


def test_rows_turned_back_past_lockd_are_noticed(sites: list[Site]) -> None:
    front, *_ = sites
    enrol(front)
    front.say()
    with closing(sqlite3.connect(front.path)) as raw:
        before = raw.execute("SELECT * FROM fleet").fetchall()
        rows = raw.execute("SELECT * FROM fleet_messages").fetchall()
    front.store.people.remove("Ada", by="test")
    front.say()
    front.store.close()
    with closing(sqlite3.connect(front.path)) as raw:
        raw.execute("DELETE FROM fleet_messages")
        raw.executemany("INSERT INTO fleet_messages VALUES (?, ?, ?, ?, ?)", rows)
        raw.commit()
    with pytest.raises(StoreError, match="altered or turned back"):
        front.reopen()
    with closing(sqlite3.connect(front.path)) as raw:
        raw.execute("DELETE FROM fleet")
        raw.executemany("INSERT INTO fleet VALUES (?, ?, ?)", before)
        raw.commit()
    with pytest.raises(StoreError, match="altered or turned back"):
        front.reopen()


def test_a_book_that_another_program_changed_is_read_anew(sites: list[Site]) -> None:
    front, *_ = sites
    other = FleetBook(front.store)
    enrol(front)
    assert other.sign_changes(NOW)
    assert front.book.refresh()
    assert not front.book.refresh()
    enrol(front, "Grace", seed=1)
    other.refresh()
    other.sign_changes(NOW)
    grace = front.store.people.named("Grace").person.id
    front.book.vouch([grace], NOW)
    with pytest.raises(SupersededError):
        front.book.save([grace])
    assert front.book.replica.digest() == other.replica.digest()
    tries: list[int] = []

    def change() -> int:
        if not tries:
            enrol(front, "Linus", seed=2)
            other.refresh()
            other.sign_changes(NOW)  # as the service, in the midst of it
        tries.append(1)
        return rotate(front.book)

    assert at_once(front.book, change) == 2
    assert len(tries) == 2


def test_somebody_whom_a_door_cannot_know_keeps_nobody_else_away(sites: list[Site]) -> None:
    front, back, _ = sites
    id_ = enrol(front)
    bad = Content(
        "00000000-0000-4000-8000-000000000000",
        Profile(name="\u202e", enabled=True),
        [(MODEL, "2026-01-01T00:00:00Z", vectors()[0])],
    )
    said = [front.book.replica.sign_person(bad, NOW), *front.say()]
    assert back.hear(said).changed == 2
    assert back.names() == ["Ada"]
    assert back.say() == []
    assert back.store.people.named("Ada").person.id == id_


def test_a_door_that_leaves_takes_its_keys_along_and_whom_it_is_told_to(sites: list[Site]) -> None:
    front, back, _ = sites
    enrol(front, "Ada")
    enrol(front, "Grace", seed=1)
    back.hear(front.say())
    ada = back.store.people.named("Ada").person.id
    back.store.fleet.end(by="test", removing=lambda id_: id_ == ada)
    assert back.names() == ["Grace"]
    assert back.store.fleet.held() is None
    with pytest.raises(StoreError, match="in no fleet"):
        FleetBook(back.store)


def test_whoever_was_removed_here_does_not_come_back_with_what_others_said_meanwhile(
    sites: list[Site],
) -> None:
    front, back, gate = sites
    enrol(front)
    said = front.say()
    for site in (back, gate):
        site.hear(said)
        site.store.people.remove("Ada", by="test")  # while it is away
    front.store.people.change_access("Ada", by="test", groups=frozenset({"staff"}))
    meanwhile = front.say()
    for site in (back, gate):
        site.hear(meanwhile)
        assert site.names() == []
    gone = back.say()
    assert len(gone) == 3
    front.hear(gone)
    assert front.names() == []
    for site in (back, gate):
        site.hear([*gone, *meanwhile])
        assert site.names() == []


def test_whoever_was_disabled_here_stays_so_though_others_said_something_meanwhile(
    sites: list[Site],
) -> None:
    front, back, gate = sites
    enrol(front)
    said = front.say()
    for site in (back, gate):
        site.hear(said)
        site.store.people.set_enabled("Ada", False, by="test")  # while it is away
    front.store.people.change_access("Ada", by="test", groups=frozenset({"staff"}))
    for site in (back, gate):
        site.hear(front.say() or front.held())
        assert not site.store.people.named("Ada").enabled
    front.hear(back.say())
    assert not front.store.people.named("Ada").enabled


def test_whoever_a_door_cannot_know_as_they_are_now_it_knows_no_more(sites: list[Site]) -> None:
    front, back, _ = sites
    id_ = enrol(front)
    back.hear(front.say())
    later = Content(
        id_,
        Profile(name="Ada", enabled=True, valid_until="in a way to come"),
        [(MODEL, "2026-01-01T00:00:00Z", vectors()[0])],
    )
    back.hear([front.book.replica.sign_person(later, NOW)])
    assert not any(one.enabled for one in back.store.people.all())
    assert back.say() == []


def test_a_name_that_can_be_given_to_nobody_more_keeps_nobody_else_away(sites: list[Site]) -> None:
    front, back, _ = sites
    id_ = enrol(front)
    enrol(front, "Grace", seed=1)
    enrol(back, "Ada", seed=2)
    enrol(back, f"Ada ({id_[:8]})", seed=3)
    back.hear(front.say())
    assert back.names() == ["Ada", f"Ada ({id_[:8]})", "Grace"]


def test_somebody_who_cannot_be_signed_keeps_no_change_of_others_back(
    sites: list[Site], caplog: pytest.LogCaptureFixture
) -> None:
    front, back, _ = sites
    enrol(front)
    back.hear(front.say())
    enrol(front, "Grace", seed=1)
    many = frozenset(f"group {one}" for one in range(1001))
    front.store.people.change_access("Grace", by="test", groups=many)
    enrol(front, "Linus", seed=2)
    front.store.people.remove("Ada", by="test")
    back.hear(front.say())
    assert back.names() == ["Linus"]
    assert front.say() == []
    assert caplog.text.count("cannot be shared") == 1


def test_a_door_is_thrown_out_whomever_it_had_signed(sites: list[Site]) -> None:
    front, back, gate = sites
    enrol(back)
    said = back.say()
    front.hear(said)
    gate.hear(said)
    many = frozenset(f"group {one}" for one in range(1001))
    front.store.people.change_access("Ada", by="test", groups=many)
    assert len(throw_out(front.book, back.book.state.me, NOW)) == 1
    assert back.book.state.me in front.book.replica.charter.revoked
