"""Why a device cannot be used, told apart; and picamera2, by a stand-in."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from lockd.adapters.cameras import open_source, v4l2
from lockd.adapters.cameras.capture import CaptureSource
from lockd.adapters.cameras.sources import GuardedSource
from lockd.errors import CameraError, CameraTrouble
from tests.adapters.studio import of, plain
from tests.patience import PATIENCE_S

CAPTURE, METADATA, STREAMING = 0x1, 0x800000, 0x4000000
HAS_DEVICE_CAPS = 0x80000000


class Kernel:
    """What Linux says of /dev/video0: by default, that it is a camera nobody uses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open_error: int | None = None
        self.no_v4l2 = False
        self.everything, self.node = HAS_DEVICE_CAPS | CAPTURE | METADATA, CAPTURE | STREAMING
        self.busy = False
        self.handles: list[int] = []
        self._open, self._ioctl = os.open, fcntl.ioctl
        monkeypatch.setattr(v4l2.os, "open", self.open)
        monkeypatch.setattr(v4l2.fcntl, "ioctl", self.ioctl)

    def open(self, path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if path != "/dev/video0":
            return self._open(path, flags, *rest, **options)
        if self.open_error is not None:
            raise OSError(self.open_error, os.strerror(self.open_error), path)
        self.handles.append(self._open("/dev/null", os.O_RDWR))
        return self.handles[-1]

    def ioctl(self, handle: int, request: int, argument: bytes) -> bytes:
        if self.no_v4l2:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        if request == 0x80685600:  # VIDIOC_QUERYCAP, for struct v4l2_capability
            assert len(argument) == 104
            names = struct.pack("16s32s32sI", b"uvcvideo", b"Camera", b"usb-1", 0x60100)
            return names + struct.pack("II12x", self.everything, self.node)
        assert request == 0xC0145608  # VIDIOC_REQBUFS, for struct v4l2_requestbuffers
        assert len(argument) == 20
        if self.busy:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return argument


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def refusal() -> CameraError:
    with pytest.raises(CameraError) as caught:
        v4l2.check("/dev/video0")
    return caught.value


@pytest.mark.parametrize(
    ("number", "trouble", "said"),
    [
        (errno.ENOENT, "missing", "camera /dev/video0: not there; is it plugged in?"),
        (errno.ENODEV, "missing", "camera /dev/video0: not there; is it plugged in?"),
        (errno.EACCES, "denied", "camera /dev/video0: this user may not open it; add it to the"),
        (errno.EPERM, "denied", "camera /dev/video0: this user may not open it; add it to the"),
        (errno.EBUSY, "busy", "camera /dev/video0: used by another program; `fuser -v"),
        (errno.EMFILE, "failing", "camera /dev/video0: cannot be opened: Too many open files"),
    ],
)
def test_each_reason_not_to_open_has_its_own_words(
    kernel: Kernel, number: int, trouble: str, said: str
) -> None:
    kernel.open_error = number
    error = refusal()
    assert (error.trouble, str(error)[: len(said)]) == (trouble, said)


def test_what_is_no_v4l2_device_is_no_camera(kernel: Kernel) -> None:
    kernel.no_v4l2 = True
    assert str(refusal()).startswith("camera /dev/video0: no camera (Inappropriate ioctl")


def test_the_metadata_node_of_a_camera_is_told_from_the_camera(kernel: Kernel) -> None:
    v4l2.check("/dev/video0")
    kernel.node = METADATA | STREAMING
    error = refusal()
    assert "use the number before" in str(error)
    assert error.trouble == CameraTrouble.MISSING


def test_an_old_driver_speaks_for_the_whole_device(kernel: Kernel) -> None:
    kernel.everything, kernel.node = CAPTURE, 0
    v4l2.check("/dev/video0")


@pytest.mark.parametrize(("busy", "open_error"), [(True, None), (False, errno.EBUSY)])
def test_a_camera_that_another_program_has_is_busy(
    kernel: Kernel, busy: bool, open_error: int | None
) -> None:
    assert not v4l2.is_busy("/dev/video0")
    kernel.busy, kernel.open_error = busy, open_error
    assert v4l2.is_busy("/dev/video0")


def test_one_that_cannot_be_asked_is_not_called_busy(kernel: Kernel) -> None:
    kernel.open_error = errno.ENODEV
    assert not v4l2.is_busy("/dev/video0")
    kernel.open_error, kernel.no_v4l2 = None, True
    assert not v4l2.is_busy("/dev/video0")


def test_asking_leaves_no_handle_open(kernel: Kernel) -> None:
    v4l2.check("/dev/video0")
    v4l2.is_busy("/dev/video0")
    kernel.no_v4l2 = True
    refusal()
    v4l2.is_busy("/dev/video0")
    assert len(kernel.handles) == 4
    for handle in kernel.handles:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handle)


