"""`lockd doctor` on commands over MQTT."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lockd.commands.doctor import examine
from lockd.commands.doctor.commands import commands
from lockd.commands.doctor.findings import Check, Finding, Machine, Status
from lockd.paths import UNIT_FILE
from tests.remote.orders import KEY

ALLOW = "mqtt:\n  commands:\n    keys_file: keys\n    allow:\n      lock: [anna, bert]\n"


def look(folder: Path, config: str = ALLOW, *, installed: bool = False) -> list[Finding]:
    (folder / "lockd.yaml").write_text(config)
    unit = folder / "root" / UNIT_FILE.lstrip("/")
    unit.parent.mkdir(parents=True, exist_ok=True)
    if installed:
        unit.touch()
    machine = Machine(folder / "lockd.yaml", root=folder / "root")
    return examine.findings_of(Check("commands", commands), machine)


def write(folder: Path, mode: int = 0o600) -> Path:
    file = folder / "keys"
    file.write_text(f"anna {KEY.hex()}\n")
    file.chmod(mode)
    return file


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.status.value, one.text) for one in findings]


def test_who_may_command_and_cannot_is_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert told(look(tmp_path)) == [
        ("warning", "mqtt.commands.allow names bert, who has no key"),
        ("ok", f"{file}: private, with keys for 1 of 2 identities"),
    ]


@pytest.mark.parametrize(("mode", "says"), [(0o640, "chmod 600"), (None, "not there")])
def test_keys_that_are_no_secret_or_missing_are_a_problem(
    tmp_path: Path, mode: int | None, says: str
) -> None:
    if mode is not None:
        write(tmp_path, mode)
    (finding,) = look(tmp_path)
    assert finding.status is Status.PROBLEM
    assert says in finding.text
    assert KEY.hex() not in finding.text


def test_keys_that_the_service_may_not_read_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path)

    class Somebody:
        pw_uid = os.getuid() + 1

    def user(self: Machine, name: str) -> Any:
        return Somebody

    monkeypatch.setattr(Machine, "user", user)
    first, *_ = look(tmp_path, installed=True)
    assert (first.status, f"chown lockd: {file}" in first.mend) == (Status.PROBLEM, True)


def test_keys_that_systemd_hands_over_may_be_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "root/etc/lockd/command-keys"
    file.parent.mkdir(parents=True)
    write(tmp_path).rename(file)
    unit = tmp_path / "root/etc/systemd/system/lockd.service"
    drop_in = unit.with_name("lockd.service.d") / "override.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nLoadCredential=command-keys:/etc/lockd/command-keys\n")

    class Somebody:
        pw_uid = os.getuid() + 1

    def user(self: Machine, name: str) -> Any:
        return Somebody

    monkeypatch.setattr(Machine, "user", user)
    expected = ("ok", f"{file}: private, with keys for 1 of 2 identities")
    assert told(look(tmp_path, installed=True))[1:] == [expected]


def test_what_is_off_is_not_looked_at_and_unsigned_unlocking_is_a_warning(tmp_path: Path) -> None:
    assert [one.status for one in look(tmp_path, "")] == [Status.SKIPPED]
    plain = "mqtt:\n  commands:\n    plain: [lock, unlock]\n"
    ((status, text),) = told(look(tmp_path, plain))
    assert (status, text.split(":")[0]) == ("warning", "unlock without a signature")
