"""Commands that were seen are known again: in memory and, over restarts, in the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockd.adapters.store import SeenCommand, Store, Vault
from lockd.errors import StoreError
from lockd.remote.judging import WINDOW_S
from lockd.remote.nonces import KEEP_S, MOST, Closed, Nonces, Seen, confirmed
from tests.patience import running
from tests.remote.orders import NOW


class Memory(Nonces):
    """Of one run."""

    def take(self, series: str, nonce: str, time: int, *, locks: bool = False) -> Seen:
        seen = self.look(series, nonce, time, locks=locks)
        if seen is Seen.NEW:
            self.note(series, nonce, time)
        return seen


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lockd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path, Vault.beside(path))
    yield opened
    opened.close()


def put(store: Store, *commands: SeenCommand, **closed: Closed) -> None:
    with store.database.transaction():
        store.nonces.put(commands, closed)


def test_a_nonce_is_new_once(memory: Memory) -> None:
    take = memory.take
    assert [take("anna", "one", NOW), take("anna", "one", NOW)] == [Seen.NEW, Seen.KNOWN]
    assert take("anna", "one", NOW + 7) is Seen.KNOWN
    assert [take("anna", "two", NOW), take("bert", "one", NOW)] == [Seen.NEW, Seen.NEW]


def test_what_is_older_than_can_be_known_is_refused_whatever_the_clock_says(
    memory: Memory,
) -> None:
    take = memory.take
    assert take("anna", "one", NOW) is Seen.NEW
    assert take("anna", "two", NOW + KEEP_S) is Seen.NEW
    assert take("anna", "one", NOW) is Seen.KNOWN
    assert take("anna", "three", NOW + KEEP_S + 1) is Seen.NEW
    # It was forgotten, and a clock that went back would make it new.
    assert take("anna", "one", NOW) is Seen.TOO_OLD
    assert take("anna", "four", NOW + 1) is Seen.NEW
    assert take("bert", "one", NOW) is Seen.NEW


def test_an_older_command_makes_none_good_that_is_older_still(memory: Memory) -> None:
    take = memory.take
    assert take("anna", "one", NOW + KEEP_S) is Seen.NEW
    assert take("anna", "two", NOW + 1) is Seen.NEW
    assert take("anna", "three", NOW - 1) is Seen.TOO_OLD
    assert take("anna", "one", NOW + KEEP_S) is Seen.KNOWN


def test_long_after_its_last_command_a_key_still_knows_it(memory: Memory) -> None:
    memory.take("anna", "one", NOW)
    memory.take("bert", "one", NOW + 10**7)
    assert memory.take("anna", "one", NOW) is Seen.KNOWN


def test_there_are_never_more_than_so_many_but_for_orders_to_lock(memory: Memory) -> None:
    take = memory.take
    for number in range(MOST):
        assert take("anna", f"{number}", NOW) is Seen.NEW
    assert take("anna", "more", NOW) is Seen.FULL
    assert memory.look("anna", "more", NOW, locks=True) is Seen.NEW
    assert not memory.note("anna", "more", NOW)
    assert take("bert", "more", NOW) is Seen.NEW
    assert take("anna", "more", NOW + KEEP_S) is Seen.FULL
    assert take("anna", "more", NOW + KEEP_S + 1) is Seen.NEW


def test_what_was_refused_is_known_as_that_and_makes_nothing_else_old(memory: Memory) -> None:
    assert memory.note("anna", "ahead", NOW + 10**6, refused=True)
    assert memory.take("anna", "ahead", NOW + 10**6) is Seen.REFUSED
    assert memory.take("anna", "now", NOW) is Seen.NEW


def test_a_time_that_was_confirmed_to_be_over_does_not_come_back(memory: Memory) -> None:
    memory.close("anna", before=confirmed(NOW))
    assert memory.take("anna", "one", NOW - WINDOW_S) is Seen.NEW
    assert memory.take("anna", "two", NOW - WINDOW_S - 1) is Seen.PASSED
    assert memory.take("anna", "three", NOW - WINDOW_S - 1, locks=True) is Seen.PASSED
    memory.close("anna", before=confirmed(NOW - 1000))
    assert memory.take("anna", "two", NOW - WINDOW_S - 1) is Seen.PASSED
    assert memory.take("bert", "one", NOW - 1000) is Seen.NEW


def test_up_to_a_time_that_was_closed_only_orders_to_lock_are_taken(memory: Memory) -> None:
    memory.close("anna", up_to=NOW)
    assert memory.take("anna", "one", NOW) is Seen.FULL
    assert memory.take("anna", "two", NOW, locks=True) is Seen.NEW
    assert memory.take("anna", "three", NOW + 1) is Seen.NEW


def test_the_store_has_them_after_a_restart(path: Path) -> None:
    seen = SeenCommand("anna", "one", NOW), SeenCommand("anna", "two", NOW + 1, True)
    closed = {"anna": Closed(NOW - 30.5, NOW + 7.0)}
    store = Store.open(path, Vault.beside(path))
    put(store, *seen, **closed)
    store.close()
    store = Store.open(path, Vault.beside(path))
    assert store.nonces.all() == ([*seen], closed)
    store.close()


def test_the_store_forgets_what_is_refused_for_its_age_alone(store: Store) -> None:
    old = [SeenCommand("anna", f"{ago}", NOW - ago) for ago in (301, 300, 1, 0)]
    ahead = SeenCommand("anna", "ahead", NOW + 10**6, refused=True)
    bert = SeenCommand("bert", "old", NOW - 10**6)
    put(store, *old, ahead, bert, anna=Closed())
    assert store.nonces.all()[0] == [bert, *old[1:], ahead]
    put(store, anna=Closed(before=NOW))
    assert store.nonces.all()[0] == [bert, old[-1], ahead]


def test_of_a_key_no_more_is_read_than_can_be_kept(store: Store) -> None:
    put(store, *(SeenCommand("anna", f"{number:05}", NOW + number) for number in range(MOST + 7)))
    found, _ = store.nonces.all()
    assert (len(found), found[0].time) == (MOST, NOW + 7)


def test_a_command_that_was_taken_and_then_refused_is_that(store: Store) -> None:
    put(store, SeenCommand("anna", "one", NOW))
    put(store, SeenCommand("anna", "one", NOW, True))
    assert store.nonces.all()[0] == [SeenCommand("anna", "one", NOW, True)]


def test_a_store_that_cannot_be_written_says_so(path: Path) -> None:
    Store.open(path, Vault.beside(path)).close()
    store = Store.open_read_only(path, Vault.beside(path))
    with pytest.raises(StoreError, match="read"):
        put(store, SeenCommand("anna", "one", NOW))
    store.close()


def test_who_commanded_is_in_the_audit_trail(store: Store) -> None:
    with store.database.transaction():
        store.audit.note_command("mqtt:anna", "unlock: ok")
    (entry,) = store.audit.latest()
    assert (entry.by, entry.action, entry.person_id, entry.note) == (
        *("mqtt:anna", "command", None, "unlock: ok"),
    )


def test_a_store_sees_its_own_changes_of_people(store: Store) -> None:
    from tests.fakes import unit

    store.people.add("Ada", "model", [unit(1)], by="root")
    assert store.gallery.changed()
    assert not store.gallery.changed()
    store.people.set_enabled("Ada", False, by="mqtt:anna")
    assert store.gallery.changed()
    store.people.remove("Ada", by="mqtt:anna")
    assert store.gallery.changed()
    assert not store.gallery.changed()


WRITER = """
import itertools, sys
from pathlib import Path
from lockd.adapters.store import SeenCommand, Store, Vault

path = Path(sys.argv[1])
store = Store.open(path, Vault.beside(path))
for number in itertools.count():
    with store.database.transaction():
        store.nonces.put([SeenCommand("anna", f"{number}", 1_790_000_000)], {})
    sys.stdout.write(f"{number} saved\\n")
    sys.stdout.flush()
"""


def test_what_was_obeyed_is_known_though_lockd_was_killed_the_moment_after(path: Path) -> None:
    command = (sys.executable, "-c", WRITER, path)
    with running(*command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(100)]
        writer.kill()
        told += writer.stdout.read().splitlines()
    store = Store.open(path, Vault.beside(path))
    known = {one.nonce for one in store.nonces.all()[0]}
    assert known >= {line.split()[0] for line in told if line.strip().endswith("saved")}
    assert len(known) >= 100
    store.close()
