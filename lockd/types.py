"""The nouns that travel between the parts: frozen, with shapes and units.

Coordinates are pixels of the image a value came from, x to the right, y down,
with (0, 0) the outer corner of the first pixel. Times are seconds of one
monotonic clock. Similarities rise with likeness and lie in -1..1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # many commands handle people and messages, and never a picture
    import numpy as np
    from numpy.typing import NDArray

Image: TypeAlias = "NDArray[np.uint8]"
"""uint8 (height, width, 3), BGR as OpenCV has it."""

Floats: TypeAlias = "NDArray[np.float32]"

Embedding: TypeAlias = "NDArray[np.float32]"
"""float32 (size,), L2 norm 1."""


JOINERS = "\u200c\u200d"
"""ZWNJ and ZWJ: invisible, but part of how Persian, Sinhala, Malayalam and emoji are written."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the camera.

    Attributes:
        image: uint8 (height, width, 3), BGR.
        t: when it was taken, monotonic seconds.
        seq: rises by at least one with every frame of a source.
    """

    image: Image
    t: float
    seq: int


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel rectangle; it may reach beyond its image."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face that the detector found.

    Attributes:
        box: where, in pixels of the image searched.
        landmarks: float32 (5, 2), pixels of the same image: the eye on the
            image's left, the eye on its right, nose, left and right mouth corner.
        confidence: of the detector's last stage, 0..1.
    """

    box: Box
    landmarks: Floats
    confidence: float


class Unfit(StrEnum):
    """Why a face is not judged."""

    TOO_SMALL = "too_small"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    BLURRED = "blurred"
    TURNED_AWAY = "turned_away"
    CUT_OFF = "cut_off"
    HARDLY_A_FACE = "hardly_a_face"


class Input(StrEnum):
    """What is wired to the door besides the relay, and heard of."""

    EXIT = "exit"
    """The exit button (request-to-exit); active while pressed."""
    CONTACT = "contact"
    """The door contact; active while the door is open."""
    TAMPER = "tamper"
    """The tamper switch of the housing; active while somebody opened it."""


@dataclass(frozen=True, slots=True)
class InputChange:
    """An input that became active, or ceased to be.

    Attributes:
        input: which.
        active: pressed, open or tampered with.
    """

    input: Input
    active: bool


@dataclass(frozen=True, slots=True)
class FactorEntry:
    """What was typed at the keypad, or read from a card.

    Attributes:
        kind: ``pin`` or ``card``.
        secret: what, never to be shown or logged.
    """

    kind: str
    secret: str = field(repr=False)


class Signal(StrEnum):
    """What the LED and the buzzer tell whoever stands at the door."""

    IDLE = "idle"
    LOOKING = "looking"
    GRANTED = "granted"
    DENIED = "denied"
    FAULT = "fault"
    ALARM = "alarm"
    LOCKED_DOWN = "locked_down"
    ASK_FRONT = "ask_front"
    ASK_LEFT = "ask_left"
    ASK_RIGHT = "ask_right"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled.

    Two of the same `id` are the same person, whatever else was changed meanwhile.

    Attributes:
        id: theirs for good.
        name: shown to people.
        groups: names of the groups whose rights they have.
        valid_from: the first day on which they may come in, or minute, ISO 8601; see
            `lockd.door.validity`. Or None.
        valid_until: the last day, or the minute that ends it, or None.
    """

    id: str
    name: str
    groups: frozenset[str] = frozenset()
    valid_from: str | None = None
    valid_until: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """What the gallery says of one probe.

    Attributes:
        person: who it is, or None for a stranger.
        similarity: to the nearest person, cosine -1..1; NaN with an empty gallery.
        nearest: the nearest person even where refused; for logs and calibration
            only, never a name to act on.
        runner_up: similarity to the second-nearest person; NaN if there is none.
        ambiguous: whether the nearest person was near enough and refused only for
            the second-nearest being almost as near.
        bound: whether the similarities are not those, but what they are no greater than:
            the rest of the networks need not be asked.
    """

    person: Person | None
    similarity: float
    nearest: Person | None
    runner_up: float
    ambiguous: bool = False
    bound: bool = False
