"""The programs of docs/subscribers.md, each run against a real broker."""

from __future__ import annotations

import csv
import json
import queue
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.mqtt.visitor import Visitor
from lockd.config import MqttSettings
from tests.brokers import Mosquitto
from tests.conftest import ROOT
from tests.patience import PATIENCE_S, eventually, running

EXAMPLES = ROOT / "docs" / "examples"
JPEG = b"\xff\xd8\xff\xe0 a picture"


def event(seq: int, **more: Any) -> bytes:
    values = {
        "schema": 1, "id": f"id-{seq}", "series": "one", "seq": seq, "delayed": False,
        "utc": f"2026-03-01T08:15:{seq:02}.000Z", "door": "front_door", "type": "stranger",
        **more,
    }  # fmt: skip
    return json.dumps(values).encode()


@pytest.fixture
def say(mosquitto: Mosquitto) -> Iterator[Callable[..., None]]:
    """Publishes what a door would."""
    with Visitor(MqttSettings(host="127.0.0.1", port=mosquitto.port), "door") as door:

        def publish(name: str, payload: bytes, *, retain: bool = False) -> None:
            door.publish(f"lockd/front_door/{name}", payload, retain=retain)

        yield publish


@contextmanager
def example(program: str, told: Path, *options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the examples, from when it says that it listens."""
    command = (sys.executable, EXAMPLES / program, *options)
    with told.open("w") as log, running(*command, stdout=log, stderr=log) as process:
        eventually(told.read_text)
        yield process


def test_the_visitors_book_has_each_event_once_and_its_gaps(
    mosquitto: Mosquitto, say: Callable[..., None], tmp_path: Path
) -> None:
    book, told = tmp_path / "book.csv", tmp_path / "told"
    options = ("--book", book, "--host", "127.0.0.1", "--port", mosquitto.port)

    def rows() -> list[tuple[str, str, str]]:
        with book.open(newline="") as file:
            return [(row["seq"], row["type"], row["person"]) for row in csv.DictReader(file)]

    with example("visitors_book.py", told, *options) as program:
        say("events", b"garbage")
        say("events", event(1, type="access_granted", person="=Zoë()"))
        say("events", event(2))
        say("events", event(2))
        eventually(lambda: len(rows()) == 2)
        program.kill()
    say("events", event(2))
    say("events", event(5))
    with book.open("a") as file:
        file.write("half a li")  # as a power cut leaves it
    with example("visitors_book.py", told, *options):
        say("events", event(6, series="another"))
        eventually(lambda: len(rows()) == 5)

    assert rows() == [
        ("1", "access_granted", "'=Zoë()"),
        ("2", "stranger", ""),
        ("", "gap", ""),
        ("5", "stranger", ""),
        ("6", "stranger", ""),
    ]


@pytest.fixture
def ntfy() -> Iterator[tuple[str, queue.Queue[tuple[dict[str, list[str]], bytes]]]]:
    """A server to which notifications are sent, and what came."""
    came: queue.Queue[tuple[dict[str, list[str]], bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            came.put(({**asked, "token": [self.headers["Authorization"]]}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/door", came
    server.shutdown()
    thread.join()
    server.server_close()


def test_ntfy_gets_a_stranger_with_the_picture_and_other_alerts_without(
    mosquitto: Mosquitto,
    say: Callable[..., None],
    ntfy: tuple[str, queue.Queue[tuple[dict[str, list[str]], bytes]]],
    tmp_path: Path,
) -> None:
    url, came = ntfy
    token = tmp_path / "token"
    token.write_text("tk_secret\n")
    say("snapshot", b"\xff\xd8 an old picture", retain=True)
    options = ("--ntfy", url, "--host", "127.0.0.1", "--port", mosquitto.port)
    with example("ntfy_bridge.py", tmp_path / "told", *options, "--token-file", token):
        alert = event(1, alert="stranger", suppressed=2)
        eventually(lambda: _listens(say, alert, came))
        first, picture = came.get(timeout=PATIENCE_S)
        say("alerts/stranger", alert)  # once more
        say("alerts/door_held", event(2, type="door_held", alert="door_held", delayed=True))
        second, nothing = came.get(timeout=PATIENCE_S)

    assert picture == JPEG
    assert first == {
        "title": ["A stranger at the door"],
        "message": ["front_door, 2026-03-01T08:15:01.000Z (and 2 more before)"],
        "priority": ["4"],
        "tags": ["bust_in_silhouette"],
        "filename": ["stranger.jpg"],
        "token": ["Bearer tk_secret"],
    }
    assert nothing == b""
    assert second["title"] == ["The door stands open"]
    assert second["message"][0].endswith("(heard of only now)")


def _listens(say: Callable[..., None], alert: bytes, came: queue.Queue[Any]) -> bool:
    """Say it until it was heard: the program subscribes after it says that it listens."""
    say("alerts/stranger", alert)
    say("snapshot", JPEG)
    return not came.empty()


def one_liners() -> list[str]:
    text = (ROOT / "docs" / "subscribers.md").read_text("utf-8")
    return re.findall(r"```sh\n(.+)\n```", text)


def test_the_one_liners_are_those_that_are_tried() -> None:
    assert [line.split("'")[1] for line in one_liners()] == list(SAID)


SAID: dict[str, tuple[str, bytes, bytes]] = {
    "lockd/#": ("events", event(1), b"lockd/front_door/events {"),
    "lockd/front_door/availability": ("availability", b"online", b"online\n"),
    "lockd/+/events": (
        "events",
        event(1, type="access_granted", person="Zoë"),
        "2026-03-01T08:15:01.000Z Zoë\n".encode(),
    ),
    "lockd/+/alerts/stranger": ("alerts/stranger", event(1), b"lockd/front_door/alerts/stranger"),
    "lockd/front_door/snapshot": ("snapshot", JPEG, JPEG),
}


@pytest.mark.skipif(not shutil.which("mosquitto_sub"), reason="needs mosquitto-clients")
@pytest.mark.parametrize("topic", SAID)
def test_a_one_liner_does_what_is_said_of_it(
    mosquitto: Mosquitto, say: Callable[..., None], tmp_path: Path, topic: str
) -> None:
    (line,) = (one for one in one_liners() if f"'{topic}'" in one)
    if "jq" in line and not shutil.which("jq"):
        pytest.skip("needs jq")
    name, payload, expected = SAID[topic]
    say(name, payload, retain=True)
    here = line.replace("mosquitto_sub", f"mosquitto_sub -h 127.0.0.1 -p {mosquitto.port} -C 1")
    done = subprocess.run(
        ["bash", "-c", here], cwd=tmp_path, capture_output=True, timeout=PATIENCE_S, check=True
    )
    file = tmp_path / "stranger.jpg"
    assert expected in (file.read_bytes() if file.exists() else done.stdout)


def test_the_node_red_flow_is_whole_and_listens_to_what_a_door_says() -> None:
    nodes = json.loads((EXAMPLES / "node-red-flow.json").read_text("utf-8"))
    ids = {node["id"] for node in nodes}
    assert len(ids) == len(nodes)
    wired = {target for node in nodes for wires in node.get("wires", []) for target in wires}
    assert wired <= ids
    assert {node["topic"] for node in nodes if node["type"] == "mqtt in"} == {
        "lockd/+/alerts/stranger",
        "lockd/+/snapshot",
    }
    assert all(node["broker"] in ids for node in nodes if node["type"] == "mqtt in")


def test_the_examples_and_pictures_of_the_page_are_there() -> None:
    text = (ROOT / "docs" / "subscribers.md").read_text("utf-8")
    named = {target for target in re.findall(r"\]\(([^)]+)\)", text) if "/" in target}
    assert {f"examples/{file.name}" for file in EXAMPLES.iterdir() if file.is_file()} <= named
    assert [one for one in named if not (ROOT / "docs" / one).exists()] == []
