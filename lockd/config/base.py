"""What every section of the configuration is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Pin = Annotated[int, Field(ge=0, le=53)]
Pull = Literal["up", "down", "none"]
Level = Literal["low", "high"]
Optional_s = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
File = Annotated[Path, Field(strict=False)]


class Section(BaseModel):
    """Settings of one kind: strict, frozen, without unknown keys."""

    # Strict, for YAML has types of its own: `open_s: yes` is no second.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)
