"""Hears commands that came over MQTT, has them judged and obeyed, and tells of it.

What nobody can be held to account for costs little: refusals are told, logged and written
down a few at a time, by `Bucket`s, and the rest is counted and told once a minute. So
rubbish is no way to fill the log, the store, or the broker. All of it runs in the service's
thread.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from lockd.adapters.store import Store
from lockd.clock import Clock
from lockd.config import Settings
from lockd.doorkeeper import OK, Doorkeeper, LocalTime, Tell
from lockd.enrolling import Enrolments
from lockd.errands import Errands
from lockd.errors import StoreError
from lockd.messages import SCHEMA, EventType, Topics, encode, utc_text
from lockd.remote.judging import LOCKING, WINDOW_S, Judge, Judgement, Refusal, Result
from lockd.remote.limits import Bucket
from lockd.remote.nonces import Nonces, Seen
from lockd.remote.outcome import Outcome
from lockd.remote.signing import Order

log = logging.getLogger(__name__)

_OBEYED = (20, 1.0)  # commands of one identity: so many at once, then so many a second
_REFUSED = (10, 0.2)
_UNKNOWN = (5, 1 / 60)  # whoever it was
_SUMMARY_S = 60.0
_REFUSED_KEPT = 1000
_RESULT_EXPIRES_S = 300.0
_AGENT = "mqtt:"
# What is refused so will be refused again, or is known already.
_CANNOT_COME_AGAIN = frozenset({"too_old", "older_than_others", "known", "refused_before"})

_SEEN: Mapping[Seen, Refusal] = {
    Seen.KNOWN: (Result.REPLAYED, "known"),
    Seen.TOO_OLD: (Result.EXPIRED, "older_than_others"),
    Seen.FULL: (Result.DENIED, "too_often"),
}


class Message(Protocol):
    """What came from the broker."""

    @property
    def topic(self) -> str:
        """Where it was published."""

    @property
    def payload(self) -> bytes:
        """What."""

    @property
    def retained(self) -> bool:
        """Whether the broker had kept it."""

    @property
    def duplicate(self) -> bool:
        """Whether it may have come before."""


class Publish(Protocol):
    """How results are published; the bus has it."""

    def __call__(self, topic: str, payload: bytes, *, expiry_s: float | None) -> None:
        """Publish if there is a broker, and do not wait for it."""


class Keys(Protocol):
    """Where the keys come from."""

    def current(self) -> Mapping[str, bytes]:
        """Return the key of each identity, as they are now."""


def subscriptions(settings: Settings) -> list[str]:
    """Return the topics that commands come to; none where no command is enabled."""
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    commands = settings.mqtt.commands
    signed = [topics.command] if commands.allow else []
    return [*signed, *([topics.plain_command] if commands.plain else [])]


def make_commander(
    settings: Settings,
    *,
    clock: Clock,
    wall: LocalTime,
    keys: Keys,
    store: Callable[[], Store | None],
    door: Doorkeeper,
    publish: Publish,
    tell: Tell,
    silence: Callable[[float], None],
    reload: Callable[[], None],
    snapshot: Callable[[], str | None],
) -> Commander:
    """Return the commander of a service; see `Commander` and `Errands` for its parts."""
    errands = Errands(
        door,
        store=store,
        tell=tell,
        silence=silence,
        reload=reload,
        snapshot=snapshot,
        enrolments=Enrolments(),
    )
    return Commander(
        settings,
        clock=clock,
        wall=wall,
        keys=keys,
        store=store,
        errands=errands,
        publish=publish,
        tell=tell,
    )


class Commander:
    """One door's commands from afar."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        wall: LocalTime,
        keys: Keys,
        store: Callable[[], Store | None],
        errands: Errands,
        publish: Publish,
        tell: Tell,
    ) -> None:
        """Prepare to hear.

        Args:
            settings: of everything.
            clock: monotonic.
            wall: the local time, while it is known to be right.
            keys: of those who may sign.
            store: returns the store in use, or None while there is none.
            errands: carries commands out.
            publish: takes results.
            tell: takes events.
        """
        commands = settings.mqtt.commands
        self._door = settings.door.id
        self._topics = Topics(settings.mqtt.base_topic, settings.door.id)
        self._judge = Judge(settings.door.id, dict(commands.allow.items()), commands.plain)
        self._clock = clock
        self._wall = wall
        self._keys = keys
        self._store = store
        self._errands = errands
        self._publish = publish
        self._tell = tell
        self._began = clock.now()
        self._seen = Nonces()
        self._refused: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._obeyed: dict[str | None, Bucket] = {}
        self._told: dict[str | None, Bucket] = {}
        self._untold: Counter[str] = Counter()
        self._summary_at = math.inf
        allowed = {one for who in commands.allow.values() for one in who}
        if without := sorted(allowed - keys.current().keys()):
            log.warning("mqtt.commands.allow names %s: without a key", ", ".join(without))

    def hear(self, messages: Iterable[Message]) -> None:
        """Judge, obey and answer what came to the topics of commands.

        Never raises for what somebody sent.
        """
        for message in messages:
            if message.topic not in (self._topics.command, self._topics.plain_command):
                continue
            try:
                self._take_in(message)
            except Exception:  # whatever it is, the door goes on
                if self._has_token(self._told, None):
                    log.exception("remote: a message of %d bytes", len(message.payload))

    def pass_time(self) -> None:
        """Tell what came of errands that take their time, and what was not told one by one."""
        for news in self._errands.news(self._clock.now()):
            if news.over:
                self._write_down(news.by, f"{news.command} finished: {news.outcome.reason or OK}")
            self._answer(news.id, news.command, news.by.removeprefix(_AGENT), news.outcome)
        if self._untold and self._clock.now() >= self._summary_at:
            self._sum_up()

    def close(self) -> None:
        """End errands that are not done."""
        self._errands.close()

    # Judge

    def _take_in(self, message: Message) -> None:
        judged = self._judged(message)
        pressing = judged.result is Result.OK and not self._has_token(self._obeyed, judged.by)
        if pressing and judged.command not in LOCKING:
            judged = replace(judged, result=Result.DENIED, reason="too_often")
        if judged.result is not Result.OK:
            self._refuse(judged)
            return
        by = f"{_AGENT}{judged.by}"
        outcome = self._errands.run(str(judged.command), judged.order, by, self._clock.now())
        if pressing and not self._has_token(self._told, judged.by):
            self._leave_untold(judged)
            return
        self._answer(judged.id, judged.command, judged.by, outcome)
        self._write_down(by, f"{judged.command}: {outcome.reason or OK}")

    def _judged(self, message: Message) -> Judgement:
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

    def _take(self, order: Order, key: bytes) -> Refusal | None:
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
        store = self._store()
        if store is None or not store.writable:
            raise StoreError("the store cannot be written, so what was commanded before is unknown")
        return store.take_nonce(series, order.nonce, order.time)

    def _without_store(self, order: Order) -> Refusal | None:
        """Return why a command may not be obeyed while only this run's are known."""
        if order.command not in LOCKING:
            return Result.DENIED, "store"
        began = (self._utc() or math.inf) - (self._clock.now() - self._began)
        # Whatever an earlier run obeyed bore no later time.
        return (Result.EXPIRED, "before_start") if order.time <= began + WINDOW_S else None

    # Tell

    def _refuse(self, judged: Judgement) -> None:
        order = judged.order
        if order is not None and judged.reason not in _CANNOT_COME_AGAIN:
            # Told to be refused, it must not be obeyed for somebody who sends it once more.
            self._refused[order.by, order.nonce] = None
            if len(self._refused) > _REFUSED_KEPT:
                self._refused.popitem(last=False)
        if not self._has_token(self._told, judged.by):
            self._leave_untold(judged)
            return
        what = f"{judged.command or 'command'}: {_said(judged)}"
        log.warning("remote: %s, by %s", what, judged.by or "nobody known")
        self._answer(judged.id, judged.command, judged.by, Outcome(judged.reason), judged.result)
        if judged.by is None:
            self._write_down("unknown", what)
            return
        by = f"{_AGENT}{judged.by}"
        self._write_down(by, what)
        self._tell(
            EventType.COMMAND,
            command=judged.command,
            by=by,
            result=judged.result.value,
            reason=judged.reason,
        )

    def _answer(
        self,
        id_: str | None,
        command: str | None,
        by: str | None,
        outcome: Outcome,
        result: Result | None = None,
    ) -> None:
        """Publish what became of a command."""
        if result is None:
            result = Result.OK if outcome.reason is None else Result.DENIED
        values = {
            "schema": SCHEMA,
            "id": id_,
            "door": self._door,
            "utc": utc_text(datetime.now(UTC)),
            "command": command,
            "by": by,
            "result": result.value,
            "reason": outcome.reason,
            **outcome.details,
        }
        told = {name: value for name, value in values.items() if value is not None}
        self._publish(self._topics.result, encode(told), expiry_s=_RESULT_EXPIRES_S)

    def _write_down(self, by: str, note: str) -> None:
        """Keep it in the audit trail, if there is one."""
        store = self._store()
        try:
            if store is not None and store.writable:
                store.note_command(by, note)
        except StoreError as error:
            log.error("%s; not in the audit trail: %s, by %s", error, note, by)

    def _has_token(self, buckets: dict[str | None, Bucket], by: str | None) -> bool:
        if by not in buckets:
            kinds = _OBEYED if buckets is self._obeyed else _REFUSED
            buckets[by] = Bucket(*(_UNKNOWN if by is None else kinds))
        return buckets[by].take(self._clock.now())

    def _leave_untold(self, judged: Judgement) -> None:
        if not self._untold:
            self._summary_at = self._clock.now() + _SUMMARY_S
        self._untold[_said(judged)] += 1

    def _sum_up(self) -> None:
        """Tell how many were not told one by one."""
        told = ", ".join(f"{count} {what}" for what, count in self._untold.most_common())
        self._untold.clear()
        log.warning("remote: more commands within a minute, not told one by one: %s", told)
        self._write_down("unknown", f"more within a minute: {told}")


def _said(judged: Judgement) -> str:
    return judged.result.value + (f" ({judged.reason})" if judged.reason else "")
