"""Carries out what was commanded from afar, once it was found to be good."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any, Protocol

from lockd.adapters.store import Store, clean_name
from lockd.errors import PersonError, StoreError
from lockd.messages import EventType
from lockd.ports import Emit
from lockd.remote.commands import DOOR
from lockd.remote.outcome import CommandOutcome, CommandProgress
from lockd.remote.signing import Order
from lockd.service.door_controller import OK, DoorController
from lockd.service.remote_enrolment import RemoteEnrolments
from lockd.service.store_writer import StoreWriter

log = logging.getLogger(__name__)

_CHANGES = frozenset({"confirm", "enable", "disable", "rename", "remove"})
MOST_LISTED = 200
"""People in one result; `total` says how many there are."""
SILENCE_S = 600
"""How long silence lasts if nobody says."""


class Acts(Protocol):
    """What a service does when it is told to."""

    def silence(self, seconds: float) -> None:
        """Disturb nobody for a while, by alert or buzzer."""

    def reload(self) -> None:
        """Ask for the configuration to be read again."""

    def snapshot(self) -> str | None:
        """Publish what the camera saw last; return why not, in a word."""


class Presence(Protocol):
    """Knows for whom the door waits."""

    def confirm(self, identity: str, signed_utc: float) -> str | None:
        """Take it that whose identity it is stands at the door; return why not, in a word."""


class RemoteHandlers:
    """What one door does when it is told to from afar."""

    def __init__(
        self,
        door: DoorController,
        store: Callable[[], Store | None],
        emit: Emit,
        service: Acts,
        enrolments: RemoteEnrolments,
        writer: StoreWriter,
        presence: Presence | None = None,
        bound: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Obey.

        Args:
            door: what most commands are for.
            store: returns the store in use, or None while there is none.
            emit: takes events.
            service: what the others are for.
            enrolments: take people in.
            writer: changes people.
            presence: takes what confirms that somebody stands at the door, if anything does.
            bound: returns the identities that are somebody's own.
        """
        self._door = door
        self._store = store
        self._emit = emit
        self._service = service
        self._enrolments = enrolments
        self._presence = presence
        self._bound = bound
        self._writer = writer
        self._changing = 0

    @property
    def busy(self) -> bool:
        """Whether somebody is being changed just now, and nobody was told yet."""
        return self._changing > 0

    @property
    def bolts(self) -> int:
        """How often the door was ordered to lock."""
        return self._door.bolts

    def run(
        self,
        command: str,
        order: Order | None,
        by: str,
        now: float,
        done: Callable[[CommandOutcome], None],
        *,
        told: bool = True,
    ) -> None:
        """Do what a command says, and tell of it.

        Args:
            command: one of `lockd.remote.commands.COMMANDS`.
            order: its arguments; None if it has none.
            by: who gave it, as the audit trail is to know them.
            done: takes what became of it, at once or when the store has it.
            told: whether it is an event.
        """
        seconds = None if order is None else order.seconds
        if command in DOOR:
            result = self._door.command(command, float(seconds or 0), by, told=told)
            done(CommandOutcome(None if result == OK else result))
            return

        def tell(outcome: CommandOutcome) -> None:
            if told:
                self._emit(EventType.COMMAND, command=command, by=by, result=outcome.reason or OK)
            done(outcome)

        if command in _CHANGES and order is not None and not self._is_presence(command, order):
            self._change(order, by, now, tell)
        else:
            tell(self._do(command, order, by, now))

    def news(self, now: float) -> list[CommandProgress]:
        """Return what came of commands that take their time."""
        return self._enrolments.news(now)

    def close(self) -> None:
        """End what goes on."""
        self._enrolments.close()

    def _do(self, command: str, order: Order | None, by: str, now: float) -> CommandOutcome:
        match command:
            case "silence":
                seconds = (order.seconds if order else None) or SILENCE_S
                self._service.silence(seconds)
                return CommandOutcome(details={"seconds": seconds})
            case "snapshot":
                return CommandOutcome(self._service.snapshot())
            case "reload":
                self._service.reload()
                return CommandOutcome()
            case "cancel":
                return CommandOutcome(self._enrolments.cancel())
            case "confirm" if order is not None and self._is_presence(command, order):
                return CommandOutcome(self._confirm_presence(order))
        store = self._store()
        if store is None or order is None:
            return CommandOutcome("store")
        try:
            return _listed(store) if command == "people" else self._enrol(store, order, by, now)
        except PersonError:
            # What it says of others' names is not for everybody who may hear results.
            return CommandOutcome("name_refused")
        except StoreError as error:
            log.error("%s", error)
            return CommandOutcome("store")

    def _is_presence(self, command: str, order: Order) -> bool:
        """Whether it is to say who stands at the door; who is bound may confirm nothing else."""
        return command == "confirm" and (order.name is None or order.by in self._bound())

    def _confirm_presence(self, order: Order) -> str | None:
        if order.name is not None:
            return "not_allowed"  # to let in somebody else
        if self._presence is None:
            return "off"
        return self._presence.confirm(order.by, order.time)

    def _change(
        self, order: Order, by: str, now: float, tell: Callable[[CommandOutcome], None]
    ) -> None:
        """Have somebody changed, which takes the disk its time."""
        if order.command == "confirm" and not self._enrolments.take_unconfirmed(
            str(order.name), now
        ):
            tell(CommandOutcome("nothing"))
            return

        def done(outcome: CommandOutcome | None, error: StoreError | None) -> None:
            self._changing -= 1
            if error is not None:
                log.error("%s", error)
            tell(outcome or CommandOutcome("store"))

        self._changing += 1
        self._writer.submit(lambda store: _changed(store, order, by), done)

    def _enrol(self, store: Store, order: Order, by: str, now: float) -> CommandOutcome:
        name = clean_name(str(order.name))
        if store.people.find(name) is not None:  # whose face is it that would be added?
            return CommandOutcome("name_refused")
        valid = (order.valid_from, order.valid_until)
        reason = self._enrolments.start(order.id, name, by, now, float(order.seconds or 0), valid)
        return CommandOutcome(reason, {} if reason else {"stage": "started"})


def _listed(store: Store) -> CommandOutcome:
    people = store.people.all()
    listed = [
        {"name": one.person.name, "id": one.person.id, "enabled": one.enabled}
        for one in people[:MOST_LISTED]
    ]
    return CommandOutcome(details={"people": listed, "total": len(people)})


def _changed(store: Store, order: Order, by: str) -> CommandOutcome:
    """Change somebody as they were ordered to be; not in the service's thread.

    Raises:
        StoreError: if it cannot be written; then nothing was.
    """
    try:
        person = store.people.named(str(order.name)).person
    except PersonError:
        return CommandOutcome("not_enrolled")
    details: dict[str, Any] = {"person_id": person.id}
    match order.command:
        case "enable" | "disable" | "confirm":
            store.people.set_enabled(person.name, order.command != "disable", by=by)
        case "rename":
            try:
                store.people.rename(person.name, str(order.new_name), by=by)
            except PersonError:
                return CommandOutcome("name_refused")
        case "remove":
            removal = store.people.remove(person.name, by=by)
            details |= {"templates": removal.templates, "verified": removal.verified}
            for left in removal.left:
                log.error("what was removed is still in %s", left)
    return CommandOutcome(details=details)
