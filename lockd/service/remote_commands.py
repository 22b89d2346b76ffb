"""Hears commands that came over MQTT, has them judged and obeyed, and the results published.

All of it runs in the service's thread.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from lockd.adapters.store import Store
from lockd.clock import Clock
from lockd.config import Settings
from lockd.errors import StoreError
from lockd.messages import Topics
from lockd.ports import IncomingMessage, Keys, LocalTime
from lockd.remote.commands import LOCKING
from lockd.remote.judging import WINDOW_S, Judge, Judgement, Rejection, Result
from lockd.remote.limits import Bucket
from lockd.remote.nonces import Nonces, Seen
from lockd.remote.signing import Order
from lockd.service.remote_handlers import RemoteHandlers
from lockd.service.remote_results import RemoteResults, identity_of

log = logging.getLogger(__name__)

_OBEYED = (20, 1.0)  # commands of one identity: so many at once, then so many a second
_REFUSED_KEPT = 1000
_MORE_TRIES = 3  # somebody else may be writing, and is soon done
# What is refused so will be refused again, or is known already.
_CANNOT_COME_AGAIN = frozenset({"too_old", "older_than_others", "known"})

_SEEN: Mapping[Seen, Rejection] = {
    Seen.KNOWN: (Result.REPLAYED, "known"),
    Seen.TOO_OLD: (Result.EXPIRED, "older_than_others"),
    Seen.FULL: (Result.DENIED, "too_often"),
}


def subscriptions(settings: Settings) -> list[str]:
    """Return the topics that commands come to; none where no command is enabled."""
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    commands = settings.mqtt.commands
    signed = [topics.command] if commands.allow else []
    return [*signed, *([topics.plain_command] if commands.plain else [])]


class RemoteCommands:
    """One door's commands from afar."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        wall: LocalTime,
        keys: Keys,
        store: Callable[[], Store | None],
        handlers: RemoteHandlers,
        results: RemoteResults,
    ) -> None:
        """Prepare to hear.

        Args:
            wall: the local time, while it is known to be right.
            keys: of those who may sign.
            store: returns the store in use, or None while there is none.
            results: tells what became of them.
        """
        commands = settings.mqtt.commands
        self._topics = Topics(settings.mqtt.base_topic, settings.door.id)
        self._judge = Judge(settings.door.id, dict(commands.allow.items()), commands.plain)
        self._clock = clock
        self._wall = wall
        self._keys = keys
        self._store = store
        self._handlers = handlers
        self._results = results
        self._began = clock.now()
        self._seen = Nonces()
        self._refused: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._buckets: dict[str, Bucket] = {}
        allowed = {one for who in commands.allow.values() for one in who}
        if allowed and (without := sorted(allowed - keys.current().keys())):
            log.warning("mqtt.commands.allow names %s: without a key", ", ".join(without))

    def hear(self, messages: Iterable[IncomingMessage]) -> None:
        """Judge, obey and answer what came to the topics of commands.

        Never raises for what somebody sent.
        """
        for message in messages:
            if message.topic not in (self._topics.command, self._topics.plain_command):
                continue
            try:
                self._take_in(message)
            except Exception:  # whatever it is, the door goes on
                if self._results.may_report(None):
                    log.exception("remote: a message of %d bytes", len(message.payload))

    def pass_time(self) -> None:
        """Tell what came of handlers that take their time, and what was not told one by one."""
        for news in self._handlers.news(self._clock.now()):
            self._results.more(news)
        self._results.pass_time()

    def close(self) -> None:
        """End handlers that are not done."""
        self._handlers.close()

    def _take_in(self, message: IncomingMessage) -> None:
        judged = self._judged(message)
        pressing = judged.result is Result.OK and not self._may_command(str(judged.by))
        if pressing and judged.command not in LOCKING:
            judged = replace(judged, result=Result.DENIED, reason="too_often")
        if judged.result is not Result.OK:
            self._remember_refusal(judged)
            self._results.refused(judged)
            return
        by, now = identity_of(str(judged.by)), self._clock.now()
        outcome = self._handlers.run(str(judged.command), judged.order, by, now)
        if pressing and not self._results.may_report(judged.by):
            self._results.count_unreported(judged)
        else:
            self._results.obeyed(judged, outcome)

    def _may_command(self, by: str) -> bool:
        if by not in self._buckets:
            self._buckets[by] = Bucket(*_OBEYED)
        return self._buckets[by].take(self._clock.now())

    def _judged(self, message: IncomingMessage) -> Judgement:
        payload, retained = message.payload, message.retained
        if message.topic == self._topics.plain_command:
            return self._judge.plain(payload, retained=retained, duplicate=message.duplicate)
        return self._judge.signed(
            payload,
            retained=retained,
            keys=self._keys.current(),
            now=self._utc(),
            take=self._take,
        )

    def _utc(self) -> float | None:
        local = self._wall.local()
        return None if local is None else local.timestamp()

    def _take(self, order: Order, key: bytes) -> Rejection | None:
        """Write down that a command was seen; return why it may not be obeyed, if it may not."""
        if (order.by, order.nonce) in self._refused:
            return Result.REPLAYED, "refused_before"
        series = f"{order.by}:{hashlib.sha256(key).hexdigest()[:16]}"
        seen = self._seen.look(series, order.nonce, order.time)
        if seen is Seen.NEW:
            try:
                seen = self._take_in_store(series, order)
            except StoreError as error:
                if (refusal := self._without_store(order)) is not None:
                    log.error("%s", error)
                    return refusal
        if seen is Seen.NEW:
            self._seen.note(series, order.nonce, order.time)
        return _SEEN.get(seen)

    def _take_in_store(self, series: str, order: Order) -> Seen:
        """Ask the store and have it write the command down.

        Raises:
            StoreError: if it does not.
        """
        store = self._store()
        if store is None or not store.writable:
            raise StoreError("the store cannot be written, so what was commanded before is unknown")
        for _ in range(_MORE_TRIES):
            with suppress(StoreError):
                return store.nonces.take(series, order.nonce, order.time)
        return store.nonces.take(series, order.nonce, order.time)

    def _without_store(self, order: Order) -> Rejection | None:
        """Return why a command may not be obeyed while only this run's are known."""
        if order.command not in LOCKING:
            return Result.DENIED, "store"
        began = (self._utc() or math.inf) - (self._clock.now() - self._began)
        # Whatever an earlier run obeyed bore no later time.
        return (Result.EXPIRED, "before_start") if order.time <= began + WINDOW_S else None

    def _remember_refusal(self, judged: Judgement) -> None:
        """Whoever is told to be refused must not be obeyed when somebody sends it once more."""
        order = judged.order
        if order is None or judged.reason in _CANNOT_COME_AGAIN:
            return
        self._refused[order.by, order.nonce] = None
        if len(self._refused) > _REFUSED_KEPT:
            self._refused.popitem(last=False)
