"""A camera rests while nothing happens, and never longer."""

from __future__ import annotations

from typing import Any

from lockd.identity.observation import Effort, Observation, Sighting
from lockd.service.diagnostics import Diagnostics
from lockd.service.judging import Judging
from lockd.service.parts import Tally
from lockd.types import Frame
from tests.fakes import ScriptedCamera, blank, face_at

FACE = Sighting(1, face_at(0, 0), None, None)


class Seen:
    """A recogniser that sees what the test says."""

    def __init__(self) -> None:
        self.found = Observation([], [], Effort.STILL, 0.0, 0.01)

    def look(self, frame: Frame) -> Observation:
        return self.found


class Now:
    t = 0.0

    def now(self) -> float:
        return self.t


def test_a_camera_rests_after_a_while_without_movement_and_wakes_at_once() -> None:
    seen, camera, clock = Seen(), ScriptedCamera([]), Now()
    unread: Any = seen
    time: Any = clock
    judging = Judging(unread, camera, time, 3.0, Tally(), Diagnostics(0.0))

    def rests(found: Observation, seconds: float) -> bool:
        seen.found = found
        for _ in range(round(seconds * 10)):
            clock.t += 0.1
            judging.judge(Frame(blank(), clock.t, 1))
        return camera.resting

    still = Observation([], [], Effort.STILL, 0.0, 0.01)
    assert not rests(Observation([], [], Effort.SEARCHED, 1.0, 0.01), 0.1)
    assert not rests(still, 4.5)
    assert rests(still, 1.0)
    assert rests(Observation([], [], Effort.SEARCHED, 0.0, 0.01), 0.1), "a search finds nobody"
    assert not rests(Observation([], [], Effort.PARTLY, 0.02, 0.01), 0.1)
    assert rests(still, 6.0)
    assert not rests(Observation([FACE], [], Effort.FOLLOWED, 0.0, 0.01), 0.1)
    assert not rests(Observation([FACE], [], Effort.FOLLOWED, 0.0, 0.01), 9.0)
    assert rests(still, 6.0)
    assert not rests(Observation([], []), 0.1), "nobody asked whether anything moved"
