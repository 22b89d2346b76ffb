"""Every command that lockd obeys, whoever gives it and however it comes: the one table.

Over MQTT all of them can be given, signed, by the identities that `mqtt.commands.allow` names;
those with a plain word also without a signature, where `mqtt.commands.plain` names them. On the
machine itself, by the control socket, those that the door itself obeys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lockd.door.events import DoorEvent, HoldOpen, LiftLockDown, LockDown, LockNow, Unlock


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        does: what, in a line.
        needs: arguments that it must have.
        may: arguments that it may have, too.
        plain: what its unsigned payload is, byte for byte; None if it must be signed.
        locks: whether it makes the door safer; such are never refused because something of
            lockd's own is broken.
        event: makes what the door is told, of the seconds given; None if it is not for the door.
    """

    does: str
    needs: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    plain: bytes | None = None
    locks: bool = False
    event: Callable[[float], DoorEvent] | None = None


_NAME, _SECONDS = frozenset({"name"}), frozenset({"seconds"})
_NAMES = frozenset({"name", "new_name"})
_VALID = frozenset({"valid_from", "valid_until"})

# fmt: off
COMMANDS: Mapping[str, Command] = {
    "lock":      Command("lock at once; ends holding open", plain=b"LOCK", locks=True,
                         event=lambda seconds: LockNow()),
    "unlock":    Command("release it once", plain=b"UNLOCK", event=lambda seconds: Unlock()),
    "lock-down": Command("nobody comes in until it is lifted", plain=b"LOCK_DOWN", locks=True,
                         event=lambda seconds: LockDown()),
    "lift":      Command("end lock-down and lock-out", plain=b"LIFT",
                         event=lambda seconds: LiftLockDown()),
    "hold-open": Command("hold it open for so long, where the door's settings allow it",
                         needs=_SECONDS, event=HoldOpen),
    "silence":   Command("no alerts and no buzzer for a while", may=_SECONDS, plain=b"SILENCE"),
    "snapshot":  Command("publish what the camera sees", plain=b"SNAPSHOT"),
    "reload":    Command("read the configuration anew"),
    "people":    Command("list who is enrolled"),
    "enrol":     Command("enrol whoever stands at the door", needs=_NAME, may=_SECONDS | _VALID),
    "confirm":   Command("say that it is you for whom the door waits; with a name, let in whom "
                         "`enrol` took, once their picture was seen", may=_NAME),
    "cancel":    Command("end an enrolment that goes on"),
    "enable":    Command("let the door know somebody again", needs=_NAME),
    "disable":   Command("make somebody a stranger, but keep everything", needs=_NAME),
    "rename":    Command("give somebody another name", needs=_NAMES),
    "remove":    Command("forget somebody", needs=_NAME),
}
# fmt: on
"""By their names."""

DOOR: Mapping[str, Callable[[float], DoorEvent]] = {
    name: one.event for name, one in COMMANDS.items() if one.event is not None
}
"""What the door itself obeys; only holding open takes the seconds."""

PLAIN: Mapping[bytes, str] = {
    one.plain: name for name, one in COMMANDS.items() if one.plain is not None
}
"""The commands that have a plain word, by it."""

LOCKING = frozenset(name for name, one in COMMANDS.items() if one.locks)
OPENING = frozenset(DOOR) - LOCKING
"""What an order to lock that came later goes before."""
