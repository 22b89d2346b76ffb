"""Pictures from V4L2 devices, RTSP and HTTP streams, video files and folders.

A `Source` reads one picture after the other and may block. A `LiveCamera` reads a
source in a thread of its own, keeps only the newest frame, and opens the source
again, at growing intervals, when it fails. A `RecordedCamera` hands over every
picture of a file or folder, none lost, as fast as it is asked.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2

from lockd.clock import Clock
from lockd.config import STREAM_SCHEMES, CameraSettings, is_path
from lockd.errors import CameraError, LockdError
from lockd.types import Frame, Image
from lockd.vision.pictures import decode

log = logging.getLogger(__name__)

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes, in lower case, of the files that a folder is searched for."""


class Source(Protocol):
    """One picture after the other."""

    recorded: bool
    """Whether it is a recording, which ends, rather than a camera, which must not."""

    def read(self) -> tuple[Image, float] | None:
        """Return the next picture and its time, or None at the end of a recording.

        The time is in seconds from the start of a recording, and 0 from a camera.

        Raises:
            CameraError: if the source has failed.
        """

    def close(self) -> None:
        """Give the device back. May be called from another thread, and twice."""


class Camera(Protocol):
    """What the service asks for frames."""

    @property
    def problem(self) -> str | None:
        """Why there are no frames just now, or None."""

    @property
    def ended(self) -> bool:
        """Whether a recording is over: no frame will come."""

    def next(self, timeout_s: float) -> Frame | None:
        """Return a frame not returned before, or None if none came in time.

        Raises:
            CameraError: if a recording is broken.
            ImageError: if a picture of a folder is.
        """

    def close(self) -> None:
        """Stop reading."""


def list_pictures(folder: Path) -> list[Path]:
    """Return the picture files directly in a folder, by name.

    Raises:
        CameraError: if the folder cannot be read.
    """
    try:
        return sorted(
            entry
            for entry in folder.iterdir()
            if entry.suffix.lower() in PICTURES and not entry.name.startswith(".")
        )
    except OSError as error:
        raise CameraError(f"{folder}: {error.strerror}") from error


def open_source(settings: CameraSettings) -> Source:
    """Open what ``camera.source`` names.

    Raises:
        CameraError: if it is not there, busy or of no known kind.
    """
    source = settings.source
    if isinstance(source, str) and source.isdecimal():
        source = int(source)
    if is_path(source):
        path = Path(str(source)).expanduser()
        if path.is_dir():
            return FolderSource(path, settings.fps)
        if not path.exists():
            raise CameraError(
                f"camera.source: {source}: no such file or folder; use a device number such as 0, "
                "an rtsp:// or http:// URL, a video file or a folder of pictures"
            )
        return VideoSource(path)
    return _open_capture(source, settings)


class FolderSource:
    """The pictures of a folder, by name, at a fixed rate."""

    recorded = True

    def __init__(self, folder: Path, fps: float) -> None:
        self._files = list_pictures(folder)
        if not self._files:
            raise CameraError(f"{folder}: holds no picture ({', '.join(sorted(PICTURES))})")
        self._period = 1.0 / fps
        self._next = 0

    def read(self) -> tuple[Image, float] | None:
        """Return the next picture; see `Source.read`."""
        if self._next >= len(self._files):
            return None
        file, t = self._files[self._next], self._next * self._period
        self._next += 1
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CameraError(f"{file}: {error.strerror}") from error
        return decode(content, str(file)), t

    def close(self) -> None:
        """Nothing is held open."""


class VideoSource:
    """A video file."""

    recorded = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise CameraError(f"{path}: not a video that OpenCV can read, or cut short")
        self._fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self._expected = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._count = 0

    def read(self) -> tuple[Image, float] | None:
        """Return the next picture; see `Source.read`."""
        done, image = self._capture.read()
        if not done:
            # The container's own count may be an estimate.
            if self._count < self._expected - max(2, self._expected // 50):
                raise CameraError(
                    f"{self._path}: breaks off after {self._count} of {self._expected} frames"
                )
            return None
        self._count += 1
        return image, (self._count - 1) / self._fps  # type: ignore[return-value]

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class CaptureSource:
    """A device or a network stream that OpenCV has opened."""

    recorded = False

    def __init__(self, capture: cv2.VideoCapture, name: str) -> None:
        self._capture = capture
        self._name = name

    def read(self) -> tuple[Image, float]:
        """Return the next picture; see `Source.read`."""
        done, image = self._capture.read()
        if not done or image is None:
            raise CameraError(f"camera {self._name}: stopped sending pictures")
        return image, 0.0  # type: ignore[return-value]

    def close(self) -> None:
        """Give the device back."""
        self._capture.release()


def _open_capture(source: str | int, settings: CameraSettings) -> CaptureSource:
    """Open a V4L2 device or a stream through OpenCV."""
    if isinstance(source, str) and source.startswith(STREAM_SCHEMES):
        capture = cv2.VideoCapture(
            source,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                round(settings.open_timeout_s * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                round(settings.read_timeout_s * 1000),
            ],
        )
        name, advice = _without_password(source), "is it reachable, and the user name right?"
    else:
        device = f"/dev/video{source}" if isinstance(source, int) else source
        name, advice = device, "is it plugged in, unused, and this user in the group video?"
        if not os.path.exists(device):
            raise CameraError(f"camera {device}: not there; {advice}")
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
        capture.set(cv2.CAP_PROP_FPS, settings.fps)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"camera {name}: cannot be opened; {advice}")
    return CaptureSource(capture, name)


