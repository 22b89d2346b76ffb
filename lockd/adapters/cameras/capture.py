"""V4L2 devices, and RTSP and HTTP streams, through OpenCV."""

from __future__ import annotations

import math
import os

import cv2

from lockd.adapters.cameras import v4l2
from lockd.adapters.cameras.probing import why_not
from lockd.adapters.cameras.sources import GuardedSource
from lockd.adapters.cameras.trust import check_certificate, instruct_ffmpeg
from lockd.config import STREAM_SCHEMES, CameraSettings
from lockd.errors import CameraError, CameraTrouble
from lockd.redaction import redacted
from lockd.types import Image

# FFmpeg writes a line to stderr for every frame that it does not like, past the log and as
# fast as they come. What matters of it is reported as the camera's problem.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class CaptureSource(GuardedSource):
    """A device or a network stream that OpenCV has opened."""

    def __init__(self, capture: cv2.VideoCapture, name: str, device: str | None = None) -> None:
        """Take over a capture.

        Args:
            name: for messages, without a password.
            device: its node, if it is a V4L2 device.
        """
        super().__init__(f"camera {name}")
        self._capture = capture
        self._device = device

    def _read(self) -> tuple[Image, float]:
        done, image = self._capture.read()
        if not done or image is None:
            if self._device is not None and not os.path.exists(self._device):
                raise CameraError(f"{self._name}: unplugged", CameraTrouble.MISSING)
            raise CameraError(f"{self._name}: stopped sending pictures")
        return image, 0.0  # type: ignore[return-value]

    def _release(self) -> None:
        self._capture.release()


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
    return CaptureSource(capture, name)


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
