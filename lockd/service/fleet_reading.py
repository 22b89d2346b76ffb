"""Reading all that a broker keeps of a fleet, some of it at a time.

A broker queues so many messages for one client and drops the rest (mosquitto: a thousand), so the
shards of people are asked for a few at a time. Between them the door publishes a mark to itself:
as messages come in their order, all that was asked for before it has come when it does.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from lockd.fleet.holdings import SHARDS

WANTED = 300
"""Messages, of one step."""
_MOST_SHARDS = 64
_PATIENCE_S = 10.0
_TRIES = 3
_LONGEST_TOPIC = 64

FIRST = ("charter", "gone/#", "heads/#")


class Reading:
    """From the first topic to the last shard.

    Attributes:
        done: whether everything was asked for and has come.
        deaf: whether marks do not come back.
        seen: topics of which the broker has something.
    """

    def __init__(
        self,
        own: Sequence[str],
        listen: Callable[[Sequence[str]], None],
        mark: Callable[[bytes], None],
        now: float,
        most: int,
    ) -> None:
        """Ask for what comes first.

        Args:
            own: topics of this door, which come first, too.
            listen: asks for topics.
            mark: publishes a mark.
            most: how many topics are noted, whatever the broker has.
        """
        self._listen, self._send_mark = listen, mark
        self._most = most
        self._next = 0
        self._step = 1
        self._count = 0
        self._tries = 0
        self._mark = b""
        self._heard_at = now
        self.done = self.deaf = False
        self.seen: set[str] = set()
        self._ask([*FIRST, *own], now)

    def heard(self, topic: str, message: bytes, now: float) -> None:
        """Note that something came."""
        self._heard_at = now
        self._count += 1
        if not message:
            self.seen.discard(topic)
        elif len(topic) <= _LONGEST_TOPIC and len(self.seen) < self._most:
            self.seen.add(topic)

    def marked(self, mark: bytes, now: float) -> None:
        """Go on, if that is the mark that is waited for."""
        if mark == self._mark and not self.done:
            self._go_on(now)

    def look(self, now: float) -> None:
        """Send the mark again if it does not come; in the end go on without."""
        if self.done or now - self._heard_at < _PATIENCE_S:
            return
        self._heard_at = now
        self._tries += 1
        if self._tries >= _TRIES:
            self.deaf = True
            self._go_on(now)
        else:
            self._send_mark(self._mark)

    def _go_on(self, now: float) -> None:
        if self._next >= SHARDS:
            self.done = True
            return
        if self._next:
            fits = WANTED * self._step // max(self._count, 1)
            self._step = max(1, min(_MOST_SHARDS, 4 * self._step, fits))
        shards = range(self._next, min(SHARDS, self._next + self._step))
        self._next = shards.stop
        self._ask([f"people/{one:02x}/#" for one in shards], now)

    def _ask(self, topics: Sequence[str], now: float) -> None:
        self._count, self._tries, self._heard_at = 0, 0, now
        self._mark = secrets.token_bytes(8)
        self._listen(topics)
        self._send_mark(self._mark)
