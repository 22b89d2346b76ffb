"""A picture of the last stranger, for as long as the owner wants and no longer.

It is never written to a disk here. The broker keeps it, retained, until its time is over;
then a grey picture takes its place, for an empty message has Home Assistant show an error.
Where the broker speaks version 5 it forgets the picture by itself, too, should the door be
gone by then. What the broker says, or has shown, that it does not take is made smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.mqtt.session import Session
from lockd.config import SnapshotSettings
from lockd.types import Face, Image
from lockd.vision.pictures import LEAST_JPEG_BYTES, around, encode_jpeg, jpeg_within

NOTHING = encode_jpeg(np.full((64, 64, 3), 128, np.uint8))
"""The grey picture that stands for none."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A picture that was taken; the JPEG is made by whoever publishes it."""

    image: Image
    until: float


class Snapshots:
    """Publishes the picture. `take` is for the service's thread, `serve` for the outbox's."""

    def __init__(
        self, settings: SnapshotSettings, topic: str, bus: Bus, now: Callable[[], float]
    ) -> None:
        """Begin without one.

        Args:
            settings: which, how large, for how long.
        """
        self._settings = settings
        self._topic = topic
        self._bus = bus
        self._now = now
        self._taken: _Taken | None = None
        self._shown: _Taken | None = None
        self._payload = NOTHING if settings.of != "none" else b""
        self._room: int | None = None
        self._session: Session | None = None

    @property
    def wanted(self) -> bool:
        """Whether pictures are published at all."""
        return self._settings.of != "none"

    def take(self, image: Image, face: Face | None) -> bool:
        """Have a picture published; return whether there is one to publish.

        Args:
            image: uint8 (height, width, 3), BGR; must not be altered any more.
            face: whose picture it is, if only faces are wanted.
        """
        if not self.wanted:
            return False
        if self._settings.of == "face":
            if face is None:
                return False
            image = around(image, face.box)
        self._taken = _Taken(image, self._now() + self._settings.keep_s)
        return True

    def serve(self) -> None:
        """Publish what is new, and take back what is old."""
        taken, session = self._taken, self._bus.session
        changed = taken is not self._shown
        if taken is not None and self._now() >= taken.until:
            self._taken = taken = None
            changed = True
        room = self._bus.room(self._topic)
        # Broken connections teach: the room may have become smaller, and the picture too large.
        changed |= taken is not None and room != self._room
        if changed:
            self._shown, self._room = taken, room
            self._payload = NOTHING if taken is None else self._encoded(taken, room)
        if session is not None and (changed or session is not self._session):
            left = None if taken is None else taken.until - self._now()
            self._bus.publish(self._topic, self._payload, retain=True, expiry_s=left)
            self._session = session

    def _encoded(self, taken: _Taken, room: int | None) -> bytes:
        payload = jpeg_within(taken.image, self._settings.max_kb * 1000)
        if room is None or self._bus.takes(self._topic, len(payload)):
            return payload
        return NOTHING if room < LEAST_JPEG_BYTES else jpeg_within(taken.image, room)
