"""What is asked for beside a face: a PIN, a card, or a telephone's signed command."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lockd.config.base import File, Pin, Pull, Seconds, Section
from lockd.door.tries import TryRules

LEAST_DIGITS_ALONE = 6
"""Of PINs that open the door by themselves: whoever tries needs to know nobody's face."""


class UsbSettings(Section):
    """A USB keypad or card reader: to the kernel a keyboard."""

    device: File


class WiegandSettings(Section):
    """A reader, a keypad or both on two GPIO lines."""

    d0_pin: Pin
    d1_pin: Pin
    pull: Pull = "up"


class WrongTriesSettings(Section):
    """How wrong PINs and cards are slowed."""

    free: Annotated[int, Field(ge=1, le=20)] = 3
    pause_s: Seconds = 5.0
    longest_pause_s: Seconds = 300.0
    in_all: Annotated[int, Field(ge=1, le=1000)] = 10
    within_s: Seconds = 300.0

    def rules(self) -> TryRules:
        """Return what counts them."""
        return TryRules(**self.model_dump())


class SecondFactorSettings(Section):
    """Where PINs and cards come from, and what they are good for."""

    keypad: UsbSettings | None = None
    reader: UsbSettings | None = None
    wiegand: WiegandSettings | None = None
    confirm: bool = False
    """Whether the signed command of somebody's telephone counts."""
    alone: list[Literal["pin", "card"]] = Field(default_factory=list)
    """What opens the door without a face."""
    timeout_s: Seconds = 20.0
    least_digits: Annotated[int, Field(ge=4, le=12)] = 4
    most_digits: Annotated[int, Field(ge=4, le=12)] = 8
    key_gap_s: Annotated[float, Field(ge=0.5, le=60, allow_inf_nan=False)] = 5.0
    """After so long without a key what was typed is forgotten."""
    wrong_tries: WrongTriesSettings = WrongTriesSettings()

    @property
    def kinds(self) -> frozenset[str]:
        """What can be asked for here: ``pin``, ``card``, ``confirm``."""
        given = {
            "pin": self.keypad or self.wiegand,
            "card": self.reader or self.wiegand,
            "confirm": self.confirm,
        }
        return frozenset(kind for kind, by in given.items() if by)

    @model_validator(mode="after")
    def _consistent(self) -> SecondFactorSettings:
        if self.least_digits > self.most_digits:
            raise ValueError(
                f"least_digits: {self.least_digits} is more than most_digits: {self.most_digits}; "
                "use no more"
            )
        if self.keypad and self.reader and self.keypad.device == self.reader.device:
            raise ValueError(
                f"keypad and reader are both {self.keypad.device}; give each its own device"
            )
        for kind in self.alone:
            if kind not in self.kinds:
                by = "keypad" if kind == "pin" else "reader"
                raise ValueError(f"alone: {kind} has no effect without {by} or wiegand; set one")
        if "pin" in self.alone and self.least_digits < LEAST_DIGITS_ALONE:
            raise ValueError(
                f"alone: pin with least_digits: {self.least_digits} can be guessed; use at least "
                f"{LEAST_DIGITS_ALONE}"
            )
        return self
