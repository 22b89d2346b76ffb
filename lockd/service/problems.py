"""What ceased to work: told once, and once more when it works again."""

from __future__ import annotations

import logging
from typing import Any

from lockd.messages import EventType
from lockd.ports import Emit

log = logging.getLogger(__name__)

_OVER = {
    EventType.CAMERA_PROBLEM: EventType.CAMERA_RECOVERED,
    EventType.STORE_PROBLEM: EventType.STORE_RECOVERED,
    EventType.TEMPLATES_DAMAGED: EventType.TEMPLATES_MENDED,
    EventType.FACTOR_PROBLEM: EventType.FACTOR_RECOVERED,
    EventType.CLOCK_PROBLEM: EventType.CLOCK_RECOVERED,
    EventType.LIVENESS_PROBLEM: EventType.LIVENESS_RECOVERED,
    EventType.FLEET_PROBLEM: EventType.FLEET_RECOVERED,
}
_OF_THEIR_OWN = frozenset({EventType.CAMERA_PROBLEM, EventType.STORE_PROBLEM})


class Problems:
    """The parts of a service that do not work."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._problems: dict[EventType, str] = {}

    def note(self, kind: EventType, problem: str | None, **details: Any) -> None:
        """Note how a part is, and tell of it if that changed.

        Args:
            problem: what it is, None while there is none.
            details: of the event.
        """
        if (problem is None) == (kind not in self._problems):
            return
        if problem is not None:
            self._problems[kind] = problem
            log.error("%s", problem)
            self._emit(kind, reason=problem, **details)
        else:
            del self._problems[kind]
            log.info("%s", _OVER[kind].value)
            self._emit(_OVER[kind])

    @property
    def needed(self) -> bool:
        """Whether what a service needs to be ready does not work."""
        return bool(self._problems.keys() & _OF_THEIR_OWN)

    @property
    def text(self) -> str:
        """All of them, in one line; empty without any."""
        return "; ".join(self._problems.values())

    def words(self) -> dict[str, str]:
        """Return ``ok`` or ``problem`` for the camera, the store, and all the rest."""
        return {
            "camera": _word(EventType.CAMERA_PROBLEM in self._problems),
            "store": _word(EventType.STORE_PROBLEM in self._problems),
            "service": _word(bool(self._problems.keys() - _OF_THEIR_OWN)),
        }


def _word(problem: bool) -> str:
    return "problem" if problem else "ok"
