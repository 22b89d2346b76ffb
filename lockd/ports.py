"""Ports: what the service asks of the world, each declared once.

An adapter is whatever has these methods; nothing derives from anything here but `Observer`, whose
methods do nothing by default. A display, a keypad or a page in a browser is one adapter and one
line in `lockd.service.assembly`: see "How to add..." in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lockd.messages import Event, EventType
from lockd.types import Frame, Input, Signal

if TYPE_CHECKING:
    from lockd.errors import CameraTrouble
    from lockd.identity.observation import Observation


class Output(Protocol):
    """One pin that is driven: gpiozero's `OutputDevice` has all of it."""

    def on(self) -> None:
        """Switch on; the relay's unlocks."""

    def off(self) -> None:
        """Switch off; the relay's locks."""

    def close(self) -> None:
        """Give the pin back, at the level that it has."""


class Inputs(Protocol):
    """Exit button, door contact and tamper switch."""

    def levels(self) -> dict[Input, bool]:
        """Return which of them are active.

        Raises:
            PinError: if they cannot be read.
        """


class Indicator(Protocol):
    """What shows whoever stands at the door how things are: LED and buzzer, or a display."""

    def show(self, signal: Signal, name: str | None = None) -> None:
        """Show a signal; one that ends by itself gives way to the last that does not.

        Args:
            name: of whoever came, with those who are enrolled and nobody else.
        """

    def silence(self, seconds: float) -> None:
        """Make no noise from now on for so long."""


class Camera(Protocol):
    """What gives frames. Everything may be called from any thread."""

    @property
    def problem(self) -> str | None:
        """What is wrong just now, for people, beginning with `trouble`; or None."""

    @property
    def trouble(self) -> CameraTrouble | None:
        """What is wrong just now, for programs; or None."""

    @property
    def alive(self) -> bool:
        """Whether it works or knowingly waits; if not, only a new process will help."""

    @property
    def started(self) -> bool:
        """Whether there ever was a frame."""

    @property
    def ended(self) -> bool:
        """Whether a recording is over: no frame will come."""

    def next(self, timeout_s: float) -> Frame | None:
        """Return a frame not returned before, or None if none came in time.

        Raises:
            CameraError: if a recording is broken.
            ImageError: if a picture of a folder is.
        """

    def wake(self) -> None:
        """Make a `next` that is waiting, or else the next one, return without a wait."""

    def rest(self, resting: bool) -> None:
        """Say whether half as many frames will do: nothing moves, and nobody is there."""

    def close(self) -> None:
        """Stop reading, within about a second."""


class LocalTime(Protocol):
    """The time of the day, for access rules."""

    problem: str | None
    """Why the time is not known, or None."""

    def local(self) -> datetime | None:
        """Return the local time, None while it is not known to be right."""


class Emit(Protocol):
    """Takes events: they are published, kept and logged."""

    def __call__(self, kind: EventType, **details: Any) -> None:
        """Take an event; `details` are attributes of `Event`."""


class Request(Protocol):
    """What somebody on this machine asks of the service."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The JSON object that was sent; `command` names what is asked."""

    @property
    def by(self) -> str:
        """Who asks, by user name."""

    @property
    def body(self) -> bytes:
        """What came along with it."""

    @property
    def console(self) -> bool:
        """Whether the console asks, for one of its users."""

    def take(self) -> bool:
        """Begin to obey; return False if whoever asked is told by now that it was not done."""

    def answer(self, values: dict[str, Any], picture: Callable[[], bytes] | None = None) -> None:
        """Answer; once is enough.

        Args:
            values: to be sent as JSON.
            picture: makes the bytes that follow, in another thread than the service's.
        """

    def answer_later(self, work: Callable[[], tuple[dict[str, Any], bytes]]) -> None:
        """Have the answer and the bytes that follow it made, in another thread."""


class Requests(Protocol):
    """Where requests come from: the control socket, or whatever else can tell who asks."""

    def requests(self) -> Iterable[Request]:
        """Return what was asked since the last call; each must be answered."""


class IncomingMessage(Protocol):
    """What came from the broker."""

    @property
    def topic(self) -> str:
        """Where it was published."""

    @property
    def payload(self) -> bytes:
        """What."""

    @property
    def retained(self) -> bool:
        """Whether the broker had kept it."""

    @property
    def duplicate(self) -> bool:
        """Whether it may have come before."""


class PublishResult(Protocol):
    """Publishes what became of a command; the bus does."""

    def __call__(self, topic: str, payload: bytes, *, expiry_s: float | None) -> None:
        """Publish if there is a broker, and do not wait for it."""


class Keys(Protocol):
    """The keys of those who may sign commands."""

    def current(self) -> Mapping[str, bytes]:
        """Return the key of each identity, as they are now."""

    def bound(self) -> Mapping[str, str]:
        """Return the person's id of each identity that is bound to somebody, as they are now."""


class Keypad(Protocol):
    """A keypad or card reader, which puts what is entered into a queue by itself."""

    @property
    def problem(self) -> str | None:
        """Why nothing comes from it, for people, or None."""

    @property
    def alive(self) -> bool:
        """Whether it works or knowingly waits; if not, only a new process will help."""

    def close(self) -> None:
        """Stop reading, within about two seconds."""


class Observer:
    """Is told what the service does; override what you want to hear of.

    Nothing here may wait: the service does nothing else meanwhile.
    """

    def event(self, event: Event) -> None:
        """Take an event, after the door was served."""

    def observed(self, frame: Frame, observation: Observation) -> None:
        """Take a frame that was judged, and what it showed."""

    def relay_switched(self, t: float, on: bool) -> None:
        """Take note that the relay was switched; maybe from the guard's thread, so never raise."""
