"""A client of paho's whose memory has a bound, whatever is sent to it, and that reads quickly.

A broker of version 5 is told how large a message may be; one of 3.1.1 cannot be told, and paho
would gather a quarter of a gigabyte before anybody could look at it.

Whoever floods the door must not be quicker than it reads, or the broker drops what is good. By
itself paho asks the system four times for each message, and takes each apart slowly; here what
is there is taken at once, and whole messages are handed on past paho.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageType, MQTTErrorCode

_PIECE = 16 * 1024
_PIECES = 8  # before anything else is looked at
_SHORTEST = 5
_ONCE, _TWICE = 0b0010, 0b0100  # qualities of service 1 and 2


class Arrived(NamedTuple):
    """A message as it came over the wire.

    Attributes:
        mid: what is to be acknowledged; None if nothing is.
        end: where what follows it begins.
    """

    topic: str
    payload: bytes
    retained: bool
    duplicate: bool
    mid: int | None
    end: int


class BoundedClient(mqtt.Client):
    """Of a message that is too long its beginning and its end arrive, still longer than allowed.

    What lies between is read and forgotten. Anything else that is too long ends the connection:
    nothing but messages may be long.

    Attributes:
        max_packet: bytes.
        on_arrival: takes messages that came whole; without it `on_message` does, as all others.
    """

    max_packet = 64 * 1024
    on_arrival: Callable[[Arrived], None] | None = None
    _ahead = b""
    _pieces = _PIECES

    def reconnect(self) -> MQTTErrorCode:
        """Connect; nothing is left of the connection before."""
        self._ahead = b""
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read and handle what is there.

        All that was taken from the system is, for of that it tells nobody any more.
        """
        self._pieces = _PIECES
        while True:
            result = super().loop_read(max_packets)
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return result
            self._hand_on()
            if not self._ahead:
                return result

    def _hand_on(self) -> None:
        """Hand on the whole messages that were read ahead; what else there is waits for paho."""
        place, properties = 0, self.protocol == mqtt.MQTTv5
        while self.on_arrival is not None and not self._in_packet["command"]:
            message = arrived(self._ahead, place, properties=properties)
            if message is None:
                break
            place = message.end
            self.on_arrival(message)
            if message.mid is not None:
                self._send_puback(message.mid)
        self._ahead = self._ahead[place:]

    def _sock_recv(self, bufsize: int) -> bytes:
        """Read at most so many bytes; what paho asks for at once is all that is missing.

        Raises:
            ConnectionError: if it is too long and no message.
        """
        packet = self._in_packet
        too_long = packet["have_remaining"] and packet["remaining_length"] > self.max_packet
        if not too_long:
            return self._read(bufsize)
        if packet["command"] & 0xF0 != MessageType.PUBLISH:
            raise ConnectionError(f"{packet['remaining_length']} bytes that are no message")
        while len(packet["packet"]) > self.max_packet and packet["to_process"] > _PIECE:
            got = len(self._read(min(_PIECE, packet["to_process"] - _PIECE)))
            if not got:
                return b""
            packet["to_process"] -= got
            packet["remaining_length"] -= got
        return self._read(min(_PIECE, packet["to_process"]))

    def _read(self, most: int) -> bytes:
        if not self._ahead:
            if not self._pieces:
                raise BlockingIOError  # there may be more; paho comes back
            self._pieces -= 1
            self._ahead = super()._sock_recv(_PIECE)
        found, self._ahead = self._ahead[:most], self._ahead[most:]
        return found


def arrived(data: bytes, place: int, *, properties: bool) -> Arrived | None:
    """Return the message that begins at a place; None if it is not whole, or no plain message.

    See MQTT 3.1.1, 2.2 and 3.3, and MQTT 5, 3.3.

    Args:
        data: what was read.
        properties: whether messages have some, as of version 5.
    """
    if len(data) - place < _SHORTEST or data[place] & 0xF0 != MessageType.PUBLISH:
        return None
    flags = data[place] & 0x0F
    length, at = _number(data, place + 1)
    end = at + length
    if length < 0 or end > len(data) or flags & _TWICE:
        return None
    topic_at, at = at + 2, at + 2 + int.from_bytes(data[at : at + 2])
    name, mid = data[topic_at:at], None
    if flags & _ONCE:
        mid, at = int.from_bytes(data[at : at + 2]), at + 2
    if properties:
        length, at = _number(data, at)
        at = end + 1 if length < 0 else at + length
    if at > end or not name:  # a topic may have been given a number
        return None
    try:
        topic = name.decode()
    except UnicodeDecodeError:
        return None
    return Arrived(topic, data[at:end], bool(flags & 1), bool(flags & 8), mid, end)


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Read a number of one to four bytes; return it, -1 if it is none, and where it ends."""
    number = 0
    for shift, byte in enumerate(data[place : place + 4]):
        number |= (byte & 127) << (7 * shift)
        if byte < 128:
            return number, place + shift + 1
    return -1, place
