"""A camera on the Raspberry Pi's ribbon cable, through picamera2.

The library's drivers run inside this process: a hang of theirs costs the service its
reader, and at last a restart. `csi` runs them in a child process instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lockd.adapters.cameras.sources import GuardedSource
from lockd.config import CameraSettings
from lockd.errors import CameraError, CameraTrouble
from lockd.types import Image


class PicameraSource(GuardedSource):
    """A camera that picamera2 has opened."""

    def __init__(self, number: int, settings: CameraSettings) -> None:
        """Open and start the camera.

        Args:
            number: of the camera, from 0.
            settings: its size and rate.

        Raises:
            CameraError: if picamera2 is not installed, or the camera not to be had.
        """
        super().__init__(f"camera picamera2:{number}")
        kind = _picamera2()
        cameras = len(kind.global_camera_info())
        if number >= cameras:
            raise CameraError(
                f"{self._name}: libcamera knows {cameras} cameras, numbered from 0; is the cable "
                "in, the right way round? `rpicam-hello --list-cameras` shows them",
                CameraTrouble.MISSING,
            )
        try:
            self._camera = kind(number)
        except RuntimeError as error:
            raise CameraError(
                f"{self._name}: cannot be had ({error}); is another program using it?",
                CameraTrouble.BUSY,
            ) from error
        try:
            self._start(settings)
        except BaseException:
            self._camera.close()
            raise

    def _start(self, settings: CameraSettings) -> None:
        # What picamera2 calls RGB888 has blue first in memory. Without a queue a
        # picture is never older than the wish for it.
        configuration = self._camera.create_video_configuration(
            main={"size": (settings.width, settings.height), "format": "RGB888"},
            controls={"FrameRate": settings.fps},
            queue=False,
        )
        self._camera.configure(configuration)
        self._camera.start()
        self._fps, self._slowed = settings.fps, False

    def _read(self) -> tuple[Image, float]:
        if self._slowed != self.resting:
            self._slowed = self.resting
            self._camera.set_controls({"FrameRate": self._fps / 2 if self._slowed else self._fps})
        return np.ascontiguousarray(self._camera.capture_array("main")), 0.0

    def _release(self) -> None:
        self._camera.close()


def _picamera2() -> Any:
    """Import picamera2, which comes with the system rather than from PyPI."""
    try:
        from picamera2 import Picamera2  # noqa: PLC0415  # few have it, and it is slow
    except ImportError as error:
        raise CameraError(
            f"camera.source: picamera2 cannot be imported ({error}); `sudo apt install "
            "python3-picamera2`, and let lockd's virtual environment see the system's packages "
            "(`python3 -m venv --system-site-packages`); or use source: csi",
            CameraTrouble.MISSING,
        ) from error
    return Picamera2
