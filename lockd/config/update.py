"""Where it is told which versions there are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lockd.config.base import File, Section


class UpdateSettings(Section):
    """Read by `lockd update`; the service asks for nothing by itself."""

    index: Annotated[str, Field(max_length=2000)] | None = None
    key_file: File | None = None
    """The public key, in PEM, that the list must be signed with."""
    check_h: Annotated[int, Field(ge=0, le=8760)] = 0
    """After so many hours it is looked up again when an administrator looks at the console's
    page Health; 0 is never without being told to."""
