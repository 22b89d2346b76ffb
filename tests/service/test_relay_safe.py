"""Locking from a fresh process: by the word that the service left, or by the configuration."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from gpiozero.pins.mock import MockFactory, MockPin
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.adapters import line
from lockd.commands.main import main as command
from lockd.config import RelaySettings
from lockd.config.files import parse
from lockd.errors import ConfigError, PinError
from lockd.service import relay_safe
from lockd.service.relay_glance import glance
from lockd.service.relay_safe import Relay, leave_word, lock, relay_of, word_left
from tests.conftest import ROOT

GET_LINE, GET_VALUES = 0xC250B407, 0xC010B40E


class Kernel:
    """A GPIO chip behind the kernel's interface, read byte by byte from its header."""

    def __init__(self, folder: Path) -> None:
        self.driven: list[tuple[int, int]] = []
        self.stuck_at: int | None = None
        self.busy = False
        self._folder = folder
        self._lines: dict[int, int] = {}
        (folder / "gpiochip0").touch()

    def ioctl(self, handle: int, request: int, argument: bytearray) -> int:
        if request == GET_LINE:
            return self._get_line(argument)
        assert request == GET_VALUES
        level = self.driven[-1][1] if self.stuck_at is None else self.stuck_at
        struct.pack_into("=Q", argument, 0, level)
        return 0

    def _get_line(self, argument: bytearray) -> int:
        assert len(argument) == 592
        if self.busy:
            raise OSError(16, "Device or resource busy")
        (offset,) = struct.unpack_from("=I", argument, 0)
        assert argument[256:288].rstrip(b"\0") == b"lockd relay-safe"
        flags, attributes = struct.unpack_from("=QI", argument, 288)
        assert flags == 8  # an output
        assert attributes == 1
        identity, _, value, mask = struct.unpack_from("=IIQQ", argument, 320)
        assert (identity, mask) == (2, 1)  # output values, of the first line
        assert struct.unpack_from("=II", argument, 560) == (1, 0)  # lines, buffer
        self.driven.append((offset, value))
        handle = os.open(self._folder / "gpiochip0", os.O_RDONLY)
        struct.pack_into("=i", argument, 588, handle)
        return 0


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(line, "CHIP", str(tmp_path / "gpiochip{}"))
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    return kernel


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the service leaves word."""
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    return folder


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, MockPin]]:
    """gpiozero's mock pins, by number, as they come into use."""
    made: list[MockFactory] = []

    class Kept(MockFactory):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("gpiozero.pins.mock.MockFactory", Kept)

    class Pins(dict[int, Any]):
        def __missing__(self, number: int) -> Any:
            return {pin.info.name: pin for pin in made[-1].pins.values()}[f"GPIO{number}"]

    yield Pins()
    for factory in made:
        factory.reset()


def written(folder: Path, text: str) -> Path:
    path = folder / "lockd.yaml"
    path.write_text(text)
    return path


class TestTheKernelsWay:
    @pytest.mark.parametrize("high", [True, False])
    def test_the_line_becomes_an_output_at_its_level_in_one_call(
        self, kernel: Kernel, high: bool
    ) -> None:
        line.drive(0, 17, high=high)
        assert kernel.driven == [(17, int(high))]

    def test_a_line_in_use_is_an_error(self, kernel: Kernel) -> None:
        kernel.busy = True
        with pytest.raises(OSError, match="line 17 cannot be driven: Device or resource busy"):
            line.drive(0, 17, high=False)

    def test_a_chip_that_is_not_there_is_an_error(self, kernel: Kernel) -> None:
        with pytest.raises(OSError, match="gpiochip4: line 17 cannot be driven: No such file"):
            line.drive(4, 17, high=False)

    def test_a_level_that_is_not_reached_is_an_error(self, kernel: Kernel) -> None:
        kernel.stuck_at = 1
        with pytest.raises(OSError, match="was driven low and is high"):
            line.drive(0, 17, high=False)

    def test_no_handle_is_left_open(self, kernel: Kernel) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for busy in (False, True):
            kernel.busy = busy
            with contextlib.suppress(OSError):
                line.drive(0, 17, high=False)
        assert len(os.listdir("/proc/self/fd")) == before


