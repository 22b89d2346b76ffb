"""V4L2 devices, and RTSP and HTTP streams, through OpenCV."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable

import cv2

from lockd.adapters.cameras import v4l2
from lockd.adapters.cameras.lateness import Lateness
from lockd.adapters.cameras.probing import why_not
from lockd.adapters.cameras.sources import GuardedSource
from lockd.adapters.cameras.trust import check_certificate, instruct_ffmpeg
from lockd.config import STREAM_SCHEMES, CameraSettings
from lockd.errors import CameraError, CameraTrouble, redacted
from lockd.types import Image

log = logging.getLogger(__name__)

_MJPEG = cv2.VideoWriter.fourcc(*"MJPG")

# FFmpeg writes a line to stderr for every frame that it does not like, past the log and as
# fast as they come. What matters of it is reported as the camera's problem.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class CaptureSource(GuardedSource):
    """A device or a network stream that OpenCV has opened."""

    def __init__(
        self,
        capture: cv2.VideoCapture,
        name: str,
        device: str | None = None,
        late_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Take over a capture.

        Args:
            name: for messages, without a password.
            device: its node, if it is a V4L2 device.
            late_s: asked after each picture how late it came.
        """
        super().__init__(f"camera {name}")
        self._capture = capture
        self._device = device
        self._late_s = late_s

    def _read(self) -> tuple[Image, float]:
        if self.resting and self._device is not None:
            self._capture.grab()  # not decoded; a stream's pictures need those before them
        done, image = self._capture.read()
        if not done or image is None:
            if self._device is not None and not os.path.exists(self._device):
                raise CameraError(f"{self._name}: unplugged", CameraTrouble.MISSING)
            raise CameraError(f"{self._name}: stopped sending pictures")
        return image, self._late_s()  # type: ignore[return-value]

    def _release(self) -> None:
        self._capture.release()


class _StreamTime:
    """Asks a stream for its time after each picture, and for its camera's clock once."""

    def __init__(self, capture: cv2.VideoCapture, name: str, settings: CameraSettings) -> None:
        self._capture = capture
        self._name = name
        self._synchronized = settings.clock == "synchronized"
        # Motion JPEG over HTTP: FFmpeg numbers the pictures as if there were 25 a second.
        untimed = str(settings.source).startswith("http") and (
            round(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPEG
        )
        self._stamped = settings.timestamps == "trusted" and not untimed
        self._lateness = Lateness(stamped=self._stamped, limit_s=settings.delayed_after_s)
        self._asked = not self._stamped

    def late_s(self) -> float:
        """Return how late the picture came that was read just now."""
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        late_s = self._lateness.of(time.monotonic(), stamp)
        if not self._asked:
            # Where no report tied it to a clock yet, FFmpeg has a number far below 0.
            began = self._capture.get(cv2.CAP_PROP_STREAM_OPEN_TIME_USEC) / 1e6
            if began > 0:
                self._asked = True
                late_s = max(late_s, self._by_its_clock(time.time() - began - stamp))
        return late_s

    def _by_its_clock(self, age_s: float) -> float:
        """Take how old a picture is by the camera's clock; return that if it is gone by, else 0."""
        if not self._synchronized:
            log.info(
                "camera %s: by its own clock its pictures are %.1f s old; if that clock is right, "
                "set camera.clock: synchronized",
                self._name,
                age_s,
            )
            return 0.0
        if not self._lateness.know(age_s):
            log.error(
                "camera %s: by its own clock its pictures are %.1f s old, which cannot be: its "
                "clock or this machine's is wrong, and is not gone by (camera.clock)",
                self._name,
                age_s,
            )
            return 0.0
        return age_s


def open_capture(source: str | int, settings: CameraSettings) -> CaptureSource:
    """Open a V4L2 device, by number or path, or a stream, by URL.

    Raises:
        CameraError: if it is not there, not allowed, not trusted, busy or no camera.
    """
    if isinstance(source, str) and source.startswith(STREAM_SCHEMES):
        return _open_stream(source, settings)
    return _open_device(f"/dev/video{source}" if isinstance(source, int) else source, settings)


def _open_stream(url: str, settings: CameraSettings) -> CaptureSource:
    name = redacted(url)
    instruct_ffmpeg(settings)
    try:
        check_certificate(url, name, settings)
    except CameraError:
        raise
    except OSError:
        raise why_not(url, name, settings) from None
    capture = cv2.VideoCapture(
        url,
        cv2.CAP_FFMPEG,
        [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            round(settings.open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            round(settings.read_timeout_s * 1000),
        ],
    )
    if not capture.isOpened():
        capture.release()
        raise why_not(url, name, settings)
    if not settings.delayed_after_s:
        return CaptureSource(capture, name)
    return CaptureSource(capture, name, late_s=_StreamTime(capture, name, settings).late_s)


def _open_device(device: str, settings: CameraSettings) -> CaptureSource:
    v4l2.check(device)
    # How long OpenCV waits for a picture of a device, in whole seconds; it asks the
    # environment at the first one that is late.
    limit = str(math.ceil(settings.read_timeout_s))
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", limit)
    # A link of /dev/v4l/by-id leads to whatever number the camera has just now.
    capture = cv2.VideoCapture(os.path.realpath(device), cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    if not capture.isOpened():
        capture.release()
        if v4l2.is_busy(device):
            raise v4l2.busy(device)
        raise CameraError(f"camera {device}: cannot be opened; is it a camera, and working?")
    return CaptureSource(capture, device, device)
