"""What is wired to the pins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

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


_OLED = Literal[
    "ch1115", "sh1106", "sh1107", "ssd1305", "ssd1306", "ssd1309", "ssd1315", "ssd1316", "ssd1322",
    "ssd1325", "ssd1327", "ssd1331", "ssd1351", "ssd1362", "ssd1363",
]  # fmt: skip
_LCD = Literal["ili9341", "ili9486", "ili9488", "pcd8544", "st7567", "st7735", "st7789", "uc1701x"]


class DisplaySettings(Section):
    """A small OLED or LCD with words for whoever stands at the door."""

    driver: _OLED | _LCD
    """The chip that drives it, as luma.oled and luma.lcd call it."""
    bus: Literal["i2c", "spi"] = "i2c"
    port: Annotated[int, Field(ge=0, le=32)] | None = None
    """Number of the bus; None is 1 of I2C and 0 of SPI."""
    address: Annotated[int, Field(ge=0x08, le=0x77)] = 0x3C
    """On the I2C bus."""
    chip_select: Annotated[int, Field(ge=0, le=3)] = 0
    """Of the SPI bus."""
    dc_pin: Pin | None = None
    """Tells commands from data, on SPI."""
    reset_pin: Pin | None = None
    light_pin: Pin | None = None
    """Switches an LCD's backlight."""
    width: Annotated[int, Field(ge=16, le=1024)] | None = None
    """Pixels, with `height`; None is what the driver takes for usual."""
    height: Annotated[int, Field(ge=16, le=1024)] | None = None
    rotate: Literal[0, 1, 2, 3] = 0
    """By so many quarters, clockwise."""
    rests_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = 60.0
    """It is dark when nobody was there for so long; 0 for never."""
    language: Literal["en", "de"] = "en"
    font: File | None = None
    """TrueType; by default DejaVu's or another that is installed."""

    @property
    def is_lcd(self) -> bool:
        """Whether luma.lcd has its driver."""
        return self.driver in get_args(_LCD)

    @property
    def bus_number(self) -> int:
        """Of the kernel's device."""
        return (1 if self.bus == "i2c" else 0) if self.port is None else self.port

    @property
    def device(self) -> Path:
        """The kernel's device."""
        if self.bus == "i2c":
            return Path(f"/dev/i2c-{self.bus_number}")
        return Path(f"/dev/spidev{self.bus_number}.{self.chip_select}")

    def pins(self) -> Iterator[tuple[str, int]]:
        """Yield the pins that it needs, by their settings' names."""
        for name in ("dc_pin", "reset_pin", "light_pin"):
            if (pin := getattr(self, name)) is not None:
                yield name, pin

    @model_validator(mode="after")
    def _whole(self) -> DisplaySettings:
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height belong together; set both or neither")
        if self.bus == "spi" and self.dc_pin is None:
            raise ValueError("bus: spi needs dc_pin, the pin that tells commands from data")
        if self.bus == "i2c" and (self.dc_pin is not None or self.reset_pin is not None):
            raise ValueError("dc_pin and reset_pin have no effect with bus: i2c; take them out")
        if self.light_pin is not None and not self.is_lcd:
            raise ValueError(f"light_pin has no effect with {self.driver}, which lights itself")
        return self


class SignalsSettings(Section):
    """What tells whoever stands at the door; each may be missing."""

    led: LedSettings | None = None
    buzzer: BuzzerSettings | None = None
    left_led: LedSettings | None = None
    """On the left of whoever stands there; on while they are to turn there."""
    right_led: LedSettings | None = None
    voice: VoiceSettings | None = None
    display: DisplaySettings | None = None
    screen: bool = False
    """Whether a screen at the door shows what is published of the challenge."""
