"""Hears commands that came over MQTT, has them judged and obeyed, and the results published.

All of it runs in the service's thread, and nothing here waits for the disk. An order to lock is
obeyed at once. Any other must be in the store before, so that a power cut does not make it new
again: it waits for the writer, and an order to lock that comes meanwhile goes before it.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from lockd.adapters.store import SeenCommand
from lockd.clock import Clock
from lockd.config import Settings
from lockd.messages import Topics
from lockd.ports import IncomingMessage, Keys, LocalTime
from lockd.remote.commands import LOCKING, OPENING
from lockd.remote.judging import WINDOW_S, Judge, Judgement, Rejection, Result
from lockd.remote.limits import Bucket
from lockd.remote.nonces import Seen
from lockd.remote.outcome import CommandOutcome
from lockd.remote.signing import Order
from lockd.service.ledger import Ledger
from lockd.service.remote_handlers import RemoteHandlers
from lockd.service.remote_results import RemoteResults, identity_of

log = logging.getLogger(__name__)

_OFTEN = (20, 1.0)  # of one identity: so many at once, then so many a second
WAIT_S = 5.0
"""How long an order waits for the store: whoever gave it is told in time that it was not done."""
_LEFT = 200
# What is refused so will be refused again, or is known already.
_CANNOT_COME_AGAIN = frozenset(
    {"too_old", "older_than_others", "time_passed", "known", "refused_before", "other_door"}
)

_SEEN: Mapping[Seen, Rejection] = {
    Seen.KNOWN: (Result.REPLAYED, "known"),
    Seen.REFUSED: (Result.REPLAYED, "refused_before"),
    Seen.TOO_OLD: (Result.EXPIRED, "older_than_others"),
    Seen.PASSED: (Result.EXPIRED, "time_passed"),
    Seen.FULL: (Result.DENIED, "too_often"),
}


def subscriptions(settings: Settings) -> list[str]:
    """Return the topics that commands come to; none where no command is enabled."""
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    commands = settings.mqtt.commands
    signed = [topics.command] if commands.allow else []
    return [*signed, *([topics.plain_command] if commands.plain else [])]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An order that is obeyed once the store has it.

    Attributes:
        until: for so long.
        failures: of the store, and how often the door was locked (`bolts`), when it came.
    """

    judged: Judgement
    order: Order
    series: str
    until: float
    failures: int
    bolts: int


