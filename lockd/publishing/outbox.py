"""Events on their way from the service through the store to the broker.

A thread of its own carries them, with a connection of its own to the store, so that the
door waits for neither the disk nor the network: `post` puts an event into a queue.

An event is written, with its number, before it is published, and forgotten when the broker
has acknowledged it. What is posted is on disk some milliseconds later, and the log tells of
it then; meanwhile a spool keeps it, should the process be killed.

While the store cannot be written events go out of memory straight to the broker, in a
numbering of their own, and wait in memory if there is none.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.mqtt.session import Session
from lockd.adapters.spool import Spool
from lockd.adapters.store import STORE_PAUSE_S, OwnStore, Posting, Store
from lockd.config import Settings
from lockd.errors import StoreError
from lockd.messages import (
    ALERT,
    ALERTS,
    Event,
    EventType,
    Topics,
    encode,
    outgoing,
    public,
    weight,
)
from lockd.publishing.wording import nameless, sentence

log = logging.getLogger(__name__)

BACKLOG, BACKLOG_FOR_ALERTS = 1000, 100
LATE_S = 5.0
"""What is sent later than this is marked as delayed."""
_IDLE_S = 1.0
_FAREWELL_S = 1.0


@dataclass(slots=True)
class _Parcel:
    """An event and what is to become of it."""

    told: dict[str, Any]
    posting: Posting
    logged: bool = False

    def log(self) -> None:
        """Tell the log, once."""
        if not self.logged:
            self.logged = True
            log.info("%s", sentence(self.told), extra={"event": self.told})

    def packed(self) -> dict[str, Any]:
        """Return what `unpacked` makes the same of."""
        return {"told": self.told, "posting": asdict(self.posting)}

    @classmethod
    def unpacked(cls, values: dict[str, Any]) -> _Parcel | None:
        """Return the parcel, None if it is none: another version's, or spoilt."""
        try:
            return cls(dict(values["told"]), Posting(**values["posting"]))
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True, eq=False)
class _Loose:
    """A message that no store keeps; the outbox does, until it arrived."""

    topic: str
    payload: bytes
    t: float


