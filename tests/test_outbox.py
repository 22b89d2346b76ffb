"""Events on their way."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from lockd.config import Settings
from lockd.messages import Event, EventType
from lockd.outbox import _BACKLOG, Outbox


class AbsentBroker:
    """A bus without a connection."""

    session = None

    def free(self) -> int:
        return 0

    def delivered(self) -> list[int]:
        return []


def test_an_event_that_nobody_takes_is_lost_only_when_memory_is_full_and_never_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus: Any = AbsentBroker()
    outbox = Outbox(Settings(), None, bus)
    first = Event(EventType.STRANGER, 0.0, "door")
    with caplog.at_level(logging.ERROR):
        outbox.post(first)
        for _ in range(_BACKLOG - 1):
            outbox.post(Event(EventType.UNIDENTIFIED, 1.0, "door"))
        assert caplog.records == []
        outbox.post(Event(EventType.UNIDENTIFIED, 2.0, "door"))
    assert len(caplog.records) == 1
    assert first.id in caplog.text
