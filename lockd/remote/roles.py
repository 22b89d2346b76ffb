"""What the console's users may ask of the service: three roles, and the one table of requests.

The console says for whom it asks; the service looks here whether such a one may.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from lockd.remote.commands import DOOR


class Role(StrEnum):
    """What somebody is to the console; each may what those before it may."""

    VIEWER = "viewer"
    """Sees: the picture, the door's state, who came."""
    PORTER = "porter"
    """Commands the door, looks at who is enrolled, and asks who is in a photograph."""
    ADMINISTRATOR = "administrator"
    """Changes who is enrolled, and sees the audit trail."""

    def may_act_as(self, needed: Role) -> bool:
        """Return whether this role has what another one may."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = (Role.VIEWER, Role.PORTER, Role.ADMINISTRATOR)

NEEDS: Mapping[str, Role] = {
    "status": Role.VIEWER,
    "live": Role.VIEWER,
    "news": Role.VIEWER,
    "visits": Role.VIEWER,
    "health": Role.VIEWER,
    **dict.fromkeys([*DOOR, "silence"], Role.PORTER),
    "people": Role.PORTER,
    "recognise": Role.PORTER,
    "strangers": Role.PORTER,
    "stranger": Role.PORTER,
    "gallery": Role.PORTER,
    "kept": Role.PORTER,
    "forget": Role.ADMINISTRATOR,
    "capture": Role.ADMINISTRATOR,
    "person": Role.ADMINISTRATOR,
    "judge": Role.ADMINISTRATOR,
    "enrol": Role.ADMINISTRATOR,
    "change": Role.ADMINISTRATOR,
    "merge": Role.ADMINISTRATOR,
    "remove": Role.ADMINISTRATOR,
    "drop": Role.ADMINISTRATOR,
    "alike": Role.ADMINISTRATOR,
    "audit": Role.ADMINISTRATOR,
    "checks": Role.ADMINISTRATOR,
    "check": Role.ADMINISTRATOR,
    "wiring": Role.ADMINISTRATOR,
    "note": Role.VIEWER,
}
"""By the name of a request, the least that may make it."""


def least(one: Role, other: Role) -> Role:
    """Return the lesser of two roles."""
    return min(one, other, key=_ORDER.index)
