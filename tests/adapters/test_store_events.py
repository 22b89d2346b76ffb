"""Looking for events that were kept: by time, person and kind, the last first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.store import EventFilter, Store, Vault
from lockd.messages import ALERTS, EventType, kinds
from tests.fakes import post, unit

DAY = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """With Ada and Grace, a visit of each, a stranger and a door that opened."""
    store = Store.open(tmp_path / "lockd.db", Vault.beside(tmp_path / "lockd.db"))
    for name in ("Ada", "Grace"):
        store.people.add(name, "model", [unit(1)], by="root")
    keep(store, "2026-11-20T08:00:00.000Z", "access_granted", "Ada")
    keep(store, "2026-11-20T23:59:59.999Z", "stranger")
    keep(store, "2026-11-21T00:00:00.000Z", "access_granted", "Grace", similarity=0.7)
    keep(store, "2026-11-21T00:00:00.000Z", "door_opened")
    yield store
    store.close()


def keep(store: Store, utc: str, kind: str, name: str | None = None, **more: Any) -> None:
    who = store.people.find(name) if name else None
    values = {} if name is None else {"person": name, "person_id": who and who.person.id}
    post(store, {"utc": utc, "type": kind, **values, **more}, kept=True)


def found(store: Store, limit: int | None = None, offset: int = 0, **wanted: Any) -> list[str]:
    """The types that are found; as many as are counted, if all are asked for."""
    look = EventFilter(**wanted)
    types = [one["type"] for one in store.events.find(look, limit=limit, offset=offset)]
    if limit is None and not offset:
        assert store.events.count(look) == len(types)
    return types


def test_the_last_comes_first_and_a_part_can_be_had(store: Store) -> None:
    everything = ["door_opened", "access_granted", "stranger", "access_granted"]
    assert found(store) == everything
    assert found(store, limit=2) == everything[:2]
    assert found(store, limit=2, offset=1) == everything[1:3]
    assert found(store, offset=4) == []


def test_a_day_begins_at_its_first_moment_and_ends_before_the_next(store: Store) -> None:
    day = timedelta(days=1)
    assert found(store, since=DAY, until=DAY + day) == ["stranger", "access_granted"]
    assert found(store, since=DAY + day) == ["door_opened", "access_granted"]
    berlin = timezone(timedelta(hours=1))
    assert found(store, since=datetime(2026, 11, 21, 1, tzinfo=berlin)) == found(
        store, since=DAY + day
    )


def test_somebody_is_found_by_any_way_of_writing_their_name_and_by_their_id(store: Store) -> None:
    id_ = store.people.named("Grace").person.id
    for person in ("Grace", "GRACE", " grace", id_):
        (event,) = store.events.find(EventFilter(person=person))
        assert (event["person"], event["similarity"]) == ("Grace", 0.7)
    assert found(store, person="Nobody") == []
    store.people.rename("Grace", "Amazing Grace", by="root")
    assert found(store, person="amazing grace") == ["access_granted"], "by the id"
    store.people.remove("Amazing Grace", by="root")
    assert found(store, person="Amazing Grace") == []
    assert found(store, person=id_) == ["access_granted"]


def test_kinds_and_who_commanded_are_looked_for_together_with_the_rest(store: Store) -> None:
    keep(store, "2026-11-22T00:00:00.000Z", "command", by="mqtt:anna")
    keep(store, "2026-11-22T00:00:00.000Z", "command", by="root")
    assert found(store, types=["command"], by=["mqtt:anna"]) == ["command"]
    assert found(store, types=["stranger", "door_opened"]) == ["door_opened", "stranger"]
    assert found(store, types=["access_granted"], until=DAY + timedelta(days=1), person="ada") == [
        "access_granted"
    ]


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"", b"[1]", b'"x"', b"3", b'{"type":"\xff"}'])
def test_a_row_that_somebody_spoilt_hides_no_other(store: Store, payload: bytes) -> None:
    with closing(sqlite3.connect(store.path)) as raw, raw:
        raw.execute("INSERT INTO events (utc, payload) VALUES ('2026-11-20T09', ?)", (payload,))
    assert found(store, types=["stranger"]) == ["stranger"]
    assert found(store, person="Ada") == ["access_granted"]
    assert found(store)[:2] == ["door_opened", "access_granted"]


def test_every_type_is_of_the_door_of_a_visit_or_of_the_system() -> None:
    named = kinds()
    for one in EventType:
        assert sum(one in named[kind] for kind in ("visit", "door", "system")) == 1, one
        assert named[one.value] == {one}
    assert named["alert"] == set(ALERTS)
    assert EventType.CAMERA_PROBLEM in named["system"]
