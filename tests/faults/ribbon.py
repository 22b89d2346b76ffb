"""A ribbon camera: a stand-in for `rpicam-vid` on PATH, which does as a folder tells it.

who      raw frame (YUV 4:2:0) that it sends, over and over, with a sensor's noise
orders   `noise`: nothing but noise; `gone`: it says that there is no camera, and ends
pid      of the one that runs
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2

from lockd.types import Image

_PROGRAM = """\
#!{python}
import os, sys, time
from pathlib import Path

import numpy as np

folder = Path({folder!r})
(folder / "pid").write_text(str(os.getpid()))
with (folder / "starts").open("a") as starts:
    starts.write("another one\\n")
if (folder / "orders").read_text() == "gone":
    sys.exit("ERROR: *** no cameras available ***")
random = np.random.default_rng()
out = sys.stdout.buffer
while True:
    frame = np.frombuffer((folder / "who").read_bytes(), np.uint8)
    if (folder / "orders").read_text() == "noise":
        frame = random.integers(0, 256, frame.size, np.uint8)
    noise = random.integers(0, 4, frame.size, np.uint8)
    try:
        out.write((frame // 4 * 4 + noise).tobytes())
        out.flush()
    except BrokenPipeError:
        os._exit(0)
    time.sleep(1 / 12)
"""


class Ribbon:
    """The program's strings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.order("")

    def install(self) -> None:
        """Put the program where PATH leads."""
        program = self.folder / "rpicam-vid"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(self.folder)))
        program.chmod(0o755)

    def remove(self) -> None:
        """Take it away."""
        (self.folder / "rpicam-vid").unlink()

    def order(self, what: str) -> None:
        """Tell the one that runs, or will."""
        self._write("orders", what.encode())

    def show(self, image: Image) -> None:
        """From now on this is before the camera."""
        self._write("who", cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())

    def kill(self, number: int) -> None:
        """Send the one that runs a signal."""
        os.kill(int((self.folder / "pid").read_text()), number)

    def starts(self) -> int:
        """How often it was started."""
        return len((self.folder / "starts").read_text().splitlines())

    def _write(self, name: str, content: bytes) -> None:
        new = self.folder / f"{name}.new"
        new.write_bytes(content)
        new.rename(self.folder / name)
