"""What is asked on this machine: the door's state, its commands, and the newest frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockd.ports import Request
from lockd.remote.commands import DOOR
from lockd.remote.signing import LONGEST_S
from lockd.service.door_controller import DoorController
from lockd.service.frame_server import FrameServer
from lockd.service.liveness_requests import LivenessRequests
from lockd.service.second_factor import SecondFactor


class LocalCommands:
    """Answers requests, from the control socket or another port."""

    def __init__(
        self,
        door: DoorController,
        frames: FrameServer,
        state: Callable[[], dict[str, Any]],
        lasting: Callable[[], bool] = lambda: True,
        liveness: LivenessRequests | None = None,
        second_factor: SecondFactor | None = None,
    ) -> None:
        """Take requests for a door.

        Args:
            frames: has the newest frame.
            state: returns what is published of the service.
            lasting: returns whether what the door remembers outlives a power cut.
            liveness: answers what is asked of that.
            second_factor: reads cards, if anything does.
        """
        self._door = door
        self._frames = frames
        self._state = state
        self._lasting = lasting
        self._liveness = liveness
        self._second_factor = second_factor

    def take(self, request: Request, now: float, camera_problem: str | None) -> None:
        """Obey and answer.

        Args:
            request: by whom and what.
            camera_problem: why there is no newest frame, if there is none.
        """
        if not request.take():
            return
        if request.values.get("command") == "frame":
            self._frames.answer(request, now, camera_problem)
        elif request.values.get("command") == "liveness" and self._liveness is not None:
            request.answer(self._liveness.answer(request))
        elif request.values.get("command") == "card":
            factor = self._second_factor
            request.answer(factor.read_card(now, request.by) if factor else {"result": "off"})
        else:
            request.answer(self._answer(request))

    def _answer(self, request: Request) -> dict[str, Any]:
        command, seconds = request.values.get("command"), request.values.get("seconds", 0)
        if command == "status":
            return {"result": "ok", **self._state()}
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        good = number and 0 <= seconds <= LONGEST_S
        if not isinstance(command, str) or command not in DOOR or not good:
            known = ", ".join(["status", "frame", "card", *DOOR])
            return {"result": "malformed", "reason": f"commands: {known}"}
        result = self._door.command(command, float(seconds), request.by)
        answer = {"result": result, **self._state()}
        return answer if self._lasting() else {**answer, "lasting": False}
