"""Lock-outs over restarts and at their edges; stories of them are in tests/scenarios."""

from __future__ import annotations

import pytest

from lockd.door.events import (
    Denied,
    DoorMemory,
    DoorRules,
    Granted,
    LiftLockDown,
    LockOut,
    Release,
    State,
    Tick,
)
from lockd.door.machine import DoorMachine

RULES = DoorRules(lock_out=LockOut(denials=3, within_s=100, lasts_s=30, rest_s=60))


def restarted(memory: DoorMemory, now: float = 1000.0) -> DoorMachine:
    return DoorMachine(RULES, memory=memory, now=now)


@pytest.mark.parametrize("left_s", [0.5, 20.0])
def test_a_lock_out_goes_on_after_a_restart_for_as_long_as_was_left(left_s: float) -> None:
    door = restarted(DoorMemory(locked_out_s=left_s))
    assert door.state is State.LOCKED_OUT
    assert door.next_deadline == 1000 + left_s
    door.handle(Tick(), 1000 + left_s)
    assert door.handle(Granted(), 1000 + left_s) == [Release(5.0)]


def test_denials_go_on_counting_after_a_restart() -> None:
    door = restarted(DoorMemory(denials=2))
    door.handle(Denied(), 1001)
    assert door.state is State.LOCKED_OUT


def test_more_denials_than_the_rules_now_allow_leave_the_next_one_to_lock_out() -> None:
    assert restarted(DoorMemory(denials=9)).memory(1000) == DoorMemory(denials=2)


@pytest.mark.parametrize(
    "memory",
    [
        DoorMemory(),
        DoorMemory(locked_down=True, denials=2),
        DoorMemory(locked_out_s=0.5, rest_s=60),
        DoorMemory(locked_out_s=30, rest_s=10),
        DoorMemory(denials=1, rest_s=59),
    ],
)
def test_what_was_remembered_is_remembered_as_it_was(memory: DoorMemory) -> None:
    assert restarted(memory).memory(1000) == memory


def test_a_rest_is_remembered_for_no_longer_than_the_rules_say() -> None:
    assert restarted(DoorMemory(rest_s=1e12)).memory(1000) == DoorMemory(rest_s=60)


def test_no_lock_out_is_taken_over_where_it_is_switched_off() -> None:
    rules = DoorRules(lock_out=LockOut(denials=0))
    assert DoorMachine(rules, memory=DoorMemory(locked_out_s=20)).state is State.LOCKED


def test_a_lock_out_that_ended_unheard_is_remembered_as_over() -> None:
    door = restarted(DoorMemory(locked_out_s=30, rest_s=60))
    assert door.memory(1030) == DoorMemory(rest_s=60)
    assert door.memory(1050) == DoorMemory(rest_s=40)
    assert door.memory(5000) == DoorMemory()


def test_a_denial_counts_up_to_its_age_and_not_beyond() -> None:
    door = DoorMachine(RULES)
    door.handle(Denied(), 0)
    assert door.memory(100).denials == 1
    assert door.memory(100.001).denials == 0


def test_a_rest_ends_when_it_says() -> None:
    door = restarted(DoorMemory(denials=2, rest_s=60))
    assert door.handle(Denied(), 1059.999) == []
    door.handle(Denied(), 1060)
    assert door.state is State.LOCKED_OUT


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, DoorMemory(True, 2, 30, 60)),
        (0, DoorMemory(True, 2, 30, 60)),
        (10, DoorMemory(True, 2, 20, 60)),
        (30, DoorMemory(True, 2, 0, 60)),
        (40, DoorMemory(True, 2, 0, 50)),
        (90, DoorMemory(True, 2, 0, 0)),
        (1000, DoorMemory(True, 2, 0, 0)),
    ],
)
def test_memory_ages_by_its_lock_out_first_and_its_rest_then(
    seconds: float, expected: DoorMemory
) -> None:
    assert DoorMemory(True, 2, 30, 60).aged(seconds) == expected


def test_strangers_count_again_after_a_rest_that_begins_when_a_lock_out_is_lifted() -> None:
    door = restarted(DoorMemory(denials=2))
    door.handle(Denied(), 1000)
    door.handle(LiftLockDown(), 1010)
    assert door.memory(1010) == DoorMemory(rest_s=60)
