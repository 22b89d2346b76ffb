"""Builds a service from its settings, and builds it anew when these change."""

from __future__ import annotations

import gc
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial

from lockd.adapters.cameras import LiveCamera, RecordedCamera, open_source
from lockd.adapters.control import ControlSocket
from lockd.adapters.keys import CommandKeys
from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.pins import Board
from lockd.adapters.spool import Spool
from lockd.adapters.store import Store, open_for_service
from lockd.adapters.strike import Heartbeat, Strike
from lockd.adapters.systemd import Notifier
from lockd.adapters.wallclock import WallClock
from lockd.clock import Clock, RealClock, RecordedClock
from lockd.config import Settings
from lockd.errors import LockdError
from lockd.identity.gallery import Gallery
from lockd.identity.liveness import photographs_open
from lockd.messages import EventType, Topics
from lockd.paths import by_systemd
from lockd.ports import Camera, Observer, Requests
from lockd.publishing.home_assistant import births
from lockd.recognition.recogniser import Vision
from lockd.recognition.second_eye import Placement, SecondEye
from lockd.service.fleet_door import FleetDoor, open_bus
from lockd.service.housekeeping import Housekeeping
from lockd.service.indicators import open_indicators
from lockd.service.keypads import open_second_factor
from lockd.service.parts import ConsoleParts, Handover, Parts, asks_network
from lockd.service.people import People
from lockd.service.relay_safe import leave_word, relay_of
from lockd.service.remote_commands import subscriptions
from lockd.service.service import Service
from lockd.service.sieve import Sieve
from lockd.service.store_writer import StoreWriter
from lockd.types import InputChange

log = logging.getLogger(__name__)

SWITCH_S = 0.0005
"""How long a thread may keep the others from Python. The default, ten times as much, is what the
loop and the relay's guard would wait for the thread that writes and sends events."""
_WRITERS_PATIENCE_S = 2.0

StartEvents = list[tuple[EventType, str | None]]


class Runner:
    """Runs the service, and a new one whenever the configuration is to be read again.

    A configuration with which no service can be opened is given up for the one before.
    """

    def __init__(self, read: Callable[[], Settings]) -> None:
        """Prepare it.

        Args:
            read: reads the configuration, or raises `ConfigError`.
        """
        self._read = read
        self._service: Service | None = None
        self._walls: dict[tuple[str, str | None], WallClock] = {}
        self._stopped = threading.Event()
        self._wished = threading.Event()

    def stop(self) -> None:
        """Ask `run` to end; may be called from a signal handler."""
        self._stopped.set()
        if self._service is not None:
            self._service.stop()

    def reload(self) -> None:
        """Ask for the configuration to be read again; may be called from a signal handler.

        A wish that comes while one service gives way to another is heard by the other.
        """
        self._wished.set()
        if self._service is not None:
            self._service.reload()

    def _read_anew(self) -> Settings:
        self._wished.clear()
        return self._read()

    def run(self, vital: Mapping[str, Callable[[], bool]] | None = None) -> None:
        """Run until `stop` is called or a recording ends.

        Args:
            vital: see `open_service`.

        Raises:
            LockdError: if no service can be opened with the first configuration, or one
                ends with an error.
        """
        sys.setswitchinterval(SWITCH_S)
        before: Settings | None = None
        settings: Settings | None = self._read()
        news: StartEvents = []
        handover: Handover | None = None
        while settings is not None and not self._stopped.is_set():
            with ExitStack() as stack:
                try:
                    service = open_service(
                        settings,
                        stack,
                        reread=self._read_anew,
                        wall=self._wall(settings),
                        news=news,
                        before=handover,
                        vital=vital,
                    )
                except LockdError as error:
                    if before is None:
                        raise
                    log.critical("%s\nthe configuration stays as it was", error)
                    settings, before = before, None
                    news = [(EventType.CONFIG_PROBLEM, str(error))]
                    continue
                self._service = service
                if self._stopped.is_set():  # by a signal that found no service yet
                    service.stop()
                if self._wished.is_set():
                    service.reload()
                service.run()
            before, settings, handover = settings, service.successor, service.handover
            news = [(EventType.CONFIG_RELOADED, None)]
            # Its parts refer to each other in rings, with networks and sockets among them, which
            # stay until Python looks for such: seldom, where little is made.
            self._service = None
            del service
            gc.collect()

    def _wall(self, settings: Settings) -> WallClock:
        """The clock of before, which knows whether it jumped, unless it is another one now."""
        kind = settings.access.clock, settings.access.timezone
        return self._walls.setdefault(kind, WallClock(settings.access))


