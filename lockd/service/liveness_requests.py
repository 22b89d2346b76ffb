"""What an administrator asks of liveness on this machine: how it is, calibrate, forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockd.config import Settings
from lockd.messages import EventType
from lockd.ports import Emit, Request
from lockd.service.live_scores import LONGEST_VOUCH_S, LiveScores

_ACTIONS = ("status", "calibrate", "reset")


class LivenessRequests:
    """Answers `lockd liveness`."""

    def __init__(
        self, settings: Settings, now: Callable[[], float], scores: LiveScores, emit: Emit
    ) -> None:
        self._bounds = settings.liveness.bounds()
        self._policies = settings.policies()
        self._now = now
        self._scores = scores
        self._emit = emit

    def answer(self, request: Request) -> dict[str, Any]:
        """Do what is asked and say how things are."""
        action, seconds = request.values.get("action", "status"), request.values.get("seconds", 0)
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if action not in _ACTIONS or not (number and 0 <= seconds <= LONGEST_VOUCH_S):
            return {"result": "malformed", "reason": f"actions: {', '.join(_ACTIONS)}"}
        heeded = any(policy.network for policy in self._policies.all)
        if action != "status" and not heeded:
            return {"result": "off", "reason": "no policy asks the liveness network"}
        now = self._now()
        if action == "calibrate":
            self._scores.vouch(float(seconds), now)
        elif action == "reset":
            self._scores.reset()
        if action != "status":
            self._emit(EventType.COMMAND, command=f"liveness {action}", by=request.by, result="ok")
        return {
            "result": "ok",
            "policy": str(self._policies.default),
            "groups": {name: str(one) for name, one in self._policies.groups.items()},
            **self._scores.status(self._bounds, now),
        }
