"""The pins: which factory drives them, and the levels that a relay sees, whole sequences."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from lockd.adapters import pins as module
from lockd.adapters.pins import Board, Inputs
from lockd.adapters.strike import Heartbeat, Strike
from lockd.config import RelaySettings, Settings, parse
from lockd.errors import PinError
from lockd.types import Input, InputChange
from tests.adapters.chip import Chip

WIRINGS = list(itertools.product([True, False], ["fail_secure", "fail_safe"]))
LOCKED = {
    (True, "fail_secure"): 0,
    (False, "fail_secure"): 1,
    (True, "fail_safe"): 1,
    (False, "fail_safe"): 0,
}


@pytest.fixture(autouse=True)
def _all_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A device that gpiozero finds open when it is collected may wait for itself."""
    boards: list[Board] = []
    made = Board.__init__

    def note(board: Board, factory: str) -> None:
        made(board, factory)
        boards.append(board)

    monkeypatch.setattr(Board, "__init__", note)
    yield
    for board in boards:
        board.close()


def relay(active_high: bool = True, wiring: Any = "fail_secure") -> RelaySettings:
    return RelaySettings(pin=17, active_high=active_high, wiring=wiring)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    chip = Chip()
    monkeypatch.setitem(sys.modules, "lgpio", chip.lgpio)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    # gpiozero shares pins among factories, and so among tests.
    monkeypatch.setattr("gpiozero.pins.local.LocalPiFactory.pins", {})
    monkeypatch.setattr(
        "gpiozero.pins.local.LocalPiFactory._reservations", type(MockFactory()._reservations)(list)
    )
    # gpiozero reads the board's revision from the device tree; give it that of a Pi 4.
    monkeypatch.setattr("gpiozero.pins.local.LocalPiFactory._get_revision", lambda self: 0xC03111)
    return chip


