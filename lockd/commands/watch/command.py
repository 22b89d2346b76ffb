"""The command `lockd watch`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.console import Console

from lockd.commands.broker_options import Broker, broker_options
from lockd.console import err, printable, reported

if TYPE_CHECKING:
    from lockd.adapters.mqtt.visitor import Heard


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.option("--events-only", is_flag=True, help="No state, alerts, results and pictures.")
@reported
@broker_options
def watch(broker: Broker, as_json: bool, events_only: bool) -> None:
    """Follow a door live, from anywhere: what it is, and what happens at it.

    Without --door, and with --host, every door's. An event that waited for the network is
    marked as delayed, one that came twice as seen before, and missing ones are told. Should
    the connection break it is made again. Ctrl-C ends it.
    """
    from lockd.commands.watch.follow import follow, for_people, for_programs  # noqa: PLC0415
    from lockd.commands.watch.lines import Follower  # noqa: PLC0415

    follower = Follower(broker.settings.base_topic)
    console = Console(highlight=False, soft_wrap=True)

    def hear(heard: Heard) -> None:
        for line in follower.hear(heard.topic, heard.payload):
            if as_json:
                click.echo(json.dumps(for_programs(line, heard)))
            else:
                console.print(for_people(line, datetime.now().astimezone(), broker.door))

    topics = follower.topics(broker.door, events_only=events_only)
    try:
        follow(broker.settings, topics, hear, lambda text: err.print(printable(text), markup=False))
    except KeyboardInterrupt:
        err.print("ended")
