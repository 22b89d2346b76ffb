"""The relay: on only with a deadline and a guard that makes progress, off whatever happens."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from lockd.adapters import strike as module
from lockd.adapters.strike import LONGEST_ON_S, Heartbeat, Strike
from lockd.errors import PinError
from tests.fakes import RecordingOutput
from tests.patience import PATIENCE_S, eventually, running


class SetClock:
    """A monotonic clock, which goes on only when told to.

    Attributes:
        t: what it shows.
        leap_s: by how much it is ahead when the main thread looks at it next.
        broken: it cannot be read.
    """

    def __init__(self) -> None:
        self.t = 100.0
        self.leap_s = 0.0
        self.broken = False
        self._looks = 0

    def __call__(self) -> float:
        if self.broken:
            raise MemoryError
        self._looks += threading.current_thread().name == "strike-guard"
        if threading.current_thread() is threading.main_thread():
            self.t, self.leap_s = self.t + self.leap_s, 0.0
        return self.t

    def is_seen(self) -> None:
        """Wait until the guard has acted on the time that it is now, if there is cause to."""
        before = self._looks
        eventually(lambda: self._looks > before + 2)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that is slow is none that hangs, unless a test says so."""
    monkeypatch.setattr(module, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(module, "BEAT_S", 0.02)


@pytest.fixture
def output() -> RecordingOutput:
    return RecordingOutput()


@pytest.fixture
def now() -> SetClock:
    """The time by which the relay is on."""
    return SetClock()


@pytest.fixture
def machine() -> SetClock:
    """The time by which the guard proves that it makes progress."""
    return SetClock()


@pytest.fixture
def strike(output: RecordingOutput, now: SetClock, machine: SetClock) -> Iterator[Strike]:
    strike = Strike(output, now, machine=machine)
    yield strike
    strike.close()


def test_nothing_is_switched_before_somebody_is_let_in(
    strike: Strike, output: RecordingOutput
) -> None:
    assert output.log == []
    assert not strike.is_on


def test_the_guard_switches_off_at_the_deadline_by_itself(
    strike: Strike, output: RecordingOutput, now: SetClock
) -> None:
    strike.release(5)
    now.t += 4.9
    now.is_seen()
    assert strike.is_on
    now.t += 0.1
    assert output.switched_off.wait(PATIENCE_S)
    assert output.log == ["on", "off"]
    eventually(lambda: not strike.is_on)


def test_a_second_release_prolongs_and_the_guard_keeps_the_later_deadline(
    strike: Strike, output: RecordingOutput, now: SetClock
) -> None:
    strike.release(1)
    strike.release(6)
    now.t += 5.9
    now.is_seen()
    assert strike.is_on
    now.t += 0.1
    assert output.switched_off.wait(PATIENCE_S)


def test_no_release_is_longer_than_the_longest(
    strike: Strike, output: RecordingOutput, now: SetClock
) -> None:
    strike.release(3600)
    now.t += LONGEST_ON_S - 0.1
    now.is_seen()
    assert strike.is_on
    now.t += 0.1
    assert output.switched_off.wait(PATIENCE_S)


def test_prolonging_again_and_again_ends_at_the_longest(
    strike: Strike, output: RecordingOutput, now: SetClock
) -> None:
    for _ in range(int(LONGEST_ON_S)):
        strike.release(10)
        now.t += 1
    assert output.switched_off.wait(PATIENCE_S)


def test_the_longest_is_what_the_configuration_allows_at_most() -> None:
    from lockd.config import DoorSettings

    assert DoorSettings(open_s=LONGEST_ON_S).open_s == LONGEST_ON_S
    with pytest.raises(ValueError, match="less than or equal to 60"):
        DoorSettings(open_s=LONGEST_ON_S + 0.1)


def test_locking_switches_off_at_once(strike: Strike, output: RecordingOutput) -> None:
    strike.release(60)
    strike.lock()
    assert output.log == ["on", "off"]
    assert not strike.is_on


def test_closing_locks_before_the_pin_is_given_back(output: RecordingOutput) -> None:
    strike = Strike(output)
    strike.release(60)
    strike.close()
    assert output.log == ["on", "off", "close"]


def test_the_guard_tries_again_until_the_pin_obeys(strike: Strike, output: RecordingOutput) -> None:
    strike.release(60)
    output.off_failures = 3
    strike.lock()
    assert strike.is_on  # it says what is, not what was wanted
    assert output.switched_off.wait(PATIENCE_S)
    assert output.log == ["on", *["off failed"] * 3, "off"]
    eventually(lambda: not strike.is_on)


def test_a_relay_that_fails_to_switch_on_is_switched_off_and_reported(
    strike: Strike, output: RecordingOutput
) -> None:
    output.on_fails = True
    with pytest.raises(PinError, match="cannot be switched on"):
        strike.release(5)
    assert output.log == ["off"]
    assert not strike.is_on


@pytest.mark.parametrize("seconds", [math.nan, 0.0, -5.0, -math.inf])
def test_a_time_that_is_none_is_over_at_once(
    strike: Strike, output: RecordingOutput, seconds: float
) -> None:
    strike.release(seconds)
    assert output.switched_off.wait(PATIENCE_S)
    assert output.log == ["on", "off"]
    eventually(lambda: not strike.is_on)


class TestWithoutAGuard:
    """A guard that died or hangs: nothing is released, and locking still works."""

    @pytest.fixture
    def guard(self, strike: Strike) -> threading.Thread:
        return [one for one in threading.enumerate() if one.name == "strike-guard"][-1]

    def test_a_guard_at_work_keeps_proving_it(self, strike: Strike, machine: SetClock) -> None:
        for _ in range(3):
            machine.t += 1.9
            assert strike.guarded
            machine.t += 0.2
            machine.is_seen()  # it beats by itself, with nothing to do
            assert strike.guarded

    def test_it_beats_while_the_relay_is_on_too(self, strike: Strike, machine: SetClock) -> None:
        strike.release(60)
        machine.t += 100
        eventually(lambda: strike.guarded)

    def test_a_guard_that_ended_releases_nothing_and_locks(
        self,
        strike: Strike,
        guard: threading.Thread,
        output: RecordingOutput,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        strike.release(60)
        monkeypatch.setattr(guard, "is_alive", lambda: False)
        assert not strike.guarded
        assert not strike.answers()
        with pytest.raises(PinError, match="guard"):
            strike.release(5)
        assert output.log == ["on", "off"]
        assert not strike.is_on

    def test_a_guard_that_dies_locks_as_its_last_act(
        self,
        strike: Strike,
        guard: threading.Thread,
        output: RecordingOutput,
        machine: SetClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
        strike.release(60)
        machine.broken = True
        assert output.switched_off.wait(PATIENCE_S)
        guard.join(PATIENCE_S)
        machine.broken = False
        assert not strike.guarded
        with pytest.raises(PinError, match="guard"):
            strike.release(5)
        assert output.log == ["on", "off", "off"]

    def test_a_guard_that_hangs_in_the_driver_is_noticed_and_passed_by(
        self,
        strike: Strike,
        output: RecordingOutput,
        now: SetClock,
        machine: SetClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        output.off_hangs.set()
        strike.release(5)
        now.t += 5
        assert output.hanging.wait(PATIENCE_S)
        monkeypatch.setattr(module, "PATIENCE_S", 0.05)
        machine.t += 2.1
        assert not strike.guarded
        assert not strike.answers()
        with pytest.raises(PinError, match="hangs"):
            strike.release(5)
        output.off_hangs.clear()  # for whoever comes next; the first one is still in it
        strike.lock()
        assert output.log == ["on", "off"]
        output.go_on.set()
        eventually(lambda: strike.guarded)
        assert not strike.is_on

    def test_a_release_that_hung_and_went_on_is_switched_off_again(
        self, strike: Strike, output: RecordingOutput, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        output.on_hangs.set()
        releasing = threading.Thread(target=strike.release, args=(60,))
        releasing.start()
        assert output.hanging.wait(PATIENCE_S)
        monkeypatch.setattr(module, "PATIENCE_S", 0.05)
        strike.lock()
        assert output.log == ["off"]
        output.switched_off.clear()
        output.go_on.set()
        assert output.switched_off.wait(PATIENCE_S)
        releasing.join()
        assert output.log == ["off", "on", "off"]
        eventually(lambda: not strike.is_on)

    def test_a_guard_that_was_only_stopped_with_the_process_answers_and_releases(
        self,
        strike: Strike,
        output: RecordingOutput,
        machine: SetClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(module, "ANSWER_S", PATIENCE_S)
        machine.leap_s = 30  # as if the main thread went on first, and looked at the clock
        strike.release(60)
        assert output.log == ["on"]
        assert machine.t == 130
        assert strike.guarded


STOPPED = """
import os, signal, sys, time
from lockd.adapters.strike import Strike

class Relay:
    def on(self): print("on", flush=True)
    def off(self): print("off", time.monotonic(), flush=True)
    def close(self): pass

strike = Strike(Relay())
with strike._lock:  # the guard cannot be quicker than the signal
    strike.release(0.4)
    os.kill(os.getpid(), signal.SIGSTOP)
sys.stdin.readline()
with strike._lock:  # the guard has done with it
    print("left", strike.is_on, flush=True)
"""


def test_a_process_stopped_beyond_the_deadline_switches_off_when_it_goes_on() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with running(sys.executable, "-c", STOPPED, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        stopped = time.monotonic()
        eventually(lambda: time.monotonic() > stopped + 0.5)
        continued = time.monotonic()
        process.send_signal(signal.SIGCONT)
        word, t = process.stdout.readline().split()  # nothing but the guard is doing anything
        assert word == "off"
        assert float(t) >= continued
        rest, _ = process.communicate("\n")
        assert rest == "left False\n"


def test_a_closed_strike_stays_locked(strike: Strike, output: RecordingOutput) -> None:
    strike.close()
    with pytest.raises(PinError):
        strike.release(5)
    assert "on" not in output.log


def test_every_switching_is_reported_once(strike: Strike, output: RecordingOutput) -> None:
    heard: list[bool] = []
    strike.changed = heard.append
    strike.release(60)
    strike.release(60)
    strike.lock()
    strike.lock()
    assert heard == [True, False]


def test_releasing_from_many_threads_leaves_it_locked(output: RecordingOutput) -> None:
    strike = Strike(output)
    threads = [threading.Thread(target=strike.release, args=(0.05,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: not strike.is_on)
    assert output.log[-1] == "off"
    strike.close()


def test_what_is_sealed_is_locked_and_released_no_more() -> None:
    output = RecordingOutput()
    strike = Strike(output)
    strike.release(30)
    strike.seal()
    strike.release(30)
    assert output.log == ["on", "off"]
    assert not strike.is_on
    strike.close()
    strike.seal()  # late
    assert output.log == ["on", "off", "off", "close"]


class TestHeartbeat:
    @pytest.fixture
    def line(self) -> RecordingOutput:
        return RecordingOutput()

    @pytest.fixture
    def fed(
        self, output: RecordingOutput, now: SetClock, machine: SetClock, line: RecordingOutput
    ) -> Iterator[Strike]:
        strike = Strike(output, now, machine=machine, heartbeat=Heartbeat(line, 10))
        yield strike
        output.go_on.set()
        strike.close()

    @staticmethod
    def goes_on(line: RecordingOutput, machine: SetClock, beats: int = 3) -> bool:
        """Let time pass in small steps; return whether the line changes all the while."""
        for _ in range(beats):
            before = len(line.log)
            machine.t += 0.06
            try:
                eventually(lambda before=before: len(line.log) > before, 1)
            except AssertionError:
                return False
        return True

    def test_it_beats_while_the_deadline_lies_ahead_and_ends_low(
        self, fed: Strike, output: RecordingOutput, now: SetClock, machine: SetClock,
        line: RecordingOutput,
    ) -> None:  # fmt: skip
        machine.is_seen()
        assert line.log == []  # start-up never pulses it
        fed.release(5)
        assert self.goes_on(line, machine)
        assert line.log[:3] == ["on", "off", "on"]
        now.t += 5
        assert output.switched_off.wait(PATIENCE_S)
        eventually(lambda: line.log[-1] == "off")
        before = len(line.log)
        machine.t += 1
        machine.is_seen()
        assert len(line.log) == before

    def test_it_beats_no_faster_than_it_should_though_the_door_is_released_again(
        self, fed: Strike, machine: SetClock, line: RecordingOutput
    ) -> None:
        fed.release(5)
        eventually(lambda: line.log == ["on"])
        for _ in range(5):
            fed.release(5)  # each wakes the guard
            machine.is_seen()
        assert line.log == ["on"]

    def test_it_stops_when_the_door_is_locked(
        self, fed: Strike, machine: SetClock, line: RecordingOutput
    ) -> None:
        fed.release(5)
        assert self.goes_on(line, machine)
        fed.lock()
        assert line.log[-1] == "off"
        assert not self.goes_on(line, machine, 1)

    def test_it_stops_though_the_relay_cannot_be_switched_off(
        self, fed: Strike, output: RecordingOutput, now: SetClock, machine: SetClock,
        line: RecordingOutput,
    ) -> None:  # fmt: skip
        fed.release(5)
        assert self.goes_on(line, machine)
        output.off_failures = 10**6
        now.t += 5
        eventually(lambda: "off failed" in output.log)
        eventually(lambda: line.log[-1] == "off")
        assert "on" not in line.log[line.log.index("off", len(line.log) - 1) :]
        assert not fed.obeys
        output.off_failures = 0

    def test_it_stops_when_the_guard_hangs(
        self, fed: Strike, output: RecordingOutput, now: SetClock, machine: SetClock,
        line: RecordingOutput,
    ) -> None:  # fmt: skip
        fed.release(5)
        assert self.goes_on(line, machine)
        output.off_hangs.set()
        now.t += 5
        assert output.hanging.wait(PATIENCE_S)
        before = len(line.log)
        machine.t += 1
        assert not self.goes_on(line, machine, 1)
        assert len(line.log) == before

    def test_a_line_that_fails_keeps_the_relays_deadline(
        self, fed: Strike, output: RecordingOutput, now: SetClock, line: RecordingOutput
    ) -> None:
        line.on_fails = True
        fed.release(5)
        now.is_seen()
        assert fed.is_on
        now.t += 5
        assert output.switched_off.wait(PATIENCE_S)

    def test_it_is_given_back_low(
        self, fed: Strike, machine: SetClock, line: RecordingOutput
    ) -> None:
        fed.release(5)
        assert self.goes_on(line, machine, 2)
        fed.close()
        assert line.log[-2:] == ["off", "close"]
