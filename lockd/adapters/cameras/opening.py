"""From `camera.source` to a source."""

from __future__ import annotations

from pathlib import Path

from lockd.adapters.cameras.capture import open_capture
from lockd.adapters.cameras.csi import CsiSource
from lockd.adapters.cameras.picamera import PicameraSource
from lockd.adapters.cameras.sources import FolderSource, Source, VideoSource
from lockd.config import CSI_KINDS, CameraSettings, is_path
from lockd.errors import CameraError, CameraTrouble, redacted


def open_source(settings: CameraSettings) -> Source:
    """Open what ``camera.source`` names.

    Raises:
        CameraError: if it is not there, not allowed, busy or of no known kind.
    """
    source = settings.source
    if isinstance(source, str) and source.isdecimal():
        source = int(source)
    if is_path(source):
        return _open_path(str(source), settings)
    kind, _, number = str(source).partition(":")
    if kind in CSI_KINDS:
        ribbon = CsiSource if kind == "csi" else PicameraSource
        return ribbon(int(number or 0), settings)
    return open_capture(source, settings)


def _open_path(source: str, settings: CameraSettings) -> Source:
    path = Path(source).expanduser()
    if path.is_dir():
        return FolderSource(path, settings.fps)
    if not path.exists():
        raise CameraError(
            f"camera.source: {redacted(source)}: no such file or folder; use a device number such "
            "as 0, csi for a camera on the ribbon cable, an rtsp:// or http:// URL, a video file "
            "or a folder of pictures",
            CameraTrouble.MISSING,
        )
    return VideoSource(path)
