"""The demo: the real service on a recorded porch, with a simulated relay and a broker.

Whoever comes is a photograph, so it is shown twice: to a door that asks for nothing but a face,
and to one that asks for more. It succeeds only if the first opened for the right visit and for no
other, and the second for nobody.
"""

from __future__ import annotations

import json
import logging
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from enroll.people import Enroller
from lockd.adapters.broker import HOST, LocalBroker
from lockd.adapters.cameras import open_source
from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.adapters.store import opened
from lockd.commands.demo_console import served, with_console
from lockd.commands.options import liveness_option, with_liveness
from lockd.config import Settings, is_path, load
from lockd.console import reported
from lockd.errors import CameraError, CameraTrouble
from lockd.identity.liveness import OFF_SAID, Measure
from lockd.identity.observation import Observation
from lockd.messages import Event, EventType
from lockd.paths import shipped
from lockd.ports import Observer
from lockd.recognition.photographs import people_in
from lockd.service.assembly import open_service
from lockd.service.parts import Tally
from lockd.service.service import Service
from lockd.types import Frame

_DULL = {
    "schema", "id", "person_id", "utc", "door", "t", "version", "visit", "series", "delayed",
    "locked_down", "locked_out", "tamper", "alarm", "service", "suppressed",
}  # fmt: skip
_COLOURS = {"sees": "cyan", "knows": "green", "relay": "bold yellow", "mqtt": "magenta"}
_TOLERANCE_S = 1.0
_LISTEN_S = 0.2
_PATIENCE_S = 20.0
_DIM = {CameraTrouble.DARK, CameraTrouble.COVERED}
STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the clip and who is in it: a name, ``stranger``, or None for nobody."""

    start: float
    end: float
    person: str | None

    def holds(self, t: float) -> bool:
        """Return whether a time lies in it, give or take the time a frame takes."""
        return self.start <= t <= self.end + _TOLERANCE_S


def segments_of(clip: Path) -> list[Segment]:
    """Read who is in a clip when, from the JSON file beside it."""
    described = json.loads(clip.with_suffix(".json").read_text("utf-8"))
    return [Segment(**segment) for segment in described["segments"]]


def mistakes(segments: list[Segment], events: list[Event], tally: Tally) -> list[str]:
    """Compare what happened with what should have; return what was wrong.

    Args:
        events: everything that the service reported.
        tally: with the relay's log.
    """
    wrong = []
    for segment in segments:
        inside = [event for event in events if segment.holds(event.t)]
        granted = [event.person for event in inside if event.type is EventType.ACCESS_GRANTED]
        strangers = [event for event in inside if event.type is EventType.STRANGER]
        expected = [segment.person] if segment.person not in (None, STRANGER) else []
        when = f"{segment.start:g} to {segment.end:g} s"
        if granted != expected:
            wrong.append(f"{when}: the door opened for {granted}, expected {expected}")
        if len(strangers) != (segment.person == STRANGER):
            wrong.append(f"{when}: {len(strangers)} strangers were reported")
    opened = [t for t, on in tally.relay if on]
    welcome = [one for one in segments if one.person not in (None, STRANGER)]
    if len(opened) != len(welcome):
        wrong.append(f"the relay was switched on {len(opened)} times, expected {len(welcome)}")
    wrong += [
        f"the relay was on at {t:.1f} s for nobody who may come in"
        for t in opened
        if not any(one.holds(t) for one in welcome)
    ]
    if tally.relay and tally.relay[-1][1]:
        wrong.append("the relay was left on")
    return wrong


class Demo(Observer):
    """One showing of the demo."""

    def __init__(
        self,
        camera: str | None,
        port: int,
        console: Console | None = None,
        patience_s: float = _PATIENCE_S,
        liveness: list[Measure] | None = None,
        pages: bool = False,
    ) -> None:
        """Prepare it.

        Args:
            camera: what to watch instead of the clip, as `camera.source` has it, or None.
            port: of the broker, or 0 for a free one.
            patience_s: how long to wait for a camera that gives no picture.
            liveness: what is asked besides a face; None shows both, nothing and more.
            pages: serve the console, and show the clip until interrupted.
        """
        self._pages = pages
        self._camera = camera
        self._port = port
        self._liveness = liveness
        self._patience_s = patience_s
        self._stop: Callable[[], None] = lambda: None
        self._interrupted = False
        self._patience: threading.Timer | None = None
        self._given_up: str | None = None
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._events: list[Event] = []
        self._heard = 0
        self._seen = ""
        self._now: Callable[[], float] = lambda: 0.0

    def run(self) -> bool:
        """Show it; return whether the door did what it should, or nobody waited for that.

        Raises:
            CameraError: if there is no camera, or a file that is none.
        """
        clip = shipped("demo/porch.mp4")
        with ExitStack() as stack:
            broker = LocalBroker(self._port)
            stack.callback(broker.close)
            folder = Path(tempfile.mkdtemp(prefix="lockd-demo-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            settings = self._settings(clip, folder, broker.port)
            if is_path(settings.camera.source):
                open_source(settings.camera).close()
            self._introduce(settings)
            self._enrol(settings)
            stack.enter_context(self._subscribed(settings))
            if self._pages:
                stack.enter_context(served(settings, folder, self._console.print))
            good = self._conclude(clip, self._once(settings))
            while self._pages and not self._interrupted:
                self._once(settings)
            if self._camera is None and self._liveness is None and not self._interrupted:
                good &= self._show_guarded(settings, clip)
        return good

    def _once(self, settings: Settings) -> Tally:
        """Show it from beginning to end."""
        with ExitStack() as stack:
            began = time.perf_counter()
            service = open_service(settings, stack, observers=[self])
            self._console.print(f"\nService ready after {time.perf_counter() - began:.2f} s.\n")
            return self._watch(service)

    def _settings(self, clip: Path, folder: Path, port: int) -> Settings:
        settings = load(shipped("config/demo.yaml"))
        changes: dict[str, dict[str, Any]] = {
            "store": {"folder": folder},
            "mqtt": {"host": HOST, "port": port},
        }
        new = {name: getattr(settings, name).model_copy(update=to) for name, to in changes.items()}
        camera = settings.camera.from_source(self._camera or str(clip))
        settings = settings.model_copy(update={**new, "camera": camera})
        if self._pages:
            settings = with_console(settings, folder)
        return with_liveness(settings, self._liveness, configured=True)

    def _introduce(self, settings: Settings) -> None:
        say = self._console.print
        what = "a recorded porch" if self._camera is None else "a camera of yours"
        say(f"[bold]lockd demo[/]: real networks, {what}, a simulated relay, a broker of its own.")
        asked = settings.policies().default
        say(f"Besides a face it asks for: {'nothing' if asked.off else asked}.")
        url, topics = f"{HOST}:{settings.mqtt.port}", "lockd/#"
        say("\nTo hear what subscribers hear, type in a second terminal:")
        if shutil.which("mosquitto_sub"):
            say(f"  mosquitto_sub -h {HOST} -p {settings.mqtt.port} -t '{topics}' -v")
        else:
            say(f"  .venv/bin/amqtt_sub --url mqtt://{url} -t '{topics}'")

    def _enrol(self, settings: Settings) -> None:
        with opened(settings.store, make=True) as store:
            enroller = Enroller(settings, store)
            self._console.print("\nEnrolling:")
            for name, photos in people_in(shipped("demo/people")).photographs.items():
                outcome = enroller.add(name, photos, lambda: None)
                self._console.print(f"  {outcome.name}, photographs: {outcome.accepted}")

    def _watch(self, service: Service) -> Tally:
        self._now, self._stop = service.now, service.stop
        handler = signal.signal(signal.SIGINT, self._interrupt)
        try:
            tally = service.run()
        finally:
            signal.signal(signal.SIGINT, handler)
            self._wait_for_camera(None)
        if self._given_up is not None:
            raise CameraError(f"{self._given_up}; without --camera the demo needs none")
        return tally

    def _interrupt(self, *_: object) -> None:
        self._interrupted = True
        self._stop()

    def _give_up(self, problem: str) -> None:
        self._given_up = problem
        self._stop()

    def _wait_for_camera(self, problem: str | None) -> None:
        """Wait for a camera with a problem, but not for ever; or no longer, if it has none."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None
        if problem is not None:
            self._patience = threading.Timer(self._patience_s, self._give_up, [problem])
            self._patience.start()

    def _conclude(self, clip: Path, tally: Tally) -> bool:
        say = self._console.print
        say(
            f"\n{tally.frames} frames, {tally.faces} faces, {tally.judged} judged; "
            f"{self._heard} messages heard by the subscriber."
        )
        if self._camera is not None or self._interrupted:
            return True
        segments = segments_of(clip)
        if self._liveness not in (None, [Measure.OFF]):  # a photograph does not get in
            segments = [replace(one, person=None) for one in segments if one.person != STRANGER]
        wrong = mistakes(segments, self._events, tally)
        if not self._heard:
            wrong.append("the subscriber heard nothing")
        for line in wrong:
            say(f"[bold red]wrong:[/] {escape(line)}")
        if not wrong:
            whom = "for the right visit and for no other" if tally.relay else "for nobody"
            say(f"[bold green]The door opened {whom}.[/]")
        return not wrong

    def _show_guarded(self, settings: Settings, clip: Path) -> bool:
        """Show the same visit to a door that asks for more, as fast as it goes."""
        say = self._console.print
        say(f"\nBut that was a photograph: {OFF_SAID}.")
        say("The same visit, with [bold]liveness.policy: graded[/] as doors have it:\n")
        guarded = with_liveness(settings, [Measure.GRADED], configured=True)
        quiet = guarded.mqtt.model_copy(update={"host": None})
        visit = next(one for one in segments_of(clip) if one.person not in (None, STRANGER))
        until = visit.end + guarded.recognition.visit_gap_s
        watched = _Guarded(self._say, until)
        with ExitStack() as stack:
            service = open_service(
                guarded.model_copy(update={"mqtt": quiet}),
                stack,
                as_fast_as_possible=True,
                observers=[watched],
            )
            watched.stop = service.stop
            tally = service.run()
        if watched.refused and not tally.relay:
            say("\n[bold green]It was asked to turn its head, and the door stayed locked.[/]")
            return True
        say("\n[bold red]wrong:[/] the photograph was not refused")
        return False

    # What happens, line by line

    def _say(self, t: float, what: str, text: str) -> None:
        self._console.print(f"{t:6.1f} s  [{_COLOURS[what]}]{what:6}[/] {escape(text)}")

    def observed(self, frame: Frame, observation: Observation) -> None:
        """Say who is seen, when that changes."""
        seen = "; ".join(
            f"a face, not judged: {one.unfit.value.replace('_', ' ')}" if one.unfit else "a face"
            for one in observation.sightings
        )
        if seen != self._seen:
            self._seen = seen
            self._say(frame.t, "sees", seen or "nobody")

    def event(self, event: Event) -> None:
        """Say who was recognised."""
        self._events.append(event)
        if event.type is EventType.ACCESS_GRANTED:
            self._say(event.t, "knows", f"{event.person}, similarity {event.similarity:.2f}")
        elif event.type is EventType.STRANGER:
            self._say(event.t, "knows", "nobody: a stranger")
        elif event.type is EventType.CAMERA_PROBLEM:
            again = f"trying again for {self._patience_s:g} s, Ctrl-C ends it"
            self._say(event.t, "sees", f"nothing: {event.reason}; {again}")
            if event.trouble not in _DIM:
                self._wait_for_camera(event.reason)
        elif event.type is EventType.CAMERA_RECOVERED:
            self._wait_for_camera(None)

    def relay_switched(self, t: float, on: bool) -> None:
        """Say that the relay was switched."""
        self._say(t, "relay", "ON, the door is unlocked" if on else "off, the door is locked")

    @contextmanager
    def _subscribed(self, settings: Settings) -> Iterator[None]:
        """Listen as any subscriber would, in a thread of its own."""
        ended = threading.Event()
        with Visitor(settings.mqtt, "demo") as visitor:
            visitor.subscribe("lockd/#")

            def listen() -> None:
                while not ended.is_set():
                    for heard in visitor.messages(_LISTEN_S):
                        self._on_heard(heard)

            thread = threading.Thread(target=listen, name="subscriber", daemon=True)
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def _on_heard(self, heard: Heard) -> None:
        if not heard.payload:
            return  # nothing is retained any more
        self._heard += 1
        text = heard.payload.decode()
        if text.startswith("{"):
            values = json.loads(text)
            interesting = {name: one for name, one in values.items() if name not in _DULL}
            text = json.dumps(interesting, ensure_ascii=False)
        self._say(self._now(), "mqtt", f"{heard.topic} {text}")


