"""The door's decisions: a state machine with no camera, clock, pin or broker.

Two questions are asked apart. *May it be released?* is answered here, by
`DoorMachine._refusal`. *What do the leaf and the strike do?* is answered by the table in
`lockd.door.transitions`.

Feed `handle` with events and the monotonic time they happened, carry out the commands it
returns, in order, and ask `next_deadline` when it wants to hear of the time again.
"""

from __future__ import annotations

import math

from lockd.door.events import (
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
    Notice,
    Refusal,
    Refuse,
    RelayFault,
    RelayFaultOver,
    Release,
    Remember,
    Resume,
    ShutDown,
    State,
    Tamper,
    Tick,
    Unlock,
)
from lockd.door.lockout import Denials
from lockd.door.transitions import Transitions


class DoorMachine:
    """One door.

    Attributes:
        locked_down: whether nobody may come in until that is lifted.
        fault: why the relay cannot be trusted, or None.
        tampered: whether the tamper switch says so.
    """

    def __init__(
        self,
        rules: DoorRules,
        *,
        memory: DoorMemory | None = None,
        leaf_open: bool | None = None,
        now: float = 0.0,
    ) -> None:
        """Begin locked.

        Args:
            memory: what the last run left, as old as it is by now.
            leaf_open: what the door contact says; None without one. A door that stands open
                is nobody's fault yet: it is an alarm after `held_s`.
        """
        memory = memory or DoorMemory()
        self._rules = rules
        self._transitions = Transitions(rules, leaf_open, now)
        self._denials = Denials(rules.lock_out, memory, now)
        self._awaits_grant = False
        self._bolted_until = now + memory.bolted_s
        self.locked_down = memory.locked_down
        self.fault: str | None = None
        self.tampered = False

    @property
    def state(self) -> State:
        """What the door is doing; what keeps people out shows only while it is locked."""
        if self.fault is not None:
            return State.FAULT
        if self._transitions.state is not State.LOCKED:
            return self._transitions.state
        if self.locked_down:
            return State.LOCKED_DOWN
        return State.LOCKED if self._denials.until is None else State.LOCKED_OUT

    @property
    def locked_out(self) -> bool:
        """Whether nobody is let in by face for a while."""
        return self._denials.until is not None

    @property
    def leaf_open(self) -> bool | None:
        """What the door contact says, None without one."""
        return self._transitions.leaf_open

    @property
    def released(self) -> bool:
        """Whether a release is in force."""
        return self._transitions.released

    @property
    def next_deadline(self) -> float | None:
        """When it wants to hear `Tick`, or None if time changes nothing."""
        due = [*self._transitions.deadlines.values(), self._denials.until]
        return min((one for one in due if one is not None), default=None)

    def memory(self, now: float, *, successor: bool = False) -> DoorMemory:
        """Return what a restart must know, or all that a successor goes on with."""
        more = self._under_way(now) if successor else {}
        bolted_s = max(0.0, self._bolted_until - now)
        return self._denials.memory(now, locked_down=self.locked_down, bolted_s=bolted_s, **more)

    def _under_way(self, now: float) -> dict[str, float]:
        """For how much longer it is released, or held open."""
        if self._transitions.state is State.HOLD_OPEN:
            return {"held_s": self._transitions.deadlines.get("hold_over", math.inf) - now}
        due = self._transitions.deadlines.get("release_over", now)
        return {"released_s": max(0.0, due - now) if self.released else 0.0}

    def handle(self, event: DoorEvent, now: float) -> list[Command]:
        """Take an event, and whatever fell due before it; return what is to be done.

        Args:
            now: when, monotonic seconds, never less than the last time.
        """
        self._transitions.commands = []
        self._transitions.pass_time(now)
        if self._denials.until is not None and self._denials.until <= now:
            self._end_lock_out(now)
        self._take(event, now)
        return _without_glitches(self._transitions.commands)

    def _take(self, event: DoorEvent, now: float) -> None:  # noqa: PLR0912  # one line an event
        rules, transitions = self._rules, self._transitions
        match event:
            case Granted(extended):
                self._grant(rules.extended_open_s if extended else rules.open_s, now)
            case Unlock():
                self._ask(event, rules.open_s, now)
            case Exit() if rules.exit_releases:
                self._ask(event, rules.open_s, now)
            case Exit():
                transitions.expected_until = now + rules.open_s
            case Denied():
                self._deny(now)
            case Leaf(is_open):
                transitions.leaf(is_open, now)
            case LockNow(stands_s):
                self._bolt(now)
                self._bar_schedule(stands_s, now)
            case LockDown(stands_s):
                self._bar_schedule(stands_s, now)
                self._lock_down(None, now)
            case LiftLockDown():
                self._lift(now)
            case HoldOpen(seconds):
                self._hold_by_command(event, seconds, now)
            case HoldOpenSchedule(is_open, first_grant):
                self._schedule(event, is_open, first_grant, now)
            case Resume(released_s, held_s):
                self._resume(event, released_s, held_s, now)
            case Tamper(active):
                self._tamper(active, now)
            case RelayFault(reason):
                self._fail(reason, now)
            case RelayFaultOver():
                self._recover()
            case ShutDown():
                self._lock_surely(now)
                transitions.deadlines.clear()
            case Tick():
                pass

    def _refusal(self, event: DoorEvent) -> Refusal | None:
        """Why a release must not be, or None if it may.

        A fault refuses everybody. Otherwise the exit button always opens; lock-down refuses
        the rest; lock-out and anti-tailgating refuse faces, not whoever commands the door.
        """
        if self.fault is not None:
            return Refusal.FAULT
        if isinstance(event, Exit):
            return None
        if self.locked_down:
            return Refusal.LOCKED_DOWN
        if not isinstance(event, Granted):
            return None
        if self._denials.until is not None:
            return Refusal.LOCKED_OUT
        if self._rules.anti_tailgate and self._transitions.state is State.OPEN:
            return Refusal.CLOSE_THE_DOOR
        return None

    def _ask(self, event: DoorEvent, seconds: float, now: float) -> bool:
        """Release for somebody, or refuse them; return whether they were let in."""
        reason = self._refusal(event)
        if reason is not None:
            self._say(Refuse(reason))
            return False
        self._transitions.wanted_s = seconds
        self._transitions.step("release", now)
        return True

    def _grant(self, seconds: float, now: float) -> None:
        if not self._ask(Granted(), seconds, now):
            return
        if self._denials.granted():
            self._say(Remember())
        if self._awaits_grant:
            self._awaits_grant = False
            self._transitions.hold(math.inf, now)

    def _deny(self, now: float) -> None:
        before = self._denials.count(now)
        begins = self._denials.denied(now)
        if begins:
            self._say(Announce(Notice.LOCKED_OUT, f"{self._rules.lock_out.lasts_s:g} s"))
        if begins or self._denials.count(now) != before:
            self._say(Remember())

    def _lock_down(self, reason: str | None, now: float) -> None:
        self._bolt(now)
        if not self.locked_down:
            self.locked_down = True
            self._say(Announce(Notice.LOCKED_DOWN, reason), Remember())

    def _lift(self, now: float) -> None:
        if self.locked_down:
            self.locked_down = False
            self._say(Announce(Notice.LOCK_DOWN_ENDED), Remember())
        self._end_lock_out(now)

    def _end_lock_out(self, now: float) -> None:
        if self._denials.lift(now):
            self._say(Announce(Notice.LOCK_OUT_ENDED), Remember())

    def _bolt(self, now: float) -> None:
        """Lock, and open no more by schedule until the schedule begins anew."""
        self._awaits_grant = False
        self._transitions.bolt(now)

    def _lock_surely(self, now: float) -> None:
        """Lock, though nothing should be released."""
        self._bolt(now)
        if Lock() not in self._transitions.commands:
            self._say(Lock())

    def _hold_by_command(self, event: HoldOpen, seconds: float, now: float) -> None:
        longest = self._rules.hold_open_longest_s
        reason = self._refusal(event)
        if not (longest > 0 and seconds > 0):
            reason = reason or Refusal.NOT_ALLOWED
        if reason is not None:
            self._say(Refuse(reason))
        elif not self._held_by_schedule:
            self._bar_schedule(0.0, now)
            self._transitions.hold(now + min(seconds, longest), now)

    def _schedule(
        self, event: HoldOpenSchedule, is_open: bool, first_grant: bool, now: float
    ) -> None:
        barred = now < self._bolted_until
        self._awaits_grant = is_open and first_grant and not barred
        if not is_open:
            self._bar_schedule(0.0, now)
        if not is_open and self._held_by_schedule:
            self._transitions.step("hold_over", now)
        elif is_open and not barred and not first_grant and self._refusal(event) is None:
            self._transitions.hold(math.inf, now)

    def _bar_schedule(self, seconds: float, now: float) -> None:
        """Let no schedule hold the door open for so long; an order stands over a restart."""
        if (until := now + seconds) != self._bolted_until and max(until, self._bolted_until) > now:
            self._bolted_until = until
            self._say(Remember())

    def _resume(self, event: Resume, released_s: float, held_s: float, now: float) -> None:
        if self._refusal(event) is not None:
            return
        if held_s > 0:
            self._transitions.hold(now + held_s, now)
        elif released_s > 0:
            self._transitions.wanted_s = min(released_s, self._rules.longest_s)
            self._transitions.step("release", now)

    @property
    def _held_by_schedule(self) -> bool:
        """Whether the door is held open until somebody ends it, not until a time."""
        return (
            self._transitions.state is State.HOLD_OPEN
            and "hold_over" not in self._transitions.deadlines
        )

    def _tamper(self, active: bool, now: float) -> None:
        if active == self.tampered:
            return
        self.tampered = active
        self._say(Announce(Notice.TAMPER if active else Notice.TAMPER_ENDED))
        if active and self._rules.tamper_locks_down:
            self._lock_down(Notice.TAMPER.value, now)

    def _fail(self, reason: str, now: float) -> None:
        self._lock_surely(now)
        if self.fault is None:
            self._say(Announce(Notice.RELAY_FAULT, reason))
        self.fault = reason

    def _recover(self) -> None:
        if self.fault is not None:
            self.fault = None
            self._say(Announce(Notice.RELAY_RECOVERED))

    def _say(self, *commands: Command) -> None:
        self._transitions.commands += commands


def _without_glitches(commands: list[Command]) -> list[Command]:
    """Leave out releases that are taken back at the same moment."""
    locks = [index for index, one in enumerate(commands) if isinstance(one, Lock)]
    last = locks[-1] if locks else -1
    return [
        one for index, one in enumerate(commands) if index > last or not isinstance(one, Release)
    ]
