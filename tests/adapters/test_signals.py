"""LED and buzzer: whole sequences by a clock of the tests, and no disturbance by a failing LED."""

from __future__ import annotations

import itertools
import threading

import pytest

from lockd.adapters.signals import PATTERNS, Signals
from lockd.types import Signal
from tests.fakes import RecordingOutput
from tests.patience import PATIENCE_S, eventually

STANDING = [signal for signal in Signal if PATTERNS[signal].repeats]


class Stage:
    """Both outputs, a clock that goes on only when told to, and what was switched when."""

    def __init__(self, quiet: tuple[Signal, ...] = ()) -> None:
        self.t = 0.0
        self.log: list[tuple[float, str]] = []
        self.led = Noted("led", self)
        self.buzzer = Noted("buzzer", self)
        self.signals = Signals(self.led, self.buzzer, quiet, now=lambda: self.t)

    def play(self, seconds: float) -> list[tuple[float, str]]:
        """Let time pass as the thread would; return what was switched, in rounded seconds."""
        start, end = len(self.log), self.t + seconds
        while True:
            left = self.signals.step()
            if self.t + left > end:
                self.t = end
                return [(round(t, 3), what) for t, what in self.log[start:]]
            self.t += left + 1e-9


class Noted:
    def __init__(self, name: str, stage: Stage) -> None:
        self._name = name
        self._stage = stage

    def on(self) -> None:
        self._stage.log.append((self._stage.t, f"{self._name} on"))

    def off(self) -> None:
        self._stage.log.append((self._stage.t, f"{self._name} off"))

    def close(self) -> None:
        self._stage.log.append((self._stage.t, f"{self._name} closed"))


def test_there_is_a_pattern_for_every_signal() -> None:
    assert PATTERNS.keys() == set(Signal)


def test_no_two_patterns_look_alike() -> None:
    for one, other in itertools.combinations(Signal, 2):
        assert [step[:2] for step in PATTERNS[one].steps] != [
            step[:2] for step in PATTERNS[other].steps
        ]


@pytest.mark.parametrize("signal", STANDING)
def test_of_the_standing_patterns_only_the_alarm_and_what_asks_for_a_turn_sound(
    signal: Signal,
) -> None:
    sounds = any(buzzer for _, _, buzzer in PATTERNS[signal].steps)
    assert sounds == (signal in {Signal.ALARM, Signal.ASK_LEFT, Signal.ASK_RIGHT})


def test_idle_is_a_short_blink_now_and_then() -> None:
    assert Stage().play(6.5) == [
        (0.0, "led on"), (0.05, "led off"),
        (3.0, "led on"), (3.05, "led off"),
        (6.0, "led on"), (6.05, "led off"),
    ]  # fmt: skip


def test_granted_is_one_beep_and_a_long_light_and_then_what_stood_before() -> None:
    stage = Stage()
    stage.signals.show(Signal.LOCKED_DOWN)
    stage.signals.show(Signal.GRANTED)
    assert stage.play(5.0) == [
        (0.0, "led on"), (0.0, "buzzer on"), (0.15, "buzzer off"), (3.0, "led off"),
        (4.0, "led on"), (5.0, "led off"),
    ]  # fmt: skip


def test_denied_is_three_short_beeps_and_blinks() -> None:
    stage = Stage()
    stage.signals.show(Signal.DENIED)
    assert stage.play(0.89) == [
        (0.0, "led on"), (0.0, "buzzer on"), (0.15, "led off"), (0.15, "buzzer off"),
        (0.3, "led on"), (0.3, "buzzer on"), (0.45, "led off"), (0.45, "buzzer off"),
        (0.6, "led on"), (0.6, "buzzer on"), (0.75, "led off"), (0.75, "buzzer off"),
    ]  # fmt: skip


def test_an_alarm_sounds_until_something_else_stands() -> None:
    stage = Stage()
    stage.signals.show(Signal.ALARM)
    assert stage.play(1.4) == [
        (0.0, "led on"), (0.0, "buzzer on"), (0.5, "led off"), (0.5, "buzzer off"),
        (0.75, "led on"), (0.75, "buzzer on"), (1.25, "led off"), (1.25, "buzzer off"),
    ]  # fmt: skip
    stage.signals.show(Signal.IDLE)
    assert stage.play(1.0) == [(1.4, "led on"), (1.45, "led off")]


