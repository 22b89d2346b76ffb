"""What `lockd doctor` says of the console."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from lockd.commands.doctor import console as checks
from lockd.commands.doctor.findings import Finding, Machine, Status


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which the console is installed as it should be."""
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/lockd-console.service").touch()
    (tmp_path / "run/lockd-console").mkdir(parents=True)
    (tmp_path / "run/lockd-console").chmod(0o2750)
    (tmp_path / "var/lib/lockd-console").mkdir(parents=True)
    accounts = tmp_path / "var/lib/lockd-console/accounts.json"
    accounts.touch(mode=0o600)
    (tmp_path / "lockd.yaml").write_text(f"console: {{user: {getpass.getuser()}}}\n")
    monkeypatch.setattr(checks, "run", lambda *_: None)
    return tmp_path


def findings(root: Path) -> list[Finding]:
    return checks.console(Machine(config_file=root / "lockd.yaml", root=root))


def grave(root: Path) -> list[str]:
    return [one.text for one in findings(root) if one.status in (Status.PROBLEM, Status.WARNING)]


def test_all_is_well(root: Path) -> None:
    if os.stat(root).st_gid != os.getgid():
        pytest.skip("this folder gives its group to what is made in it")
    assert grave(root) == []


def test_where_there_is_none_nothing_is_said_against_it(tmp_path: Path) -> None:
    assert [one.status for one in findings(tmp_path)] == [Status.SKIPPED]


def test_a_folder_that_others_may_enter_is_a_problem(root: Path) -> None:
    (root / "run/lockd-console").chmod(0o2755)
    assert any("mode 2755" in text for text in grave(root))


def test_hashes_that_others_may_read_are_a_problem(root: Path) -> None:
    (root / "var/lib/lockd-console/accounts.json").chmod(0o644)
    assert any("password hashes" in text for text in grave(root))


def test_a_console_that_nobody_may_log_in_to_is_worth_a_word(root: Path) -> None:
    (root / "var/lib/lockd-console/accounts.json").unlink()
    assert any("nobody may log in" in text for text in grave(root))


def test_a_key_that_anybody_may_read_is_a_problem(root: Path) -> None:
    for name in ("certificate", "key"):
        (root / name).touch(mode=0o644)
    (root / "lockd.yaml").write_text(
        f"console: {{user: {getpass.getuser()}, certificate: /certificate, key: /key}}\n"
    )
    assert any("anybody may read it" in text for text in grave(root))


def test_a_user_that_is_not_there_is_a_problem(root: Path) -> None:
    (root / "lockd.yaml").write_text("console: {user: nobody-of-that-name}\n")
    assert any("no user" in text for text in grave(root))
