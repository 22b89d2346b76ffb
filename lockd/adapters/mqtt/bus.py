"""MQTT through paho.

The network never delays the door: connecting, waiting and sending again happen in
paho's thread. Its callbacks only put notices into queues, which the main thread
empties; an exception in a callback would end that thread unseen.
"""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from lockd.config import MqttSettings
from lockd.errors import BusError
from lockd.messages import OFFLINE, ONLINE, Topics

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 20
_RECONNECT_S = (1, 30)
_GOODBYE_S = 1.0


@dataclass(frozen=True, slots=True)
class Connection:
    """A change of the connection; `problem` is None once connected."""

    problem: str | None


class Bus:
    """A connection to the broker that looks after itself."""

    def __init__(self, settings: MqttSettings, topics: Topics, door: str) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            settings: `host` must be set.
            topics: of the door.
            door: its id; part of the client's.

        Raises:
            BusError: if the password or a certificate cannot be read.
        """
        self._settings = settings
        self._topics = topics
        self.connected = False
        self._notices: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._published: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._in_flight: dict[int, int] = {}
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id or f"lockd-{door}",
            clean_session=False,
        )
        self._client.reconnect_delay_set(*_RECONNECT_S)
        self._client.will_set(topics.availability, OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_publish = self._on_publish
        _authenticate(self._client, settings)

    def start(self) -> None:
        """Begin to connect; returns at once, whether or not there is a broker."""
        self._client.connect_async(
            str(self._settings.host), self._settings.port, self._settings.keepalive_s
        )
        self._client.loop_start()

    def notices(self) -> list[Connection]:
        """Return what became of the connection since the last call, oldest first."""
        if self._client.loop_start() == mqtt.MQTT_ERR_SUCCESS:  # refused while there is one
            log.error("mqtt: the network's thread had ended; it was started anew")
        notices: list[Connection] = []
        while not self._notices.empty():
            notices.append(self._notices.get())
        if notices:
            self.connected = notices[-1].problem is None
        return notices

    def free(self) -> int:
        """Return how many more messages may be sent now; 0 while there is no broker."""
        return MAX_IN_FLIGHT - len(self._in_flight) if self.connected else 0

    def send(self, seq: int, topic: str, payload: bytes) -> None:
        """Publish a message at QoS 1; `delivered` returns its number once it arrived.

        After a broken connection paho sends it again by itself.
        """
        sent = self._client.publish(topic, payload, qos=1)
        self._in_flight[sent.mid] = seq

    def delivered(self) -> list[int]:
        """Return the numbers of the messages that the broker acknowledged."""
        seqs = []
        while not self._published.empty():
            seq = self._in_flight.pop(self._published.get(), None)
            if seq is not None:
                seqs.append(seq)
        return seqs

    def announce(self) -> None:
        """Publish that the door is online, retained; wanted after every connect."""
        self._client.publish(self._topics.availability, ONLINE, qos=1, retain=True)

    def show(self, state: bytes) -> None:
        """Publish the door's state, retained, if there is a broker."""
        if self.connected:
            self._client.publish(self._topics.state, state, qos=1, retain=True)

    def close(self) -> None:
        """Say goodbye, if there is a broker to say it to, and end paho's thread."""
        if self.connected:
            farewell = self._client.publish(self._topics.availability, OFFLINE, qos=1, retain=True)
            try:
                farewell.wait_for_publish(_GOODBYE_S)
            except (RuntimeError, ValueError) as error:
                log.debug("mqtt: no goodbye: %s", error)
        self._client.disconnect()
        self._client.loop_stop()

    # In paho's thread: put a notice into a queue, nothing else.

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, *rest: Any) -> None:
        self._notices.put(Connection(f"refused: {reason}" if reason.is_failure else None))

    def _on_connect_fail(self, client: Any, data: Any) -> None:
        self._notices.put(Connection("cannot be reached"))

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, *rest: Any) -> None:
        self._notices.put(Connection(f"connection lost: {reason}"))

    def _on_publish(self, client: Any, data: Any, mid: int, *rest: Any) -> None:
        self._published.put(mid)


def _authenticate(client: mqtt.Client, settings: MqttSettings) -> None:
    """Give a client the password and the certificates that it is to use."""
    if settings.username is not None:
        password = None
        if settings.password_file is not None:
            try:
                password = settings.password_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8 text"
                raise BusError(f"mqtt.password_file: {settings.password_file}: {reason}") from None
        client.username_pw_set(settings.username, password)
    if settings.tls is not None:
        authority = settings.tls.ca_file
        try:
            client.tls_set(ca_certs=None if authority is None else str(authority))
        except (OSError, ValueError) as error:
            raise BusError(f"mqtt.tls.ca_file: {authority}: {error}") from error


def probe(settings: MqttSettings, *, timeout_s: float = 5.0) -> None:
    """Connect as the service would, under another client's name, and leave again.

    Args:
        settings: `host` must be set.
        timeout_s: for the connection, and again for the broker's answer.

    Raises:
        BusError: saying which step failed: name, connection, certificate or credentials.
    """
    name = f"{settings.client_id or 'lockd'}-doctor"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
    _authenticate(client, settings)
    client.connect_timeout = timeout_s
    answers: list[Any] = []
    client.on_connect = lambda _client, _data, _flags, reason, *_: answers.append(reason)
    where = f"{settings.host}:{settings.port}"
    try:
        client.connect(str(settings.host), settings.port)
        deadline = time.monotonic() + timeout_s
        while not answers and time.monotonic() < deadline:
            if client.loop(0.1) not in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_AGAIN):
                break
    except (OSError, ValueError) as error:
        raise BusError(f"mqtt: {where}: {error}{_advice(error)}") from error
    finally:
        client.disconnect()
    if not answers:
        raise BusError(
            f"mqtt: {where}: connected, but no answer; is this a broker, and is mqtt.tls set as "
            "the broker wants it?"
        )
    if answers[0].is_failure:
        raise BusError(
            f"mqtt: {where}: refused: {answers[0]}; correct mqtt.username and mqtt.password_file, "
            "or the broker's list of users"
        )


def _advice(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "; set mqtt.tls.ca_file to the authority of the broker's certificate"
    if isinstance(error, ssl.SSLError | ConnectionResetError | TimeoutError):
        return "; does the broker listen there, and is mqtt.tls set as it wants it?"
    if isinstance(error, socket.gaierror):
        return "; correct mqtt.host, or the name server"
    return "; is the broker running, and are mqtt.host and mqtt.port right?"
