"""Tells what became of commands: results, the audit trail, the log and events.

What nobody can be held to account for costs little: refusals are told a few at a time, by
buckets, and the rest is counted and told once a minute. So rubbish is no way to fill the
log, the store, or the broker.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable

from lockd.clock import Clock
from lockd.config import Settings
from lockd.messages import SCHEMA, EventType, Topics, encode, utc_text
from lockd.ports import Emit, PublishResult
from lockd.remote.judging import Judgement, Result
from lockd.remote.limits import Bucket
from lockd.remote.outcome import CommandOutcome, CommandProgress
from lockd.service.door_controller import OK

log = logging.getLogger(__name__)

_REFUSED = (10, 0.2)  # of one identity: so many at once, then so many a second
_UNKNOWN = (5, 1 / 60)  # whoever it was
_SUMMARY_S = 60.0
_RESULT_EXPIRES_S = 300.0
_AGENT = "mqtt:"


def identity_of(by: str) -> str:
    """Return an identity as events and the audit trail have it."""
    return f"{_AGENT}{by}"


class RemoteResults:
    """What a door says of commands from afar."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        write_down: Callable[[str, str], None],
        publish: PublishResult,
        emit: Emit,
    ) -> None:
        """Begin with nothing to say.

        Args:
            settings: of the door and its topics.
            write_down: keeps who did what in the audit trail.
        """
        self._door = settings.door.id
        self._topic = Topics(settings.mqtt.base_topic, settings.door.id).result
        self._clock = clock
        self._write_down = write_down
        self._publish = publish
        self._emit = emit
        self._buckets: dict[str | None, Bucket] = {}
        self._unreported: Counter[str] = Counter()
        self._summary_at = math.inf

    def may_report(self, by: str | None) -> bool:
        """Return whether more may be told just now; asking uses it up.

        Args:
            by: of whom; None is everybody who is not known.
        """
        if by not in self._buckets:
            self._buckets[by] = Bucket(*(_UNKNOWN if by is None else _REFUSED))
        return self._buckets[by].take(self._clock.now())

    def refused(self, judged: Judgement) -> None:
        """Tell that a command is not obeyed, unless there were too many."""
        if not self.may_report(judged.by):
            self.count_unreported(judged)
            return
        what = f"{judged.command or 'command'}: {_said(judged)}"
        log.warning("remote: %s, by %s", what, judged.by or "nobody known")
        self._answer(
            judged.id, judged.command, judged.by, CommandOutcome(judged.reason), judged.result
        )
        if judged.by is None:
            self._write_down("unknown", what)
            return
        by = identity_of(judged.by)
        self._write_down(by, what)
        self._emit(
            EventType.COMMAND,
            command=judged.command,
            by=by,
            result=judged.result.value,
            reason=judged.reason,
        )

    def obeyed(self, judged: Judgement, outcome: CommandOutcome) -> None:
        """Tell what came of a command; events told whoever carried it out."""
        self._answer(judged.id, judged.command, judged.by, outcome)
        self._write_down(identity_of(str(judged.by)), f"{judged.command}: {outcome.reason or OK}")

    def more(self, news: CommandProgress) -> None:
        """Tell more of a command that takes its time."""
        self._answer(news.id, news.command, news.by.removeprefix(_AGENT), news.outcome)
        if news.over:
            self._write_down(news.by, f"{news.command} finished: {news.outcome.reason or OK}")

    def count_unreported(self, judged: Judgement) -> None:
        """Count what became of a command, for there were too many to tell of each."""
        if not self._unreported:
            self._summary_at = self._clock.now() + _SUMMARY_S
        self._unreported[_said(judged)] += 1

    def pass_time(self) -> None:
        """Once a minute tell how many were not told one by one."""
        if not self._unreported or self._clock.now() < self._summary_at:
            return
        told = ", ".join(f"{count} {what}" for what, count in self._unreported.most_common())
        self._unreported.clear()
        log.warning("remote: more commands within a minute, not told one by one: %s", told)
        self._write_down("unknown", f"more within a minute: {told}")

    def _answer(
        self,
        id_: str | None,
        command: str | None,
        by: str | None,
        outcome: CommandOutcome,
        result: Result | None = None,
    ) -> None:
        """Publish what became of a command."""
        if result is None:
            result = Result.OK if outcome.reason is None else Result.DENIED
        values = {
            "schema": SCHEMA,
            "id": id_,
            "door": self._door,
            "utc": utc_text(),
            "command": command,
            "by": by,
            "result": result.value,
            "reason": outcome.reason,
            **outcome.details,
        }
        told = {name: value for name, value in values.items() if value is not None}
        self._publish(self._topic, encode(told), expiry_s=_RESULT_EXPIRES_S)


def _said(judged: Judgement) -> str:
    return judged.result.value + (f" ({judged.reason})" if judged.reason else "")
