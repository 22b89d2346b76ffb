"""The strike: a relay that is never left on.

The relay is switched on in one place, `Strike.release`, and only with a deadline
already set. A guard thread, which may do nothing but switch it off, keeps that
deadline whatever the rest of the program does. Above it stands `LONGEST_ON_S`,
which no setting exceeds, and above that the service manager's watchdog and its
`ExecStopPost`. A hardware limit, if one is wired, stands above all of these: the guard
feeds it a `Heartbeat` for as long as the deadline lies ahead, and whatever stops the guard
or its process stops that.

The guard proves that it makes progress: it wakes at least every `BEAT_S` and notes the
machine's time since boot, which no clock setting steps and no suspend stops. `Strike.guarded`
is true only while that note is fresh. What may go wrong with it, and what happens then:

- It died, or it hangs (in a driver's call, or starved): nothing is released any more,
  `lock` still switches off, and the service must end, so that the service manager
  locks by `ExecStopPost` and starts a fresh process. There is no second guard in its
  place: why the first one went is unknown, the first may wake up again, and a fresh
  process is the one state that we know.
- The process is stopped and continued: the guard's wait is over by the machine's clock,
  so its next act is to switch off. While stopped nothing in the process can act; the
  watchdog kills it.
- `off()` hangs in the driver. gpiozero's lgpio calls hold Python's global lock, so the
  whole process stands still, the watchdog starves, and systemd kills it and locks. If
  even the kernel's driver hangs, the process cannot be killed; then only the hardware
  watchdog is left, which resets the Pi and lets go of the pin (`RuntimeWatchdogSec=` of
  systemd).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lockd.clock import since_boot
from lockd.errors import PinError
from lockd.ports import Output

log = logging.getLogger(__name__)

LONGEST_ON_S = 60.0
"""The longest that the relay is ever on in one go, in seconds."""

BEAT_S = 0.5
_FRESH_S = 2.0
_RETRY_S = 0.05
PATIENCE_S = 0.5
ANSWER_S = 0.25


class Heartbeat:
    """What a hardware limit is fed with: a line that changes its level while the relay is on.

    A level that stands still feeds nothing, so that a line which cannot be switched locks.
    """

    def __init__(self, output: Output, hz: float) -> None:
        """Take over an output that is low.

        Args:
            hz: how often a second it goes high and low again.
        """
        self._output = output
        self._half_s = 0.5 / hz
        self._high = False
        self._due = 0.0
        self._failed = False

    def beat(self, now: float) -> float:
        """Change the level if that is due; return after how many seconds the next change is.

        Args:
            now: monotonic seconds.
        """
        if now >= self._due:
            self._due = now + self._half_s
            self._drive(not self._high)
        return self._due - now

    def rest(self) -> None:
        """Leave the line low."""
        self._due = 0.0
        self._drive(False)

    def close(self) -> None:
        """Leave the line low and give it back."""
        self.rest()
        self._output.close()

    def _drive(self, high: bool) -> None:
        try:
            (self._output.on if high else self._output.off)()
        except Exception:
            if not self._failed:
                log.exception("relay.heartbeat: the line cannot be switched; its limit locks")
            self._failed = True
        else:
            self._failed, self._high = False, high


class Strike:
    """The relay and its guard.

    Every method may be called from any thread; none waits longer than half a second for
    another.

    Attributes:
        changed: called with True or False after the relay was switched, from whichever
            thread switched it; it must neither block nor raise.
    """

    def __init__(
        self,
        output: Output,
        now: Callable[[], float] = since_boot,
        *,
        machine: Callable[[], float] = since_boot,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        """Take over an output that is off, and start the guard.

        Args:
            output: the relay; on is unlocked.
            now: monotonic seconds; that of a recording never runs faster than it is told,
                so that a slow replay does not lock early in its own time.
            machine: the machine's monotonic seconds, by which the guard proves its progress.
            heartbeat: what the guard feeds while the relay is on, if a limit wants that.
        """
        self._output = output
        self._heartbeat = heartbeat
        self._now = now
        self._machine = machine
        self.changed: Callable[[bool], None] = lambda on: None
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._on_since: float | None = None
        self._deadline: float | None = None
        self._closing = False
        self._sealed = False
        self._closed = False
        self._obeys = True
        self._beat = machine()
        self._guard = threading.Thread(target=self._keep, name="strike-guard", daemon=True)
        self._guard.start()

    @property
    def is_on(self) -> bool:
        """Whether the relay is on, so the door unlocked."""
        return self._on_since is not None

    @property
    def obeys(self) -> bool:
        """Whether the relay went off when it was last told to."""
        return self._obeys

    @property
    def guarded(self) -> bool:
        """Whether the guard is alive and showed it within the last two seconds."""
        return self._guard.is_alive() and self._machine() - self._beat < _FRESH_S

    def answers(self) -> bool:
        """Ask the guard for a sign of life, and wait a quarter of a second for it.

        A whole process that was stopped and continued has a guard that is not `guarded`
        until it had its turn; one that is dead or hangs does not answer.
        """
        if not self._lock.acquire(timeout=PATIENCE_S):
            return False
        try:
            self._condition.notify_all()
            return self._condition.wait_for(lambda: self.guarded, ANSWER_S)
        finally:
            self._lock.release()

    def release(self, seconds: float) -> None:
        """Switch the relay on, or prolong it, for so many seconds from now.

        Args:
            seconds: over 0; cut to what `LONGEST_ON_S` leaves.

        Raises:
            PinError: if the guard is dead or hangs, the strike closed or the pin fails;
                the relay is then off or being switched off.
        """
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise PinError("the relay's driver hangs, so nothing is released")
        try:
            self._release(seconds)
        finally:
            self._lock.release()

    def lock(self) -> None:
        """Switch the relay off; if the pin fails, the guard goes on trying."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            self._switch_off_past_a_hang()
            return
        try:
            self._switch_off()
            self._condition.notify_all()
        finally:
            self._lock.release()

    def seal(self) -> None:
        """Lock, and release no more: for whoever ends the program.

        From any thread, but not from a signal handler, which may have interrupted `release`
        half-way.
        """
        self._sealed = True
        self.lock()

    def close(self) -> None:
        """Lock, end the guard and give the pin back."""
        self._closing = True
        self.lock()
        self._guard.join(timeout=1.0)
        self._closed = True  # whoever locks late finds nothing to do
        self._output.close()
        if self._heartbeat is not None:
            self._heartbeat.close()

    def _release(self, seconds: float) -> None:
        """`release`, with the lock held."""
        if self._sealed:
            log.info("the program is ending, so nothing is released")
            return
        if self._closing or not (self.guarded or self.answers()):
            self._switch_off()
            raise PinError("the relay's guard is not running, so the door stays locked")
        now = self._now()
        already = self._on_since is not None
        self._on_since = self._on_since if self._on_since is not None else now
        self._deadline = min(now + max(seconds, 0.0), self._on_since + LONGEST_ON_S)
        self._condition.notify_all()
        try:
            self._output.on()
        except Exception as error:
            self._switch_off()
            raise PinError(f"the relay cannot be switched on: {error}") from error
        if not already:
            self.changed(True)

    def _switch_off(self) -> None:
        """Switch off; on failure leave a deadline that is over, so the guard tries again."""
        if self._closed:
            return
        was_on = self._on_since is not None
        try:
            self._output.off()
        except Exception:
            if self._obeys:
                log.critical("the relay cannot be switched off; trying again", exc_info=True)
            self._obeys = False
            self._deadline = self._now()
            return
        finally:
            if self._heartbeat is not None:
                self._heartbeat.rest()
        self._obeys = True
        self._on_since = self._deadline = None
        if was_on:
            self.changed(False)

    def _switch_off_past_a_hang(self) -> None:
        """Switch off without the lock, which somebody holds who hangs.

        The deadline stays, over: should that somebody be switching on, and ever come to an
        end, the guard switches off again.
        """
        log.critical("the relay's driver hangs; switching off past it")
        self._deadline = self._now()
        try:
            self._output.off()
        except Exception:
            log.critical("the relay cannot be switched off", exc_info=True)

    def _keep(self) -> None:
        """The guard: wait for the deadline, switch off, until it worked."""
        with self._condition:
            try:
                while not (self._closing and self._deadline is None):
                    self._beat = self._machine()
                    self._condition.notify_all()
                    self._condition.wait(self._pause())
            finally:
                if self._on_since is not None:
                    self._switch_off()  # whatever ends the guard, its last act is to lock

    def _pause(self) -> float:
        """Switch off if it is due, and say how long to wait then, in seconds."""
        if self._deadline is None:
            return BEAT_S
        left = self._deadline - self._now()
        if left > 0:
            fed_s = BEAT_S if self._heartbeat is None else self._heartbeat.beat(self._machine())
            return min(left, BEAT_S, fed_s)
        self._switch_off()
        return BEAT_S if self._deadline is None else _RETRY_S