@pytest.mark.parametrize(("busy", "trouble"), [(True, "busy"), (False, "failing")])
def test_a_camera_that_opencv_cannot_open_is_asked_why(
    kernel: Kernel, busy: bool, trouble: str
) -> None:
    kernel.busy = busy
    with pytest.raises(CameraError, match="camera /dev/video0: ") as caught:
        open_source(of(0))
    assert caught.value.trouble == trouble


class Capture:
    """An OpenCV capture: gives what it is told, and fails when it is used after its end."""

    def __init__(self, *script: Any) -> None:
        self._script = list(script)
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.released = 0
        self.grabbed = 0

    def grab(self) -> bool:
        self.grabbed += 1
        return bool(self._script) and self._script.pop(0)[0]

    def read(self) -> tuple[bool, Any]:
        assert not self.released
        self.inside.set()
        assert self.go_on.wait(PATIENCE_S)
        assert not self.released
        return self._script.pop(0) if self._script else (False, None)

    def release(self) -> None:
        self.released += 1


def capture_source(capture: Capture, device: str | None = None) -> CaptureSource:
    return CaptureSource(capture, "door", device)  # type: ignore[arg-type]


def test_a_device_whose_node_is_gone_was_unplugged(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    source = capture_source(Capture((True, plain(3))), str(node))
    assert source.read() is not None
    with pytest.raises(CameraError, match="camera door: stopped sending pictures") as stopped:
        source.read()
    node.unlink()
    with pytest.raises(CameraError, match="camera door: unplugged") as unplugged:
        source.read()
    assert [stopped.value.trouble, unplugged.value.trouble] == ["failing", "missing"]


@pytest.mark.parametrize(("device", "given"), [("/dev/null", [2, 4, 5]), (None, [1, 2, 3, 4, 5])])
def test_a_device_that_rests_gives_every_other_picture_and_a_stream_gives_all(
    device: str | None, given: list[int]
) -> None:
    source = capture_source(Capture(*((True, plain(level)) for level in range(1, 6))), device)
    source.resting = True
    got = []
    for _ in given:
        if len(got) == 2:
            source.resting = False
        picture = source.read()
        assert picture is not None
        got.append(int(picture[0].mean()))
    assert got == given


def test_a_device_that_ends_while_it_rests_is_reported_like_any_other() -> None:
    source = capture_source(Capture((False, None)), "/dev/null")
    source.resting = True
    with pytest.raises(CameraError, match="stopped sending pictures"):
        source.read()


def test_a_capture_is_never_released_in_the_middle_of_a_read() -> None:
    capture = Capture((True, plain(3)))
    capture.go_on.clear()
    source = capture_source(capture)
    got: list[Any] = []
    reading = threading.Thread(target=lambda: got.append(source.read()))
    reading.start()
    assert capture.inside.wait(PATIENCE_S)
    source.close()
    assert not capture.released
    capture.go_on.set()
    reading.join(PATIENCE_S)
    assert got
    assert capture.released == 1
    source.close()
    assert capture.released == 1


def test_a_link_by_id_is_followed_to_the_number_of_the_day(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "video7").touch()
    link = tmp_path / "usb-Camera-video-index0"
    link.symlink_to("video7")
    opened: list[str] = []

    class Opened(Capture):
        def __init__(self, path: str, *_: Any) -> None:
            super().__init__((True, plain(3)))
            opened.append(path)

        def set(self, *_: Any) -> None:
            """Take any size."""

        def isOpened(self) -> bool:  # noqa: N802
            return True

    monkeypatch.setattr(v4l2, "check", lambda _: None)
    monkeypatch.setattr(cv2, "VideoCapture", Opened)
    monkeypatch.setattr("lockd.adapters.cameras.opening.is_path", lambda _: False)
    monkeypatch.delenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", raising=False)
    source = open_source(of(str(link), read_timeout_s=2.5))
    assert opened == [str(tmp_path / "video7")]
    assert os.environ.pop("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT") == "3"
    source.close()


class Picamera2:
    """As much of picamera2 as its documentation promises and lockd uses."""

    cameras = 2
    busy = False
    log: list[Any]

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return [{"Num": number} for number in range(cls.cameras)]

    def __init__(self, number: int) -> None:
        if self.busy:
            raise RuntimeError("Failed to acquire camera: Device or resource busy (-16)")
        self.log.append(("opened", number))

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def configure(self, configuration: dict[str, Any]) -> None:
        self.size = configuration["main"]["size"]
        if self.size[0] == 4096:
            raise RuntimeError("Invalid size")
        self.log.append(configuration)

    def start(self) -> None:
        self.log.append("started")

    def set_controls(self, controls: dict[str, Any]) -> None:
        self.log.append(controls)

    def capture_array(self, name: str) -> Any:
        assert name == "main"
        return np.full((self.size[1], self.size[0], 3), 77, np.uint8)

    def close(self) -> None:
        self.log.append("closed")


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    kind = type("Picamera2", (Picamera2,), {"log": []})
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=kind))
    return kind