def _without_password(url: str) -> str:
    """Return a URL fit for a log: many cameras take the password in the query."""
    scheme, _, rest = url.partition("://")
    secret, _, rest = rest.rpartition("@")
    return f"{scheme}://{'...' if '?' in secret else rest.partition('?')[0]}"


class RecordedCamera:
    """Every picture of a recording, in order, as fast as it is asked."""

    problem: str | None = None

    def __init__(self, source: Source) -> None:
        """Take over a source.

        Raises:
            CameraError: if it is a camera, whose pictures cannot be asked for at will.
        """
        if not source.recorded:
            source.close()
            raise CameraError(
                "a camera or stream has no end and no time of its own; replay a video file or "
                "a folder of pictures, or use `lockd run`"
            )
        self._source = source
        self._count = 0
        self.ended = False

    def next(self, timeout_s: float) -> Frame | None:
        """Return the next frame at once; see `Camera.next`."""
        try:
            picture = None if self.ended else self._source.read()
        except Exception:
            self.ended = True
            raise
        if picture is None:
            self.ended = True
            return None
        self._count += 1
        return Frame(picture[0], picture[1], self._count)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class LiveCamera:
    """The newest frame of a source that is read in a thread of its own.

    A recording is paced by its own times and ends; a camera that fails is opened
    again after `retry_first_s`, then twice as long each time up to `retry_longest_s`.
    """

    def __init__(
        self, settings: CameraSettings, clock: Clock, *, opener: Callable[[], Source] | None = None
    ) -> None:
        """Start reading.

        Args:
            settings: of the camera.
            clock: stamps the frames.
            opener: opens the source; by default what the settings name.
        """
        self._settings = settings
        self._clock = clock
        self._open = opener or (lambda: open_source(settings))
        self._condition = threading.Condition()
        self._frame: Frame | None = None
        self._count = 0
        self._taken = 0
        self._failure: str | None = None
        self._broken: LockdError | None = None
        self._last = clock.now()
        self._started = False
        self._ended = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name="camera", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str | None:
        """Why there are no frames just now, or None."""
        with self._condition:
            if self._failure is not None:
                return self._failure
            silent = self._clock.now() - self._last
            limit = self._settings.read_timeout_s
            if not self._started:
                limit += self._settings.open_timeout_s
            if silent > limit and not self._ended:
                return f"no picture for {limit:g} s"
            return None

    @property
    def ended(self) -> bool:
        """Whether a recording is over and its last frame was taken."""
        with self._condition:
            return self._ended and (self._frame is None or self._frame.seq == self._taken)

    def next(self, timeout_s: float) -> Frame | None:
        """Return the newest frame, waiting for one not returned before."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._ended or (self._frame is not None and self._frame.seq != self._taken),
                timeout_s,
            )
            if self._frame is not None and self._frame.seq != self._taken:
                self._taken = self._frame.seq
                return self._frame
            if self._broken is not None:
                raise self._broken
            return None

    def close(self) -> None:
        """Stop reading; a read that hangs is left to end with the process."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _read_all(self) -> None:
        """The thread: open, read, and on failure wait and open again."""
        wait_s = self._settings.retry_first_s
        while not self._stop.is_set():
            before = self._count
            try:
                if self._read_source():
                    return
            except LockdError as error:
                self._fail(str(error))
            except Exception as error:  # a driver may raise anything; the thread must live
                log.exception("camera: unexpected failure")
                self._fail(f"{type(error).__name__}: {error}")
            if self._count > before:
                wait_s = self._settings.retry_first_s
            self._stop.wait(wait_s)
            wait_s = min(wait_s * 2, self._settings.retry_longest_s)

    def _read_source(self) -> bool:
        """Open the source and read it; return True if there is no more to come."""
        source = self._open()
        try:
            self._read(source)
        except LockdError as error:
            if not source.recorded:
                raise
            self._end(error)
        else:
            if source.recorded:
                self._end(None)
        finally:
            source.close()
        return source.recorded

    def _read(self, source: Source) -> None:
        """Read until the source ends or the camera is closed."""
        start = self._clock.now()
        while not self._stop.is_set():
            picture = source.read()
            if picture is None:
                return
            image, t = picture
            if source.recorded and self._stop.wait(max(0.0, start + t - self._clock.now())):
                return
            self._count += 1
            self._put(Frame(image, self._clock.now(), self._count))

    def _put(self, frame: Frame) -> None:
        with self._condition:
            self._frame = frame
            self._last = frame.t
            self._started = True
            self._failure = None
            self._condition.notify_all()

    def _fail(self, reason: str) -> None:
        with self._condition:
            self._failure = reason

    def _end(self, error: LockdError | None) -> None:
        with self._condition:
            self._ended = True
            self._broken = error
            self._condition.notify_all()
