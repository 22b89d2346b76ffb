"""Carries out what the door's state machine decides, and tells of it.

The strike comes first, then everybody else. Everything here runs in the service's own
thread; inputs and commands are put into queues by others and heard in `Service.step`.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lockd.adapters.strike import Strike
from lockd.clock import Clock
from lockd.config import Settings
from lockd.door import events
from lockd.door.events import DoorEvent, DoorMemory, State
from lockd.door.machine import DoorMachine
from lockd.door.rules import Admitted, Refused
from lockd.errors import PinError
from lockd.identity.evidence import Recognised
from lockd.messages import EventType
from lockd.ports import Emit, Indicator, Inputs, LocalTime
from lockd.remote.commands import DOOR
from lockd.types import Input, InputChange, Signal

log = logging.getLogger(__name__)

OK = "ok"
_LOOK_AROUND_S = 1.0
_FAULT_REST_S = 5.0
_LONGEST_HOURS = 7 * 24 * 60  # minutes
_ALARMS = frozenset({State.HELD, State.FORCED})


class DoorController:
    """One door: its machine, strike, inputs and signals.

    Attributes:
        asking: what somebody is asked to do just now.
        bolts: how often it was ordered to lock, or locked down for another reason.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        strike: Strike,
        emit: Emit,
        wall: LocalTime,
        keep: Callable[[DoorMemory], None],
        inputs: Inputs | None = None,
        indicators: Sequence[Indicator] = (),
        memory: DoorMemory | None = None,
        resumed: bool = False,
    ) -> None:
        """Take over a strike that is locked.

        Args:
            emit: takes what happened, after the strike was served.
            wall: the local time, while it is known to be right.
            keep: called with what a restart must know, whenever that changed.
            inputs: exit button, contact and tamper switch, if any is wired.
            indicators: LED and buzzer, and whatever else shows how things are.
            memory: what the last run left.
            resumed: whether it was this process's, a moment ago.
        """
        self._clock = clock
        self._strike = strike
        self._emit = emit
        self._wall = wall
        self._keep = keep
        self._inputs = inputs
        self._indicators = indicators
        self._access = settings.access.rules()
        hold_open = settings.access.hold_open
        self._first_grant = hold_open is None or hold_open.after_first_grant
        self.asking: Signal | None = None
        self._refused: deque[tuple[int, str, str]] = deque(maxlen=64)
        self._scheduled: bool | None = None
        self._shown: Signal | None = None
        self._looked_at = -math.inf
        self._fault_since = -math.inf
        self.bolts = 0
        levels = self._levels()
        # Whoever leans on it while lockd starts has not asked for anything; who does while one
        # service gives way to another, has.
        self._exit_pressed = levels.get(Input.EXIT, False) and not resumed
        self._machine = DoorMachine(
            settings.door.rules(),
            memory=memory,
            leaf_open=levels.get(Input.CONTACT),
            now=clock.now(),
        )
        if memory is not None and (memory.released_s > 0 or memory.held_s > 0):
            self._hear(events.Resume(memory.released_s, memory.held_s))

    @property
    def state(self) -> State:
        """What the door is doing."""
        return self._machine.state

    @property
    def leaf_open(self) -> bool | None:
        """What the door contact says, None without one."""
        return self._machine.leaf_open

    @property
    def next_deadline(self) -> float | None:
        """When `pass_time` has something to do, or None."""
        return self._machine.next_deadline

    @property
    def closing(self) -> bool:
        """Whether it is released, and will be locked when its time is over."""
        return self._machine.released and self.state is not State.HOLD_OPEN

    @property
    def published(self) -> dict[str, Any]:
        """What is published of it: words and flags."""
        machine, state = self._machine, self.state
        lock = "UNLOCKED" if self._strike.is_on else "LOCKED"
        values = {
            "lock": "JAMMED" if state is State.FAULT else lock,
            "state": state.value,
            "locked_down": machine.locked_down,
            "locked_out": machine.locked_out,
            "tamper": machine.tampered,
            "alarm": state.value if state in _ALARMS else "none",
        }
        if machine.leaf_open is not None:
            values["door"] = "open" if machine.leaf_open else "closed"
        return values

    @property
    def clock_problem(self) -> str | None:
        """Why the time was not known when last asked, if the rules of the door depend on it."""
        return self._wall.problem if self._access.timed else None

    def recall(self, memory: DoorMemory) -> None:
        """Take over what an earlier run left, where it could be read only now."""
        if memory.locked_down:
            self._hear(events.LockDown())

    def pass_time(self, now: float) -> None:
        """Act on what fell due up to now, at the time it did; then look around."""
        while (deadline := self._machine.next_deadline) is not None and deadline <= now:
            self._clock.advance(deadline)
            self._hear(events.Tick(), deadline)
        self._clock.advance(now)
        if now - self._looked_at >= _LOOK_AROUND_S:
            self._looked_at = now
            self._look_around(now)

    def refuses(self, one: Recognised) -> str | None:
        """Return why somebody would not be let in whatever they show, or None."""
        admission = self._admission(one)
        return admission if isinstance(admission, str) else None

    def recognised(self, one: Recognised, proof: str = "face") -> bool:
        """Let somebody in, or say why not; return whether they were let in.

        Args:
            proof: what they have shown.
        """
        admission = self._admission(one)
        reason = (
            admission
            if isinstance(admission, str)
            else self._hear(events.Granted(admission.extended))
        )
        if reason is not None:
            self.deny(one, reason)
            return False
        self._show(Signal.GRANTED, one.person.name)
        self._emit(EventType.ACCESS_GRANTED, proof=proof, **_details(one))
        return True

    def challenged(self, one: Recognised) -> None:
        """Tell that somebody is asked to turn their head."""
        self._emit(EventType.CHALLENGE_STARTED, **_details(one))

    def suspect(self, one: Recognised, reason: str) -> None:
        """Somebody may be a picture of whom they look like: tell of it; it is a denial, too."""
        self._show(Signal.DENIED, one.person.name)
        self._emit(EventType.SPOOF_SUSPECTED, reason=reason, **_details(one))
        self._hear(events.Denied())

    def wrong_factor(self, one: Recognised | None, kind: str) -> None:
        """Somebody recognised, or nobody known, gave a wrong PIN or card: that is a denial."""
        self._show(Signal.DENIED, None if one is None else one.person.name)
        self._emit(EventType.FACTOR_REFUSED, reason=kind, **(_details(one) if one else {}))
        self._hear(events.Denied())

    def stranger(self, *, again: bool = False) -> None:
        """Somebody nobody enrolled was here; the same one again counts towards no lock-out."""
        self._show(Signal.DENIED)
        if not again:
            self._hear(events.Denied())

    def changed(self, change: InputChange) -> None:
        """Hear an input."""
        match change.input:
            case Input.EXIT if change.active != self._exit_pressed:
                self._exit_pressed = change.active
                if change.active:
                    reason = self._hear(events.Exit())
                    self._emit(EventType.EXIT_REQUESTED, reason=reason)
            case Input.CONTACT:
                self._hear(events.Leaf(change.active))
            case Input.TAMPER:
                self._hear(events.Tamper(change.active))

    def command(self, name: str, seconds: float, by: str, *, told: bool = True) -> str:
        """Carry out a command of `lockd.remote.commands.DOOR`; return `OK` or why not.

        Args:
            told: whether it is an event.
        """
        event = DOOR[name](seconds)
        if isinstance(event, events.LockNow | events.LockDown):
            event = replace(event, stands_s=self._hours_left())
        result = self._hear(event) or OK
        if told:
            self._emit(EventType.COMMAND, command=name, by=by, result=result)
        return result

    def successor(self) -> DoorMemory:
        """Return what a service needs to go on with that takes this one's place."""
        return self._machine.memory(self._clock.now(), successor=True)

    def show(self, *, faces: bool) -> None:
        """Let the LED show how things are."""
        state = self.state
        if state is State.FAULT:
            standing = Signal.FAULT
        elif state in _ALARMS or self._machine.tampered:
            standing = Signal.ALARM
        elif self._machine.locked_down:
            standing = Signal.LOCKED_DOWN
        elif self.asking is not None:
            standing = self.asking
        else:
            standing = Signal.LOOKING if faces else Signal.IDLE
        if standing is not self._shown:
            self._shown = standing
            self._show(standing)

    def shut_down(self) -> None:
        """Lock for good."""
        self._hear(events.ShutDown())

    def _admission(self, one: Recognised) -> Admitted | str:
        if one.barred:
            return events.Refusal.LOCKED_OUT.value
        admission = self._access.admits(one.person, self._wall.local())
        return admission.reason.value if isinstance(admission, Refused) else admission

    def _hear(self, event: DoorEvent, now: float | None = None) -> str | None:
        """Tell the machine, and carry out what it says; return why it refused, if it did."""
        now = self._clock.now() if now is None else now
        open_before = not self._machine.locked_down
        commands = self._machine.handle(event, now)
        ordered = isinstance(event, events.LockNow | events.LockDown)
        if ordered or (open_before and self._machine.locked_down):
            self.bolts += 1
        problem = self._serve_strike(commands)
        reason = None
        for command in commands:
            match command:
                case events.Refuse(why):
                    reason = why.value
                case events.Announce(notice, why):
                    self._emit(EventType(notice.value), reason=why)
                case events.Remember():
                    self._keep(self._machine.memory(now))
        if problem is None:
            return reason
        if self._machine.fault is None:
            self._fail(problem, now)
        return reason or State.FAULT.value

    def _fail(self, problem: str, now: float) -> None:
        self._fault_since = now
        self._hear(events.RelayFault(problem), now)

    def _serve_strike(self, commands: list[events.Command]) -> str | None:
        """Carry out what concerns the strike; return what went wrong, if something did."""
        problem = None
        for command in commands:
            try:
                if isinstance(command, events.Release):
                    self._strike.release(command.seconds)
                elif isinstance(command, events.Lock):
                    self._strike.lock()
                    problem = problem or self._disobedience()
            except PinError as error:
                log.critical("%s", error)
                problem = str(error)
        return problem

    def _disobedience(self) -> str | None:
        return None if self._strike.obeys else "the relay cannot be switched off"

    def deny(self, one: Recognised, reason: str) -> None:
        """Tell, once a visit and reason, that somebody enrolled was not let in."""
        case = (one.visit, one.person.id, reason)
        if case not in self._refused:
            self._refused.append(case)
            self._show(Signal.DENIED, one.person.name)
            self._emit(EventType.ACCESS_DENIED, reason=reason, **_details(one))

    def _look_around(self, now: float) -> None:
        """Hear what may have been missed: an edge, the schedule, a relay that obeys again."""
        levels = self._levels()
        if Input.EXIT in levels and levels[Input.EXIT] != self._exit_pressed:
            self.changed(InputChange(Input.EXIT, levels[Input.EXIT]))
        if Input.CONTACT in levels:
            self._hear(events.Leaf(levels[Input.CONTACT]))
        if Input.TAMPER in levels:
            self._hear(events.Tamper(levels[Input.TAMPER]))
        local = self._wall.local()
        scheduled = self._access.holds_open(local)
        # Not known at the start is not over: an order to lock stands.
        if scheduled != self._scheduled and not (local is None and self._scheduled is None):
            self._scheduled = scheduled
            self._hear(events.HoldOpenSchedule(scheduled, self._first_grant))
        self._look_at_relay(now)

    def _look_at_relay(self, now: float) -> None:
        """Notice that the guard could not switch off, and that a relay obeys again."""
        problem = self._disobedience()
        if self._machine.fault is None:
            if problem is not None:
                self._fail(problem, now)
        elif now - self._fault_since >= _FAULT_REST_S:
            self._strike.lock()
            if self._strike.obeys:
                self._hear(events.RelayFaultOver())

    def _hours_left(self) -> float:
        """How much longer the hours last that hold the door open now, in seconds, to a minute."""
        local, minutes = self._wall.local(), 0
        if local is None or not self._access.holds_open(local):
            return 0.0
        while minutes < _LONGEST_HOURS and self._access.holds_open(local):
            local, minutes = local + timedelta(minutes=1), minutes + 1
        return minutes * 60.0

    def _levels(self) -> dict[Input, bool]:
        if self._inputs is None:
            return {}
        try:
            return self._inputs.levels()
        except PinError as error:
            log.error("%s", error)
            return {}

    def _show(self, signal: Signal, name: str | None = None) -> None:
        for one in self._indicators:
            one.show(signal, name)


def _details(one: Recognised) -> dict[str, Any]:
    return {
        "person": one.person.name,
        "person_id": one.person.id,
        "visit": one.visit or None,
        "similarity": one.similarity if one.visit else None,
    }
