"""Writes to the store for the service, in a thread of its own: nothing waits for the disk.

A card may take a tenth of a second for each transaction, and now and then some seconds. So the
service's thread, in which the exit button is heard, gives its work away, and is told what came
of it at one of its next steps.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockd.adapters.store import STORE_PAUSE_S, OwnStore, Store
from lockd.errors import StoreError

log = logging.getLogger(__name__)

_IDLE_S = 1.0
_FAREWELL_S = 3.0

Work: TypeAlias = Callable[[Store], Any]
"""What is to be done with the store; in the writer's thread."""
Done: TypeAlias = Callable[[Any, StoreError | None], None]
"""Takes what the work returned, or why it was not done; in the service's thread."""


@dataclass(eq=False, slots=True)
class _Job:
    work: Work
    done: Done
    result: Any = None
    error: StoreError | None = None


class StoreWriter:
    """Does one thing after the other.

    Attributes:
        wake: called, from its thread, when something was done.
    """

    def __init__(
        self,
        opener: Callable[[], Store] | None,
        wake: Callable[[], None] = lambda: None,
        *,
        pause_s: float = STORE_PAUSE_S,
    ) -> None:
        """Prepare it.

        Args:
            opener: opens the store, and never makes one; None where there is none.
            wake: called, from its thread, when something was done.
            pause_s: how long a store that failed is left alone.
        """
        self._own = OwnStore(opener, pause_s=pause_s)
        self._waiting: deque[_Job] = deque()
        self._finished: deque[_Job] = deque()
        self._current: _Job | None = None
        self._stir = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.wake = wake

    @property
    def problem(self) -> str | None:
        """Why the store takes nothing, or None."""
        return self._own.problem

    def submit(self, work: Work, done: Done) -> None:
        """Have something done; waits for nothing."""
        self._waiting.append(_Job(work, done))
        self._stir.set()

    def have_done(self, work: Work) -> None:
        """Have something done that nobody waits for; the log says so if it cannot be."""
        self.submit(work, _complain)

    def settle(self) -> None:
        """Tell what came of what was done since the last call; start a thread that died anew."""
        if self._thread is not None and not self._thread.is_alive() and not self._closing:
            log.critical("the thread that writes to the store has died; starting another")
            if self._current is not None:
                self._current.error = StoreError("the thread that writes to the store has died")
                self._finished.append(self._current)
            self.start()
        self._tell()

    def start(self) -> None:
        """Begin to write."""
        self._current = None
        self._own.forget()
        self._thread = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, after what waits was done and told, within some seconds."""
        self._closing = True
        self._stir.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL_S)
        else:
            self.work()
            self._own.close()
        self._tell()

    def _tell(self) -> None:
        while self._finished:
            job = self._finished.popleft()
            job.done(job.result, job.error)

    # In its thread

    def _write(self) -> None:
        try:
            while not self._closing:
                self._stir.wait(_IDLE_S)
                self._stir.clear()
                self.work()
            self._own.try_now()
            self.work()
        finally:
            self._own.close()

    def work(self) -> int:
        """Do what waits, and return how much it was.

        Called by its own thread; by nobody else while that runs.
        """
        done = 0
        while self._waiting:
            self._current = job = self._waiting.popleft()
            self._do(job)
            self._current, done = None, done + 1
            self._finished.append(job)
            self.wake()
        return done

    def _do(self, job: _Job) -> None:
        store = self._own.usable()
        if store is None:
            job.error = StoreError(self._own.problem or "the store cannot be written")
            return
        try:
            job.result = job.work(store)
            self._own.problem = None
        except StoreError as error:
            job.error = error
            self._own.give_up(str(error))
        except Exception as error:  # a mistake of ours must not end the thread
            log.exception("what was to be written")
            job.error = StoreError(f"it was not written: {error}")


def _complain(_: Any, error: StoreError | None) -> None:
    if error is not None:
        log.error("%s", error)
