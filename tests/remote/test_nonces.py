"""Commands that were seen are known again: in memory and, over restarts, in the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault
from lockd.errors import StoreError
from lockd.remote.nonces import KEEP_S, MOST, Nonces, Seen
from tests.patience import running
from tests.remote.orders import NOW

Take = Callable[[str, str, int], Seen]


def in_memory() -> Take:
    nonces = Nonces()

    def take(series: str, nonce: str, time: int) -> Seen:
        seen = nonces.look(series, nonce, time)
        if seen is Seen.NEW:
            nonces.note(series, nonce, time)
        return seen

    return take


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lockd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path, Vault.beside(path))
    # Thousands of commands, each on disk before the next, are for another test to wait for.
    opened.database.run("PRAGMA synchronous = OFF")
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "store"])
def take(request: pytest.FixtureRequest, store: Store) -> Take:
    return in_memory() if request.param == "memory" else store.nonces.take


def test_a_nonce_is_new_once(take: Take) -> None:
    assert [take("anna", "one", NOW), take("anna", "one", NOW)] == [Seen.NEW, Seen.KNOWN]
    assert take("anna", "one", NOW + 7) is Seen.KNOWN
    assert [take("anna", "two", NOW), take("bert", "one", NOW)] == [Seen.NEW, Seen.NEW]


def test_what_is_older_than_can_be_known_is_refused_whatever_the_clock_says(take: Take) -> None:
    assert take("anna", "one", NOW) is Seen.NEW
    assert take("anna", "two", NOW + KEEP_S) is Seen.NEW
    assert take("anna", "one", NOW) is Seen.KNOWN
    assert take("anna", "three", NOW + KEEP_S + 1) is Seen.NEW
    # It was forgotten, and a clock that went back would make it new.
    assert take("anna", "one", NOW) is Seen.TOO_OLD
    assert take("anna", "four", NOW + 1) is Seen.NEW
    assert take("bert", "one", NOW) is Seen.NEW


def test_an_older_command_makes_none_good_that_is_older_still(take: Take) -> None:
    assert take("anna", "one", NOW + KEEP_S) is Seen.NEW
    assert take("anna", "two", NOW + 1) is Seen.NEW
    assert take("anna", "three", NOW - 1) is Seen.TOO_OLD
    assert take("anna", "one", NOW + KEEP_S) is Seen.KNOWN


def test_long_after_its_last_command_a_key_still_knows_it(take: Take) -> None:
    take("anna", "one", NOW)
    take("bert", "one", NOW + 10**7)
    assert take("anna", "one", NOW) is Seen.KNOWN


def test_there_are_never_more_than_so_many(take: Take) -> None:
    for number in range(MOST):
        assert take("anna", f"{number}", NOW) is Seen.NEW
    assert take("anna", "more", NOW) is Seen.FULL
    assert take("bert", "more", NOW) is Seen.NEW
    assert take("anna", "more", NOW + KEEP_S) is Seen.FULL
    assert take("anna", "more", NOW + KEEP_S + 1) is Seen.NEW


def test_the_store_knows_them_after_a_restart(path: Path) -> None:
    for expected in (Seen.NEW, Seen.KNOWN, Seen.KNOWN):
        store = Store.open(path, Vault.beside(path))
        assert store.nonces.take("anna", "one", NOW) is expected
        store.close()


def test_what_the_store_knows_is_written_as_it_always_was(store: Store) -> None:
    store.nonces.take("anna", "one", NOW)
    found = store.database.run("SELECT identity, nonce, expires_utc FROM nonces").fetchall()
    assert [tuple(row) for row in found] == [("anna", "one", NOW + 300)]


def test_it_is_on_disk_before_anybody_is_told_that_it_is_new(store: Store) -> None:
    store.database.run("PRAGMA synchronous = FULL")
    assert store.database.run("PRAGMA synchronous").fetchone() == (2,)
    assert store.nonces.take("anna", "one", NOW) is Seen.NEW
    assert not store.database.connection.in_transaction


def test_a_store_that_cannot_be_written_says_so(path: Path) -> None:
    Store.open(path, Vault.beside(path)).close()
    store = Store.open_read_only(path, Vault.beside(path))
    with pytest.raises(StoreError, match="read"):
        store.nonces.take("anna", "one", NOW)
    store.close()


def test_who_commanded_is_in_the_audit_trail(store: Store) -> None:
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
from lockd.adapters.store import Store, Vault

path = Path(sys.argv[1])
store = Store.open(path, Vault.beside(path))
for number in itertools.count():
    seen = store.nonces.take("anna", f"{number}", 1_790_000_000)
    sys.stdout.write(f"{number} {seen.value}\\n")
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
    for line in told:
        number, *seen = line.split()
        assert seen in (["new"], [])  # the last line may be cut off
        if seen:
            assert store.nonces.take("anna", number, NOW) is Seen.KNOWN
    store.close()
