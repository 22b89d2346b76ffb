"""Pictures of strangers on their way into the store, for an owner who keeps some."""

from __future__ import annotations

import logging
from collections import deque

from lockd.adapters.store import Store
from lockd.config import StoreSettings
from lockd.errors import StoreError
from lockd.messages import Event, utc_text
from lockd.types import Face, Image
from lockd.vision.pictures import around, jpeg_within

log = logging.getLogger(__name__)

MOST_BYTES = 40_000
"""Of one picture."""
_WAITING = 16


class StrangerPictures:
    """Keeps pictures. `take` is for the service's thread, `serve` for the outbox's."""

    def __init__(self, settings: StoreSettings) -> None:
        """Keep as many as are wanted, none by default."""
        self._most = settings.keep_strangers
        self._taken: deque[tuple[Event, Image]] = deque(maxlen=_WAITING)
        self._limited = False

    def take(self, event: Event, image: Image, face: Face) -> None:
        """Have a stranger's face kept; waits for nothing.

        Args:
            event: that tells of them.
            image: uint8 (height, width, 3), BGR.
        """
        if self._most:
            self._taken.append((event, around(image, face.box)))

    def serve(self, store: Store | None) -> None:
        """Write what was taken; at first, delete what is more than is wanted now."""
        if store is None:
            return
        try:
            if not self._limited:
                store.strangers.limit(self._most)
                self._limited = True
            while self._taken:
                event, image = self._taken.popleft()
                picture = jpeg_within(image, MOST_BYTES)
                store.strangers.keep(
                    picture, event_id=event.id, utc=utc_text(event.utc), most=self._most
                )
        except StoreError as error:
            log.error("%s; a stranger's picture is not kept", error)