class TestTheWord:
    @pytest.mark.parametrize(
        ("active_high", "wiring", "locked_high"),
        [
            (True, "fail_secure", False),
            (False, "fail_secure", True),
            (True, "fail_safe", True),
            (False, "fail_safe", False),
        ],
    )
    def test_it_says_which_level_locks(
        self, runtime: Path, active_high: bool, wiring: Any, locked_high: bool
    ) -> None:
        settings = RelaySettings(pin=5, active_high=active_high, wiring=wiring)
        leave_word(relay_of(settings, 4))
        assert word_left() == Relay("lgpio", 4, 5, locked_high)

    def test_the_heartbeat_of_a_hardware_limit_is_left_low_behind_the_relay(
        self, runtime: Path, kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = RelaySettings.model_validate({"pin": 17, "heartbeat": {"pin": 18}})
        leave_word(relay_of(settings, 0))
        file = written(tmp_path, "relay: {pin: 17, heartbeat: {pin: 18}}")
        lock(file)
        assert kernel.driven == [(17, 0), (18, 0)]

        def drive(chip: int, pin: int, *, high: bool) -> None:
            if pin == 18:
                raise OSError("no such line")
            driven.append(pin)

        driven: list[int] = []
        monkeypatch.setattr(line, "drive", drive)
        lock(file)  # one that stands still, at whichever level, locks
        assert driven == [17]

    @pytest.mark.parametrize(
        "text",
        ["relay: {pin: 27, active_high: false}", "relay:\n  pin: 27\n  active_high: false\n"],
    )
    def test_if_it_names_another_pin_than_the_configuration_both_are_locked(
        self,
        runtime: Path,
        kernel: Kernel,
        tmp_path: Path,
        text: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        leave_word(relay_of(RelaySettings(pin=17), 0))
        file = written(tmp_path, text)
        assert not relay_safe.main(["--config", str(file)])
        done = CliRunner().invoke(command, ["relay-safe", "--config", str(file)])
        assert kernel.driven == [(17, 0), (27, 1)]
        assert done.exit_code == 0
        assert "differ" in done.stderr
        assert done.stdout == "GPIO17 is low: locked\nGPIO27 is high: locked\n"

    def test_if_one_of_the_two_cannot_be_locked_the_other_is_and_the_command_fails(
        self, runtime: Path, kernel: Kernel, tmp_path: Path, pins: dict[int, MockPin]
    ) -> None:
        leave_word(Relay("rpigpio", None, 17, False))
        with pytest.raises(PinError):
            lock(written(tmp_path, "relay: {factory: mock, pin: 27, active_high: false}"))
        assert pins[27].state is True

    @pytest.mark.parametrize(
        "word",
        [
            Relay("lgpio", 0, 27, True),  # the level that unlocks
            Relay("mock", None, 27, False),  # pins that are none
            Relay("mock", 0, 27, True),
        ],
    )
    def test_of_one_pin_the_configuration_says_the_level(
        self, runtime: Path, kernel: Kernel, pins: dict[int, MockPin], tmp_path: Path, word: Relay
    ) -> None:
        leave_word(word)
        config = written(tmp_path, "relay:\n  pin: 27\n")
        assert not relay_safe.main(["--config", str(config)])
        with contextlib.suppress(PinError):  # this machine has no pins for lgpio
            lock(config)
        assert (27, 1) not in kernel.driven
        assert word.factory == "mock" or kernel.driven == [(27, 0)]

    def test_what_lies_in_its_place_is_not_followed_and_not_waited_for(
        self, runtime: Path, tmp_path: Path
    ) -> None:
        leave_word(relay_of(RelaySettings(), 0))
        (runtime / relay_safe.NAME).rename(tmp_path / "word")
        (runtime / relay_safe.NAME).symlink_to(tmp_path / "word")
        assert word_left() is None
        (runtime / relay_safe.NAME).unlink()
        os.mkfifo(runtime / relay_safe.NAME)
        assert word_left() is None

    def test_it_locks_though_the_configuration_is_broken(
        self, runtime: Path, kernel: Kernel, tmp_path: Path
    ) -> None:
        leave_word(relay_of(RelaySettings(active_high=False), 0))
        lock(written(tmp_path, "relay: [oh"))
        assert kernel.driven == [(17, 1)]

    @pytest.mark.parametrize(
        "word",
        [
            "", "{", "[]", "null", "{}", '{"pin": 17}',
            '{"factory": "mock", "chip": null, "pin": "17", "locked_high": false}',
            '{"factory": "mock", "chip": null, "pin": 17, "locked_high": 0}',
            '{"factory": "mock", "chip": "0", "pin": 17, "locked_high": true}',
            '{"factory": "mock", "chip": null, "pin": 17, "locked_high": true, "more": 1}',
            '{"factory": "mock", "chip": 0, "pin": 17, "locked_high": true, "heartbeat": "18"}',
            '{"factory": "lgpio", "chip": 0, "pin": 17, "locked_high": true, "heartbeat": 17}',
            '{"factory": "lgpio", "chip": 0, "pin": 54, "locked_high": true}',
            '{"factory": "lgpio", "chip": 0, "pin": true, "locked_high": true}',
            '{"factory": "lgpio", "chip": 7, "pin": 17, "locked_high": true}',
            '{"factory": "lgpio", "chip": false, "pin": 17, "locked_high": true}',
            "[" * 100_000,
            '{"a":' * 100_000,
            "[" * 4000,
        ],
    )  # fmt: skip
    def test_one_that_is_no_good_does_not_count(
        self, runtime: Path, tmp_path: Path, word: str, pins: dict[int, MockPin]
    ) -> None:
        (runtime / relay_safe.NAME).write_text(word)
        assert word_left() is None
        relays = lock(written(tmp_path, "relay: {factory: mock, pin: 27}"))
        assert [one.pin for one in relays] == [27]
        (runtime / relay_safe.NAME).write_bytes(b"\xff\xfe")
        assert word_left() is None

    def test_without_it_a_broken_configuration_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError):
            lock(written(tmp_path, "relay: [oh"))

    def test_no_word_is_left_where_no_service_manager_asks_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay_safe, "RUNTIME_DIRECTORY", tmp_path)
        leave_word(relay_of(RelaySettings()))
        assert list(tmp_path.iterdir()) == []

    def test_one_that_cannot_be_written_is_logged_and_no_old_one_counts(
        self, runtime: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        leave_word(relay_of(RelaySettings(pin=17), 0))

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("lockd.files.os.replace", full)
        leave_word(relay_of(RelaySettings(pin=27), 0))
        assert "relay.json: cannot be written: No space left" in caplog.text
        assert word_left() is None


class TestTheLibrarysWay:
    @pytest.mark.parametrize(("active_high", "locked"), [(True, False), (False, True)])
    def test_mock_pins_are_driven_through_gpiozero(
        self, runtime: Path, pins: dict[int, MockPin], active_high: bool, locked: bool
    ) -> None:
        leave_word(relay_of(RelaySettings(factory="mock", active_high=active_high)))
        lock(None)
        assert (pins[17].function, pins[17].state) == ("output", locked)

    def test_it_is_taken_when_the_kernels_way_fails(
        self,
        runtime: Path,
        kernel: Kernel,
        pins: dict[int, MockPin],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        kernel.busy = True
        leave_word(Relay("mock", 0, 17, True))
        lock(None)
        assert pins[17].state is True
        assert "Device or resource busy; trying mock" in capsys.readouterr().err

    def test_when_both_fail_the_command_fails(
        self, runtime: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "lgpio", None)
        kernel.busy = True
        leave_word(Relay("lgpio", 0, 17, False))
        assert CliRunner().invoke(command, ["relay-safe"]).exit_code == PinError.exit_code


class TestTheCommand:
    def test_it_says_what_it_locked(
        self, runtime: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]
    ) -> None:
        leave_word(relay_of(RelaySettings(), 0))
        assert relay_safe.main(["--config", "/etc/lockd/lockd.yaml"])
        assert capsys.readouterr().out == "GPIO17 is low: locked\n"
        assert kernel.driven == [(17, 0)]

    @pytest.mark.parametrize("arguments", [["--help"], ["--config"], ["--conf", "x"], ["x", "y"]])
    def test_anything_unusual_is_left_to_the_full_command(
        self, runtime: Path, kernel: Kernel, arguments: list[str]
    ) -> None:
        leave_word(relay_of(RelaySettings(), 0))
        assert not relay_safe.main(arguments)
        assert kernel.driven == []

    def test_without_a_word_it_is_left_to_the_full_command(self, runtime: Path) -> None:
        assert not relay_safe.main([])

    def test_as_a_process_it_locks_by_the_word(self, runtime: Path, tmp_path: Path) -> None:
        leave_word(relay_of(RelaySettings(factory="mock", active_high=False)))
        result = subprocess.run(
            [sys.executable, "-m", "lockd", "relay-safe", "--config", tmp_path / "none.yaml"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stdout) == (0, "GPIO17 is high: locked\n")

    def test_the_quick_way_imports_nothing_slow(self, runtime: Path) -> None:
        leave_word(relay_of(RelaySettings(), 0))
        program = (
            "import sys; from lockd.service import relay_safe; from lockd.adapters import line;"
            "line.drive = lambda *_, high: None;"
            f"assert relay_safe.main(['--config', {str(ROOT / 'config' / 'lockd.yaml')!r}]);"
            "print(*sorted(sys.modules), sep='\\n')"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        loaded = {name.split(".")[0] for name in result.stdout.split()}
        assert "lockd" in loaded
        assert not loaded & {
            "click", "gpiozero", "lgpio", "logging", "numpy", "pydantic", "rich", "yaml",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ("lgpio", 17, False)),
        ("door:\n  id: front\n# relay:\n", ("lgpio", 17, False)),
        ("relay:\n  pin: 5   # the strike\n\n  active_high: false\n", ("lgpio", 5, True)),
        ("relay: # x\n    wiring: fail_safe\n    factory: mock\n", ("mock", 17, True)),
        ("relay: {pin: 5}\n", None),
        ("relay:\n  pin: 05\n", None),
        ('relay:\n  "pin": 5\n', None),
        ("relay:\n  pin: *a\n", None),
        ("relay:\n  active_high: yes\n", None),
        ("relay:\n  <<: *a\n", None),
        ("relay:\n  pin: 5\n  pin: 6\n", None),
        ("relay:\n  pin: 5\nrelay:\n  pin: 6\n", None),
        ('relay:\n  pin: 5\n"relay":\n  pin: 6\n', None),
        ("{relay: {pin: 5}}", None),
        ("--- \nrelay:\n  pin: 5\n", None),
        ("relay:\n\tpin: 5\n", None),
    ],
)
def test_a_glance_knows_what_is_written_plainly_and_says_so_of_the_rest(
    text: str, seen: tuple[str, int, bool] | None
) -> None:
    assert glance(text) == seen


@settings(max_examples=300)
@given(
    pin=st.integers(0, 53),
    high=st.booleans(),
    wiring=st.sampled_from(["fail_secure", "fail_safe"]),
    keys=st.permutations(["pin", "active_high", "wiring"]),
    count=st.integers(0, 3),
)
def test_a_glance_sees_what_the_configuration_says(
    pin: int, high: bool, wiring: str, keys: list[str], count: int
) -> None:
    values = {"pin": pin, "active_high": str(high).lower(), "wiring": wiring}
    lines = [f"  {key}: {values[key]}\n" for key in keys[:count]]
    text = "".join(["door:\n  id: front\n", "relay:\n", *lines, "log: info\n"])
    relay = relay_of(parse(text).relay)
    assert glance(text) == (relay.factory, relay.pin, relay.locked_high)


def test_what_is_left_is_readable_by_any_tool(runtime: Path) -> None:
    leave_word(relay_of(RelaySettings(), 0))
    assert json.loads((runtime / "relay.json").read_text()) == {
        "factory": "lgpio",
        "chip": 0,
        "pin": 17,
        "locked_high": False,
        "heartbeat": None,
    }
