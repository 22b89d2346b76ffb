"""`lockd install` and `uninstall`, into folders that stand for a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from lockd.commands.install import environment, steps
from lockd.commands.install.system import System
from lockd.commands.main import main
from lockd.errors import InstallError
from tests.conftest import ROOT
from tests.invoking import invoke

Tree = dict[str, tuple[int, bytes | str]]


def tree(folder: Path) -> Tree:
    """Everything below a folder: modes, contents, and where links point."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (0, os.readlink(path))
        elif path.is_file():
            found[name] = (path.stat().st_mode & 0o777, path.read_bytes())
    return found


class Pretended(System):
    """A folder that says it is the running machine, and what programs it would have run."""

    def __init__(self, root: Path, *, dry_run: bool = False) -> None:
        self.said: list[str] = []
        super().__init__(root, dry_run=dry_run, say=self.said.append)
        self.live = True
        self.ran: list[str] = []
        self.locked = ""
        self.active = "inactive"
        self.network: str | None = "[Service]"
        self.names_a_device: str | None = "False"
        self.has_a_voice: str | None = "False"
        self.has_a_display: str | None = "False"
        self.fails = ""

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        words = " ".join(command)
        if self.fails and self.fails in words:
            raise InstallError(f"failed (1): {words}")
        self.ran.append(words)
        if "--requirement" in command:
            self.locked = Path(command[-1]).read_text("utf-8")
        if "-m venv" in words and not self.dry_run:
            (self.path(command[-1]) / "bin").mkdir(parents=True)
        self.report(f"ran {words}", f"run {words}")

    def asks(self, *command: str) -> str | None:
        if command[1:3] == ("check-config", "--network"):
            return self.network
        if command[0] == f"{environment.LINK}/bin/python":
            assert command[-1] == steps.CONFIG
            for word, answer in (("voice", self.has_a_voice), ("display", self.has_a_display)):
                if word in command[3]:
                    return answer
            return self.names_a_device
        assert command == ("systemctl", "is-active", "lockd.service")
        return self.active


def accounts(monkeypatch: pytest.MonkeyPatch, *users: str) -> None:
    """The machine has these users, and they are in every group."""
    group = SimpleNamespace(gr_mem=users)
    known = SimpleNamespace(getpwnam=dict.fromkeys(users).__getitem__)
    monkeypatch.setattr(steps, "pwd", known)
    monkeypatch.setattr(steps, "grp", SimpleNamespace(getgrnam=lambda name: group))


