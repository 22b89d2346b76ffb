"""Hear a door for as long as anybody watches, and show it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime

from rich.text import Text

from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.clock import Backoff
from lockd.commands.watch.lines import Line, happened
from lockd.config import MqttSettings
from lockd.console import printable
from lockd.errors import BusError

_KINDS = {
    "availability": "cyan",
    "state": "cyan",
    "event": "",
    "alert": "bold red",
    "result": "magenta",
    "snapshot": "blue",
    "gap": "yellow",
    "unreadable": "yellow",
}
_WORDS = {
    "asked": "bold yellow",
    "online": "green",
    "offline": "bold red",
    "access_granted": "green",
    "access_denied": "red",
    "stranger": "red",
    "spoof": "bold red",
    "door_forced": "bold red",
    "door_held": "red",
    "tamper": "bold red",
}
_RETRY_S = (1.0, 30.0)


def follow(
    settings: MqttSettings,
    topics: list[str],
    hear: Callable[[Heard], None],
    say: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Hear messages for ever, connecting again whenever the connection breaks.

    Args:
        hear: called with each message.
        say: told when the connection is made or lost.
        wait: waits before another attempt, for so many seconds.

    Raises:
        BusError: if the first connection cannot be made.
    """
    backoff = Backoff(*_RETRY_S, random.SystemRandom())
    began = False
    while True:
        try:
            with Visitor(settings, "watch") as visitor:
                visitor.subscribe(*topics)
                say(f"connected to {settings.host}:{settings.port} by MQTT {visitor.protocol}")
                began = True
                backoff.reset()
                for heard in visitor.messages():
                    hear(heard)
        except BusError as error:
            if not began:
                raise
            seconds = backoff.next()
            say(f"{error}; trying again in {seconds:.0f} s")
            wait(seconds)


def for_people(line: Line, now: datetime, door: str | None) -> Text:
    """Return a line for the terminal.

    Args:
        line: printable throughout.
        now: aware, in the zone to show times in.
        door: whose lines are shown without its name.
    """
    text = Text(f"{now:%H:%M:%S}  ", style="dim")
    if door is None:
        text.append(f"{printable(line.door):12}  ", style="")
    style = _WORDS.get(line.word, _KINDS[line.kind])
    text.append(f"{line.kind:12}  {line.text}", style=f"not dim {style}")
    for mark in line.marks:
        text.append(f"  [{mark}{_since(line, now) if mark == 'delayed' else ''}]", "not dim yellow")
    return text


def _since(line: Line, now: datetime) -> str:
    when = happened(line.values)
    if when is None:
        return ""
    local = when.astimezone(now.tzinfo)
    return f", of {local:%H:%M:%S}" if local.date() == now.date() else f", of {local:%F %H:%M:%S}"


def for_programs(line: Line, heard: Heard) -> dict[str, object]:
    """Return a line as JSON values; JSON itself escapes what a terminal would obey."""
    return {
        "kind": line.kind,
        "door": line.door,
        "topic": heard.topic,
        "retained": heard.retained,
        "marks": list(line.marks),
        "message": line.values or line.text,
    }
