"""What came from the broker and waits for the service's thread."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

MAX_INBOX = 64
_COMPLAIN_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that was subscribed to.

    Attributes:
        topic: where it was published.
        payload: what.
        retained: whether the broker had kept it for whoever comes.
        duplicate: whether the broker sends it once more, not knowing that it arrived.
    """

    topic: str
    payload: bytes
    retained: bool
    duplicate: bool


Lanes = Callable[[str, bytes], tuple[str, int]]
"""Says, of a message's topic and payload, in which lane it waits and how many may wait there."""


def _one_lane(_topic: str, _payload: bytes) -> tuple[str, int]:
    return "", MAX_INBOX


class Inbox:
    """Messages in the order they came; a lane that is full takes nothing from the others.

    Attributes:
        lost: how many there was no room for so far.
    """

    def __init__(self, lanes: Lanes | None = None) -> None:
        self._lane = lanes or _one_lane
        self._lock = threading.Lock()
        self._waiting: list[Incoming] = []
        self._taken: Counter[str] = Counter()
        self._overlooked = self.lost = 0
        self._complain_at = -math.inf

    def put(self, message: Incoming) -> bool:
        """Keep a message, if there is room in its lane; return whether it is the first."""
        name, room = self._lane(message.topic, message.payload)
        with self._lock:
            if self._taken[name] >= room:
                self._overlooked += 1
                self.lost += 1
                return False
            self._taken[name] += 1
            self._waiting.append(message)
            return len(self._waiting) == 1

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self._waiting)

    def take(self) -> list[Incoming]:
        """Return what came since the last call, and say now and then what there was no room for."""
        with self._lock:
            found, self._waiting = self._waiting, []
            self._taken.clear()
        if self._overlooked and time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + _COMPLAIN_EVERY_S
            lost, self._overlooked = self._overlooked, 0
            log.warning("mqtt: %d messages came too fast and were not looked at", lost)
        return found
