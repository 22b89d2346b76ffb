"""Where the frames come from while somebody is enrolled at the door.

A camera can be open in one process only. So if the service runs, it is asked for its frames
and goes on opening the door meanwhile; else the camera is opened here.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from lockd.adapters.cameras import LiveCamera
from lockd.adapters.control import SYSTEM_SOCKET, ask_for_picture, listens
from lockd.clock import Clock
from lockd.config import CameraSettings, Settings
from lockd.errors import CameraError, ControlError, ImageError, redacted
from lockd.types import Frame
from lockd.vision.decoding import decode

_SOON_S = 0.05
_LATER_S = 0.25
RESTART_S = 20.0
_NICE = 5  # more, and a busy service would leave it no time at all


class Frames(Protocol):
    """Gives frames, one after the other."""

    @property
    def problem(self) -> str | None:
        """What is wrong just now, for people; or None."""

    @property
    def ended(self) -> bool:
        """Whether no frame will come."""

    def next(self, timeout_s: float) -> Frame | None:
        """Return a frame not returned before, or None if none came in time.

        Raises:
            LockdError: if none will ever come.
        """

    def close(self) -> None:
        """Give the camera back."""


class ServiceFrames:
    """The frames of the service that runs, over its control socket.

    Attributes:
        problem: of its camera, or that it does not answer.
        ended: never.
    """

    ended = False

    def __init__(self, path: Path, clock: Clock, max_age_s: float, *, rests: bool = False) -> None:
        """Prepare it.

        Args:
            max_age_s: an older frame is not handed out.
            rests: after the work on a frame do nothing for as long.
        """
        self.problem: str | None = None
        self._path = path
        self._clock = clock
        self._max_age_s = max_age_s
        self._seq = -1
        self._count = 0
        self._newest = float("-inf")
        self._answered: float | None = None
        self._closed = threading.Event()
        self._rests = rests
        self._worked_since: float | None = None

    def next(self, timeout_s: float) -> Frame | None:
        """Return the service's newest frame; see `Frames.next`.

        Raises:
            ControlError: if it does not answer at all, or no more for a while.
        """
        now = self._clock.now()
        deadline = now + timeout_s
        if self._rests and self._worked_since is not None:
            self._clock.wait_until(min(2 * now - self._worked_since, deadline), self._closed)
        while not self._closed.is_set():
            found = self._ask()
            if isinstance(found, Frame):
                self._worked_since = self._clock.now()
                return found
            if self._clock.now() + found > deadline:
                self._worked_since = None
                return None
            self._clock.wait_until(self._clock.now() + found, self._closed)
        return None

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _ask(self) -> Frame | float:
        """Return the newest frame, or how long to wait before asking again."""
        try:
            answer, content = ask_for_picture(
                self._path, {"command": "frame", "after": self._seq, "enrolling": True}
            )
        except ControlError as error:
            if self._answered is None or self._clock.now() - self._answered > RESTART_S:
                raise
            self.problem = str(error)
            return _LATER_S
        self._answered = self._clock.now()
        match answer.get("result"):
            case "ok":
                return self._frame(answer["seq"], float(answer["age_s"]), content)
            case "no_news":
                return _SOON_S
            case "too_often":
                return max(_SOON_S, float(answer["wait_s"]))
            case "no_picture" | "no_answer" as result:
                self.problem = str(answer.get("reason", result))
                return _LATER_S
        raise ControlError(
            f"{self._path}: the lockd that runs is of another version and shows no pictures; "
            "restart it: systemctl restart lockd"
        )

    def _frame(self, seq: int, age_s: float, content: bytes) -> Frame | float:
        self._seq = seq
        t = self._clock.now() - age_s
        if age_s > self._max_age_s or t <= self._newest:
            return _SOON_S
        try:
            image = decode(content, f"{self._path}: frame {seq}")
        except ImageError as error:
            raise ControlError(f"{error}; is it lockd that listens there?") from error
        self.problem = None
        self._newest, self._count = t, self._count + 1
        return Frame(image, t, self._count)


class OwnFrames:
    """The frames of a camera opened here."""

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        """Open it."""
        self._source = redacted(str(settings.source))
        self._camera = LiveCamera(settings, clock)

    @property
    def problem(self) -> str | None:
        """What is wrong with the camera; see `Frames.problem`."""
        return self._camera.problem

    @property
    def ended(self) -> bool:
        """Whether it is a recording, and over."""
        return self._camera.ended

    def next(self, timeout_s: float) -> Frame | None:
        """Return the newest frame; see `Frames.next`.

        Raises:
            CameraError: if the camera cannot be opened.
        """
        frame = self._camera.next(timeout_s)
        trouble, problem = self._camera.trouble, self._camera.problem
        if frame is None and not self._camera.started and trouble and problem:
            raise CameraError(f"{self._source}: {problem}", trouble)
        return frame

    def close(self) -> None:
        """Give the camera back."""
        self._camera.close()


def open_frames(settings: Settings, source: str | None, clock: Clock) -> Frames:
    """Open the frames of the service if it has this camera, or else the camera.

    Beside the service this process steps back: the door comes first.

    Args:
        settings: where the service listens, and which camera is configured.
        source: another camera, as in ``camera.source``; None for the configured one.

    Raises:
        CameraError: if there can be no such camera.
        ControlError: if a service runs that this user may not ask.
    """
    path = settings.control.path() or SYSTEM_SOCKET
    configured = source is None or _device(source) == _device(str(settings.camera.source))
    if configured and listens(path):
        return ServiceFrames(path, clock, settings.camera.max_age_s, rests=not _stepped_back())
    camera = settings.camera
    if source is not None:
        camera = camera.from_source(source)
    return OwnFrames(camera, clock)


def _stepped_back() -> bool:
    """Lower this process's priority; the service's own unit forbids even that to its children."""
    try:
        os.nice(_NICE)
    except PermissionError:
        return False
    return True


def _device(source: str) -> str:
    """A source by one name, whichever of a device's it was given."""
    if source.isdecimal():
        return f"/dev/video{int(source)}"
    return os.path.realpath(source) if source.startswith("/dev/") else source
