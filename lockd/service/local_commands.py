"""What is asked on this machine: the door's state, its commands, and the newest frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockd.ports import Request
from lockd.remote.commands import DOOR
from lockd.remote.signing import LONGEST_S
from lockd.service.console_desk import ConsoleDesk
from lockd.service.door_controller import DoorController
from lockd.service.frame_server import FrameServer
from lockd.service.liveness_requests import LivenessRequests
from lockd.service.second_factor import SecondFactor

_LASTING_S = 1.0  # then whoever asked is told that it may not last


class LocalCommands:
    """Answers requests, from the control socket or another port."""

    def __init__(
        self,
        door: DoorController,
        frames: FrameServer,
        state: Callable[[], dict[str, Any]],
        lasting: Callable[[], bool | None] = lambda: True,
        liveness: LivenessRequests | None = None,
        second_factor: SecondFactor | None = None,
        console: ConsoleDesk | None = None,
    ) -> None:
        """Take requests for a door.

        Args:
            frames: has the newest frame.
            state: returns what is published of the service.
            lasting: returns whether what the door remembers outlives a power cut, or None while
                it is being written.
            liveness: answers what is asked of that.
            second_factor: reads cards, if anything does.
            console: answers what the console asks, if there is one.
        """
        self._door = door
        self._frames = frames
        self._state = state
        self._lasting = lasting
        self._liveness = liveness
        self._second_factor = second_factor
        self._held: list[tuple[Request, dict[str, Any], float]] = []
        self.console = console

    def take(self, request: Request, now: float, camera_problem: str | None) -> None:
        """Obey and answer.

        Args:
            request: by whom and what.
            camera_problem: why there is no newest frame, if there is none.
        """
        if not request.take():
            return
        command = request.values.get("command")
        if request.console:
            if self.console is not None:
                self.console.take(request, now, camera_problem)
        elif command == "frame":
            self._frames.answer(request, now, camera_problem)
        elif command == "liveness" and self._liveness is not None:
            request.answer(self._liveness.answer(request))
        elif command == "card":
            factor = self._second_factor
            request.answer(factor.read_card(now, request.by) if factor else {"result": "off"})
        elif command == "status":
            request.answer({"result": "ok", **self._state()})
        else:
            self._obey(request, now)

    def pass_time(self, now: float) -> None:
        """Answer what waited for the disk, which has done it or takes too long."""
        if not self._held:
            return
        lasting = self._lasting()
        for request, answer, until in self._held:
            if lasting is None and now < until:
                return
            request.answer(answer if lasting else {**answer, "lasting": False})
            self._held = self._held[1:]

    def _obey(self, request: Request, now: float) -> None:
        command, seconds = request.values.get("command"), request.values.get("seconds", 0)
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        good = number and 0 <= seconds <= LONGEST_S
        if not isinstance(command, str) or command not in DOOR or not good:
            known = ", ".join(["status", "frame", "card", *DOOR])
            request.answer({"result": "malformed", "reason": f"commands: {known}"})
            return
        result = self._door.command(command, float(seconds), request.by)
        self._held.append((request, {"result": result, **self._state()}, now + _LASTING_S))
        self.pass_time(now)
