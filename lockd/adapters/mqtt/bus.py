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
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt

from lockd.adapters.mqtt.bounded import Arrived
from lockd.adapters.mqtt.client import (
    MAX_PACKET,
    Protocol,
    expiring,
    let_go,
    make_client,
    open_connection,
)
from lockd.adapters.mqtt.inbox import Inbox, Incoming, Lanes
from lockd.adapters.mqtt.rivals import Rivals
from lockd.adapters.mqtt.session import GOODBYE, Answer, News, Publication, Session
from lockd.adapters.mqtt.sizes import Sizes
from lockd.clock import Backoff
from lockd.config import MqttSettings
from lockd.messages import OFFLINE, ONLINE, Topics

log = logging.getLogger(__name__)
_REFUSED = (
    "mqtt: the broker drops what the door says: %s; correct its access list: "
    "`lockd doctor --only broker`"
)

MAX_IN_FLIGHT = 20
ANSWER_S = 5.0
_RETRY_FIRST_S = 1.0
_LOOK_S = 1.0
_STEADY_S = 30.0
_TOO_LARGE = "Packet too large"
_TIMED_OUT = "Keep alive timeout"
_GOODBYE_S = 1.0


@dataclass(frozen=True, slots=True)
class Connection:
    """A change of the connection; `problem` is None once connected."""

    problem: str | None


