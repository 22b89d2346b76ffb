"""How large a message the broker takes: what it says of that, and what it keeps without a word.

A broker of version 5 may announce a limit. Others end the connection when a message is too large,
and so does mosquitto's `message_size_limit`. So a message that was under way when the connection
broke is suspected. In the next session it is sent alone, after everything else has arrived; if the
connection breaks again it was the cause, and no other message as large is sent.

Events are small, and are never suspected: none is lost for a network that breaks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)

SMALL = 1000
"""Bytes; what is no larger is never the cause."""
_STEPS = (20_000, 5_000, SMALL)
_OVERHEAD = 24  # of a packet, besides topic and payload: header, lengths, number, properties


@dataclass(frozen=True, slots=True)
class _Sent:
    topic: str
    size: int


class Sizes:
    """What the broker takes. `room` is for any thread, all else for the one that publishes."""

    def __init__(self) -> None:
        self._announced: int | None = None
        self._learned: int | None = None
        self._arrived = 0
        self._suspects: set[str] = set()  # by topic
        self._under_way: dict[int, _Sent] = {}
        self._warned: set[str] = set()

    def room(self, topic: str, *, guessed: bool = True) -> int | None:
        """Return how many bytes a payload may have, None if nothing is known.

        Args:
            guessed: count what was learned, too, not only what the broker says.
        """
        announced, learned = self._announced, self._learned if guessed else None
        said = None if announced is None else announced - len(topic.encode()) - _OVERHEAD
        return min((one for one in (said, learned) if one is not None), default=None)

    def takes(self, topic: str, size: int, *, guessed: bool = True) -> bool:
        """Return whether the broker may be sent a payload; if not, the log says so once."""
        room = self.room(topic, guessed=guessed)
        if room is None or size <= room:
            return True
        if topic not in self._warned:
            self._warned.add(topic)
            log.warning(
                "mqtt: the broker does not take %d bytes for %s; what is larger than %d is made "
                "smaller or left out; raise the broker's max_packet_size or message_size_limit, or "
                "lower mqtt.snapshot.max_kb",
                size, topic, room,
            )  # fmt: skip
        return False

    def begin(self, announced: int | None) -> None:
        """A session begins, of a broker that announces a limit, in bytes of a packet, or none."""
        self._announced = announced
        self._under_way.clear()

    def needs_care(self, topic: str, size: int) -> bool:
        """Return whether a message should be sent alone: it may be too large."""
        unproven = self._learned is not None and size > self._arrived
        return size > SMALL and (unproven or topic in self._suspects)

    @property
    def under_way(self) -> bool:
        """Whether something that was sent has not arrived."""
        return bool(self._under_way)

    def sent(self, mid: int, topic: str, size: int) -> None:
        """A message is on its way, under a number of paho's."""
        self._under_way[mid] = _Sent(topic, size)

    def arrived(self, mid: int) -> None:
        """The broker has it, if it is one of these."""
        one = self._under_way.pop(mid, None)
        if one is None:
            return
        self._arrived = max(self._arrived, one.size)
        if one.size > SMALL:
            self._suspects.discard(one.topic)

    def refused(self, mid: int) -> None:
        """The broker says that a message is too large."""
        one = self._under_way.pop(mid, None)
        if one is not None:
            self._learn(one)

    def lost(self, *, certain: bool = False) -> bool:
        """The connection broke; return whether a message was the cause.

        Args:
            certain: the broker said that one was too large.
        """
        large = [one for one in self._under_way.values() if one.size > SMALL]
        causes = [one for one in large if certain or self.needs_care(one.topic, one.size)]
        self._under_way.clear()
        self._announced = None
        if causes:
            self._learn(max(causes, key=lambda one: one.size))
        else:
            self._suspects |= {one.topic for one in large}
        return bool(causes)

    def _learn(self, one: _Sent) -> None:
        """Send nothing as large any more: what has arrived before, or so much less."""
        less = next((step for step in _STEPS if step < one.size), one.size - 1)
        self._arrived = min(self._arrived, one.size - 1)
        self._learned = max(less, self._arrived)
        self._suspects.discard(one.topic)
        self.takes(one.topic, one.size)
