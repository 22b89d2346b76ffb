"""What somebody wants of the door: by an input, on this machine, or through the broker."""

from __future__ import annotations

from collections.abc import Sequence

from lockd.ports import IncomingMessage
from lockd.publishing.publisher import Publisher
from lockd.service.door_controller import DoorController
from lockd.service.local_commands import LocalCommands
from lockd.service.parts import Parts
from lockd.service.remote_commands import RemoteCommands


class Hearing:
    """Takes what came since it was last asked to, and has it obeyed."""

    def __init__(
        self,
        parts: Parts,
        door: DoorController,
        publisher: Publisher,
        local_commands: LocalCommands,
        remote_commands: RemoteCommands | None,
        unheard: Sequence[IncomingMessage] = (),
    ) -> None:
        """Hear nothing yet.

        Args:
            local_commands: obeys this machine; `remote_commands` the broker, if anybody may
                command from there.
            unheard: messages that a service before this one left.
        """
        self._parts = parts
        self._door = door
        self._publisher = publisher
        self._local = local_commands
        self._remote = remote_commands
        self._unheard = list(unheard)

    def hear(self) -> None:
        """Take whatever came."""
        now = self._parts.clock.now()
        self._hear_inputs()
        for source in self._parts.requests:
            for request in source.requests():
                self._local.take(request, now, self._parts.camera.problem)
        self._local.pass_time(now)
        self._hear_broker()

    def hear_between(self) -> None:
        """While a frame is judged: hear who wants to leave, and who orders to lock."""
        self._hear_inputs()
        if self._parts.bus is not None and self._parts.bus.waiting:
            self._hear_broker()

    def may_leave(self) -> bool:
        """Whether nobody is kept waiting by another configuration."""
        return self._remote is None or self._remote.may_leave(self._parts.clock.now())

    def leave(self) -> None:
        """Have what was not begun heard the next time, by this service or the next."""
        if self._remote is not None:
            self._unheard = [*self._remote.leave(), *self._unheard]

    def unheard(self) -> list[IncomingMessage]:
        """Return what is left for the next service."""
        return [*self._unheard, *(self._parts.bus.inbox() if self._parts.bus else ())]

    def close(self) -> None:
        """End what goes on."""
        if self._remote is not None:
            self._remote.close()

    def _hear_inputs(self) -> None:
        while not self._parts.changes.empty():
            self._door.changed(self._parts.changes.get())

    def _hear_broker(self) -> None:
        if self._parts.bus is None:
            return
        messages, self._unheard = self.unheard(), []
        self._publisher.hear(messages)
        if self._remote is not None:
            self._remote.hear(messages)
            self._remote.pass_time()
