"""What a service is built from, and what it amounts to."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass, field

from lockd.adapters.cameras import Camera
from lockd.adapters.control import ControlSocket
from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.spool import Spool
from lockd.adapters.store import Store
from lockd.adapters.strike import Strike
from lockd.clock import Clock
from lockd.commander import Keys
from lockd.config import Settings
from lockd.doorkeeper import Levels, Lights, LocalTime
from lockd.messages import Event
from lockd.roster import Roster
from lockd.types import Frame, InputChange
from lockd.watcher import Look, Vision


@dataclass(slots=True)
class Tally:
    """What a run amounted to.

    Attributes:
        frames: judged or not.
        faces: found in them.
        judged: faces compared with the gallery.
        relay: (seconds, on) of the last thousand switchings.
    """

    frames: int = 0
    faces: int = 0
    judged: int = 0
    relay: list[tuple[float, bool]] = field(default_factory=list)


@dataclass(slots=True)
class Parts:
    """What a service is built from; somebody else opened it and will close it.

    Attributes:
        clock: the camera's.
        camera: gives frames.
        vision: the networks.
        strike: the relay.
        roster: the people, and the store if there is one.
        messages: opens the store that events wait in, if there is one.
        spool: keeps events that are not in it yet.
        wall: the local time, while it is known to be right.
        bus: where events are published, if anywhere.
        keys: of those who may command from afar, if anybody may.
        control: where commands come from, if anywhere.
        inputs: exit button, contact, tamper switch, if any is wired.
        changes: of the inputs, filled by their threads.
        lights: LED and buzzer, if any.
        reread: reads the configuration anew, where it can be.
    """

    clock: Clock
    camera: Camera
    vision: Vision
    strike: Strike
    roster: Roster
    wall: LocalTime
    messages: Callable[[], Store] | None = None
    spool: Spool | None = None
    bus: Bus | None = None
    keys: Keys | None = None
    control: ControlSocket | None = None
    inputs: Levels | None = None
    changes: queue.SimpleQueue[InputChange] = field(default_factory=queue.SimpleQueue)
    lights: Lights | None = None
    reread: Callable[[], Settings] | None = None


@dataclass(slots=True)
class Watchers:
    """Who wants to know what the service does.

    Attributes:
        event: called with every event, after the door was served.
        look: called with every frame and what it showed.
        relay: called with the time and True or False when the relay was switched,
            maybe by the strike's guard; must neither block nor raise.
    """

    event: Callable[[Event], None] = lambda event: None
    look: Callable[[Frame, Look], None] = lambda frame, look: None
    relay: Callable[[float, bool], None] = lambda t, on: None
