"""What every section of the configuration is made of."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lockd.errors import redacted

_SLUG = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _slug(text: str) -> str:
    if _SLUG.fullmatch(text):
        return text
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    close = re.sub(r"[^a-zA-Z0-9_-]+", "_", letters).strip("_")[:64]
    raise ValueError(
        f"{redacted(text)!r} may have letters from a to z and A to Z, digits, _ and -, and at most "
        f"64 of them{f'; write {close}' if close else ''}"
    )


Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Pin = Annotated[int, Field(ge=0, le=53)]
Pull = Literal["up", "down", "none"]
Level = Literal["low", "high"]
Optional_s = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Slug = Annotated[str, AfterValidator(_slug)]
File = Annotated[Path, Field(strict=False)]


class Section(BaseModel):
    """Settings of one kind: strict, frozen, without unknown keys."""

    # Strict, for YAML has types of its own: `open_s: yes` is no second.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        hide_input_in_errors=True,  # it may be a password
    )
