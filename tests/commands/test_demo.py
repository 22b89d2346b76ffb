"""The demo: that it shows what it says, and that it would notice if it did not."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.commands.demo import Demo, Segment, mistakes, segments_of
from lockd.config import MqttSettings
from lockd.errors import CameraError
from lockd.messages import Event, EventType
from lockd.service.parts import Tally
from tests.conftest import CLIP
from tests.patience import PATIENCE_S, running
from tests.recordings import clip, record

LOCKD = Path(sys.executable).parent / "lockd"

# The demo in the recording's time: in its own a busy machine would leave frames out.
WHOLE = """
from functools import partial
from lockd.commands import demo
demo.open_service = partial(demo.open_service, as_fast_as_possible=True)
demo.demo()
"""
SEGMENTS = [
    Segment(0, 3, None),
    Segment(3, 10, "Ada"),
    Segment(12, 20, "stranger"),
]
GRANTED = Event(EventType.ACCESS_GRANTED, 5.0, "porch", person="Ada")
STRANGER = Event(EventType.STRANGER, 15.0, "porch")
RELAY = [(5.0, True), (10.0, False)]
# A process of its own: what amqtt leaves unclosed would be another test's warning.
BROKER = """
import sys
from lockd.adapters.broker import LocalBroker
broker = LocalBroker()
print(broker.port, flush=True)
sys.stdin.readline()
broker.close()
print("stopped", flush=True)
sys.stdin.readline()
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WHOLE, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=5 * PATIENCE_S, check=False
    )


def test_what_should_happen_is_no_mistake() -> None:
    assert mistakes(SEGMENTS, [GRANTED, STRANGER], Tally(relay=RELAY)) == []


@pytest.mark.parametrize(
    ("events", "relay"),
    [
        ([STRANGER], RELAY),
        ([GRANTED], RELAY),
        ([GRANTED, STRANGER], []),
        ([GRANTED, STRANGER], [(5.0, True)]),
        ([GRANTED, STRANGER], [(15.0, True), (16.0, False)]),
        ([GRANTED, STRANGER], [*RELAY, (15.0, True), (16.0, False)]),
        ([GRANTED, STRANGER, Event(EventType.STRANGER, 5.0, "porch")], RELAY),
        ([Event(EventType.ACCESS_GRANTED, 5.0, "porch", person="Bob"), STRANGER], RELAY),
        ([GRANTED, STRANGER, Event(EventType.ACCESS_GRANTED, 14.0, "porch", person="Ada")], RELAY),
        ([GRANTED, STRANGER, Event(EventType.ACCESS_GRANTED, 1.0, "porch", person="Ada")], RELAY),
    ],
)
def test_whatever_goes_wrong_is_a_mistake(
    events: list[Event], relay: list[tuple[float, bool]]
) -> None:
    assert mistakes(SEGMENTS, events, Tally(relay=relay))


def test_the_clip_has_somebody_enrolled_a_stranger_and_empty_stretches() -> None:
    people = [segment.person for segment in segments_of(CLIP)]
    assert people == [None, "Barack Obama", None, "stranger", None]


@pytest.mark.slow
def test_the_demo_succeeds_and_shows_each_part_of_the_path() -> None:
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    for part in (
        "sees   a face",
        "knows  Barack Obama",
        "relay  ON, the door is unlocked",
        "relay  off, the door is locked",
        "knows  nobody: a stranger",
        "mqtt   lockd/porch/alerts/stranger",
        "mqtt   lockd/porch/availability offline",
        "-t 'lockd/#'",
        "for the right visit and for no other",
    ):
        assert part in done.stdout
    assert done.stderr == ""


@pytest.mark.thorough
def test_it_watches_any_source_to_its_end(tmp_path: Path) -> None:
    film = record(tmp_path / "film.webm", clip(3, 6), options={"live": "1"})
    done = run("--camera", film)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "knows  Barack Obama" in done.stdout
    assert "wrong:" not in done.stdout


@pytest.mark.parametrize("source", ["nowhere.mp4", __file__])
def test_a_file_that_is_no_recording_is_told_at_once(source: str) -> None:
    done = run("--camera", source)
    assert done.returncode == 6
    assert Path(source).name in done.stderr


def test_it_gives_up_a_camera_that_is_not_there() -> None:
    shown = io.StringIO()
    console = Console(file=shown, soft_wrap=True)
    with pytest.raises(CameraError, match=r"/dev/video63.*without --camera"):
        Demo("63", 0, console, patience_s=0.1).run()
    assert "nothing: missing: camera /dev/video63" in shown.getvalue()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("Enrolling", marks=pytest.mark.thorough),
        pytest.param("Service ready", marks=pytest.mark.thorough),
        "sees",
    ],
)
def test_it_ends_quietly_when_told_to(moment: str) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with running(LOCKD, "demo", env=environment, **pipes) as done:
        assert done.stdout is not None
        for line in done.stdout:
            if moment in line:
                break
        done.send_signal(signal.SIGINT)
        rest, complaints = done.communicate(timeout=PATIENCE_S)
    assert done.returncode == 0
    assert complaints == ""
    assert "wrong:" not in rest
    assert "for the right visit" not in rest


def test_the_demo_s_broker_passes_on_keeps_what_is_retained_and_stops() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with running(sys.executable, "-c", BROKER, **pipes) as broker:
        assert broker.stdin is not None
        assert broker.stdout is not None
        port = int(broker.stdout.readline())
        ours = MqttSettings(host="127.0.0.1", port=port, protocol="3.1.1")
        with Visitor(ours, "ear") as ear, Visitor(ours, "mouth") as mouth:
            ear.subscribe("porch/#")
            mouth.publish("porch/events", b"gone")
            mouth.publish("porch/state", b"kept", retain=True)
            heard = [next(ear.messages(PATIENCE_S)), next(ear.messages(PATIENCE_S))]
            mouth.subscribe("porch/#")
            later = next(mouth.messages(PATIENCE_S))
        broker.stdin.write("stop\n")
        broker.stdin.flush()
        assert broker.stdout.readline() == "stopped\n"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        broker.communicate("\n", timeout=PATIENCE_S)
    assert heard == [Heard("porch/events", b"gone", False), Heard("porch/state", b"kept", False)]
    assert later == Heard("porch/state", b"kept", True)
    assert broker.returncode == 0
