"""Sorts what comes from the broker, before it waits for the service: whose it is, and how much.

Anybody who may publish can send thousands of messages a second, and the service hears a few
dozen at a time. So each key has room of its own, and in it orders to lock have: neither can be
filled by those who have no key, nor by the holder of another one. All that nobody signed just
now shares a little room, enough to be answered now and then, and is dropped beyond it.

What passes is judged by the service as if it had not been looked at: see `judging`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import NamedTuple

from lockd.ports import Keys
from lockd.remote.commands import COMMANDS, LOCKING, PLAIN
from lockd.remote.judging import ANYBODY, WINDOW_S, authentic
from lockd.remote.signing import LONGEST_PAYLOAD, Malformed, Order

_STALE_S = 2 * WINDOW_S
_HEARD = 2000  # of one key
_SAME = 1000


class Lane(NamedTuple):
    """Where a message waits, and how many may at a time."""

    name: str
    room: int


OTHER = Lane("other", 64)
JUNK = Lane("junk", 8)
_OF_A_KEY, _TO_LOCK = 32, 16


class Sieve:
    """Says of each message in which lane it may wait."""

    def __init__(
        self,
        door: tuple[str, str],
        topics: tuple[str, str],
        plain: Collection[str],
        keys: Keys | None,
        utc: Callable[[], float],
    ) -> None:
        """Prepare it.

        Args:
            door: base topic and id.
            topics: of signed commands, and of plain ones.
            plain: the commands that need no signature.
            keys: of those who may sign, if anybody may.
            utc: what the clock shows, seconds since 1970, be it right or wrong.
        """
        self._door = door
        self._signed, self._plain = topics
        self._words = {word for word, name in PLAIN.items() if name in plain}
        self._keys = keys
        self._utc = utc
        self._heard: dict[str, OrderedDict[str, None]] = {}
        self._same: set[bytes] = set()
        self._lock = threading.Lock()  # a connection that ends may still bring something

    def lane(self, topic: str, payload: bytes) -> Lane:
        """Return where a message may wait. May be called from any thread."""
        if topic == self._signed:
            return JUNK if payload in self._same else self._remember(payload)
        if topic == self._plain:
            known = payload in self._words
            return _lane(ANYBODY, PLAIN[payload]) if known else JUNK
        return OTHER

    def _remember(self, payload: bytes) -> Lane:
        """Sort a message; the same bytes are never good again, which is quickly seen."""
        lane = self._of_signed(payload)
        if len(self._same) >= _SAME:
            self._same.clear()
        if len(payload) <= LONGEST_PAYLOAD:
            self._same.add(payload)
        return lane

    def _of_signed(self, payload: bytes) -> Lane:
        if self._keys is None:
            return JUNK
        try:
            order, key = authentic(payload, self._keys.current())
        except Malformed:
            return JUNK
        fresh = abs(self._utc() - order.time) <= _STALE_S
        if key is None or not fresh or (order.base_topic, order.door) != self._door:
            return JUNK
        return JUNK if self._heard_before(order) else _lane(order.by, order.command)

    def _heard_before(self, order: Order) -> bool:
        """Return whether somebody repeats what a key has signed: a way to fill its room."""
        with self._lock:
            heard = self._heard.setdefault(order.by, OrderedDict())
            if order.nonce in heard:
                return True
            heard[order.nonce] = None
            if len(heard) > _HEARD:
                heard.popitem(last=False)
            return False


def _lane(by: str, command: str) -> Lane:
    if command in LOCKING:
        return Lane(f"{by} to lock", _TO_LOCK)
    return Lane(by, _OF_A_KEY) if command in COMMANDS else JUNK
