"""The unit is checked by systemd itself, without being run.

`systemd-analyze` knows the directives, what they add up to and when one is misspelt, which
systemd otherwise ignores without a word to anybody who does not read the journal.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from lockd.adapters.reach import allowed, drop_in, needs, unreached
from lockd.config import Settings
from lockd.paths import CONSOLE_RUNTIME, CONSOLE_USER
from tests.conftest import ROOT
from tests.patience import PATIENCE_S

UNITS = Path(__file__).resolve().parent.parent / "systemd"
UNIT = UNITS / "lockd.service"
INSTALLED = "/opt/lockd/.venv/bin/lockd"
MAX_EXPOSURE = 1.3
"""Of 10. What is left open says why in the unit; most of it is the network and the camera."""
MAX_WITH_OTHERS = 1.4
"""With addresses of other machines that are let through."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this system has no systemd-analyze"
)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end and keeps what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def directives(text: str) -> dict[str, list[str]]:
    """Reads a unit: `Section.Key` to its values, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            key, _, value = line.partition("=")
            found[f"{section}.{key}"].append(value)
    return found


@pytest.fixture
def unit() -> dict[str, list[str]]:
    return directives(UNIT.read_text())


def verify(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Lets systemd read the unit, with a program in place of the one that is not installed here."""
    program = folder / "lockd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = folder / "lockd.service"
    copy.write_text(text.replace(INSTALLED, str(program)))
    return run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy)


def exposure(text: str, folder: Path) -> float:
    """How much of the system the unit leaves in reach, 0 to 10."""
    copy = folder / "lockd.service"
    copy.write_text(text)
    result = run("systemd-analyze", "security", "--offline=yes", "--no-pager", copy)
    summary = next(line for line in result.stdout.splitlines() if "Overall exposure" in line)
    return float(summary.partition("lockd.service:")[2].split()[0])


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    result = verify(UNIT.read_text(), tmp_path)

    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WatchdogSec=10", "WatchdogSex=10"),
        ("WatchdogSec=10", "WatchdogSec=ten"),
        ("Restart=always", "Restart=ever"),
        ("@system-service", "@system-servce"),
        (INSTALLED, "lockd/bin/lockd"),
    ],
)
def test_systemd_notices_a_mistake(right: str, wrong: str, tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert right in text

    result = verify(text.replace(right, wrong), tmp_path)

    assert "lockd.service" in result.stderr


@needs_systemd
def test_the_unit_leaves_little_in_reach(tmp_path: Path) -> None:
    assert exposure(UNIT.read_text(), tmp_path) <= MAX_EXPOSURE


@needs_systemd
def test_a_camera_and_a_broker_on_the_network_leave_little_more_in_reach(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"camera": {"source": "rtsp://192.168.1.5/a"}, "mqtt": {"host": "fd00::7"}}
    )

    assert exposure(UNIT.read_text() + drop_in(needs(settings)), tmp_path) <= MAX_WITH_OTHERS


