"""What gives pictures, and what gives frames; recordings.

A `Source` reads one picture after the other and may block. A `Camera` is what the
service asks for frames.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

import cv2

from lockd.adapters.cameras.containers import Times, breaks_off
from lockd.errors import CameraError, CameraTrouble, redacted
from lockd.files import UnreadableError, read_file, read_head
from lockd.types import Image

_MAX_BYTES = 64 << 20  # of a picture's file

_USUAL_FPS, _MOST_FPS = 25.0, 240.0
_MOST_FRAMES = 10**8


class Source(Protocol):
    """One picture after the other."""

    recorded: bool
    """Whether it is a recording, which ends, rather than a camera, which must not."""

    def read(self) -> tuple[Image, float] | None:
        """Return the next picture and its time, or None at the end of a recording.

        The time is in seconds from the start of a recording; of a camera's picture it is for how
        many seconds it waited before it was read, as far as that is known.

        Raises:
            CameraError: if the source has failed.
        """

    def close(self) -> None:
        """Give the device back. May be called from another thread, and twice.

        A read that hangs is never waited for; the device is given back when it returns.
        """


class GuardedSource(ABC):
    """A source that can be closed from another thread though a read hangs.

    Drivers do not survive being closed in the middle of a read: whoever comes last,
    the read or `close`, gives the device back.
    """

    recorded = False
    resting = False
    """Whether half as many pictures will do; whoever can, takes fewer."""

    def __init__(self, name: str) -> None:
        """Name the source, for messages."""
        self._name = name
        self._using = threading.Lock()
        self._closed = self._released = False

    def read(self) -> tuple[Image, float] | None:
        """Return the next picture; see `Source.read`."""
        try:
            with self._using:
                if self._closed:
                    raise CameraError(f"{self._name}: closed")
                return self._read()
        finally:
            if self._closed:
                self._release_if_unused()

    def close(self) -> None:
        """Give the device back; see `Source.close`."""
        self._closed = True
        self._interrupt()
        self._release_if_unused()

    def _release_if_unused(self) -> None:
        if self._using.acquire(blocking=False):
            try:
                if not self._released:
                    self._released = True
                    self._release()
            finally:
                self._using.release()

    @abstractmethod
    def _read(self) -> tuple[Image, float] | None:
        """Wait for the next picture; see `Source.read`."""

    @abstractmethod
    def _release(self) -> None:
        """Give the device back; called once, and never during a read."""

    def _interrupt(self) -> None:  # noqa: B027  # most drivers know no way
        """Make a read in progress fail soon, if there is a way; called from any thread."""


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures directly in a folder, by name: those that begin as pictures do.

    What cannot be read is among them, to be told of when its turn comes.

    Raises:
        CameraError: if the folder cannot be read.
    """
    try:
        entries = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise CameraError(f"{folder}: {error.strerror}", CameraTrouble.MISSING) from error
    return [one for one in entries if not one.is_dir() and _may_be_picture(one)]


def _may_be_picture(file: Path) -> bool:
    from lockd.vision.decoding import HEAD_BYTES, is_picture  # noqa: PLC0415  # takes its time

    try:
        return is_picture(read_head(file, HEAD_BYTES))
    except UnreadableError:
        return True


class FolderSource:
    """The pictures of a folder, by name, at a fixed rate."""

    recorded = True

    def __init__(self, folder: Path, fps: float) -> None:
        self._files = list_pictures(folder)
        if not self._files:
            raise CameraError(
                f"{folder}: holds no picture such as a JPEG or PNG file",
                CameraTrouble.MISSING,
            )
        self._period = 1.0 / fps
        self._next = 0

    def read(self) -> tuple[Image, float] | None:
        """Return the next picture; see `Source.read`."""
        if self._next >= len(self._files):
            return None
        file, t = self._files[self._next], self._next * self._period
        self._next += 1
        try:
            content = read_file(file, _MAX_BYTES)
        except UnreadableError as error:
            raise CameraError(f"{file}: {error}") from error
        from lockd.vision.decoding import decode  # noqa: PLC0415  # takes its time

        return decode(content, str(file)), t

    def close(self) -> None:
        """Nothing is held open."""


class VideoSource(GuardedSource):
    """A video file, with the times that its container gives its pictures."""

    recorded = True

    def __init__(self, path: Path) -> None:
        super().__init__(redacted(str(path)))
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise CameraError(f"{self._name}: not a video that OpenCV can read, or cut short")
        self._rate = rate_of(self._capture)
        self._times = Times(1 / self._rate)
        self._count = 0
        self._t = 0.0

    def _read(self) -> tuple[Image, float] | None:
        done, image = self._capture.read()
        if not done:
            if breaks_off(self._path):
                raise CameraError(f"{self._name}: breaks off after {self._amount()} frames")
            return None
        self._count += 1
        self._t = self._times.of(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        return image, self._t  # type: ignore[return-value]

    def _amount(self) -> str:
        """How many pictures there were, of how many if that is more than an estimate."""
        expected = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        steady = round(self._t * self._rate) == self._count - 1
        known = steady and self._count < expected < _MOST_FRAMES
        return f"{self._count} of {expected}" if known else str(self._count)

    def _release(self) -> None:
        self._capture.release()


def rate_of(capture: cv2.VideoCapture) -> float:
    """Return the pictures a second that a file names, a usual one if that cannot be meant.

    Where the rate varies containers name that of their clock, 1000 or 90000.
    """
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0.1 <= rate <= _MOST_FPS else _USUAL_FPS


def pace_of(path: Path, fps: float) -> tuple[float, float | None]:
    """Return how many pictures a second a recording has, and about how many seconds, if it says.

    Args:
        path: a video file, or a folder of pictures; of anything else nothing is known.
        fps: those of a folder.

    Raises:
        CameraError: if it is a folder that cannot be read.
    """
    if path.is_dir():
        return fps, len(list_pictures(path)) / fps
    if not path.is_file():
        return _USUAL_FPS, None
    capture = cv2.VideoCapture(str(path))
    rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    usual = rate_of(capture)
    capture.release()
    return usual, count / rate if rate > 0 and 0 < count < _MOST_FRAMES else None
