"""How late the relay is, while every core and Python's global lock are busy.

    python -m bench.relay [--releases 300] [--busy 4] [--nice -10]

The strike is the real one, its output notes the time. Beside it run the real networks in
the same process (as in `lockd run`), and as many processes that do nothing but count. The
main thread looks at a frame, releases the strike at once, as for a verdict, and goes on
looking at frames while the guard switches off. Milliseconds:

    release   from asking to the output being on
    lateness  from the deadline to the output being off
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import threading
import time

import numpy as np

from lockd.adapters.strike import Strike
from lockd.commands.bench import one_face
from lockd.config import Settings
from lockd.identity.gallery import Gallery
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Frame


class TimedOutput:
    """An output that notes when it was switched."""

    def __init__(self) -> None:
        self.on_at = self.off_at = 0.0
        self.is_off = threading.Event()

    def on(self) -> None:
        self.on_at = time.monotonic()

    def off(self) -> None:
        self.off_at = time.monotonic()
        self.is_off.set()

    def close(self) -> None:
        pass


def count_for_ever() -> None:
    number = 0
    while True:
        number += 1


def measure(releases: int, looks: bool) -> tuple[list[float], list[float]]:
    """Return (release, lateness) of every release, in milliseconds."""
    settings = Settings()
    vision = Vision(settings)
    gallery = Gallery((), vision.embedder.size)
    image = one_face()
    output = TimedOutput()
    strike = Strike(output)
    latencies, lateness = [], []
    # The first frame builds networks for its size, and that keeps Python's global lock; no
    # verdict comes before it.
    Recogniser(settings, vision, gallery).look(Frame(image, 0.0, 0))
    try:
        for number in range(releases):
            seconds = random.uniform(0.1, 0.4)
            output.is_off.clear()
            asked = time.monotonic()
            strike.release(seconds)
            latencies.append((output.on_at - asked) * 1000)
            while not output.is_off.is_set():
                if looks:
                    Recogniser(settings, vision, gallery).look(Frame(image, 0.0, number + 1))
                else:
                    output.is_off.wait(1)
            lateness.append((output.off_at - asked - seconds) * 1000)
    finally:
        strike.close()
    return latencies, lateness


def table(name: str, times: list[float]) -> str:
    median, high = np.percentile(times, (50, 99))
    return f"  {name:10} {median:8.2f} {high:8.2f} {max(times):8.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=300)
    parser.add_argument("--busy", type=int, default=4, help="processes that only count")
    parser.add_argument("--switch-ms", type=float, help="of sys.setswitchinterval")
    parser.add_argument("--nice", type=int, default=0, help="added to that of this process")
    arguments = parser.parse_args()
    if arguments.switch_ms is not None:
        sys.setswitchinterval(arguments.switch_ms / 1000)
    for looks, busy in ((False, 0), (True, 0), (True, arguments.busy)):
        processes = [
            multiprocessing.get_context("spawn").Process(target=count_for_ever, daemon=True)
            for _ in range(busy)
        ]
        for process in processes:
            process.start()
        nice = os.nice(arguments.nice if busy else 0)
        times = measure(arguments.releases, looks)
        for process in processes:
            process.kill()
        print(
            f"{'networks running' if looks else 'idle'}, {busy} busy processes, "
            f"{os.cpu_count()} cores, {arguments.releases} releases, nice {nice}; milliseconds:\n"
            f"  {'':10} {'median':>8} {'99 %':>8} {'max':>8}"
        )
        for name, values in zip(("release", "lateness"), times, strict=True):
            print(table(name, values), flush=True)


if __name__ == "__main__":
    main()