def open_service(
    settings: Settings,
    stack: ExitStack,
    *,
    as_fast_as_possible: bool = False,
    gallery: Callable[[Vision], Gallery] | None = None,
    remember: bool = True,
    reread: Callable[[], Settings] | None = None,
    wall: WallClock | None = None,
    news: StartEvents | None = None,
    observers: Sequence[Observer] = (),
    before: Handover | None = None,
    vital: Mapping[str, Callable[[], bool]] | None = None,
) -> Service:
    """Open every part that the settings name; the relay is claimed first, and locked.

    The strike is made last so that it closes first.

    A store that cannot be opened is no reason not to start: the exit button must work.

    Args:
        stack: takes what must be closed.
        as_fast_as_possible: judge every frame of a recording, in its own time.
        gallery: makes the people, instead of a store.
        remember: whether lock-out and lock-down outlive this run, and came from the last.
        reread: reads the configuration anew.
        wall: the local time, by default a clock of its own.
        news: told at the start.
        observers: who wants to know what the service does.
        before: what the service left that this one takes the place of.
        vital: by name, whether threads of the caller's are alive; the service ends without one.

    Raises:
        LockdError: whichever part fails first.
    """
    # First of all: a line that was left unlocked is locked by this.
    board = Board(settings.relay.factory)
    stack.callback(board.close)
    relay = board.relay(settings.relay)
    heartbeat = _open_heartbeat(board, settings)
    leave_word(relay_of(settings.relay, board.chip))
    vision = (before and before.vision_for(settings)) or Vision(
        settings, liveness=asks_network(settings)
    )
    _log_recognition(settings, vision)
    _log_liveness(settings)
    stored = gallery is None and remember
    # The store once more, for each thread that writes to it; it can wait for others.
    opener = partial(open_for_service, settings.store, make=False, patience_s=_WRITERS_PATIENCE_S)
    writer = StoreWriter(opener if stored else None)
    people = _open_roster(settings, vision, gallery, remember, writer)
    stack.callback(people.close)
    keys = CommandKeys.open(settings) if subscriptions(settings) else None
    bus = _open_bus(settings, keys, stack)
    clock: Clock = RecordedClock() if as_fast_as_possible else RealClock()
    if before is not None:
        clock = before.clock
    camera: Camera = (
        RecordedCamera(open_source(settings.camera), settings.camera.view())
        if as_fast_as_possible
        else LiveCamera(settings.camera, clock)
    )
    stack.callback(camera.close)
    second_eye = None if as_fast_as_possible else _open_second_eye(settings, stack, clock, vision)
    if bus is not None:
        bus.wake = camera.wake
    writer.wake = camera.wake
    stack.callback(writer.close)
    writer.start()
    requests, console = _open_requests(settings, stack, camera, as_fast_as_possible)
    if console is not None:
        observers = [*observers, console.watch]
    changes: queue.SimpleQueue[InputChange] = queue.SimpleQueue()

    def heard(change: InputChange) -> None:
        changes.put(change)
        camera.wake()

    inputs = board.inputs(settings.inputs, heard)
    stack.callback(inputs.close)
    wall = wall or WallClock(settings.access)
    second_factor = open_second_factor(
        settings, board, lambda: people.store, keys, wall, camera.wake, writer.have_done
    )
    if second_factor is not None:
        stack.callback(second_factor.close)
    indicators = open_indicators(board, settings, stack)
    observers = [*observers, *(one for one in indicators if isinstance(one, Observer))]
    strike = Strike(relay, clock.now, heartbeat=heartbeat)
    stack.callback(strike.close)
    spool = Spool.of_service() if stored else None
    if spool is not None:
        stack.callback(spool.close)
    parts = Parts(
        clock=clock,
        camera=camera,
        vision=vision,
        strike=strike,
        people=people,
        writer=writer,
        housekeeping=_housekeeping(settings, people, writer) if stored else None,
        fleet=_open_fleet(settings, opener, camera, stack) if stored else None,
        messages=opener if stored else None,
        spool=spool,
        bus=bus,
        keys=keys,
        requests=requests,
        second_eye=second_eye,
        console=console,
        inputs=inputs,
        changes=changes,
        indicators=indicators,
        second_factor=second_factor,
        wall=wall,
        reread=reread,
        vital={"pins": board.hears, **(vital or {})},
        notifier=stack.enter_context(closing(Notifier())),
    )
    return Service(settings, parts, observers=observers, news=news, before=before)