class _Guarded(Observer):
    """Says what becomes of one visit, and ends the recording after it."""

    def __init__(self, say: Callable[[float, str, str], None], until: float) -> None:
        self._say = say
        self._until = until
        self.stop: Callable[[], None] = lambda: None
        self.refused = False

    def observed(self, frame: Frame, observation: Observation) -> None:
        if frame.t >= self._until:
            self.stop()

    def event(self, event: Event) -> None:
        if event.type is EventType.CHALLENGE_STARTED:
            self._say(event.t, "knows", f"{event.person}, and asks them to turn their head")
        elif event.type is EventType.SPOOF_SUSPECTED:
            self.refused = True
            self._say(event.t, "knows", f"not {event.person}, or a picture: {event.reason}")


@click.command("demo")
@click.option(
    "--camera",
    metavar="SOURCE",
    help="Watch this instead of the clip: 0, csi, an rtsp or http URL, a video file, a folder.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the broker [a free one]."
)
@click.option("--console", "pages", is_flag=True, help="Serve the console, until Ctrl-C.")
@liveness_option
@reported
def demo(camera: str | None, port: int, liveness: list[Measure] | None, pages: bool) -> None:
    """Watch the whole system work, with a simulated relay and a broker of its own."""
    logging.basicConfig(level=logging.ERROR)
    try:
        good = Demo(camera, port, liveness=liveness, pages=pages).run()
    except KeyboardInterrupt:
        return
    if not good:
        raise SystemExit(1)
