"""The levels of one GPIO line, as the kernel traced them.

Every program that sets a line goes through the kernel's gpiolib, whose tracepoints
`gpio:gpio_value` and `gpio:gpio_direction` say what was written and when, on the same
clock as `time.monotonic`, and which thread wrote it. A level that was written for a
microsecond is in there.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import NamedTuple

TRACING = Path("/sys/kernel/tracing")
_EVENT = re.compile(
    r"-(?P<by>\d+)\s+\[.*\s(?P<t>\d+\.\d+): "
    r"gpio_(?P<kind>value|direction): (?P<line>\d+)\s+(?P<rest>.*)$"
)


class Written(NamedTuple):
    """A level that was written to the line.

    Attributes:
        t: when, in monotonic seconds.
        high: the level.
        by: the thread that wrote it.
    """

    t: float
    high: bool
    by: int


class Recorder:
    """What happened to one line since the recorder was made, oldest first."""

    def __init__(self, line: int) -> None:
        """Start recording.

        Args:
            line: the kernel's number of it.
        """
        self._line = line
        self._lock = threading.Lock()
        self._levels: list[Written] = []
        self.directions: list[tuple[float, str]] = []
        (TRACING / "trace_clock").write_text("mono")
        for event in ("gpio_value", "gpio_direction"):
            (TRACING / "events/gpio" / event / "enable").write_text("1")
        threading.Thread(target=self._read, daemon=True).start()

    def levels(self, since: float = 0.0) -> list[Written]:
        """Return every level written from some time on."""
        with self._lock:
            return [one for one in self._levels if one.t >= since]

    def wait(self, high: bool, timeout_s: float, since: float = 0.0) -> Written | None:
        """Return when the line was first written so since then, or None if it was not."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for one in self.levels(since):
                if one.high == high:
                    return one
            time.sleep(0.02)
        return None

    def _read(self) -> None:
        with (TRACING / "trace_pipe").open() as pipe:
            for text in pipe:
                event = _EVENT.search(text)
                if event is None or int(event["line"]) != self._line:
                    continue
                with self._lock:
                    if event["kind"] == "direction":
                        self.directions.append((float(event["t"]), event["rest"]))
                    elif event["rest"].startswith("set"):
                        high = event["rest"].endswith("1")
                        self._levels.append(Written(float(event["t"]), high, int(event["by"])))
