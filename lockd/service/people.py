"""The people enrolled, as the store has them, and a store that may fail, come and change."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lockd.adapters.store import STORE_PAUSE_S, Reading, Store
from lockd.door.events import DoorMemory
from lockd.door.rules import AccessRules
from lockd.errors import StoreError
from lockd.files import identity, write_over
from lockd.identity.gallery import Gallery
from lockd.service.store_writer import StoreWriter
from lockd.vision.embedder import Embedder

log = logging.getLogger(__name__)


_FAILURES_TO_REOPEN = 5
_WRITE_PAUSE_S = 60.0


class People:
    """Who may come in.

    A store that cannot be opened or read leaves the people as they were, nobody at the
    start, and is tried again. One whose file was taken away or replaced is opened anew.

    Attributes:
        store: the store in use, or None while there is none.
        gallery: the people.
        problem: why the store cannot be used, or None.
        damaged: how many templates and people in it are spoilt, and so not used.
    """

    def __init__(
        self,
        opener: Callable[[bool], Store] | None,
        embedder: Embedder,
        access: AccessRules,
        *,
        gallery: Gallery | None = None,
        remember: bool = True,
        copy: Path | None = None,
        writer: StoreWriter | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Open the store.

        Args:
            opener: opens the store, and makes one if told to and there is none, or raises
                `StoreError`; None with people that never change.
            embedder: whose templates can be compared.
            access: for a word on groups that do not exist.
            gallery: the people, where there is no store.
            remember: whether `keep` writes and `recall` reads.
            copy: a file in memory that keeps it a second time, for as long as the machine runs.
            writer: writes it to the store; without one that is done, and waited for, here.
            wall: the time of the day, seconds; for the age of what is remembered.
        """
        self._opener = opener
        self._embedder = embedder
        self._access = access
        self._pause_until = -math.inf
        self._write_at = -math.inf
        self._failures = 0
        self._remember = remember
        self._recalled = not remember
        self._copy = copy if remember else None
        self._copy_utc = -math.inf
        self._writer = writer
        self._writing = False
        self._unwritten: dict[str, Any] | None = None
        self._remember_at = -math.inf
        self._wall = wall
        self._file: tuple[int, int] | None = None
        self._reading: Reading | None = None
        self._outdated: Counter[str] = Counter()
        self._damaged: Counter[str] = Counter()
        self.damaged = 0
        self.store: Store | None = None
        self.problem: str | None = None
        self.gallery = Gallery((), embedder.size) if gallery is None else gallery
        if opener is not None:
            self._open(-math.inf)

    def refresh(self, now: float) -> bool:
        """Read the people again if an administrator changed them; return whether."""
        if self._opener is None or now < self._pause_until:
            return False
        if self.store is None and not self._open(now):
            return False
        self._try_to_write(now)
        if self._unwritten is not None and now >= self._remember_at:
            self._remember_at = now + STORE_PAUSE_S
            self._write_memory()
        try:
            return self._read()
        except StoreError as error:
            self._fail(error, now)
            return False

    def keep(self, memory: DoorMemory) -> None:
        """Write down what a restart must know, now or as soon as that can be done."""
        values = {name: getattr(memory, name) for name in DoorMemory.__dataclass_fields__}
        self._unwritten = {**values, "utc": self._wall()}
        self._write_copy(self._unwritten)
        self._write_memory()

    @property
    def lasting(self) -> bool | None:
        """Whether what was kept last outlives a power cut; None while it is being written."""
        if self._unwritten is None or not self._remember:
            return True
        return None if self._writing else False

    def adopt(self, memory: DoorMemory) -> None:
        """Keep what a predecessor in this process remembered; nothing is to be recalled."""
        self._recalled = True
        self.keep(replace(memory, released_s=0.0, held_s=0.0))

    def recall(self) -> DoorMemory | None:
        """Return what the last run left, as old as it is by now; once, when it can be read."""
        if self._recalled:
            return None
        found = [self._copied()] if self._copy_utc == -math.inf else []
        if self.store is not None:
            self._recalled = True
            found.append(self._stored(self.store))
        newest = max(
            (one for one in found if one is not None), key=lambda one: one["utc"], default=None
        )
        if newest is None or newest["utc"] <= self._copy_utc:
            return DoorMemory() if self._recalled and self._copy_utc == -math.inf else None
        if self.store is None:
            self._copy_utc = newest["utc"]
        try:
            age_s = self._wall() - newest.pop("utc")
            return DoorMemory(**newest).aged(age_s)
        except (TypeError, ValueError) as error:
            log.error("%s; what the door should remember cannot be read", error)
            return None

    def _stored(self, store: Store) -> dict[str, Any] | None:
        try:
            return _remembered(store.memory.recall())
        except (StoreError, ValueError) as error:
            log.error("%s; what the door should remember cannot be read", error)
            return None

    def _copied(self) -> dict[str, Any] | None:
        try:
            return _remembered(json.loads(self._copy.read_bytes())) if self._copy else None
        except (OSError, ValueError):
            return None

    def _write_copy(self, values: dict[str, Any]) -> None:
        if self._copy is None:
            return
        try:
            write_over(self._copy, json.dumps(values).encode(), lasting=False)
        except OSError as error:
            log.error("%s: %s", self._copy, error.strerror)

    def _write_memory(self) -> None:
        # Not over what the last run left and nobody has read yet.
        if not (self._remember and self._recalled and self.store and self.store.writable):
            return
        values = self._unwritten
        if values is None or self._writing:
            return
        if self._writer is not None:
            self._writing = True
            self._writer.submit(
                lambda store: store.memory.remember(values),
                lambda _, error: self._remembered(values, error),
            )
            return
        try:
            self.store.memory.remember(values)
        except StoreError as error:
            self._remembered(values, error)
        else:
            self._remembered(values, None)

    def _remembered(self, values: dict[str, Any], error: StoreError | None) -> None:
        self._writing = False
        if error is not None:
            log.error("%s; for now lock-out and lock-down would not outlive a restart", error)
        elif self._unwritten is values:
            self._unwritten = None
        else:  # there is news by now
            self._write_memory()

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()
            self.store = None

    def _try_to_write(self, now: float) -> None:
        """Now and then open a store anew that could only be read."""
        if self._opener is None or self.store is None or self.store.writable:
            return
        if now < self._write_at:
            return
        first, self._write_at = self._write_at == -math.inf, now + _WRITE_PAUSE_S
        if first:
            return
        try:
            store = self._opener(False)
        except StoreError:
            return
        if store.writable:
            self.close()
            self.store = store
            self._file = identity(store.path)
            self._reading = None  # or very many templates would be asked of the one that is closed
        else:
            store.close()

    def _open(self, now: float) -> bool:
        if self._opener is None:
            return False
        try:
            # A store that was there and is gone is no reason to begin with an empty one.
            self.store = self._opener(self._file is None)
        except StoreError as error:
            self._fail(error, now)
            return False
        self._file = identity(self.store.path)
        self._reading = None  # it may be another store
        return True

    def _read(self) -> bool:
        store = self.store
        if store is None:
            return False
        if identity(store.path) != self._file:
            self.close()
            raise StoreError(f"store {store.path}: the file was taken away or replaced")
        if not store.gallery.changed() and self.problem is None:
            return False
        reading = store.gallery.read(self._embedder.space, self._reading, compact=True)
        before = Gallery((), self._embedder.size) if reading.whole else self.gallery
        self.gallery = before.updated(reading.faces, reading.gone)
        self._reading, self.problem, self._failures = reading, None, 0
        self._count_unusable(reading)
        people = self.gallery.people
        log.info("gallery: %d people, %d templates", len(people), len(self.gallery))
        if not people:
            log.warning("nobody is enrolled, so everyone is a stranger; see `lockd-enroll add`")
        for group, names in self._access.unknown_groups(reading.faces.people).items():
            log.error(
                "access.groups has no %s; this group lets nobody in, and %d people are in it; see "
                "`lockd-enroll list`",
                *(group, len(names)),
            )
        return True

    def _count_unusable(self, reading: Reading) -> None:
        """Say how many templates cannot be used, of all who are enrolled."""
        for count, news in (
            (self._outdated, reading.outdated),
            (self._damaged, reading.damaged),
        ):
            for gone in list(count) if reading.whole else reading.gone:
                count.pop(gone, None)
            count.update(news)
        self.damaged = self._damaged.total()
        if outdated := self._outdated.total():
            log.error(
                "%d templates were made by other networks and are not used; see "
                "`lockd-enroll re-embed`",
                outdated,
            )
        if self.damaged:
            log.error(
                "%d templates or people are damaged and are not used; see `lockd store check`",
                self.damaged,
            )

    def _fail(self, error: StoreError, now: float) -> None:
        """Leave the store alone for a while, and in the end open it anew."""
        self.problem = str(error)
        self._pause_until = now + STORE_PAUSE_S
        self._failures += 1
        if self._failures % _FAILURES_TO_REOPEN == 0:
            self.close()


def _remembered(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was remembered, if it is that."""
    good = isinstance(values, dict) and isinstance(values.get("utc"), int | float)
    return dict(values) if good and values else None
