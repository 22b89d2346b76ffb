"""A porch with a camera on it, for tests of the whole service."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lockd.types import Image
from lockd.vision.decoding import decode
from lockd.vision.pictures import encode_jpeg


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


class Film:
    """A picture as a sensor gives it: for ever, and no two frames of it alike."""

    def __init__(self, image: Image) -> None:
        self._image = image.astype(np.int16)
        self._random = np.random.default_rng(1)
        rows, columns, _ = image.shape
        self._noise = self._random.integers(-3, 4, (rows + 200, columns + 200, 3), np.int16)

    def frame(self) -> bytes:
        """The next frame, as a JPEG."""
        rows, columns, _ = self._image.shape
        y, x = self._random.integers(0, 200, 2)
        noisy = self._image + self._noise[y : y + rows, x : x + columns]
        return encode_jpeg(np.clip(noisy, 0, 255).astype(np.uint8))


def filmed(image: Image) -> Film:
    """A film of a picture in which nothing moves."""
    return Film(image)


class StreamCamera:
    """An HTTP camera as they are sold: MJPEG, for ever, whatever it is told to `show`.

    Attributes:
        stuck: while set, connections stay and nothing is sent.
        sent: pictures so far.
        port: stays the same when it is switched off and on again.
    """

    def __init__(self, film: bytes | Film, fps: float = 25.0) -> None:
        self.stuck = threading.Event()
        self.sent = 0
        self.port = 0
        self.period_s = 1 / fps
        self.film = film
        self._gone = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.switch_on()

    def show(self, film: bytes | Film) -> None:
        """From now on show this; bytes, over and over: a frozen picture."""
        self.film = film

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
                while True:
                    if gone.wait(camera.period_s):
                        return
                    if camera.stuck.is_set():
                        continue
                    film = camera.film
                    part = film if isinstance(film, bytes) else film.frame()
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                    try:
                        self.wfile.write(head % len(part) + part + b"\r\n")
                    except OSError:
                        return
                    camera.sent += 1

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
