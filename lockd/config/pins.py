"""What is wired to the pins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from lockd.config.base import File, Level, Pin, Pull, Section
from lockd.paths import shipped
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


class VoiceSettings(Section):
    """A loudspeaker that says what whoever stands at the door is to do."""

    language: Literal["en", "de"] = "en"
    folder: File | None = None
    """Of WAV files of the owner's own; those of the language by default."""
    device: str = "default"
    """Where it sounds, as `aplay -L` lists it."""
    quiet: Annotated[tuple[Annotated[Signal, Field(strict=False)], ...], Field(strict=False)] = ()
    """Signals at which nothing is said."""

    @field_validator("device")
    @classmethod
    def _one_name(cls, device: str) -> str:
        if not device.strip() or not device.isprintable():
            raise ValueError("the name of an ALSA device; `aplay -L` lists them")
        return device

    @field_validator("quiet")
    @classmethod
    def _asks_aloud(cls, quiet: tuple[Signal, ...]) -> tuple[Signal, ...]:
        asks = [signal for signal in quiet if signal.value.startswith("ask_")]
        if asks:
            raise ValueError(f"what asks for a turn is said: take {', '.join(asks)} out")
        return quiet

    def spoken(self) -> Path:
        """Return the folder of what is said."""
        return self.folder or shipped(f"config/voice/{self.language}")


class SignalsSettings(Section):
    """What tells whoever stands at the door; each may be missing."""

    led: LedSettings | None = None
    buzzer: BuzzerSettings | None = None
    left_led: LedSettings | None = None
    """On the left of whoever stands there; on while they are to turn there."""
    right_led: LedSettings | None = None
    voice: VoiceSettings | None = None
    screen: bool = False
    """Whether a screen at the door shows what is published of the challenge."""
