"""Where people and events are kept, and where events are published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lockd.config.base import File, Section, Slug
from lockd.paths import user_state_dir


class StoreSettings(Section):
    """Where people and events are kept, and for how long."""

    folder: File | None = None
    key_file: File | None = None
    """The key that templates are encrypted with; made beside them if it is not set."""
    keep_photographs: bool = False
    keep_events_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """How long events are kept here besides being published; 0 keeps none."""
    keep_audit_days: Annotated[int, Field(ge=1, le=36500)] = 1095
    """How long it is known who changed what."""

    def path(self) -> Path:
        """Return the database file.

        The folder set, or the service's state directory if systemd made one, or
        where the user's data belongs.
        """
        by_systemd = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
        folder = self.folder or (Path(by_systemd) if by_systemd else user_state_dir())
        return folder / "lockd.db"


class TlsSettings(Section):
    """How the broker proves itself."""

    ca_file: File | None = None
    """The authority to trust; the system's if it is not set."""


class MqttSettings(Section):
    """Where events are published."""

    host: Annotated[str, Field(min_length=1)] | None = None
    """Without a host nothing is published."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    client_id: Slug | None = None
    username: str | None = None
    password_file: File | None = None
    tls: TlsSettings | None = None
    base_topic: Annotated[str, Field(pattern=r"^[^+#/\x00]+(/[^+#/\x00]+)*$", max_length=128)] = (
        "lockd"
    )
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    similarity: Literal["never", "granted", "always"] = "granted"
    """Whose similarities are published; those of refused faces help an attacker."""
    outbox_events: Annotated[int, Field(ge=10, le=1_000_000)] = 10_000
    """Events kept while the broker is away; beyond this the oldest are dropped."""

    @model_validator(mode="after")
    def _consistent(self) -> MqttSettings:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file without username; set username too")
        return self
