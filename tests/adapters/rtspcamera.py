"""An RTSP camera: Motion JPEG over RTP (RFC 2435), within the RTSP connection, with sender reports.

Its stamps and its clock are what a test makes of them.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from lockd.types import Image

_NTP = 2208988800
_RATE = 90_000
_PIECE = 1200
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=porch\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\nc=IN IP4 0.0.0.0\r\na=control:track\r\n"
)


def noisy(number: int) -> Image:
    """A picture as a sensor gives it, no two alike."""
    noise = np.random.default_rng(number).integers(90, 110, (240, 320, 3), np.uint8)
    return np.asarray(noise, np.uint8)


@dataclass
class RtspCamera:
    """What it does.

    Attributes:
        fps: pictures a second.
        stamp: from the seconds since the stream began to the stamp of that picture.
        behind_s: by how much its clock says that the pictures are older; None without reports.
        picture: what is before it, by the picture's number.
        opened: how often somebody had it play.
        port: where it listens.
    """

    fps: float = 20.0
    stamp: Callable[[float], float] = lambda t: t
    behind_s: float | None = None
    picture: Callable[[int], Image] = noisy
    opened: int = 0
    port: int = 0
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/porch"

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = connection.recv(4096)
                    if not part:
                        return
                    head += part
                method = head.split()[0].decode()
                cseq = re.search(rb"(?i)cseq: *(\d+)", head)
                assert cseq is not None
                more = {
                    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
                    "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(_SDP)}\r\n",
                    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
                }.get(method, "Session: 1\r\n")
                body = _SDP if method == "DESCRIBE" else ""
                answer = f"RTSP/1.0 200 OK\r\nCSeq: {int(cseq[1])}\r\n{more}\r\n{body}"
                connection.sendall(answer.encode())
                if method == "PLAY":
                    self.opened += 1
                    self._play(connection)
                    return

    def _play(self, connection: socket.socket) -> None:
        begun, count = time.monotonic(), itertools.count()
        for number in itertools.count():
            if self.gone.wait(max(0.0, begun + number / self.fps - time.monotonic())):
                return
            stamp = round(self.stamp(number / self.fps) * _RATE) % 2**32
            if self.behind_s is not None and number % 20 == 0:
                ntp = time.time() - self.behind_s + _NTP
                second, part = int(ntp), int(ntp % 1 * 2**32)
                report = struct.pack(">BBHIIIIII", 0x80, 200, 6, 7, second, part, stamp, 0, 0)
                connection.sendall(struct.pack(">cBH", b"$", 1, len(report)) + report)
            for packet in _packets(self.picture(number), stamp, count):
                connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


def _packets(image: Image, stamp: int, count: Iterator[int]) -> Iterator[bytes]:
    """The RTP packets of one picture."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    tables, place = b"", 2
    while jpeg[place + 1] != 0xDA:  # segments up to the start of the scan
        (length,) = struct.unpack_from(">H", jpeg, place + 2)
        if jpeg[place + 1] == 0xDB:
            content = jpeg[place + 4 : place + 2 + length]
            tables += b"".join(content[at + 1 : at + 65] for at in range(0, len(content), 65))
        place += 2 + length
    scan = jpeg[place + 2 + struct.unpack_from(">H", jpeg, place + 2)[0] : -2]
    height, width = image.shape[:2]
    for offset in range(0, len(scan), _PIECE):
        piece, last = scan[offset : offset + _PIECE], offset + _PIECE >= len(scan)
        header = struct.pack(">I", offset) + bytes([1, 255, width // 8, height // 8])
        if offset == 0:
            header += struct.pack(">BBH", 0, 0, len(tables)) + tables
        marker = 26 | (0x80 if last else 0)
        yield struct.pack(">BBHII", 0x80, marker, next(count) % 2**16, stamp, 7) + header + piece


@contextlib.contextmanager
def rtsp_camera(camera: RtspCamera) -> Iterator[RtspCamera]:
    """Have it listen."""

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=camera.serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        camera.port = server.getsockname()[1]
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield camera
        finally:
            camera.gone.set()
            server.shutdown(socket.SHUT_RDWR)
