"""The console as a unit of its own, with a user, a folder and a socket; for those who want it."""

from __future__ import annotations

import pwd
from collections.abc import Callable

from lockd.commands.install.system import System
from lockd.paths import (
    CONSOLE_RUNTIME,
    CONSOLE_STATE,
    CONSOLE_UNIT,
    CONSOLE_USER,
    DROP_INS,
    PACKAGED,
)

_HERE = "/etc" if PACKAGED else "/usr/lib"
SYSUSERS, TMPFILES = (f"{_HERE}/{kind}.d/lockd-console.conf" for kind in ("sysusers", "tmpfiles"))
CERTIFICATES = "/etc/lockd-console"
CONSOLE_UNIT_FILE = f"/etc/systemd/system/{CONSOLE_UNIT}"
DROP_IN = f"{DROP_INS}/lockd-console.conf"
"""Lets the service make the socket."""

Shipped = Callable[[str], bytes]
PutForSystemd = Callable[..., bool]


def is_installed(system: System) -> bool:
    """Return whether there is a console, which is brought up to date then."""
    return system.has(CONSOLE_UNIT_FILE)


def put_user(system: System, shipped: Shipped) -> None:
    """Make the console's user and folders; before the service's unit, which writes there."""
    written = system.write(SYSUSERS, shipped("systemd/lockd-console.sysusers"))
    if system.live and (written or not _has_user()):
        system.run("systemd-sysusers", SYSUSERS)
    written = system.write(TMPFILES, shipped("systemd/lockd-console.tmpfiles"))
    there = all(system.has(one) for one in (CONSOLE_RUNTIME, CONSOLE_STATE, CERTIFICATES))
    if system.live and (written or not there):
        system.run("systemd-tmpfiles", "--create", TMPFILES)


def put_drop_in(system: System, shipped: Shipped, put: PutForSystemd) -> bool:
    """Let the service hear the console; return whether it did not before."""
    return put(system, DROP_IN, shipped("systemd/lockd-hears-console.conf"))


def put_unit(system: System, shipped: Shipped, put: PutForSystemd, *, restart: bool) -> None:
    """Put the unit in place, and say what is to be done first.

    Args:
        restart: whether its program is another one now.
    """
    new = not is_installed(system)
    more = [("systemctl", "enable", CONSOLE_UNIT)] if new else []
    changed = put(system, CONSOLE_UNIT_FILE, shipped(f"systemd/{CONSOLE_UNIT}"), *more)
    if new:
        system.note(
            "The console will be at http://127.0.0.1:8443/, or as `console` in the configuration "
            "says. Make its first user, then start it:\n"
            "  sudo lockd console user add NAME --role administrator\n"
            f"  sudo systemctl start {CONSOLE_UNIT}"
        )
    elif (changed or restart) and system.live:
        system.run("systemctl", "try-restart", CONSOLE_UNIT)


def remove(system: System, *, purge: bool) -> None:
    """Take all of it away; its users and tokens only with `purge`."""
    if is_installed(system):
        system.run("systemctl", "disable", "--now", CONSOLE_UNIT)
        system.remove(CONSOLE_UNIT_FILE)
    if system.remove(DROP_IN):
        system.remove_if_empty(DROP_INS)
        system.run("systemctl", "daemon-reload")
    system.remove(SYSUSERS)
    system.remove(TMPFILES)
    if purge:
        system.remove(CONSOLE_STATE)
        system.remove(CERTIFICATES)
        if system.live and _has_user():
            system.run("userdel", CONSOLE_USER)


def _has_user() -> bool:
    try:
        pwd.getpwnam(CONSOLE_USER)
    except KeyError:
        return False
    return True
