"""Puts together what hears commands from afar, and the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockd.adapters.store import Store
from lockd.config import Settings
from lockd.ports import Emit
from lockd.service.console_desk import ConsoleDesk
from lockd.service.door_controller import DoorController
from lockd.service.ledger import Ledger
from lockd.service.parts import Parts
from lockd.service.remote_commands import RemoteCommands
from lockd.service.remote_enrolment import RemoteEnrolments
from lockd.service.remote_handlers import Acts, RemoteHandlers
from lockd.service.remote_results import RemoteResults


def remote_commands(
    settings: Settings,
    parts: Parts,
    door: DoorController,
    ledger: Ledger,
    emit: Emit,
    service: Acts,
) -> RemoteCommands | None:
    """Return what hears commands from afar; None where none can come.

    Args:
        door: what most commands are for; `service` what the others are for.
        ledger: what is known of commands that came before.
        emit: takes events.
    """
    if parts.bus is None or parts.keys is None:
        return None

    def store() -> Store | None:
        return parts.people.store

    ledger.attend(store, parts.writer)
    enrolments = RemoteEnrolments(confirm=settings.mqtt.commands.confirm_enrolment)
    return RemoteCommands(
        settings,
        clock=parts.clock,
        wall=parts.wall,
        keys=parts.keys,
        ledger=ledger,
        handlers=RemoteHandlers(
            *(door, store, emit, service, enrolments, parts.writer),
            *(parts.second_factor, parts.keys.bound),
        ),
        results=RemoteResults(settings, parts.clock, ledger.write_down, parts.bus.publish, emit),
    )


def console_desk(
    settings: Settings,
    parts: Parts,
    door: DoorController,
    state: Callable[[], dict[str, Any]],
    emit: Emit,
    desk: Acts,
) -> ConsoleDesk | None:
    """Return what answers the console, or None where there is none.

    Args:
        state: returns what is published of the service.
        emit: takes events.
        desk: lets nobody be disturbed for a while.
    """
    if parts.console is None:
        return None
    return ConsoleDesk(settings, parts.console, door, state, emit, desk.silence)
