"""The time is known only while the clock is known to be right."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.adapters.wallclock import JUMP_S, MARKER, WallClock
from lockd.config import AccessSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
TEN_YEARS_S = 3652 * 24 * 3600.0


class Machine:
    """A computer: the time since it started, the clock on its wall, and its time service."""

    def __init__(self, folder: Path, *, uptime_s: float = 100.0, wall: float = NOON) -> None:
        self.marker = folder / "synchronized"
        self.uptime = uptime_s
        self.wall = wall
        self.kernel = False

    def clock(self, clock: str = "synchronized", timezone: str = "Europe/Berlin") -> WallClock:
        return WallClock(
            AccessSettings(clock=clock, timezone=timezone),  # type: ignore[arg-type]
            monotonic=lambda: self.uptime,
            wall=lambda: self.wall,
            marker=self.marker,
            kernel=lambda: self.kernel,
        )

    def pass_time(self, seconds: float) -> None:
        self.uptime += seconds
        self.wall += seconds

    def step(self, seconds: float) -> None:
        self.wall += seconds

    def touch(self) -> None:
        """What systemd-timesyncd does after it took over an answer."""
        self.marker.touch()
        os.utime(self.marker, (self.wall, self.wall))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def right(machine: Machine) -> WallClock:
    """A clock that a time server has set."""
    machine.touch()
    machine.pass_time(5)
    clock = machine.clock()
    assert clock.local() is not None
    machine.pass_time(1)
    return clock


class TestSynchronized:
    def test_after_a_power_cut_the_time_is_unknown_until_it_is_set(self, machine: Machine) -> None:
        clock = machine.clock()
        assert clock.local() is None
        assert clock.problem == "no time server has set the clock since the machine started"
        machine.pass_time(1)
        assert clock.local() is None
        machine.step(3 * 24 * 3600)
        machine.touch()
        assert clock.local() == datetime(2026, 11, 25, 12, 0, 1, tzinfo=UTC)
        assert clock.problem is None

    def test_a_service_that_starts_later_finds_it_set(self, machine: Machine) -> None:
        machine.touch()
        machine.pass_time(3 * 3600)
        assert machine.clock().local() is not None

    def test_the_word_of_the_kernel_counts_as_well(self, machine: Machine) -> None:
        clock = machine.clock()
        assert clock.local() is None
        machine.kernel = True
        assert clock.local() is not None

    def test_without_a_network_it_stays_right(self, right: WallClock, machine: Machine) -> None:
        machine.marker.unlink()
        for _ in range(60):
            machine.pass_time(24 * 3600)
            machine.step(4)
            assert right.local() is not None

    @pytest.mark.parametrize("jump", [TEN_YEARS_S, -TEN_YEARS_S, 3600, -3600, 61, -61])
    def test_after_a_jump_it_is_unknown_until_it_is_confirmed(
        self, right: WallClock, machine: Machine, jump: float
    ) -> None:
        machine.step(jump)
        for _ in range(3):
            assert right.local() is None
            assert right.problem
            machine.pass_time(1)
        machine.step(-jump + 2)
        machine.touch()
        assert right.local() is not None

    @pytest.mark.parametrize("jump", [TEN_YEARS_S, 3600, -3600])
    def test_a_time_server_may_have_been_what_made_it_jump(
        self, right: WallClock, machine: Machine, jump: float
    ) -> None:
        machine.wall += TEN_YEARS_S  # so that no jump leads before lockd was made
        machine.touch()
        assert right.local() is not None
        machine.pass_time(1)
        machine.step(jump)
        machine.pass_time(0.01)
        machine.touch()
        machine.pass_time(0.5)
        assert right.local() is not None
        machine.pass_time(1)
        assert right.local() is not None

    @pytest.mark.parametrize("jump", [TEN_YEARS_S, 3600, -3600])
    def test_what_was_touched_before_the_jump_confirms_nothing(
        self, right: WallClock, machine: Machine, jump: float
    ) -> None:
        machine.touch()
        machine.pass_time(0.1)
        machine.step(jump)
        assert right.local() is None
        # Nor does it when the clock has reached its time again.
        for _ in range(2 * 3600):
            machine.pass_time(1)
            assert right.local() is None

    def test_a_jump_back_again_ends_it(self, right: WallClock, machine: Machine) -> None:
        machine.step(TEN_YEARS_S)
        assert right.local() is None
        machine.pass_time(10)
        machine.step(-TEN_YEARS_S)
        assert right.local() is not None

    def test_after_a_jump_the_kernel_may_confirm_it_too(
        self, right: WallClock, machine: Machine
    ) -> None:
        machine.step(3600)
        assert right.local() is None
        machine.kernel = True
        assert right.local() is not None
        machine.kernel = False
        assert right.local() is not None

    @pytest.mark.parametrize("jump", [TEN_YEARS_S, -TEN_YEARS_S])
    def test_a_jump_before_the_service_started_is_seen_in_the_file(
        self, machine: Machine, jump: float
    ) -> None:
        machine.wall += 2 * TEN_YEARS_S
        machine.touch()
        machine.pass_time(60)
        machine.step(jump)
        clock = machine.clock()
        assert clock.local() is None
        machine.touch()
        assert clock.local() is not None

    def test_small_corrections_are_no_jump(self, right: WallClock, machine: Machine) -> None:
        machine.step(JUMP_S - 1)
        assert right.local() is not None
        machine.touch()
        assert right.local() is not None
        machine.step(JUMP_S - 1)
        assert right.local() is not None

    def test_many_small_steps_that_nothing_confirms_are_one(
        self, right: WallClock, machine: Machine
    ) -> None:
        found = []
        for _ in range(8):
            machine.step(10)
            machine.pass_time(1)
            found.append(right.local() is not None)
        assert found == [True] * 6 + [False] * 2

    def test_a_service_that_was_stopped_for_a_while_sees_no_jump(
        self, right: WallClock, machine: Machine
    ) -> None:
        machine.pass_time(7 * 24 * 3600)
        assert right.local() is not None


class TestTrusted:
    def test_it_is_right_from_the_start(self, machine: Machine) -> None:
        clock = machine.clock("trusted")
        assert clock.local() == datetime(2026, 11, 22, 12, tzinfo=UTC)

    @pytest.mark.parametrize("jump", [TEN_YEARS_S, -TEN_YEARS_S, 3600, -3600])
    def test_after_a_jump_it_is_unknown_until_it_jumps_back(
        self, machine: Machine, jump: float
    ) -> None:
        machine.wall += 2 * TEN_YEARS_S
        clock = machine.clock("trusted")
        assert clock.local() is not None
        machine.step(jump)
        for _ in range(1000):
            machine.pass_time(600)
            machine.touch()
            machine.kernel = True
            assert clock.local() is None
        assert clock.problem == f"the clock jumped by {jump:+.0f} s, which nothing has confirmed"
        machine.step(-jump)
        assert clock.local() is not None

    def test_a_restart_takes_the_clock_as_it_is(self, machine: Machine) -> None:
        clock = machine.clock("trusted")
        assert clock.local() is not None
        machine.step(3600)
        assert clock.local() is None
        assert machine.clock("trusted").local() is not None

    def test_slow_drift_that_is_corrected_now_and_then_is_no_jump(self, machine: Machine) -> None:
        clock = machine.clock("trusted")
        for _ in range(365):
            machine.pass_time(24 * 3600)
            machine.step(10)
            assert clock.local() is not None


@pytest.mark.parametrize("mode", ["trusted", "synchronized"])
@pytest.mark.parametrize(
    "wall",
    [0.0, -1e10, datetime(2000, 1, 1, tzinfo=UTC).timestamp(), 4.2e9, 1e15, float("nan")],
)
def test_a_time_that_cannot_be_is_never_right(machine: Machine, mode: str, wall: float) -> None:
    machine.kernel = True
    machine.wall = wall
    clock = machine.clock(mode)
    assert clock.local() is None
    assert clock.problem is not None
    assert "cannot be" in clock.problem
    machine.wall = NOON
    assert clock.local() is not None


def test_the_zone_is_the_one_configured(machine: Machine) -> None:
    for zone, hour in (("Europe/Berlin", 13), ("Pacific/Auckland", 1), ("UTC", 12)):
        found = machine.clock("trusted", zone).local()
        assert found is not None
        assert found.hour == hour


def test_without_a_zone_it_is_the_machines(machine: Machine) -> None:
    clock = WallClock(
        AccessSettings(clock="trusted"), monotonic=lambda: 1.0, wall=lambda: NOON, marker=MARKER
    )
    found = clock.local()
    assert found is not None
    assert found.replace(tzinfo=None) == datetime.fromtimestamp(NOON)
    assert found.utcoffset() == datetime.fromtimestamp(NOON).astimezone().utcoffset()


def test_the_real_clocks_agree_with_this_machines(machine: Machine) -> None:
    # No kernel or time service is asked to be there: only that asking them is possible.
    clock = WallClock(AccessSettings(), marker=machine.marker)
    first = clock.local()
    assert (first is None) == (clock.problem is not None)
    trusted = WallClock(AccessSettings(clock="trusted")).local()
    if trusted is not None:
        assert abs(trusted - datetime.now(UTC)) < timedelta(minutes=1)


JUMPS = st.integers(-(10**6), 10**6).filter(bool).map(lambda number: number * 4 * JUMP_S)


@settings(deadline=None)
@given(
    mode=st.sampled_from(["trusted", "synchronized"]),
    steps=st.lists(
        st.tuples(st.just("pass"), st.floats(0.1, 1e5))
        | st.tuples(st.just("step"), JUMPS)
        | st.tuples(st.just("undo"), st.just(0.0)),
        max_size=30,
    ),
)
def test_whatever_jumps_it_is_known_exactly_while_it_is_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, mode: str, steps: list[tuple[str, float]]
) -> None:
    machine = Machine(tmp_path_factory.getbasetemp(), wall=NOON + 4 * TEN_YEARS_S)
    machine.marker.unlink(missing_ok=True)
    machine.touch()
    clock = machine.clock(mode)
    assert clock.local() is not None
    moved: list[float] = []
    for kind, size in steps:
        if kind == "pass":
            machine.pass_time(size)
        elif kind == "step":
            machine.step(size)
            moved.append(size)
        elif moved:
            machine.step(-moved.pop())
        assert (clock.local() is not None) == (sum(moved) == 0)
