"""What is kept for a time only: deleted once an hour, when it is too old.

Another kind of thing is one more `Rule`, with its setting in `lockd.config` and a method of
the store that deletes what is older.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockd.adapters.store import Store
from lockd.config import StoreSettings
from lockd.errors import StoreError

log = logging.getLogger(__name__)

EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How long something is kept.

    Attributes:
        what: it is, for the log.
        days: how long, by which setting.
        forget: deletes from a store what is older than a time; returns how much.
    """

    what: str
    days: Callable[[StoreSettings], int]
    forget: Callable[[Store, datetime], int]


RULES = (
    Rule("events", lambda keep: keep.keep_events_days, lambda s, t: s.events.forget_before(t)),
    Rule(
        "strangers' pictures",
        lambda keep: keep.keep_strangers_days,
        lambda s, t: s.strangers.forget_before(t),
    ),
    Rule("audit trail", lambda keep: keep.keep_audit_days, lambda s, t: s.audit.forget_before(t)),
)


class Housekeeping:
    """Deletes what is too old, in the store that is in use."""

    def __init__(
        self,
        settings: StoreSettings,
        store: Callable[[], Store | None],
        rules: Sequence[Rule] = RULES,
        *,
        have_done: Callable[[Callable[[Store], None]], None] | None = None,
    ) -> None:
        """Delete nothing yet.

        Args:
            settings: how long things are kept.
            store: says which store is in use, or None while there is none.
            rules: what is kept how long.
            have_done: has something done with it elsewhere, for it takes the disk its time; by
                default it is done at once.
        """
        self._settings = settings
        self._store = store
        self._rules = rules
        self._have_done = have_done
        self._next = -math.inf

    def work(self, now: float, wall: Callable[[], datetime | None]) -> None:
        """Once an hour delete what is too old to be kept.

        Args:
            now: monotonic seconds.
            wall: says what time it is, or None while that is not known: a clock that ran
                ahead would have everything deleted.
        """
        if now < self._next:
            return
        store = self._store()
        if store is None or not store.writable or (local := wall()) is None:
            return
        self._next = now + EVERY_S
        if self._have_done is None:
            self._delete(store, local)
        else:
            self._have_done(lambda other: self._delete(other, local))

    def _delete(self, store: Store, local: datetime) -> None:
        for rule in self._rules:
            try:
                deleted = rule.forget(store, local - timedelta(days=rule.days(self._settings)))
            except StoreError as error:
                log.error("%s; what is too old of the %s is still kept", error, rule.what)
            else:
                log.debug("%d of the %s were too old", deleted, rule.what)
