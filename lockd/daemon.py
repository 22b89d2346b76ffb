"""The service: look, decide, act.

One thread, the caller's, holds all state and runs everything here. The camera's
thread writes the newest frame, paho's fills queues, the strike's guard may only
switch the relay off; none of them calls into this file, except that the strike
reports its switching to a callback which takes a note.

A verdict goes to the strike first, then to the store, then to the bus, so that the
door waits for neither the disk nor the network.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from lockd import __version__
from lockd.adapters.bus import Bus
from lockd.adapters.cameras import Camera, LiveCamera, RecordedCamera, open_source
from lockd.adapters.pins import Board
from lockd.adapters.store import Store
from lockd.adapters.strike import Strike
from lockd.adapters.systemd import Notifier
from lockd.clock import Clock, RealClock, RecordedClock
from lockd.config import Settings
from lockd.door.events import Command, Granted, Lock, Release, ShutDown, Tick
from lockd.door.machine import DoorMachine
from lockd.errors import PinError, StoreError
from lockd.identity.evidence import Recognised, Stranger, Verdict
from lockd.identity.gallery import Gallery
from lockd.messages import Event, EventType, Topics, encode
from lockd.outbox import STORE_PAUSE_S, Outbox
from lockd.types import Frame
from lockd.watcher import Look, Vision, Watcher

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 0.25
_STORE_PATIENCE_S = 0.2


@dataclass(slots=True)
class Tally:
    """What a run amounted to.

    Attributes:
        frames: judged or not.
        faces: found in them.
        judged: faces compared with the gallery.
        relay: (seconds, on) of every switching.
    """

    frames: int = 0
    faces: int = 0
    judged: int = 0
    relay: list[tuple[float, bool]] = field(default_factory=list)


class Service:
    """A door's service, built from parts that somebody else opened and will close.

    Args:
        settings: of everything.
        clock: the camera's.
        camera: gives frames.
        vision: the networks.
        strike: the relay.
        store: people and outbox; None with a gallery that never changes.
        gallery: the people, where there is no store.
        bus: where events are published, if anywhere.
        on_event: called with every event, after the door was served.
        on_look: called with every frame and what it showed.
        on_relay: called with the time and True or False when the relay was switched,
            maybe by the strike's guard; must neither block nor raise.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        camera: Camera,
        vision: Vision,
        strike: Strike,
        store: Store | None = None,
        gallery: Gallery | None = None,
        bus: Bus | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        on_look: Callable[[Frame, Look], None] = lambda frame, look: None,
        on_relay: Callable[[float, bool], None] = lambda t, on: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._camera = camera
        self._vision = vision
        self._strike = strike
        self._store = store
        self._bus = bus
        self._on_event = on_event
        self._on_look = on_look
        self._on_relay = on_relay
        size = vision.embedder.size
        self._watcher = Watcher(settings, vision, gallery or Gallery((), size))
        self._door = DoorMachine(settings.door.rules())
        self._outbox = Outbox(settings, store, bus)
        self._notifier = Notifier()
        self._camera_problem: str | None = None
        self._store_problem: str | None = None
        self._gallery_problem: str | None = None
        self._gallery_pause_until = -math.inf
        self._state: dict[str, Any] = {}
        self._stop = threading.Event()
        self.tally = Tally()
        strike.changed = self._relay_changed

    def now(self) -> float:
        """Return the time on the service's clock: that of its events."""
        return self._clock.now()

    def stop(self) -> None:
        """Ask `run` to end; may be called from a signal handler."""
        self._stop.set()

    def run(self) -> Tally:
        """Run until `stop` is called or a recording ends; the door is locked then.

        Raises:
            CameraError: if a recording is broken; what it showed was acted on.
        """
        with ExitStack() as stack:
            stack.callback(self._notifier.close)
            stack.callback(self._say_goodbye)
            stack.callback(self._lock_for_good)
            self._refresh_gallery()
            self._emit(EventType.SERVICE_STARTED)
            self._notifier.ready()
            while not (self._stop.is_set() or self._camera.ended):
                self.step()
            self._finish_recording()
        return self.tally

    def step(self) -> None:
        """Wait for a frame, for as long as nothing else is due, and act on it."""
        frame = self._camera.next(self._patience())
        if frame is not None:
            self._pass_time(frame.t)
            if self._refresh_gallery():
                self._emit(EventType.GALLERY_CHANGED)
            look = self._watcher.look(frame)
            for verdict in look.verdicts:
                self._act(verdict)
            self.tally.frames += 1
            self.tally.faces += len(look.sightings)
            self.tally.judged += sum(one.match is not None for one in look.sightings)
            self._on_look(frame, look)
        else:
            self._pass_time(self._clock.now())
        self._watch_camera()
        self._watch_store()
        self._serve_bus()
        if self._strike.guarded:
            self._notifier.alive()

    def _patience(self) -> float:
        """How long to wait for a frame."""
        deadline = self._door.next_deadline
        if deadline is None:
            return _LONGEST_WAIT_S
        return min(_LONGEST_WAIT_S, max(0.0, deadline - self._clock.now()))

    def _pass_time(self, now: float) -> None:
        """Let the door act on what fell due up to now, at the time it did."""
        while (deadline := self._door.next_deadline) is not None and deadline <= now:
            self._clock.advance(deadline)
            self._obey(self._door.handle(Tick(), deadline))
        self._clock.advance(now)

    def _act(self, verdict: Verdict) -> None:
        """Carry a verdict out: the door first."""
        now = self._clock.now()
        match verdict:
            case Recognised(visit, person, similarity):
                self._obey(self._door.handle(Granted(), now))
                self._emit(
                    EventType.ACCESS_GRANTED,
                    person=person.name,
                    person_id=person.id,
                    visit=visit,
                    similarity=similarity,
                )
            case Stranger(visit, similarity):
                self._emit(EventType.STRANGER, visit=visit, similarity=similarity)
            case _:
                self._emit(EventType.UNIDENTIFIED, visit=verdict.visit, reason=verdict.reason)

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            try:
                if isinstance(command, Release):
                    self._strike.release(command.seconds)
                elif isinstance(command, Lock):
                    self._strike.lock()
            except PinError as error:
                log.critical("%s", error)
                self._emit(EventType.RELAY_FAULT, reason=str(error))

    def _refresh_gallery(self) -> bool:
        """Read the people again if an administrator changed them; return whether."""
        now = self._clock.now()
        if self._store is None or now < self._gallery_pause_until:
            return False
        try:
            if not self._store.gallery_changed() and self._gallery_problem is None:
                return False
            embedder = self._vision.embedder
            templates, refused = self._store.templates(embedder.fingerprint, embedder.size)
        except StoreError as error:
            self._gallery_problem = str(error)
            self._gallery_pause_until = now + STORE_PAUSE_S
            return False
        self._gallery_problem = None
        if refused:
            log.error(
                "%d templates were made by other networks or are damaged, and are not used; "
                "see `lockd-enroll re-embed`",
                refused,
            )
        self._watcher.gallery = Gallery(templates, embedder.size)
        people = len(self._watcher.gallery.people)
        log.info("gallery: %d people, %d templates", people, len(templates))
        if not people:
            log.warning("nobody is enrolled, so everyone is a stranger; see `lockd-enroll add`")
        return True

    def _watch_camera(self) -> None:
        """Report a camera that stopped giving frames, and its return, once each."""
        problem = self._camera.problem
        if (problem is None) == (self._camera_problem is None):
            return
        self._camera_problem = problem
        if problem is not None:
            log.error("%s; trying again", problem)
            self._notifier.status(problem)
            self._emit(EventType.CAMERA_PROBLEM, reason=problem)
        else:
            log.info("camera: pictures again")
            self._notifier.status("watching")
            self._emit(EventType.CAMERA_RECOVERED)

    def _watch_store(self) -> None:
        """Report a store that cannot be used, and its recovery, once each."""
        problem = self._gallery_problem or self._outbox.problem
        if (problem is None) == (self._store_problem is None):
            return
        self._store_problem = problem
        if problem is not None:
            log.error("%s; people stay as they were, events stay in memory", problem)
            self._emit(EventType.STORE_PROBLEM, reason=problem)
        else:
            log.info("store: usable again")
            self._emit(EventType.STORE_RECOVERED)

    def _emit(self, kind: EventType, **details: Any) -> None:
        event = Event(kind, self._clock.now(), self._settings.door.id, **details)
        self._outbox.post(event)
        log.info("%s", event.as_dict())  # what the log tells has been kept
        self._on_event(event)

    def _serve_bus(self) -> None:
        """Move events on, and keep the retained state true."""
        self._outbox.pump(self._clock.now())
        if self._bus is None:
            return
        connected = False
        for notice in self._bus.notices():
            connected = notice.problem is None
            if notice.problem is None:
                log.info("mqtt: connected")
            else:
                log.warning("mqtt: %s; trying again", notice.problem)
        state = self._current_state()
        if connected:
            self._bus.announce()
        if connected or state != self._state:
            self._bus.show(encode(state))
        self._state = state

    def _current_state(self) -> dict[str, Any]:
        return {
            "lock": "UNLOCKED" if self._strike.is_on else "LOCKED",
            "camera": "problem" if self._camera_problem else "ok",
            "store": "problem" if self._store_problem else "ok",
            "people": len(self._watcher.gallery.people),
            "version": __version__,
        }

    def _relay_changed(self, on: bool) -> None:
        """Note that the relay was switched; the strike's guard may call this too."""
        t = self._clock.now()
        self.tally.relay.append((t, on))
        self._on_relay(t, on)

    def _finish_recording(self) -> None:
        """End the visits of a recording, and let the door lock when it is due."""
        if not self._camera.ended:
            return
        for verdict in self._watcher.finish():
            self._act(verdict)
        while (due := self._door.next_deadline) is not None and not self._stop.is_set():
            self._clock.wait_until(due, self._stop)
            self._pass_time(self._clock.now())

    def _lock_for_good(self) -> None:
        self._obey(self._door.handle(ShutDown(), self._clock.now()))
        self._notifier.stopping()

    def _say_goodbye(self) -> None:
        self._emit(EventType.SERVICE_STOPPED)
        self._serve_bus()


