"""What the leaf and the strike do: the door's transition table, and what its rows do.

The first row whose condition holds counts, and an event that a state does not name changes
nothing. The strike is released only in UNLOCKING, OPEN and HOLD_OPEN, always with a
deadline, and never for longer than `DoorRules.longest_s` in one go: holding the door open
is a row of releases with pauses between them. Whether anybody may come in at all is asked
before, in `lockd.door.machine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lockd.door.events import (
    Announce,
    Command,
    DoorRules,
    Lock,
    Notice,
    Release,
    Relock,
    State,
)

LOCKED, UNLOCKING, OPEN = State.LOCKED, State.UNLOCKING, State.OPEN
HELD, FORCED, HOLD_OPEN = State.HELD, State.FORCED, State.HOLD_OPEN


@dataclass(frozen=True, slots=True)
class Row:
    """In this state, at this event, if this is true: the next state, and what is done."""

    state: State
    event: str
    condition: str
    next: State
    actions: str


# fmt: off
TABLE = (
    #   state      event           if                 next       does
    Row(LOCKED,    "release",      "",                UNLOCKING, "release"),
    Row(LOCKED,    "leaf_opened",  "expected",        OPEN,      "opened"),
    Row(LOCKED,    "leaf_opened",  "",                FORCED,    "forced"),
    Row(LOCKED,    "hold",         "",                HOLD_OPEN, "hold release"),

    Row(UNLOCKING, "release",      "",                UNLOCKING, "release"),
    Row(UNLOCKING, "pause_over",   "too_late",        LOCKED,    "lock"),
    Row(UNLOCKING, "pause_over",   "",                UNLOCKING, "pulse"),
    Row(UNLOCKING, "leaf_opened",  "relocks_on_open", OPEN,      "lock opened"),
    Row(UNLOCKING, "leaf_opened",  "",                OPEN,      "opened"),
    Row(UNLOCKING, "release_over", "",                LOCKED,    "lock"),
    Row(UNLOCKING, "bolt",         "",                LOCKED,    "lock"),
    Row(UNLOCKING, "hold",         "",                HOLD_OPEN, "hold release"),

    Row(OPEN,      "release",      "",                OPEN,      "release watch"),
    Row(OPEN,      "pause_over",   "too_late",        OPEN,      "lock"),
    Row(OPEN,      "pause_over",   "",                OPEN,      "pulse"),
    Row(OPEN,      "release_over", "",                OPEN,      "lock"),
    Row(OPEN,      "bolt",         "",                OPEN,      "lock"),
    Row(OPEN,      "leaf_closed",  "release_goes_on", UNLOCKING, "closed"),
    Row(OPEN,      "leaf_closed",  "",                LOCKED,    "lock closed"),
    Row(OPEN,      "held_due",     "",                HELD,      "lock held"),
    Row(OPEN,      "hold",         "",                HOLD_OPEN, "hold release"),

    Row(HELD,      "release",      "",                OPEN,      "release watch"),
    Row(HELD,      "leaf_closed",  "",                LOCKED,    "closed"),
    Row(HELD,      "hold",         "",                HOLD_OPEN, "hold release"),

    Row(FORCED,    "release",      "",                OPEN,      "release watch"),
    Row(FORCED,    "leaf_closed",  "",                LOCKED,    "closed"),
    Row(FORCED,    "hold",         "",                HOLD_OPEN, "hold release"),

    Row(HOLD_OPEN, "hold",         "",                HOLD_OPEN, "hold"),
    Row(HOLD_OPEN, "pause_over",   "",                HOLD_OPEN, "pulse"),
    Row(HOLD_OPEN, "release_over", "",                HOLD_OPEN, "lock release"),
    Row(HOLD_OPEN, "leaf_opened",  "",                HOLD_OPEN, "note_opened"),
    Row(HOLD_OPEN, "leaf_closed",  "",                HOLD_OPEN, "closed"),
    Row(HOLD_OPEN, "hold_over",    "leaf_open",       OPEN,      "lock end_hold watch"),
    Row(HOLD_OPEN, "hold_over",    "",                LOCKED,    "lock end_hold"),
)
# fmt: on

TIMERS = ("hold_over", "release_over", "held_due", "pause_over")
"""In the order in which they are heard when several are due: first what ends something."""


class Transitions:
    """The leaf and the strike of one door.

    Attributes:
        state: one of those the table names.
        leaf_open: what the door contact says, None without one.
        deadlines: when what is due, by the names in `TIMERS`.
        wanted_s: how long the release that is asked for shall last.
        expected_until: until when the door may be opened by its handle without an alarm.
        commands: what is to be done, in order; whoever asks empties it.
    """

    def __init__(self, rules: DoorRules, leaf_open: bool | None, now: float) -> None:
        self._rules = rules
        self.state = LOCKED
        self.leaf_open = leaf_open
        self.deadlines: dict[str, float] = {}
        self.wanted_s = 0.0
        self.expected_until = -math.inf
        self.commands: list[Command] = []
        self._released_since: float | None = None
        self._released_before = -math.inf
        self._someone_waits = False
        if leaf_open:
            self.state = OPEN
            self._watch(now)

    @property
    def released(self) -> bool:
        """Whether a release is in force."""
        return self._released_since is not None

    def leaf(self, is_open: bool, now: float) -> None:
        """Hear the door contact."""
        if is_open != self.leaf_open:
            self.leaf_open = is_open
            self.step("leaf_opened" if is_open else "leaf_closed", now)

    def pass_time(self, now: float) -> None:
        """Take what fell due."""
        for timer in TIMERS:
            due = self.deadlines.get(timer, math.inf)
            if due <= now:
                self.step(timer, now)
                if self.deadlines.get(timer) == due:
                    del self.deadlines[timer]

    def hold(self, until: float, now: float) -> None:
        """Hold the door open; infinity is until `hold_over`."""
        self.deadlines.pop("hold_over", None)
        if until < math.inf:
            self.deadlines["hold_over"] = until
        self.step("hold", now)

    def bolt(self, now: float) -> None:
        """Lock, whatever the state."""
        self.step("hold_over" if self.state is HOLD_OPEN else "bolt", now)

    # The table at work

    def step(self, event: str, now: float) -> None:
        """Take an event that the table names."""
        for row in TABLE:
            if row.state is self.state and row.event == event and self._holds(row.condition, now):
                self.state = row.next
                for action in row.actions.split():
                    ACTIONS[action](self, now)
                return

    def _holds(self, condition: str, now: float) -> bool:
        return not condition or CONDITIONS[condition](self, now)

    # Conditions

    def _expected(self, now: float) -> bool:
        grace = self._released_before + self._rules.forced_grace_s
        return now <= max(grace, self.expected_until) or not self._rules.forced_alarm

    def _relocks_on_open(self, now: float) -> bool:
        return self._rules.relock is Relock.ON_OPEN or self._rules.anti_tailgate

    def _too_late(self, now: float) -> bool:
        """Whether whoever a waiting release was for has waited longer than it would last."""
        return now >= self._released_before + self._rules.pulse_gap_s + self.wanted_s

    def _release_goes_on(self, now: float) -> bool:
        """Whether a door that has closed may be opened again by the same release."""
        if self._rules.anti_tailgate or not {"release_over", "pause_over"} & {*self.deadlines}:
            return False
        return self._someone_waits or self._rules.relock is Relock.AT_DEADLINE

    def _leaf_is_open(self, now: float) -> bool:
        return bool(self.leaf_open)

    # Actions

    def _release(self, now: float) -> None:
        """Begin a release, prolong the one in force, or wait until one may begin again."""
        self._someone_waits = bool(self.leaf_open)
        if self._released_since is not None:
            until = min(now + self._seconds(), self._released_since + self._rules.longest_s)
            if until > self.deadlines["release_over"]:
                self.deadlines["release_over"] = until
                self._say(Release(until - now))
        elif now < self._released_before + self._rules.pulse_gap_s:
            self.deadlines["pause_over"] = self._released_before + self._rules.pulse_gap_s
        else:
            self._pulse(now)

    def _seconds(self) -> float:
        longest = self._rules.longest_s
        return longest if self.state is HOLD_OPEN else min(self.wanted_s, longest)

    def _pulse(self, now: float) -> None:
        seconds = self._seconds()
        self.deadlines["release_over"] = now + seconds
        self._released_since = now
        self._say(Release(seconds))

    def _lock(self, now: float) -> None:
        due = self.deadlines.pop("release_over", now)
        self.deadlines.pop("pause_over", None)
        if self._released_since is not None:
            self._released_since = None
            # Whoever hears of the time late: the strike's own guard was not.
            self._released_before = min(now, due)
            self._say(Lock())

    def _note_opened(self, now: float) -> None:
        self._say(Announce(Notice.DOOR_OPENED))

    def _opened(self, now: float) -> None:
        self._someone_waits = False
        self._note_opened(now)
        self._watch(now)

    def _watch(self, now: float) -> None:
        if self._rules.held_s > 0:
            self.deadlines["held_due"] = now + self._rules.held_s

    def _closed(self, now: float) -> None:
        self.deadlines.pop("held_due", None)
        self._say(Announce(Notice.DOOR_CLOSED))

    def _held(self, now: float) -> None:
        self._say(Announce(Notice.DOOR_HELD))

    def _forced(self, now: float) -> None:
        self._say(Announce(Notice.DOOR_FORCED))

    def _begin_hold(self, now: float) -> None:
        self.deadlines.pop("held_due", None)
        self._say(Announce(Notice.HOLD_OPEN_STARTED))

    def _end_hold(self, now: float) -> None:
        self.deadlines.pop("hold_over", None)
        self._say(Announce(Notice.HOLD_OPEN_ENDED))

    def _say(self, command: Command) -> None:
        self.commands.append(command)


CONDITIONS: dict[str, Callable[[Transitions, float], bool]] = {
    "expected": Transitions._expected,
    "too_late": Transitions._too_late,
    "relocks_on_open": Transitions._relocks_on_open,
    "release_goes_on": Transitions._release_goes_on,
    "leaf_open": Transitions._leaf_is_open,
}
ACTIONS: dict[str, Callable[[Transitions, float], None]] = {
    "release": Transitions._release,
    "pulse": Transitions._pulse,
    "lock": Transitions._lock,
    "opened": Transitions._opened,
    "note_opened": Transitions._note_opened,
    "watch": Transitions._watch,
    "closed": Transitions._closed,
    "held": Transitions._held,
    "forced": Transitions._forced,
    "hold": Transitions._begin_hold,
    "end_hold": Transitions._end_hold,
}
