"""The console: where the service hears it, and how it serves its users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from lockd.config.base import File, Section
from lockd.paths import CONSOLE_RUNTIME, CONSOLE_USER, by_systemd
from lockd.remote.roles import Role

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ConsoleSettings(Section):
    """The console: a process of its own, which asks the service for all that it shows."""

    socket: File | None = None
    """Where the service hears it; None is where `lockd install --console` made room."""
    user: Annotated[str, Field(min_length=1, max_length=64)] = CONSOLE_USER
    """Who it runs as: whoever else speaks there is refused."""
    may: Annotated[Role, Field(strict=False)] = Role.ADMINISTRATOR
    """The most it may do, whoever is logged in."""
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    names: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(default=[])
    """Further names that browsers may know it by."""
    certificate: File | None = None
    key: File | None = None
    idle_min: Annotated[int, Field(ge=1, le=10080)] = 60
    """After so long without a request a session is over."""
    longest_h: Annotated[int, Field(ge=1, le=720)] = 12
    """And after so long in any case."""
    strangers_min: Annotated[int, Field(ge=0, le=120)] = 10
    """How long the faces of the last strangers stay in memory, to be given a name; 0 for never."""
    kiosk: bool = False
    """Whether there is a screen for whoever stands before the door."""

    def path(self) -> Path | None:
        """Return the socket: the one set, or where room for it was made, or none."""
        made = Path(CONSOLE_RUNTIME)
        there = by_systemd("RUNTIME") is not None and made.is_dir()
        return self.socket or (made / "control" if there else None)

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self.certificate is not None

    @model_validator(mode="after")
    def _whole(self) -> ConsoleSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; set both or neither")
        if not self.encrypted and self.host not in _LOOPBACK:
            raise ValueError(
                f"host {self.host} without certificate and key would send passwords in the clear; "
                "set both, or use 127.0.0.1"
            )
        return self
