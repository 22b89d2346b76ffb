"""Events on their way from the service through the store to the broker."""

from __future__ import annotations

import logging
import math
from collections import deque

from lockd.adapters.mqtt.bus import Bus, Session
from lockd.adapters.store import Store
from lockd.config import Settings
from lockd.errors import StoreError
from lockd.messages import Event, Topics, encode, public
from lockd.roster import STORE_PAUSE_S

log = logging.getLogger(__name__)

_BACKLOG = 1000
_NOT_STORED = 0  # no message in the store has this number


class Outbox:
    """Loses nothing that can be kept, and never keeps the door waiting.

    An event is written to the store, published, and forgotten when the broker has
    acknowledged it. While the store cannot be written events go out of memory straight to
    the broker, if there is one, and wait in memory if there is not. Where events are to be
    kept (`store.keep_events_days`), the same transaction keeps them, broker or not.

    Attributes:
        store: where they wait, or None while there is none.
        problem: why the store takes none, or None.
    """

    def __init__(self, settings: Settings, store: Store | None, bus: Bus | None) -> None:
        self._mqtt = settings.mqtt
        self._keeps = settings.store.keep_events_days > 0
        self._topics = Topics(settings.mqtt.base_topic, settings.door.id)
        self.store = store
        self._bus = bus
        self._backlog: deque[tuple[list[str], bytes, str]] = deque(maxlen=_BACKLOG)
        self._sent_up_to = 0
        self._session: Session | None = None
        self._pause_until = -math.inf
        self._delivered: list[int] = []
        self.problem: str | None = None

    def post(self, event: Event) -> None:
        """Take an event on; never raises and never waits for the network."""
        if self._bus is None and not self._keeps:
            return
        values = public(event, self._mqtt.similarity)
        if len(self._backlog) == _BACKLOG:
            log.error("neither store nor broker takes events; lost: %s", self._backlog[0][1])
        topics = [] if self._bus is None else self._topics.of(event.type)
        self._backlog.append((topics, encode(values), values["utc"]))
        self.pump(event.t)

    def pump(self, now: float) -> None:
        """Move what can be moved."""
        if self._bus is None and not self._keeps:
            return
        if self.store is not None and self.store.writable and now >= self._pause_until:
            try:
                self._into_store(self.store)
                if self._bus is not None:
                    self._through_store(self._bus, self.store)
            except StoreError as error:
                self.problem = str(error)
                self._pause_until = now + STORE_PAUSE_S
            else:
                self.problem = None
                return
        if self._bus is not None:
            self._past_store(self._bus)

    def _into_store(self, store: Store) -> None:
        while self._backlog:
            topics, payload, utc = self._backlog[0]
            kept = utc if self._keeps else None
            store.post(topics, payload, keep=self._mqtt.outbox_events, event_utc=kept)
            self._backlog.popleft()

    def _through_store(self, bus: Bus, store: Store) -> None:
        self._delivered += bus.delivered()
        if self._delivered:
            store.delivered(self._delivered)
            self._delivered.clear()
        if bus.session is not self._session:  # what the last one did not deliver is sent again
            self._session, self._sent_up_to = bus.session, 0
        free = bus.free()
        for message in store.waiting(self._sent_up_to, free) if free else ():
            bus.send(message.seq, message.topic, message.payload)
            self._sent_up_to = message.seq

    def _past_store(self, bus: Bus) -> None:
        self._delivered += [seq for seq in bus.delivered() if seq != _NOT_STORED]
        while self._backlog and bus.free() > 0:
            topics, payload, _ = self._backlog.popleft()
            for topic in topics:
                bus.send(_NOT_STORED, topic, payload)
