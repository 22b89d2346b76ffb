"""A camera on the Raspberry Pi's ribbon cable, through a child process.

`rpicam-vid` (`libcamera-vid` on older images) writes raw frames to a pipe. Whatever
its drivers do, they do in a process that can be killed. It ends with us, too: its
next write fails once nobody holds the other end of the pipe.

Frames on the pipe have no marks between them, so their size must be known. The
camera's hardware pads rows to a multiple of 64 bytes, which the program writes as
they are; so the width asked for is such a multiple, and there is no padding. What
libcamera says of its configuration on stderr is compared with what was asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shutil
import subprocess
import time
from typing import IO, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from lockd.adapters.cameras.sources import GuardedSource
from lockd.config import CameraSettings
from lockd.errors import CameraError, CameraTrouble
from lockd.types import Image

PROGRAMS = ("rpicam-vid", "libcamera-vid")
_PIPE_BYTES = 1 << 20  # the most that an ordinary user may ask for
_LAST_WORDS = 4096
REAP_S = 0.5
_CONFIGURED = re.compile(rb"configuring streams: \(0\) (\d+)x(\d+)-")
_SAID = (
    (re.compile(r"no cameras available|not available", re.I), CameraTrouble.MISSING),
    (re.compile(r"in use by another|resource busy|failed to acquire", re.I), CameraTrouble.BUSY),
    (re.compile(r"permission denied|not permitted", re.I), CameraTrouble.DENIED),
)


class CsiSource(GuardedSource):
    """A child process that writes frames to a pipe."""

    def __init__(self, number: int, settings: CameraSettings) -> None:
        """Start the program; the first `read` waits for its first frame.

        Args:
            number: of the camera, from 0.
            settings: its size, rate and time-outs. The width is rounded up to a
                multiple of 64, the height to an even number.

        Raises:
            CameraError: if neither program is installed.
        """
        super().__init__(f"camera csi:{number}")
        self._width = -(-settings.width // 64) * 64
        self._height = -(-settings.height // 2) * 2
        self._frame = memoryview(bytearray(self._width * self._height * 3 // 2))
        self._limit_s = settings.open_timeout_s + settings.read_timeout_s
        self._read_timeout_s = settings.read_timeout_s
        self._last_words = b""
        command = self._command(number, settings.fps)
        self._program = os.path.basename(command[0])
        self._child = _start(command, self._name)
        self._pipe = cast(IO[bytes], self._child.stdout)
        self._errors = cast(IO[bytes], self._child.stderr)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self._poll.register(self._errors, select.POLLIN)

    def _command(self, number: int, fps: float) -> list[str]:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise CameraError(
                f"{self._name}: neither rpicam-vid nor libcamera-vid is installed; "
                "`sudo apt install rpicam-apps-lite`",
                CameraTrouble.MISSING,
            )
        # --flush: else the end of a frame waits in the program for the next one.
        options = ["--codec", "yuv420", "--timeout", "0", "--nopreview", "--flush"]
        size = ["--width", str(self._width), "--height", str(self._height)]
        return [
            *(program, *options, *size),
            *("--framerate", f"{fps:g}", "--camera", str(number), "--output", "-"),
        ]

    def _read(self) -> tuple[Image, float]:
        if self.resting:
            self._fill()  # taken, lest the pipe be full, but not converted
        self._fill()
        return _to_bgr(np.frombuffer(self._frame, np.uint8), self._width, self._height), 0.0

    def _fill(self) -> None:
        """Take the next frame off the pipe."""
        deadline = time.monotonic() + self._limit_s
        self._limit_s = self._read_timeout_s
        got = 0
        while got < len(self._frame):
            if not self._wait(deadline):
                raise CameraError(
                    f"{self._name}: sent {got} of a frame's {len(self._frame)} bytes in the time "
                    f"that a picture may take{self._said()}",
                    CameraTrouble.SILENT,
                )
            count = os.readv(self._pipe.fileno(), [self._frame[got:]])
            if not count:
                raise self._gone()
            got += count

    def _wait(self, deadline: float) -> bool:
        """Wait for bytes of a frame, or the end of them; return whether there are any."""
        while (left := deadline - time.monotonic()) > 0:
            ready = [handle for handle, _ in self._poll.poll(left * 1000)]
            if self._errors.fileno() in ready and not self._listen():
                self._poll.unregister(self._errors)
            if self._pipe.fileno() in ready:
                return True
        return False

    def _listen(self) -> bool:
        """Take what the child has to say, lest it wait; return whether there may be more."""
        said = os.read(self._errors.fileno(), _LAST_WORDS)
        self._last_words = (self._last_words + said)[-_LAST_WORDS:]
        found = _CONFIGURED.search(self._last_words)
        if found and (size := tuple(map(int, found.groups()))) != (self._width, self._height):
            raise CameraError(
                f"{self._name}: gives pictures of {size[0]} x {size[1]}, not of {self._width} x "
                f"{self._height}; set camera.width and camera.height to a size that it has"
            )
        return bool(said)

    def _gone(self) -> CameraError:
        """The error for a child that closed its pipe: how it ended, and its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(REAP_S)
        while select.select([self._errors], [], [], 0)[0] and self._listen():
            pass
        code = self._child.returncode
        if code is None:
            end = "closed its output"
        else:
            end = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        text = self._last_words.decode(errors="replace")
        kinds = (kind for pattern, kind in _SAID if pattern.search(text))
        return CameraError(
            f"{self._name}: {self._program} {end}{self._said()}", next(kinds, CameraTrouble.FAILING)
        )

    def _said(self) -> str:
        """The last line that the child wrote, as the end of a message."""
        lines = self._last_words.decode(errors="replace").strip().splitlines()
        return f"; it said: {lines[-1].strip()[:200]}" if lines else ""

    def _interrupt(self) -> None:
        # Not asked first: a child that is stopped or stuck would not hear, and this one
        # has nothing to tidy up.
        self._child.kill()

    def _release(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(REAP_S)
        self._pipe.close()
        self._errors.close()


def _start(command: list[str], name: str) -> subprocess.Popen[bytes]:
    """Start the program with pipes for its frames and its words."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # Ctrl-C in a terminal is for lockd, which then ends the child
        )
    except OSError as error:
        raise CameraError(f"{name}: {command[0]} does not start: {error.strerror}") from error
    with contextlib.suppress(OSError):  # it only saves wake-ups
        fcntl.fcntl(cast(IO[bytes], child.stdout), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return child


def _to_bgr(frame: NDArray[np.uint8], width: int, height: int) -> Image:
    """Turn YUV 4:2:0 planes of full range (sYCC, as of a JPEG) into BGR.

    OpenCV's own conversion from 4:2:0 takes 16..235 for black to white, which would
    harden the contrast and clip both ends.
    """
    luma = frame[: width * height].reshape(height, width)
    blue, red = (
        cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        for plane in frame[width * height :].reshape(2, height // 2, width // 2)
    )
    return cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2BGR)  # type: ignore[return-value]
