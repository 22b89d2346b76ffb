"""What is too old is deleted once an hour, by a clock that is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault
from lockd.config import StoreSettings
from lockd.errors import StoreError
from lockd.service.housekeeping import EVERY_S, RULES, Housekeeping, Rule
from tests.fakes import FixedTime, post, unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """With an entry in the trail, and an event of each of two days."""
    store = Store.open(tmp_path / "lockd.db", Vault.beside(tmp_path / "lockd.db"))
    store.people.add("Ada", "model", [unit(1)], by="root")
    for day in ("2026-11-01", "2026-11-21"):
        post(store, {"utc": f"{day}T00:00:00Z"}, kept=True)
    yield store
    store.close()


def days(store: Store) -> list[str]:
    return [one["utc"][:10] for one in store.events.latest()]


def test_what_is_too_old_is_deleted_once_an_hour_by_a_clock_that_is_right(store: Store) -> None:
    house = Housekeeping(StoreSettings(keep_events_days=7), lambda: store)
    wall = FixedTime()
    house.work(0.0, wall.local)
    assert len(days(store)) == 2, "the time is not known"
    wall.time = datetime(2026, 11, 22, tzinfo=UTC)
    house.work(0.1, wall.local)
    assert days(store) == ["2026-11-21"]
    wall.time = datetime(2026, 12, 22, tzinfo=UTC)
    house.work(EVERY_S, wall.local)
    assert len(days(store)) == 1
    house.work(EVERY_S + 0.1, wall.local)
    assert days(store) == []
    assert len(store.audit.latest()) == 1, "the trail is kept for its own time"


def test_a_rule_that_fails_is_told_and_keeps_no_other_from_its_work(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> int:
        raise StoreError("disk full")

    rules = (Rule("snapshots", lambda keep: keep.keep_audit_days, fail), *RULES)
    house = Housekeeping(StoreSettings(keep_events_days=0), lambda: store, rules)
    house.work(0.0, FixedTime(datetime(2026, 11, 22, tzinfo=UTC)).local)
    assert "disk full; what is too old of the snapshots is still kept" in caplog.text
    assert days(store) == []


def test_a_store_that_cannot_be_written_yet_is_seen_to_when_it_can_be(store: Store) -> None:
    now = FixedTime(datetime(2026, 11, 22, tzinfo=UTC))
    with closing(Store.open_read_only(store.path, store.database.vault)) as reader:
        stores = [store, reader, None]
        house = Housekeeping(StoreSettings(keep_events_days=0), stores.pop)
        for left in (2, 2, 0):
            house.work(0.0, now.local)
            assert len(days(store)) == left
