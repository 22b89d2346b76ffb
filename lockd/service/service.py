"""The service: look, decide, act.

One thread, the caller's, holds all state and runs everything here. The camera's
thread writes the newest frame; the pins', paho's and the control socket's fill queues;
the strike's guard may only switch the relay off. None of them calls into this file, except
that the strike reports its switching to a callback which takes a note.

A verdict goes to the strike first, then to the store, then to the bus, so that the
door waits for neither the disk nor the network.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from lockd import __version__
from lockd.config import Settings
from lockd.errors import ConfigError
from lockd.identity.evidence import Recognised, Stranger, Verdict
from lockd.identity.observation import Observation
from lockd.messages import EventType
from lockd.ports import Observer
from lockd.publishing.publisher import Publisher
from lockd.recognition.recogniser import Recogniser
from lockd.service.diagnostics import Diagnostics
from lockd.service.door_controller import DoorController
from lockd.service.frame_server import FrameServer
from lockd.service.hearing import Hearing
from lockd.service.judging import Judging
from lockd.service.ledger import Ledger
from lockd.service.life import Life
from lockd.service.live_scores import LiveScores
from lockd.service.liveness_requests import LivenessRequests
from lockd.service.local_commands import LocalCommands
from lockd.service.parts import Handover, Parts, Tally
from lockd.service.problems import Problems
from lockd.service.remote_parts import console_desk, remote_commands
from lockd.service.vetting import Vetting
from lockd.types import Frame

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 0.25
_RELOAD_REST_S = 3.0  # from one reload to the next: the wishes between are one
_KEPT = 1000


class Service:
    """A door's service.

    Attributes:
        tally: what it did.
        successor: the configuration to go on with, once it was told to reload.
        handover: what the service with that goes on with.
        local_commands: answers whoever asks on this machine.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        *,
        observers: Sequence[Observer] = (),
        news: list[tuple[EventType, str | None]] | None = None,
        before: Handover | None = None,
    ) -> None:
        """Put it together.

        Args:
            parts: what it is built from.
            observers: who wants to know what it does.
            before: what the service before this one left, if there was one.
            news: told at the start.
        """
        self._settings = settings
        self._parts = parts
        self._clock = parts.clock
        self._camera = parts.camera
        self._strike = parts.strike
        self._people = parts.people
        self._observers = observers
        self._news = news or []
        self.tally = Tally()
        self._recogniser = (before and before.recogniser_for(settings)) or Recogniser(
            settings, parts.vision, parts.people.gallery
        )
        self._recogniser.gallery = parts.people.gallery
        self._recogniser.second_eye = parts.second_eye
        self._publisher = Publisher(
            settings,
            clock=parts.clock,
            wall=parts.wall,
            bus=parts.bus,
            messages=parts.messages,
            spool=parts.spool,
            observers=observers,
        )
        self._diagnostics = Diagnostics(parts.clock.now())
        counts = self.tally, self._diagnostics
        self._judging = Judging(
            self._recogniser, parts.camera, parts.clock, settings.camera.max_age_s, *counts
        )
        self._frames = FrameServer()
        self._problems = Problems(self._publisher.event)
        watched = parts.camera, parts.strike, self._problems, parts.notifier, parts.vital
        self._life = Life(*watched, parts.second_factor)
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._faces = False
        self._looked: tuple[Frame, Observation] | None = None
        self.successor: Settings | None = None
        self.handover: Handover | None = None
        self._reload_at = parts.clock.now() + (_RELOAD_REST_S if before else 0.0)
        self._door = DoorController(
            settings,
            clock=parts.clock,
            strike=parts.strike,
            emit=self._publisher.event,
            wall=parts.wall,
            keep=parts.people.keep,
            inputs=parts.inputs,
            indicators=parts.indicators,
            memory=before.memory if before else parts.people.recall(),
            resumed=before is not None,
        )
        self._scores = (before and before.scores_for(parts.vision)) or LiveScores(
            parts.vision.liveness.fingerprint if parts.vision.liveness else ""
        )
        self._vetting = Vetting(
            settings,
            clock=parts.clock,
            door=self._door,
            recogniser=self._recogniser,
            scores=self._scores,
            alike=settings.recognition.threshold(parts.vision.embedder.accept),
            factor=parts.second_factor,
            second_eye=parts.second_eye,
        )
        if before is not None:
            parts.people.adopt(before.memory)
        emit, whole = self._publisher.event, (settings, parts, self._door)
        self.local_commands = LocalCommands(
            self._door,
            self._frames,
            self._current_state,
            lambda: parts.people.lasting,
            LivenessRequests(settings, parts.clock.now, self._scores, emit),
            parts.second_factor,
            console_desk(*whole, self._current_state, emit, self),
        )
        self._ledger = before.ledger if before else Ledger()
        remote = remote_commands(*whole, self._ledger, emit, self)
        unheard = before.messages if before else ()
        self._hearing = Hearing(
            parts, self._door, self._publisher, self.local_commands, remote, unheard
        )
        self._strike.changed = self._relay_changed
        parts.vision.have_done(self._hearing.hear_between)

    def now(self) -> float:
        """Return the time on the service's clock: that of its events."""
        return self._clock.now()

    def stop(self) -> None:
        """Lock at once, though a frame is being judged, and ask `run` to end.

        May be called from a signal handler; so the strike is served from another thread.
        """
        self._stop.set()
        threading.Thread(target=self._strike.seal, name="seal", daemon=True).start()

    def reload(self) -> None:
        """Ask for the configuration to be read again; may be called from a signal handler."""
        self._reload.set()

    def run(self) -> Tally:
        """Run until `stop` is called or a recording ends; the door is locked then.

        Raises:
            CameraError: if a recording is broken; what it showed was acted on.
            LockdError: if the relay's guard, or another vital thread, is gone; the door is locked.
        """
        with ExitStack() as stack:
            self._publisher.outbox.start()
            stack.callback(self._publisher.outbox.close)
            stack.callback(self._say_goodbye)
            stack.callback(lambda: self._scores.close(self._people.store, self._parts.writer))
            stack.callback(self._hearing.close)
            stack.callback(self._lock_for_good)
            self._refresh_people()
            self._publisher.event(EventType.SERVICE_STARTED)
            for kind, reason in self._news:
                self._publisher.event(kind, reason=reason)
            while not (self._stop.is_set() or self._camera.ended):
                self.step()
            self._finish_recording()
        return self.tally

    def step(self) -> None:
        """Wait for a frame, for as long as nothing else is due, and act on it."""
        frame = self._camera.next(self._patience())
        now = self._clock.now()
        self._door.pass_time(now if frame is None else max(now, frame.t))
        self._vetting.pass_time(now)
        if frame is not None:
            self._frames.frame = frame
        self._parts.writer.settle()
        self._hearing.hear()
        if frame is not None:
            self._see(frame)
        self._door.show(faces=self._faces)
        self._watch_parts()
        self._serve_bus()
        self._life.show(self._door.state.value, self._publisher.problem)
        if self._reload.is_set() and self._clock.now() >= self._reload_at:
            self._read_again()

    def _patience(self) -> float:
        """How long to wait for a frame."""
        due = [self._door.next_deadline, self._vetting.next_deadline]
        waits = [max(0.0, one - self._clock.now()) for one in due if one is not None]
        return min([_LONGEST_WAIT_S, *waits])

    # Look

    def _see(self, frame: Frame) -> None:
        """Judge a frame and act on what it amounts to, unless it is too old for that."""
        if self._refresh_people():
            self._publisher.event(EventType.GALLERY_CHANGED)
        look = self._judging.judge(frame)
        if look is None:
            return
        stale = self._judging.is_stale(frame)
        if not stale:
            self._vetting.observed(look, frame.t)
        for verdict in look.verdicts:
            self._act(verdict, stale=stale, seen=(frame, look))
        self._faces = bool(look.sightings)
        self._looked = frame, look
        for observer in self._observers:
            observer.observed(frame, look)

    # Decide and act

    def _act(
        self, verdict: Verdict, *, stale: bool, seen: tuple[Frame, Observation] | None = None
    ) -> None:
        """Carry a verdict out: the door first."""
        match verdict:
            case Recognised() if stale:
                self._recogniser.refused(verdict.visit, verdict.person, self._clock.now())
            case Recognised():
                self._vetting.recognised(verdict)
            case Stranger() if self._frames.enrolling(self._clock.now()):
                log.info("visit %d: no stranger, for somebody is being enrolled", verdict.visit)
            case Stranger():
                frame, look = seen or (None, None)
                face = None if look is None else look.face_of(verdict.visit)
                self._publisher.stranger(verdict, frame, face)
                self._door.stranger(again=verdict.again > 0)
            case _:
                self._publisher.event(
                    EventType.UNIDENTIFIED, visit=verdict.visit, reason=verdict.reason
                )

    def silence(self, seconds: float) -> None:
        """Disturb nobody for a while, by alert or buzzer."""
        self._publisher.silence(seconds)
        for indicator in self._parts.indicators:
            indicator.silence(seconds)

    def snapshot(self) -> str | None:
        """Publish what the camera saw last, for somebody asked; return why not, in a word."""
        snapshots = self._publisher.snapshots
        if snapshots is None or not snapshots.wanted:
            return "off"
        if self._looked is None or self._camera.problem is not None:
            return "no_picture"
        frame, look = self._looked
        return None if snapshots.take(frame.image, look.face_of()) else "no_face"

    def _refresh_people(self) -> bool:
        changed = self._people.refresh(self._clock.now())
        late = self._people.recall()
        if late is not None:
            self._door.recall(late)
        if changed:
            self._recogniser.gallery = self._people.gallery
        return changed

    def _read_again(self) -> None:
        """Go on with the configuration as it is now, or as it was, if that has mistakes."""
        if not self._hearing.may_leave():
            return
        self._reload.clear()
        self._hearing.leave()
        if self._parts.reread is None:
            return
        try:
            self.successor = self._parts.reread()
        except ConfigError as error:
            log.error("%s\nthe configuration stays as it was", error)
            self._publisher.event(EventType.CONFIG_PROBLEM, reason=str(error))
        else:
            self._vetting.abandon()
            self.handover = Handover(
                self._settings,
                self._clock,
                self._parts.vision,
                self._recogniser,
                self._door.successor(),
                self._scores,
                self._ledger,
                self._hearing.unheard(),
            )
            self._stop.set()

    # Watch the parts

    def _watch_parts(self) -> None:
        """Report what ceased to work, and that it works again, once each."""
        note = self._problems.note
        camera, trouble = self._camera.problem, self._camera.trouble
        word = None if trouble is None else trouble.value
        note(EventType.CAMERA_PROBLEM, camera, trouble=word)
        if camera is not None:
            self._faces = False
        note(EventType.STORE_PROBLEM, self._store_problem)
        if self._parts.housekeeping is not None:
            self._parts.housekeeping.work(self._clock.now(), self._parts.wall.local)
        damaged = self._people.damaged
        note(
            EventType.TEMPLATES_DAMAGED,
            f"{damaged} templates or people are damaged and not used" if damaged else None,
        )
        note(EventType.CLOCK_PROBLEM, self._door.clock_problem)
        note(EventType.LIVENESS_PROBLEM, self._vetting.problem)
        self._scores.serve(self._people.store, self._clock.now(), self._parts.writer)
        if (factor := self._parts.second_factor) is not None:
            note(EventType.FACTOR_PROBLEM, factor.problem)
        if (fleet := self._parts.fleet) is not None:
            note(EventType.FLEET_PROBLEM, fleet.problem)

    @property
    def _store_problem(self) -> str | None:
        written = self._publisher.outbox.problem or self._parts.writer.problem
        return self._people.problem or written

    # Tell

    def _current_state(self) -> dict[str, Any]:
        return {
            **self._door.published,
            **self._problems.words(),
            **self._vetting.published,
            "people": len(self._recogniser.gallery.people),
            "version": __version__,
        }

    def _serve_bus(self) -> None:
        self._publisher.serve(self._current_state(), self._diagnostics_now)

    def _diagnostics_now(self) -> dict[str, Any]:
        return self._diagnostics.report(self._clock.now(), len(self._recogniser.gallery.people))

    def _relay_changed(self, on: bool) -> None:
        """Note that the relay was switched; the strike's guard may call this too."""
        t = self._clock.now()
        self.tally.relay.append((t, on))
        del self.tally.relay[:-_KEPT]
        for observer in self._observers:
            observer.relay_switched(t, on)

    # End

    def _finish_recording(self) -> None:
        """End the visits of a recording, and let the door lock when it is due."""
        if not self._camera.ended:
            return
        for verdict in self._recogniser.finish():
            self._act(verdict, stale=False)
        while self._door.closing and not self._stop.is_set():
            due = self._door.next_deadline
            self._clock.wait_until(self._clock.now() if due is None else due, self._stop)
            self._door.pass_time(self._clock.now())

    def _lock_for_good(self) -> None:
        self._door.shut_down()
        if self.successor is None:
            self._life.stopping()

    def _say_goodbye(self) -> None:
        self._publisher.event(
            EventType.SERVICE_STOPPED, reason="reload" if self.successor else None
        )
        self._serve_bus()
