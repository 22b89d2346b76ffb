"""The service's connection to the broker.

The network never delays the door. A thread of its own, `mqtt`, resolves the name, connects,
waits and tries again; paho's thread moves the bytes. What they bring is put into bounded
queues, which others empty: commands and notices the service's thread, acknowledgements
whoever sends (see `lockd.publishing.outbox`).

Every connection has a client of its own. So nothing of the last one is left over: what it
had not delivered is sent again by the outbox, marked as delayed, and commands that came
while the door was away are not handed out by the broker later.
"""

from __future__ import annotations

import logging
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt

from lockd.adapters.mqtt.client import (
    MAX_PACKET,
    Protocol,
    expiring,
    let_go,
    make_client,
    open_connection,
)
from lockd.clock import Backoff
from lockd.config import MqttSettings
from lockd.messages import OFFLINE, ONLINE, Topics

log = logging.getLogger(__name__)
_REFUSED = (
    "mqtt: the broker drops what the door says: %s; correct its access list: "
    "`lockd doctor --only broker`"
)

MAX_IN_FLIGHT = 20
MAX_INBOX = 64
ANSWER_S = 5.0
_RETRY_FIRST_S = 1.0
_LOOK_S = 1.0
_STEADY_S = 30.0
_GOODBYE_S = 1.0
_COMPLAIN_EVERY_S = 60.0
_BAD_PROTOCOL = "Unsupported protocol version"


@dataclass(frozen=True, slots=True)
class Connection:
    """A change of the connection; `problem` is None once connected."""

    problem: str | None


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


@dataclass(frozen=True, slots=True)
class _News:
    """What paho's thread has to tell: that it is connected, or why not."""

    problem: str | None = None
    other_protocol: bool = False


_GOODBYE = _News("closing")


