"""The door's decisions: a state machine with no camera, clock, pin or broker.

    state   event               next    command
    ------  ------------------  ------  ------------------------------------------
    LOCKED  granted             OPEN    Release(open_s)
    OPEN    granted             OPEN    Release(open_s), until longest_s at the most
    OPEN    time: the deadline  LOCKED  Lock
    any     shut down           LOCKED  Lock

Feed it events with the monotonic time they happened, carry out the commands it
returns, and ask `next_deadline` when it wants to hear from you again. A deadline
exists exactly while the door is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class State(StrEnum):
    """What the lock is, in the words that MQTT publishes."""

    LOCKED = "LOCKED"
    OPEN = "UNLOCKED"


@dataclass(frozen=True, slots=True)
class Release:
    """Unlock for this many seconds from now."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock now."""


Command: TypeAlias = Release | Lock


@dataclass(frozen=True, slots=True)
class DoorRules:
    """How long the door opens.

    Attributes:
        open_s: after a grant; a grant while it is open starts this anew.
        longest_s: the longest it may stay open, whatever is granted meanwhile.
    """

    open_s: float = 5.0
    longest_s: float = 60.0


class DoorMachine:
    """One door."""

    def __init__(self, rules: DoorRules) -> None:
        self._rules = rules
        self._opened = 0.0
        self.next_deadline: float | None = None

    @property
    def state(self) -> State:
        """Locked or open."""
        return State.LOCKED if self.next_deadline is None else State.OPEN

    def granted(self, now: float) -> list[Command]:
        """Somebody may come in."""
        commands = self.tick(now)
        if self.next_deadline is None:
            self._opened = now
        seconds = min(self._rules.open_s, self._opened + self._rules.longest_s - now)
        if self.next_deadline is not None and now + seconds <= self.next_deadline:
            return commands
        self.next_deadline = now + seconds
        return [*commands, Release(seconds)]

    def tick(self, now: float) -> list[Command]:
        """Time has passed."""
        if self.next_deadline is None or now < self.next_deadline:
            return []
        return self.shut_down()

    def shut_down(self) -> list[Command]:
        """Lock, whatever the state."""
        self.next_deadline = None
        return [Lock()]
