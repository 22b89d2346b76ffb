"""A client of paho's whose memory has a bound, whatever is sent to it.

A broker of version 5 is told how large a message may be; one of 3.1.1 cannot be told, and paho
would gather a quarter of a gigabyte before anybody could look at it.
"""

from __future__ import annotations

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageType

_PIECE = 16 * 1024


class BoundedClient(mqtt.Client):
    """Of a message that is too long its beginning and its end arrive, still longer than allowed.

    What lies between is read and forgotten. Anything else that is too long ends the connection:
    nothing but messages may be long.

    Attributes:
        max_packet: bytes.
    """

    max_packet = 64 * 1024

    def _sock_recv(self, bufsize: int) -> bytes:
        """Read at most so many bytes; what paho asks for at once is all that is missing.

        Raises:
            ConnectionError: if it is too long and no message.
        """
        packet = self._in_packet
        too_long = packet["have_remaining"] and packet["remaining_length"] > self.max_packet
        if not too_long:
            return super()._sock_recv(bufsize)
        if packet["command"] & 0xF0 != MessageType.PUBLISH:
            raise ConnectionError(f"{packet['remaining_length']} bytes that are no message")
        while len(packet["packet"]) > self.max_packet and packet["to_process"] > _PIECE:
            got = len(super()._sock_recv(min(_PIECE, packet["to_process"] - _PIECE)))
            if not got:
                return b""
            packet["to_process"] -= got
            packet["remaining_length"] -= got
        return super()._sock_recv(min(_PIECE, packet["to_process"]))
