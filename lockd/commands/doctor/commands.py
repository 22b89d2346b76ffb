"""Commands over MQTT: who may give them, and can their keys be used?"""

from __future__ import annotations

import os
from pathlib import Path

from lockd.adapters.keys import CREDENTIAL, keys_file, read_keys
from lockd.commands.doctor.findings import Finding, Machine, ok, problem, skipped, warning
from lockd.paths import USER

_UNSIGNED = ("unlock", "lift")


def commands(machine: Machine) -> list[Finding]:
    """Read the file of keys, and compare it with who may command."""
    wanted = machine.settings.mqtt.commands
    findings = []
    if without := [one for one in wanted.plain if one in _UNSIGNED]:
        text = f"{' and '.join(without)} without a signature: whoever the broker lets publish can"
        findings.append(warning(text, "see to the broker, as docs/commands.md says"))
    if not wanted.allow:
        return findings or [skipped("mqtt.commands.allow enables none")]
    handed = machine.credential(CREDENTIAL)
    file = handed or keys_file(machine.settings)
    if os.access(file.parent, os.X_OK) and not file.exists():
        return [*findings, problem(f"{file}: not there", "`sudo lockd command-key add NAME`")]
    if not os.access(file, os.R_OK):
        return [*findings, skipped(f"{file} cannot be read from here; run as root")]
    copied = file.is_relative_to(machine.path("/run/credentials"))
    keys = read_keys(file, private=not copied)
    if handed is None:
        findings += _owner(machine, file)
    allowed = {one for who in wanted.allow.values() for one in who}
    for name in sorted(allowed - keys.keys()):
        mend = f"`sudo lockd command-key add {name}`, or take the name out"
        findings.append(warning(f"mqtt.commands.allow names {name}, who has no key", mend))
    bound = {name for name, one in keys.items() if one.person}
    if machine.settings.second_factor.confirm and not bound & set(wanted.allow.get("confirm", [])):
        mend = "`sudo lockd command-key add NAME --person PERSON`, with NAME allowed to confirm"
        findings.append(warning("second_factor.confirm: nobody's telephone may", mend))
    count = len(allowed & keys.keys())
    return [*findings, ok(f"{file}: private, with keys for {count} of {len(allowed)} identities")]


def _owner(machine: Machine, file: Path) -> list[Finding]:
    """Find out whether the service can read what only its owner may."""
    user, owner = machine.user(USER), file.stat().st_uid
    if not machine.installed or user is None or owner == user.pw_uid:
        return []
    mend = f"`sudo chown {USER}: {file}`"
    return [problem(f"{file}: is of user {owner}, so the service may not read it", mend)]
