"""Keypads, readers and telephones: are they there, may the service read them, who can use them?

No device is taken: whoever stands at the door goes on typing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lockd.adapters.store import Store, opened
from lockd.commands.doctor.findings import (
    INSTALL,
    Finding,
    Machine,
    ok,
    problem,
    skipped,
    warning,
)
from lockd.config import SecondFactorSettings, UsbSettings
from lockd.identity.factors import FactorKind
from lockd.paths import INPUT_DROP_IN, INPUT_GROUP, USER


def second_factor(machine: Machine) -> list[Finding]:
    """Look at every device of `second_factor`, and at who has something to show there."""
    wanted = machine.settings.second_factor
    findings = [*_devices(machine, wanted), *_people(machine, wanted)]
    for kind in wanted.alone:
        what = "finds a card" if kind == "card" else "learns or guesses a PIN"
        findings.append(
            warning(
                f"second_factor.alone: {kind}: whoever {what} comes in, without a face",
                "take it out, if that is not meant",
            )
        )
    return findings or [skipped("second_factor asks for nothing")]


def _devices(machine: Machine, wanted: SecondFactorSettings) -> Iterator[Finding]:
    for name, one in (("keypad", wanted.keypad), ("reader", wanted.reader)):
        if one is not None:
            yield _device(machine, f"second_factor.{name}.device", one)
    usb = wanted.keypad or wanted.reader
    if usb and machine.installed and machine.text(INPUT_DROP_IN) is None:
        yield problem(f"{INPUT_DROP_IN} is missing: the service may read no device", INSTALL)
    if wanted.wiegand is not None:
        yield ok("second_factor.wiegand: see pins; one that is not connected cannot be told")


def _device(machine: Machine, setting: str, wanted: UsbSettings) -> Finding:
    path = machine.path(wanted.device)
    text = f"{setting}: {wanted.device}"
    try:
        status = path.stat()
    except OSError as error:
        there = ", ".join(_keyboards(machine)) or "none"
        return problem(f"{text}: {error.strerror}", f"plug it in; keyboards here: {there}")
    if not path.is_char_device():
        return problem(f"{text}: no device", "name one of /dev/input/by-id")
    group = machine.group_name(status.st_gid)
    if machine.installed and not (status.st_mode & 0o040 and group == INPUT_GROUP):
        return problem(f"{text}: belongs to the group {group}, so {USER} may not read it", INSTALL)
    if not os.access(path, os.R_OK):
        return skipped(f"{text}: cannot be read from here; run as root")
    if not str(wanted.device).startswith("/dev/input/by-"):
        return warning(f"{text}: is called so by chance", "name it by /dev/input/by-id/...")
    return ok(text)


def _keyboards(machine: Machine) -> list[str]:
    folder = machine.path("/dev/input/by-id")
    return [f"/dev/input/by-id/{one.name}" for one in sorted(folder.glob("*-kbd"))]


def _people(machine: Machine, wanted: SecondFactorSettings) -> list[Finding]:
    """Say how many can show something here."""
    path: Path = machine.settings.store.path()
    if not wanted.kinds or not os.access(path, os.R_OK):
        return []
    with opened(machine.settings.store) as store:
        return [_counted(store, wanted)]


def _counted(store: Store, wanted: SecondFactorSettings) -> Finding:
    people = [one.person.id for one in store.people.all() if one.enabled]
    counts = store.factors.counts()
    kinds = [kind for kind in FactorKind if kind.value in wanted.kinds]
    have = {
        kind: sum(counts.get(one, Counter())[kind] > 0 for one in people)
        for kind in kinds
        if kind is not FactorKind.CONFIRM
    }
    text = ", ".join(
        f"{number} of {len(people)} people have a {_NAMES[kind]}" for kind, number in have.items()
    )
    if have and people and not any(have.values()):
        return warning(text, "`sudo lockd-enroll pin NAME`, `sudo lockd-enroll card NAME`")
    return ok(text or "a telephone's confirm is taken: see commands")


_NAMES = {FactorKind.PIN: "PIN", FactorKind.CARD: "card"}
