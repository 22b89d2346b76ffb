"""`lockd fleet invite` and `join`: a door comes in, by a code or by files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from enroll.opened import sure
from lockd.adapters.mqtt.visitor import Visitor
from lockd.adapters.store import Store, Vault
from lockd.adapters.store import opened as open_store
from lockd.adapters.store.vault import SealError
from lockd.config import Settings, find, load
from lockd.console import config_option, counted, err, reported
from lockd.errors import BusError, StoreError, TransferError
from lockd.files import UnreadableError, acting_for, read_file, write_over
from lockd.fleet.joining import (
    LONGEST,
    Channel,
    Commitment,
    Invitation,
    Inviter,
    Newcomer,
    Request,
    admitted_by_file,
    code_of,
    commitment,
    digits,
    new_code,
    read,
    said,
)
from lockd.fleet.sealing import Refused, id_of, new_boxer, new_signer
from lockd.fleet.state import State
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_root import at_once, must_have_root

_AGAIN_S = 2.0
_MINUTES = click.option("--minutes", type=click.FloatRange(0.05, 60), default=10.0,
                        show_default=True, help="How long to wait for the other door.")  # fmt: skip
_FILE = click.Path(path_type=Path, dir_okay=False)
_PENDING = "fleet-request"


class _Meeting:
    """What both doors say to each other under a code."""

    def __init__(self, visitor: Visitor, base: str, channel: Channel, minutes: float) -> None:
        self._visitor, self._base, self._channel = visitor, base, channel
        self._until = time.monotonic() + 60 * minutes

    def listen(self, topic: str) -> None:
        self._visitor.subscribe(f"{self._base}/{topic}")

    def say(self, topic: str, step: int, what: bytes) -> None:
        self._visitor.publish(f"{self._base}/{topic}", self._channel.wrapped(topic, step, what))

    def hear(self, topic: str, step: int, again: Callable[[], None] = lambda: None) -> bytes:
        """Wait for a step; say something again now and then meanwhile.

        Raises:
            BusError: if it does not come in time.
        """
        while time.monotonic() < self._until:
            again()
            for heard in self._visitor.messages(_AGAIN_S):
                if heard.topic == f"{self._base}/{topic}":
                    found = self._channel.unwrapped(topic, step, heard.payload)
                    if found is not None:
                        return found
        raise BusError("the other door did not answer in time; begin anew at both")


@contextmanager
def _meeting(settings: Settings, code: str, minutes: float) -> Iterator[tuple[_Meeting, Channel]]:
    channel = Channel(code)
    with Visitor(settings.mqtt, "fleet") as visitor:
        yield _Meeting(visitor, settings.fleet.base_topic, channel, minutes), channel


@contextmanager
def _sense() -> Iterator[None]:
    """What the other door says and makes no sense is an error of lockd's."""
    try:
        yield
    except Refused as refused:
        raise TransferError(
            f"what came of the other door cannot be used ({refused.reason}); nothing was changed; "
            "begin anew at both"
        ) from None


@click.command()
@click.option("--enrols", is_flag=True, help="The door may enrol and remove for all.")
@click.option("--request", "request_file", type=_FILE, help="A file of `lockd fleet join`.")
@click.option("--answer", "answer_file", type=_FILE, help="The new file that answers it.")
@_MINUTES
@click.option("--yes", is_flag=True, help="Do not ask about a request in a file.")
@config_option
@reported
def invite(
    enrols: bool,
    request_file: Path | None,
    answer_file: Path | None,
    minutes: float,
    yes: bool,
    config_file: Path | None,
) -> None:
    """Let one door into the fleet, at the door that founded it.

    Without files this prints a code for `lockd fleet join CODE` at the other door, and waits for
    it; then both show six digits: compare them.
    """
    if (request_file is None) != (answer_file is None):
        raise click.UsageError("--request and --answer belong together")
    settings = load(find(config_file))
    with open_store(settings.store, writable=True) as store:
        book = FleetBook(store)
        must_have_root(book.state)
        if request_file is not None and answer_file is not None:
            _invite_by_file(book, request_file, answer_file, enrols=enrols, yes=yes)
        else:
            code = new_code()
            click.echo(f"At the other door: lockd fleet join {code}")
            with _meeting(settings, code_of(code), minutes) as (meeting, channel), _sense():
                door = _invite(book, meeting, channel, enrols=enrols)
            click.echo(f"{door} is in the fleet {id_of(book.state.root)}.")


