"""Where it is told which versions there are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lockd.config.base import File, Section


class UpdateSettings(Section):
    """Read by `lockd update` alone; the service never asks."""

    index: Annotated[str, Field(max_length=2000)] | None = None
    key_file: File | None = None
    """The public key, in PEM, that the list must be signed with."""
