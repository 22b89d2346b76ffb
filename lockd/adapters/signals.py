"""The LED and the buzzer: what the door tells whoever stands before it.

`PATTERNS` is the whole of it. A pattern that repeats stands until another takes its place;
one that does not is played once, over the standing one, which then goes on. A thread of
its own plays them and touches nothing but these two outputs: an LED that fails is logged
once and never disturbs the door.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from lockd.ports import Output
from lockd.types import Signal

log = logging.getLogger(__name__)

ON, OFF = True, False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A rhythm of both outputs.

    Attributes:
        steps: (seconds, LED, buzzer) one after the other.
        repeats: whether it begins anew after its last step.
    """

    steps: tuple[tuple[float, bool, bool], ...]
    repeats: bool = True

    @property
    def seconds(self) -> float:
        """How long it takes once."""
        return sum(seconds for seconds, _, _ in self.steps)

    def at(self, elapsed: float) -> tuple[bool, bool, float]:
        """Return LED and buzzer at a time since the pattern began, and how long they stay so."""
        left = elapsed % self.seconds if self.repeats else elapsed
        for seconds, led, buzzer in self.steps:
            if left < seconds:
                return led, buzzer, seconds - left
            left -= seconds
        _, led, buzzer = self.steps[-1]
        return led, buzzer, 0.0


PATTERNS = {
    # A short blink: lockd lives.
    Signal.IDLE: Pattern(((0.05, ON, OFF), (2.95, OFF, OFF))),
    Signal.LOOKING: Pattern(((0.25, ON, OFF), (0.25, OFF, OFF))),
    Signal.GRANTED: Pattern(((0.15, ON, ON), (2.85, ON, OFF)), repeats=False),
    Signal.DENIED: Pattern(((0.15, ON, ON), (0.15, OFF, OFF)) * 3, repeats=False),
    Signal.FAULT: Pattern(((0.1, ON, OFF), (0.2, OFF, OFF), (0.1, ON, OFF), (1.6, OFF, OFF))),
    Signal.ALARM: Pattern(((0.5, ON, ON), (0.25, OFF, OFF))),
    Signal.LOCKED_DOWN: Pattern(((1.0, ON, OFF), (1.0, OFF, OFF))),
    # Look at the camera: on and quiet. Turn left: one beat; right: two, and a rest.
    Signal.ASK_FRONT: Pattern(((0.9, ON, OFF), (0.1, OFF, OFF))),
    Signal.ASK_LEFT: Pattern(((0.3, ON, ON), (0.9, OFF, OFF))),
    Signal.ASK_RIGHT: Pattern(((0.15, ON, ON), (0.15, OFF, OFF)) * 2 + ((0.6, OFF, OFF),)),
}


class Signals:
    """Plays patterns on an LED and a buzzer, and shows where to turn; each may be missing.

    Args:
        led: off.
        buzzer: off.
        left: off; an LED on the left of whoever stands there, on while they are to turn there.
        right: the same, on their right.
        quiet: patterns at which the buzzer stays silent.
        now: monotonic seconds.
    """

    def __init__(
        self,
        led: Output | None,
        buzzer: Output | None,
        quiet: Collection[Signal] = (),
        left: Output | None = None,
        right: Output | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._led = _Switch(led, "LED")
        self._buzzer = _Switch(buzzer, "buzzer")
        self._left, self._right = _Switch(left, "left LED"), _Switch(right, "right LED")
        self._quiet = quiet
        self._now = now
        self._lock = threading.Lock()
        self._standing = (Signal.IDLE, now())
        self._once: tuple[Signal, float] | None = None
        self._silent_until = -math.inf
        self._changed = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to play; without an output nothing is played."""
        if any(one.output is not None for one in self._all):
            self._thread = threading.Thread(target=self._play, name="signals", daemon=True)
            self._thread.start()

    def show(self, signal: Signal, name: str | None = None) -> None:
        """Play a pattern; from any thread, without waiting.

        Asking again for the standing pattern lets it go on, asking again for one that is
        played once begins it anew.
        """
        if self._thread is not None and not self._thread.is_alive() and not self._closing:
            log.error("the thread that plays LED and buzzer has died; starting another")
            self.start()
        with self._lock:
            if not PATTERNS[signal].repeats:
                self._once = signal, self._now()
            elif signal != self._standing[0]:
                self._standing = signal, self._now()
        self._changed.set()

    def silence(self, seconds: float) -> None:
        """Let the buzzer be silent from now on for so long; from any thread, without waiting."""
        with self._lock:
            self._silent_until = self._now() + seconds
        self._changed.set()

    def step(self) -> float:
        """Switch to what is due now; return for how many seconds that stays right."""
        signal, led, buzzer, seconds = self._due()
        self._led.switch(led)
        self._buzzer.switch(buzzer)
        self._left.switch(signal is Signal.ASK_LEFT)
        self._right.switch(signal is Signal.ASK_RIGHT)
        return seconds

    @property
    def _all(self) -> tuple[_Switch, ...]:
        return self._led, self._buzzer, self._left, self._right

    def close(self) -> None:
        """Stop, switch both off and give their pins back."""
        self._closing = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        for one in self._all:
            one.switch(OFF)
            one.close()

    def _due(self) -> tuple[Signal, bool, bool, float]:
        now = self._now()
        with self._lock:
            if self._once and now - self._once[1] >= PATTERNS[self._once[0]].seconds:
                self._once = None
            signal, since = self._once or self._standing
            silent = signal in self._quiet or now < self._silent_until
        led, buzzer, left = PATTERNS[signal].at(now - since)
        return signal, led, buzzer and not silent, left

    def _play(self) -> None:
        while not self._closing:
            self._changed.clear()
            self._changed.wait(self.step())


class _Switch:
    """An output that may be missing or fail, and is switched only when that changes anything."""

    def __init__(self, output: Output | None, name: str) -> None:
        self.output = output
        self._name = name
        self._on = False
        self._failed = False

    def switch(self, on: bool) -> None:
        if self.output is None or on == self._on:
            return
        self._on = on
        try:
            (self.output.on if on else self.output.off)()
        except Exception as error:
            if not self._failed:
                log.error("the %s cannot be switched: %s", self._name, error)
            self._failed = True

    def close(self) -> None:
        if self.output is not None:
            self.output.close()
