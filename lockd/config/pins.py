"""What is wired to the pins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lockd.config.base import Level, Pin, Pull, Section
from lockd.types import Signal


class HeartbeatSettings(Section):
    """A line that feeds a hardware limit of the relay's time."""

    pin: Pin
    hz: Annotated[float, Field(ge=2, le=25, allow_inf_nan=False)] = 10.0
    """How often a second it goes high and low again."""


class RelaySettings(Section):
    """The relay that releases the strike."""

    factory: Literal["lgpio", "rpigpio", "mock"] = "lgpio"
    """Of the inputs and signals too."""
    pin: Pin = 17
    active_high: bool = True
    """Whether a high level switches the relay on."""
    wiring: Literal["fail_secure", "fail_safe"] = "fail_secure"
    """Whether the relay is switched on to unlock, or is on for as long as it is locked."""
    heartbeat: HeartbeatSettings | None = None
    """Without it lockd alone ends a release."""

    @property
    def unlocks_high(self) -> bool:
        """Whether a high level of the pin unlocks the door."""
        return self.active_high == (self.wiring == "fail_secure")


class InputSettings(Section):
    """What every input has."""

    pin: Pin
    pull: Pull = "up"
    """The Pi's own resistor; none if there is another one."""
    debounce_s: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.05


class ExitSettings(InputSettings):
    """The exit button; as it is by default, it connects the pin to ground."""

    pressed_when: Level = "low"

    @property
    def active_high(self) -> bool:
        """Whether the pin is high while the button is pressed."""
        return self.pressed_when == "high"


class ContactSettings(InputSettings):
    """The door contact; by default it connects the pin to ground while the door is closed."""

    open_when: Level = "high"

    @property
    def active_high(self) -> bool:
        """Whether the pin is high while the door is open."""
        return self.open_when == "high"


class TamperSettings(InputSettings):
    """The tamper switch; by default it connects the pin to ground while all is well."""

    tampered_when: Level = "high"

    @property
    def active_high(self) -> bool:
        """Whether the pin is high while somebody tampers."""
        return self.tampered_when == "high"


class InputsSettings(Section):
    """What is wired to the door besides the relay; each may be missing."""

    exit: ExitSettings | None = None
    contact: ContactSettings | None = None
    tamper: TamperSettings | None = None


class LedSettings(Section):
    """A status LED."""

    pin: Pin
    active_high: bool = True


class BuzzerSettings(LedSettings):
    """A buzzer with a tone of its own."""

    quiet: Annotated[tuple[Annotated[Signal, Field(strict=False)], ...], Field(strict=False)] = ()
    """Patterns at which it stays silent."""


class SignalsSettings(Section):
    """What tells whoever stands at the door; each may be missing."""

    led: LedSettings | None = None
    buzzer: BuzzerSettings | None = None
    left_led: LedSettings | None = None
    """On the left of whoever stands there; on while they are to turn there."""
    right_led: LedSettings | None = None
    screen: bool = False
    """Whether a screen at the door shows what is published of the challenge."""
