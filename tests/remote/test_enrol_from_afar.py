"""Somebody is enrolled at the door on the word of somebody far away: all as processes."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from lockd.recognition.recogniser import Vision
from tests.brokers import Mosquitto
from tests.enroll.test_capture_service import BIN, Actor, answers, camera
from tests.patience import PATIENCE_S, eventually, running
from tests.pictures import OBAMA
from tests.porch import StreamCamera
from tests.remote.orders import KEY

__all__ = ["camera"]  # a fixture that is shared


@pytest.fixture
def config(tmp_path: Path, camera: StreamCamera, mosquitto: Mosquitto) -> Path:
    allow = {command: ["anna"] for command in ("enrol", "confirm", "people", "reload")}
    commands = {"allow": allow, "keys_file": str(tmp_path / "anna.key")}
    sections = {
        "relay": {"factory": "mock"},
        "camera": {"source": camera.url},
        "access": {"clock": "trusted"},
        "store": {"folder": str(tmp_path / "state")},
        "control": {"socket": str(tmp_path / "control")},
        "recognition": {"threads": 1, "search_face_px": 100},
        "mqtt": {"host": "127.0.0.1", "port": mosquitto.port, "commands": commands},
    }
    file = tmp_path / "lockd.yaml"
    file.write_text(yaml.safe_dump(sections))
    (tmp_path / "anna.key").write_text(f"anna {KEY.hex()}\n")
    (tmp_path / "anna.key").chmod(0o600)
    return file


@pytest.fixture
def service(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(config.parent)}
    command = (BIN / "lockd", "run", "--config", config)
    with (
        (config.parent / "log").open("w") as log,
        running(*command, env=environment, stderr=log) as process,
    ):
        eventually(lambda: answers(config.parent / "control"))
        eventually(lambda: "mqtt: connected" in (config.parent / "log").read_text())
        yield process
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def sending(config: Path, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    key = ("--key-file", config.parent / "anna.key", "--config", config, "--json")
    return running(BIN / "lockd", "send", *arguments, *key, stdout=subprocess.PIPE, text=True)


def enrolling() -> list[str]:
    """The processes that enrol somebody for a service."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_text().replace("\0", " "))
        except OSError:
            continue
    return [one for one in found if " -m enroll " in one]


@pytest.mark.afar
def test_who_does_as_the_phone_says_is_enrolled_and_known_to_the_door(
    config: Path, service: subprocess.Popen[bytes], camera: StreamCamera, vision: Vision
) -> None:
    actor = Actor(OBAMA, vision, camera)
    results = []
    with sending(config, "enrol", "--name", "Barack Obama") as process:
        assert process.stdout is not None
        for line in process.stdout:
            results.append(json.loads(line))
            actor.hear(results[-1].get("says", ""))
        process.wait(PATIENCE_S)
    assert process.returncode == 0, results
    assert [one["stage"] for one in (results[0], results[1], results[-1])] == [
        *("started", "progress", "finished"),
    ]
    assert {one["id"] for one in results} == {results[0]["id"]}
    # Eight seconds of one look, on a slow machine, are enough with one frame less.
    assert results[-1]["accepted"] in (7, 8)
    assert b64decode(results[-1]["picture"]).startswith(b"\xff\xd8")
    with sending(config, "people") as process:
        assert process.stdout is not None
        (somebody,) = json.loads(process.stdout.read())["people"]
    assert (somebody["name"], somebody["enabled"]) == ("Barack Obama", False)
    with sending(config, "confirm", "--name", "Barack Obama") as process:
        assert process.wait(PATIENCE_S) == 0
    with sending(config, "people") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["people"][0]["enabled"]
    audit = subprocess.run(
        [BIN / "lockd", "store", "audit", "--config", config, "--json"],
        capture_output=True,
        check=True,
    )
    (added,) = [one for one in json.loads(audit.stdout) if one["action"] == "add"]
    assert added["by"] == "mqtt:anna"


@pytest.mark.afar
def test_it_ends_with_the_service(config: Path, service: subprocess.Popen[bytes]) -> None:
    with sending(config, "enrol", "--name", "Ada") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["stage"] == "started"
        assert not [one for one in eventually(enrolling) if "Ada" in one]
        process.kill()
    service.terminate()
    assert service.wait(PATIENCE_S) == 0
    eventually(lambda: not enrolling())
