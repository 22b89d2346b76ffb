"""What the installed service stands on: its user, unit, files, store and broker."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from lockd.adapters.store import opened
from lockd.commands.doctor.findings import (
    INSTALL,
    Finding,
    Machine,
    ok,
    problem,
    run,
    skipped,
    warning,
)
from lockd.config import find
from lockd.paths import ENVIRONMENT, GROUPS, UNIT, UNIT_FILE, USER, shipped

_NOT_YET = f"not installed yet; to install it, {INSTALL}"
_LITTLE_MB, _FULL_MB = 200, 20


def user(machine: Machine) -> list[Finding]:
    """Look for the service's user and its groups."""
    entry = machine.user(USER)
    if entry is None:
        mend = f"{INSTALL}; it makes the user from systemd/lockd.sysusers"
        return [problem(f"no user {USER}", mend) if machine.installed else skipped(_NOT_YET)]
    groups = {machine.group_name(gid) for gid in os.getgrouplist(USER, entry.pw_gid)}
    missing = [name for name in GROUPS if name not in groups]
    if missing:
        mend = f"`sudo usermod --append --groups {','.join(missing)} {USER}`"
        return [problem(f"{USER} is not in {' and '.join(missing)}", mend)]
    return [ok(f"{USER} ({entry.pw_uid}), in {', '.join(sorted(groups))}")]


def unit(machine: Machine) -> list[Finding]:
    """Compare the unit with the one of this lockd, and ask systemd about it."""
    installed = machine.text(UNIT_FILE)
    if installed is None:
        return [skipped(_NOT_YET)]
    findings = []
    if installed.strip() != shipped(f"systemd/{UNIT}").read_text("utf-8").strip():
        findings.append(
            warning(
                f"{UNIT_FILE} is not the one of this lockd",
                f"{INSTALL}; keep changes of your own in a drop-in: `systemctl edit lockd`",
            )
        )
    verified = run("systemd-analyze", "verify", "--man=no", str(machine.path(UNIT_FILE)))
    if verified is not None and (verified.returncode or UNIT in verified.stderr):
        findings.append(problem(verified.stderr.strip(), INSTALL))
    return [*findings, *_state(machine)] or [ok(f"{UNIT_FILE} is the one of this lockd")]


def _state(machine: Machine) -> list[Finding]:
    """Say whether the service starts with the machine, and whether it runs."""
    state = machine.unit
    if not state:
        return [skipped("systemd does not run here, or does not answer")]
    findings = []
    if state.get("UnitFileState") != "enabled":
        findings.append(
            warning("it does not start with the machine", f"`sudo systemctl enable {UNIT}`")
        )
    active, restarts = state.get("ActiveState", ""), state.get("NRestarts", "0")
    if active == "active":
        findings.append(ok(f"runs: {state.get('StatusText') or 'no status'}"))
        if restarts not in ("", "0"):
            findings.append(
                warning(f"was started again {restarts} times", f"see why: `journalctl -u {UNIT}`")
            )
    elif active == "inactive":
        findings.append(warning("does not run", f"`sudo systemctl start {UNIT}`"))
    else:
        findings.append(problem(f"{active}", f"see why: `journalctl -u {UNIT} -n 50`"))
    return findings


def files(machine: Machine) -> list[Finding]:
    """Look at who may read secrets, and who may change what opens the door."""
    findings = []
    path = find(machine.config_file)
    if path is not None:
        findings.append(_private(machine, path, secret=False))
    mqtt = machine.settings.mqtt
    key = mqtt.tls.key_file if mqtt.tls is not None else None
    for secret in (mqtt.password_file, key):
        if secret is not None and not str(secret).startswith("/run/credentials/"):
            findings.append(_private(machine, secret, secret=True))
    program = machine.path(ENVIRONMENT)
    if program.exists():
        findings.append(_changeable(program))
    return findings or [skipped("no configuration file")]


def _private(machine: Machine, path: Path, *, secret: bool) -> Finding:
    """Judge one file of the administrator's."""
    try:
        status = path.stat()
    except OSError as error:
        return problem(f"{path}: {error.strerror}", "name a file that is there")
    mode = stat.S_IMODE(status.st_mode)
    group = machine.group_name(status.st_gid)
    text = f"{path}: mode {mode:04o}, group {group}"
    mend = f"`sudo chown root:{USER} {path}; sudo chmod 640 {path}`"
    if mode & 0o022:
        return problem(f"{text}: others may change it", mend)
    if mode & 0o004:
        what = "everybody may read the secret" if secret else "everybody may read it"
        return (problem if secret else warning)(f"{text}: {what}", mend)
    if machine.installed and not (mode & 0o040 and group == USER) and status.st_uid == 0:
        return problem(f"{text}: the service may not read it", mend)
    return ok(text)


def _changeable(program: Path) -> Finding:
    """Find out whether somebody but root may change the program that opens the door."""
    exposed = [
        str(path)
        for path in (program, *program.parents)
        if (status := path.stat()).st_uid != 0
        or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX)
    ]
    if exposed:
        mend = "`sudo chown root:root` and `sudo chmod go-w` it"
        return problem(f"others than root may change the program in {', '.join(exposed)}", mend)
    return ok(f"only root may change {program}")


def store(machine: Machine) -> list[Finding]:
    """Open the store for reading, and look at its owner and the room it has."""
    path = machine.settings.store.path()
    findings = [_room(path)]
    if path.parent.exists() and not os.access(path.parent, os.R_OK | os.X_OK):
        return [*findings, skipped(f"{path}: only the service and root may look; run as root")]
    if not path.exists():
        return [*findings, skipped(f"{path}: not there yet; `lockd-enroll add` makes it")]
    findings.append(_owner(path))
    with opened(machine.settings.store) as open_store:
        people = open_store.people.all()
    text = f"{path}: whole, {len(people)} people enrolled"
    nobody = warning(f"{text}, so everyone is a stranger", "`sudo lockd-enroll add NAME PHOTO...`")
    return [*findings, ok(text) if people else nobody]


def _owner(path: Path) -> Finding:
    status, folder = path.stat(), path.parent.stat()
    mode = stat.S_IMODE(status.st_mode)
    text = f"{path}: mode {mode:04o}, owner {status.st_uid}"
    if mode & 0o077:
        return problem(f"{text}: others may read templates", f"`sudo chmod 600 {path}`")
    if status.st_uid != folder.st_uid:
        mend = f"`sudo chown --reference={path.parent} {path.parent}/lockd.db*`"
        return problem(f"{text}, but its folder's is {folder.st_uid}", mend)
    return ok(text)


def _room(path: Path) -> Finding:
    folder = next(one for one in (path.parent, *path.parents) if one.exists())
    free = shutil.disk_usage(folder).free // 1_000_000
    text = f"{free} MB are free in {folder}"
    mend = "make room: `sudo apt clean`, `sudo journalctl --vacuum-size=50M`"
    if free < _FULL_MB:
        return problem(text, mend)
    return warning(text, mend) if free < _LITTLE_MB else ok(text)
