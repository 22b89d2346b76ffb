"""Video files of every kind that people bring, as encoders and browsers write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2

from lockd.types import Image
from tests.conftest import CLIP

CODECS = {
    "mkv": "libx264",
    "webm": "libvpx",
    "flv": "flv",
    "mp4": "libx264",
    "mov": "libx264",
    "avi": "mpeg4",
    "ts": "libx264",
}
"""A codec for each kind of file, by its suffix."""


def record(
    path: Path,
    pictures: Iterable[tuple[Image, float]],
    *,
    rate: int = 1000,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write pictures at their times.

    Args:
        rate: of the clock that the times are rounded to.
        options: of the container.
    """
    codec = CODECS[path.suffix[1:]]
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream = None
        for image, t in pictures:
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
                if codec == "libvpx":
                    stream.options = {"deadline": "realtime", "cpu-used": "8"}
                if codec == "libx264":
                    stream.options = {"preset": "ultrafast"}
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(t * rate), Fraction(1, rate)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode())
    return path


def stamps(path: Path) -> list[float]:
    """The time of each picture by the container, from that of the first on."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return [t - times[0] for t in times]


def clip(start: float, end: float) -> list[tuple[Image, float]]:
    """The pictures of a stretch of the recorded porch, with their times from its start."""
    capture = cv2.VideoCapture(str(CLIP))
    fps = capture.get(cv2.CAP_PROP_FPS)
    pictures = []
    for number in range(int(end * fps)):
        _, image = capture.read()
        if number >= start * fps:
            pictures.append((image, number / fps - start))
    capture.release()
    return pictures  # type: ignore[return-value]
