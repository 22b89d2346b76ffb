"""The door's keeper: what the machine decides, carried out on a strike, inputs and lights."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from lockd.adapters.strike import Strike
from lockd.clock import RecordedClock
from lockd.config import parse
from lockd.door.events import DoorMemory, State
from lockd.errors import PinError
from lockd.identity.evidence import Recognised
from lockd.messages import EventType
from lockd.remote.commands import DOOR
from lockd.service.door_controller import DoorController
from lockd.types import Input, InputChange, Person, Signal
from tests.fakes import ADA, FixedTime, RecordingOutput

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=BERLIN)
HOURS = {"groups": {"staff": {"hours": {"mon-fri": ["08:00-18:00"]}}}, "default_group": "staff"}


class Keeping:
    """A doorkeeper with everything around it."""

    def __init__(
        self,
        memory: DoorMemory | None = None,
        held: dict[Input, bool] | None = None,
        **sections: Any,
    ) -> None:
        self.output = RecordingOutput()
        self.clock = RecordedClock()
        self.strike = Strike(self.output, self.clock.now, machine=lambda: 0.0)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.kept: list[DoorMemory] = []
        self.shown: list[Signal] = []
        self.names: list[str | None] = []
        self.active: dict[Input, bool] = held or {}
        self.unreadable = False
        self.hear: Callable[[str], None] = lambda kind: None
        self.wall = FixedTime(MONDAY_NOON)
        self.settings = parse(yaml.safe_dump(sections))
        self.keeper = DoorController(
            self.settings,
            clock=self.clock,
            strike=self.strike,
            emit=self._emit,
            wall=self.wall,
            keep=self.kept.append,
            inputs=self,
            indicators=[self],
            memory=memory,
        )

    def _emit(self, kind: EventType, **details: Any) -> None:
        self.hear(kind.value)
        self.told.append((kind.value, {name: one for name, one in details.items() if one}))

    def levels(self) -> dict[Input, bool]:
        if self.unreadable:
            raise PinError("the inputs cannot be read")
        return dict(self.active)

    def show(self, signal: Signal, name: str | None = None) -> None:
        self.shown.append(signal)
        self.names.append(name)

    def silence(self, seconds: float) -> None:
        raise AssertionError("nobody asked for it")

    def at(self, t: float) -> DoorController:
        self.keeper.pass_time(t)
        return self.keeper

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]


@pytest.fixture
def keeping() -> Any:
    made: list[Keeping] = []

    def make(
        memory: DoorMemory | None = None, held: dict[Input, bool] | None = None, **sections: Any
    ) -> Keeping:
        made.append(Keeping(memory, held, **sections))
        return made[-1]

    yield make
    for one in made:
        one.strike.close()


def ada(visit: int = 1, person: Person = ADA) -> Recognised:
    return Recognised(visit, person, 0.9)


def test_the_strike_comes_before_the_news(keeping: Any) -> None:
    one = keeping()
    order: list[str] = one.output.log
    one.hear = order.append
    assert one.at(1.0).recognised(ada())
    assert order == ["on", "access_granted"]


def test_it_locks_when_the_time_is_over(keeping: Any) -> None:
    one = keeping()
    one.at(1.0).recognised(ada())
    assert one.keeper.next_deadline == 6.0
    one.at(6.0)
    assert one.output.log[:2] == ["on", "off"]


def test_who_may_not_come_in_now_is_told_once_a_visit_and_reason(keeping: Any) -> None:
    one = keeping(access=HOURS)
    one.wall.time = MONDAY_NOON.replace(hour=19)
    for _ in range(5):
        assert not one.at(1.0).recognised(ada(visit=1))
    one.keeper.recognised(ada(visit=2))
    one.wall.time = None
    one.keeper.recognised(ada(visit=2))
    assert [details["reason"] for _, details in one.told] == [
        "outside_hours",
        "outside_hours",
        "clock_unknown",
    ]
    assert one.kinds() == ["access_denied"] * 3
    assert one.told[0][1]["person"] == "Ada Lovelace"
    assert one.output.log == []
    one.wall.time = MONDAY_NOON
    assert one.keeper.recognised(ada(visit=2))


def test_groups_that_need_longer_get_it(keeping: Any) -> None:
    one = keeping(access={"groups": {"slow": {"hours": "always", "extended": True}}})
    one.at(0.0).recognised(ada(person=Person("9", "Zoë", frozenset({"slow"}))))
    assert one.keeper.next_deadline == 15.0


def test_lock_out_is_kept_and_told_after_the_stranger(keeping: Any) -> None:
    one = keeping(door={"lock_out": {"denials": 2}})
    one.at(0.0).stranger()
    one.at(1.0).stranger()
    assert one.kinds() == ["locked_out"]
    assert one.kept == [DoorMemory(denials=1), DoorMemory(locked_out_s=30, rest_s=60)]
    assert not one.at(2.0).recognised(ada())
    assert one.told[-1][1]["reason"] == "locked_out"
    one.at(31.0)
    assert one.keeper.recognised(ada())


def test_what_was_remembered_counts(keeping: Any) -> None:
    one = keeping(DoorMemory(locked_down=True))
    assert one.keeper.state is State.LOCKED_DOWN
    assert not one.at(1.0).recognised(ada())


def test_a_lock_down_that_could_be_read_only_later_counts_then(keeping: Any) -> None:
    one = keeping()
    one.at(0.0).recall(DoorMemory(locked_down=True))
    assert one.keeper.state is State.LOCKED_DOWN


# Inputs


def test_the_exit_button_releases_and_is_told(keeping: Any) -> None:
    one = keeping()
    one.at(1.0).changed(InputChange(Input.EXIT, True))
    one.keeper.changed(InputChange(Input.EXIT, False))
    assert one.output.log == ["on"]
    assert one.told == [("exit_requested", {})]


def test_the_contact_is_heard_by_its_edges_and_by_its_level(keeping: Any) -> None:
    one = keeping()
    one.active = {Input.CONTACT: False}
    one.at(0.0)
    one.keeper.changed(InputChange(Input.CONTACT, True))
    assert one.kinds() == ["door_forced"]
    one.active = {Input.CONTACT: False}  # the edge was missed
    one.at(1.0)
    assert one.kinds() == ["door_forced", "door_closed"]
    assert one.keeper.leaf_open is False


def test_a_box_that_is_open_already_at_the_start_is_told(keeping: Any) -> None:
    one = keeping()
    one.active = {Input.TAMPER: True}
    one.at(0.0)
    one.at(5.0)
    assert one.kinds() == ["tamper"]
    one.keeper.changed(InputChange(Input.TAMPER, False))
    assert one.kinds() == ["tamper", "tamper_ended"]


def test_inputs_that_cannot_be_read_do_not_keep_people_out(keeping: Any) -> None:
    one = keeping()
    one.unreadable = True
    assert one.at(5.0).recognised(ada())


# The relay


def test_a_relay_that_fails_refuses_everybody_until_it_obeys(keeping: Any) -> None:
    one = keeping()
    one.output.on_fails = True
    assert not one.at(0.0).recognised(ada())
    assert one.kinds() == ["relay_fault", "access_denied"]
    assert "cannot be switched on" in one.told[0][1]["reason"]
    assert one.keeper.state is State.FAULT
    one.output.on_fails = False
    one.at(4.0)
    assert one.keeper.state is State.FAULT
    one.at(5.0)
    assert one.kinds()[-1] == "relay_recovered"
    assert one.keeper.recognised(ada())
    assert one.output.log[-1] == "on"


def test_a_relay_that_does_not_switch_off_stays_a_fault(keeping: Any) -> None:
    one = keeping()
    one.at(0.0).recognised(ada())
    one.output.off_failures = 10**9
    one.at(5.0)
    one.at(6.0)
    assert one.keeper.state is State.FAULT
    assert one.kinds() == ["access_granted", "relay_fault"]
    one.at(20.0)
    assert one.keeper.state is State.FAULT
    one.output.off_failures = 0
    one.at(30.0)
    one.at(31.0)
    assert one.keeper.state is State.LOCKED
    assert one.kinds()[-1] == "relay_recovered"


# Commands and the schedule


@pytest.mark.parametrize("name", list(DOOR))
def test_every_command_is_told_with_who_gave_it(keeping: Any, name: str) -> None:
    one = keeping(door={"hold_open_longest_s": 100})
    assert one.at(0.0).command(name, 20.0, "root") == "ok"
    expected = {"command": name, "by": "root", "result": "ok"}
    assert one.told[-1] == ("command", expected)


def test_a_command_that_is_refused_says_why(keeping: Any) -> None:
    one = keeping()
    assert one.at(0.0).command("hold-open", 20.0, "root") == "not_allowed"
    one.keeper.command("lock-down", 0.0, "root")
    assert one.keeper.command("unlock", 0.0, "root") == "locked_down"
    assert one.output.log == []


def test_the_schedule_holds_the_door_open_and_lets_go(keeping: Any) -> None:
    hold = {"hours": {"mon-fri": ["12:00-12:01"]}, "after_first_grant": False}
    one = keeping(access={"hold_open": hold})
    for t in range(0, 130):
        one.wall.time = MONDAY_NOON + timedelta(seconds=t)
        one.at(float(t))
    assert one.kinds() == ["hold_open_started", "hold_open_ended"]
    assert one.output.log[:2] == ["on", "off"]
    assert not one.strike.is_on


def test_a_schedule_whose_clock_is_lost_lets_go(keeping: Any) -> None:
    hold = {"hours": {"mon-fri": ["08:00-18:00"]}, "after_first_grant": False}
    one = keeping(access={"hold_open": hold})
    one.at(0.0)
    assert one.strike.is_on
    assert one.keeper.clock_problem is None
    one.wall.time = None
    one.at(2.0)
    assert not one.strike.is_on
    assert one.keeper.clock_problem == "no time"


def test_without_rules_that_need_it_nobody_misses_the_time(keeping: Any) -> None:
    one = keeping()
    one.wall.time = None
    one.at(5.0)
    assert one.keeper.clock_problem is None
    assert one.keeper.recognised(ada())


# Lights


def test_the_light_shows_how_things_are(keeping: Any) -> None:
    one = keeping()
    one.active = {Input.CONTACT: False}
    one.at(0.0).show(faces=False)
    one.keeper.show(faces=True)
    one.keeper.show(faces=True)
    one.keeper.recognised(ada())
    one.keeper.stranger()
    one.keeper.show(faces=False)
    one.keeper.command("lock-down", 0.0, "root")
    one.keeper.show(faces=True)
    one.active = {Input.CONTACT: True}
    one.at(40.0).show(faces=True)
    assert one.shown == [
        Signal.IDLE,
        Signal.LOOKING,
        Signal.GRANTED,
        Signal.DENIED,
        Signal.IDLE,
        Signal.LOCKED_DOWN,
        Signal.ALARM,
    ]


def test_being_shut_down_locks(keeping: Any) -> None:
    one = keeping()
    one.at(0.0).recognised(ada())
    one.keeper.shut_down()
    assert one.output.log[:2] == ["on", "off"]
    assert not one.keeper.closing


def test_an_exit_button_whose_edge_was_missed_is_heard_within_a_second(keeping: Any) -> None:
    one = keeping()
    one.at(1.0)
    one.active = {Input.EXIT: True}
    one.at(1.5)
    assert one.output.log == []
    one.at(2.1)
    assert one.output.log == ["on"]
    one.at(3.2)
    assert one.kinds().count("exit_requested") == 1, "held down, it is one press"
    one.active = {Input.EXIT: False}
    one.at(4.3)
    one.active = {Input.EXIT: True}
    one.at(5.4)
    assert one.kinds().count("exit_requested") == 2


def test_a_press_that_was_heard_is_not_heard_again(keeping: Any) -> None:
    one = keeping()
    one.active = {Input.EXIT: True}
    one.at(1.0).changed(InputChange(Input.EXIT, True))
    one.at(2.5)
    assert one.kinds().count("exit_requested") == 1


def test_a_button_that_is_stuck_at_the_start_opens_nothing(keeping: Any) -> None:
    one = keeping(held={Input.EXIT: True})
    for t in range(1, 9):
        one.at(float(t))
    assert one.output.log == []
