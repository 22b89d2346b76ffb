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

from lockd.errors import CameraError, CameraTrouble
from lockd.redaction import redacted
from lockd.types import Image
from lockd.vision.pictures import decode

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
        """Give the device back. May be called from another thread, and twice.

        A read that hangs is never waited for; the device is given back when it returns.
        """


class GuardedSource(ABC):
    """A source that can be closed from another thread though a read hangs.

    Drivers do not survive being closed in the middle of a read: whoever comes last,
    the read or `close`, gives the device back.
    """

    recorded = False

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
        raise CameraError(f"{folder}: {error.strerror}", CameraTrouble.MISSING) from error


class FolderSource:
    """The pictures of a folder, by name, at a fixed rate."""

    recorded = True

    def __init__(self, folder: Path, fps: float) -> None:
        self._files = list_pictures(folder)
        if not self._files:
            raise CameraError(
                f"{folder}: holds no picture ({', '.join(sorted(PICTURES))})",
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
            content = file.read_bytes()
        except OSError as error:
            raise CameraError(f"{file}: {error.strerror}") from error
        return decode(content, str(file)), t

    def close(self) -> None:
        """Nothing is held open."""


class VideoSource(GuardedSource):
    """A video file."""

    recorded = True

    def __init__(self, path: Path) -> None:
        super().__init__(redacted(str(path)))
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise CameraError(f"{self._name}: not a video that OpenCV can read, or cut short")
        self._fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self._expected = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._count = 0

    def _read(self) -> tuple[Image, float] | None:
        done, image = self._capture.read()
        if not done:
            # The container's own count may be an estimate.
            if self._count < self._expected - max(2, self._expected // 50):
                raise CameraError(
                    f"{self._name}: breaks off after {self._count} of {self._expected} frames"
                )
            return None
        self._count += 1
        return image, (self._count - 1) / self._fps  # type: ignore[return-value]

    def _release(self) -> None:
        self._capture.release()
