"""The relay: on only with a deadline, off whatever happens, never pulsed at the start."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Iterator

import pytest
from gpiozero.pins.mock import MockFactory

from lockd.adapters import strike as module
from lockd.adapters.strike import LONGEST_ON_S, Strike, open_relay
from lockd.errors import PinError
from tests.conftest import eventually
from tests.fakes import RecordingOutput


@pytest.fixture
def output() -> RecordingOutput:
    return RecordingOutput()


@pytest.fixture
def strike(output: RecordingOutput) -> Iterator[Strike]:
    strike = Strike(output)
    yield strike
    strike.close()


def test_nothing_is_switched_before_somebody_is_let_in(
    strike: Strike, output: RecordingOutput
) -> None:
    assert output.log == []
    assert not strike.is_on


def test_the_guard_switches_off_at_the_deadline_by_itself(
    strike: Strike, output: RecordingOutput
) -> None:
    began = time.monotonic()
    strike.release(0.05)
    assert strike.is_on
    assert output.switched_off.wait(5)
    assert time.monotonic() - began >= 0.05
    assert output.log == ["on", "off"]
    eventually(lambda: not strike.is_on)


def test_a_second_release_prolongs_and_the_guard_keeps_the_later_deadline(
    strike: Strike, output: RecordingOutput
) -> None:
    began = time.monotonic()
    strike.release(0.05)
    strike.release(0.3)
    assert output.switched_off.wait(5)
    assert time.monotonic() - began >= 0.3


def test_no_release_is_longer_than_the_longest(
    monkeypatch: pytest.MonkeyPatch, strike: Strike, output: RecordingOutput
) -> None:
    monkeypatch.setattr(module, "LONGEST_ON_S", 0.1)
    strike.release(3600)
    assert output.switched_off.wait(5)


def test_prolonging_again_and_again_ends_at_the_longest(
    monkeypatch: pytest.MonkeyPatch, strike: Strike, output: RecordingOutput
) -> None:
    monkeypatch.setattr(module, "LONGEST_ON_S", 0.2)
    strike.release(0.15)
    for _ in range(1000):
        strike.release(10)
    assert output.switched_off.wait(5)


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
    assert output.switched_off.wait(5)
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


def test_without_its_guard_the_relay_is_never_switched_on(
    strike: Strike, output: RecordingOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Strike, "guarded", property(lambda self: False))
    with pytest.raises(PinError, match="guard"):
        strike.release(5)
    assert "on" not in output.log


def test_a_closed_strike_stays_locked(output: RecordingOutput) -> None:
    strike = Strike(output)
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


@pytest.mark.parametrize("active_high", [True, False])
def test_start_and_end_never_pulse_the_relay(
    active_high: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = MockFactory()
    pin = factory.pin(17)
    monkeypatch.setattr(module, "_pin_factory", lambda name: factory)
    relay = open_relay(17, active_high=active_high, factory="mock")
    locked = not active_high
    assert pin.function == "output"
    assert pin.state == locked
    strike = Strike(relay)
    strike.close()
    # Before it becomes an output the pin floats, which the mock shows as False.
    levels = [state.state for state in pin.states]
    assert levels == ([False] if active_high else [False, True])


def test_levels_of_a_release_from_start_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = MockFactory()
    pin = factory.pin(17)
    monkeypatch.setattr(module, "_pin_factory", lambda name: factory)
    strike = Strike(open_relay(17, active_high=True, factory="mock"))
    strike.release(60)
    strike.lock()
    strike.close()
    assert [state.state for state in pin.states] == [False, True, False]


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """A GPIO chip as lgpio shows it, which writes down what is done to its lines."""
    calls: list[tuple[object, ...]] = []
    lgpio = types.ModuleType("lgpio")

    def note(name: str) -> object:
        return lambda handle, *arguments: calls.append((name, *arguments)) or 0

    for name in (
        "gpio_claim_input",
        "gpio_claim_output",
        "gpio_write",
        "gpio_free",
        "gpiochip_close",
    ):
        setattr(lgpio, name, note(name))
    lgpio.gpiochip_open = lambda number: 1  # type: ignore[attr-defined]
    lgpio.gpio_read = lambda handle, line: 0  # type: ignore[attr-defined]
    lgpio.gpio_get_mode = lambda handle, line: 2  # type: ignore[attr-defined]
    for name in ("BOTH_EDGES", "RISING_EDGE", "FALLING_EDGE"):
        setattr(lgpio, name, 0)
    for name in ("SET_PULL_NONE", "SET_PULL_UP", "SET_PULL_DOWN"):
        setattr(lgpio, name, 0)
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    # gpiozero shares pins among factories, and so among tests.
    monkeypatch.setattr("gpiozero.pins.local.LocalPiFactory.pins", {})
    # gpiozero reads the board's revision from the device tree; give it that of a Pi 4.
    monkeypatch.setattr("gpiozero.pins.local.LocalPiFactory._get_revision", lambda self: 0xC03111)
    return calls


@pytest.mark.parametrize(("active_high", "locked"), [(True, 0), (False, 1)])
def test_lgpio_claims_the_line_at_its_locked_level_in_one_call(
    chip: list[tuple[object, ...]], active_high: bool, locked: int
) -> None:
    relay = open_relay(17, active_high=active_high, factory="lgpio")
    levels = [call for call in chip if call[0] in ("gpio_claim_output", "gpio_write")]
    assert levels == [("gpio_claim_output", 17, locked), ("gpio_write", 17, locked)]
    relay.on()
    relay.off()
    written = [call[2] for call in chip if call[0] == "gpio_write"]
    assert written == [locked, 1 - locked, locked]
    relay.close()


def test_a_factory_that_cannot_be_had_is_an_error_and_no_other_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    with pytest.raises(PinError, match=r"relay\.factory: lgpio is not installed"):
        open_relay(17, active_high=True, factory="lgpio")


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


def test_a_pin_that_is_taken_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = MockFactory()
    monkeypatch.setattr(module, "_pin_factory", lambda name: factory)
    first = open_relay(17, active_high=True, factory="mock")
    with pytest.raises(PinError, match=r"GPIO17 cannot be claimed through mock.*in use"):
        open_relay(17, active_high=True, factory="mock")
    first.close()
