"""What is known of commands from afar, in memory, and how it gets into the store.

Memory has all of it, and is handed on when the configuration is read again. The store has what
a restart must know: it is read once, and written by another thread, many commands in one
transaction. Who must not be obeyed before that is done asks `saved`.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable

from lockd.adapters.store import STORE_PAUSE_S, SeenCommand, Store
from lockd.errors import StoreError
from lockd.remote.commands import LOCKING
from lockd.remote.limits import Bucket
from lockd.remote.nonces import Closed, Nonces, Seen, confirmed
from lockd.remote.signing import Order
from lockd.service.store_writer import StoreWriter

log = logging.getLogger(__name__)

LINGER_S = 0.5
"""What nobody waits for is written so late, with all that came meanwhile."""
TIME_EVERY_S = 60.0
"""How often the time that was confirmed is written, without a command."""
_LOOK_S = 1.0
_NOTES = 100


class Ledger:
    """Of one door, over all of its services in this process.

    Attributes:
        loaded: whether what earlier runs saw is known.
        failures: how often the store did not take something.
        allowed: how often each key may command; `refusals` how many of its are kept one by one.
    """

    def __init__(self) -> None:
        self._nonces = Nonces()
        self._unsaved: dict[tuple[str, str], SeenCommand] = {}
        self._closed: dict[str, Closed] = {}
        self._notes: deque[tuple[str, str]] = deque()
        self._since = math.inf
        self._retry_at = self._confirm_at = self._time_at = self._load_at = -math.inf
        self._writing = self._failing = False
        self._store: Callable[[], Store | None] = lambda: None
        self._writer: StoreWriter | None = None
        self.loaded = False
        self.failures = 0
        self.allowed: dict[str, Bucket] = {}
        self.refusals: dict[str, Bucket] = {}

    def attend(self, store: Callable[[], Store | None], writer: StoreWriter) -> None:
        """Read and write by these from now on.

        Args:
            store: returns the store in use, or None while there is none.
            writer: writes to it.
        """
        self._store, self._writer, self._writing = store, writer, False

    # What is known

    def look(self, series: str, order: Order) -> Seen:
        """Return what is known of a command; see `lockd.remote.nonces`."""
        self._load()
        locks = order.command in LOCKING
        return self._nonces.look(series, order.nonce, order.time, locks=locks)

    def knows(self, series: str, nonce: str) -> bool:
        """Return whether a command with this nonce came before."""
        return self._nonces.knows(series, nonce)

    def note(self, command: SeenCommand, *, lasting: bool = True) -> None:
        """Know a command from now on, after a restart too unless it need not last."""
        series = command.series
        if not self._nonces.note(series, command.nonce, command.time, refused=command.refused):
            self.close(series, command.time)
        elif lasting:
            self._unsaved[series, command.nonce] = command

    def close(self, series: str, up_to: int) -> None:
        """Obey nothing more of a key that bears this time or an earlier one, but orders to lock."""
        self._nonces.close(series, up_to=up_to)

    def confirm(self, now: float, utc: float, keys: Iterable[str]) -> None:
        """Note that a time is right, so that none before it comes back.

        Args:
            now: monotonic seconds.
            utc: the time, seconds since 1970.
            keys: the series of all keys; one that is new has no past.
        """
        if now < self._confirm_at:
            return
        self._confirm_at = now + _LOOK_S
        for series in keys:
            self._nonces.close(series, before=confirmed(utc))
        for key, one in list(self._unsaved.items()):
            if one.time < self._nonces.closed(one.series).before:  # refused for that alone
                del self._unsaved[key]

    def saved(self, series: str, nonce: str) -> bool:
        """Return whether a command that was noted outlives a power cut."""
        return (series, nonce) not in self._unsaved

    def write_down(self, by: str, note: str) -> None:
        """Keep something in the audit trail, as soon as that can be written."""
        if len(self._notes) == _NOTES:
            log.error("not in the audit trail: %s, by %s", *reversed(self._notes.popleft()))
        self._notes.append((by, note))

    # How it gets into the store

    def pass_time(self, now: float, *, hurry: bool = False) -> None:
        """Have written what is due.

        Args:
            now: monotonic seconds.
            hurry: whether somebody waits for it.
        """
        self._load()
        if self._writing or not self.loaded:
            return
        dirty = self._unsaved or self._notes or now >= self._time_at
        if not dirty:
            self._since = math.inf
            return
        self._since = min(self._since, now)
        if hurry or (now >= self._since + LINGER_S and now >= self._retry_at):
            self._write(now)

    def flush(self) -> None:
        """Have everything written that is not, for the service ends."""
        if self.loaded and not self._writing:
            self._write(-math.inf)

    def _write(self, now: float) -> None:
        """Have all of it written in one transaction."""
        commands, notes = dict(self._unsaved), list(self._notes)
        closed = {
            series: times
            for series, times in self._nonces.all_closed()
            if times != self._closed.get(series)
        }
        closed |= {one.series: self._nonces.closed(one.series) for one in commands.values()}

        def work(store: Store) -> None:
            with store.database.transaction():
                store.nonces.put(commands.values(), closed)
                for by, note in notes:
                    store.audit.note_command(by, note)

        def done(_: None, error: StoreError | None) -> None:
            self._writing, self._since = False, math.inf
            if error is not None:
                self.failures += 1
                self._retry_at = now + STORE_PAUSE_S
                if not self._failing:
                    log.warning("%s; the audit trail has to wait", error)
                self._failing = True
                return
            self._failing = False
            self._closed |= closed
            self._time_at = now + TIME_EVERY_S
            for key, command in commands.items():
                if self._unsaved.get(key) is command:
                    del self._unsaved[key]
            for note in notes:
                if self._notes and self._notes[0] is note:
                    self._notes.popleft()

        if self._writer is not None:
            self._writing = True
            self._writer.submit(work, done)

    def _load(self) -> None:
        """Read what earlier runs saw, once there is a store."""
        if self.loaded or time.monotonic() < self._load_at:
            return
        store = self._store()
        if store is None:
            return
        try:
            commands, closed = store.nonces.all()
        except StoreError as error:
            log.error("%s", error)
            self._load_at = time.monotonic() + STORE_PAUSE_S
            return
        self.loaded = True
        self._closed = closed
        for series, times in closed.items():
            self._nonces.close(series, before=times.before, up_to=times.up_to)
        for one in commands:
            self._nonces.note(one.series, one.nonce, one.time, refused=one.refused)
