"""`lockd fleet`: found a fleet, look at it, leave it; throw a door out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from enroll.opened import sure
from lockd.adapters.mqtt.visitor import Visitor
from lockd.adapters.store import Store
from lockd.adapters.store import opened as open_store
from lockd.commands.fleet.joining import invite, join
from lockd.config import Settings, find, load
from lockd.console import Group, administrator, config_option, counted, err, reported
from lockd.errors import BusError, PersonError, StoreError
from lockd.fleet.charter import CHARTER, DOORS, KEYS, Certificate, Report
from lockd.fleet.sealing import Refused, id_of
from lockd.fleet.state import found
from lockd.messages import utc_text
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_root import at_once, members, must_have_root, rotate, throw_out

_WAIT_S = 2.0
_LATE_S = 2 * 3600.0


@click.group(cls=Group)
def fleet() -> None:
    """Have the same people at several doors; see docs/fleet.md."""


fleet.add_command(invite)
fleet.add_command(join)


@contextmanager
def _opened(config_file: Path | None) -> Iterator[tuple[Settings, Store, FleetBook]]:
    settings = load(find(config_file))
    with open_store(settings.store, writable=True) as store:
        yield settings, store, FleetBook(store)


@fleet.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@reported
def init(yes: bool, config_file: Path | None) -> None:
    """Found a fleet at this door; its people become everybody's.

    This door gets the root key, which lets other doors in and throws them out: back it up
    (`lockd backup`).
    """
    settings = load(find(config_file))
    with open_store(settings.store, make=True) as store:
        count = len(store.people.all())
        sure(f"Share {counted(count, 'person')} with all doors that will join?", yes)
        book = FleetBook.begin(store, found(settings.door.id, int(time.time())))
        root = id_of(book.state.root)
    click.echo(f"Founded the fleet {root}. Back this door up: it alone has the root key.")
    _advise(settings)


def _advise(settings: Settings) -> None:
    if not settings.fleet.enabled:
        err.print("set fleet.enabled: true in the configuration, and reload the service")


@fleet.command()
@click.option("--keep-people", "keep", is_flag=True, help="As this door's own.")
@click.option("--remove-people", "remove", is_flag=True, help="Forget the fleet's.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@reported
def leave(keep: bool, remove: bool, yes: bool, config_file: Path | None) -> None:
    """Leave the fleet: its keys are forgotten here.

    Whoever is kept stays enrolled here, though they are removed elsewhere. The door still knew the
    fleet's key: change it (`lockd fleet rotate-key`) where that matters.
    """
    if keep == remove:
        raise click.UsageError("say --keep-people or --remove-people")
    settings = load(find(config_file))
    with open_store(settings.store, writable=True) as store:
        book = None
        with suppress(StoreError):  # what was altered is left all the same
            book = FleetBook(store)
        if book is not None and book.state.root_key:
            others = len(book.state.members) - 1 - len(book.replica.charter.revoked)
            if others > 0:
                err.print("this door has the root key: nobody can let doors in or throw them out")
        sure("Leave the fleet?", yes)
        if book is not None:
            said, _ = book.report(int(time.time()), None, left=True)
            _publish(settings, {said.topic: said.message})
        gone = store.fleet.end(by=administrator(), removing=lambda _: remove)
    click.echo(f"Left the fleet; {counted(len(gone), 'person')} removed.")


@fleet.command()
@click.option("--wait", "wait_s", type=click.FloatRange(0.1, 60.0), default=_WAIT_S,
              help="Seconds to wait for what doors report.", show_default=True)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@reported
def status(wait_s: float, as_json: bool, config_file: Path | None) -> None:
    """Say what each door holds, and who lags behind this one.

    All doors are known where the fleet was founded; elsewhere those that report.
    """
    with _opened(config_file) as (settings, _, book):
        reports = _reports(settings, book, wait_s)
        rows = [_row(book, key, *one) for key, one in _everybody(book, reports).items()]
        summary = {
            "fleet": id_of(book.state.root),
            "people": book.replica.count(),
            "problem": book.replica.problem(),
            "doors": sorted(rows, key=lambda one: str(one["door"])),
        }
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(f"fleet {summary['fleet']}: {counted(book.replica.count(), 'person')} here")
    for row in sorted(rows, key=lambda one: str(one["door"])):
        click.echo(f"  {row['door']:20} {row['key']}  {row['says']}")


def _reports(
    settings: Settings, book: FleetBook, wait_s: float
) -> dict[str, tuple[Certificate, Report]]:
    base = settings.fleet.base_topic
    found = {}
    with Visitor(settings.mqtt, "fleet") as visitor:
        visitor.subscribe(f"{base}/{DOORS}/+/report")
        for heard in visitor.messages(wait_s):
            topic = heard.topic.removeprefix(f"{base}/")
            with suppress(Refused):
                found[topic.split("/")[1]] = book.open_report(topic, heard.payload)
    return found


def _everybody(
    book: FleetBook, reports: Mapping[str, tuple[Certificate, Report]]
) -> dict[str, tuple[str, Report | None]]:
    known: dict[str, tuple[str, Report | None]] = {
        key: (one.door, None)
        for key, one in members(book.state).items()
        if key not in book.replica.charter.revoked
    }
    known |= {key: (one.door, report) for key, (one, report) in reports.items()}
    own = book.report(int(time.time()), book.replica.problem())[1]
    known[book.state.me] = book.state.door, own
    return known


def _row(book: FleetBook, key: str, door: str, report: Report | None) -> dict[str, Any]:
    """What is shown of a door, and told to programs."""
    row: dict[str, Any] = {"door": door, "key": key, "lags": True}
    if report is None:
        return {**row, "says": "has never reported; is fleet.enabled set there, and is it on?"}
    wants = []
    if report.left:
        wants.append("has left")
    behind = sum(
        max(0, count - report.gone.get(by, 0)) for by, (count, _) in book.state.gone.items()
    )
    if behind:
        wants.append(f"does not know of {counted(behind, 'removal')}")
    if report.digest != book.replica.digest() and not behind:
        wants.append("has other people than this door")
    if report.charter < book.replica.charter.counter:
        wants.append("has an older list of who may sign")
    if report.epoch < max(book.state.keys):
        wants.append("has an older key")
    if report.problem:
        wants.append(f"says {report.problem}")
    age_s = time.time() - report.time
    row |= {
        "people": report.people,
        "lags": bool(wants),
        "late": age_s > _LATE_S,
        "utc": utc_text(datetime.fromtimestamp(report.time, UTC), timespec="seconds"),
    }
    says = f"{report.people} people, {'; '.join(wants) or 'as here'}"
    return {**row, "says": f"{says} ({row['utc']})"}


@fleet.command()
@click.option("--by", "door", metavar="DOOR", help="Only whom this door had signed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@reported
def people(door: str | None, as_json: bool, config_file: Path | None) -> None:
    """Show whom the doors share, and which door signed them."""
    with _opened(config_file) as (_, store, book):
        names = {one.person.id: one.person.name for one in store.people.all()}
        doors = {key: one.door for key, one in members(book.state).items()}
        rows = []
        for id_ in book.replica.people():
            version = book.replica.version(id_)
            if version is not None and door in (None, version.by, doors.get(version.by)):
                utc = utc_text(datetime.fromtimestamp(version.time, UTC), timespec="seconds")
                rows.append(
                    {
                        "id": id_,
                        "name": names.get(id_),
                        "by": doors.get(version.by, version.by),
                        "utc": utc,
                        "enabled": not version.disabled,
                    }
                )
    rows.sort(key=lambda one: str(one["name"]))
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        state = "" if row["enabled"] else "  (disabled)"
        click.echo(f"{row['name'] or '(not known here)'}  {row['by']}  {row['utc']}{state}")


@fleet.command()
@click.argument("door")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@reported
def revoke(door: str, yes: bool, config_file: Path | None) -> None:
    """Throw DOOR out: nothing that it signs counts any more, and the others get another key.

    DOOR is its id, or the name of its key as `status` shows it. This door vouches for whom it had
    signed, and lists them: look through it, for whoever stole a door may have enrolled somebody.
    """
    with _opened(config_file) as (settings, store, book):
        key = _key_of(book, door)
        sure(f"Throw {door} ({key}) out?", yes)
        theirs = at_once(book, lambda: throw_out(book, key, int(time.time())))
        names = {one.person.id: one.person.name for one in store.people.all()}
        _publish_keys(settings, book)
    click.echo(f"Threw {door} out.")
    for one in theirs:
        click.echo(f"had signed: {names.get(one, one)}")


def _key_of(book: FleetBook, door: str) -> str:
    must_have_root(book.state)
    revoked = book.replica.charter.revoked
    found = [
        key
        for key, one in members(book.state).items()
        if door in (key, one.door) and key not in revoked
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise PersonError(f"{door!r}: no such door is in the fleet; see `lockd fleet status`")
    raise PersonError(f"{door!r}: is the id of several doors; name its key: {', '.join(found)}")


@fleet.command("rotate-key")
@config_option
@reported
def rotate_key(config_file: Path | None) -> None:
    """Give the fleet another key; all that is shared is sealed with it anew."""
    with _opened(config_file) as (settings, _, book):
        epoch = at_once(book, lambda: rotate(book))
        _publish_keys(settings, book)
    click.echo(f"The fleet has key {epoch} now.")


def _publish_keys(settings: Settings, book: FleetBook) -> None:
    """Publish keys and charter at once; the service publishes all else."""
    topics = [one for one in book.all_held() if one.startswith(f"{KEYS}/")]
    messages = {one: book.message(one) or b"" for one in topics}
    _publish(settings, {**messages, CHARTER: book.charter().message})


def _publish(settings: Settings, messages: Mapping[str, bytes]) -> None:
    try:
        with Visitor(settings.mqtt, "fleet") as visitor:
            for topic, message in messages.items():
                visitor.publish(f"{settings.fleet.base_topic}/{topic}", message, retain=True)
    except BusError as error:
        err.print(f"{error}; the service publishes it when it reaches the broker", markup=False)
