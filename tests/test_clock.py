"""The machine's clock goes on while the machine is suspended."""

from __future__ import annotations

import time

import pytest

from lockd.adapters.strike import Strike
from lockd.clock import RealClock
from tests.fakes import RecordingOutput
from tests.patience import eventually


class Suspended:
    """A machine that sleeps for a while: CLOCK_BOOTTIME goes on, CLOCK_MONOTONIC does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept_s = 0.0
        real = time.clock_gettime

        def clock_gettime(which: int) -> float:
            return real(which) + (self.slept_s if which == time.CLOCK_BOOTTIME else 0.0)

        monkeypatch.setattr(time, "clock_gettime", clock_gettime)


def test_time_passes_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, clock = Suspended(monkeypatch), RealClock()
    before = clock.now()
    machine.slept_s = 3600.0
    assert clock.now() - before >= 3600.0


def test_a_door_released_before_the_machine_slept_is_locked_when_it_wakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, output = Suspended(monkeypatch), RecordingOutput()
    strike = Strike(output, RealClock().now)
    try:
        strike.release(50.0)
        assert strike.is_on
        machine.slept_s = 60.0
        eventually(lambda: output.log == ["on", "off"])
    finally:
        strike.close()
