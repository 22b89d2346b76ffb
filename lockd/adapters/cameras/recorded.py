"""A recording as a camera whose every picture is judged."""

from __future__ import annotations

from lockd.adapters.cameras.sources import Source
from lockd.errors import CameraError, CameraTrouble
from lockd.types import Frame
from lockd.vision.pictures import View


class RecordedCamera:
    """Every picture of a recording, in order, as fast as it is asked."""

    problem: str | None = None
    trouble: CameraTrouble | None = None
    alive = True

    def __init__(self, source: Source, view: View | None = None) -> None:
        """Take over a source.

        Args:
            view: how its pictures are put upright and cut.

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
        self._view = view or View()
        self._count = 0
        self.ended = False

    @property
    def started(self) -> bool:
        """Whether there ever was a frame."""
        return self._count > 0

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
        return Frame(self._view.of(picture[0]), picture[1], self._count)

    def wake(self) -> None:
        """Do nothing: `next` never waits."""

    def rest(self, resting: bool) -> None:
        """Do nothing: every picture of a recording is handed over."""

    def close(self) -> None:
        """Close the source."""
        self._source.close()
