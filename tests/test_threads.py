"""A thread that dies is noticed, and another does its work."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.signals import Signals
from lockd.config import Settings
from lockd.messages import Event, EventType
from lockd.publishing.outbox import Outbox
from lockd.types import Signal
from tests.fakes import RecordingOutput
from tests.patience import PATIENCE_S, eventually
from tests.publishing.test_outbox import Bench, ScriptedBus

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def gone(name: str) -> None:
    eventually(lambda: name not in names())


def test_events_are_carried_though_the_thread_that_carries_them_died(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = ScriptedBus()
    wire: Any = bus
    outbox = Outbox(Settings(), lambda: 0.0, wire, None)

    def die(_: object) -> None:
        outbox.errand = lambda _: None
        raise SystemExit

    outbox.errand = die
    outbox.start()
    gone("outbox")  # it looks around by itself, too
    outbox.post(Event(EventType.SERVICE_STARTED, 0.0, "door"))
    with caplog.at_level(logging.CRITICAL):
        outbox.nudge()
    assert "has died" in caplog.text
    eventually(lambda: bus.sent)
    bus.acknowledge()
    outbox.close()


def test_another_thread_opens_the_store_anew_for_the_events_of_one_that_died(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    outbox = bench.outbox
    died = threading.Event()

    def die(_: object) -> None:
        if bench.waiting():  # it has opened the store, and written
            outbox.errand = lambda _: None
            died.set()
            raise SystemExit

    outbox.errand = die
    bench.bus.break_down()
    outbox.start()
    bench.post(EventType.SERVICE_STARTED)
    outbox.nudge()
    assert died.wait(PATIENCE_S)
    gone("outbox")
    # Somebody else takes the number of the one that died, or the next would pass for it.
    over = threading.Event()
    others = [threading.Thread(target=over.wait) for _ in range(8)]
    for other in others:
        other.start()
    bench.post(EventType.DOOR_HELD)
    outbox.nudge()
    try:
        eventually(lambda: len({kind for _, kind in bench.waiting()}) == 2)
    finally:
        over.set()
    assert outbox.problem is None
    bench.close()


def test_the_led_blinks_on_though_its_thread_died(caplog: pytest.LogCaptureFixture) -> None:
    class Deadly(RecordingOutput):
        fatal = True

        def on(self) -> None:
            if self.fatal:
                self.fatal = False
                raise SystemExit
            super().on()

    led = Deadly()
    signals = Signals(led, None)
    signals.start()
    gone("signals")
    signals.show(Signal.ALARM)
    assert "has died" in caplog.text
    eventually(lambda: "on" in led.log)
    signals.close()
