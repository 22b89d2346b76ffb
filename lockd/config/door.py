"""The door, and how it is commanded on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from lockd.config.base import File, Seconds, Section, Slug
from lockd.door.events import LONGEST_S, DoorRules, LockOut, Relock
from lockd.paths import by_systemd


class LockOutSettings(Section):
    """When strangers close the door to faces for a while."""

    denials: Annotated[int, Field(ge=0, le=1000)] = 5
    within_s: Seconds = 120.0
    lasts_s: Seconds = 30.0
    rest_s: Seconds = 60.0


class DoorSettings(Section):
    """The door itself."""

    id: Slug = "door"
    """In MQTT topics and events."""
    name: Annotated[str, Field(min_length=1, max_length=64)] = "Door"
    open_s: Annotated[float, Field(ge=0.5, le=LONGEST_S, allow_inf_nan=False)] = 5.0
    extended_open_s: Annotated[float, Field(ge=0.5, le=LONGEST_S, allow_inf_nan=False)] = 15.0
    pulse_gap_s: Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)] = 0.5
    relock: Annotated[Relock, Field(strict=False)] = Relock.ON_CLOSE
    held_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 30.0
    forced_alarm: bool = True
    forced_grace_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    anti_tailgate: bool = False
    exit_releases: bool = True
    tamper_locks_down: bool = False
    hold_open_longest_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 0.0
    lock_out: LockOutSettings = LockOutSettings()

    def rules(self) -> DoorRules:
        """Return what the state machine needs."""
        names = DoorRules.__dataclass_fields__.keys() - {"longest_s", "lock_out"}
        values = {name: getattr(self, name) for name in names}
        return DoorRules(**values, lock_out=LockOut(**self.lock_out.model_dump()))


class ControlSettings(Section):
    """Where `lockd door` reaches the service."""

    socket: File | None = None

    def path(self) -> Path | None:
        """Return the socket: the one set, or where systemd made room for it, or none."""
        made = by_systemd("RUNTIME")
        return self.socket or (made / "control" if made else None)