@needs_systemd
@pytest.mark.parametrize(
    "directive",
    [
        "IPAddressDeny=any",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "DevicePolicy=closed",
        "User=lockd",
    ],
)
def test_opening_one_thing_is_noticed(directive: str, tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert f"\n{directive}\n" in text

    assert exposure(text.replace(f"\n{directive}\n", "\n"), tmp_path) > MAX_EXPOSURE


@needs_systemd
def test_only_what_the_unit_explains_is_open(tmp_path: Path) -> None:
    copy = tmp_path / "lockd.service"
    copy.write_text(UNIT.read_text())
    result = run("systemd-analyze", "security", "--offline=yes", "--json=short", copy)

    closed_to_others = {
        check["name"]
        for check in json.loads(result.stdout)
        if check["set"] is False and float(check["exposure"] or 0) > 0
    }

    assert closed_to_others <= {
        "DeviceAllow=",
        "IPAddressDeny=",
        "PrivateDevices=",
        "PrivateNetwork=",
        "PrivateUsers=",
        "ProcSubset=",
        "RestrictAddressFamilies=~AF_(INET|INET6)",
        "RestrictAddressFamilies=~AF_NETLINK",
        "RestrictAddressFamilies=~AF_UNIX",
        "RootDirectory=/RootImage=",
        "SupplementaryGroups=",
    }


CONSOLE = UNITS / "lockd-console.service"


@needs_systemd
def test_the_console_is_shut_in_and_systemd_accepts_its_unit(tmp_path: Path) -> None:
    text = CONSOLE.read_text()
    result = verify(text, tmp_path)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    assert exposure(text, tmp_path) <= MAX_EXPOSURE


def test_the_console_has_a_user_of_its_own_no_group_of_the_services_and_no_device() -> None:
    unit = directives(CONSOLE.read_text())
    assert unit["Service.User"] == unit["Service.Group"] == [CONSOLE_USER]
    assert "Service.SupplementaryGroups" not in unit
    assert "Service.DeviceAllow" not in unit
    assert "Service.LoadCredential" not in unit
    users = (UNITS / "lockd-console.sysusers").read_text().splitlines()
    assert not [line for line in users if line.startswith("m ")]
    folders = (UNITS / "lockd-console.tmpfiles").read_text()
    assert f"d {CONSOLE_RUNTIME}     2750 lockd         {CONSOLE_USER} -" in folders


def test_the_relay_is_locked_after_any_end(unit: dict[str, list[str]]) -> None:
    (stop_post,) = unit["Service.ExecStopPost"]

    # No leading "-": a relay that could not be locked must be seen.
    assert shlex.split(stop_post)[:2] == [INSTALLED, "relay-safe"]


def test_what_a_dead_service_leaves_behind_keeps_relay_safe_waiting_for_nothing(
    unit: dict[str, list[str]],
) -> None:
    assert unit["Service.KillMode"] == ["mixed"]
    assert "Service.SendSIGKILL" not in unit


def test_the_daemon_is_always_started_again(unit: dict[str, list[str]]) -> None:
    assert unit["Service.Restart"] == ["always"]
    assert unit["Service.Type"] == ["notify"]
    assert unit["Unit.StartLimitIntervalSec"] == ["0"]
    assert 0 < int(unit["Service.WatchdogSec"][0]) <= 30
    assert float(unit["Service.RestartSec"][0]) <= 2


def test_a_reload_is_a_signal_to_the_service(unit: dict[str, list[str]]) -> None:
    assert unit["Service.ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_a_leak_has_bounds_and_no_face_is_written_to_a_swap_file(
    unit: dict[str, list[str]],
) -> None:
    assert unit["Service.MemoryMax"] == ["700M"]
    assert unit["Service.MemorySwapMax"] == ["0"]
    assert unit["Service.TasksMax"] == ["128"]
    assert unit["Service.LimitNOFILE"] == ["1024"]


def test_a_user_outside_the_group_cannot_reach_the_control_socket(
    unit: dict[str, list[str]],
) -> None:
    assert unit["Service.RuntimeDirectory"] == ["lockd"]
    assert unit["Service.RuntimeDirectoryMode"] == ["0750"]


def test_the_door_waits_for_nothing(unit: dict[str, list[str]]) -> None:
    for key in ("Requires", "Requisite", "BindsTo", "PartOf"):
        assert unit[f"Unit.{key}"] == []
    assert "network-online.target" not in " ".join(unit["Unit.After"] + unit["Unit.Wants"])


def test_every_device_is_reachable_and_no_other(unit: dict[str, list[str]]) -> None:
    assert unit["Service.DevicePolicy"] == ["closed"]
    assert sorted(unit["Service.DeviceAllow"]) == [
        "char-dma_heap rw",
        "char-gpiochip rw",
        "char-media rw",
        "char-video4linux rw",
    ]
    assert unit["Service.SupplementaryGroups"] == ["gpio video"]


@pytest.mark.parametrize(
    ("drop_in", "devices", "group"),
    [
        ("lockd-input.conf", ["char-input r"], "input"),
        ("lockd-sound.conf", ["char-alsa rw"], "audio"),
        ("lockd-display.conf", ["char-i2c rw", "char-spi rw"], "i2c spi"),
    ],
)
def test_what_is_wired_besides_is_reachable_by_a_drop_in_that_opens_nothing_else(
    drop_in: str, devices: list[str], group: str
) -> None:
    lines = (ROOT / "systemd" / drop_in).read_text().splitlines()
    said = [line for line in lines if not line.startswith("#")]
    allowed_devices = [f"DeviceAllow={one}" for one in devices]
    assert said == ["[Service]", *allowed_devices, f"SupplementaryGroups={group}"]


def test_nobody_may_take_the_processor_from_the_door(unit: dict[str, list[str]]) -> None:
    assert unit["Service.SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert unit["Service.CapabilityBoundingSet"] == [""]
    assert "Service.LimitNICE" not in unit


def test_the_service_speaks_to_this_machine_only_until_somebody_else_is_configured(
    unit: dict[str, list[str]],
) -> None:
    assert unit["Service.IPAddressDeny"] == ["any"]
    assert unit["Service.IPAddressAllow"] == ["localhost"]
    assert unreached(needs(Settings()), allowed([UNIT.read_text()])) == []


def test_a_refused_system_call_fails_instead_of_killing(unit: dict[str, list[str]]) -> None:
    assert unit["Service.SystemCallErrorNumber"] == ["EPERM"]


def test_the_state_is_the_services_own(unit: dict[str, list[str]]) -> None:
    assert unit["Service.StateDirectory"] == ["lockd"]
    assert unit["Service.StateDirectoryMode"] == ["0700"]
    assert unit["Service.WorkingDirectory"] == ["%t/lockd"]
    assert "LG_WD=%t/lockd" in unit["Service.Environment"]


@pytest.mark.parametrize("key", ["Service.ExecStart", "Service.ExecStopPost"])
def test_the_command_is_one_that_lockd_has(key: str, unit: dict[str, list[str]]) -> None:
    from click.testing import CliRunner

    from lockd.commands.main import main

    program, command, option, _ = shlex.split(unit[key][0])
    result = CliRunner().invoke(main, [command, "--help"])

    assert program == INSTALLED
    assert result.exit_code == 0, result.output
    assert option in result.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty system with lockd's user and groups in it."""
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("this system has no systemd-sysusers")
    (tmp_path / "etc/lockd").mkdir(parents=True)
    (tmp_path / "etc/lockd/lockd.yaml").touch(0o644)
    result = run("systemd-sysusers", f"--root={tmp_path}", UNITS / "lockd.sysusers")
    assert result.returncode == 0, result.stderr
    return tmp_path


def test_the_user_cannot_log_in_and_has_its_groups(root: Path) -> None:
    users = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    groups = [line.split(":") for line in (root / "etc/group").read_text().splitlines()]

    ((_, _, _, _, _, home, shell),) = [user for user in users if user[0] == "lockd"]
    assert home == "/var/lib/lockd"
    assert shell.endswith("nologin")
    assert {group[0] for group in groups if "lockd" in group[3].split(",")} == {"gpio", "video"}


def test_configuration_and_state_are_for_the_service_only(root: Path) -> None:
    created = run("systemd-tmpfiles", "--create", f"--root={root}", UNITS / "lockd.tmpfiles")

    if os.geteuid() != 0:
        # Only root may give files away; that the lines are understood can still be seen.
        assert "invalid" not in created.stderr.lower()
        assert created.returncode != os.EX_DATAERR, created.stderr
        return
    assert (created.returncode, created.stderr) == (0, "")
    modes = {path: os.stat(root / path) for path in ("etc/lockd", "var/lib/lockd")}
    assert stat.S_IMODE(modes["etc/lockd"].st_mode) == 0o750
    assert stat.S_IMODE(modes["var/lib/lockd"].st_mode) == 0o700
    assert modes["etc/lockd"].st_uid == 0
    assert modes["etc/lockd"].st_gid == modes["var/lib/lockd"].st_uid != 0
    assert stat.S_IMODE(os.stat(root / "etc/lockd/lockd.yaml").st_mode) == 0o640


def test_udev_gives_gpio_to_its_group_only() -> None:
    rules = [
        line
        for line in (UNITS / "99-lockd.rules").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert rules == ['SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"']
