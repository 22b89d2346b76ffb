"""What telling the world costs the loop that looks and decides.

    python -m bench.publishing [--events 3000] [--every-ms 5]

A stranger is told of again and again, as the service does it: an event, an alert, and a change of
the retained state. The store, the outbox's thread and mosquitto are real. What is measured
is how long the calling thread is kept, with the broker there, away, and hanging with the
connection open, and for comparison an event that the calling thread writes and sends itself, as
it would without the outbox's thread. All take turns in one run.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.store import Store, Vault
from lockd.clock import RealClock
from lockd.config import Settings
from lockd.messages import Event, EventType, Topics
from lockd.publishing.outbox import Outbox
from lockd.publishing.publisher import Publisher
from lockd.service.assembly import SWITCH_S

ROUND = 50


class Wall:
    """A clock that nobody has set."""

    problem = None

    def local(self) -> None:
        return None


class Door:
    """A reporter with its outbox, store and broker."""

    def __init__(self, name: str, folder: Path, port: int) -> None:
        self.name = name
        self.took: list[float] = []
        broker = {"host": "127.0.0.1", "port": port, "alerts": {"cooldown_s": 0}}
        self.settings = Settings.model_validate({"door": {"id": name}, "mqtt": broker})
        self.path = folder / name / "lockd.db"
        self.vault = Vault.beside(self.path)
        Store.open(self.path, self.vault).close()
        self.bus = Bus(self.settings.mqtt, Topics("lockd", name), name)
        self.bus.start()
        self.reporter = Publisher(
            self.settings,
            clock=RealClock(),
            wall=Wall(),  # type: ignore[arg-type]
            bus=self.bus,
            messages=lambda: Store.open(self.path, self.vault),
            heard=lambda event: None,
        )
        self.reporter.outbox.start()

    def tell(self, number: int) -> None:
        began = time.perf_counter()
        self.reporter.event(EventType.STRANGER, visit=number, similarity=0.4)
        self.reporter.serve({"lock": "LOCKED", "people": number}, dict)
        self.took.append(time.perf_counter() - began)

    def close(self) -> None:
        self.reporter.outbox.close()
        self.bus.close()


class Plain(Door):
    """The same without a thread: the caller writes and sends."""

    def __init__(self, name: str, folder: Path, port: int) -> None:
        super().__init__(name, folder, port)
        self.reporter.outbox.close()
        clock = RealClock()
        self.outbox = Outbox(
            self.settings, clock.now, self.bus, lambda: Store.open(self.path, self.vault)
        )
        self.now = clock.now

    def tell(self, number: int) -> None:
        began = time.perf_counter()
        event = Event(EventType.STRANGER, self.now(), self.name, visit=number)
        self.outbox.post(event, suppressed=0)
        self.outbox.move()
        self.reporter.serve({"lock": "LOCKED", "people": number}, dict)
        self.took.append(time.perf_counter() - began)

    def close(self) -> None:
        self.outbox.close()
        self.bus.close()


@contextmanager
def mosquitto() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or "mosquitto"
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([program, "-p", str(port)], **quiet)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--every-ms", type=float, default=5.0)
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory() as name, mosquitto() as here, mosquitto() as stuck:
        folder = Path(name)
        doors = [
            Door("there", folder, here[1]),
            Door("away", folder, 9),
            Door("hanging", folder, stuck[1]),
            Plain("no_thread", folder, here[1]),
        ]
        while not all(door.bus.connected for door in doors if door.name != "away"):
            time.sleep(0.05)
        stuck[0].send_signal(signal.SIGSTOP)
        for first in range(0, options.events, ROUND):
            for door in doors:
                for number in range(first, first + ROUND):
                    door.tell(number)
                    time.sleep(options.every_ms / 1e3)
        stuck[0].send_signal(signal.SIGCONT)
        for door in doors:
            times = np.array(door.took) * 1e3
            middle, late = np.percentile(times, [50, 99])
            print(
                f"{door.name:10} {len(times)} events: median {middle:.3f} ms, "
                f"99 % within {late:.3f} ms, longest {times.max():.2f} ms"
            )
            door.close()


if __name__ == "__main__":
    main()
