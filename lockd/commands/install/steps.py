"""What an installation consists of, in order, and how each piece of it is taken away again."""

from __future__ import annotations

import grp
import pwd
import sys
from pathlib import Path

from lockd.commands.install import console, environment
from lockd.commands.install.system import System
from lockd.errors import InstallError
from lockd.paths import (
    DISPLAY_DROP_IN,
    DROP_INS,
    ENVIRONMENT,
    GROUPS,
    INPUT_DROP_IN,
    NETWORK_FILE,
    PACKAGED,
    SOUND_DROP_IN,
    UNIT,
    UNIT_FILE,
    USER,
)

SYSUSERS = "/usr/lib/sysusers.d/lockd.conf"
TMPFILES = "/usr/lib/tmpfiles.d/lockd.conf"
UDEV = "/etc/udev/rules.d/99-lockd.rules"
CONFIG_FOLDER = "/etc/lockd"
CONFIG = f"{CONFIG_FOLDER}/lockd.yaml"
STATE = "/var/lib/lockd"
_KEPT = (
    f"who comes and what happens at the door is kept in {STATE} for 30 days, without pictures, "
    f"unless {CONFIG} says otherwise (store.keep_events_days): `lockd history`. docs/privacy.md "
    "has a notice for the door"
)
# Asked of the installed lockd, for reading the configuration takes more than Python alone.
_LOAD = "import sys, pathlib as p, lockd.config as c; settings = c.load(p.Path(sys.argv[1]));"
# What the service may reach only if its configuration asks for it: (shipped, put where, asks).
_DROP_INS = (
    (
        "systemd/lockd-input.conf",
        INPUT_DROP_IN,
        f"{_LOAD} print(bool(settings.second_factor.keypad or settings.second_factor.reader))",
    ),
    (
        "systemd/lockd-sound.conf",
        SOUND_DROP_IN,
        f"{_LOAD} print(settings.signals.voice is not None)",
    ),
    (
        "systemd/lockd-display.conf",
        DISPLAY_DROP_IN,
        f"{_LOAD} print(settings.signals.display is not None)",
    ),
)


def install(system: System, wheels: Path | None = None, *, with_console: bool = False) -> None:
    """Put user, configuration, environment and unit in place, or bring them up to date.

    Of Debian's package all that is dpkg's affair, but for whom the service may reach and the
    console.

    Args:
        wheels: see `environment.put_environment`.
        with_console: the console, too, which stays once it is there.

    Raises:
        InstallError: naming the step that failed; what was done before stays.
    """
    with_console = with_console or console.is_installed(system)
    if not PACKAGED:
        _put_user(system)
        _put_configuration(system)
        _put_folders(system)
        _put_udev_rule(system)
    if with_console:
        console.put_user(system, _shipped)
    rebuilt = not PACKAGED and environment.put_environment(
        system, wheels, with_console=with_console
    )
    changed = [rebuilt, fit(system), not PACKAGED and _put_commands_and_unit(system)]
    if with_console:
        changed.append(console.put_drop_in(system, _shipped, _put_for_systemd))
    if any(changed) and system.asks("systemctl", "is-active", UNIT) == "active":
        _restart(system, rebuilt=rebuilt)
    if with_console:
        console.put_unit(system, _shipped, _put_for_systemd, restart=any(changed))
    environment.drop_old_releases(system)
    if not system.changes:
        system.note("Everything is in place; nothing was changed.")


def _restart(system: System, *, rebuilt: bool) -> None:
    """Start the service again; one that does not become ready gives way to the version before."""
    try:
        system.run("systemctl", "restart", UNIT)
    except InstallError as error:
        if not rebuilt or not system.has(environment.PREVIOUS):
            raise
        roll_back(system)
        raise InstallError(
            f"the new version did not become ready, and the one before is in use again\n  {error}"
        ) from error


def roll_back(system: System) -> None:
    """Go back to the version before: its environment and its unit; a second time, forth again.

    Raises:
        InstallError: if there is none, or it does not start.
    """
    if PACKAGED:
        raise InstallError(
            "this lockd is a Debian package; go back with `apt install --allow-downgrades "
            "./lockd_OLDER.deb`"
        )
    release = environment.swap(system)
    unit = system.read(f"{release}/share/lockd/systemd/{UNIT}")
    if unit is not None:
        _put_for_systemd(system, UNIT_FILE, unit)
    if system.asks("systemctl", "is-active", UNIT) in ("active", "activating", "failed"):
        system.run("systemctl", "restart", UNIT)


def fit(system: System) -> bool:
    """Let the service reach what its configuration names; return whether something was changed."""
    return any([_put_network(system), _put_drop_ins(system)])


def uninstall(system: System, *, purge: bool = False) -> None:
    """Stop the service, which locks the door, and remove what `install` brought.

    Args:
        purge: remove the configuration, the store and the user, too.

    Raises:
        InstallError: if the service cannot be stopped; then nothing was removed.
    """
    if PACKAGED:
        raise InstallError("this lockd is a Debian package; use `apt remove lockd`, or `apt purge`")
    if system.has(UNIT_FILE):
        system.run("systemctl", "disable", "--now", UNIT)
        system.remove(UNIT_FILE)
        system.remove(NETWORK_FILE)
        for _, drop_in, _ in _DROP_INS:
            system.remove(drop_in)
        system.remove_if_empty(DROP_INS)
        system.run("systemctl", "daemon-reload")
    if system.remove(UDEV) and _udev_runs(system):
        system.run("udevadm", "control", "--reload")
    console.remove(system, purge=purge)
    system.remove(SYSUSERS)
    system.remove(TMPFILES)
    if purge:
        _purge(system)
    environment.remove_environment(system)
    if not system.changes:
        system.note("Nothing of lockd is installed here; nothing was changed.")
    elif not purge:
        system.note(f"{CONFIG_FOLDER} and {STATE} were kept; --purge removes them, too.")