def _invite(book: FleetBook, meeting: _Meeting, channel: Channel, *, enrols: bool) -> str:
    inviter = Inviter()
    meeting.listen(channel.to_fleet)
    committed = read(Commitment, meeting.hear(channel.to_fleet, 1))
    invitation = said(inviter.invitation)
    request = read(
        Request,
        meeting.hear(channel.to_fleet, 3, lambda: meeting.say(channel.to_door, 2, invitation)),
    )
    if commitment(request) != committed.commit:
        raise Refused("commitment")
    click.echo(f"{request.door}: {digits(request, inviter.invitation)}")
    click.confirm("Does the other door show the same digits?", abort=True)
    now = int(time.time())
    answer = _admit(book, lambda: inviter.admitted(book.state, request, enrols=enrols, time=now))
    meeting.hear(channel.to_fleet, 5, lambda: meeting.say(channel.to_door, 4, answer))
    return request.door


def _admit(book: FleetBook, admitted: Callable[[], bytes]) -> bytes:
    """Let a door in, and write down that it is."""

    def done() -> bytes:
        answer = admitted()
        book.replica.adopt(book.state.charter)
        book.save()
        return answer

    return at_once(book, done)


def _invite_by_file(
    book: FleetBook, request_file: Path, answer_file: Path, *, enrols: bool, yes: bool
) -> None:
    with _sense():
        request = read(Request, _read(request_file))
        name = id_of(bytes.fromhex(request.sign))
        sure(f"Is {name} the key that {request.door} shows?", yes)
        _write(answer_file, b"")  # before anything is changed
        now = int(time.time())
        try:
            answer = _admit(
                book, lambda: admitted_by_file(book.state, request, enrols=enrols, time=now)
            )
        except BaseException:
            answer_file.unlink()
            raise
    _write(answer_file, answer, new=False)
    root = id_of(book.state.root)
    click.echo(f"{request.door} ({name}) may join the fleet {root} with {answer_file}.")


@click.command()
@click.argument("code", required=False)
@click.option("--request", "request_file", type=_FILE, help="Write a new file to be let in by.")
@click.option("--answer", "answer_file", type=_FILE, help="Join by the file that answers it.")
@click.option(
    "--share-people", "share", flag_value=True, type=bool, help="Keep this door's people."
)
@click.option("--remove-people", "remove", is_flag=True, help="Forget them first.")
@_MINUTES
@click.option("--yes", is_flag=True, help="Do not ask about an answer in a file.")
@config_option
@reported
def join(
    code: str | None,
    request_file: Path | None,
    answer_file: Path | None,
    share: bool,
    remove: bool,
    minutes: float,
    yes: bool,
    config_file: Path | None,
) -> None:
    """Join a fleet: by the CODE that `lockd fleet invite` shows, or by files.

    People who are enrolled here already become everybody's if the door may enrol, and stay its own
    if it may not.
    """
    if sum(one is not None for one in (code, request_file, answer_file)) != 1:
        raise click.UsageError("give a code, --request or --answer, one of them")
    settings = load(find(config_file))
    with open_store(settings.store, make=True) as store:
        if store.fleet.stamp():
            raise StoreError("this door is in a fleet already; `lockd fleet leave` first")
        vault = Vault.open(settings.store)
        if request_file is not None:
            _request(settings, vault, request_file)
            return
        _see_to_people(store, said=share != remove)
        if answer_file is not None:
            state = _joined_by_file(settings, vault, answer_file, yes=yes)
        else:
            with _sense():
                typed = code_of(code or "")
            with _meeting(settings, typed, minutes) as (meeting, channel), _sense():
                state = _join(settings, meeting, channel)
        if remove:
            for one in store.people.all():
                store.people.remove(one.person.name, by="fleet")
        book = FleetBook.begin(store, state)
    (settings.store.path().parent / _PENDING).unlink(missing_ok=True)
    may = "may enrol for all" if book.replica.administers else "may not enrol for others"
    click.echo(f"Joined the fleet {id_of(state.root)}; this door {may}.")
    if not settings.fleet.enabled:
        err.print("set fleet.enabled: true in the configuration, and reload the service")


