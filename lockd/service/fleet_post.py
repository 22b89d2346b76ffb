"""What a door of a fleet has to publish: as fast as the broker takes it, the last of each topic."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable

from lockd.adapters.mqtt.bus import Bus

ANSWER_S, MEMBERS_ANSWER_S = (0.5, 3.0), (20.0, 60.0)
"""When what the broker lacks is published: first by whoever may sign, and if they do not by any."""
_AGAIN_S = 60.0
_MOST_ANSWERED = 4096


class Post:
    """Topics and what is to be there; without a message, what is held when its turn comes."""

    def __init__(self, base: str, bus: Bus) -> None:
        """Have nothing to publish yet.

        Args:
            base: what topics begin with.
        """
        self._base, self._bus = base, bus
        self._chance = random.SystemRandom()
        self._out: OrderedDict[str, bytes | None] = OrderedDict()
        self._under_way: dict[int, tuple[str, bytes | None]] = {}
        self._number = 0
        self._owed: dict[str, float] = {}
        self._answered: OrderedDict[str, float] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether all was delivered."""
        return not self._out and not self._under_way

    def put(self, topic: str, message: bytes | None = None) -> None:
        """Publish something soon."""
        self._out[topic] = message

    def owe(self, topic: str, now: float, *, first: bool) -> None:
        """Publish later what is held, unless it is heard until then; each topic not too often.

        Args:
            first: whether this door may sign, and so is among those who answer first.
        """
        if topic in self._owed or now - self._answered.get(topic, -math.inf) < _AGAIN_S:
            return
        self._owed[topic] = now + self._chance.uniform(*(ANSWER_S if first else MEMBERS_ANSWER_S))

    def heard(self, topic: str) -> None:
        """Somebody else has published what is held."""
        self._owed.pop(topic, None)

    def begin(self) -> None:
        """There is another connection: what was under way is sent again."""
        for topic, message in self._under_way.values():
            self._out.setdefault(topic, message)
        self._under_way.clear()

    def send(self, now: float, held: Callable[[str], bytes | None]) -> None:
        """Publish as much as there is room for.

        Args:
            held: returns what is held of a topic; None if it is to be left alone.
        """
        for number in self._bus.delivered():
            self._under_way.pop(number, None)
        for topic in [one for one, due in self._owed.items() if due <= now]:
            del self._owed[topic]
            self._answered[topic] = now
            if len(self._answered) > _MOST_ANSWERED:
                self._answered.popitem(last=False)
            self._out.setdefault(topic, None)
        room = self._bus.free()
        while self._out and room > 0:
            topic, given = self._out.popitem(last=False)
            message = held(topic) if given is None else given
            if message is None:
                continue
            self._number += 1
            if not self._bus.send(self._number, f"{self._base}/{topic}", message, retain=True):
                self._out[topic] = given
                self._out.move_to_end(topic, last=False)
                return
            self._under_way[self._number] = topic, given
            room -= 1
