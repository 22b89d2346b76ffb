"""The hardware limit's program, on a microcontroller whose clock, pins and watchdog are a model."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.adapters.strike import LONGEST_ON_S, Heartbeat
from tests.conftest import ROOT
from tests.fakes import RecordingOutput

WRAP = 1 << 30


def minus(later: int, earlier: int) -> int:
    """As `ticks_diff` of MicroPython: times wrap around."""
    return (later - earlier + WRAP // 2) % WRAP - WRAP // 2


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "firmware" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


logic = loaded("limit")
Levels = Callable[[int], int]


def square(half_ms: int, until: int = 1 << 40) -> Levels:
    """A line that changes so often, until it stands still."""
    return lambda t: min(t, until) // half_ms % 2


def released(asked: Callable[[int], bool], beat: Levels, end: int, begin: int = 0) -> list[int]:
    """At which milliseconds the strike is released."""
    limit = logic.Limit(minus)
    return [
        t - begin
        for t in range(begin, begin + end)
        if limit.look(asked(t - begin), beat(t - begin), t % WRAP)
    ]


def asked_from(begin: int, end: int = 1 << 40) -> Callable[[int], bool]:
    return lambda t: begin <= t < end


# What it decides


def test_the_strike_is_released_while_it_is_asked_for_and_the_heartbeat_goes_on() -> None:
    beat = square(50, until=3000)
    assert released(asked_from(1000, 2000), beat, 3000) == [*range(1000, 2000)]


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_that_stands_still_is_no_heartbeat(level: int) -> None:
    assert released(asked_from(100), lambda _: level, 3000) == []


@pytest.mark.parametrize("stops_high", [False, True])
def test_it_lets_go_by_itself_when_the_heartbeat_stops(stops_high: bool) -> None:
    last = 2050 if stops_high else 2000
    on = released(asked_from(1000), square(50, until=last), 10_000)
    assert on == [*range(1000, last + logic.SILENCE_MS + 1)]


def test_one_change_is_no_heartbeat() -> None:
    assert released(asked_from(100), lambda t: int(t > 1000), 3000) == []


def test_a_line_that_asks_already_at_power_up_is_not_obeyed_before_it_stopped() -> None:
    assert released(lambda t: t < 2000 or t >= 2010, square(50), 2500) == [*range(2010, 2500)]


def test_with_a_heartbeat_for_ever_it_lets_go_after_the_longest_time_and_until_asked_anew() -> None:
    def asked(t: int) -> bool:
        return t >= 1000 and t != 90_000

    on = released(asked, square(50), 91_000)
    assert on == [*range(1000, 1000 + logic.LONGEST_MS), *range(90_001, 91_000)]
    assert logic.LONGEST_MS > LONGEST_ON_S * 1000


def test_the_longest_time_is_not_stretched_by_a_heartbeat_that_comes_and_goes() -> None:
    def beat(t: int) -> int:
        return square(50)(t) if t % 4000 < 2000 else 0

    on = released(asked_from(1000), beat, 90_000)
    assert on
    assert max(on) < 1000 + logic.LONGEST_MS


@pytest.mark.parametrize("half_ms", [1, 4, 8, 10, 14])
def test_hum_and_noise_are_no_heartbeat(half_ms: int) -> None:
    # 50 and 60 Hz change every 10 and 8.3 ms.
    assert released(asked_from(100), square(half_ms), 3000) == []


@pytest.mark.parametrize("begin", [WRAP - 2000, 2 * WRAP - 1010])
def test_times_that_wrap_around_change_nothing(begin: int) -> None:
    on = released(asked_from(1000), square(50, until=3000), 6000, begin)
    assert on == [*range(1000, 3000 + logic.SILENCE_MS + 1)]


@given(
    st.lists(
        st.tuples(st.integers(1, 700), st.booleans(), st.integers(0, 1)), min_size=1, max_size=60
    )
)
def test_whatever_the_lines_do_it_is_on_only_with_fresh_beats(
    looks: list[tuple[int, bool, int]],
) -> None:
    limit = logic.Limit(minus, longest_ms=3000)
    now, level, changed, asked_at = 0, None, -(10**6), 0
    idle_seen = False
    for step, asked, beat in looks:
        now += step
        if level is not None and beat != level:
            changed = now
        level = beat
        if not asked:
            asked_at, idle_seen = now, True
        if limit.look(asked, beat, now):
            assert asked
            assert idle_seen
            assert now - changed <= logic.SILENCE_MS
            assert now - asked_at <= 3000 + 700


@pytest.mark.parametrize("hz", [2.0, 10.0, 25.0])
def test_what_lockd_sends_is_a_heartbeat(hz: float) -> None:
    """The line as the guard drives it, each time some milliseconds late."""
    changes: list[int] = []

    class Line(RecordingOutput):
        def on(self) -> None:
            changes.append(round(t * 1000))

        off = on

    t = 1.0
    heartbeat = Heartbeat(Line(), hz)
    late = itertools.cycle([0.001, 0.004, 0.0])
    while t < 6:
        t += heartbeat.beat(t) + next(late)

    def level(now: int) -> int:
        return sum(change <= now for change in changes) % 2

    on = released(asked_from(1000, 5000), level, 6000)
    assert on == [*range(on[0], 5000)]
    assert on[0] - 1000 <= 1000 / hz


# The program around it


class Reset(BaseException):
    """The chip starts anew."""


class Stopped(BaseException):
    """The test has seen enough."""


class Chip:
    """A microcontroller: its clock goes on while its program sleeps.

    Attributes:
        driven: (milliseconds, pin, level) of every level that a pin is given.
        outside: what others drive a line to, by pin; None is a line that is cut.
        events: what happens at a time.
    """

    def __init__(self) -> None:
        self.now = WRAP - 500
        self.driven: list[tuple[int, Any, int]] = []
        self.outside: dict[int, Callable[[int], int | None]] = {}
        self.ends = self.now + 3000
        self.hangs_at: int | None = None
        self.dog: tuple[int, int] | None = None

    @property
    def t(self) -> int:
        """Milliseconds since power-up."""
        return self.now - (WRAP - 500)

    def pass_time(self, ms: int) -> None:
        for _ in range(ms):
            self.now += 1
            if self.dog is not None and self.now - self.dog[0] >= self.dog[1]:
                raise Reset
            if self.now >= self.ends:
                raise Stopped

    def modules(self) -> dict[str, Any]:
        chip = self

        class Pin:
            IN, OUT, PULL_UP, PULL_DOWN = "in", "out", 1, 0

            def __init__(
                self, number: Any, mode: str, pull: int | None = None, *, value: int | None = None
            ) -> None:
                self._number, self._mode, self._pull = number, mode, pull
                if mode == self.OUT:
                    assert value is not None, "an output has some level until it is given one"
                    self.value(value)

            def value(self, level: int | None = None) -> int:
                if level is not None:
                    assert self._mode == self.OUT
                    chip.driven.append((chip.t, self._number, level))
                    return level
                found = chip.outside.get(self._number, lambda _: None)(chip.t)
                if found is None:
                    assert self._pull is not None, "a line that is cut has any level"
                    return self._pull
                return found

        class WDT:
            def __init__(self, timeout: int) -> None:
                self._timeout = timeout
                self.feed()

            def feed(self) -> None:
                chip.dog = chip.now, self._timeout

        def sleep_ms(ms: int) -> None:
            hangs = chip.hangs_at is not None and chip.t >= chip.hangs_at
            chip.pass_time(10**9 if hangs else ms)

        return {
            "machine": SimpleNamespace(Pin=Pin, WDT=WDT),
            "time": SimpleNamespace(
                sleep_ms=sleep_ms, ticks_ms=lambda: chip.now % WRAP, ticks_diff=minus
            ),
            "limit": logic,
        }

    def levels(self, pin: Any) -> list[tuple[int, int]]:
        """When a pin changed, and to what."""
        found: list[tuple[int, int]] = []
        for t, number, level in self.driven:
            if number == pin and (not found or found[-1][1] != level):
                found.append((t, level))
        return found


@pytest.fixture
def chip() -> Chip:
    return Chip()


def power_up(chip: Chip, monkeypatch: pytest.MonkeyPatch, **settings: bool) -> BaseException:
    with monkeypatch.context() as patch:
        for name, module in chip.modules().items():
            patch.setitem(sys.modules, name, module)
        program = loaded("main")
        for name, value in settings.items():
            setattr(program, name, value)
        with pytest.raises((Reset, Stopped, ZeroDivisionError)) as ended:
            program.main()
    return ended.value


POLARITIES = [
    {"ASKED_HIGH": asked, "UNLOCKED_HIGH": unlocked}
    for asked, unlocked in itertools.product([True, False], repeat=2)
]


@pytest.mark.parametrize("settings", POLARITIES)
def test_the_relay_is_given_its_locked_level_first_and_follows_then(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, settings: dict[str, bool]
) -> None:
    asks = settings["ASKED_HIGH"]
    chip.outside = {2: lambda t: int((1000 <= t < 2000) == asks), 3: square(50)}
    assert isinstance(power_up(chip, monkeypatch, **settings), Stopped)
    unlocked = int(settings["UNLOCKED_HIGH"])
    assert chip.levels(15) == [(0, 1 - unlocked), (1000, unlocked), (2000, 1 - unlocked)]


@pytest.mark.parametrize("settings", POLARITIES)
@pytest.mark.parametrize("cut", [2, 3])
def test_a_line_that_is_cut_locks(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, settings: dict[str, bool], cut: int
) -> None:
    chip.outside = {2: lambda t: int((t >= 500) == settings["ASKED_HIGH"]), 3: square(50)}
    alive = chip.outside[cut]
    chip.outside[cut] = lambda t: alive(t) if t < 1500 else None
    power_up(chip, monkeypatch, **settings)
    unlocked = int(settings["UNLOCKED_HIGH"])
    (_, *changes) = chip.levels(15)
    assert [level for _, level in changes] == [unlocked, 1 - unlocked]
    assert changes[-1][0] <= 1500 + logic.SILENCE_MS + 1


def test_a_program_that_hangs_is_started_anew_within_a_second(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip.outside = {2: asked_from(500), 3: square(50)}
    chip.hangs_at = 1000
    assert isinstance(power_up(chip, monkeypatch), Reset)
    assert chip.t <= 2001
    begun = len(chip.driven)
    chip.hangs_at, chip.ends = None, chip.now + 3000
    power_up(chip, monkeypatch)
    # lockd asks and beats all the while, and gets nothing before it stopped asking.
    assert {level for _, pin, level in chip.driven[begun:] if pin == 15} == {0}


def test_a_program_that_fails_locks_before_it_ends(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip.outside = {2: asked_from(500), 3: lambda t: square(50)(t) if t < 1500 else 1 // 0}
    assert isinstance(power_up(chip, monkeypatch), ZeroDivisionError)
    assert [level for _, level in chip.levels(15)] == [0, 1, 0]
