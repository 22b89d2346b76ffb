"""The door's decisions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.door.machine import DoorMachine, DoorRules, Lock, Release, State

RULES = DoorRules(open_s=5.0, longest_s=12.0)


def test_a_grant_releases_the_strike_for_its_time() -> None:
    door = DoorMachine(RULES)
    assert door.state is State.LOCKED
    assert door.granted(100.0) == [Release(5.0)]
    assert door.state is State.OPEN
    assert door.next_deadline == 105.0


def test_it_locks_at_the_deadline_and_not_before() -> None:
    door = DoorMachine(RULES)
    door.granted(100.0)
    assert door.tick(104.999) == []
    assert door.tick(105.0) == [Lock()]
    assert door.state is State.LOCKED
    assert door.tick(106.0) == []


def test_somebody_else_recognised_meanwhile_gets_their_full_time() -> None:
    door = DoorMachine(RULES)
    door.granted(100.0)
    assert door.granted(104.0) == [Release(5.0)]
    assert door.next_deadline == 109.0


def test_grant_after_grant_never_keeps_it_open_longer_than_the_longest() -> None:
    door = DoorMachine(RULES)
    for t in (100.0, 104.0, 108.0):
        door.granted(t)
    assert door.next_deadline == 112.0
    assert door.granted(111.0) == []
    assert door.tick(112.0) == [Lock()]
    assert door.granted(112.5) == [Release(5.0)]


def test_a_grant_after_a_missed_deadline_locks_first() -> None:
    door = DoorMachine(RULES)
    door.granted(100.0)
    assert door.granted(200.0) == [Lock(), Release(5.0)]
    assert door.next_deadline == 205.0


def test_shutting_down_locks_in_every_state() -> None:
    door = DoorMachine(RULES)
    assert door.shut_down() == [Lock()]
    door.granted(0.0)
    assert door.shut_down() == [Lock()]
    assert door.next_deadline is None


@settings(max_examples=500)
@given(steps=st.lists(st.tuples(st.sampled_from(["grant", "tick"]), st.floats(0, 20)), max_size=40))
def test_it_is_never_open_without_a_grant_or_beyond_its_limits(steps) -> None:  # type: ignore[no-untyped-def]
    door = DoorMachine(RULES)
    now, opened, granted = 0.0, None, []
    for kind, wait in steps:
        now += wait
        if kind == "grant":
            granted.append(now)
        for command in door.granted(now) if kind == "grant" else door.tick(now):
            if isinstance(command, Release):
                assert granted
                assert granted[-1] == now
                assert 0 < command.seconds <= RULES.open_s
                opened = now if opened is None else opened
                assert now + command.seconds <= opened + RULES.longest_s + 1e-9
            else:
                opened = None
        assert (door.next_deadline is not None) == (door.state is State.OPEN)
        if door.next_deadline is not None:
            assert opened is not None
            assert now <= door.next_deadline <= now + RULES.open_s + 1e-9
        else:
            assert opened is None


def test_the_table_in_the_module_names_every_state() -> None:
    import lockd.door.machine as module

    assert all(state.name in (module.__doc__ or "") for state in State)


@pytest.mark.parametrize("state", list(State))
def test_states_are_published_in_the_words_of_home_assistant(state: State) -> None:
    assert state.value in {"LOCKED", "UNLOCKED"}
