"""Keypads and readers: what is typed and read, through devices that come and go."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import queue
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.adapters.keypad import EventDevice, Typed, Wiegand
from lockd.adapters.keypad.evdev import KEYS, grab
from lockd.adapters.keypad.typed import BACK, CLEAR, ENTER
from lockd.adapters.keypad.wiegand import GAP_S, decode_card, decode_key
from lockd.adapters.pins import Board
from lockd.errors import PinError
from lockd.identity.factors import FactorKind
from lockd.types import FactorEntry
from tests.patience import PATIENCE_S, eventually

CODES = {key: code for code, key in reversed(KEYS.items())}


def pressed(typed: Typed, *keys: str, gap_s: float = 0.3) -> list[str]:
    found = [typed.key(key, 10 + place * gap_s) for place, key in enumerate(keys)]
    return [one.secret for one in found if one is not None]


class TestTyped:
    def test_a_line_is_what_was_typed_before_enter(self) -> None:
        typed = Typed(FactorKind.PIN, 5)
        assert pressed(typed, *"2580", ENTER, *"1397", ENTER) == ["2580", "1397"]

    def test_the_star_begins_anew_and_backspace_takes_one_back(self) -> None:
        typed = Typed(FactorKind.PIN, 5)
        assert pressed(typed, *"99", CLEAR, *"258", "1", BACK, "0", ENTER) == ["2580"]

    def test_who_stops_in_the_midst_begins_anew(self) -> None:
        assert pressed(Typed(FactorKind.PIN, 5), *"2580", ENTER, gap_s=5.1) == []
        typed = Typed(FactorKind.PIN, 5)
        for t, key in ((0.0, "9"), (5.5, "2"), (6.0, "5")):
            assert typed.key(key, t) is None
        entry = typed.key(ENTER, 7.0)
        assert entry is not None
        assert entry.secret == "25"

    def test_a_clock_that_was_set_back_begins_anew(self) -> None:
        typed = Typed(FactorKind.PIN, 5)
        typed.key("9", 1000.0)
        typed.key("2", 10.0)
        assert typed.key(ENTER, 10.5) == FactorEntry("pin", "2")

    def test_nothing_and_what_is_too_long_is_no_entry(self) -> None:
        assert pressed(Typed(FactorKind.PIN, 5), ENTER, *("1" * 65), ENTER, "7", ENTER) == ["7"]
        assert pressed(Typed(FactorKind.PIN, 5), *("1" * 64), ENTER) == ["1" * 64]

    def test_a_card_is_read_whatever_the_zeros_before_it(self) -> None:
        assert pressed(Typed(FactorKind.CARD, 5), *"001234567", ENTER) == ["0001234567"]
        assert pressed(Typed(FactorKind.CARD, 5), *"04A23C1F", ENTER) == ["04A23C1F"]
        assert pressed(Typed(FactorKind.CARD, 5), *"00", ENTER) == []

    @given(st.lists(st.sampled_from([*"0123456789ABC", ENTER, CLEAR, BACK]), max_size=200))
    def test_whatever_is_typed_the_entries_are_its_lines(self, keys: list[str]) -> None:
        expected, line = [], ""
        for key in keys:
            if key == ENTER:
                expected += [line] if 0 < len(line) <= 64 else []
                line = ""
            elif key == CLEAR:
                line = ""
            elif key == BACK:
                line = line[:-1]
            else:
                line = (line + key)[:65]
        assert pressed(Typed(FactorKind.PIN, 5), *keys) == expected


class Keyboard:
    """A keyboard that behaves: a FIFO of the kernel's events, which can be plugged in and out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.grabbed: list[int] = []
        self._seconds = itertools.count(1_790_000_000)
        self._end = -1
        self.plug_in()

    def plug_in(self) -> None:
        os.mkfifo(self.path)
        self._end = os.open(self.path, os.O_RDWR)

    def pull_out(self) -> None:
        self.path.unlink()
        os.close(self._end)
        self._end = -1

    def grab(self, descriptor: int) -> None:
        if self._end >= 0:  # from now on its reader is told when it goes
            writing = os.open(self.path, os.O_WRONLY)
            os.close(self._end)
            self._end = writing
        self.grabbed.append(descriptor)

    def send(self, kind: int, code: int, value: int) -> None:
        event = struct.pack("llHHi", next(self._seconds), 0, kind, code, value)
        # In pieces, as no kernel does it.
        os.write(self._end, event[:5])
        os.write(self._end, event[5:])

    def type(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.send(4, 4, 0x70000)  # EV_MSC, as real ones send
            self.send(1, CODES[key], 1)
            self.send(1, CODES[key], 2)  # held down
            self.send(0, 0, 0)
            self.send(1, CODES[key], 0)
            self.send(0, 0, 0)

    def close(self) -> None:
        if self._end >= 0:
            os.close(self._end)


@pytest.fixture
def keyboard(tmp_path: Path) -> Iterator[Keyboard]:
    keyboard = Keyboard(tmp_path / "event-kbd")
    yield keyboard
    keyboard.close()


Open = Callable[..., tuple[EventDevice, "queue.SimpleQueue[FactorEntry]"]]


@pytest.fixture
def opened() -> Iterator[Open]:
    devices: list[EventDevice] = []

    def make(
        path: Path, take: Callable[[int], None], gives: FactorKind = FactorKind.PIN
    ) -> tuple[EventDevice, queue.SimpleQueue[FactorEntry]]:
        heard: queue.SimpleQueue[FactorEntry] = queue.SimpleQueue()
        device = EventDevice(
            path,
            Typed(gives, 60),
            heard.put,
            setting="second_factor.keypad.device",
            grab=take,
            retry_s=(0.01, 0.05),
        )
        devices.append(device)
        return device, heard

    yield make
    for device in devices:
        device.close()
        assert not device.alive


class TestUsb:
    def test_what_is_typed_is_heard_line_by_line(self, keyboard: Keyboard, opened: Open) -> None:
        device, heard = opened(keyboard.path, keyboard.grab)
        eventually(lambda: keyboard.grabbed)
        keyboard.type([*"2580", ENTER, *"12", CLEAR, *"1397", ENTER])
        assert [heard.get(timeout=PATIENCE_S).secret for _ in range(2)] == ["2580", "1397"]
        assert device.problem is None
        assert device.alive

    def test_a_reader_types_a_card(self, keyboard: Keyboard, opened: Open) -> None:
        _, heard = opened(keyboard.path, keyboard.grab, FactorKind.CARD)
        eventually(lambda: keyboard.grabbed)
        keyboard.type([*"0001234567", ENTER])
        assert heard.get(timeout=PATIENCE_S) == FactorEntry("card", "0001234567")

    def test_the_number_pad_and_a_numeric_keypad_type_digits(
        self, keyboard: Keyboard, opened: Open
    ) -> None:
        _, heard = opened(keyboard.path, keyboard.grab)
        eventually(lambda: keyboard.grabbed)
        for code in (80, 76, 72, 82, 0x20B, 0x201, 0x203, 0x20A, 0x209, 0x200, 96):
            keyboard.send(1, code, 1)
        assert [heard.get(timeout=PATIENCE_S).secret for _ in range(2)] == ["2580", "90"]

    def test_a_line_of_which_keys_were_lost_is_none(self, keyboard: Keyboard, opened: Open) -> None:
        _, heard = opened(keyboard.path, keyboard.grab)
        eventually(lambda: keyboard.grabbed)
        keyboard.type("25")
        keyboard.send(0, 3, 0)  # SYN_DROPPED
        keyboard.type(["8", "0", ENTER])
        assert heard.get(timeout=PATIENCE_S).secret == "80"

    def test_one_that_is_pulled_out_is_a_problem_until_it_is_back(
        self, keyboard: Keyboard, opened: Open
    ) -> None:
        device, heard = opened(keyboard.path, keyboard.grab)
        eventually(lambda: keyboard.grabbed)
        keyboard.type("25")
        keyboard.pull_out()
        problem = eventually(lambda: device.problem)
        assert "second_factor.keypad.device" in problem
        assert "plugged in" in problem
        assert device.alive
        keyboard.plug_in()
        eventually(lambda: device.problem is None)
        keyboard.type(["8", "0", ENTER])
        assert heard.get(timeout=PATIENCE_S).secret == "80", "half a line went with the device"

    def test_one_that_is_not_there_is_waited_for(
        self, tmp_path: Path, opened: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        device, _ = opened(tmp_path / "none", lambda _: None)
        assert "No such file" in eventually(lambda: device.problem)

    @pytest.mark.parametrize(
        ("number", "mend"),
        [(errno.EBUSY, "another program"), (errno.EACCES, "lockd install"), (errno.EIO, "plugged")],
    )
    def test_one_that_cannot_be_taken_for_lockd_alone_is_not_read(
        self, keyboard: Keyboard, opened: Open, number: int, mend: str
    ) -> None:
        def refuse(_: int) -> None:
            raise OSError(number, os.strerror(number))

        device, heard = opened(keyboard.path, refuse)
        assert mend in eventually(lambda: device.problem)
        keyboard.type([*"2580", ENTER])
        assert heard.empty()

    def test_what_is_no_input_device_is_told_from_one(
        self, keyboard: Keyboard, opened: Open
    ) -> None:
        device, _ = opened(keyboard.path, grab)  # the kernel's own answer
        assert "no input device" in eventually(lambda: device.problem)

    def test_a_failure_while_a_line_is_taken_does_not_end_the_thread(
        self, keyboard: Keyboard
    ) -> None:
        heard: list[FactorEntry] = []

        def fails_once(entry: FactorEntry) -> None:
            heard.append(entry)
            if len(heard) == 1:
                raise RuntimeError

        device = EventDevice(
            keyboard.path,
            Typed(FactorKind.PIN, 60),
            fails_once,
            setting="x",
            grab=keyboard.grab,
            retry_s=(0.01, 0.05),
        )
        eventually(lambda: keyboard.grabbed)
        with contextlib.suppress(BrokenPipeError):  # nobody reads the last key's release
            keyboard.type(["1", ENTER])
        eventually(lambda: len(keyboard.grabbed) == 2 and device.problem is None)
        keyboard.type(["2", ENTER])
        eventually(lambda: len(heard) == 2)
        device.close()

    def test_nothing_that_is_typed_is_logged(
        self, keyboard: Keyboard, opened: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            device, heard = opened(keyboard.path, keyboard.grab)
            eventually(lambda: keyboard.grabbed)
            keyboard.type([*"2580", ENTER])
            heard.get(timeout=PATIENCE_S)
            keyboard.pull_out()
            eventually(lambda: device.problem)
        assert caplog.text
        assert "2580" not in caplog.text


def bits_of(number: int, length: int) -> list[int]:
    return [number >> place & 1 for place in reversed(range(length))]


def card_bits(number: int, length: int = 26) -> list[int]:
    """A card's burst as a reader makes it."""
    data = bits_of(number, length - 2)
    half = len(data) // 2
    return [sum(data[:half]) % 2, *data, 1 - sum(data[half:]) % 2]


class TestDecoding:
    @given(st.integers(1, 2**24 - 1))
    def test_a_card_of_26_bits_is_its_facility_and_number(self, number: int) -> None:
        assert decode_card(card_bits(number)) == number

    @given(st.integers(1, 2**32 - 1))
    def test_a_card_of_34_bits_is_its_number(self, number: int) -> None:
        assert decode_card(card_bits(number, 34)) == number

    @given(st.integers(1, 2**24 - 1), st.integers(0, 25))
    def test_a_card_with_one_bit_wrong_is_none(self, number: int, place: int) -> None:
        bits = card_bits(number)
        bits[place] = 1 - bits[place]
        assert decode_card(bits) is None

    @given(st.integers(1, 2**32 - 1), st.integers(0, 33))
    def test_a_longer_card_with_one_bit_wrong_or_lost_is_none(
        self, number: int, place: int
    ) -> None:
        bits = card_bits(number, 34)
        assert decode_card(bits[:place] + bits[place + 1 :]) is None
        bits[place] = 1 - bits[place]
        assert decode_card(bits) is None

    @given(st.lists(st.integers(0, 1), max_size=70))
    def test_whatever_comes_is_a_card_or_a_key_or_neither(self, bits: list[int]) -> None:
        card, key = decode_card(bits), decode_key(bits)
        assert card is None or (len(bits) in (26, 34) and card_bits(card, len(bits)) == bits)
        assert key is None or len(bits) in (4, 8)
        assert card is None or key is None

    def test_nothing_but_zeros_is_no_card(self) -> None:
        assert decode_card(card_bits(0)) is None
        assert decode_card([0] * 26) is None

    @pytest.mark.parametrize(
        ("number", "key"), [*((n, str(n)) for n in range(10)), (10, CLEAR), (11, ENTER)]
    )
    def test_a_key_is_four_bits_or_eight_with_their_complement(self, number: int, key: str) -> None:
        four = bits_of(number, 4)
        assert decode_key(four) == key
        assert decode_key([*(1 - bit for bit in four), *four]) == key
        assert decode_key([*four, *four]) is None

    @pytest.mark.parametrize("number", [12, 13, 14, 15])
    def test_a_key_that_no_keypad_has_is_none(self, number: int) -> None:
        assert decode_key(bits_of(number, 4)) is None


@pytest.fixture
def heard() -> queue.SimpleQueue[FactorEntry]:
    return queue.SimpleQueue()


@pytest.fixture
def wiegand(heard: queue.SimpleQueue[FactorEntry]) -> Iterator[Wiegand]:
    reader = Wiegand(Typed(FactorKind.PIN, 5), heard.put)
    yield reader
    reader.close()
    assert not reader.alive


class Reader:
    """Sends bursts, by the pulses' own times."""

    def __init__(self, wiegand: Wiegand) -> None:
        self.wiegand, self.t = wiegand, 100.0

    def send(self, bits: Sequence[int], gap_s: float = 0.002) -> None:
        self.t += 0.5
        for bit in bits:
            self.wiegand.pulse(bit, self.t)
            self.t += gap_s


class TestWiegand:
    def test_cards_and_keys_come_from_one_reader(
        self, wiegand: Wiegand, heard: queue.SimpleQueue[FactorEntry]
    ) -> None:
        reader = Reader(wiegand)
        reader.send(card_bits((123 << 16) + 45678))
        for key in (2, 5, 8, 0, 11):
            reader.send(bits_of(key, 4))
        reader.send(card_bits(0xDEADBEEF, 34))
        got = [heard.get(timeout=PATIENCE_S) for _ in range(3)]
        assert got == [
            FactorEntry("card", "0008106606"),
            FactorEntry("pin", "2580"),
            FactorEntry("card", str(0xDEADBEEF)),
        ]

    def test_bursts_are_told_apart_by_the_pulses_times_however_late_they_are_told_of(
        self, wiegand: Wiegand, heard: queue.SimpleQueue[FactorEntry]
    ) -> None:
        reader = Reader(wiegand)
        for key in (1, 3, 9, 7, 11):  # all at once, as after a busy moment
            reader.send(bits_of(key, 4))
        assert heard.get(timeout=PATIENCE_S) == FactorEntry("pin", "1397")

    def test_noise_is_no_entry_and_spoils_none_after_it(
        self,
        wiegand: Wiegand,
        heard: queue.SimpleQueue[FactorEntry],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        reader = Reader(wiegand)
        reader.send([1])
        reader.send(card_bits(77)[:-1])
        reader.send([0, 1] * 5000)
        reader.send(card_bits(77), gap_s=GAP_S * 1.1)
        reader.send(card_bits(4711))
        assert heard.get(timeout=PATIENCE_S) == FactorEntry("card", "0000004711")
        assert heard.empty()
        assert "4711" not in caplog.text

    def test_a_line_that_stays_low_is_a_problem_until_it_is_high_again(
        self, heard: queue.SimpleQueue[FactorEntry]
    ) -> None:
        levels = [True, False]
        reader = Wiegand(Typed(FactorKind.PIN, 5), heard.put, levels=lambda: levels)
        assert "D1 stays low" in eventually(lambda: reader.problem)
        levels[1] = True
        eventually(lambda: reader.problem is None)
        reader.close()

    def test_pins_that_cannot_be_read_are_a_problem(
        self, heard: queue.SimpleQueue[FactorEntry]
    ) -> None:
        def fails() -> list[bool]:
            raise PinError("gone")

        reader = Wiegand(Typed(FactorKind.PIN, 5), heard.put, levels=fails)
        assert "gone" in eventually(lambda: reader.problem)
        assert reader.alive
        reader.close()

    def test_pulses_on_pins_are_a_card(self, heard: queue.SimpleQueue[FactorEntry]) -> None:
        board = Board("mock")
        reader = Wiegand(Typed(FactorKind.PIN, 5), heard.put)
        lines = [
            board.pulses(pin, "up", f"d{bit}_pin", lambda t, bit=bit: reader.pulse(bit, t))  # type: ignore[misc]
            for bit, pin in enumerate((5, 6))
        ]
        pins = [board.pin_factory.pin(number) for number in (5, 6)]
        assert [line.high() for line in lines] == [True, True]
        for bit in card_bits(4711):
            pins[bit].drive_low()
            pins[bit].drive_high()
        assert heard.get(timeout=PATIENCE_S) == FactorEntry("card", "0000004711")
        reader.close()
        board.close()

    def test_a_pin_that_is_in_use_is_told_by_its_setting(self) -> None:
        board = Board("mock")
        board.pulses(5, "up", "second_factor.wiegand.d0_pin", lambda t: None)
        with pytest.raises(PinError, match=r"second_factor\.wiegand\.d1_pin: GPIO5"):
            board.pulses(5, "up", "second_factor.wiegand.d1_pin", lambda t: None)
        board.close()
