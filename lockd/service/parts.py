"""What a service is built from, and what it amounts to."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.spool import Spool
from lockd.adapters.store import Store
from lockd.adapters.strike import Strike
from lockd.adapters.systemd import Notifier
from lockd.clock import Clock
from lockd.config import Settings
from lockd.door.events import DoorMemory
from lockd.ports import Camera, IncomingMessage, Indicator, Inputs, Keys, LocalTime, Requests
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.recognition.second_eye import SecondEye
from lockd.service.console_checks import ConsoleChecks
from lockd.service.console_pictures import PictureDesk
from lockd.service.console_watch import ConsoleWatch
from lockd.service.fleet_door import FleetDoor
from lockd.service.housekeeping import Housekeeping
from lockd.service.ledger import Ledger
from lockd.service.live_scores import LiveScores
from lockd.service.people import People
from lockd.service.second_factor import SecondFactor
from lockd.service.store_writer import StoreWriter
from lockd.types import InputChange


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


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the console's requests need.

    Attributes:
        watch: has what it shows.
        pictures: judges the photographs that it sends.
        checks: looks at what an administrator wants to have looked at.
    """

    watch: ConsoleWatch
    pictures: PictureDesk
    checks: ConsoleChecks

    @classmethod
    def of(cls, settings: Settings) -> ConsoleParts:
        """Make them for a service."""
        watch = ConsoleWatch(settings.console.strangers_min * 60)
        return cls(watch, PictureDesk(settings), ConsoleChecks(settings))

    def close(self) -> None:
        """End their child processes."""
        self.pictures.close()
        self.checks.close()


@dataclass(slots=True)
class Parts:
    """What a service is built from; somebody else opened it and will close it.

    Attributes:
        clock: the camera's.
        camera: gives frames.
        vision: the networks.
        strike: the relay.
        people: the people, and the store if there is one.
        writer: writes to that store.
        housekeeping: deletes what is too old in that store, if anything does.
        fleet: has the people with other doors together, if it does.
        messages: opens the store that events wait in, if there is one.
        spool: keeps events that are not in it yet.
        wall: the local time, while it is known to be right.
        bus: where events are published, if anywhere.
        keys: of those who may command from afar, if anybody may.
        requests: where commands of this machine come from.
        second_eye: the camera for near infrared, if there is one.
        console: what answers the console, if there is one.
        inputs: exit button, contact, tamper switch, if any is wired.
        changes: of the inputs, filled by their threads.
        second_factor: PINs, cards and telephones, if any is taken.
        indicators: LED and buzzer, and whatever else shows how things are.
        reread: reads the configuration anew, where it can be.
        vital: by name, whether threads are alive that only a fresh process can replace.
        notifier: tells the service manager how it goes.
    """

    clock: Clock
    camera: Camera
    vision: Vision
    strike: Strike
    people: People
    wall: LocalTime
    writer: StoreWriter = field(default_factory=lambda: StoreWriter(None))
    housekeeping: Housekeeping | None = None
    fleet: FleetDoor | None = None
    messages: Callable[[], Store] | None = None
    spool: Spool | None = None
    bus: Bus | None = None
    keys: Keys | None = None
    requests: Sequence[Requests] = ()
    second_eye: SecondEye | None = None
    console: ConsoleParts | None = None
    inputs: Inputs | None = None
    changes: queue.SimpleQueue[InputChange] = field(default_factory=queue.SimpleQueue)
    second_factor: SecondFactor | None = None
    indicators: Sequence[Indicator] = ()
    reread: Callable[[], Settings] | None = None
    vital: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    notifier: Notifier = field(default_factory=Notifier)


@dataclass(frozen=True, slots=True)
class Handover:
    """What a service leaves to the one that takes its place with another configuration.

    Attributes:
        settings: of the one that leaves.
        clock: goes on.
        vision: the networks, which take a second to load.
        recogniser: knows who is in view, so that nobody is let in twice.
        memory: what the door remembers, and does just now.
        scores: what it learnt of the liveness network's.
        ledger: what is known of commands from afar.
        messages: that came and were not heard.
    """

    settings: Settings
    clock: Clock
    vision: Vision
    recogniser: Recogniser
    memory: DoorMemory
    scores: LiveScores
    ledger: Ledger
    messages: Sequence[IncomingMessage]

    def recogniser_for(self, settings: Settings) -> Recogniser | None:
        """Return the recogniser, if it would be made the same way with other settings."""
        return self.recogniser if _judges(self.settings) == _judges(settings) else None

    def vision_for(self, settings: Settings) -> Vision | None:
        """Return the networks, if they would be the same with other settings."""
        same = self.settings.recognition == settings.recognition
        return (
            self.vision if same and bool(self.vision.liveness) == asks_network(settings) else None
        )

    def scores_for(self, vision: Vision) -> LiveScores | None:
        """Return what was learnt of the scores, if the same networks give them."""
        fingerprint = vision.liveness.fingerprint if vision.liveness else ""
        return self.scores if self.scores.fingerprint == fingerprint else None


def asks_network(settings: Settings) -> bool:
    """Return whether some policy asks the liveness network."""
    return any(policy.network for policy in settings.policies().all)


def _judges(settings: Settings) -> tuple[object, ...]:
    return settings.recognition, settings.quality, settings.door.lock_out
