"""`lockd history`: who came and what happened, from what the store keeps of it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from lockd.adapters.store import EventFilter, Store
from lockd.adapters.store import opened as open_store
from lockd.commands.options import json_option
from lockd.config import find, load
from lockd.console import Choice, config_option, counted, err, print_table, printable, reported
from lockd.messages import kinds
from lockd.publishing.wording import sentence

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHOWN = 100
COLUMNS = (
    "utc", "local", "type", "person", "person_id", "visit", "similarity", "proof", "reason",
    "again", "command", "by", "result", "trouble", "count", "door", "id",
)  # fmt: skip
"""Of the CSV; what an event does not have is empty."""


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.2 on
    """A day, a time, or how long ago, on the door's clock; a `datetime` with its zone."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta | time:
        """Return a time, which without a zone is the door's; how long ago; or when today."""
        text = str(value).strip()
        if ago := re.fullmatch(r"(\d{1,4})([mhdw])", text):
            return timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            if re.fullmatch(r"\d\d:\d\d", text):
                return time.fromisoformat(text)
            return datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is no time; use 2026-11-28, '2026-11-28 08:15', 08:15 for today, or "
                "90m, 12h, 7d or 2w for so long ago",
                param,
                ctx,
            )


@click.command()
@click.option("--today", is_flag=True, help="Only today, on the door's clock.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day.")
@click.option("--since", type=Moment(), help="From then on: a day, a time, or 12h for so long ago.")
@click.option("--until", type=Moment(), help="Before then.")
@click.option("--person", metavar="NAME", help="Only of somebody: a name, or a person's id.")
@click.option(
    "--kind",
    "wanted",
    multiple=True,
    type=Choice(list(kinds())),
    metavar="KIND",
    help="Only visits (visit), what the door did (door), alerts (alert), what is of the system "
    "(system), or one kind of event, such as stranger. May be given several times.",
)
@click.option("--limit", type=click.IntRange(1), help=f"At most so many. [default: {_SHOWN}; all "
              "with --csv or --json]")  # fmt: skip
@click.option("--offset", type=click.IntRange(0), default=0, help="Pass over so many of the last.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@json_option
@config_option
@reported
def history(
    today: bool,
    day: datetime | None,
    since: datetime | timedelta | time | None,
    until: datetime | timedelta | time | None,
    person: str | None,
    wanted: Sequence[str],
    limit: int | None,
    offset: int,
    as_csv: bool,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Show who came, and what happened at the door, the last first.

    The store keeps it for `store.keep_events_days`, 30 by default.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    if today + (day is not None) + (since is not None or until is not None) > 1:
        raise click.UsageError("--today, --day, and --since or --until exclude each other")
    settings = load(find(config_file))
    zone = settings.access.zone()
    look = EventFilter(
        _moment(since, zone),
        _moment(until, zone),
        {one.value for kind in wanted for one in kinds()[kind]},
        person,
    )
    if today or day is not None:
        start = datetime.combine((day or datetime.now(zone)).date(), time())
        look = replace(look, since=_at(start, zone), until=_at(start + timedelta(days=1), zone))
    everything = as_csv or as_json
    with open_store(settings.store) as store:
        most = limit or (None if everything else _SHOWN)
        events = store.events.find(look, limit=most, offset=offset)
        left = 0 if everything else store.events.count(look) - offset - len(events)
        if person is not None and not events:
            _who(store, person)
    if as_json:
        click.echo(json.dumps(events, ensure_ascii=False))
    elif as_csv:
        click.echo(as_table(events, zone), nl=False)
    else:
        _show(events, zone, left, settings.store.keep_events_days)


def as_table(events: Sequence[dict[str, Any]], zone: tzinfo | None) -> str:
    """Return events as CSV (RFC 4180), with the times in a zone, None for the machine's, too.

    A cell that a spreadsheet would take for a formula has an apostrophe before it.
    """
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(COLUMNS)
    for event in events:
        row = {**event, "local": _local(event, zone)}
        table.writerow(_harmless(row.get(name, "")) for name in COLUMNS)
    return written.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _moment(when: datetime | timedelta | time | None, zone: tzinfo | None) -> datetime | None:
    now = datetime.now(zone)
    if isinstance(when, timedelta):
        return now.astimezone() - when
    if isinstance(when, time):
        when = datetime.combine(now.date(), when)
    return when and _at(when, zone)


def _at(when: datetime, zone: tzinfo | None) -> datetime:
    """A time that says no zone, in the door's; None is the machine's."""
    if not 1970 <= when.year < 9999:
        raise click.UsageError(f"{when.date()}: no door was there then")
    if when.tzinfo is not None:
        return when
    return when.astimezone() if zone is None else when.replace(tzinfo=zone)


def _local(event: dict[str, Any], zone: tzinfo | None) -> str:
    """When an event was, on the door's clock; as it is written if that is no time."""
    try:
        when = datetime.fromisoformat(str(event.get("utc")))
    except ValueError:
        return str(event.get("utc", ""))
    return when.astimezone(zone).isoformat(" ", "seconds")[:19]


def _who(store: Store, person: str) -> None:
    """Say so if nobody is called that; there may be events of somebody who is gone.

    Raises:
        PersonError: if nobody is.
    """
    if not store.events.count(EventFilter(person=person)):
        store.people.named(person)


def _show(events: Sequence[dict[str, Any]], zone: tzinfo | None, left: int, days: int) -> None:
    if not events:
        click.echo("Nothing of that kind is kept.")
        if not days:
            err.print("nothing is kept at all: store.keep_events_days is 0", style="yellow")
        return
    table = Table("Time", "What")
    for event in events:
        table.add_row(_local(event, zone), escape(printable(sentence(event))))
    print_table(table, "Time")
    if left > 0:
        err.print(f"{counted(left, 'more event')}; see --limit, or --since", style="dim")
