"""Pictures from V4L2 devices, ribbon cables, RTSP and HTTP streams, files and folders.

A `Source` reads one picture after the other and may block. A `LiveCamera` reads a
source in a thread of its own, keeps only the newest frame, watches whether the
pictures are those of a working camera, and opens the source again, at growing
intervals, when it fails. A `RecordedCamera` hands over every picture of a file or
folder, none lost, as fast as it is asked.
"""

from lockd.adapters.cameras.live import LiveCamera
from lockd.adapters.cameras.opening import open_source
from lockd.adapters.cameras.recorded import RecordedCamera
from lockd.adapters.cameras.sources import Source, list_pictures, pace_of

__all__ = [
    "LiveCamera",
    "RecordedCamera",
    "Source",
    "list_pictures",
    "open_source",
    "pace_of",
]