def _shipped(relative: str) -> bytes:
    """Return a file that comes with lockd."""
    tree = environment.source_tree() or Path(sys.prefix) / "share" / "lockd"
    try:
        return (tree / relative).read_bytes()
    except OSError as error:
        raise InstallError(
            f"{tree / relative}: {error.strerror}; this lockd is incomplete: get it again"
        ) from error


def _put_user(system: System) -> None:
    written = system.write(SYSUSERS, _shipped("systemd/lockd.sysusers"))
    if system.live and (written or not _user_is_there()):
        system.run("systemd-sysusers", SYSUSERS)


def _user_is_there() -> bool:
    try:
        pwd.getpwnam(USER)
        return all(USER in grp.getgrnam(name).gr_mem for name in GROUPS)
    except KeyError:
        return False


def _put_configuration(system: System) -> None:
    """Bring the annotated defaults, beside a configuration that is there already.

    An edited one is its owner's. The new defaults come beside it once for each version
    of them: the installed environment knows which the owner has seen.
    """
    new = _shipped("config/lockd.yaml")
    existing = system.read(CONFIG)
    if existing is None:
        system.write(CONFIG, new, mode=0o640, group=USER)
        system.note(_KEPT)
        return
    seen = system.read(f"{environment.LINK}/share/lockd/config/lockd.yaml")
    if new in (existing, seen):
        return
    if system.write(f"{CONFIG}.new", new, mode=0o640, group=USER):
        system.note(f"{CONFIG} was left as it is; compare it with {CONFIG}.new")
        system.note(_KEPT)


def _put_folders(system: System) -> None:
    written = system.write(TMPFILES, _shipped("systemd/lockd.tmpfiles"))
    there = all(system.has(folder) for folder in (CONFIG_FOLDER, STATE))
    if system.live and (written or not there):
        system.run("systemd-tmpfiles", "--create", TMPFILES)


def _put_udev_rule(system: System) -> None:
    if system.write(UDEV, _shipped("systemd/99-lockd.rules")) and _udev_runs(system):
        system.run("udevadm", "control", "--reload")
        system.run("udevadm", "trigger", "--subsystem-match=gpio")


def _udev_runs(system: System) -> bool:
    """Return whether somebody is there to be told; in a container or a chroot there is not."""
    return system.has("/run/udev/control")


def _put_network(system: System) -> bool:
    """Let the service speak to whom the configuration names; see `lockd.adapters.reach`."""
    if not system.live:
        system.note(f"{NETWORK_FILE} is not made below another root: `lockd install` in there does")
        return False
    lockd = f"{ENVIRONMENT}/bin/lockd"
    text = system.asks(lockd, "check-config", "--network", "--config", CONFIG)
    if text is None and system.dry_run:
        return False
    if text is None:
        system.note(
            f"{NETWORK_FILE} was left as it is, for {CONFIG} cannot be read: `sudo lockd "
            "check-config` says why; then install again"
        )
        return False
    return _put_for_systemd(system, NETWORK_FILE, f"{text}\n".encode())


def _put_commands_and_unit(system: System) -> bool:
    """Put the unit in place; one that its owner has disabled stays so."""
    environment.put_commands(system)
    new = not system.has(UNIT_FILE)
    more = [("systemctl", "enable", UNIT)] if new else []
    return _put_for_systemd(system, UNIT_FILE, _shipped(f"systemd/{UNIT}"), *more)


def _put_for_systemd(system: System, path: str, content: bytes, *commands: tuple[str, ...]) -> bool:
    """Write a file that systemd reads, have it read, and return whether it was another."""
    before = system.read(path)
    if not system.write(path, content):
        return False
    try:
        for command in (("systemctl", "daemon-reload"), *commands):
            system.run(*command)
    except InstallError:
        # As it was, so that the next run does not take half of the step for all of it.
        if before is None:
            system.remove(path)
        else:
            system.write(path, before)
        raise
    return True


def _put_drop_ins(system: System) -> bool:
    """Let the service reach what its configuration asks for, and nothing that it does not."""
    changed = False
    for shipped, drop_in, asks in _DROP_INS:
        wanted = system.asks(f"{ENVIRONMENT}/bin/python", "-P", "-c", asks, CONFIG)
        if wanted == "True":
            changed |= system.write(drop_in, _shipped(shipped))
        elif wanted == "False":
            changed |= system.remove(drop_in)
            system.remove_if_empty(str(Path(drop_in).parent))
        # Else nobody can be asked, or it has mistakes, which are told elsewhere.
    if changed:
        system.run("systemctl", "daemon-reload")
    return changed


def _purge(system: System) -> None:
    if system.has(STATE):
        verb = "would be" if system.dry_run else "is being"
        system.note(
            f"{STATE} {verb} deleted: the templates of everybody enrolled, which are biometric "
            "data, and the events that were not published"
        )
    system.remove(STATE)
    system.remove(CONFIG_FOLDER)
    if system.live and _has_user():
        system.run("userdel", USER)


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True
