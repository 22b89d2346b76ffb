"""`lockd home-assistant`: what Home Assistant is told of the door, and taking it back."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lockd import __version__
from lockd.config import Settings, find, load
from lockd.console import Group, config_option, err, reported
from lockd.errors import BusError
from lockd.messages import Topics
from lockd.publishing.home_assistant import config_topic, discovery


@click.group("home-assistant", cls=Group)
def home_assistant() -> None:
    """Show the door in Home Assistant, or no longer; see docs/home-assistant.md."""


@home_assistant.command()
@config_option
@reported
def show(config_file: Path | None) -> None:
    """Print the message that makes the door show up, and on standard error its topic.

    Nothing is published: a running service does that, once mqtt.home_assistant.discovery is on.
    """
    settings = load(find(config_file))
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    err.print(f"topic: {config_topic(settings)} (retained)", markup=False)
    message = discovery(settings, topics, __version__)
    click.echo(json.dumps(message, ensure_ascii=False, indent=2))


@home_assistant.command()
@config_option
@reported
def remove(config_file: Path | None) -> None:
    """Take the door out of Home Assistant: its device, and everything it shows.

    Do this before door.id, mqtt.base_topic or the prefix change, for they name it.
    """
    from lockd.adapters.mqtt.visitor import Visitor  # noqa: PLC0415

    settings = load(find(config_file))
    _check(settings)
    topic = config_topic(settings)
    with Visitor(settings.mqtt, "home-assistant") as visitor:
        visitor.publish(topic, b"", retain=True)
    err.print(f"removed: {topic}", markup=False)


def _check(settings: Settings) -> None:
    if settings.mqtt.host is None:
        raise BusError("mqtt.host is not set; say which broker Home Assistant listens to")
    if settings.mqtt.home_assistant.discovery:
        raise BusError(
            "mqtt.home_assistant.discovery is on, so lockd would announce the door again; set it "
            "to false, reload the service (systemctl reload lockd), and remove it then"
        )