class RemoteCommands:
    """One door's commands from afar."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        wall: LocalTime,
        keys: Keys,
        ledger: Ledger,
        handlers: RemoteHandlers,
        results: RemoteResults,
    ) -> None:
        """Prepare to hear.

        Args:
            wall: the local time, while it is known to be right.
            keys: of those who may sign.
            ledger: what is known of commands that came before.
            results: tells what became of them.
        """
        commands, base = settings.mqtt.commands, settings.mqtt.base_topic
        self._topics = Topics(base, settings.door.id)
        allow = dict(commands.allow.items())
        self._signed = bool(allow)
        self._judge = Judge(settings.door.id, allow, commands.plain, base_topic=base)
        self._clock = clock
        self._wall = wall
        self._keys = keys
        self._ledger = ledger
        self._handlers = handlers
        self._results = results
        self._began = clock.now()
        self._waiting: deque[_Waiting] = deque()
        self._leave_at: float | None = None
        self._left: list[IncomingMessage] = []
        allowed = {one for who in commands.allow.values() for one in who}
        if allowed and (without := sorted(allowed - keys.current().keys())):
            log.warning("mqtt.commands.allow names %s: without a key", ", ".join(without))

    def may_leave(self, now: float) -> bool:
        """Begin nothing more, but orders to lock; return whether nobody waits for an answer.

        What comes meanwhile is for the service that takes this one's place: see `leave`. After
        some seconds it may be left whatever is still under way.
        """
        if self._leave_at is None:
            self._leave_at = now + 2 * WAIT_S
        return now >= self._leave_at or not (self._waiting or self._handlers.busy)

    def leave(self) -> list[IncomingMessage]:
        """Return what was not begun."""
        self._leave_at = None
        left, self._left = self._left, []
        return left

    def hear(self, messages: Iterable[IncomingMessage]) -> None:
        """Judge, obey and answer what came to the topics of commands.

        Never raises for what somebody sent.
        """
        for message in messages:
            if message.topic in (self._topics.command, self._topics.plain_command):
                self._safely(partial(self._take_in, message))

    def pass_time(self) -> None:
        """Obey what waited for the store; tell what came of handlers that take their time."""
        now, utc = self._clock.now(), self._utc()
        if utc is not None and self._signed:
            keys = self._keys.current()
            self._ledger.confirm(now, utc, (_series(by, key) for by, key in keys.items()))
        self._ledger.pass_time(now, hurry=bool(self._waiting))
        while self._waiting and (refusal := self._verdict(self._waiting[0], now)) is not None:
            self._safely(partial(self._go_on, self._waiting.popleft(), refusal))
        for news in self._handlers.news(now):
            self._results.more(news)
        self._results.pass_time()

    def close(self) -> None:
        """End handlers that are not done, and have written what is known."""
        self._handlers.close()
        self._ledger.flush()

    def _safely(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception:  # whatever it is, the door goes on
            if self._results.may_report(None):
                log.exception("remote: a command")

    # What came

    def _take_in(self, message: IncomingMessage) -> None:
        judged = self._judged(message)
        good, locks = judged.result is Result.OK, judged.command in LOCKING
        if good and not locks and self._leave_at is not None and len(self._left) < _LEFT:
            self._left.append(message)
            return
        pressing = good and not self._may(self._ledger.allowed, str(judged.by))
        if pressing and not locks:
            judged = replace(judged, result=Result.DENIED, reason="too_often")
        if judged.result is not Result.OK:
            self._refuse(judged, often=pressing)
        elif judged.order is None or locks:
            if judged.order is not None:
                self._note(judged.order, lasting=not pressing)
            self._obey(judged, pressing=pressing)
        else:
            self._await_store(judged, judged.order)

    def _judged(self, message: IncomingMessage) -> Judgement:
        payload, retained = message.payload, message.retained
        if message.topic == self._topics.plain_command:
            return self._judge.plain(payload, retained=retained, duplicate=message.duplicate)
        return self._judge.signed(
            payload,
            retained=retained,
            keys=self._keys.current(),
            now=self._utc(),
            look=self._look,
        )

    def _utc(self) -> float | None:
        local = self._wall.local()
        return None if local is None else local.timestamp()

    def _may(self, buckets: dict[str, Bucket], by: str) -> bool:
        if by not in buckets:
            buckets[by] = Bucket(*_OFTEN)
        return buckets[by].take(self._clock.now())

    def _look(self, order: Order, key: bytes) -> Rejection | None:
        """Return why a command may not be obeyed, by what is known of others."""
        seen = self._ledger.look(_series(order.by, key), order)
        if seen is not Seen.NEW:
            return _SEEN[seen]
        if self._ledger.loaded:
            return None
        if order.command not in LOCKING:
            log.error("the store cannot be read, so what was commanded before is unknown")
            return Result.DENIED, "store"
        began = (self._utc() or math.inf) - (self._clock.now() - self._began)
        # Whatever an earlier run obeyed bore no later time.
        return (Result.EXPIRED, "before_start") if order.time <= began + WINDOW_S else None

    def _note(self, order: Order, *, refused: bool = False, lasting: bool = True) -> str | None:
        """Know a command from now on; return its key's series, None if that key is gone."""
        key = self._keys.current().get(order.by)
        if key is None:
            return None
        series = _series(order.by, key)
        seen = SeenCommand(series, order.nonce, order.time, refused)
        self._ledger.note(seen, lasting=lasting)
        return series

    # What becomes of it

    def _await_store(self, judged: Judgement, order: Order) -> None:
        series = self._note(order)
        if series is not None:
            until = self._clock.now() + WAIT_S
            before = self._ledger.failures, self._handlers.bolts
            self._waiting.append(_Waiting(judged, order, series, until, *before))

    def _verdict(self, one: _Waiting, now: float) -> str | None:
        """Return why an order that waited is refused, empty if it is not, None if it waits on."""
        if not self._ledger.saved(one.series, one.order.nonce):
            late = now >= one.until or self._ledger.failures != one.failures
            return "store" if late else None
        key = self._keys.current().get(one.order.by)
        if key is None or _series(one.order.by, key) != one.series:
            return "not_authentic"
        overtaken = one.order.command in OPENING and self._handlers.bolts != one.bolts
        return "overtaken" if overtaken else ""

    def _go_on(self, one: _Waiting, refusal: str) -> None:
        if refusal:
            self._refuse(replace(one.judged, result=Result.DENIED, reason=refusal))
        else:
            self._obey(one.judged, pressing=False)

    def _obey(self, judged: Judgement, *, pressing: bool) -> None:
        """Carry a command out; of those who press it not each is told."""
        told = not pressing or self._results.may_report(judged.by)

        def done(outcome: CommandOutcome) -> None:
            if told:
                self._results.obeyed(judged, outcome)
            else:
                self._results.count_unreported(judged)

        by, now = identity_of(str(judged.by)), self._clock.now()
        self._handlers.run(str(judged.command), judged.order, by, now, done, told=told)

    def _refuse(self, judged: Judgement, *, often: bool = False) -> None:
        """Tell that a command is not obeyed, nor will be when somebody sends it once more."""
        order = judged.order
        if order is not None and judged.reason not in _CANNOT_COME_AGAIN:
            self._remember_refused(order, often=often)
        self._results.refused(judged)

    def _remember_refused(self, order: Order, *, often: bool) -> None:
        key = self._keys.current().get(order.by)
        if key is None:
            return
        series = _series(order.by, key)
        if self._ledger.knows(series, order.nonce):  # whoever sent it again closes nobody's key
            return
        if often or not self._may(self._ledger.refusals, order.by):
            self._ledger.close(series, order.time)
        else:
            self._note(order, refused=True)


def _series(by: str, key: bytes) -> str:
    """Name a key of somebody, without telling it."""
    return f"{by}:{hashlib.sha256(key).hexdigest()[:16]}"