def _see_to_people(store: Store, *, said: bool) -> None:
    count = len(store.people.all())
    if count and not said:
        raise click.UsageError(
            f"{counted(count, 'person')} enrolled here: say --share-people or --remove-people"
        )


def _join(settings: Settings, meeting: _Meeting, channel: Channel) -> State:
    newcomer = Newcomer(settings.door.id, new_signer(), new_boxer())
    meeting.listen(channel.to_door)
    commit, request = said(newcomer.commitment()), said(newcomer.request)
    heard = meeting.hear(channel.to_door, 2, lambda: meeting.say(channel.to_fleet, 1, commit))
    invitation = read(Invitation, heard)
    click.echo(f"{settings.door.id}: {digits(newcomer.request, invitation)}")
    meeting.say(channel.to_fleet, 3, request)
    click.confirm("Does the other door show the same digits?", abort=True)
    answer = meeting.hear(channel.to_door, 4, lambda: meeting.say(channel.to_fleet, 3, request))
    state = newcomer.received(answer, invitation)
    meeting.say(channel.to_fleet, 5, b"")
    return state


def _request(settings: Settings, vault: Vault, file: Path) -> None:
    """Write the public keys into a file, and keep the private ones until the answer comes."""
    keys = {"sign": new_signer().hex(), "box": new_boxer().hex()}
    newcomer = _newcomer(settings, keys)
    pending = settings.store.path().parent / _PENDING
    _write(file, said(newcomer.request))
    try:
        write_over(pending, vault.seal(json.dumps(keys).encode(), _PENDING))
    except OSError as error:
        raise StoreError(f"{pending}: {error.strerror}") from error
    click.echo(
        f"This door's key is {id_of(bytes.fromhex(newcomer.request.sign))}. At the door that"
    )
    click.echo(f"founded the fleet: lockd fleet invite --request {file.name} --answer FILE")


def _newcomer(settings: Settings, keys: dict[str, str]) -> Newcomer:
    sign, box = bytes.fromhex(keys["sign"]), bytes.fromhex(keys["box"])
    return Newcomer(settings.door.id, sign, box)


def _joined_by_file(settings: Settings, vault: Vault, file: Path, *, yes: bool) -> State:
    pending = settings.store.path().parent / _PENDING
    with acting_for(pending.parent):
        if not pending.exists():
            raise TransferError(f"{file}: no request was made here: `lockd fleet join --request`")
        try:
            keys = json.loads(vault.unseal(_read(pending), _PENDING))
        except SealError:
            raise StoreError(f"{pending}: was altered; write another request") from None
    with _sense():
        state = _newcomer(settings, keys).received_file(_read(file))
    sure(f"Does the door that invites show the fleet {id_of(state.root)}?", yes)
    return state


def _read(file: Path) -> bytes:
    try:
        return read_file(file, LONGEST)
    except (UnreadableError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TransferError(f"{file}: cannot be read: {reason}") from error


def _write(file: Path, content: bytes, *, new: bool = True) -> None:
    try:
        write_over(file, content, new=new)
    except OSError as error:
        raise TransferError(f"{file}: cannot be written: {error.strerror}") from error
