"""A porch with a camera on it, for tests of the whole service."""

from __future__ import annotations

import http.server
import itertools
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lockd.types import Image
from lockd.vision.pictures import decode, encode_jpeg

NOISY_FRAMES = 6


def porch(photo: Path) -> Image:
    """A 640x480 picture with somebody in the middle."""
    picture = decode(photo.read_bytes(), photo.name)
    scale = min(480 / picture.shape[0], 640 / picture.shape[1])
    picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale), np.uint8)
    frame: Image = np.full((480, 640, 3), 120, np.uint8)
    top, left = (480 - picture.shape[0]) // 2, (640 - picture.shape[1]) // 2
    frame[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return frame


def on_porch(photo: Path) -> bytes:
    """The same as a JPEG."""
    return encode_jpeg(porch(photo))


def filmed(image: Image) -> list[bytes]:
    """JPEGs of a picture as a sensor gives them: no two alike."""
    random = np.random.default_rng(1)
    noise = [random.integers(-3, 4, image.shape, np.int16) for _ in range(NOISY_FRAMES)]
    return [encode_jpeg(np.clip(image + one, 0, 255).astype(np.uint8)) for one in noise]


class StreamCamera:
    """An HTTP camera as they are sold: MJPEG, for ever, whatever it is told to `show`.

    Attributes:
        stuck: while set, connections stay and nothing is sent.
        port: stays the same when it is switched off and on again.
    """

    def __init__(self, frames: bytes | list[bytes], fps: float = 25.0) -> None:
        self.stuck = threading.Event()
        self.port = 0
        self._period_s = 1 / fps
        self._frames: list[bytes] = []
        self._gone = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.show(frames)
        self.switch_on()

    def show(self, frames: bytes | list[bytes]) -> None:
        """From now on show these, over and over."""
        self._frames = [frames] if isinstance(frames, bytes) else frames

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def switch_on(self) -> None:
        self._gone = gone = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for number in itertools.count():
                    if gone.wait(camera._period_s):
                        return
                    if camera.stuck.is_set():
                        continue
                    part = camera._frames[number % len(camera._frames)]
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                    try:
                        self.wfile.write(head % len(part) + part + b"\r\n")
                    except OSError:
                        return

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def switch_off(self) -> None:
        """Hang up on everybody, and answer nobody any more."""
        self._gone.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    close = switch_off