def open_service(
    settings: Settings,
    stack: ExitStack,
    *,
    as_fast_as_possible: bool = False,
    gallery: Callable[[Vision], Gallery] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_look: Callable[[Frame, Look], None] = lambda frame, look: None,
    on_relay: Callable[[float, bool], None] = lambda t, on: None,
) -> Service:
    """Open every part that the settings name, the strike last so that it closes first.

    Args:
        settings: of everything.
        stack: takes what must be closed.
        as_fast_as_possible: judge every frame of a recording, in its own time.
        gallery: makes the people, instead of a store.
        on_event: see `Service`.
        on_look: see `Service`.
        on_relay: see `Service`.

    Raises:
        LockdError: whichever part fails first.
    """
    store = None
    if gallery is None:
        store = _open_store(settings)
        stack.callback(store.close)
    vision = Vision(settings)
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
    bus = None
    if settings.mqtt.host is not None:
        topics = Topics(settings.mqtt.base_topic, settings.door.id)
        bus = Bus(settings.mqtt, topics, settings.door.id)
        stack.callback(bus.close)
        bus.start()
    clock: Clock = RecordedClock() if as_fast_as_possible else RealClock()
    camera: Camera = (
        RecordedCamera(open_source(settings.camera), settings.camera.view())
        if as_fast_as_possible
        else LiveCamera(settings.camera, clock)
    )
    stack.callback(camera.close)
    board = Board(settings.relay.factory)
    stack.callback(board.close)
    strike = Strike(board.relay(settings.relay), clock.now)
    stack.callback(strike.close)
    return Service(
        settings,
        clock=clock,
        camera=camera,
        vision=vision,
        strike=strike,
        store=store,
        gallery=gallery(vision) if gallery else None,
        bus=bus,
        on_event=on_event,
        on_look=on_look,
        on_relay=on_relay,
    )


def _open_store(settings: Settings) -> Store:
    """Open the store, for reading only if its medium allows no more: doors must open."""
    path = settings.store.path()
    try:
        return Store.open(path, timeout_s=_STORE_PATIENCE_S)
    except StoreError as error:
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        if writable or not path.exists():
            raise
        store = Store.open_read_only(path)
        log.error("%s; people are recognised, events are not kept over a restart", error)
        return store
