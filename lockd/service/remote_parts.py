"""Puts together what hears commands from afar."""

from __future__ import annotations

from lockd.adapters.store import Store
from lockd.config import Settings
from lockd.ports import Emit
from lockd.service.door_controller import DoorController
from lockd.service.parts import Parts
from lockd.service.remote_commands import RemoteCommands
from lockd.service.remote_enrolment import RemoteEnrolments
from lockd.service.remote_handlers import Acts, RemoteHandlers
from lockd.service.remote_results import RemoteResults


def remote_commands(
    settings: Settings, parts: Parts, door: DoorController, emit: Emit, desk: Acts
) -> RemoteCommands | None:
    """Return what hears commands from afar, or None where nobody may give any.

    Args:
        emit: takes events.
        desk: does what is neither the door's nor the store's affair.
    """
    if parts.bus is None or parts.keys is None:
        return None
    enrolments = RemoteEnrolments(confirm=settings.mqtt.commands.confirm_enrolment)
    people = parts.people

    def store() -> Store | None:
        return people.store

    return RemoteCommands(
        settings,
        clock=parts.clock,
        wall=parts.wall,
        keys=parts.keys,
        store=store,
        handlers=RemoteHandlers(
            *(door, store, emit, desk, enrolments, parts.second_factor, parts.keys.bound)
        ),
        results=RemoteResults(settings, parts.clock, store, parts.bus.publish, emit),
    )
