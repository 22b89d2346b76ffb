"""One connection of the service to the broker, and what goes between its threads."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lockd.adapters.mqtt.bounded import BoundedClient
from lockd.adapters.mqtt.client import Protocol


@dataclass(frozen=True, slots=True)
class News:
    """What paho's thread has to tell: that it is connected, or why not.

    Attributes:
        problem: why not.
        reason: the same in the broker's or paho's words alone.
        other_protocol: whether another version of the protocol may help.
        max_packet: bytes, the largest packet that the broker says it takes.
    """

    problem: str | None = None
    reason: str = ""
    other_protocol: bool = False
    max_packet: int | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """Something to be published."""

    topic: str
    payload: bytes
    retain: bool
    expiry_s: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The broker has a message, under a number of paho's; or it says why it keeps it to itself."""

    mid: int
    refusal: str | None


_BAD_PROTOCOL = "Unsupported protocol version"
_MAX_HELD = 20
GOODBYE = News("closing")
Told: TypeAlias = News | Publication | Answer


@dataclass(slots=True, eq=False)
class Session:
    """One connection, from its beginning to its end.

    Attributes:
        client: paho's.
        protocol: that it speaks.
        news: from paho's thread, and what the bus's own shall publish.
        acknowledged: numbers of paho's that the broker has.
        in_flight: our numbers by paho's; touched by whoever sends only.
        held: what is sent when nothing else is under way; the bus's thread's.
    """

    client: BoundedClient
    protocol: Protocol
    news: queue.SimpleQueue[Told] = field(default_factory=queue.SimpleQueue)
    acknowledged: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)
    in_flight: dict[int, int] = field(default_factory=dict)
    held: deque[Publication] = field(default_factory=lambda: deque(maxlen=_MAX_HELD))

    def hold(self, what: Publication) -> None:
        """Have something sent later; of what is retained only the last matters."""
        for one in [one for one in self.held if one.topic == what.topic and one.retain]:
            self.held.remove(one)
        self.held.append(what)

    def listen(self, moved: Callable[[], None]) -> None:
        """Have paho's thread put what happens into the queues, and nothing else."""
        answered = False

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, said: Any) -> None:
            nonlocal answered
            answered = True
            if reason.is_failure:
                other = str(reason) == _BAD_PROTOCOL
                self.news.put(News(f"refused: {reason}", str(reason), other))
            else:
                self.news.put(News(max_packet=getattr(said, "MaximumPacketSize", None)))

        def on_disconnect(_client: Any, _data: Any, _flags: Any, reason: Any, *_: Any) -> None:
            self.news.put(News(f"connection lost: {reason}", str(reason), not answered))

        def on_publish(_client: Any, _data: Any, mid: int, reason: Any, *_: Any) -> None:
            self.news.put(Answer(mid, str(reason) if reason.is_failure else None))
            self.acknowledged.put(mid)
            moved()

        self.client.on_connect = on_connect
        self.client.on_disconnect = on_disconnect
        self.client.on_publish = on_publish