def killed(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL, and whatever comes next is another process."""
    chip.kill_everybody()
    monkeypatch.setattr("gpiozero.pins.local.LocalPiFactory.pins", {})
    monkeypatch.setattr(
        "gpiozero.pins.local.LocalPiFactory._reservations", type(MockFactory()._reservations)(list)
    )


def test_a_start_and_an_end_never_pulse_the_heartbeat(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RelaySettings.model_validate({"pin": 17, "heartbeat": {"pin": 18}})
    for _ in range(2):
        board = Board("lgpio")
        line = board.heartbeat(settings)
        assert line is not None
        Strike(board.relay(settings), heartbeat=Heartbeat(line, 10)).close()
        board.close()
        killed(chip, monkeypatch)
    assert chip.line(18).seen == [None, 0]
    assert board.heartbeat(RelaySettings()) is None


@pytest.mark.parametrize(("active_high", "wiring"), WIRINGS)
class TestLevels:
    """What the relay board sees, from before lockd to after it."""

    def test_of_a_start_a_release_a_lock_and_an_end(
        self, chip: Chip, active_high: bool, wiring: str
    ) -> None:
        locked = LOCKED[active_high, wiring]
        board = Board("lgpio")
        strike = Strike(board.relay(relay(active_high, wiring)))
        strike.release(60)
        strike.lock()
        strike.close()
        board.close()
        assert chip.line(17).seen == [None, locked, 1 - locked, locked]
        assert chip.line(17).holder is None

    def test_of_a_start_and_an_end_alone(self, chip: Chip, active_high: bool, wiring: str) -> None:
        board = Board("lgpio")
        Strike(board.relay(relay(active_high, wiring))).close()
        board.close()
        assert chip.line(17).seen == [None, LOCKED[active_high, wiring]]

    def test_an_end_in_the_middle_of_a_release_locks(
        self, chip: Chip, active_high: bool, wiring: str
    ) -> None:
        locked = LOCKED[active_high, wiring]
        board = Board("lgpio")
        strike = Strike(board.relay(relay(active_high, wiring)))
        strike.release(60)
        strike.close()
        board.close()
        assert chip.line(17).seen == [None, locked, 1 - locked, locked]

    def test_the_next_process_after_a_sigkill_locks_what_was_left_unlocked(
        self, chip: Chip, active_high: bool, wiring: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        locked = LOCKED[active_high, wiring]
        first = Board("lgpio").relay(relay(active_high, wiring))
        first.on()
        killed(chip, monkeypatch)
        assert chip.line(17).seen[-1] == 1 - locked
        second = Board("lgpio").relay(relay(active_high, wiring))
        assert chip.line(17).seen == [None, locked, 1 - locked, locked]
        second.close()

    def test_a_restart_leaves_a_locked_line_as_it_is(
        self, chip: Chip, active_high: bool, wiring: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(2):
            board = Board("lgpio")
            Strike(board.relay(relay(active_high, wiring))).close()
            board.close()
            killed(chip, monkeypatch)
        assert chip.line(17).seen == [None, LOCKED[active_high, wiring]]

    def test_a_line_claimed_once_more_in_one_process_is_written(
        self, chip: Chip, active_high: bool, wiring: str
    ) -> None:
        locked = LOCKED[active_high, wiring]
        board = Board("lgpio")
        first = board.relay(relay(active_high, wiring))
        first.on()
        first.close()  # unlocked, and still held by this process
        board.relay(relay(active_high, wiring))
        assert chip.line(17).seen == [None, locked, 1 - locked, locked]

    def test_on_gpiozeros_mock_pins(self, active_high: bool, wiring: str) -> None:
        locked = bool(LOCKED[active_high, wiring])
        board = Board("mock")
        output = board.relay(relay(active_high, wiring))
        pin = board.pin_factory.pin(17)
        assert (pin.function, pin.state) == ("output", locked)
        strike = Strike(output)
        strike.release(60)
        strike.lock()
        strike.close()
        board.close()
        # Before it becomes an output the pin floats, which the mock shows as False.
        expected = [False, True, False] if not locked else [False, True, False, True]
        assert [state.state for state in pin.states] == expected
        assert pin.function == "output"  # an input would let go of the relay


def test_gpiozeros_own_pin_would_pulse_the_relay_on_this_chip(chip: Chip) -> None:
    """The chip shows the fault that the pins here are made against."""
    import gpiozero
    from gpiozero.pins.lgpio import LGPIOFactory

    factory = LGPIOFactory()
    gpiozero.OutputDevice(17, active_high=False, pin_factory=factory).close()
    factory.close()
    assert chip.line(17).seen == [None, 0, 1, None]


class TestTheFactory:
    def test_one_that_is_not_installed_is_an_error_and_no_other_is_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "lgpio", None)
        with pytest.raises(PinError, match=r"relay\.factory: lgpio is not installed") as caught:
            Board("lgpio")
        assert caught.value.exit_code == 7

    def test_one_that_cannot_open_its_chip_is_an_error_that_says_so(
        self, chip: Chip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_chip(gpiochip: int) -> int:
            raise chip.lgpio.error("can not open gpiochip")

        chip.lgpio.gpiochip_open = no_chip  # type: ignore[attr-defined]
        with pytest.raises(PinError, match="can not open gpiochip; is this a Raspberry Pi"):
            Board("lgpio")

    def test_the_environment_changes_nothing(
        self, chip: Chip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
        Board("lgpio").relay(relay()).on()
        assert chip.line(17).seen == [None, 0, 1]

    def test_a_device_on_another_factory_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Substitute(MockFactory):  # type: ignore[misc]
            pass

        class Wanted(MockFactory):  # type: ignore[misc]
            pass

        monkeypatch.setitem(module.FACTORIES, "lgpio", lambda: (Substitute(), Wanted))
        with pytest.raises(PinError, match=r"relay\.pin: GPIO17 is driven through Substitute"):
            Board("lgpio").relay(relay())

    def test_a_pin_that_is_taken_is_an_error_that_names_it(self, chip: Chip) -> None:
        chip.line(17).holder = 99
        with pytest.raises(PinError, match=r"relay\.pin: GPIO17 cannot be .* lgpio: .*GPIO busy"):
            Board("lgpio").relay(relay())

    def test_relay_inputs_and_lights_are_on_one_factory(self, chip: Chip) -> None:
        board = Board("lgpio")
        board.relay(relay())
        board.inputs(parse("inputs: {exit: {pin: 23}}").inputs, lambda change: None)
        board.output(22, active_high=True, setting="signals.led.pin")
        assert {line.holder for line in chip.lines.values()} == {1}
        board.close()
        assert {line.holder for line in chip.lines.values()} == {None}


@pytest.mark.parametrize(("active_high", "off"), [(True, 0), (False, 1)])
def test_any_other_output_starts_off_whatever_its_level(
    chip: Chip, active_high: bool, off: int
) -> None:
    led = Board("lgpio").output(22, active_high=active_high, setting="signals.led.pin")
    led.on()
    led.off()
    assert chip.line(22).seen == [None, off, 1 - off, off]


def test_an_error_names_the_setting(chip: Chip) -> None:
    chip.line(27).holder = 99
    with pytest.raises(PinError, match=r"signals\.buzzer\.pin: GPIO27 cannot be claimed"):
        Board("lgpio").output(27, active_high=True, setting="signals.buzzer.pin")


WIRED = """
inputs:
  exit: {pin: 23}
  contact: {pin: 24}
  tamper: {pin: 25, debounce_s: 0}
"""


class Door:
    """Wired inputs, and what was heard of them."""

    def __init__(self, chip: Chip, text: str = WIRED, **outside: int) -> None:
        self.heard: list[InputChange] = []
        settings: Settings = parse(text)
        for name, level in outside.items():
            chip.line(getattr(settings.inputs, name).pin).outside = level
        self.board = Board("lgpio")
        self.inputs: Inputs = self.board.inputs(settings.inputs, self.heard.append)


@pytest.fixture
def at_rest(chip: Chip) -> Iterator[Door]:
    """Nobody presses, the door is closed, all is well."""
    door = Door(chip, exit=1, contact=0, tamper=0)
    yield door
    door.inputs.close()
    door.board.close()


class TestInputs:
    def test_at_rest_none_is_active_and_nothing_is_heard(self, at_rest: Door) -> None:
        assert at_rest.inputs.levels() == dict.fromkeys(Input, False)
        assert at_rest.heard == []

    def test_each_is_heard_once_when_it_changes_and_once_when_it_changes_back(
        self, at_rest: Door, chip: Chip
    ) -> None:
        for pin, active in ((23, 0), (24, 1), (25, 1)):
            chip.drive(pin, active)
            chip.drive(pin, 1 - active)
        assert at_rest.heard == [
            InputChange(which, active) for which in Input for active in (True, False)
        ]

    def test_their_levels_can_be_read_at_any_time(self, at_rest: Door, chip: Chip) -> None:
        chip.line(24).outside = 1  # an edge that nobody noticed
        assert at_rest.inputs.levels() == {
            Input.EXIT: False,
            Input.CONTACT: True,
            Input.TAMPER: False,
        }

    def test_what_is_active_at_the_start_is_read_not_heard(self, chip: Chip) -> None:
        door = Door(chip, exit=0, contact=1, tamper=1)
        assert door.inputs.levels() == dict.fromkeys(Input, True)
        assert door.heard == []

    @pytest.mark.parametrize("pull", ["up", "down", "none"])
    @pytest.mark.parametrize("level", ["low", "high"])
    @pytest.mark.parametrize(
        ("name", "when"),
        [("exit", "pressed_when"), ("contact", "open_when"), ("tamper", "tampered_when")],
    )
    def test_the_level_that_counts_is_the_one_set_whatever_the_resistor(
        self, chip: Chip, name: str, when: str, level: str, pull: str
    ) -> None:
        active = int(level == "high")
        text = f"inputs: {{{name}: {{pin: 23, pull: {pull}, {when}: {level}}}}}"
        door = Door(chip, text, **{name: 1 - active})
        which = Input(name)
        assert door.inputs.levels() == {which: False}
        chip.drive(23, active)
        assert door.inputs.levels() == {which: True}
        chip.drive(23, 1 - active)
        assert door.heard == [InputChange(which, True), InputChange(which, False)]
        assert chip.line(23).pull == {"up": 32, "down": 64, "none": 128}[pull]

    def test_the_time_of_bouncing_is_the_one_set(self, at_rest: Door, chip: Chip) -> None:
        assert [chip.line(pin).debounce_us for pin in (23, 24, 25)] == [50_000, 50_000, 0]

    def test_none_is_wired_by_default(self, chip: Chip) -> None:
        door = Door(chip, "")
        assert door.inputs.levels() == {}
        assert chip.lines == {}

    def test_what_hears_and_fails_is_logged_and_does_not_end_the_listening(
        self, chip: Chip, caplog: pytest.LogCaptureFixture
    ) -> None:
        heard: list[InputChange] = []

        def fails_once(change: InputChange) -> None:
            heard.append(change)
            if len(heard) == 1:
                raise RuntimeError("queue full")

        chip.line(23).outside = 1
        inputs = Board("lgpio").inputs(parse("inputs: {exit: {pin: 23}}").inputs, fails_once)
        chip.drive(23, 0)
        chip.drive(23, 1)
        assert [change.active for change in heard] == [True, False]
        assert "a change of the exit input was lost" in caplog.text
        inputs.close()

    def test_edges_that_cannot_be_noticed_are_an_error_and_nothing_stays_claimed(
        self, chip: Chip
    ) -> None:
        def no_interrupt(*arguments: object) -> int:
            if arguments[1] == 24:
                raise chip.lgpio.error("bad event request")
            return 0

        chip.lgpio.gpio_claim_alert = no_interrupt  # type: ignore[attr-defined]
        board = Board("lgpio")
        with pytest.raises(PinError, match=r"inputs\.contact\.pin: GPIO24 .*bad event request"):
            board.inputs(parse(WIRED).inputs, lambda change: None)
        board.inputs(parse("inputs: {exit: {pin: 23}}").inputs, lambda change: None)

    def test_pins_that_cannot_be_read_are_an_error(self, at_rest: Door, chip: Chip) -> None:
        def broken(handle: int, gpio: int) -> int:
            raise chip.lgpio.error("bad handle")

        chip.lgpio.gpio_read = broken  # type: ignore[attr-defined]
        with pytest.raises(PinError, match="the inputs cannot be read: bad handle"):
            at_rest.inputs.levels()

    def test_after_closing_nothing_is_heard(self, at_rest: Door, chip: Chip) -> None:
        at_rest.inputs.close()
        chip.drive(23, 0)
        assert at_rest.heard == []

    def test_they_work_on_gpiozeros_mock_pins(self) -> None:
        heard: list[InputChange] = []
        board = Board("mock")
        inputs = board.inputs(parse(WIRED).inputs, heard.append)
        board.pin_factory.pin(24).drive_low()
        assert inputs.levels() == {Input.EXIT: False, Input.CONTACT: False, Input.TAMPER: True}
        board.pin_factory.pin(23).drive_low()
        assert heard == [InputChange(Input.CONTACT, False), InputChange(Input.EXIT, True)]
