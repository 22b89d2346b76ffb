"""Where people and events are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from lockd.config.base import File, Section
from lockd.paths import by_systemd, user_state_dir


class StoreSettings(Section):
    """Where people and events are kept, and for how long."""

    folder: File | None = None
    key_file: File | None = None
    """The key that templates are encrypted with; made beside them if it is not set."""
    generation_file: File | None = None
    """Where the latest generation of the people is known; beside the store if it is not set."""
    keep_photographs: bool = False
    keep_events_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """How long events are kept here besides being published; 0 keeps none."""
    keep_strangers: Annotated[int, Field(ge=0, le=10_000)] = 0
    """How many pictures of strangers' faces are kept; the oldest goes first."""
    keep_strangers_days: Annotated[int, Field(ge=1, le=365)] = 7
    """How long each of them is kept."""
    keep_audit_days: Annotated[int, Field(ge=1, le=36500)] = 1095
    """How long it is known who changed what."""

    def path(self) -> Path:
        """Return the database file.

        The folder set, or the service's state directory if systemd made one, or
        where the user's data belongs.
        """
        return (self.folder or by_systemd("STATE") or user_state_dir()) / "lockd.db"
