"""The levels of one GPIO line, as the kernel traced them.

Every program that sets a line goes through the kernel's gpiolib, whose tracepoints
`gpio:gpio_value` and `gpio:gpio_direction` say what was written and when, on the same
clock as `time.monotonic`. A level that was written for a microsecond is in there.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
_EVENT = re.compile(
    r"\s(?P<t>\d+\.\d+): gpio_(?P<kind>value|direction): (?P<line>\d+)\s+(?P<rest>.*)$"
)


class Recorder:
    """What happened to one line since the recorder was made, oldest first."""

    def __init__(self, line: int) -> None:
        """Start recording.

        Args:
            line: the kernel's number of it.
        """
        self._line = line
        self._lock = threading.Lock()
        self._levels: list[tuple[float, bool]] = []
        self.directions: list[tuple[float, str]] = []
        (TRACING / "trace_clock").write_text("mono")
        for event in ("gpio_value", "gpio_direction"):
            (TRACING / "events/gpio" / event / "enable").write_text("1")
        threading.Thread(target=self._read, daemon=True).start()

    def levels(self) -> list[tuple[float, bool]]:
        """Return every level written: (monotonic seconds, high)."""
        with self._lock:
            return list(self._levels)

    def changes(self, since: float = 0.0) -> list[tuple[float, bool]]:
        """Return the levels that differ from the one before, from some time on."""
        found: list[tuple[float, bool]] = []
        last: bool | None = None
        for t, high in self.levels():
            if high != last and t >= since:
                found.append((t, high))
            last = high
        return found

    def wait(self, high: bool, timeout_s: float, since: float = 0.0) -> float | None:
        """Return when the line was first written so since then, or None if it was not."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for t, level in self.levels():
                if t >= since and level == high:
                    return t
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
                        self._levels.append((float(event["t"]), event["rest"].endswith("1")))