def _open_requests(
    settings: Settings, stack: ExitStack, camera: Camera, as_fast_as_possible: bool
) -> tuple[list[Requests], ConsoleParts | None]:
    """What comes from this machine: over the control socket, and from the console."""
    requests: list[Requests] = []
    if as_fast_as_possible:
        return requests, None
    for path, of_console in (
        (settings.control.path(), False),
        (settings.console.path(), True),
    ):
        if path is not None:
            control = ControlSocket(path, camera.wake, console=of_console)
            stack.callback(control.close)
            requests.append(control)
    if settings.console.path() is None:
        return requests, None
    console = ConsoleParts.of(settings)
    stack.callback(console.close)
    return requests, console


def _open_heartbeat(board: Board, settings: Settings) -> Heartbeat | None:
    line, wanted = board.heartbeat(settings.relay), settings.relay.heartbeat
    return None if line is None or wanted is None else Heartbeat(line, wanted.hz)


def _open_second_eye(
    settings: Settings, stack: ExitStack, clock: Clock, vision: Vision
) -> SecondEye | None:
    wanted = settings.camera.infrared
    if wanted is None:
        return None
    camera = LiveCamera(wanted, clock)
    stack.callback(camera.close)
    placement = Placement(wanted.shift_x, wanted.shift_y, wanted.zoom, wanted.tolerance)
    return SecondEye(camera, vision.detector, placement)


def _log_recognition(settings: Settings, vision: Vision) -> None:
    log.info(
        "recognition: %s, %s, %d threads, accept %.3f, margin %.3f, %d of %d frames agree",
        settings.recognition.profile,
        vision.models.runtime_name,
        settings.recognition.threads,
        settings.recognition.threshold(vision.embedder.accept),
        settings.recognition.margin,
        settings.recognition.agree_frames,
        settings.recognition.window_frames,
    )


def _log_liveness(settings: Settings) -> None:
    """Say aloud what a photograph could do here."""
    policies = settings.policies()
    log.info("liveness: %s", policies.default)
    for remark in photographs_open(policies):
        log.warning("%s", remark)


def _open_roster(
    settings: Settings,
    vision: Vision,
    gallery: Callable[[Vision], Gallery] | None,
    remember: bool,
    writer: StoreWriter,
) -> People:
    """The people: those of the store, unless they are given."""
    access = settings.access.rules()
    if gallery is not None:
        return People(None, vision.embedder, access, gallery=gallery(vision))
    return People(
        lambda make: open_for_service(settings.store, make=make),
        vision.embedder,
        access,
        remember=remember,
        copy=runtime / "door-memory.json" if (runtime := by_systemd("RUNTIME")) else None,
        writer=writer,
    )


def _open_fleet(
    settings: Settings, opener: Callable[[], Store], camera: Camera, stack: ExitStack
) -> FleetDoor | None:
    if not settings.fleet.enabled:
        return None
    bus = open_bus(settings)
    fleet = FleetDoor(settings, opener, bus, camera.wake)
    stack.callback(fleet.close)
    fleet.start()
    bus.start()
    return fleet


def _housekeeping(settings: Settings, people: People, writer: StoreWriter) -> Housekeeping:
    return Housekeeping(settings.store, lambda: people.store, have_done=writer.have_done)


def _open_bus(settings: Settings, keys: CommandKeys | None, stack: ExitStack) -> Bus | None:
    if settings.mqtt.host is None:
        return None
    base, door = settings.mqtt.base_topic, settings.door.id
    topics = Topics(base, door)
    wanted = [*subscriptions(settings), *births(settings)]
    commands = topics.command, topics.plain_command
    sieve = Sieve((base, door), commands, settings.mqtt.commands.plain, keys, time.time)
    bus = Bus(settings.mqtt, topics, door, wanted, lanes=sieve.lane)
    stack.callback(bus.close)
    bus.start()
    return bus
