"""What became of a command that was carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of it.

    Attributes:
        reason: why it could not be done, in a word; None if it was.
        details: what the result says besides.
    """

    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandProgress:
    """More of a command that takes its time.

    Attributes:
        id: the command's.
        command: which.
        by: who gave it.
        outcome: so far.
        over: whether nothing more will come.
    """

    id: str
    command: str
    by: str
    outcome: CommandOutcome
    over: bool