@pytest.fixture
def no_such_user(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts(monkeypatch)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is there once the first run has made it."""
    accounts(monkeypatch, "lockd")


def live(root: Path, **options: bool) -> Pretended:
    (root / "var/lib/lockd").mkdir(parents=True, exist_ok=True)  # as systemd-tmpfiles does
    (root / "run/udev/control").mkdir(parents=True, exist_ok=True)
    return Pretended(root, **options)


# Keypads, readers and a loudspeaker

DROP_INS = [
    ("names_a_device", "lockd-input.conf"),
    ("has_a_voice", "lockd-sound.conf"),
    ("has_a_display", "lockd-display.conf"),
]


@pytest.mark.parametrize(("answers", "name"), DROP_INS)
def test_devices_are_opened_to_the_service_only_while_the_configuration_names_one(
    tmp_path: Path, installed: None, answers: str, name: str
) -> None:
    folder = tmp_path / "etc/systemd/system/lockd.service.d"
    system = live(tmp_path)
    steps.install(system)
    assert not (folder / name).exists()
    system = live(tmp_path)
    setattr(system, answers, "True")
    system.active = "active"
    steps.install(system)
    assert (folder / name).read_bytes() == (ROOT / "systemd" / name).read_bytes()
    assert [one.name for one in folder.glob("lockd-*")] == [name]
    assert system.ran[-2:] == ["systemctl daemon-reload", "systemctl restart lockd.service"]
    for answer in ("True", None):  # nothing new; a configuration with mistakes
        system = live(tmp_path)
        setattr(system, answers, answer)
        steps.install(system)
        assert ((folder / name).exists(), system.ran) == (True, [])
    system = live(tmp_path)
    setattr(system, answers, "False")
    steps.install(system)
    assert not (folder / name).exists()
    assert system.ran == ["systemctl daemon-reload"]


def test_it_is_taken_away_with_the_rest(tmp_path: Path, installed: None) -> None:
    system = live(tmp_path)
    system.names_a_device = system.has_a_voice = system.has_a_display = "True"
    steps.install(system)
    steps.uninstall(live(tmp_path))
    assert not (tmp_path / "etc/systemd/system/lockd.service.d").exists()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "False"),
        ("second_factor: {keypad: {device: /dev/input/event0}}", "True"),
        ("second_factor: {reader: {device: /dev/input/event0}}", "True"),
        ("second_factor: {wiegand: {d0_pin: 5, d1_pin: 6}}", "False"),
        ("second_factor: {keypad: {}}", None),
    ],
)
def test_the_installed_lockd_says_whether_it_names_one(
    text: str, answer: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lockd.yaml").write_text(text)
    asked: list[tuple[str, ...]] = []

    class Asked(Pretended):
        def asks(self, *command: str) -> str | None:
            asked.append(command)
            return super().asks(*command)

    accounts(monkeypatch, "lockd")
    (tmp_path / "root/var/lib/lockd").mkdir(parents=True)
    steps.install(Asked(tmp_path / "root"))
    command = [
        sys.executable,
        *next(one for one in asked if one[1] == "-P")[1:-1],
        str(tmp_path / "lockd.yaml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout.strip() or None) == answer


# Below another root


def test_every_file_is_put_where_the_system_looks_for_it(tmp_path: Path) -> None:
    result = invoke(main, "install", "--root", tmp_path)

    assert result.exit_code == 0
    found = tree(tmp_path)
    expected = {
        "etc/lockd/lockd.yaml": (0o640, "config/lockd.yaml"),
        "etc/systemd/system/lockd.service": (0o644, "systemd/lockd.service"),
        "etc/udev/rules.d/99-lockd.rules": (0o644, "systemd/99-lockd.rules"),
        "usr/lib/sysusers.d/lockd.conf": (0o644, "systemd/lockd.sysusers"),
        "usr/lib/tmpfiles.d/lockd.conf": (0o644, "systemd/lockd.tmpfiles"),
    }
    for name, (mode, source) in expected.items():
        assert found.pop(name) == (mode, (ROOT / source).read_bytes())
    assert found == {
        "usr/local/bin/lockd": (0, "/opt/lockd/.venv/bin/lockd"),
        "usr/local/bin/lockd-enroll": (0, "/opt/lockd/.venv/bin/lockd-enroll"),
    }


def test_a_second_run_changes_nothing_and_says_so(tmp_path: Path) -> None:
    invoke(main, "install", "--root", tmp_path)
    before = tree(tmp_path)
    times = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}

    result = invoke(main, "install", "--root", tmp_path)

    assert "nothing was changed" in result.output
    assert tree(tmp_path) == before
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_a_dry_run_says_everything_and_does_nothing(tmp_path: Path) -> None:
    result = invoke(main, "install", "--root", tmp_path, "--dry-run")

    assert tree(tmp_path) == {}
    assert "would write /etc/systemd/system/lockd.service" in result.output
    assert "would link /usr/local/bin/lockd to /opt/lockd/.venv/bin/lockd" in result.output


def test_it_is_said_that_events_are_kept_when_the_configuration_comes(
    tmp_path: Path, installed: None
) -> None:
    for said in (1, 0):
        system = live(tmp_path)
        steps.install(system)
        assert sum("is kept in /var/lib/lockd for 30 days" in one for one in system.said) == said


def test_an_edited_configuration_stays_and_the_new_one_lies_beside_it(tmp_path: Path) -> None:
    edited = tmp_path / "etc/lockd/lockd.yaml"
    edited.parent.mkdir(parents=True)
    edited.write_text("door:\n  id: mine\n")

    result = invoke(main, "install", "--root", tmp_path)

    assert edited.read_text() == "door:\n  id: mine\n"
    beside = edited.with_name("lockd.yaml.new")
    assert beside.read_bytes() == (ROOT / "config/lockd.yaml").read_bytes()
    assert "lockd.yaml.new" in result.output


def test_defaults_that_the_owner_has_seen_are_not_brought_again(tmp_path: Path) -> None:
    edited = tmp_path / "etc/lockd/lockd.yaml"
    seen = tmp_path / "opt/lockd/.venv/share/lockd/config/lockd.yaml"
    for path in (edited, seen):
        path.parent.mkdir(parents=True)
    edited.write_text("door:\n  id: mine\n")
    seen.write_bytes((ROOT / "config/lockd.yaml").read_bytes())

    invoke(main, "install", "--root", tmp_path)

    assert [path.name for path in edited.parent.iterdir()] == ["lockd.yaml"]


def test_uninstalling_leaves_configuration_and_store(tmp_path: Path) -> None:
    invoke(main, "install", "--root", tmp_path)
    store = tmp_path / "var/lib/lockd/lockd.db"
    store.parent.mkdir(parents=True)
    store.write_text("people")

    result = invoke(main, "uninstall", "--root", tmp_path)

    assert sorted(tree(tmp_path)) == ["etc/lockd/lockd.yaml", "var/lib/lockd/lockd.db"]
    assert "--purge removes them" in result.output
    again = invoke(main, "uninstall", "--root", tmp_path)
    assert (again.exit_code, "nothing was changed" in again.output) == (0, True)


def test_a_purge_says_what_it_deletes_and_leaves_nothing(tmp_path: Path) -> None:
    invoke(main, "install", "--root", tmp_path)
    (tmp_path / "var/lib/lockd").mkdir(parents=True)
    (tmp_path / "var/lib/lockd/lockd.db").write_text("people")
    (tmp_path / "etc/lockd/mqtt-password").write_text("secret")

    dry = invoke(main, "uninstall", "--root", tmp_path, "--purge", "--dry-run")
    assert "would be deleted: the templates of everybody enrolled" in dry.output
    assert (tmp_path / "var/lib/lockd/lockd.db").exists()

    result = invoke(main, "uninstall", "--root", tmp_path, "--purge")
    assert "biometric data" in result.output
    assert tree(tmp_path) == {}


def test_a_link_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    (tmp_path / "usr/local/bin/lockd").write_text("another program")
    (tmp_path / "usr/local/bin/lockd-enroll").symlink_to("/opt/another")

    invoke(main, "install", "--root", tmp_path)
    assert (tmp_path / "usr/local/bin/lockd").read_text() == "another program"
    os.unlink(tmp_path / "usr/local/bin/lockd-enroll")
    (tmp_path / "usr/local/bin/lockd-enroll").symlink_to("/opt/another")

    invoke(main, "uninstall", "--root", tmp_path)
    assert os.readlink(tmp_path / "usr/local/bin/lockd-enroll") == "/opt/another"
    assert (tmp_path / "usr/local/bin/lockd").read_text() == "another program"


# On the machine itself


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_without_root_nothing_is_changed_and_it_says_why() -> None:
    result = invoke(main, "install")

    assert result.exit_code == 11
    assert "only root may" in result.output


def test_somebody_else_than_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    for command in ("install", "uninstall"):
        result = invoke(main, command)
        assert result.exit_code == 11
        assert "sudo" in result.output


@pytest.mark.usefixtures("no_such_user")
def test_programs_run_in_the_order_in_which_each_needs_the_other(tmp_path: Path) -> None:
    system = live(tmp_path)

    steps.install(system)

    names = [next(word for word in KNOWN if word in line) for line in system.ran]
    assert names == [
        "systemd-sysusers", "systemd-tmpfiles", "udevadm control", "udevadm trigger",
        "-m venv", "-m pip", "-m pip", "daemon-reload", "daemon-reload", "enable",
    ]  # fmt: skip


KNOWN = (
    "systemd-sysusers", "systemd-tmpfiles", "udevadm control", "udevadm trigger", "-m venv",
    "-m pip", "daemon-reload", "enable", "restart",
)  # fmt: skip


@pytest.mark.usefixtures("installed")
def test_a_second_run_on_a_machine_runs_no_program_and_builds_nothing(tmp_path: Path) -> None:
    steps.install(live(tmp_path))
    before = tree(tmp_path)
    again = live(tmp_path)

    steps.install(again)

    assert (again.ran, again.changes) == ([], 0)
    assert "nothing was changed" in again.said[-1]
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("installed")
def test_the_service_runs_from_a_complete_environment_behind_a_link(tmp_path: Path) -> None:
    steps.install(live(tmp_path))

    (release,) = (tmp_path / "opt/lockd/releases").iterdir()
    assert os.readlink(tmp_path / "opt/lockd/.venv") == f"/opt/lockd/releases/{release.name}"
    unit = (tmp_path / "etc/systemd/system/lockd.service").read_text()
    assert "ExecStart=/opt/lockd/.venv/bin/lockd run" in unit


@pytest.mark.usefixtures("installed")
def test_an_update_that_fails_leaves_the_old_environment_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps.install(live(tmp_path))
    old = os.readlink(tmp_path / "opt/lockd/.venv")
    monkeypatch.setattr(environment, "fingerprint", lambda tree: "another")
    update = live(tmp_path)
    update.fails = "-m pip"

    with pytest.raises(InstallError, match="-m pip"):
        steps.install(update)
    assert os.readlink(tmp_path / "opt/lockd/.venv") == old
    assert (tmp_path / old.lstrip("/")).is_dir()

    update.fails = ""
    update.active = "active"
    steps.install(update)
    assert os.readlink(tmp_path / "opt/lockd/.venv") != old
    assert update.ran[-1] == "systemctl restart lockd.service"


def in_use(root: Path) -> str:
    return os.readlink(root / "opt/lockd/.venv")


@pytest.fixture
def updated(tmp_path: Path, installed: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The releases of a machine on which two versions were installed one after the other."""
    releases = []
    for version in ("one", "two"):
        monkeypatch.setattr(environment, "fingerprint", lambda tree, version=version: version)
        steps.install(live(tmp_path))
        releases.append(in_use(tmp_path))
        unit = tmp_path / releases[-1].lstrip("/") / "share/lockd/systemd/lockd.service"
        unit.parent.mkdir(parents=True)
        unit.write_text(f"[Unit]\nDescription={version}\n")
    return releases


def test_the_version_before_is_kept_and_can_be_gone_back_to_and_forth(
    tmp_path: Path, updated: list[str]
) -> None:
    for release, name in ((updated[0], "one"), (updated[1], "two")):
        system = live(tmp_path)
        system.active = "active"
        steps.roll_back(system)
        assert in_use(tmp_path) == release
        assert system.ran == ["systemctl daemon-reload", "systemctl restart lockd.service"]
        unit = (tmp_path / "etc/systemd/system/lockd.service").read_text()
        assert f"Description={name}" in unit


def test_only_the_version_before_is_kept(
    tmp_path: Path, updated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "fingerprint", lambda tree: "three")
    steps.install(live(tmp_path))
    kept = sorted(one.name for one in (tmp_path / "opt/lockd/releases").iterdir())
    assert kept == ["three", "two"]
    steps.uninstall(live(tmp_path))
    assert not (tmp_path / "opt/lockd").exists()


@pytest.mark.usefixtures("installed")
def test_there_may_be_no_version_before(tmp_path: Path) -> None:
    steps.install(live(tmp_path))
    before = in_use(tmp_path)
    with pytest.raises(InstallError, match="no version before this one"):
        steps.roll_back(live(tmp_path))
    assert in_use(tmp_path) == before


def test_a_new_version_that_does_not_become_ready_gives_way_by_itself(
    tmp_path: Path, updated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "fingerprint", lambda tree: "three")

    class Fails(Pretended):
        def run(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
            super().run(*command, environment=environment)
            if command[1:2] == ("restart",) and in_use(tmp_path).endswith("three"):
                raise InstallError("failed (1): systemctl restart lockd.service")

    system = Fails(tmp_path)
    system.active = "active"
    with pytest.raises(InstallError, match="the one before is in use again"):
        steps.install(system)
    assert in_use(tmp_path) == updated[1]
    assert system.ran[-1] == "systemctl restart lockd.service"
    assert "Description=two" in (tmp_path / "etc/systemd/system/lockd.service").read_text()


@pytest.mark.usefixtures("installed")
def test_only_a_service_that_runs_is_started_again_and_only_for_a_change(tmp_path: Path) -> None:
    steps.install(live(tmp_path))
    running = live(tmp_path)
    running.active = "active"

    steps.install(running)
    assert running.ran == []

    (tmp_path / "etc/systemd/system/lockd.service").write_text("of an older lockd")
    steps.install(running)
    # Not enabled again: whoever disabled it meant it.
    assert running.ran == ["systemctl daemon-reload", "systemctl restart lockd.service"]


NETWORK = "etc/systemd/system/lockd.service.d/50-network.conf"


@pytest.mark.usefixtures("installed")
def test_whom_the_service_may_speak_to_is_renewed_by_another_run(tmp_path: Path) -> None:
    steps.install(live(tmp_path))
    assert (tmp_path / NETWORK).read_text() == "[Service]\n"
    running = live(tmp_path)
    running.active, running.network = "active", "[Service]\nIPAddressAllow=192.168.1.5/32"

    steps.install(running)

    assert (tmp_path / NETWORK).read_text() == f"{running.network}\n"
    assert running.ran == ["systemctl daemon-reload", "systemctl restart lockd.service"]
    steps.install(running)
    assert len(running.ran) == 2


@pytest.mark.usefixtures("installed")
def test_a_configuration_that_cannot_be_read_leaves_whom_the_service_may_speak_to(
    tmp_path: Path,
) -> None:
    steps.install(live(tmp_path))
    again = live(tmp_path)
    again.network = None

    steps.install(again)

    assert (tmp_path / NETWORK).read_text() == "[Service]\n"
    assert any("check-config" in line for line in again.said)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("fails", ["daemon-reload", "enable"])
def test_a_unit_that_systemd_did_not_take_is_put_again_by_the_next_run(
    fails: str, tmp_path: Path
) -> None:
    system = live(tmp_path)
    system.fails = fails
    with pytest.raises(InstallError, match=fails):
        steps.install(system)

    again = live(tmp_path)
    steps.install(again)

    assert again.ran[-2:] == ["systemctl daemon-reload", "systemctl enable lockd.service"]


@pytest.mark.usefixtures("installed")
def test_a_container_without_udev_is_no_failure(tmp_path: Path) -> None:
    system = live(tmp_path)
    (tmp_path / "run/udev/control").rmdir()
    system.fails = "udevadm"

    steps.install(system)
    steps.uninstall(system)


@pytest.mark.usefixtures("installed")
def test_a_dry_run_on_a_machine_runs_nothing(tmp_path: Path) -> None:
    system = live(tmp_path, dry_run=True)

    steps.install(system)

    assert tree(tmp_path) == {}
    assert any("would build /opt/lockd/releases/" in line for line in system.said)


@pytest.mark.usefixtures("installed")
def test_uninstalling_stops_the_service_before_anything_is_removed(tmp_path: Path) -> None:
    steps.install(live(tmp_path))
    before = tree(tmp_path)
    system = live(tmp_path)
    system.fails = "disable --now"

    with pytest.raises(InstallError, match="disable --now"):
        steps.uninstall(system)
    assert tree(tmp_path) == before

    system.fails = ""
    steps.uninstall(system, purge=True)
    assert system.ran[0] == "systemctl disable --now lockd.service"
    assert system.ran[-1] == "userdel lockd"
    assert tree(tmp_path) == {}


@pytest.mark.usefixtures("installed")
def test_the_console_comes_when_it_is_asked_for_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps.console, "pwd", SimpleNamespace(getpwnam={}.__getitem__))
    steps.install(live(tmp_path))
    assert not any("console" in name for name in tree(tmp_path))

    system = live(tmp_path)
    system.active = "active"
    steps.install(system, with_console=True)
    found = tree(tmp_path)
    assert "etc/systemd/system/lockd-console.service" in found
    assert "etc/systemd/system/lockd.service.d/lockd-console.conf" in found
    assert "systemctl restart lockd.service" in system.ran  # it makes the socket
    assert "systemctl enable lockd-console.service" in system.ran
    assert any("lockd console user add" in line for line in system.said)
    assert "\nfastapi==" in system.locked

    again = live(tmp_path)
    for folder in ("run/lockd-console", "var/lib/lockd-console", "etc/lockd-console"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(steps.console, "pwd", SimpleNamespace(getpwnam=lambda name: None))
    steps.install(again)
    assert again.changes == 0

    gone = live(tmp_path)
    steps.uninstall(gone)
    assert not any("console" in name for name in tree(tmp_path))
    assert gone.ran.index("systemctl disable --now lockd.service") < gone.ran.index(
        "systemctl disable --now lockd-console.service"
    )


@pytest.mark.usefixtures("installed")
def test_of_the_package_only_whom_it_reaches_and_the_console_are_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "PACKAGED", True)
    monkeypatch.setattr(steps.console, "pwd", SimpleNamespace(getpwnam={}.__getitem__))
    drop_ins = "etc/systemd/system/lockd.service.d"
    steps.install(live(tmp_path))
    assert set(tree(tmp_path)) == {f"{drop_ins}/50-network.conf"}

    system = live(tmp_path)
    steps.install(system, with_console=True)
    assert f"{drop_ins}/lockd-console.conf" in tree(tmp_path)
    assert "etc/systemd/system/lockd-console.service" in tree(tmp_path)
    assert not [name for name in tree(tmp_path) if name.startswith("opt")]
    assert "systemctl enable lockd-console.service" in system.ran

    system = live(tmp_path)
    steps.install(system)
    assert not any("console.service" in command for command in system.ran), "it stays"


def test_an_environment_below_another_root_is_not_made(tmp_path: Path) -> None:
    said: list[str] = []

    assert not environment.put_environment(System(tmp_path, say=said.append), None)

    assert "chroot" in said[0]


@pytest.mark.usefixtures("installed")
def test_an_installed_lockd_keeps_its_own_environment_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "source_tree", lambda: None)
    system = live(tmp_path)

    with pytest.raises(InstallError, match=r"tools/install\.sh"):
        environment.put_environment(system, None)

    (tmp_path / "opt/lockd").mkdir(parents=True)
    (tmp_path / "opt/lockd/.venv").symlink_to(sys.prefix)
    assert not environment.put_environment(system, None)


def test_the_fingerprint_changes_with_any_file_that_is_installed(tmp_path: Path) -> None:
    (tmp_path / "lockd/__pycache__").mkdir(parents=True)
    (tmp_path / "lockd/a.py").write_text("1")
    first = environment.fingerprint(tmp_path)

    (tmp_path / "lockd/__pycache__/a.pyc").write_text("compiled")
    (tmp_path / "notes.txt").write_text("not installed")
    assert environment.fingerprint(tmp_path) == first

    (tmp_path / "lockd/a.py").write_text("2")
    assert environment.fingerprint(tmp_path) != first


def test_a_program_that_fails_is_shown_with_what_it_said() -> None:
    system = System.__new__(System)
    system.live, system.dry_run = True, False

    with pytest.raises(InstallError, match=r"failed \(3\): sh -c[^\n]*\n  because"):
        system.run("sh", "-c", "echo because >&2; exit 3")
    with pytest.raises(InstallError, match="is it installed"):
        system.run("no-such-program")


def test_the_first_installation_needs_nothing_but_python() -> None:
    # -S: without the packages of this environment. -I: nor the user's.
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import lockd.commands.install.__main__"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
