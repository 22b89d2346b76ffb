"""How many bytes a door writes to its card in an hour.

    sudo python -m bench.card [--minutes 10] [--visits 0] [--keep 30]

The service runs with its store on an ext4 of its own, behind a loop device, whose counter has
everything that reaches the card, file system's journal included. Its camera sends the porch
without anybody, with the noise of a sensor, or the demonstration's whole film `--visits` times an
hour: three people, one of them a stranger, and two openings each time. The runtime folder is in
memory, as systemd makes it. What it logs is counted apart, for the journal packs it anew.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from lockd.paths import shipped

FPS = 10
SETTLE_S = 60.0
SECTOR = 512
CONFIG = """\
camera: {{source: "http://127.0.0.1:{port}/"}}
relay: {{factory: mock}}
liveness: {{policy: off}}
mqtt: {{host: 127.0.0.1, port: {broker}}}
store: {{folder: {state}, keep_events_days: {keep}}}
"""


class Porch(BaseHTTPRequestHandler):
    """Sends pictures for as long as somebody looks."""

    film: list[np.ndarray]
    every_s = float("inf")
    began = 0.0

    def do_GET(self) -> None:
        """Multipart JPEG."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        noise = np.random.default_rng(1)
        try:
            while True:
                picture = self.film[self.place()].astype(np.int16)
                picture += noise.integers(-2, 3, picture.shape, np.int16)
                content = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8))[1]
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}"
                self.wfile.write(f"{head}\r\n\r\n".encode() + content.tobytes() + b"\r\n")
                time.sleep(1 / FPS)
        except OSError:
            return

    def place(self) -> int:
        """Return which frame of the film is due; the first has nobody in it."""
        now = time.monotonic()
        if self.every_s == float("inf") or now < self.began:
            return 0
        at = int((now - self.began) % self.every_s * FPS)
        return at if at < len(self.film) else 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def frames() -> list[np.ndarray]:
    """Return the film, at FPS."""
    film = cv2.VideoCapture(str(shipped("demo/porch.mp4")))
    step = max(round(film.get(cv2.CAP_PROP_FPS) / FPS), 1)
    found = []
    while (read := film.read())[0]:
        found.append(read[1])
    return found[::step]


@contextmanager
def card(folder: Path) -> Iterator[Path]:
    """Mount an ext4 of its own; yield the counters of its device."""
    image = folder / "card.img"
    image.touch()
    os.truncate(image, 300_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image], check=True)
    command = ["losetup", "--find", "--show", image]
    loop = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        (folder / "card").mkdir()
        subprocess.run(["mount", loop, folder / "card"], check=True)
        try:
            yield Path("/sys/block") / Path(loop).name / "stat"
        finally:
            subprocess.run(["umount", folder / "card"], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def written(counters: Path) -> int:
    """Return the bytes written to a device so far."""
    os.sync()
    return int(counters.read_text().split()[6]) * SECTOR


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visits", type=float, default=0, help="times an hour that the film runs")
    parser.add_argument("--keep", type=int, default=30, help="store.keep_events_days")
    parser.add_argument("--broker", type=int, default=1, help="port of a broker; none by default")
    asked = parser.parse_args()
    Porch.film = frames()
    Porch.every_s = 3600 / asked.visits if asked.visits else float("inf")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Porch)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        memory = stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
        counters = stack.enter_context(card(folder))
        config = folder / "lockd.yaml"
        text = CONFIG.format(
            port=server.server_port, broker=asked.broker, state=folder / "card/state",
            keep=asked.keep,
        )  # fmt: skip
        config.write_text(text)
        options = ("--config", str(config))
        python = (sys.executable, "-m")
        people = shipped("demo/people")
        subprocess.run([*python, "enroll", "folder", people, *options], check=True)
        log = stack.enter_context((Path(memory) / "log").open("w+"))
        Porch.began = time.monotonic() + SETTLE_S
        environment = {**os.environ, "RUNTIME_DIRECTORY": memory}
        service = subprocess.Popen([*python, "lockd", "run", *options], stderr=log, env=environment)
        time.sleep(SETTLE_S)
        before, logged, began = written(counters), log.seek(0, 2), time.monotonic()
        time.sleep(asked.minutes * 60)
        hours = (time.monotonic() - began) / 3600
        assert service.poll() is None, (Path(memory) / "log").read_text()
        mb = (written(counters) - before) / 1e6 / hours
        kb = (log.seek(0, 2) - logged) / 1e3 / hours
        print(f"{mb:.2f} MB an hour to the card, {kb:.0f} kB logged")
        service.send_signal(signal.SIGTERM)
        service.wait()
        print((Path(memory) / "log").read_text()[-1500:], file=sys.stderr)


if __name__ == "__main__":
    main()
