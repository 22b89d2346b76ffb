"""Live cameras over sources, a clock and waits that a test has in its hands."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lockd.adapters.cameras import LiveCamera, Source, reader
from lockd.config import CameraSettings
from lockd.errors import CameraError
from lockd.types import Image
from tests.patience import PATIENCE_S


def plain(level: int) -> Image:
    return np.full((48, 64, 3), level, np.uint8)


def level(image: Image) -> int:
    return round(float(image.mean()))


def of(source: str | int, **settings: Any) -> CameraSettings:
    return CameraSettings(source=source, **settings)


class ScriptedSource:
    """Gives what is written down for it; then ends, or hangs like a driver until closed."""

    def __init__(
        self, *script: int | Exception, recorded: bool = False, times: list[float] | None = None
    ) -> None:
        self.recorded = recorded
        self.closed = threading.Event()
        self.used_up = threading.Event()
        self._script = list(script)
        self._times = iter(times or [0.0] * len(script))

    def read(self) -> tuple[Image, float] | None:
        if not self._script:
            self.used_up.set()
            if self.recorded:
                return None
            self.closed.wait(PATIENCE_S)
            raise CameraError("closed")
        item = self._script.pop(0)
        if isinstance(item, Exception):
            raise item
        return plain(item), next(self._times)

    def close(self) -> None:
        self.closed.set()


class SetClock:
    """A clock that stands still until a test, or a wait, moves it."""

    def __init__(self) -> None:
        self.t = 100.0

    def now(self) -> float:
        return self.t

    def advance(self, t: float) -> None:
        raise AssertionError("a live camera does not set the time")

    def wait_until(self, t: float, stop: threading.Event) -> None:
        raise AssertionError("a live camera does not wait by the clock")


class HeldEvent(threading.Event):
    """The camera's stop signal, whose waits take no time and are written down.

    With `held` they end only when the test lets them.
    """

    def __init__(self, clock: SetClock) -> None:
        super().__init__()
        self.clock = clock
        self.waits: queue.Queue[float] = queue.Queue()
        self.held = False
        self.let_go = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if not self.is_set():
            self.waits.put(timeout)
            if self.held:
                assert self.let_go.acquire(timeout=PATIENCE_S)
            self.clock.t += timeout
        return self.is_set()

    def next_wait(self) -> float:
        return self.waits.get(timeout=PATIENCE_S)

    def set(self) -> None:
        super().set()
        for _ in range(100):
            self.let_go.release()


class Studio:
    """Makes live cameras over scripted sources, and takes them down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = SetClock()
        self.stop = HeldEvent(self.clock)
        self.opened = 0
        self._sources: list[ScriptedSource] = []
        self._cameras: list[LiveCamera] = []
        self._threads: list[threading.Thread] = []
        stand_in = SimpleNamespace(
            Event=lambda: self.stop, Lock=threading.Lock, Thread=self._thread
        )
        monkeypatch.setattr(reader, "threading", stand_in)

    def camera(self, *script: ScriptedSource | Exception, **settings: Any) -> LiveCamera:
        """A camera whose source opens, or does not, as written down; then stays away."""
        openings = list(script)
        self._sources += [one for one in script if isinstance(one, ScriptedSource)]

        def opener() -> Source:
            self.opened += 1
            if not openings:
                self.stop.held = True
                raise CameraError("unplugged for good")
            opening = openings.pop(0)
            if isinstance(opening, Exception):
                raise opening
            return opening

        camera = LiveCamera(of(0, **settings), self.clock, opener=opener)
        self._cameras.append(camera)
        return camera

    def take_down(self) -> None:
        self.stop.set()
        for source in self._sources:
            source.close()
        for camera in self._cameras:
            camera.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _thread(self, **options: Any) -> threading.Thread:
        self._threads.append(threading.Thread(**options))
        return self._threads[-1]