@dataclass(frozen=True, slots=True)
class _Publication:
    """Something to be published."""

    topic: str
    payload: bytes
    retain: bool
    expiry_s: float | None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The broker of version 5 says that it keeps something to itself."""

    reason: str


@dataclass(slots=True, eq=False)
class Session:
    """One connection, from its beginning to its end.

    Attributes:
        client: paho's.
        protocol: that it speaks.
        news: from paho's thread, and what the bus's own shall publish.
        acknowledged: numbers of paho's that the broker has.
        in_flight: our numbers by paho's; touched by whoever sends only.
    """

    client: mqtt.Client
    protocol: Protocol
    news: queue.SimpleQueue[_News | _Publication | _Refusal] = field(
        default_factory=queue.SimpleQueue
    )
    acknowledged: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)
    in_flight: dict[int, int] = field(default_factory=dict)


class Bus:
    """A connection to the broker that looks after itself.

    Attributes:
        wake: called, from another thread, when there is something in the inbox.
        moved: called, from another thread, when a message arrived, or there is a broker.
        refused: how many messages brokers of version 5 would not pass on.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        door: str,
        subscriptions: Sequence[str] = (),
        *,
        retry_first_s: float = _RETRY_FIRST_S,
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Args:
            settings: `host` must be set.
            door: its id; part of the client's.
            subscriptions: topics that the inbox is filled from.
            retry_first_s: how soon the broker is tried again at first.

        Raises:
            BusError: if the password or a certificate cannot be read.
        """
        self._settings = settings
        self._topics = topics
        self._client_id = settings.client_id or f"lockd-{door}"
        self._subscriptions = tuple(subscriptions)
        self._backoff = Backoff(retry_first_s, settings.reconnect_longest_s, random.SystemRandom())
        self._protocol: Protocol = "5" if settings.protocol == "auto" else settings.protocol
        self._notices: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._inbox: queue.Queue[Incoming] = queue.Queue(MAX_INBOX)
        self._overlooked = 0
        self._complain_at = -math.inf
        self._session: Session | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.wake: Callable[[], None] = lambda: None
        self.moved: Callable[[], None] = lambda: None
        self.refused = 0
        make_client(settings, self._client_id, self._protocol)  # its mistakes are told at once

    def start(self) -> None:
        """Begin to connect; returns at once, whether or not there is a broker."""
        self._thread = threading.Thread(target=self._keep_connected, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def session(self) -> Session | None:
        """The connection, None while there is none. Compare to notice that it is another."""
        return self._session

    @property
    def connected(self) -> bool:
        """Whether there is a broker now."""
        return self._session is not None

    # For the service's thread

    def notices(self) -> list[Connection]:
        """Return what became of the connection since the last call, oldest first."""
        if self._thread is not None and not self._thread.is_alive() and not self._closing.is_set():
            log.error("mqtt: the thread that keeps the connection had ended; it was started anew")
            self._session = None
            self.start()
        return _emptied(self._notices)

    def inbox(self) -> list[Incoming]:
        """Return the messages that came since the last call, at most `MAX_INBOX`."""
        found: list[Incoming] = []
        while len(found) < MAX_INBOX and not self._inbox.empty():
            found.append(self._inbox.get())
        if self._overlooked and time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + _COMPLAIN_EVERY_S
            lost, self._overlooked = self._overlooked, 0
            log.warning("mqtt: %d messages came too fast and were not looked at", lost)
        return found

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: float | None = None
    ) -> None:
        """Have something published at QoS 1 if there is a broker, else not at all; never waits.

        Args:
            retain: whether the broker keeps it for whoever comes.
            expiry_s: after how long it forgets it; without effect under 3.1.1.
        """
        session = self._session
        if session is not None:
            session.news.put(_Publication(topic, payload, retain, expiry_s))

    def announce(self) -> None:
        """Publish that the door is online, retained; wanted after every connect."""
        self.publish(self._topics.availability, ONLINE, retain=True)

    # For whoever sends

    def free(self) -> int:
        """Return how many more messages may be sent now; 0 while there is no broker."""
        session = self._session
        return 0 if session is None else max(0, MAX_IN_FLIGHT - len(session.in_flight))

    def send(self, number: int, topic: str, payload: bytes) -> bool:
        """Publish a message at QoS 1; `delivered` returns its number once it arrived.

        It is gone if the connection breaks before: send it again in the next session.

        Returns:
            Whether it is on its way; not without a broker, nor while too much is.
        """
        session = self._session
        if session is None:
            return False
        sent = session.client.publish(topic, payload, qos=1)
        if sent.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            return False
        session.in_flight[sent.mid] = number
        return True

    def delivered(self) -> list[int]:
        """Return the numbers of the messages that the broker acknowledged."""
        session = self._session
        if session is None:
            return []
        found = [session.in_flight.pop(mid, None) for mid in _emptied(session.acknowledged)]
        return [number for number in found if number is not None]

    def close(self) -> None:
        """Say goodbye, if there is a broker to say it to, and end the threads."""
        session = self._session
        self._closing.set()
        if session is not None:
            session.news.put(_GOODBYE)
        if self._thread is not None:
            self._thread.join(2 * _GOODBYE_S)

    # The thread that keeps the connection

    def _keep_connected(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            end = self._connect_and_watch()
            if self._closing.is_set():
                return
            self._notices.put(Connection(end.problem))
            if time.monotonic() - began >= _STEADY_S:
                self._backoff.reset()
            if end.other_protocol and self._settings.protocol == "auto":
                self._protocol = "3.1.1" if self._protocol == "5" else "5"
                if self._protocol == "3.1.1":
                    continue  # at once: there is a broker
            self._closing.wait(self._backoff.next())

    def _connect_and_watch(self) -> _News:
        """Have one session; return how it ended."""
        try:
            session = self._new_session()
            open_connection(session.client, self._settings, max_packet=MAX_PACKET)
        except (OSError, ValueError) as error:
            return _News(f"cannot be reached: {error}")
        session.client.loop_start()
        try:
            return self._watch(session)
        finally:
            self._session = None
            session.client.disconnect()
            session.client.loop_stop()
            let_go(session.client)

    def _watch(self, session: Session) -> _News:
        """Look after a session until it ends; return how."""
        answer_by = time.monotonic() + ANSWER_S
        told = False
        while True:
            try:
                news = session.news.get(timeout=_LOOK_S)
            except queue.Empty:
                if session.client.loop_start() == mqtt.MQTT_ERR_SUCCESS:  # refused while it runs
                    return _News("the network's thread had ended")
                if self._session is None and time.monotonic() > answer_by:
                    return _News("no answer; is this a broker?", other_protocol=True)
                continue
            if isinstance(news, _Publication):
                _publish(session.client, news)
                continue
            if isinstance(news, _Refusal):
                if not told:
                    log.error(_REFUSED, news.reason)
                told = True
                self.refused += 1
                continue
            if news is _GOODBYE:
                self._say_goodbye(session)
            if news.problem is not None:
                return news
            if self._subscriptions:
                session.client.subscribe([(topic, 1) for topic in self._subscriptions])
            self._session = session
            self.moved()
            self._notices.put(Connection(None))

    def _say_goodbye(self, session: Session) -> None:
        farewell = _publish(
            session.client, _Publication(self._topics.availability, OFFLINE, True, None)
        )
        try:
            farewell.wait_for_publish(_GOODBYE_S)
        except (RuntimeError, ValueError) as error:
            log.debug("mqtt: no goodbye: %s", error)

    def _new_session(self) -> Session:
        client = make_client(self._settings, self._client_id, self._protocol)
        session = Session(client, self._protocol)
        client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        answered = False

        # In paho's thread: put something into a queue, nothing else.

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, *_: Any) -> None:
            nonlocal answered
            answered = True
            if reason.is_failure:
                session.news.put(_News(f"refused: {reason}", str(reason) == _BAD_PROTOCOL))
            else:
                session.news.put(_News())

        def on_disconnect(_client: Any, _data: Any, _flags: Any, reason: Any, *_: Any) -> None:
            session.news.put(_News(f"connection lost: {reason}", other_protocol=not answered))

        def on_publish(_client: Any, _data: Any, mid: int, reason: Any, *_: Any) -> None:
            if reason.is_failure:
                session.news.put(_Refusal(str(reason)))
            session.acknowledged.put(mid)
            self.moved()

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_message = self._on_message
        return session

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        # All but the beginning of what is too long anyway need not be kept.
        payload = bytes(message.payload[: MAX_PACKET + 1])
        try:
            self._inbox.put_nowait(Incoming(message.topic, payload, message.retain, message.dup))
        except queue.Full:
            self._overlooked += 1
        self.wake()


def _publish(client: mqtt.Client, what: _Publication) -> mqtt.MQTTMessageInfo:
    properties = expiring(client, what.expiry_s)
    return client.publish(
        what.topic, what.payload, qos=1, retain=what.retain, properties=properties
    )


def _emptied(found: queue.SimpleQueue[Any]) -> list[Any]:
    items = []
    while not found.empty():
        items.append(found.get())
    return items