def test_asking_again_for_what_stands_lets_it_go_on() -> None:
    stage = Stage()
    stage.signals.show(Signal.LOOKING)
    log = []
    for _ in range(10):
        log += stage.play(0.1)
        stage.signals.show(Signal.LOOKING)
    assert log == [(0.0, "led on"), (0.25, "led off"), (0.5, "led on"), (0.75, "led off")]


def test_asking_again_for_what_is_played_once_begins_it_anew() -> None:
    stage = Stage()
    stage.signals.show(Signal.GRANTED)
    stage.play(1.0)
    stage.signals.show(Signal.GRANTED)
    assert stage.play(3.04) == [(1.0, "buzzer on"), (1.15, "buzzer off"), (4.0, "led off")]


def test_a_pattern_that_comes_to_stand_waits_for_the_end_of_one_that_is_played_once() -> None:
    stage = Stage()
    stage.signals.show(Signal.DENIED)
    stage.play(0.61)
    stage.signals.show(Signal.ALARM)
    assert stage.play(0.7) == [
        (0.75, "led off"), (0.75, "buzzer off"),
        (0.9, "led on"), (0.9, "buzzer on"), (1.11, "led off"), (1.11, "buzzer off"),
    ]  # fmt: skip


def test_the_buzzer_is_silent_at_the_patterns_set_and_the_led_is_not() -> None:
    stage = Stage(quiet=(Signal.GRANTED,))
    stage.signals.show(Signal.GRANTED)
    assert stage.play(3.06) == [(0.0, "led on"), (3.05, "led off")]  # 3.0 to 3.05 is idle's
    stage.signals.show(Signal.DENIED)
    assert (3.06, "buzzer on") in stage.play(1.0)


def test_closing_switches_off_and_gives_back() -> None:
    stage = Stage()
    stage.signals.show(Signal.ALARM)
    stage.play(0.1)
    stage.signals.close()
    assert [what for _, what in stage.log][-4:] == [
        "led off", "led closed", "buzzer off", "buzzer closed",
    ]  # fmt: skip


class TestTheThread:
    def test_it_plays_what_is_shown_and_ends(self) -> None:
        led, buzzer = RecordingOutput(), RecordingOutput()
        before = set(threading.enumerate())
        signals = Signals(led, buzzer)
        signals.start()
        signals.show(Signal.ALARM)
        eventually(lambda: buzzer.log[:2] == ["on", "off"])
        signals.close()
        assert (led.log[-2:], buzzer.log[-2:]) == (["off", "close"], ["off", "close"])
        assert set(threading.enumerate()) <= before

    def test_without_outputs_there_is_none(self) -> None:
        before = threading.active_count()
        signals = Signals(None, None)
        signals.start()
        signals.show(Signal.ALARM)
        assert threading.active_count() == before
        signals.close()

    def test_an_led_that_hangs_keeps_nobody_waiting(self) -> None:
        led = RecordingOutput()
        led.on_hangs.set()
        signals = Signals(led, None)
        signals.start()
        assert led.hanging.wait(PATIENCE_S)
        for signal in Signal:
            signals.show(signal)
        led.go_on.set()
        signals.close()


def test_an_led_that_fails_is_logged_once_and_the_buzzer_still_sounds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    led = RecordingOutput()
    led.on_fails = True
    stage.signals = Signals(led, stage.buzzer, now=lambda: stage.t)
    stage.signals.show(Signal.ALARM)
    log = stage.play(1.4)
    assert [what for _, what in log] == ["buzzer on", "buzzer off"] * 2
    assert caplog.text.count("the LED cannot be switched") == 1


def test_silence_keeps_the_buzzer_off_for_its_time_and_the_led_plays_on() -> None:
    stage = Stage()
    stage.signals.show(Signal.ALARM)
    stage.play(0.6)
    stage.signals.silence(1.5)
    during = [what for _, what in stage.play(1.4)]
    assert "buzzer on" not in during
    assert during.count("led on") == 2
    assert "buzzer on" in [what for _, what in stage.play(1.5)]


def test_silence_cuts_a_beep_short() -> None:
    stage = Stage()
    stage.signals.show(Signal.ALARM)
    stage.signals.step()
    stage.signals.silence(10)
    stage.signals.step()
    assert [what for _, what in stage.log] == ["led on", "buzzer on", "buzzer off"]
