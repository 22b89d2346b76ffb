"""A network camera inside the virtual machine: pictures over HTTP, as it is told.

It sends the pictures of one folder round and round; the file `show` names the folder.
Needs nothing but Python, for decoding video under emulation would take all day.
"""

from __future__ import annotations

import itertools
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8099
# So slow that the networks, on an emulated processor, leave time for whatever else is tried;
# slower while nobody is to be seen.
PERIOD_S, NOBODY_S = 2.5, 5.0


class Camera(BaseHTTPRequestHandler):
    """Multipart JPEG, for as long as somebody looks."""

    folder: Path
    show: Path

    def do_GET(self) -> None:
        """Send pictures until the other side has had enough."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for number in itertools.count():
                who = self.show.read_text().strip()
                pictures = sorted((self.folder / who).glob("*.jpg"))
                content = pictures[number % len(pictures)].read_bytes()
                head = (
                    f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
                )
                self.wfile.write(head.encode() + content + b"\r\n")
                self._wait(who)
        except OSError:
            return

    def _wait(self, who: str) -> None:
        """Wait until the next picture is due, or somebody else is to be seen."""
        due = time.monotonic() + (NOBODY_S if who == "nobody" else PERIOD_S)
        while time.monotonic() < due and self.show.read_text().strip() == who:
            time.sleep(0.2)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Camera.folder, Camera.show = Path(sys.argv[1]), Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", PORT), Camera).serve_forever()
