"""The relay that releases the door's strike, through gpiozero.

The relay is switched on in one place, `Strike.release`, and only with a deadline
already set. A guard thread, which may do nothing but switch it off, keeps that
deadline whatever the rest of the program does. Above it stands `LONGEST_ON_S`,
which no setting exceeds, and above that the service manager's watchdog and its
`ExecStopPost`.

Start-up must not pulse the relay. gpiozero's own lgpio pin first claims the line as
an output at level 0, which on an active-low board is *unlock* for some milliseconds,
and then sets the wanted level. `_safe_lgpio_factory` claims it at that level at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from lockd.errors import PinError

log = logging.getLogger(__name__)

LONGEST_ON_S = 60.0
"""The longest that the relay is ever on in one go, in seconds."""

FACTORIES = ("lgpio", "rpigpio", "mock")
_RETRY_S = 0.05


class Output(Protocol):
    """What a strike needs of a relay: gpiozero's `OutputDevice` has it."""

    def on(self) -> None:
        """Switch on: unlock."""

    def off(self) -> None:
        """Switch off: lock."""

    def close(self) -> None:
        """Give the pin back."""


class Strike:
    """The relay and its guard.

    Every method may be called from any thread; nothing blocks.

    Attributes:
        changed: called with True or False after the relay was switched, from whichever
            thread switched it; it must neither block nor raise.
    """

    def __init__(self, output: Output, now: Callable[[], float] = time.monotonic) -> None:
        """Take over an output that is off, and start the guard.

        Args:
            output: the relay.
            now: monotonic seconds; that of a recording never runs faster than it is told,
                so that a slow replay does not lock early in its own time.
        """
        self._output = output
        self._now = now
        self.changed: Callable[[bool], None] = lambda on: None
        self._condition = threading.Condition(threading.RLock())
        self._on_since: float | None = None
        self._deadline: float | None = None
        self._closing = False
        self._guard = threading.Thread(target=self._keep, name="strike-guard", daemon=True)
        self._guard.start()

    @property
    def is_on(self) -> bool:
        """Whether the relay is on, so the door unlocked."""
        return self._on_since is not None

    @property
    def guarded(self) -> bool:
        """Whether the guard is alive."""
        return self._guard.is_alive()

    def release(self, seconds: float) -> None:
        """Switch the relay on, or prolong it, for so many seconds from now.

        Args:
            seconds: over 0; cut to what `LONGEST_ON_S` leaves.

        Raises:
            PinError: if the guard is dead, the strike closed or the pin fails; the
                relay is then off or being switched off.
        """
        with self._condition:
            if self._closing or not self.guarded:
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

    def lock(self) -> None:
        """Switch the relay off; if the pin fails, the guard goes on trying."""
        with self._condition:
            self._switch_off()
            self._condition.notify_all()

    def close(self) -> None:
        """Lock, end the guard and give the pin back."""
        with self._condition:
            self._closing = True
            self._switch_off()
            self._condition.notify_all()
        self._guard.join(timeout=1.0)
        self._output.close()

    def _switch_off(self) -> None:
        """Switch off; on failure leave a deadline that is over, so the guard tries again."""
        was_on = self._on_since is not None
        try:
            self._output.off()
        except Exception:
            log.critical("the relay cannot be switched off; trying again", exc_info=True)
            self._deadline = self._now()
            return
        self._on_since = self._deadline = None
        if was_on:
            self.changed(False)

    def _keep(self) -> None:
        """The guard: wait for the deadline, switch off, until it worked."""
        with self._condition:
            while not (self._closing and self._deadline is None):
                if self._deadline is None:
                    self._condition.wait()
                    continue
                left = self._deadline - self._now()
                if left > 0:
                    self._condition.wait(left)
                    continue
                self._switch_off()
                if self._deadline is not None:
                    self._condition.wait(_RETRY_S)


def open_relay(pin: int, *, active_high: bool, factory: str) -> Output:
    """Claim a relay's pin at its locked level.

    Args:
        pin: BCM number.
        active_high: whether a high level switches the relay on.
        factory: one of `FACTORIES`; no other is ever used in its place.

    Raises:
        PinError: if the factory or the pin cannot be had.
    """
    import gpiozero  # noqa: PLC0415  # slow, and not needed by most commands

    try:
        output: Output = gpiozero.OutputDevice(
            pin, active_high=active_high, initial_value=False, pin_factory=_pin_factory(factory)
        )
    except ImportError as error:
        raise PinError(
            f"relay.factory: {factory} is not installed ({error}); install the Debian package "
            "python3-lgpio or python3-rpi.gpio, or try lockd without a relay: relay.factory: mock"
        ) from error
    except Exception as error:
        raise PinError(
            f"relay.pin: GPIO{pin} cannot be claimed through {factory}: "
            f"{error or type(error).__name__}; is another program using it, and may this user "
            "open /dev/gpiochip*? (group gpio)"
        ) from error
    return output


def _pin_factory(name: str) -> Any:
    """Make the named gpiozero pin factory."""
    if name == "mock":
        from gpiozero.pins.mock import MockFactory  # noqa: PLC0415

        return MockFactory()
    if name == "rpigpio":
        from gpiozero.pins.rpigpio import RPiGPIOFactory  # noqa: PLC0415

        return RPiGPIOFactory()
    return _safe_lgpio_factory()


def _safe_lgpio_factory() -> Any:
    """Make an lgpio factory whose pins become outputs at the wanted level in one call."""
    import lgpio  # noqa: PLC0415
    from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin  # noqa: PLC0415

    class SafePin(LGPIOPin):  # type: ignore[misc]
        def output_with_state(self, state: bool) -> None:
            handle = self.factory._handle
            lgpio.gpio_claim_output(handle, self._number, int(state))
            # A line that was an output already keeps its level when claimed.
            lgpio.gpio_write(handle, self._number, int(state))

    factory = LGPIOFactory()
    factory.pin_class = SafePin
    return factory
