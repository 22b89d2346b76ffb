"""Is the console reachable for those who may, and for nobody else?"""

from __future__ import annotations

import stat
from pathlib import Path

from lockd.commands.doctor.findings import Finding, Machine, ok, problem, run, skipped, warning
from lockd.config import ConsoleSettings
from lockd.paths import CONSOLE_RUNTIME, CONSOLE_STATE, CONSOLE_UNIT, USER


def console(machine: Machine) -> list[Finding]:
    """Look at the console's user, socket, accounts and certificate, where it is installed."""
    if not machine.path(f"/etc/systemd/system/{CONSOLE_UNIT}").exists():
        return [skipped("console: not installed; `sudo lockd install --console` brings it")]
    settings = machine.settings.console
    if machine.user(settings.user) is None:
        return [problem(f"console: there is no user {settings.user}", "run `sudo lockd install`")]
    findings = [_socket(machine, settings), *_files(machine, settings), _users(machine)]
    shown = run("systemctl", "is-active", CONSOLE_UNIT)
    if shown is not None and shown.returncode != 0:
        findings.append(
            warning(f"{CONSOLE_UNIT} does not run", f"`sudo systemctl start {CONSOLE_UNIT}`")
        )
    return findings


def _socket(machine: Machine, settings: ConsoleSettings) -> Finding:
    """Only the service and the console may reach the socket, by its folder."""
    folder = machine.path(Path(settings.socket or f"{CONSOLE_RUNTIME}/control").parent)
    try:
        status = folder.stat()
    except OSError as error:
        mend = "`sudo systemd-tmpfiles --create lockd-console.conf`, then restart lockd"
        return problem(f"console: {folder}: {error.strerror}", mend)
    owner, group = machine.user(USER), machine.user(settings.user)
    mine = owner is None or status.st_uid == owner.pw_uid
    right = mine and (group is None or status.st_gid == group.pw_gid)
    text = f"{folder}: mode {stat.S_IMODE(status.st_mode):04o}, for {USER} and {settings.user}"
    if not right or status.st_mode & 0o027:
        return problem(
            f"{text} alone is what it should be, and is not",
            f"`sudo chown {USER}:{settings.user} {folder}`, `sudo chmod 2750 {folder}`",
        )
    return ok(f"console: {text}")


def _files(machine: Machine, settings: ConsoleSettings) -> list[Finding]:
    if settings.certificate is None or settings.key is None:
        return [ok("console: on this machine only, without TLS")]
    findings = []
    for name, path in (("certificate", settings.certificate), ("key", settings.key)):
        try:
            mode = machine.path(path).stat().st_mode
        except OSError as error:
            mend = f"set console.{name} to a file that is there"
            findings.append(problem(f"console.{name}: {path}: {error.strerror}", mend))
            continue
        if name == "key" and mode & 0o007:
            mend = f"`sudo chmod 640 {path}`, `sudo chgrp {settings.user} {path}`"
            findings.append(problem(f"console.key: {path}: anybody may read it", mend))
    return findings or [ok(f"console: TLS with {settings.certificate}")]


def _users(machine: Machine) -> Finding:
    accounts = machine.path(f"{CONSOLE_STATE}/accounts.json")
    try:
        status = accounts.stat()
    except PermissionError:
        return skipped(f"{accounts}: only the console and root may look; run as root")
    except OSError:
        return warning(
            "console: nobody may log in", "`sudo lockd console user add NAME --role administrator`"
        )
    if status.st_mode & 0o077:
        mend = f"`sudo chmod 600 {accounts}`"
        return problem(f"{accounts}: others may read password hashes", mend)
    return ok(f"console: {accounts}: private")