class Outbox:
    """Loses nothing that can be kept, and never keeps the door waiting.

    Attributes:
        waiting: how many messages waited when last counted.
        lost: how many were given up, ever.
        errand: called with the store, if it is open, at every round, in the outbox's thread.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float],
        bus: Bus | None,
        opener: Callable[[], Store] | None,
        *,
        spool: Spool | None = None,
        pause_s: float = STORE_PAUSE_S,
    ) -> None:
        """Prepare it.

        Args:
            now: the clock that events have their times from.
            bus: where they are published, if anywhere.
            opener: opens the store, if there is one that events wait in; never makes one.
            spool: keeps what is not in the store yet, should the process be killed.
            pause_s: how long a store that failed is left alone.
        """
        self._mqtt = settings.mqtt
        self._door = settings.door.id
        self._log_names = settings.log_names
        self._keeps = settings.store.keep_events_days > 0 and opener is not None
        self._topics = Topics(settings.mqtt.base_topic, settings.door.id)
        self._now = now
        self._bus = bus
        self._own = OwnStore(opener, pause_s=pause_s)
        self._pause_s = pause_s
        self._run = uuid.uuid4().hex[:16]
        self._backlog: deque[_Parcel] = deque()
        self._spool = spool
        self._left = _unpacked(spool)
        self._overflowed = 0
        self._loose: list[_Loose] = []
        self._loose_events = 0
        self._tickets = 0
        self._under_way: dict[int, int | _Loose] = {}
        self._store: Store | None = None
        self._session: Session | None = None
        self._sent_up_to = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.waiting = 0
        self.lost = 0
        self.errand: Callable[[Store | None], None] = lambda _: None
        if bus is not None:
            bus.moved = self._wake.set

    @property
    def problem(self) -> str | None:
        """Why the store takes no events, or None."""
        return self._own.problem

    def post(self, event: Event, *, suppressed: int | None = None) -> None:
        """Take an event on; never raises, and waits for nothing.

        Args:
            suppressed: how many alerts of its kind were held back before; None if it is not
                to be published as an alert.
        """
        told = public(event, self._mqtt.similarity)
        if not self._log_names:
            told = nameless(told)
        parcel = _Parcel(told, self._posting(event, suppressed))
        if self._bus is None and not self._keeps:
            parcel.log()
            return
        if len(self._backlog) >= BACKLOG + (
            BACKLOG_FOR_ALERTS if parcel.posting.weight == ALERT else 0
        ):
            self._overflowed += len(parcel.posting.topics)
            log.error("neither store nor broker takes events; lost: %s", sentence(told))
            return
        self._backlog.append(parcel)
        if self._spool is not None:
            self._spool.add(parcel.packed())

    def nudge(self) -> None:
        """Have carried soon what was posted; when nothing else is to be done at once.

        Not done by `post`, for two threads of Python keep each other waiting.
        """
        if self._thread is not None and not self._thread.is_alive():
            log.critical("the thread that carries events has died; starting another")
            self._own.forget()
            self.start()
        if self._backlog:
            self._wake.set()

    def start(self) -> None:
        """Begin to carry."""
        self._closing = False
        self._thread = threading.Thread(target=self._carry, name="outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, after a last try for a second at most; what is left waits in the store."""
        self._closing = True
        self._wake.set()
        if self._thread is None:
            self._carry()
            return
        self._thread.join(_FAREWELL_S + self._pause_s)
        self._thread = None

    def _posting(self, event: Event, suppressed: int | None) -> Posting:
        topics: dict[str, dict[str, Any]] = {}
        if self._bus is not None:
            topics[self._topics.events] = {}
        kind = ALERTS.get(event.type)
        if topics and kind is not None and suppressed is not None:
            topics[self._topics.alert(kind)] = {"alert": kind, "suppressed": suppressed}
        values = public(event, self._mqtt.similarity)
        return Posting(values, topics, weight(event.type), event.t, self._keeps)

    # In the outbox's thread

    def _carry(self) -> None:
        try:
            while not self._closing:
                self._wake.wait(_IDLE_S)
                self._wake.clear()
                self._move_safely()
            self._say_farewell()
        finally:
            self._own.close()

    def _say_farewell(self) -> None:
        end = time.monotonic() + _FAREWELL_S
        self._own.try_now()  # for the last time
        while self._move_safely() and time.monotonic() < end:
            self._wake.wait(0.05)
            self._wake.clear()
        if self._backlog or self._loose:
            left = len(self._backlog), len(self._loose)
            log.error("at the end %d events were not written, %d messages not delivered", *left)

    def _move_safely(self) -> bool:
        try:
            more = self.move()
            self.errand(self._store)  # which may have something large to send: events come first
            return more
        except Exception:
            log.exception("the outbox stumbled; it goes on")
            return False

    def move(self) -> bool:
        """Move what can be moved; return whether more can be, once the broker answers.

        Called by the outbox's own thread; by nobody else while that runs.
        """
        bus = self._bus
        if bus is not None and bus.session is not self._session:
            self._begin_session(bus)
        store = self._usable_store()
        if store is not None:
            try:
                self._into_store(store)
                if bus is not None:
                    self._through_store(bus, store)
            except StoreError as error:
                self._own.give_up(str(error))
        if bus is not None and self._own.store is None:
            self._past_store(bus)
        for parcel in list(self._backlog):  # whom nobody takes, for now
            parcel.log()
        return bus is not None and bus.session is not None and bool(self.waiting or self._loose)

    def _begin_session(self, bus: Bus) -> None:
        """Send again what the last session did not deliver."""
        self._session, self._sent_up_to = bus.session, 0
        self._under_way.clear()
        for loose in self._loose:
            self._send_loose(bus, loose)

    def _usable_store(self) -> Store | None:
        """The store; of another one than before nothing was sent yet."""
        store = self._own.usable()
        if store is not self._store:
            self._store, self._sent_up_to = store, 0
            # It may give the same places to other messages.
            self._under_way = {
                ticket: one for ticket, one in self._under_way.items() if isinstance(one, _Loose)
            }
        return store

    def _into_store(self, store: Store) -> None:
        self._recover(store)
        if self._overflowed:
            store.outbox.count_lost(self._overflowed)
            self._overflowed = 0
        parcels = list(self._backlog)
        if parcels:
            postings = [parcel.posting for parcel in parcels]
            store.outbox.post(postings, limit=self._mqtt.outbox_events, run=self._run)
            self._done_with(parcels)
        self._own.problem = None

    def _recover(self, store: Store) -> None:
        """Take on what the last run was killed with, but for what it had written already."""
        if not self._left:
            return
        ids = [parcel.told.get("id") for parcel in self._left]
        last = store.outbox.last_posted()
        fresh = self._left[ids.index(last) + 1 :] if last in ids else self._left
        if fresh:
            store.outbox.post([one.posting for one in fresh], limit=self._mqtt.outbox_events)
        for parcel in fresh:
            parcel.log()
        self._left = []

    def _done_with(self, parcels: list[_Parcel]) -> None:
        for parcel in parcels:
            self._backlog.popleft()
            parcel.log()
        if self._spool is not None and not self._left:
            self._spool.clear(unless=self._backlog)

    def _through_store(self, bus: Bus, store: Store) -> None:
        """Forget what arrived, send what waits, tell of what was lost."""
        if arrived := self._arrived(bus):
            store.outbox.delivered(arrived)
        free = bus.free()
        for message in store.outbox.waiting(self._sent_up_to, free) if free else ():
            late = message.run != self._run or self._now() - message.t > LATE_S
            payload = outgoing(message.payload, delayed=late)
            if not bus.send(self._ticket(message.seq), message.topic, payload):
                break
            self._sent_up_to = message.seq
        self.waiting = store.outbox.count()
        self.lost, untold = store.outbox.lost()
        if untold and free and self.waiting + 2 <= self._mqtt.outbox_events:  # or it loses more
            store.outbox.told_of(untold)
            self._emit_lost(untold)

    def _past_store(self, bus: Bus) -> None:
        """Send events out of memory; each message is kept there until it arrived."""
        self._arrived(bus)
        while self._backlog and bus.free() > 1:  # an event may be an alert, too
            parcel = self._backlog[0]
            self._loose_events += 1
            number = {"series": self._run, "seq": self._loose_events}
            for topic, more in parcel.posting.topics.items():
                payload = encode({**parcel.posting.values, **number, **more})
                loose = _Loose(topic, payload, parcel.posting.t)
                self._loose.append(loose)
                self._send_loose(bus, loose)
            self._done_with([parcel])
        if self._overflowed and bus.free() > 1:
            lost, self._overflowed = self._overflowed, 0
            self.lost += lost
            self._emit_lost(lost)

    def _arrived(self, bus: Bus) -> list[int]:
        """Take note of what the broker has; return the places in the store."""
        found = [self._under_way.pop(ticket, None) for ticket in bus.delivered()]
        for one in found:
            if isinstance(one, _Loose):
                self._loose.remove(one)
        return [one for one in found if isinstance(one, int)]

    def _ticket(self, what: int | _Loose) -> int:
        self._tickets += 1
        self._under_way[self._tickets] = what
        return self._tickets

    def _send_loose(self, bus: Bus, loose: _Loose) -> None:
        late = self._now() - loose.t > LATE_S
        bus.send(self._ticket(loose), loose.topic, outgoing(loose.payload, delayed=late))

    def _emit_lost(self, lost: int) -> None:
        log.error("%d messages were given up, for too many were waiting", lost)
        self.post(Event(EventType.EVENTS_LOST, self._now(), self._door, count=lost), suppressed=0)


def _unpacked(spool: Spool | None) -> list[_Parcel]:
    found = [_Parcel.unpacked(values) for values in (spool.left if spool else ())]
    return [parcel for parcel in found if parcel is not None]
