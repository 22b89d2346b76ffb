"""Tells those outside: events, alerts, what is, how it does, and a picture of a stranger.

Everything here is the service's thread; the outbox carries what must not be lost, the bus
shows what only the latest of matters.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.spool import Spool
from lockd.adapters.store import Store
from lockd.clock import Clock
from lockd.config import Settings
from lockd.identity.evidence import Stranger
from lockd.messages import ALERTS, Event, EventType, Topics, encode
from lockd.ports import IncomingMessage, LocalTime, Observer
from lockd.publishing.alerts import Alerts
from lockd.publishing.home_assistant import Announcement
from lockd.publishing.outbox import Outbox
from lockd.publishing.snapshots import Snapshots
from lockd.publishing.strangers import StrangerPictures
from lockd.types import Face, Frame

log = logging.getLogger(__name__)


class Publisher:
    """Where news of the service go.

    Attributes:
        topics: of the door.
        outbox: carries events.
        snapshots: the picture of the last stranger; None without a broker.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        wall: LocalTime,
        bus: Bus | None,
        messages: Callable[[], Store] | None,
        spool: Spool | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Prepare it.

        Args:
            wall: the local time, for quiet hours.
            bus: where news are published, if anywhere.
            messages: opens the store that events wait in, if there is one.
            spool: keeps what is not in the store yet.
            observers: take every event, once it is on its way.
        """
        self._door = settings.door.id
        self._mqtt = settings.mqtt
        self._clock = clock
        self._wall = wall
        self._bus = bus
        self._observers = observers
        self._home = Announcement.of(settings)
        self._born = False
        self._alerts = _alerts(settings)
        self._state: dict[str, Any] = {}
        self._diagnostics_at = math.inf if not settings.mqtt.diagnostics_s else -math.inf
        self.topics = Topics(settings.mqtt.base_topic, settings.door.id)
        self.outbox = Outbox(settings, clock.now, bus, messages, spool=spool)
        self._strangers = StrangerPictures(settings.store)
        self.outbox.errand = self._errand
        self.snapshots: Snapshots | None = None
        if bus is not None:
            self.snapshots = Snapshots(settings.mqtt.snapshot, self.topics.snapshot, bus, clock.now)

    def _errand(self, store: Store | None) -> None:
        """What has to do with pictures, in the outbox's thread."""
        if self.snapshots is not None:
            self.snapshots.serve()
        self._strangers.serve(store)

    @property
    def problem(self) -> str | None:
        """What somebody should do about the connection to the broker, or None."""
        return None if self._bus is None else self._bus.problem

    def event(self, kind: EventType, **details: Any) -> None:
        """Tell of something that happened."""
        self._emit(kind, **details)

    def _emit(self, kind: EventType, *, alert: bool = True, **details: Any) -> tuple[Event, bool]:
        """Tell of something; return it, and whether it is published as an alert, too."""
        now = self._clock.now()
        event = Event(kind, now, self._door, **details)
        rings, suppressed = ALERTS.get(kind) if alert else None, None
        if rings is not None:
            suppressed = self._alerts.admit(rings, now, self._wall.local())
        self.outbox.post(event, suppressed=suppressed)
        for observer in self._observers:
            observer.event(event)
        return event, suppressed is not None

    def stranger(self, stranger: Stranger, frame: Frame | None, face: Face | None) -> None:
        """Emit that a stranger came, with a picture if the owner wants one.

        One who comes again is no second alert, and no second picture is kept.
        """
        event, alerted = self._emit(
            EventType.STRANGER,
            alert=not stranger.again,
            visit=stranger.visit,
            similarity=stranger.similarity,
            similarity_bound=stranger.bound or None,
            again=stranger.again or None,
        )
        if alerted and self.snapshots is not None and frame is not None:
            self.snapshots.take(frame.image, face)
        if not stranger.again and frame is not None and face is not None:
            self._strangers.take(event, frame.image, face)

    def silence(self, seconds: float) -> None:
        """Publish no alerts for a while."""
        self._alerts.silence(self._clock.now() + seconds)

    def hear(self, messages: Iterable[IncomingMessage]) -> None:
        """Note whether Home Assistant has started: what it missed is published anew."""
        if self._home is not None:
            self._born |= any(self._home.is_due(one.topic, one.payload) for one in messages)

    def serve(self, state: dict[str, Any], diagnostics: Callable[[], dict[str, Any]]) -> None:
        """Keep true what the broker retains, greet a broker that is new, have events carried.

        Args:
            diagnostics: asks how the service does; called only when that is published.
        """
        if self._bus is not None:
            self._keep_true(self._bus, state, diagnostics)
        self.outbox.nudge()

    def _keep_true(
        self, bus: Bus, state: dict[str, Any], diagnostics: Callable[[], dict[str, Any]]
    ) -> None:
        connected = False
        for notice in bus.notices():
            connected = notice.problem is None
            if notice.problem is None:
                log.info("mqtt: connected")
            else:
                log.warning("mqtt: %s; trying again", notice.problem)
        if connected or self._born:
            self.greet(bus, state)
        elif state != self._state:
            bus.publish(self.topics.state, encode(state), retain=True)
        self._state = state
        if self._clock.now() >= self._diagnostics_at and bus.connected:
            self._diagnostics_at = self._clock.now() + self._mqtt.diagnostics_s
            bus.publish(self.topics.diagnostics, encode(self._all_of(diagnostics())), retain=True)

    def greet(self, bus: Bus, state: dict[str, Any]) -> None:
        """Publish all that a broker retains: it may have lost it."""
        if self._home is not None:
            bus.publish(self._home.topic, self._home.payload, retain=True)
        self._born = False
        bus.announce()
        bus.publish(self.topics.state, encode(state), retain=True)
        if self._mqtt.diagnostics_s:
            self._diagnostics_at = -math.inf

    def _all_of(self, diagnostics: dict[str, Any]) -> dict[str, Any]:
        session = None if self._bus is None else self._bus.session
        return {
            **diagnostics,
            "waiting": self.outbox.waiting,
            "lost": self.outbox.lost,
            "refused": 0 if self._bus is None else self._bus.refused,
            "protocol": None if session is None else session.protocol,
        }


def _alerts(settings: Settings) -> Alerts:
    wanted, access = settings.mqtt.alerts, settings.access.rules()
    if wanted.quiet is None:
        return Alerts(wanted.cooldown_s)
    return Alerts(wanted.cooldown_s, wanted.quiet.schedule(), wanted.quiet.kinds, access.holidays)
