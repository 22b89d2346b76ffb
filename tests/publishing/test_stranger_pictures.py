"""Strangers' faces on their way into the store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from lockd.adapters.store import EventFilter, Store, Vault
from lockd.clock import RealClock
from lockd.config import Settings, StoreSettings
from lockd.errors import StoreError
from lockd.identity.evidence import Stranger
from lockd.messages import Event, EventType
from lockd.publishing.publisher import Publisher
from lockd.publishing.strangers import MOST_BYTES, StrangerPictures
from lockd.types import Face, Frame, Image
from tests.conftest import PHOTOS
from tests.fakes import FixedTime, face_at

FACE: Face = face_at(100, 80)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "lockd.db"
    with closing(Store.open(path, Vault.beside(path))) as store:
        yield store


def picture() -> Image:
    image = cv2.imread(str(PHOTOS / "barack-obama.jpg"))
    assert image is not None
    return image  # type: ignore[return-value]


def stranger() -> Event:
    return Event(EventType.STRANGER, 0.0, "door", utc=datetime(2026, 11, 20, tzinfo=UTC))


def test_the_face_is_kept_with_its_event_and_nothing_else_of_the_frame(store: Store) -> None:
    pictures = StrangerPictures(StoreSettings(keep_strangers=5))
    event = stranger()
    pictures.take(event, picture(), FACE)
    pictures.serve(None)  # there is no store just now
    pictures.serve(store)
    pictures.serve(store)
    (kept,) = store.strangers.all()
    assert (kept.event_id, kept.utc) == (event.id, "2026-11-20T00:00:00.000Z")
    jpeg = store.strangers.picture(kept.id)
    assert jpeg is not None
    assert len(jpeg) <= MOST_BYTES
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape[1] <= round(1.8 * FACE.box.width) + 2


def test_by_default_none_is_kept_and_those_of_before_go(store: Store) -> None:
    store.strangers.keep(b"jpeg", event_id="1", utc="2026-11-20T00:00:00Z", most=9)
    pictures = StrangerPictures(StoreSettings())
    pictures.take(stranger(), picture(), FACE)
    pictures.serve(store)
    assert store.strangers.all() == []


def test_whoever_comes_again_within_minutes_is_kept_once(store: Store) -> None:
    settings = Settings.model_validate({"store": {"keep_strangers": 5}})
    publisher = Publisher(
        settings,
        clock=RealClock(),
        wall=FixedTime(),
        bus=None,
        messages=lambda: Store.open(store.path, store.database.vault),
    )
    frame = Frame(picture(), 0.0, 1)
    for visit in (1, 2):
        publisher.stranger(Stranger(visit, 0.1, again=visit - 1), frame, FACE)
    publisher.stranger(Stranger(3, 0.1), None, None)  # of a recording's end
    publisher.outbox.close()  # carries them
    (kept,) = store.strangers.all()
    told = store.events.find(EventFilter(types=["stranger"]))
    assert [one["visit"] for one in told] == [3, 2, 1]
    assert kept.event_id == told[-1]["id"]


def test_a_crowd_takes_no_more_memory_than_a_few(store: Store) -> None:
    pictures = StrangerPictures(StoreSettings(keep_strangers=100))
    image = picture()
    events = [stranger() for _ in range(40)]
    for event in events:
        pictures.take(event, image, FACE)
    pictures.serve(store)
    kept = [one.event_id for one in store.strangers.all()]
    assert kept == [one.id for one in events[: -len(kept) - 1 : -1]]
    assert len(kept) < 40


def test_a_store_that_fails_is_told(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = StrangerPictures(StoreSettings(keep_strangers=5))
    pictures.take(stranger(), picture(), FACE)

    def full(*_: object, **__: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(store.strangers, "keep", full)
    with caplog.at_level(logging.ERROR):
        pictures.serve(store)
    assert "disk full; a stranger's picture is not kept" in caplog.text
