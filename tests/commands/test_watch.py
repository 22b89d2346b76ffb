"""`lockd watch`: what a door says, for a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.console import Console

from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.commands.main import main
from lockd.commands.watch.follow import follow, for_people, for_programs
from lockd.commands.watch.lines import Follower, Line
from lockd.config import MqttSettings
from lockd.errors import BusError
from tests.brokers import Mosquitto
from tests.conftest import free_port
from tests.invoking import invoke
from tests.patience import PATIENCE_S, eventually, running


def said(follower: Follower, name: str, at: str = "front", **values: Any) -> list[Line]:
    return follower.hear(f"lockd/{at}/{name}", json.dumps(values).encode())


def event(seq: int, **more: Any) -> dict[str, Any]:
    base = {"schema": 1, "id": f"id-{seq}", "series": "one", "seq": seq, "t": 1.5, "door": "front"}
    return {**base, "utc": "2026-11-22T15:00:00.000Z", "type": "stranger", **more}


# What is shown


def test_a_state_is_shown_whole_at_first_and_then_what_changed() -> None:
    follower = Follower("lockd")
    lines = [
        said(follower, "state", lock="LOCKED", camera="ok"),
        said(follower, "state", lock="LOCKED", camera="ok"),
        said(follower, "state", lock="UNLOCKED", camera="ok", door="open"),
        said(follower, "state", lock="UNLOCKED", camera="ok"),
        said(follower, "state", at="back", lock="UNLOCKED"),
    ]
    assert [[line.text for line in some] for some in lines] == [
        ["lock: LOCKED, camera: ok"],
        [],
        ["lock: LOCKED -> UNLOCKED, door: open"],
        ["door: open -> null"],
        ["lock: UNLOCKED"],
    ]


def test_what_a_challenge_asks_comes_first() -> None:
    follower = Follower("lockd")
    asked = [
        said(follower, "state", lock="LOCKED", challenge=challenge)
        for challenge in ("none", "front", "left", "none")
    ]
    assert [(line.text, line.word) for lines in asked for line in lines] == [
        ("lock: LOCKED, challenge: none", "LOCKED"),
        ("asked: look at the camera, challenge: none -> front", "asked"),
        ("asked: turn left, challenge: front -> left", "asked"),
        ("challenge: left -> none", "LOCKED"),
    ]


def test_an_event_is_shown_without_what_every_event_has() -> None:
    (line,) = said(
        Follower("lockd"),
        "events",
        **event(1, type="access_granted", person="Zoë", similarity=0.77),
    )
    assert (line.kind, line.door) == ("event", "front")
    assert line.text == "access_granted, Zoë, similarity: 0.77"


@pytest.mark.parametrize(
    ("name", "values", "kind", "text"),
    [
        (
            "alerts/stranger",
            event(1, alert="stranger", suppressed=2),
            "alert",
            "stranger, suppressed: 2",
        ),
        (
            "result",
            {"id": "1", "command": "unlock", "by": "ada", "result": "denied"},
            "result",
            "command: unlock, by: ada, result: denied",
        ),
    ],
)
def test_alerts_and_results_are_shown(
    name: str, values: dict[str, Any], kind: str, text: str
) -> None:
    (line,) = said(Follower("lockd"), name, **values)
    assert (line.kind, line.text) == (kind, text)


def test_availability_and_pictures_are_shown() -> None:
    follower = Follower("our/doors")
    (word,) = follower.hear("our/doors/front/availability", b"online")
    (picture,) = follower.hear("our/doors/front/snapshot", b"\xff\xd8" * 6000)
    assert (word.door, word.text, picture.text) == ("front", "online", "a picture, 12.0 kB")


def test_what_is_missing_late_or_double_is_told() -> None:
    follower = Follower("lockd")
    seqs = [3, 4, 7, 7, 6, 8]
    lines = [line for seq in seqs for line in said_event(follower, event(seq))]
    lines += said_event(follower, event(9, series="another", delayed=True))
    assert [(line.kind, line.marks) for line in lines] == [
        ("event", ()),
        ("event", ()),
        ("gap", ()),
        ("event", ()),
        ("event", ("seen before",)),
        ("event", ("out of order",)),
        ("event", ()),
        ("event", ("delayed",)),
    ]
    assert lines[2].text == "2 events are missing here"


def said_event(follower: Follower, values: dict[str, Any]) -> list[Line]:
    return follower.hear("lockd/front/events", json.dumps(values).encode())


def test_the_alert_of_an_event_is_not_the_event_again() -> None:
    follower = Follower("lockd")
    said_event(follower, event(1))
    (line,) = follower.hear("lockd/front/alerts/stranger", json.dumps(event(1)).encode())
    assert line.marks == ()


def test_how_long_a_lock_out_lasts_is_no_reason() -> None:
    values = {"type": "locked_out", "id": "a", "reason": "30 s"}
    (line,) = said_event(Follower("lockd"), values)
    assert line.text == "locked_out, for: 30 s"


def test_what_a_command_says_of_its_progress_is_new_each_time() -> None:
    follower = Follower("lockd")
    told = [{"taken": 1, "left_s": 9}, {"taken": 2, "left_s": 8}, {"taken": 2, "left_s": 8}]
    lines = [
        said(follower, "result", id="a7", command="enrol", result="ok", stage="progress", **one)
        for one in told
    ]
    assert [line.marks for (line,) in lines] == [(), (), ("seen before",)]


def test_a_series_goes_on_after_another_came_between() -> None:
    follower = Follower("lockd")
    said_event(follower, event(1))
    said_event(follower, event(1, id="other", series="while the store was away"))
    lines = said_event(follower, event(3))
    assert [line.kind for line in lines] == ["gap", "event"]


def test_each_door_has_numbers_of_its_own() -> None:
    follower = Follower("lockd")
    said_event(follower, event(1))
    lines = follower.hear("lockd/back/events", json.dumps(event(9, id="x")).encode())
    assert [line.kind for line in lines] == ["event"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_what_is_no_message_of_a_door_is_a_line_too(payload: bytes) -> None:
    (line,) = Follower("lockd").hear("lockd/front/events", payload)
    assert line.kind == "unreadable"
    assert len(line.text) < 400


HOSTILE = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(
        st.one_of(
            st.sampled_from(["type", "person", "id", "seq", "series", "utc", "delayed"]), st.text()
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=4,
        ),
        max_size=6,
    ).map(lambda values: json.dumps(values).encode()),
)
NAMES = st.sampled_from(
    ["events", "state", "availability", "alerts/x", "result", "snapshot", "other", "\x1b[2J"]
)


@hypothesis_settings(max_examples=40)
@given(st.lists(st.tuples(NAMES, st.text(max_size=5), HOSTILE), max_size=5))
def test_nothing_in_a_payload_reaches_the_terminal_but_printable_text(
    messages: list[tuple[str, str, bytes]],
) -> None:
    follower = Follower("lockd")
    console = Console(file=open(os.devnull, "w"), force_terminal=True, color_system=None)  # noqa: SIM115
    with console.file, console.capture() as capture:
        for name, door, payload in messages:
            for line in follower.hear(f"lockd/{door}/{name}", payload):
                assert line.text.isprintable()
                console.print(for_people(line, datetime.now(UTC), None), soft_wrap=True)
                json.dumps(for_programs(line, Heard(name, payload, False)), allow_nan=False)
    assert all(char.isprintable() or char == "\n" for char in capture.get())


def test_what_is_remembered_is_bounded() -> None:
    follower = Follower("lockd")
    for number in range(1_100):
        said(follower, "state", at=f"door-{number}", lock="LOCKED")
    assert said(follower, "state", at="door-100", lock="LOCKED") == []
    assert said(follower, "state", at="door-99", lock="LOCKED") != []
    for number in range(10_100):
        said_event(follower, event(1, id=f"{number}"))
    assert "seen before" in said_event(follower, event(1, id="100"))[-1].marks
    assert "seen before" not in said_event(follower, event(1, id="99"))[-1].marks


def test_a_delayed_event_tells_its_own_time() -> None:
    now = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
    (line,) = said_event(Follower("lockd"), event(1, delayed=True))
    (older,) = said_event(Follower("lockd"), event(1, delayed=True, utc="2026-11-21T15:00:00.000Z"))
    assert for_people(line, now, "front").plain.endswith("[delayed, of 15:00:00]")
    assert for_people(older, now, "front").plain.endswith("[delayed, of 2026-11-21 15:00:00]")


# With a broker


def test_a_broken_connection_is_made_again_and_said(mosquitto: Mosquitto) -> None:
    settings = MqttSettings(host="127.0.0.1", port=mosquitto.port)
    sayings: list[str] = []
    heard: list[bytes] = []

    class EnoughError(Exception):
        pass

    def say(text: str) -> None:
        sayings.append(text)
        if text.startswith("connected"):
            with Visitor(settings, "door") as door:
                door.publish("lockd/front/events", f"{len(sayings)}".encode())

    def hear(message: Heard) -> None:
        heard.append(message.payload)
        if len(heard) == 2:
            raise EnoughError
        mosquitto.stop()

    with pytest.raises(EnoughError):
        follow(settings, ["lockd/front/events"], hear, say, lambda _: mosquitto.start())

    assert heard == [b"1", b"3"]
    assert [text.split(" ")[0] for text in sayings] == ["connected", "mqtt:", "connected"]
    assert "trying again in" in sayings[1]


def test_no_broker_at_the_start_ends_the_command() -> None:
    with pytest.raises(BusError, match="is the broker running"):
        follow(MqttSettings(host="127.0.0.1", port=free_port()), ["x"], print, print)


def test_the_command_follows_a_door_until_it_is_interrupted(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    config = tmp_path / "lockd.yaml"
    config.write_text(f"door: {{id: front}}\nmqtt: {{host: 127.0.0.1, port: {mosquitto.port}}}\n")
    command = [sys.executable, "-m", "lockd", "watch", "--config", config, "--json"]
    errors = tmp_path / "errors"
    with (
        errors.open("w") as file,
        running(*command, stdout=subprocess.PIPE, stderr=file, text=True) as watching,
    ):
        assert watching.stdout is not None
        eventually(lambda: "connected" in errors.read_text())
        settings = MqttSettings(host="127.0.0.1", port=mosquitto.port)
        with Visitor(settings, "door") as door:
            door.publish("lockd/back/availability", b"online")
            door.publish("lockd/front/availability", b"online")
        line = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE_S) == 0
    assert (line["door"], line["message"]) == ("front", {"availability": "online"})
    assert errors.read_text().splitlines()[1:] == ["ended"]


# Finding the broker


def refused(run: Callable[..., Any], *options: object) -> tuple[int, str]:
    result = run(main, "watch", *options)
    return result.exit_code, result.stderr


def test_without_a_broker_the_way_out_is_told(tmp_path: Path) -> None:
    code, error = refused(invoke)
    assert (code, "--host" in error) == (10, True)


def test_options_are_checked_as_settings_are(tmp_path: Path) -> None:
    file = tmp_path / "password"
    code, error = refused(invoke, "--host", "x", "--password-file", file)
    assert (code, "password_file without username" in error) == (3, True)
    code, error = refused(invoke, "--host", "x", "--cert", file)
    assert (code, "cert_file and key_file belong together" in error) == (3, True)


def test_a_host_given_leaves_the_configuration_alone_and_others_change_it(tmp_path: Path) -> None:
    config = tmp_path / "lockd.yaml"
    config.write_text(
        "door: {id: front}\n"
        "mqtt: {host: broker.lan, username: door, password_file: word, tls: {ca_file: ca.crt}}\n"
    )
    assert of("--config", config, "--user", "ada", "--password-file", "mine") == (
        "front",
        "broker.lan",
        1883,
        "ada",
        Path("mine"),
        tmp_path / "ca.crt",
    )
    assert of("--config", config, "--host", "other", "--tls") == (
        None, "other", 8883, None, None, None,
    )  # fmt: skip
    assert of("--host", "other", "--door", "back", "--ca", "x", "--port", "9")[:3] == (
        "back",
        "other",
        9,
    )


def of(*options: object) -> tuple[Any, ...]:
    """What a command is told for these options."""
    import click

    from lockd.commands.broker_options import Broker, broker_options
    from lockd.console import reported

    told: list[Broker] = []

    @click.command()
    @reported
    @broker_options
    def command(broker: Broker) -> None:
        told.append(broker)

    assert invoke(command, *options).exit_code == 0
    settings, tls = told[0].settings, told[0].settings.tls
    return (
        told[0].door,
        settings.host,
        settings.port,
        settings.username,
        settings.password_file,
        tls.ca_file if tls else None,
    )


def test_no_option_takes_a_password() -> None:
    for command in main.commands.values():
        for option in command.params:
            assert option.name != "password"
