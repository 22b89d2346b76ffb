"""Somebody who publishes thousands of messages a second, and may."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterable

_EVERY_S = 0.01


class Flood:
    """Publishes payloads to a topic, until there are no more or it is told to stop.

    It speaks the protocol by hand, so that it takes next to nothing of the processor.

    Attributes:
        sent: messages so far.
        done: set once there are no more.
    """

    def __init__(self, port: int, topic: str, payloads: Iterable[bytes], per_s: float) -> None:
        self.sent = 0
        self._packets = (_packet(topic.encode(), one) for one in payloads)
        self.done = threading.Event()
        self._per_s = per_s
        self._stop = threading.Event()
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05flood")
        assert self._socket.recv(4) == b"\x20\x02\x00\x00"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(_EVERY_S):
            due = int((time.monotonic() - begun) * self._per_s) - self.sent
            packets = list(itertools.islice(self._packets, due))
            self._socket.sendall(b"".join(packets))
            self.sent += len(packets)
            if len(packets) < due:
                self.done.set()
                return

    def __enter__(self) -> Flood:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._socket.close()


def _packet(topic: bytes, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + payload
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 127
        length += bytes([digit | (128 if left else 0)])
        if not left:
            return b"\x30" + length + body
