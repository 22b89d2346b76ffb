"""What somebody must show, besides their face, before the door opens to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lockd.config.base import Seconds, Section
from lockd.identity.liveness import Bounds, Measure, Policy

Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _listed(value: Any) -> Any:
    """Take one word for a list of one; YAML 1.1 has `off` for False."""
    words = ["off"] if value is False else [value] if isinstance(value, str) else value
    for word in words if isinstance(words, list) else ():
        if word not in list(Measure):
            raise ValueError(f"{word!r} is no policy; there are {', '.join(Measure)}")
    return words


def _consistent(measures: list[Measure]) -> list[Measure]:
    Policy.of(measures)
    return measures


Measures: TypeAlias = Annotated[
    list[Annotated[Measure, Field(strict=False)]],
    BeforeValidator(_listed),
    AfterValidator(_consistent),
]
"""A policy: one word, or a list of them."""


class LivenessSettings(Section):
    """What somebody must show, besides their face."""

    policy: Measures = Field(default=[Measure.GRADED])
    """For everybody whose groups have none of their own."""
    doubt: Literal["challenge", "second_factor"] = "challenge"
    """What is asked where the network is in doubt."""
    open_above: Share = 0.75
    """A visit opens without a question if it scores as high as so many of this door's live ones."""
    refuse_below: Share = 0.02
    """A visit is refused if all but so many of this door's live ones score higher."""
    least_frames: Annotated[int, Field(ge=1, le=50)] = 3
    """Judged frames whose mean is a visit's score."""
    gather_s: Seconds = 3.0
    """How long to wait for them; then nothing is known."""
    turns: Annotated[int, Field(ge=2, le=3)] = 2
    """Turns of the head that a challenge asks for."""

    @model_validator(mode="after")
    def _ordered(self) -> LivenessSettings:
        if self.refuse_below > self.open_above:
            raise ValueError(
                f"refuse_below ({self.refuse_below:g}) lies above open_above "
                f"({self.open_above:g}); what opens must score higher than what is refused"
            )
        return self

    def bounds(self) -> Bounds:
        """Return which shares of the live visits a score is compared with."""
        return Bounds(self.open_above, self.refuse_below)