class Bus:
    """A connection to the broker that looks after itself.

    Attributes:
        wake: called, from another thread, when there is something in the inbox.
        moved: called, from another thread, when a message arrived, or there is a broker.
        refused: how many messages brokers would not pass on, and say so.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        door: str,
        subscriptions: Sequence[str] = (),
        *,
        lanes: Lanes | None = None,
        retry_first_s: float = _RETRY_FIRST_S,
        max_packet: int = MAX_PACKET,
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Args:
            settings: `host` must be set.
            door: its id; part of the client's.
            subscriptions: topics that the inbox is filled from.
            lanes: asked in paho's thread for how many messages of a kind there is room.
            retry_first_s: how soon the broker is tried again at first.
            max_packet: bytes; of a longer message only the beginning is looked at.

        Raises:
            BusError: if the password or a certificate cannot be read.
        """
        self._settings = settings
        self._topics = topics
        self._subscriptions = tuple(subscriptions)
        self._max_packet = max_packet
        self._backoff = Backoff(retry_first_s, settings.reconnect_longest_s, random.SystemRandom())
        self._protocol: Protocol = "5" if settings.protocol == "auto" else settings.protocol
        self._notices: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._inbox = Inbox(lanes)
        self._session: Session | None = None
        self._sizes = Sizes()
        self._rivals = Rivals(settings.client(door))
        self._given_up: list[int] = []
        self._let_in = False
        self._told_of_refusal = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.wake: Callable[[], None] = lambda: None
        self.moved: Callable[[], None] = lambda: None
        self.refused = 0
        # Its mistakes are told at once.
        make_client(settings, self._rivals.client_id, self._protocol)

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

    @property
    def problem(self) -> str | None:
        """What somebody should do about this connection, or None."""
        return self._rivals.problem

    def room(self, topic: str) -> int | None:
        """Return how many bytes the broker takes at once, None if it has not said or shown."""
        return self._sizes.room(topic)

    def takes(self, topic: str, size: int) -> bool:
        """Return whether the broker may be sent so many bytes; if not, the log says so once."""
        return self._sizes.takes(topic, size)

    # For the service's thread

    def notices(self) -> list[Connection]:
        """Return what became of the connection since the last call, oldest first."""
        if self._thread is not None and not self._thread.is_alive() and not self._closing.is_set():
            log.error("mqtt: the thread that keeps the connection had ended; it was started anew")
            self._session = None
            self.start()
        return _emptied(self._notices)

    @property
    def waiting(self) -> bool:
        """Whether there is anything in the inbox."""
        return bool(self._inbox)

    @property
    def lost(self) -> int:
        """How many messages there was no room for in the inbox so far."""
        return self._inbox.lost

    def inbox(self) -> list[Incoming]:
        """Return the messages that came since the last call, in their order."""
        return self._inbox.take()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: float | None = None
    ) -> None:
        """Have something published at QoS 1 if there is a broker, else not at all; never waits.

        What is larger than the broker takes is left out.

        Args:
            retain: whether the broker keeps it for whoever comes.
            expiry_s: after how long it forgets it; without effect under 3.1.1.
        """
        session = self._session
        if session is not None:
            session.news.put(Publication(topic, payload, retain, expiry_s))

    def announce(self) -> None:
        """Publish that the door is online, retained; wanted after every connect."""
        self.publish(self._topics.availability, ONLINE, retain=True)

    # For whoever sends

    def free(self) -> int:
        """Return how many more messages may be sent now; 0 while there is no broker."""
        session = self._session
        return 0 if session is None else max(0, MAX_IN_FLIGHT - len(session.in_flight))

    def listen(self, *topics: str) -> None:
        """Subscribe to more, in this session; again brings once more what the broker keeps."""
        session = self._session
        if session is not None:
            session.client.subscribe([(topic, 1) for topic in topics])

    def send(self, number: int, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Publish a message at QoS 1; `delivered` returns its number once it arrived.

        It is gone if the connection breaks before: send it again in the next session. What is
        larger than the broker says it takes counts as delivered, and as refused.

        Returns:
            Whether it is on its way; not without a broker, nor while too much is.
        """
        session = self._session
        if session is None:
            return False
        if not self._sizes.takes(topic, len(payload), guessed=False):
            self._given_up.append(number)
            self.refused += 1
            return True
        sent = session.client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            return False
        session.in_flight[sent.mid] = number
        return True

    def delivered(self) -> list[int]:
        """Return the numbers of the messages that the broker acknowledged."""
        session = self._session
        given_up, self._given_up = self._given_up, []
        if session is None:
            return given_up
        found = [session.in_flight.pop(mid, None) for mid in _emptied(session.acknowledged)]
        return given_up + [number for number in found if number is not None]

    def close(self) -> None:
        """Say goodbye, if there is a broker to say it to, and end the threads."""
        session = self._session
        self._closing.set()
        if session is not None:
            session.news.put(GOODBYE)
        if self._thread is not None:
            self._thread.join(2 * _GOODBYE_S)

    # The thread that keeps the connection

    def _keep_connected(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            end = self._connect_and_watch()
            if self._closing.is_set():
                return
            lasted_s = time.monotonic() - began
            hung = end.reason == _TIMED_OUT  # which says nothing of the last message
            heavy = not hung and self._sizes.lost(certain=end.reason == _TOO_LARGE)
            away_s = self._rivals.ended(end.reason, lasted_s, let_in=self._let_in, heavy=heavy)
            self._notices.put(Connection(self._rivals.problem or end.problem))
            if heavy or lasted_s >= _STEADY_S:
                self._backoff.reset()
            if end.other_protocol and self._settings.protocol == "auto":
                self._protocol = "3.1.1" if self._protocol == "5" else "5"
                if self._protocol == "3.1.1":
                    continue  # at once: there is a broker
            self._closing.wait(self._backoff.next() if away_s is None else away_s)

    def _connect_and_watch(self) -> News:
        """Have one session; return how it ended."""
        self._let_in = False
        try:
            session = self._new_session()
            open_connection(session.client, self._settings, max_packet=self._max_packet)
        except (OSError, ValueError) as error:
            return News(f"cannot be reached: {error}")
        session.client.loop_start()
        try:
            return self._watch(session)
        finally:
            self._session = None
            session.client.disconnect()
            session.client.loop_stop()
            let_go(session.client)

    def _watch(self, session: Session) -> News:
        """Look after a session until it ends; return how."""
        began = time.monotonic()
        look_at = began + _LOOK_S  # however much there is to send meanwhile
        while True:
            try:
                news = session.news.get(timeout=max(0.0, look_at - time.monotonic()))
            except queue.Empty:
                look_at = time.monotonic() + _LOOK_S
                if session.client.loop_start() == mqtt.MQTT_ERR_SUCCESS:  # refused while it runs
                    return News("the network's thread had ended")
                lasted_s = time.monotonic() - began
                self._rivals.settled(lasted_s)
                if self._session is None and lasted_s > ANSWER_S:
                    return News("no answer; is this a broker?", other_protocol=True)
                self._send_held(session)
                continue
            if isinstance(news, Publication):
                self._send_soon(session, news)
            elif isinstance(news, Answer):
                self._answered(news)
            elif news is GOODBYE:
                self._say_goodbye(session)
                return news
            elif news.problem is not None:
                return news
            else:
                self._begin(session, news)

    def _begin(self, session: Session, news: News) -> None:
        """The broker has let the door in."""
        self._let_in = True
        self._sizes.begin(news.max_packet)
        if self._subscriptions:
            session.client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._session = session
        self.moved()
        self._notices.put(Connection(None))

    def _answered(self, answer: Answer) -> None:
        if answer.refusal is None:
            self._sizes.arrived(answer.mid)
            return
        self.refused += 1
        if answer.refusal == _TOO_LARGE:
            self._sizes.refused(answer.mid)
        elif not self._told_of_refusal:
            log.error(_REFUSED, answer.refusal)
            self._told_of_refusal = True

    def _send_soon(self, session: Session, what: Publication) -> None:
        """Send a message now, or when it can be sent alone if it may end the connection."""
        size = len(what.payload)
        if not self._sizes.takes(what.topic, size):
            return
        if self._sizes.needs_care(what.topic, size):
            session.hold(what)
        else:
            self._send(session, what)

    def _send_held(self, session: Session) -> None:
        """Nothing has happened for a while: send the next of those that are sent alone."""
        if session.held and not session.in_flight and not self._sizes.under_way:
            what = session.held.popleft()
            if self._sizes.takes(what.topic, len(what.payload)):
                self._send(session, what)

    def _send(self, session: Session, what: Publication) -> mqtt.MQTTMessageInfo:
        properties = expiring(session.client, what.expiry_s)
        sent = session.client.publish(
            what.topic, what.payload, qos=1, retain=what.retain, properties=properties
        )
        self._sizes.sent(sent.mid, what.topic, len(what.payload))
        return sent

    def _say_goodbye(self, session: Session) -> None:
        farewell = self._send(session, Publication(self._topics.availability, OFFLINE, True, None))
        try:
            farewell.wait_for_publish(_GOODBYE_S)
        except (RuntimeError, ValueError) as error:
            log.debug("mqtt: no goodbye: %s", error)

    def _new_session(self) -> Session:
        client = make_client(self._settings, self._rivals.client_id, self._protocol)
        client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        client.on_message = self._on_message
        client.on_arrival = self._on_arrival
        session = Session(client, self._protocol)
        session.listen(self._stir)
        return session

    def _stir(self) -> None:
        self.moved()  # as it is by then

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        # All but the beginning of what is too long anyway need not be kept.
        payload = bytes(message.payload[: self._max_packet + 1])
        self._take_in(Incoming(message.topic, payload, message.retain, message.dup))

    def _on_arrival(self, one: Arrived) -> None:
        self._take_in(Incoming(one.topic, one.payload, one.retained, one.duplicate))

    def _take_in(self, message: Incoming) -> None:
        if self._inbox.put(message):
            self.wake()


def _emptied(found: queue.SimpleQueue[Any]) -> list[Any]:
    items = []
    while not found.empty():
        items.append(found.get())
    return items
