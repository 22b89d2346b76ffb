"""Pictures of strangers: sealed, so many of the last, and gone without a trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault

DAY = "2026-11-{:02}T08:00:00.000Z"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "lockd.db"
    with closing(Store.open(path, Vault.beside(path))) as store:
        yield store


def keep(store: Store, *days: int, most: int = 9) -> None:
    for day in days:
        picture = f"likeness {day}".encode()
        store.strangers.keep(picture, event_id=f"event {day}", utc=DAY.format(day), most=most)


def days(store: Store) -> list[int]:
    return [int(one.event_id.split()[1]) for one in store.strangers.all()]


def everything(store: Store) -> bytes:
    return b"".join(file.read_bytes() for file in store.path.parent.glob("lockd.db*"))


def test_they_come_back_as_they_were_and_lie_encrypted_on_the_disk(store: Store) -> None:
    keep(store, 1, 2)
    last, first = store.strangers.all()
    assert store.strangers.picture(first.id) == b"likeness 1"
    assert (last.utc, last.event_id) == (DAY.format(2), "event 2")
    assert store.strangers.picture(99) is None
    assert b"likeness" not in everything(store)


def test_beyond_the_limit_the_oldest_go(store: Store) -> None:
    keep(store, 1, 2, 3, most=2)
    assert days(store) == [3, 2]
    assert store.strangers.limit(0) == 2
    assert days(store) == []


def test_what_is_deleted_leaves_nothing(store: Store) -> None:
    keep(store, 1, 2, 3)
    rows = store.database.rows("SELECT sealed FROM strangers ORDER BY id")
    assert store.strangers.forget_before(datetime(2026, 11, 2, tzinfo=UTC)) == 1
    assert store.strangers.forget([store.strangers.all()[0].id, 99], by="root") == 1
    assert store.audit.latest(1)[0].note == "1 pictures"
    left = everything(store)
    assert [bytes(one) in left for (one,) in rows] == [False, True, False]
    assert days(store) == [2]


def test_one_that_was_moved_to_another_event_does_not_open_and_can_be_mended(store: Store) -> None:
    keep(store, 1, 2)
    with closing(sqlite3.connect(store.path)) as raw, raw:
        raw.execute("UPDATE strangers SET event_id = 'event 3' WHERE event_id = 'event 1'")
    number = store.strangers.all()[1].id
    assert store.strangers.picture(number) is None
    (fault,) = store.care.examine()
    assert fault.text == f"picture {number} of a stranger does not open"
    assert store.care.mend(by="root") == 1
    assert days(store) == [2]
    assert store.care.examine() == []
