"""A short connection to the broker, for commands: ask, tell, listen, leave.

Everything happens in the caller's thread, in which alone a visitor may be used; each call
waits for the broker's answer. Nothing is kept: a visitor has no session, and connects once.
"""

from __future__ import annotations

import secrets
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt

from lockd.adapters.mqtt.client import Protocol, make_client, open_connection
from lockd.config import MqttSettings
from lockd.errors import BusError

MAX_PACKET = 4_000_000
"""Bytes; larger than any picture that a door publishes."""
_SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class Heard:
    """A message.

    Attributes:
        topic: where it was published.
        payload: whatever somebody put there.
        retained: the broker kept it, and says it to whoever comes.
    """

    topic: str
    payload: bytes
    retained: bool


class Visitor:
    """A connection for the length of a `with`.

    Args:
        settings: `host` must be set.
        name: what the visit is for, part of the client's id; the rest of it is random, for
            two clients of one id would throw each other out.
        timeout_s: for each answer of the broker.
        client_id: the whole id, to see whether somebody else has it.

    Attributes:
        protocol: the version spoken, once connected.
        max_packet: bytes, if the broker says how much it takes at once.
    """

    def __init__(
        self,
        settings: MqttSettings,
        name: str,
        timeout_s: float = 5.0,
        *,
        client_id: str | None = None,
    ) -> None:
        self._settings = settings
        self._name = client_id or f"lockd-{name}-{secrets.token_hex(4)}"
        self._timeout_s = timeout_s
        self._where = f"mqtt: {settings.host}:{settings.port}"
        self._heard: deque[Heard] = deque()
        self._answers: dict[int, Any] = {}
        self._lost: str | None = None
        self._client: mqtt.Client | None = None
        self.protocol: Protocol = "3.1.1"
        self.max_packet: int | None = None

    def __enter__(self) -> Visitor:
        """Connect, under MQTT 5 if the broker speaks it and the settings let it.

        Raises:
            BusError: saying which step failed: name, connection, certificate or credentials.
        """
        if self._settings.protocol != "3.1.1" and self._connect("5"):
            return self
        if self._settings.protocol != "5" and self._connect("3.1.1"):
            return self
        raise BusError(
            f"{self._where}: connected, but no answer; is this a broker, does it speak the "
            "version mqtt.protocol, and is mqtt.tls set as the broker wants it?"
        )

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self._leave()

    def subscribe(self, *topics: str) -> None:
        """Subscribe at QoS 1, and wait until the broker has granted it.

        Raises:
            BusError: if it refuses one, or the connection breaks.
        """
        _, mid = self._connected().subscribe([(topic, 1) for topic in topics])
        reasons = self._answer(mid, "subscription to " + ", ".join(topics))
        for topic, reason in zip(topics, reasons, strict=False):
            if reason.value >= 0x80:
                raise BusError(f"{self._where}: may not hear {topic}: {reason}; {_ACCESS}")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1, and wait until the broker has acknowledged it.

        Under 3.1.1 a broker has no way to say that it may not be published; it acknowledges
        and drops it.

        Raises:
            BusError: if the broker refuses it, or the connection breaks.
        """
        try:
            mid = self._connected().publish(topic, payload, qos=1, retain=retain).mid
        except ValueError as error:
            raise BusError(f"{self._where}: {topic} cannot be published: {error}") from error
        reason = self._answer(mid, f"publication on {topic}")
        if reason is not None and reason.value >= 0x80:
            raise BusError(f"{self._where}: may not publish on {topic}: {reason}; {_ACCESS}")

    def messages(self, timeout_s: float | None = None) -> Iterator[Heard]:
        """Yield what is heard, until the time is over.

        Args:
            timeout_s: how long in all; None never ends.

        Raises:
            BusError: if the connection breaks; what was heard before has then been yielded.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            while self._heard:
                yield self._heard.popleft()
            left_s = _SLICE_S if end is None else min(_SLICE_S, end - time.monotonic())
            if left_s <= 0:
                return
            self._connected()
            self._work(left_s)

    def certificate(self) -> bytes | None:
        """Return the broker's certificate, DER; None without encryption."""
        sock = self._connected().socket()
        return sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None

    def _connect(self, protocol: Protocol) -> bool:
        """Return whether the broker speaks this version; anything else that is wrong is raised."""
        client = make_client(self._settings, self._name, protocol)
        client.connect_timeout = self._timeout_s
        client.on_message = self._on_message
        client.on_subscribe = self._on_answer
        client.on_publish = self._on_answer
        client.on_disconnect = self._on_disconnect
        welcome: list[Any] = []
        client.on_connect = lambda _client, _data, _flags, *said: welcome.extend(said)
        self._client, self._lost, self.protocol = client, None, protocol
        try:
            open_connection(client, self._settings, max_packet=MAX_PACKET)
            self._until(lambda: welcome or self._lost)
        except (OSError, ValueError) as error:
            self._leave()
            raise BusError(f"{self._where}: {error}{_advice(error)}") from error
        if welcome and not welcome[0].is_failure:
            self.max_packet = getattr(welcome[1], "MaximumPacketSize", None)
            return True
        self._leave()
        if not welcome or welcome[0] == "Unsupported protocol version":
            return False
        raise BusError(
            f"{self._where}: refused: {welcome[0]}; correct mqtt.username and the password, "
            "or the broker's list of users"
        )

    def _connected(self) -> mqtt.Client:
        if self._client is None or self._lost is not None:
            raise BusError(f"{self._where}: {self._lost or 'not connected'}")
        return self._client

    def _answer(self, mid: int | None, what: str) -> Any:
        """Wait for the broker's answer to a message and return it."""
        if mid is None or not self._until(lambda: mid in self._answers or self._lost):
            raise BusError(f"{self._where}: no answer to the {what} within {self._timeout_s:g} s")
        if mid not in self._answers:
            raise BusError(f"{self._where}: {self._lost} before it answered the {what}")
        return self._answers.pop(mid)

    def _until(self, done: Callable[[], object]) -> bool:
        """Let the network work until something is so; return whether it came to be in time."""
        end = time.monotonic() + self._timeout_s
        while not done():
            if time.monotonic() >= end:
                return False
            self._work(_SLICE_S)
        return True

    def _work(self, seconds: float) -> None:
        """Let the network work for a moment; what comes of it is told to the callbacks.

        By paho's calls for loops of others: its own `loop` leaves a pair of sockets behind.
        """
        client = self._client
        sock = None if client is None else client.socket()
        if client is None or sock is None:
            self._lost = self._lost or "connection lost"
            return
        # What TLS has decrypted already no longer shows at the socket.
        waits = bool(sock.pending()) if isinstance(sock, ssl.SSLSocket) else False
        writing = [sock] if client.want_write() else []
        readable, writable, _ = select.select([sock], writing, [], 0 if waits else seconds)
        if readable or waits:
            client.loop_read()
        if writable:
            client.loop_write()
        client.loop_misc()

    def _leave(self) -> None:
        """Say goodbye."""
        if self._client is None:
            return
        client, self._client = self._client, None
        client.on_disconnect = None
        client.disconnect()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # no door says that
            return
        self._heard.append(Heard(topic, bytes(message.payload), message.retain))

    def _on_answer(self, _client: Any, _data: Any, mid: int, reason: Any, *_: Any) -> None:
        self._answers[mid] = reason

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, *_: Any) -> None:
        self._lost = f"connection lost: {reason}"


_ACCESS = "correct the broker's access list"


def _advice(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "hostname" in str(error).lower() or "ip address" in str(error).lower():
            return "; set mqtt.host to a name that the broker's certificate is for"
        return "; set mqtt.tls.ca_file to the authority of the broker's certificate"
    if isinstance(error, ssl.SSLError | ConnectionResetError | TimeoutError):
        return "; does the broker listen there, and is mqtt.tls set as it wants it?"
    if isinstance(error, socket.gaierror):
        return "; correct mqtt.host, or the name server"
    return "; is the broker running, and are mqtt.host and mqtt.port right?"
