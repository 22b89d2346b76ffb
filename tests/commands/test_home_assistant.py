"""`lockd home-assistant`, and the blueprints that come with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.publish
import pytest
import yaml

from lockd.commands.main import main
from lockd.config import Settings, load
from lockd.messages import Topics
from lockd.paths import shipped
from lockd.publishing import home_assistant
from tests.brokers import Mosquitto, Subscriber
from tests.conftest import ROOT
from tests.invoking import invoke
from tests.patience import eventually

BLUEPRINTS = sorted(shipped("config/home_assistant").glob("*.yaml"))


def configured(tmp_path: Path, *, discovery: bool, **mqtt: Any) -> Path:
    file = tmp_path / "lockd.yaml"
    mqtt["home_assistant"] = {"discovery": discovery}
    file.write_text(yaml.safe_dump({"door": {"id": "front_door"}, "mqtt": mqtt}))
    return file


def test_the_message_is_shown_without_a_broker(tmp_path: Path) -> None:
    file = configured(tmp_path, discovery=False)
    result = invoke(main, "home-assistant", "show", "--config", file)
    assert result.exit_code == 0
    message = json.loads(result.stdout)
    settings = load(file)
    topics = Topics("lockd", "front_door")
    assert message == home_assistant.discovery(settings, topics, message["o"]["sw"])
    assert "homeassistant/device/lockd_front_door/config" in result.stderr


def test_a_door_is_removed_by_an_empty_message_that_is_retained(
    tmp_path: Path, mosquitto: Mosquitto, subscribe: Callable[[int], Subscriber]
) -> None:
    file = configured(tmp_path, discovery=False, host="127.0.0.1", port=mosquitto.port)
    topic = home_assistant.config_topic(load(file))
    publish = partial(paho.mqtt.publish.single, hostname="127.0.0.1", port=mosquitto.port)
    publish(topic, "{}", retain=True)
    subscriber = subscribe(mosquitto.port)
    result = invoke(main, "home-assistant", "remove", "--config", file)
    assert result.exit_code == 0, result.output
    eventually(lambda: subscriber.of(topic) == [b"{}", b""])
    late = subscribe(mosquitto.port)
    publish("the/end", "")
    eventually(lambda: late.of("the/end"))
    assert late.of(topic) == []


def test_what_would_be_announced_again_is_not_removed(tmp_path: Path) -> None:
    file = configured(tmp_path, discovery=True, host="127.0.0.1", port=1)
    result = invoke(main, "home-assistant", "remove", "--config", file)
    assert result.exit_code == 10
    assert "set it to false" in " ".join(result.stderr.split())


def test_without_a_broker_there_is_nothing_to_remove_it_from(tmp_path: Path) -> None:
    file = configured(tmp_path, discovery=False)
    result = invoke(main, "home-assistant", "remove", "--config", file)
    assert result.exit_code == 10
    assert "mqtt.host" in result.stderr


class Input(str):
    """What a blueprint's user fills in."""


class Loader(yaml.SafeLoader):
    """YAML as Home Assistant has it."""


Loader.add_constructor("!input", lambda loader, node: Input(loader.construct_scalar(node)))


def inputs_of(part: Any) -> set[str]:
    if isinstance(part, Input):
        return {str(part)}
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return set().union(*(inputs_of(one) for one in parts))


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_uses_what_it_asks_for_and_asks_for_what_it_uses(file: Path) -> None:
    read = yaml.load(file.read_text("utf-8"), Loader)  # noqa: S506
    assert read["blueprint"]["domain"] == "automation"
    assert read["blueprint"]["homeassistant"]["min_version"] == "2024.11.0"
    assert inputs_of(read) == set(read["blueprint"]["input"])
    assert {"triggers", "actions", "mode"} <= read.keys()


def test_the_blueprints_are_those_that_the_documentation_names() -> None:
    text = (ROOT / "docs/home-assistant.md").read_text("utf-8")
    assert [file.name for file in BLUEPRINTS if file.name in text] == [
        "alert_door.yaml",
        "notify_stranger.yaml",
        "welcome_by_name.yaml",
    ]


def test_what_the_documentation_names_is_what_home_assistant_makes_of_our_names() -> None:
    every = Settings.model_validate(
        {
            "inputs": {"contact": {"pin": 24}, "tamper": {"pin": 25}},
            "mqtt": {
                "snapshot": {"of": "face"},
                "commands": {"plain": ["lock", "unlock", "lock-down", "lift"]},
            },
        }
    )
    found = home_assistant.discovery(every, Topics("lockd", "door"), "1")["cmps"]
    ids = {
        f"{one['p']}.front_door_{re.sub('[^a-z]+', '_', one['name'].lower())}"
        for one in found.values()
        if one.get("name")
    }
    text = (ROOT / "docs/home-assistant.md").read_text("utf-8")
    named = set(re.findall(r"(?:binary_sensor|button|event|image|sensor)\.front_door_\w+", text))
    assert len(named) > 10
    assert named <= ids


def test_the_automations_in_the_documentation_are_yaml() -> None:
    text = (ROOT / "docs/home-assistant.md").read_text("utf-8")
    blocks = [yaml.safe_load(block.split("```")[0]) for block in text.split("```yaml\n")[1:]]
    automations = [one for block in blocks if isinstance(block, list) for one in block]
    assert len(automations) == 3
    assert all({"alias", "triggers", "actions"} <= one.keys() for one in automations)
