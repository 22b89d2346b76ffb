"""Where the frames come from: the service if it has the camera, else the camera itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enroll import capture_frames
from enroll.capture_frames import OwnFrames, ServiceFrames, open_frames
from lockd.adapters.control import ControlSocket
from lockd.clock import Clock, RealClock, RecordedClock
from lockd.config import Settings
from lockd.errors import CameraError, ControlError
from lockd.service.frame_server import FrameServer
from lockd.types import Frame
from lockd.vision.pictures import encode_jpeg
from tests.patience import PATIENCE_S, eventually


class Service:
    """The service's end of the socket: hands out what it is told to show."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock = clock
        self.showing = FrameServer()
        self.problem: str | None = None
        self.instead: dict[str, Any] | None = None
        self._ends = threading.Event()
        self._asked = threading.Event()
        self._control = ControlSocket(path, self._asked.set)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def show(self, level: int, seq: int, age_s: float = 0.0) -> None:
        image = np.full((48, 64, 3), level, np.uint8)
        self.showing.frame = Frame(image, self.clock.now() - age_s, seq)

    def _serve(self) -> None:
        while not self._ends.is_set():
            self._asked.wait(0.02)
            self._asked.clear()
            for request in self._control.requests():
                if self.instead is not None:
                    request.answer(self.instead, lambda: b"no picture")
                else:
                    self.showing.answer(request, self.clock.now(), self.problem)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._control.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def clock() -> RecordedClock:
    """Of service and frames; time passes when the frames wait."""
    return RecordedClock()


@pytest.fixture
def service(path: Path, clock: Clock) -> Iterator[Service]:
    service = Service(path, clock)
    yield service
    service.close()


