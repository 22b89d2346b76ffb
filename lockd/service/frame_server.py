"""What the camera sees, for whoever enrols somebody at the door.

The service goes on judging: it hands out the newest frame as it is, a few times a second
at most, and the control socket's thread makes the JPEG.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any

from lockd.ports import Request
from lockd.types import Frame
from lockd.vision.pictures import encode_jpeg

log = logging.getLogger(__name__)

LEAST_GAP_S = 0.2
"""Between two pictures, whoever asks for them."""
JPEG_QUALITY = 95
_FORGOTTEN_S = 60.0
_ENROLLING_S = 3.0  # since the last frame that was asked for it


class FrameServer:
    """Answers the requests for the newest frame.

    Attributes:
        frame: the newest, or None before the first.
    """

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self._shown = float("-inf")
        self._viewers: dict[str, float] = {}
        self._enrolling_at = float("-inf")

    def answer(self, request: Request, now: float, problem: str | None) -> None:
        """Answer with the newest frame as a JPEG, or with why there is none.

        ``result`` is ``ok``, with ``seq``, ``age_s`` and a picture; ``no_news`` if the asker
        has that frame already, whose number it sent as ``after``; ``too_often``, with
        ``wait_s``; or ``no_picture``, with a reason.

        Args:
            request: whose picture is made in the socket's thread.
            now: on the clock of the frames.
            problem: of the camera, if there is one.
        """
        if request.values.get("enrolling") is True:
            self._enrolling_at = now
        frame = self.frame
        if frame is None or problem is not None:
            reason = problem or "the camera has shown nothing yet"
            request.answer({"result": "no_picture", "reason": reason})
        elif frame.seq == request.values.get("after"):
            request.answer({"result": "no_news"})
        elif (wait_s := self._shown + LEAST_GAP_S - now) > 0:
            request.answer({"result": "too_often", "wait_s": math.ceil(wait_s * 1000) / 1000})
        else:
            self._shown = now
            self._note(request.by, now)
            request.answer(_described(frame, now), partial(encode_jpeg, frame.image, JPEG_QUALITY))

    def enrolling(self, now: float) -> bool:
        """Return whether somebody is being enrolled with these frames."""
        return now - self._enrolling_at <= _ENROLLING_S

    def _note(self, by: str, now: float) -> None:
        """Tell the log that somebody begins to look through the camera."""
        if now - self._viewers.get(by, float("-inf")) > _FORGOTTEN_S:
            log.info("%s sees what the camera sees, over the control socket", by)
        self._viewers[by] = now


def _described(frame: Frame, now: float) -> dict[str, Any]:
    return {"result": "ok", "seq": frame.seq, "age_s": round(max(0.0, now - frame.t), 3)}
