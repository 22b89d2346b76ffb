"""The door's decisions, beyond what tests/scenarios tells."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from lockd.door.events import (
    LONGEST_S,
    Announce,
    Command,
    Denied,
    DoorEvent,
    DoorMemory,
    DoorRules,
    Exit,
    Granted,
    HoldOpen,
    HoldOpenSchedule,
    Leaf,
    LiftLockDown,
    Lock,
    LockDown,
    LockNow,
    LockOut,
    Notice,
    Refusal,
    Refuse,
    RelayFault,
    RelayFaultOver,
    Release,
    Relock,
    Remember,
    Resume,
    ShutDown,
    State,
    Tamper,
    Tick,
    Unlock,
)
from lockd.door.machine import DoorMachine
from lockd.door.transitions import ACTIONS, CONDITIONS, TABLE, TIMERS, Transitions
from lockd.messages import EventType

RELEASING = {State.UNLOCKING, State.OPEN, State.HOLD_OPEN}
AJAR = {State.OPEN, State.HELD, State.FORCED, State.HOLD_OPEN}


# What must hold in every history


class Watched:
    """A machine with a strike, which checks after every event what must always hold."""

    def __init__(self, rules: DoorRules, **start: Any) -> None:
        self.rules = rules
        self.door = DoorMachine(rules, **start)
        self.now = float(start.get("now", 0.0))
        self.on_since: float | None = None
        self.on_until = -math.inf
        self.off_since = -math.inf
        self.asked_at = -math.inf
        self.asked_s = 0.0
        self.log: list[tuple[float, str]] = []

    def handle(self, event: DoorEvent, now: float) -> list[Command]:
        assert now >= self.now
        if self.on_since is not None and self.on_until <= now:
            self._switch_off(min(now, self.on_until))  # the strike's own guard
        self.now = now
        if isinstance(event, Granted | Exit | Unlock):
            self.asked_at = now
            extended = isinstance(event, Granted) and event.extended
            self.asked_s = self.rules.extended_open_s if extended else self.rules.open_s
        commands = self.door.handle(event, now)
        for command in commands:
            self._obey(command)
        self._check(commands)
        return commands

    def _obey(self, command: Command) -> None:
        if isinstance(command, Release):
            assert 0 < command.seconds <= LONGEST_S
            if self.on_since is None:
                assert self.now >= self.off_since + self.rules.pulse_gap_s - 1e-9, "chatters"
                self.on_since = self.now
            self.on_until = self.now + command.seconds
            assert self.on_until <= self.on_since + self.rules.longest_s + 1e-9, "too long"
            self._must_be_wanted()
        elif isinstance(command, Lock) and self.on_since is not None:
            self._switch_off(self.now)

    def _switch_off(self, now: float) -> None:
        self.on_since = None
        self.off_since = now

    def _must_be_wanted(self) -> None:
        """Nothing is released but for somebody who asked just now, or to hold the door open."""
        if self.door.state is State.HOLD_OPEN:
            return
        assert self.now - self.asked_at <= self.asked_s + self.rules.pulse_gap_s, "for nobody"

    def _check(self, commands: list[Command]) -> None:
        door = self.door
        assert door.released == (self.on_since is not None), "it mistakes the strike"
        if door.released:
            assert door.state in RELEASING
            assert door.next_deadline is not None
            assert door.next_deadline <= self.on_until + 1e-9
        if door.next_deadline is not None:
            assert door.next_deadline > self.now, "time does not pass"
        if door.leaf_open:
            assert door.state in {*AJAR, State.FAULT}
        kinds = [type(one) for one in commands]
        if Refuse in kinds:
            assert Release not in kinds[kinds.index(Refuse) :], "refused and released"
        if Lock in kinds:
            assert Release not in kinds[: kinds.index(Lock)], "a glitch"
        if door.locked_down and door.released:
            # Somebody left by the exit button.
            assert self.now - self.asked_at <= LONGEST_S + self.rules.pulse_gap_s


def any_event(dice: random.Random) -> DoorEvent:
    makers: list[Callable[[], DoorEvent]] = [
        lambda: Granted(dice.random() < 0.3),
        Denied,
        Exit,
        lambda: Leaf(dice.random() < 0.5),
        lambda: Leaf(dice.random() < 0.5),
        Unlock,
        LockNow,
        LockDown,
        LiftLockDown,
        lambda: HoldOpen(dice.choice([-1.0, 0.0, 3.0, 100.0, math.inf, math.nan])),
        lambda: HoldOpenSchedule(dice.random() < 0.5, dice.random() < 0.5),
        lambda: Tamper(dice.random() < 0.5),
        lambda: RelayFault("no such line"),
        RelayFaultOver,
        Tick,
        Tick,
        Tick,
    ]
    return dice.choice(makers)()


def any_rules(dice: random.Random) -> DoorRules:
    return DoorRules(
        open_s=dice.choice([0.5, 5.0, 60.0]),
        extended_open_s=dice.choice([0.5, 15.0, 60.0]),
        pulse_gap_s=dice.choice([0.1, 0.5, 10.0]),
        relock=dice.choice(list(Relock)),
        held_s=dice.choice([0.0, 2.0, 30.0]),
        forced_alarm=dice.random() < 0.8,
        forced_grace_s=dice.choice([0.0, 1.0]),
        anti_tailgate=dice.random() < 0.3,
        exit_releases=dice.random() < 0.7,
        tamper_locks_down=dice.random() < 0.5,
        hold_open_longest_s=dice.choice([0.0, 200.0]),
        lock_out=LockOut(dice.choice([0, 1, 3]), 60.0, 20.0, 40.0),
    )


def any_wait(dice: random.Random, door: DoorMachine, now: float) -> float:
    deadline = door.next_deadline
    waits = [0.0, dice.uniform(0, 1), dice.uniform(0, 40), dice.uniform(0, 3000)]
    if deadline is not None:
        waits += [deadline - now, max(0.0, deadline - now - 1e-6), deadline - now + 1e-6]
    return dice.choice(waits)


BATCHES = 8


@pytest.mark.parametrize("batch", range(BATCHES))
def test_whatever_happens_the_strike_is_on_only_when_it_may_be(
    batch: int, pytestconfig: pytest.Config
) -> None:
    for number in range(batch, pytestconfig.getoption("histories"), BATCHES):
        dice = random.Random(number)
        memory = DoorMemory(dice.random() < 0.2, dice.randrange(4), dice.uniform(-5, 90), 10.0)
        leaf = dice.choice([None, False, True])
        now = dice.uniform(0, 1e6)
        watched = Watched(any_rules(dice), memory=memory, leaf_open=leaf, now=now)
        for _ in range(dice.randrange(1, 40)):
            now += any_wait(dice, watched.door, now)
            watched.handle(any_event(dice), now)
        watched.handle(ShutDown(), now)
        assert watched.on_since is None
        assert watched.door.next_deadline is None or watched.door.locked_out


def test_nobody_can_shut_staff_out_for_good(pytestconfig: pytest.Config) -> None:
    rules = DoorRules(lock_out=LockOut(denials=2, within_s=60, lasts_s=30, rest_s=60))
    for seed in range(pytestconfig.getoption("histories") // 40):
        dice = random.Random(seed)
        door, now, out_s, last = DoorMachine(rules), 0.0, 0.0, 0.0
        while now < 3600:
            now += dice.uniform(0, 10)
            if door.state is State.LOCKED_OUT:
                out_s += now - last
            last = now
            door.handle(Denied(), now)
            if dice.random() < 0.05:  # the power fails
                memory = door.memory(now).aged(dice.uniform(0, 5))
                door = DoorMachine(rules, memory=memory, now=now)
        assert out_s / now < 0.45, seed  # 30 of 90 s, and what the steps of this test blur


@pytest.mark.parametrize(("heard_at", "commands"), [(15.9, [Release(5)]), (16, []), (30, [])])
def test_a_waiting_release_is_dropped_if_nobody_can_be_waiting_any_more(
    heard_at: float, commands: list[Command]
) -> None:
    door = DoorMachine(DoorRules(open_s=5, pulse_gap_s=10))
    door.handle(Granted(), 0)
    door.handle(LockNow(), 1)
    assert door.handle(Granted(), 2) == []  # it may be released at 11
    assert door.handle(Tick(), heard_at) == commands  # the machine stood still meanwhile
    assert door.released == bool(commands)


def test_a_release_that_ends_no_later_changes_nothing() -> None:
    door = DoorMachine(DoorRules())
    assert door.handle(Granted(), 0) == [Release(5.0)]
    assert door.handle(Granted(), 0) == []


def test_the_next_release_may_begin_at_the_very_end_of_the_pause() -> None:
    door = DoorMachine(DoorRules(pulse_gap_s=0.5))
    door.handle(Granted(), 0)
    door.handle(LockNow(), 2)
    assert door.handle(Granted(), 2.5) == [Release(5.0)]


def test_no_release_is_longer_than_the_longest() -> None:
    door = DoorMachine(DoorRules(open_s=30, longest_s=20))
    assert door.handle(Granted(), 0) == [Release(20)]


@pytest.mark.parametrize(
    "events",
    [
        [Granted(), LockNow()],
        [Granted(), LockNow(), Granted(), LockNow()],
        [Granted(), Leaf(True), Leaf(False)],
        [HoldOpen(100), LockNow()],
        [Leaf(True), HoldOpen(100), Leaf(False), LockNow()],
    ],
)
def test_a_door_that_is_closed_and_locked_waits_for_nothing(events: list[DoorEvent]) -> None:
    door = DoorMachine(DoorRules(hold_open_longest_s=200), leaf_open=False)
    for event in events:
        door.handle(event, 0)
    assert door.state is State.LOCKED
    assert door.next_deadline is None


def test_a_door_that_is_held_open_is_no_alarm_to_come() -> None:
    door = DoorMachine(DoorRules(held_s=30, hold_open_longest_s=200), leaf_open=True)
    door.handle(HoldOpen(100), 10)
    assert door.next_deadline == 70


@pytest.mark.parametrize("leaf_open", [None, False, True])
def test_it_knows_from_the_start_what_the_contact_says(leaf_open: bool | None) -> None:
    door = DoorMachine(DoorRules(), leaf_open=leaf_open)
    assert door.leaf_open is leaf_open
    assert door.next_deadline == (30 if leaf_open else None)
    door.handle(Leaf(True), 1)
    assert door.leaf_open is True


def test_the_leaf_that_stands_open_at_the_start_is_watched_not_an_alarm() -> None:
    door = DoorMachine(DoorRules(held_s=30), leaf_open=True, now=5)
    assert door.state is State.OPEN
    assert door.next_deadline == 35
    assert door.handle(Tick(), 35) == [Announce(Notice.DOOR_HELD)]


def test_a_contact_that_is_stuck_open_keeps_nobody_out() -> None:
    door = DoorMachine(DoorRules(), leaf_open=True)
    for t in (10, 100, 200, 1000):
        assert Release(5.0) in door.handle(Granted(), t)


# Lock-out, lock-down and restarts


def test_what_it_remembers_goes_on_after_a_restart() -> None:
    rules = DoorRules(lock_out=LockOut(denials=2, lasts_s=30, rest_s=60))
    door = DoorMachine(rules)
    assert door.handle(Denied(), 0) == [Remember()]
    assert door.memory(0) == DoorMemory(denials=1)
    assert door.handle(Denied(), 1) == [Announce(Notice.LOCKED_OUT, "30 s"), Remember()]
    assert door.handle(Denied(), 2) == []
    assert door.handle(LockDown(), 2) == [Announce(Notice.LOCKED_DOWN), Remember()]
    assert door.handle(LockDown(), 2) == []
    memory = door.memory(11)
    assert memory == DoorMemory(locked_down=True, denials=0, locked_out_s=20, rest_s=60)
    again = DoorMachine(rules, memory=memory.aged(5), now=0)
    assert again.state is State.LOCKED_DOWN
    assert again.handle(LiftLockDown(), 1) == [
        Announce(Notice.LOCK_DOWN_ENDED),
        Remember(),
        Announce(Notice.LOCK_OUT_ENDED),
        Remember(),
    ]
    assert again.state is State.LOCKED
    assert again.memory(1) == DoorMemory(rest_s=60)
    later = DoorMachine(rules, memory=door.memory(11).aged(25), now=0)
    assert later.memory(0) == DoorMemory(locked_down=True, rest_s=55)


@pytest.mark.parametrize("seconds", [-1e9, 1e9])
def test_a_clock_that_jumps_over_a_restart_locks_nobody_out_for_longer(seconds: float) -> None:
    rules = DoorRules(lock_out=LockOut(denials=1, lasts_s=30, rest_s=60))
    memory = DoorMemory(locked_out_s=1e12, rest_s=1e12).aged(seconds)
    door = DoorMachine(rules, memory=memory, now=0)
    door.handle(Tick(), 31)
    assert door.state is State.LOCKED
    door.handle(Tick(), 91)
    assert Announce(Notice.LOCKED_OUT, "30 s") in door.handle(Denied(), 92)


def test_a_single_stranger_may_be_enough_to_lock_out() -> None:
    door = DoorMachine(DoorRules(lock_out=LockOut(denials=1)))
    assert door.handle(Denied(), 0) == [Announce(Notice.LOCKED_OUT, "30 s"), Remember()]


def test_a_lock_down_says_that_it_is_because_of_tampering() -> None:
    door = DoorMachine(DoorRules(tamper_locks_down=True))
    assert door.handle(Tamper(True), 0) == [
        Announce(Notice.TAMPER),
        Announce(Notice.LOCKED_DOWN, "tamper"),
        Remember(),
    ]


def test_lock_out_can_be_switched_off() -> None:
    door = DoorMachine(DoorRules(lock_out=LockOut(denials=0)), memory=DoorMemory(denials=9))
    for t in range(100):
        assert door.handle(Denied(), t) == []
    assert door.state is State.LOCKED


def test_old_denials_do_not_count() -> None:
    door = DoorMachine(DoorRules(lock_out=LockOut(denials=3, within_s=100)))
    for t in (0, 60, 120, 180, 240):
        door.handle(Denied(), t)
    assert door.state is State.LOCKED
    door.handle(Denied(), 270)
    assert door.state is State.LOCKED_OUT


def test_somebody_let_in_makes_the_strangers_before_them_not_count() -> None:
    door = DoorMachine(DoorRules(lock_out=LockOut(denials=2)))
    door.handle(Denied(), 0)
    assert Remember() in door.handle(Granted(), 1)
    assert Remember() not in door.handle(Granted(), 2)
    door.handle(Denied(), 3)
    assert door.memory(3).denials == 1


def test_a_fault_refuses_everybody_until_it_is_over_and_is_announced_once() -> None:
    door = DoorMachine(DoorRules())
    door.handle(Granted(), 0)
    assert door.handle(RelayFault("x"), 1) == [Lock(), Announce(Notice.RELAY_FAULT, "x")]
    assert door.handle(RelayFault("y"), 2) == [Lock()]
    for event in (Granted(), Exit(), Unlock()):
        assert door.handle(event, 3) == [Refuse(Refusal.FAULT)]
    assert door.state is State.FAULT
    assert door.handle(RelayFaultOver(), 4) == [Announce(Notice.RELAY_RECOVERED)]
    assert door.handle(RelayFaultOver(), 5) == []
    assert door.handle(Granted(), 6) == [Release(5.0)]


def test_shutting_down_locks_in_every_state() -> None:
    for events in ([], [Granted()], [LockDown()], [Leaf(True)], [Granted(), Leaf(True)]):
        door = DoorMachine(DoorRules(), leaf_open=False)
        for event in events:
            door.handle(event, 0)
        assert door.handle(ShutDown(), 1)[-1] == Lock()
        assert door.next_deadline is None


@pytest.mark.parametrize(("longest_s", "seconds"), [(0.5, 100), (200, 0.5)])
def test_a_door_may_be_held_open_for_less_than_a_second(longest_s: float, seconds: float) -> None:
    door = DoorMachine(DoorRules(hold_open_longest_s=longest_s))
    door.handle(HoldOpen(seconds), 0)
    assert door.state is State.HOLD_OPEN
    assert door.next_deadline == 0.5


def test_what_refuses_everybody_is_said_before_that_it_is_not_allowed() -> None:
    door = DoorMachine(DoorRules())
    assert door.handle(HoldOpen(100), 0) == [Refuse(Refusal.NOT_ALLOWED)]
    door.handle(LockDown(), 1)
    assert door.handle(HoldOpen(100), 2) == [Refuse(Refusal.LOCKED_DOWN)]


# The table itself


def test_the_table_names_only_what_there_is() -> None:
    for row in TABLE:
        assert not row.condition or row.condition in CONDITIONS
        assert set(row.actions.split()) <= ACTIONS.keys()
    assert {action for row in TABLE for action in row.actions.split()} == ACTIONS.keys()
    assert {row.condition for row in TABLE} - {""} == CONDITIONS.keys()
    assert {row.event for row in TABLE} >= set(TIMERS)


def test_a_row_without_a_condition_is_the_last_of_its_state_and_event() -> None:
    seen: set[tuple[State, str]] = set()
    for row in TABLE:
        assert (row.state, row.event) not in seen, "never reached"
        if not row.condition:
            seen.add((row.state, row.event))


def test_every_state_of_the_table_can_be_reached_and_left() -> None:
    states = {row.state for row in TABLE}
    assert states == {row.next for row in TABLE}
    assert states | {State.LOCKED_DOWN, State.LOCKED_OUT, State.FAULT} == set(State)
    for state in states:
        assert [row for row in TABLE if row.state is state and row.next is not state]


def test_a_release_is_in_force_only_where_the_table_lets_it_begin() -> None:
    for row in TABLE:
        if {"release", "pulse"} & {*row.actions.split()}:
            assert row.next in RELEASING
        if row.next not in RELEASING and row.state in RELEASING:
            assert "lock" in row.actions.split()


def test_what_happens_at_the_door_is_published_under_its_name() -> None:
    assert {notice.value for notice in Notice} <= {kind.value for kind in EventType}


def test_an_event_that_a_state_does_not_name_changes_nothing() -> None:
    transitions = Transitions(DoorRules(), None, 0.0)
    transitions.step("held_due", 1.0)
    assert transitions.state is State.LOCKED
    assert transitions.commands == []


class TestWhatOutlivesAService:
    """An order of the owner stands, over a reload and over a crash."""

    def test_an_order_to_lock_in_open_hours_outlives_a_restart(self) -> None:
        door = DoorMachine(DoorRules())
        door.handle(HoldOpenSchedule(True, first_grant=False), 0.0)
        assert Remember() in door.handle(LockNow(stands_s=3600.0), 10.0)
        again = DoorMachine(DoorRules(), memory=door.memory(20.0), now=0.0)
        assert again.handle(HoldOpenSchedule(True, first_grant=False), 1.0) == []
        assert again.state is State.LOCKED
        # With the first grant neither, until the hours have begun anew.
        again.handle(HoldOpenSchedule(True, first_grant=True), 2.0)
        again.handle(Granted(), 3.0)
        assert again.state is State.UNLOCKING
        assert Remember() in again.handle(HoldOpenSchedule(False), 100.0)
        again.handle(HoldOpenSchedule(True, first_grant=False), 200.0)
        assert again.state is State.HOLD_OPEN

    def test_it_ends_with_the_hours_and_with_another_order(self) -> None:
        for ends in (HoldOpen(60.0), None):
            door = DoorMachine(DoorRules(hold_open_longest_s=100.0))
            door.handle(LockNow(stands_s=10.0), 0.0)
            if ends is not None:
                door.handle(ends, 1.0)
                assert door.state is State.HOLD_OPEN
                door.handle(LockNow(), 2.0)
            assert door.memory(11.0).bolted_s == 0.0
            door.handle(HoldOpenSchedule(True, first_grant=False), 11.0)
            assert door.state is State.HOLD_OPEN

    def test_a_lock_down_that_was_lifted_leaves_the_door_to_those_who_come(self) -> None:
        door = DoorMachine(DoorRules())
        door.handle(HoldOpenSchedule(True, first_grant=False), 0.0)
        door.handle(LockDown(stands_s=3600.0), 1.0)
        door.handle(LiftLockDown(), 2.0)
        again = DoorMachine(DoorRules(), memory=door.memory(3.0), now=0.0)
        again.handle(HoldOpenSchedule(True, first_grant=False), 1.0)
        assert again.state is State.LOCKED

    def test_whoever_was_let_in_stays_let_in_for_the_rest_of_the_time(self) -> None:
        door = DoorMachine(DoorRules(open_s=5.0))
        door.handle(Granted(), 0.0)
        left = door.memory(2.0, successor=True)
        assert left.released_s == pytest.approx(3.0)
        assert door.memory(2.0).released_s == 0.0, "a restart opens nothing"
        again = DoorMachine(DoorRules(), memory=left, now=10.0)
        assert again.handle(Resume(left.released_s, left.held_s), 10.0) == [Release(3.0)]
        assert again.state is State.UNLOCKING

    @pytest.mark.parametrize("until", [60.0, math.inf])
    def test_a_door_that_is_held_open_stays_so(self, until: float) -> None:
        door = DoorMachine(DoorRules(hold_open_longest_s=100.0))
        if until < math.inf:
            door.handle(HoldOpen(until), 0.0)
        else:
            door.handle(HoldOpenSchedule(True, first_grant=False), 0.0)
        left = door.memory(20.0, successor=True)
        again = DoorMachine(DoorRules(hold_open_longest_s=100.0), memory=left, now=0.0)
        again.handle(Resume(left.released_s, left.held_s), 0.0)
        assert again.state is State.HOLD_OPEN
        if until < math.inf:
            again.handle(Tick(), 40.1)
            assert again.state is State.LOCKED

    def test_nothing_goes_on_through_a_lock_down_or_a_fault(self) -> None:
        locked = DoorMachine(DoorRules(), memory=DoorMemory(locked_down=True))
        assert Release(3.0) not in locked.handle(Resume(3.0), 0.0)
        failing = DoorMachine(DoorRules())
        failing.handle(RelayFault("x"), 0.0)
        assert not [
            one for one in failing.handle(Resume(3.0, 60.0), 1.0) if isinstance(one, Release)
        ]

    def test_a_release_that_goes_on_is_no_longer_than_any(self) -> None:
        door = DoorMachine(DoorRules(longest_s=20.0))
        assert door.handle(Resume(3600.0), 0.0) == [Release(20.0)]