@pytest.fixture
def nice(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How far the process stepped back; not this one."""
    steps: list[int] = []
    monkeypatch.setattr(os, "nice", steps.append)
    return steps


@pytest.fixture
def frames(path: Path, clock: Clock) -> ServiceFrames:
    return ServiceFrames(path, clock, max_age_s=3.0)


def level(frame: Frame | None) -> int | None:
    return None if frame is None else round(float(frame.image.mean()))


class TestService:
    def test_each_frame_comes_once_with_the_time_it_was_taken(
        self, service: Service, frames: ServiceFrames, clock: Clock
    ) -> None:
        service.show(40, seq=1, age_s=0.5)
        first = frames.next(5)
        assert level(first) == 40
        assert first is not None
        assert first.t == clock.now() - 0.5
        assert frames.next(0.1) is None
        service.show(80, seq=2)
        second = frames.next(5)
        assert level(second) == 80
        assert second is not None
        assert (second.seq, second.t > first.t) == (2, True)
        assert frames.problem is None

    def test_an_old_frame_shows_nobody_who_is_there_now(
        self, service: Service, frames: ServiceFrames
    ) -> None:
        service.show(40, seq=1, age_s=4)
        assert frames.next(0.1) is None

    def test_a_camera_in_trouble_is_told_until_it_shows_something(
        self, service: Service, frames: ServiceFrames
    ) -> None:
        service.problem = "missing: unplugged"
        service.show(40, seq=1)
        assert frames.next(0.05) is None
        assert frames.problem == "missing: unplugged"
        service.problem = None
        assert level(frames.next(5)) == 40
        assert frames.problem is None

    def test_a_service_that_starts_anew_is_waited_for(
        self, path: Path, frames: ServiceFrames, clock: RecordedClock
    ) -> None:
        service = Service(path, clock)
        service.show(40, seq=900)
        assert level(frames.next(5)) == 40
        service.close()
        assert frames.next(0.05) is None
        assert "does lockd run" in str(frames.problem)
        clock.advance(clock.now() + 1)
        service = Service(path, clock)
        service.show(80, seq=1)
        assert level(eventually(lambda: frames.next(1))) == 80
        service.close()

    def test_a_service_that_is_gone_for_good_is_an_error(
        self,
        service: Service,
        frames: ServiceFrames,
        clock: RecordedClock,
    ) -> None:
        service.show(40, seq=1)
        assert level(frames.next(5)) == 40
        service.close()
        with pytest.raises(ControlError, match="does lockd run"):
            frames.next(60)
        assert 20 < clock.now() < 30

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            ({"result": "malformed", "reason": "commands: status"}, "systemctl restart lockd"),
            ({"result": "ok", "seq": 1, "age_s": 0.0}, "is it lockd that listens there"),
        ],
    )
    def test_a_service_that_shows_no_pictures_is_an_error(
        self, service: Service, frames: ServiceFrames, answer: dict[str, Any], says: str
    ) -> None:
        service.instead = answer
        with pytest.raises(ControlError, match=says):
            frames.next(5)

    def test_closed_it_asks_no_more(self, service: Service, frames: ServiceFrames) -> None:
        frames.close()
        service.show(40, seq=1)
        assert frames.next(60) is None


class TestChoosing:
    def settings(self, path: Path, source: str | int = 3) -> Settings:
        return Settings.model_validate(
            {"control": {"socket": path}, "camera": {"source": source, "retry_first_s": 0.1}}
        )

    @pytest.mark.parametrize("source", [None, "3", "/dev/video3"])
    def test_the_service_is_asked_for_the_camera_that_it_has(
        self, service: Service, path: Path, nice: list[int], source: str | None
    ) -> None:
        frames = open_frames(self.settings(path), source, RealClock())
        assert isinstance(frames, ServiceFrames)
        assert nice == [5]  # the door comes first

    def test_where_a_sandbox_forbids_to_step_back_the_frames_come_all_the_same(
        self, service: Service, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(_: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "nice", refused)
        frames = open_frames(self.settings(path), None, clock)
        assert isinstance(frames, ServiceFrames)
        service.show(40, seq=1)
        assert frames.next(5) is not None
        clock.wait_until(clock.now() + 0.7, threading.Event())  # the work on that frame
        service.show(40, seq=2)
        before = clock.now()
        second = frames.next(5)
        assert second is not None
        # It leaves the processor to the door for as long.
        assert clock.now() - before == pytest.approx(0.7)

    def test_another_camera_is_opened_here(
        self, service: Service, path: Path, nice: list[int], tmp_path: Path
    ) -> None:
        frames = open_frames(self.settings(path), str(tmp_path / "gone.mp4"), RealClock())
        assert isinstance(frames, OwnFrames)
        assert nice == []
        frames.close()

    def test_without_a_service_the_configured_camera_is_opened_here(
        self, path: Path, tmp_path: Path, nice: list[int]
    ) -> None:
        (tmp_path / "one.jpg").write_bytes(encode_jpeg(np.full((48, 64, 3), 90, np.uint8)))
        path.touch()  # what a service that died may leave
        frames = open_frames(self.settings(path, str(tmp_path)), None, RealClock())
        assert level(frames.next(PATIENCE_S)) == 90
        eventually(lambda: frames.next(0.1) is None and frames.ended)
        assert nice == []
        frames.close()

    def test_a_camera_that_cannot_be_opened_is_an_error_at_once(
        self, path: Path, tmp_path: Path
    ) -> None:
        frames = open_frames(self.settings(path), str(tmp_path / "gone.mp4"), RealClock())
        with pytest.raises(CameraError, match=r"gone\.mp4.*no such file"):
            eventually(lambda: frames.next(1))
        frames.close()

    def test_a_camera_that_there_cannot_be_is_told(self, path: Path) -> None:
        with pytest.raises(CameraError, match=r"source .csi:77.; use csi"):
            open_frames(self.settings(path), "csi:77", RealClock())

    def test_a_service_that_this_user_may_not_ask_is_told(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Path) -> bool:
            raise ControlError("may this user command it?")

        monkeypatch.setattr(capture_frames, "listens", refuse)
        with pytest.raises(ControlError):
            open_frames(self.settings(path), None, RealClock())
