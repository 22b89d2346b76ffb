"""The pins: relay, inputs, LED and buzzer, through gpiozero and one pin factory.

Which factory drives them is what the configuration says. Where that cannot be had, no
other takes its place: gpiozero by itself would go down a list and end at a simulation.

Start-up must not pulse the relay, and neither must a restart. gpiozero's own lgpio pin
first makes every line an input, then an output at level 0, and only then sets the wanted
level: on an active-low board *unlock* for some milliseconds, and an input at the end once
more. The pins here (`_Steady`) become outputs at the wanted level in one call, and stay
as they are when they are given back. So from one start of lockd to the next the line
leaves its locked level only to unlock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from lockd.config import (
    ContactSettings,
    ExitSettings,
    InputsSettings,
    RelaySettings,
    TamperSettings,
)
from lockd.errors import PinError
from lockd.ports import Output
from lockd.types import Input, InputChange

log = logging.getLogger(__name__)

AnyInput: TypeAlias = ExitSettings | ContactSettings | TamperSettings


class Inputs:
    """The inputs that are wired, and what they say at the moment."""

    def __init__(self) -> None:
        self._devices: dict[Input, tuple[Any, bool]] = {}

    def levels(self) -> dict[Input, bool]:
        """Read which inputs are active: pressed, open, tampered with.

        An edge may be missed, so ask now and then.

        Raises:
            PinError: if a pin cannot be read.
        """
        try:
            return {
                which: bool(device.pin.state) == active_high
                for which, (device, active_high) in self._devices.items()
            }
        except Exception as error:
            raise PinError(f"the inputs cannot be read: {_said(error)}") from error

    def close(self) -> None:
        """Stop listening and give the pins back."""
        for device, _ in self._devices.values():
            device.close()
        self._devices.clear()


class Pulses:
    """A line on which short low pulses come."""

    def __init__(self, device: Any, setting: str, heard: Callable[[float], None]) -> None:
        """Listen; see `Board.pulses`.

        Raises:
            PinError: if the pulses cannot be noticed.
        """
        self._device, self._setting = device, setting

        def pass_on(ticks: float, high: bool) -> None:
            try:
                heard(ticks)
            except Exception:
                # It would end the thread that notices the edges of every pin.
                log.exception("a pulse of %s was lost", setting)

        self._pass_on = pass_on  # the pin keeps but a weak reference
        try:
            device.pin.edges = "falling"
            device.pin.when_changed = pass_on
        except Exception as error:
            raise PinError(f"{setting}: pulses cannot be noticed: {_said(error)}") from error

    def high(self) -> bool:
        """Return whether the line is high just now.

        Raises:
            PinError: if it cannot be read.
        """
        try:
            return bool(self._device.pin.state)
        except Exception as error:
            raise PinError(f"{self._setting}: cannot be read: {_said(error)}") from error

    def close(self) -> None:
        """Stop listening and give the pin back."""
        self._device.close()


class Board:
    """Every pin that lockd uses, on one pin factory.

    Args:
        factory: one of `FACTORIES`, by name.

    Attributes:
        pin_factory: gpiozero's.

    Raises:
        PinError: if it cannot be had.
    """

    def __init__(self, factory: str) -> None:
        self._name = factory
        self._devices: list[Any] = []
        try:
            self.pin_factory, self._kind = FACTORIES[factory]()
        except ImportError as error:
            raise PinError(
                f"relay.factory: {factory} is not installed ({error}); install the Debian package "
                "python3-lgpio or python3-rpi.gpio, or try lockd without a relay: "
                "relay.factory: mock"
            ) from error
        except Exception as error:
            raise PinError(
                f"relay.factory: {factory} cannot be used: {_said(error)}; is this a Raspberry Pi, "
                "and may this user open /dev/gpiochip*? (group gpio)"
            ) from error

    @property
    def chip(self) -> int | None:
        """Number of the GPIO chip whose lines these pins are; None if there is none."""
        return getattr(self.pin_factory, "chip", 0 if self._name == "rpigpio" else None)

    def hears(self) -> bool:
        """Return whether the threads are alive that notice the edges of inputs, as far as is known.

        RPi.GPIO's are none of Python's.
        """
        threads: list[threading.Thread] = getattr(self.pin_factory, "listeners", [])
        return all(thread.is_alive() for thread in threads)

    def relay(self, settings: RelaySettings) -> Output:
        """Claim the relay's pin at its locked level.

        Returns:
            What unlocks when switched on, whatever the wiring.

        Raises:
            PinError: if the pin cannot be had.
        """
        return self.output(settings.pin, active_high=settings.unlocks_high, setting="relay.pin")

    def heartbeat(self, settings: RelaySettings) -> Output | None:
        """Claim the line that feeds the relay's hardware limit, low; None without one.

        Raises:
            PinError: if the pin cannot be had.
        """
        line = settings.heartbeat
        if line is None:
            return None
        return self.output(line.pin, active_high=True, setting="relay.heartbeat.pin")

    def output(self, pin: int, *, active_high: bool, setting: str) -> Output:
        """Claim a pin, switched off.

        Args:
            pin: BCM number.
            active_high: whether a high level is "on".
            setting: that named the pin, for the error message.

        Raises:
            PinError: if the pin cannot be had.
        """
        import gpiozero  # noqa: PLC0415  # slow, and not needed by most commands

        device: Output = self._claimed(
            lambda: gpiozero.OutputDevice(
                pin, active_high=active_high, initial_value=False, pin_factory=self.pin_factory
            ),
            pin,
            setting,
        )
        return device

    def inputs(self, settings: InputsSettings, heard: Callable[[InputChange], None]) -> Inputs:
        """Listen to the inputs that are configured.

        Args:
            settings: which, and how they are wired.
            heard: called with every change, from a thread of the pin factory; must not
                block. What it raises is logged, and the listening goes on.

        Raises:
            PinError: if a pin cannot be had, or its edges cannot be noticed.
        """
        inputs = Inputs()
        try:
            for which in Input:
                one = getattr(settings, which)
                if one is not None:
                    inputs._devices[which] = (self._listen(which, one, heard), one.active_high)
        except PinError:
            inputs.close()
            raise
        return inputs

    def pulses(self, pin: int, pull: str, setting: str, heard: Callable[[float], None]) -> Pulses:
        """Listen to a line on which short low pulses come.

        Args:
            pin: BCM number.
            pull: the Pi's own resistor: up, down or none.
            setting: that named the pin, for the error message.
            heard: called with the time of each pulse, in seconds of the factory's clock, from a
                thread of the pin factory; must not block.

        Raises:
            PinError: if the pin cannot be had.
        """
        import gpiozero  # noqa: PLC0415

        pull_up = {"up": True, "down": False, "none": None}[pull]
        device = self._claimed(
            lambda: gpiozero.InputDevice(
                pin,
                pull_up=pull_up,
                active_state=True if pull_up is None else None,
                pin_factory=self.pin_factory,
            ),
            pin,
            setting,
        )
        return Pulses(device, setting, heard)

    def close(self) -> None:
        """Give everything back; outputs keep their levels if the kernel lets them."""
        for device in self._devices:
            device.close()
        self._devices.clear()
        self.pin_factory.close()

    def _listen(
        self, which: Input, settings: AnyInput, heard: Callable[[InputChange], None]
    ) -> Any:
        """An input device that reports its changes."""
        import gpiozero  # noqa: PLC0415

        # gpiozero takes a level's meaning from the resistor, so ask it for levels only.
        pull = {"up": True, "down": False, "none": None}[settings.pull]
        device = self._claimed(
            lambda: gpiozero.DigitalInputDevice(
                settings.pin,
                pull_up=pull,
                active_state=True if pull is None else None,
                bounce_time=settings.debounce_s or None,
                pin_factory=self.pin_factory,
            ),
            settings.pin,
            f"inputs.{which}.pin",
        )

        def pass_on(high: bool) -> None:
            try:
                heard(InputChange(which, high == settings.active_high))
            except Exception:
                # It would end the thread that notices the edges of every pin.
                log.exception("a change of the %s input was lost", which)

        device.when_activated = lambda: pass_on(pull is not True)  # gpiozero: "active" is unlike
        device.when_deactivated = lambda: pass_on(pull is True)  # the level of the resistor
        return device

    def _claimed(self, make: Callable[[], Any], pin: int, setting: str) -> Any:
        """Make a device, and see that the factory in use is the one configured."""
        try:
            device = make()
        except Exception as error:
            raise PinError(
                f"{setting}: GPIO{pin} cannot be claimed through {self._name}: {_said(error)}; "
                "is another program using it, and may this user open /dev/gpiochip*? (group gpio)"
            ) from error
        self._devices.append(device)
        if not isinstance(device.pin_factory, self._kind):
            used = type(device.pin_factory).__name__
            raise PinError(
                f"{setting}: GPIO{pin} is driven through {used}, though relay.factory is "
                f"{self._name}; lockd drives no door through what nobody chose"
            )
        return device


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


class _Steady:
    """Mixed into a pin class: a pin stays as it is when it is given back."""

    def close(self) -> None:
        # The parents make it an input, which would let go of a relay.
        self.when_changed = None


def _mock() -> tuple[Any, type]:
    from gpiozero.pins.mock import MockFactory  # noqa: PLC0415

    factory = MockFactory()
    factory.pin_class = type("SteadyPin", (_Steady, factory.pin_class), {})
    return factory, MockFactory


def _lgpio() -> tuple[Any, type]:
    import lgpio  # noqa: PLC0415
    from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin  # noqa: PLC0415
    from gpiozero.pins.local import LocalPiPin  # noqa: PLC0415

    class OneCallPin(LGPIOPin):  # type: ignore[misc]
        def __init__(self, factory: Any, info: Any) -> None:
            # All that the parent does except claiming an input, which would let go of a
            # relay that is held at its locked level.
            LocalPiPin.__init__(self, factory, info)
            self._pwm = self._bounce = self._callback = None
            self._edges = lgpio.BOTH_EDGES

        def _get_pull(self) -> str:
            # "Floating" only if somebody said so: the parent leaves the resistors of a Pi,
            # which are on since its power-up, where it is asked for none.
            mode = lgpio.gpio_get_mode(self.factory._handle, self._number)
            pull: str = super()._get_pull()
            return pull if mode & self.GPIO_LINE_FLAGS_MASK else "as it was"

        def output_with_state(self, state: bool) -> None:
            handle = self.factory._handle
            lgpio.gpio_claim_output(handle, self._number, int(state))
            # A line that this process has as an output already keeps its level when claimed.
            lgpio.gpio_write(handle, self._number, int(state))

    class SteadyPin(_Steady, OneCallPin):
        """In one call, and for good."""

    factory = LGPIOFactory()
    # One for all pins, begun when lgpio is imported.
    factory.listeners = [
        thread for thread in threading.enumerate() if type(thread).__module__ == lgpio.__name__
    ]
    factory.pin_class = SteadyPin
    return factory, LGPIOFactory


def _rpigpio() -> tuple[Any, type]:
    from gpiozero.pins.local import LocalPiFactory, LocalPiPin  # noqa: PLC0415
    from gpiozero.pins.rpigpio import GPIO, RPiGPIOFactory, RPiGPIOPin  # noqa: PLC0415

    class SteadyPin(_Steady, RPiGPIOPin):  # type: ignore[misc]
        def __init__(self, factory: Any, info: Any) -> None:
            LocalPiPin.__init__(self, factory, info)
            self._pull = info.pull or "floating"
            self._pwm = self._frequency = self._duty_cycle = None
            self._bounce = -666  # none, for RPi.GPIO
            self._edges = GPIO.BOTH

    class SteadyFactory(RPiGPIOFactory):  # type: ignore[misc]
        def close(self) -> None:
            LocalPiFactory.close(self)  # without the parent's clean-up, which makes inputs

    factory = SteadyFactory()
    factory.pin_class = SteadyPin
    return factory, SteadyFactory


FACTORIES: dict[str, Callable[[], tuple[Any, type]]] = {
    "lgpio": _lgpio,
    "rpigpio": _rpigpio,
    "mock": _mock,
}