class TestPicamera2:
    def test_it_gives_pictures_with_blue_first(self, picamera2: type[Picamera2]) -> None:
        source = open_source(of("picamera2:1", width=320, height=240, fps=10))
        picture = source.read()
        assert picture is not None
        assert picture[0].shape == (240, 320, 3)
        source.close()
        source.close()
        configuration = {
            "main": {"size": (320, 240), "format": "RGB888"},
            "controls": {"FrameRate": 10.0},
            "queue": False,
        }
        assert picamera2.log == [("opened", 1), configuration, "started", "closed"]

    def test_while_it_rests_it_is_asked_for_half_as_many_pictures(
        self, picamera2: type[Picamera2]
    ) -> None:
        source = open_source(of("picamera2:1", fps=10))
        assert isinstance(source, GuardedSource)
        source.read()
        for resting in (True, True, False):
            source.resting = resting
            source.read()
        source.close()
        assert picamera2.log[3:] == [{"FrameRate": 5.0}, {"FrameRate": 10.0}, "closed"]

    def test_without_it_the_debian_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        with pytest.raises(CameraError) as caught:
            open_source(of("picamera2"))
        assert "python3-picamera2" in str(caught.value)
        assert "--system-site-packages" in str(caught.value)
        assert caught.value.trouble == CameraTrouble.MISSING

    @pytest.mark.parametrize(
        ("setting", "trouble", "said"),
        [
            ({"cameras": 0}, "missing", "libcamera knows 0 cameras"),
            ({"busy": True}, "busy", "is another program using it"),
        ],
    )
    def test_what_hinders_it_is_told(
        self,
        picamera2: type[Picamera2],
        setting: dict[str, Any],
        trouble: str,
        said: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name, value in setting.items():
            monkeypatch.setattr(picamera2, name, value)
        with pytest.raises(CameraError, match=said) as caught:
            open_source(of("picamera2"))
        assert caught.value.trouble == trouble

    def test_one_that_cannot_be_configured_is_given_back(self, picamera2: type[Picamera2]) -> None:
        with pytest.raises(RuntimeError, match="Invalid size"):
            open_source(of("picamera2", width=4096))
        assert picamera2.log == [("opened", 0), "closed"]
