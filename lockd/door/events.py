"""What goes into the door's state machine and what comes out of it: plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

LONGEST_S = 60.0
"""The longest release in one go, in seconds; no setting exceeds it. Holding the door
open is a row of releases with pauses."""


class State(StrEnum):
    """What the door is doing, all in all."""

    LOCKED = "locked"
    UNLOCKING = "unlocking"
    OPEN = "open"
    HELD = "held"
    FORCED = "forced"
    HOLD_OPEN = "hold_open"
    LOCKED_OUT = "locked_out"
    LOCKED_DOWN = "locked_down"
    FAULT = "fault"


class Relock(StrEnum):
    """When a release ends, where a contact tells whether the door is open."""

    AT_DEADLINE = "at_deadline"
    ON_CLOSE = "on_close"
    ON_OPEN = "on_open"


class Refusal(StrEnum):
    """Why the door does not open for somebody who asks."""

    FAULT = "fault"
    LOCKED_DOWN = "locked_down"
    LOCKED_OUT = "locked_out"
    CLOSE_THE_DOOR = "close_the_door"
    NOT_ALLOWED = "not_allowed"


class Notice(StrEnum):
    """What happened at the door; each is published under this name."""

    DOOR_OPENED = "door_opened"
    DOOR_CLOSED = "door_closed"
    DOOR_FORCED = "door_forced"
    DOOR_HELD = "door_held"
    LOCKED_OUT = "locked_out"
    LOCK_OUT_ENDED = "lock_out_ended"
    LOCKED_DOWN = "locked_down"
    LOCK_DOWN_ENDED = "lock_down_ended"
    HOLD_OPEN_STARTED = "hold_open_started"
    HOLD_OPEN_ENDED = "hold_open_ended"
    TAMPER = "tamper"
    TAMPER_ENDED = "tamper_ended"
    RELAY_FAULT = "relay_fault"
    RELAY_RECOVERED = "relay_recovered"


# What goes in


@dataclass(frozen=True, slots=True)
class Granted:
    """Somebody was recognised whom the access rules let in; `extended` gives them longer."""

    extended: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """A visit ended in a stranger or a forgery."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The exit button (request-to-exit) was pressed."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The door contact: the door was opened or closed."""

    open: bool


@dataclass(frozen=True, slots=True)
class Unlock:
    """A command to release the door once."""


@dataclass(frozen=True, slots=True)
class LockNow:
    """A command to lock at once; ends holding open, too.

    For `stands_s` seconds, the rest of the hours, no schedule holds the door open again.
    """

    stands_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LockDown:
    """A command, or a tampered device: nobody comes in until `LiftLockDown`.

    No schedule holds the door open for `stands_s` seconds, lifted or not.
    """

    stands_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with what a service was doing that gave way to this one: seconds left of it."""

    released_s: float = 0.0
    held_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LiftLockDown:
    """A command: lock-down and lock-out are over."""


@dataclass(frozen=True, slots=True)
class HoldOpen:
    """A command to hold the door open for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HoldOpenSchedule:
    """The time during which the door is held open has begun or ended.

    `first_grant` makes it wait for the first person let in.
    """

    open: bool
    first_grant: bool = True


@dataclass(frozen=True, slots=True)
class Tamper:
    """The tamper switch."""

    active: bool


@dataclass(frozen=True, slots=True)
class RelayFault:
    """The relay does not obey."""

    reason: str


@dataclass(frozen=True, slots=True)
class RelayFaultOver:
    """The relay obeys again."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but the time."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The service ends."""


DoorEvent: TypeAlias = (
    Granted
    | Denied
    | Exit
    | Leaf
    | Unlock
    | LockNow
    | LockDown
    | LiftLockDown
    | HoldOpen
    | HoldOpenSchedule
    | Tamper
    | RelayFault
    | RelayFaultOver
    | Resume
    | Tick
    | ShutDown
)


# What comes out


@dataclass(frozen=True, slots=True)
class Release:
    """Unlock for this many seconds from now."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock now."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell whoever asked that the door stays as it is, and why."""

    reason: Refusal


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell everybody; `reason` says more where there is more to say."""

    notice: Notice
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep `DoorMachine.memory` where a restart finds it."""


Command: TypeAlias = Release | Lock | Refuse | Announce | Remember


# What it is told once


@dataclass(frozen=True, slots=True)
class LockOut:
    """When too many strangers close the door to faces for a while.

    Attributes:
        denials: visits refused, with nobody let in between; 0 never locks out.
        within_s: and not older than this.
        lasts_s: how long nobody is let in by face. Exit and command still work.
        rest_s: afterwards refused visits do not count for this long, so that whoever
            stands there on purpose cannot shut staff out for good.
    """

    denials: int = 5
    within_s: float = 120.0
    lasts_s: float = 30.0
    rest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DoorRules:
    """How the door behaves.

    Attributes:
        open_s: access time: how long a release lasts; another starts it anew.
        extended_open_s: access time of groups that need longer.
        longest_s: the longest release, however often it is started anew.
        pulse_gap_s: least time between two releases.
        relock: when a release ends early because the door was used.
        held_s: open for longer than this is an alarm; 0 is never.
        forced_alarm: whether a door that opens unasked is an alarm.
        forced_grace_s: so long after locking, opening is still the last release's.
        anti_tailgate: one release lets one in: while the door stands open, no other
            face releases it.
        exit_releases: whether the exit button releases the strike, or only announces
            that somebody leaves by the handle.
        tamper_locks_down: whether tampering locks down, or is only announced.
        hold_open_longest_s: longest time to hold open by command; 0 forbids it.
        lock_out: see `LockOut`.
    """

    open_s: float = 5.0
    extended_open_s: float = 15.0
    longest_s: float = LONGEST_S
    pulse_gap_s: float = 0.5
    relock: Relock = Relock.ON_CLOSE
    held_s: float = 30.0
    forced_alarm: bool = True
    forced_grace_s: float = 1.0
    anti_tailgate: bool = False
    exit_releases: bool = True
    tamper_locks_down: bool = False
    hold_open_longest_s: float = 0.0
    lock_out: LockOut = LockOut()


@dataclass(frozen=True, slots=True)
class DoorMemory:
    """What outlives a restart.

    Attributes:
        locked_down: until it is lifted.
        denials: refused visits that count.
        locked_out_s: how much longer nobody is let in by face.
        rest_s: how much longer refused visits do not count.
        bolted_s: how much longer no schedule holds the door open, by an order to lock.
        released_s: how much longer it is released; for a successor, not for a restart.
        held_s: how much longer it is held open, the same.
    """

    locked_down: bool = False
    denials: int = 0
    locked_out_s: float = 0.0
    rest_s: float = 0.0
    bolted_s: float = 0.0
    released_s: float = 0.0
    held_s: float = 0.0

    def aged(self, seconds: float) -> DoorMemory:
        """Return it so much later; a clock that went backwards ages nothing."""
        passed = max(0.0, seconds)
        resting = max(0.0, self.rest_s - max(0.0, passed - self.locked_out_s))
        return replace(
            self,
            locked_out_s=max(0.0, self.locked_out_s - passed),
            rest_s=resting,
            bolted_s=max(0.0, self.bolted_s - passed),
        )
