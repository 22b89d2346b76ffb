"""`lockd doctor`, mostly on machines on which something is wrong."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lockd.adapters.gpiochip import Chip
from lockd.adapters.store import Store, Vault
from lockd.adapters.wallclock import WallClock
from lockd.commands.broker_setup import certificates as certificates_made
from lockd.commands.doctor import (
    broker,
    camera,
    examine,
    hardware,
    network,
    pins,
    service,
    software,
)
from lockd.commands.doctor.findings import Check, Finding, Machine, Status, ok
from lockd.commands.doctor.table import CHECKS
from lockd.commands.main import main
from lockd.errors import CameraError, ConfigError, PinError
from tests.brokers import Certificates, Mosquitto
from tests.conftest import CLIP, ROOT, free_port
from tests.invoking import invoke
from tests.patience import PATIENCE_S
from tests.schemas import validator


def machine(folder: Path, config: str = "", **files: str) -> Machine:
    """A machine with a configuration, and with the files named by their paths."""
    for path, text in files.items():
        write(folder / "root" / path, text)
    write(folder / "lockd.yaml", config)
    return Machine(folder / "lockd.yaml", None, folder / "root")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def with_files(folder: Path, files: dict[str, str], config: str = "") -> Machine:
    return machine(folder, config, **files)


def statuses(findings: list[Finding]) -> list[Status]:
    return [one.status for one in findings]


def check(look: Any, **options: Any) -> Check:
    return Check("one", look, **options)


# One check must not harm the others


def test_whatever_a_check_raises_is_a_problem_and_the_next_one_still_runs(tmp_path: Path) -> None:
    def fails(_: Machine) -> list[Finding]:
        raise ZeroDivisionError("a surprise")

    found = list(examine.examine([check(fails), check(lambda _: [ok("fine")])], machine(tmp_path)))

    assert [statuses(findings) for _, findings in found] == [[Status.PROBLEM], [Status.OK]]
    assert "ZeroDivisionError: a surprise" in found[0][1][0].text


def test_a_check_that_hangs_is_given_up(tmp_path: Path) -> None:
    never = threading.Event()

    def hangs(_: Machine) -> list[Finding]:
        never.wait()
        return []

    ((_, (finding,)),) = examine.examine([check(hangs, limit_s=0.05)], machine(tmp_path))
    never.set()

    assert (finding.status, "0.05 s" in finding.text) == (Status.PROBLEM, True)


def test_a_mistake_in_the_configuration_is_reported_by_its_own_check_only(tmp_path: Path) -> None:
    broken = machine(tmp_path, "door:\n  opne_s: 3\nrelay:\n  pin: 99\n")

    (finding,) = examine.findings_of(check(software.configuration), broken)
    assert finding.status is Status.PROBLEM
    assert "did you mean open_s?" in finding.text
    assert "relay.pin" in finding.text
    for look in (service.store, broker.broker, pins.pins, camera.camera, software.networks):
        assert statuses(examine.findings_of(check(look), broken)) == [Status.SKIPPED]


def test_an_error_of_lockds_own_is_a_problem_in_its_own_words(tmp_path: Path) -> None:
    def fails(_: Machine) -> list[Finding]:
        raise CameraError("camera /dev/video0: not there; plug it in")

    (finding,) = examine.findings_of(check(fails), machine(tmp_path))

    assert finding == Finding(Status.PROBLEM, "camera /dev/video0: not there; plug it in")


def test_a_check_in_a_process_of_its_own_answers_through_it(tmp_path: Path) -> None:
    (row,) = (one for one in CHECKS if one.name == "broker")

    ((_, findings),) = examine.examine([row], machine(tmp_path))

    assert row.apart
    assert findings == broker.broker(machine(tmp_path))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
        ("import sys; sys.exit('no such thing')", "exit code 1; no such thing"),
        ("print('gibberish')", "exit code 0"),
        ("import time; time.sleep(60)", "no answer within"),
    ],
)
def test_a_process_that_crashes_lies_or_hangs_is_a_problem(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run

    def another(command: list[str], **options: Any) -> Any:
        return real([sys.executable, "-c", program], **options)

    monkeypatch.setattr(subprocess, "run", another)
    limit_s = 1.0 if "sleep" in program else PATIENCE_S

    ((_, (finding,)),) = examine.examine(
        [check(lambda _: [], apart=True, limit_s=limit_s)], machine(tmp_path)
    )

    assert (finding.status, said in finding.text) == (Status.PROBLEM, True), finding


# The command


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A computer with no camera, GPIO or broker, and no systemd to ask."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    config = tmp_path / "lockd.yaml"
    config.write_text(
        "camera:\n  source: /dev/video63\nmqtt:\n  host: 127.0.0.1\n"
        f"  port: {free_port()}\nstore:\n  folder: state\n"
    )
    return config


@pytest.mark.slow
def test_everything_missing_is_reported_and_nothing_is_made(bare: Path) -> None:
    before = sorted(bare.parent.iterdir())

    result = invoke(main, "doctor", "--config", bare, "--json")

    said = json.loads(result.stdout)
    worst = {
        name: {row["status"] for row in said["checks"] if row["check"] == name}
        for name in (one.name for one in CHECKS)
    }
    assert result.exit_code == 1
    assert all(worst.values())
    assert "problem" in worst["camera"] & worst["broker"]
    assert "ok" in worst["networks"]
    assert "the check itself failed" not in result.stdout
    assert sorted(bare.parent.iterdir()) == before


def test_no_problem_ends_with_0_and_a_warning_is_none(tmp_path: Path) -> None:
    (tmp_path / "lockd.yaml").write_text("relay:\n  factory: mock\n")
    only = ("--only", "configuration", "--only", "python")

    result = invoke(main, "doctor", "--config", tmp_path / "lockd.yaml", *only)

    assert result.exit_code == 0
    assert "1 warning." in result.output
    assert "-> set lgpio for a real door" in result.output


def test_a_check_that_there_is_not_is_a_wrong_usage() -> None:
    result = invoke(main, "doctor", "--only", "camra")

    assert result.exit_code == 2
    assert "camera" in result.output


def test_every_check_has_a_name_of_its_own_that_fits_the_report() -> None:
    names = [one.name for one in CHECKS]

    assert len(set(names)) == len(names)
    assert max(map(len, names)) == len("configuration")


# Software


def test_a_package_too_old_or_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "importlib.metadata.requires",
        lambda _: ["click>=900", "no-such-package", "pydantic", "ruff>=900; extra == 'test'"],
    )

    found = software.packages(machine(tmp_path))

    assert statuses(found) == [Status.PROBLEM, Status.PROBLEM]
    assert "click" in found[0].text
    assert found[1].text == "no-such-package: not installed"


def test_the_networks_run_and_recognise(tmp_path: Path) -> None:
    found = software.networks(machine(tmp_path))

    assert statuses(found) == [Status.OK, Status.OK], found
    assert "XNNPACK" in found[0].text


def test_a_threshold_that_tells_nobody_apart_is_a_problem(tmp_path: Path) -> None:
    found = software.networks(machine(tmp_path, "recognition:\n  accept: 0.99\n"))

    assert statuses(found) == [Status.OK, Status.PROBLEM]


def test_an_altered_network_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for file in (ROOT / "models").iterdir():
        if file.suffix in (".tflite", ".json"):
            (folder / file.name).write_bytes(file.read_bytes())
    with (folder / "sface.tflite").open("r+b") as file:
        file.seek(1000)
        file.write(b"x")

    (finding,) = examine.findings_of(
        check(software.networks), machine(tmp_path, f"recognition:\n  models: {folder}\n")
    )

    assert finding.status is Status.PROBLEM
    assert "SHA-256" in finding.text


# Hardware


def test_a_weak_supply_and_heat_are_told_from_the_firmwares_flags(tmp_path: Path) -> None:
    where = "sys/devices/platform/soc/soc:firmware/get_throttled"
    for flags, expected in [
        ("0", [Status.OK]),
        ("50000", [Status.WARNING]),
        ("50005", [Status.PROBLEM]),
        ("40000", [Status.WARNING]),
    ]:
        assert statuses(hardware.power(with_files(tmp_path, {where: flags + "\n"}))) == expected


def test_a_hot_board_is_told(tmp_path: Path) -> None:
    found = hardware.power(
        with_files(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "82300\n"})
    )

    assert found[0].status is Status.WARNING
    assert "82 degrees" in found[0].text


def test_the_boards_model_and_too_little_memory_are_told(tmp_path: Path) -> None:
    found = hardware.board(
        with_files(
            tmp_path,
            {
                "proc/device-tree/model": "Raspberry Pi Zero 2 W Rev 1.0\0",
                "proc/meminfo": "MemTotal: 436224 kB\nMemAvailable: 200000 kB\nSwapTotal: 0 kB\n",
            },
        )
    )

    assert "Raspberry Pi Zero 2 W Rev 1.0," in found[0].text
    assert (found[1].status, "426 MB" in found[1].text) == (Status.WARNING, True)


HOURS = "access: {groups: {staff: {hours: {mon-fri: '08:00-18:00'}}}}"


@pytest.mark.parametrize(
    ("right", "settings", "status"),
    [
        (True, "", Status.OK),
        (False, "", Status.WARNING),
        (True, HOURS, Status.OK),
        (False, HOURS, Status.PROBLEM),
    ],
)
def test_a_clock_that_nobody_sets_is_worse_where_people_come_by_hours(
    right: bool, settings: str, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(clock: WallClock) -> datetime | None:
        clock.problem = None if right else "no time server has set the clock"
        return datetime.now().astimezone() if right else None

    monkeypatch.setattr(WallClock, "local", local)

    (found,) = hardware.clock(machine(tmp_path, settings))

    assert found.status is status
    assert right or "no time server has set the clock" in found.text


# Camera


def test_a_camera_is_looked_through_and_its_picture_kept_only_if_asked(tmp_path: Path) -> None:
    asked = tmp_path / "seen.jpg"
    settings = f"camera:\n  source: {CLIP}\n"

    found = camera.camera(machine(tmp_path, settings))
    assert set(statuses(found)) == {Status.OK}
    assert list(tmp_path.glob("*.jpg")) == []

    write(tmp_path / "lockd.yaml", settings)
    found = camera.camera(Machine(tmp_path / "lockd.yaml", asked, tmp_path / "root"))
    assert "saved" in found[-1].text
    assert cv2.imread(str(asked)) is not None
    assert asked.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("image", "status", "said"),
    [
        (np.full((120, 160, 3), 9, np.uint8), Status.PROBLEM, "covered"),
        (np.tile(np.uint8([10, 40]), (120, 80))[..., None].repeat(3, 2), Status.WARNING, "light"),
    ],
)
def test_a_covered_lens_and_darkness_are_told(
    image: np.ndarray[Any, Any], status: Status, said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), image)

    found = camera.camera(machine(tmp_path, f"camera:\n  source: {folder}\n"))

    assert (found[1].status, said in found[1].mend) == (status, True), found[1]


def test_a_camera_whose_certificate_is_not_verified_is_warned_of(tmp_path: Path) -> None:
    text = "camera: {source: 'https://a:sesame@127.0.0.1:1/', tls: unverified, open_timeout_s: 1}\n"
    warned, failed = camera.camera(machine(tmp_path, text))
    assert warned.status is Status.WARNING
    assert "camera.tls is unverified" in warned.text
    assert "camera.ca_file" in warned.mend
    assert "nobody listens at port 1" in failed.text
    assert "sesame" not in f"{warned}{failed}"


def test_the_running_service_keeps_its_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Machine, "unit", {"ActiveState": "active", "StatusText": "watching"}, raising=True
    )
    monkeypatch.setattr(camera, "open_source", lambda _: pytest.fail("it was opened"))

    (finding,) = camera.camera(machine(tmp_path))

    assert (finding.status, "watching" in finding.text) == (Status.SKIPPED, True)


# Pins


class Kernel:
    """GPIO chips as Linux answers for them: what may be asked, and nothing else."""

    def __init__(self, lines: dict[int, tuple[str, int]]) -> None:
        self.lines = lines
        self.asked: list[int] = []

    def ioctl(self, _fd: int, question: int, asked: bytearray) -> int:
        self.asked.append(question)
        if question == 0x8044B401:
            asked[:] = struct.pack("=32s32sI", b"gpiochip0", b"pinctrl-bcm2711", 58)
        elif question == 0xC100B405:
            assert len(asked) == 256
            number = struct.unpack_from("=I", asked, 64)[0]
            consumer, flags = self.lines.get(number, ("", 0))
            struct.pack_into("=32s32s", asked, 0, f"GPIO{number}".encode(), consumer.encode())
            struct.pack_into("=Q", asked, 72, flags)
        else:
            raise OSError(errno.EINVAL, "no question, but a command")
        return 0


class FirstChip:
    """A pin factory that can be used, with the pins of the first chip."""

    chip = 0

    def __init__(self, factory: str) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    fake = Kernel({17: ("lg", 1 | 8), 18: ("spi0 CS0", 1 | 8)})
    write(tmp_path / "root/dev/gpiochip0", "")
    monkeypatch.setattr(fcntl, "ioctl", fake.ioctl)
    monkeypatch.setattr(pins, "Board", FirstChip)
    return fake


def test_a_line_is_asked_about_and_never_claimed(kernel: Kernel, tmp_path: Path) -> None:
    found = pins.pins(machine(tmp_path, "relay:\n  pin: 27\n"))

    assert statuses(found) == [Status.OK] * 3
    assert "the factory lgpio can be used" in found[0].text
    assert "GPIO27, input, used by nobody else" in found[2].text
    assert set(kernel.asked) == {0x8044B401, 0xC100B405}


def test_every_pin_that_is_configured_is_looked_at(kernel: Kernel, tmp_path: Path) -> None:
    config = "relay:\n  pin: 27\ninputs:\n  contact:\n    pin: 24\nsignals:\n  led:\n    pin: 22\n"

    found = [one.text.split(",")[0] for one in pins.pins(machine(tmp_path, config))]

    assert sorted(found[2:]) == [
        "inputs.contact.pin: GPIO24",
        "relay.pin: GPIO27",
        "signals.led.pin: GPIO22",
    ]


def test_a_pin_for_two_things_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    this = machine(tmp_path, "relay:\n  pin: 27\nsignals:\n  led:\n    pin: 27\n")

    (finding,) = software.configuration(this)

    assert (finding.status, "27" in finding.text) == (Status.PROBLEM, True)


def test_a_line_that_another_program_has_is_a_problem(kernel: Kernel, tmp_path: Path) -> None:
    found = pins.pins(machine(tmp_path, "relay:\n  pin: 18\n"))

    assert (found[-1].status, "spi0 CS0" in found[-1].text) == (Status.PROBLEM, True)


@pytest.mark.parametrize(("state", "expected"), [("active", "ok"), ("inactive", "problem")])
def test_the_services_own_line_is_its_own_while_it_runs(
    state: str, expected: str, kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "unit", {"ActiveState": state})

    assert pins.pins(machine(tmp_path, "relay:\n  pin: 17\n"))[-1].status == expected


def test_a_chip_without_the_pin_says_so(kernel: Kernel, tmp_path: Path) -> None:
    chip = Chip(tmp_path / "root/dev/gpiochip0")

    with pytest.raises(PinError, match="58 lines, and no line 58"):
        chip.line(58)
    chip.close()


def test_no_chip_and_no_factory_are_two_problems(tmp_path: Path) -> None:
    found = pins.pins(machine(tmp_path))

    assert "there is no /dev/gpiochip*" in found[-1].text
    assert found[-1].status is Status.PROBLEM


def test_a_file_that_is_no_chip_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "Board", FirstChip)

    found = pins.pins(with_files(tmp_path, {"dev/gpiochip0": ""}))

    assert "not a GPIO chip" in found[1].text


# Files, store, broker, unit


def test_what_others_may_read_or_change_is_told(tmp_path: Path) -> None:
    this = machine(
        tmp_path, "mqtt:\n  host: 127.0.0.1\n  username: door\n  password_file: secret\n"
    )
    write(tmp_path / "secret", "secret")
    for config, secret, expected in [
        (0o640, 0o600, [Status.OK, Status.OK]),
        (0o644, 0o644, [Status.WARNING, Status.PROBLEM]),
        (0o660, 0o620, [Status.PROBLEM, Status.PROBLEM]),
    ]:
        (tmp_path / "lockd.yaml").chmod(config)
        (tmp_path / "secret").chmod(secret)
        assert statuses(service.files(this)) == expected


def test_a_program_that_others_may_change_is_a_problem(tmp_path: Path) -> None:
    program = tmp_path / "root/opt/lockd/.venv"
    program.mkdir(parents=True)
    program.chmod(0o777)

    finding = service.files(machine(tmp_path))[-1]

    assert (finding.status, str(program) in finding.text) == (Status.PROBLEM, True)


def test_a_store_is_read_and_not_made(tmp_path: Path) -> None:
    this = machine(tmp_path, "store:\n  folder: state\n")

    assert statuses(service.store(this)) == [Status.OK, Status.SKIPPED]
    assert not (tmp_path / "state").exists()

    Store.open(tmp_path / "state/lockd.db", Vault.beside(tmp_path / "state/lockd.db")).close()
    assert statuses(service.store(this)) == [Status.OK, Status.OK, Status.WARNING]

    (tmp_path / "state/lockd.db").chmod(0o644)
    assert statuses(service.store(this))[1] is Status.PROBLEM


def test_a_damaged_store_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "state/lockd.db", "these are not the people you are looking for" * 100)
    (tmp_path / "state/lockd.db").chmod(0o600)

    (finding,) = examine.findings_of(
        check(service.store), machine(tmp_path, "store:\n  folder: state\n")
    )

    assert (finding.status, "damaged" in finding.text) == (Status.PROBLEM, True)


def broker_config(port: int, more: str = "") -> str:
    return f"mqtt:\n  host: 127.0.0.1\n  port: {port}\n{more}"


def test_a_broker_that_takes_the_credentials_is_well(tmp_path: Path) -> None:
    strict = Mosquitto(tmp_path, free_port(), "right")
    strict.start()
    try:
        results = {}
        for password in ("right", "wrong"):
            write(tmp_path / "word", password)
            more = "  username: door\n  password_file: word\n"
            this = machine(tmp_path, broker_config(strict.port, more))
            results[password] = examine.findings_of(check(broker.broker), this)
    finally:
        strict.stop()

    assert statuses(results["right"]) == [Status.OK, Status.OK]
    (finding,) = results["wrong"]
    assert (finding.status, "refused" in finding.text) == (Status.PROBLEM, True)
    assert "mqtt.username and the password" in finding.text


def test_the_password_is_taken_from_where_systemd_hands_it_over(tmp_path: Path) -> None:
    strict = Mosquitto(tmp_path, free_port(), "right")
    strict.start()
    try:
        this = machine(tmp_path, broker_config(strict.port, "  username: door\n"))
        (finding,) = broker.broker(this)
        assert (finding.status, "mqtt-password" in finding.text) == (Status.SKIPPED, True)
        write(tmp_path / "root/run/credentials/lockd.service/mqtt-password", "right\n")
        assert statuses(broker.broker(this)) == [Status.OK, Status.OK]
    finally:
        strict.stop()


def test_while_the_service_does_not_run_a_credential_is_looked_for_where_the_drop_in_says(
    tmp_path: Path,
) -> None:
    this = machine(tmp_path)
    assert this.credential("mqtt-password") is None
    unit = tmp_path / "root/etc/systemd/system/lockd.service"
    write(unit, "[Service]\n#LoadCredential=mqtt-password:/commented/out\n")
    assert this.credential("mqtt-password") is None
    text = "[Service]\nLoadCredential=mqtt-password:/etc/lockd/mqtt-password\n"
    write(unit.with_name("lockd.service.d") / "override.conf", text)
    assert this.credential("mqtt-password") == tmp_path / "root/etc/lockd/mqtt-password"
    assert this.credential("command-keys") is None
    copy = tmp_path / "root/run/credentials/lockd.service/mqtt-password"
    write(copy, "right\n")
    assert this.credential("mqtt-password") == copy


@pytest.mark.parametrize(
    ("acl", "said"),
    [
        ("topic write lockd/door/events", "may not publish on lockd/door/result"),
        ("topic write lockd/door/+", ""),
    ],
)
def test_a_broker_that_would_drop_what_the_door_says_is_a_problem(
    tmp_path: Path, acl: str, said: str
) -> None:
    strict = Mosquitto(tmp_path, free_port(), "right", acl=f"user door\n{acl}\n")
    strict.start()
    try:
        write(tmp_path / "word", "right")
        more = "  username: door\n  password_file: word\n  commands:\n    plain: [lock]\n"
        entry, rights = broker.broker(machine(tmp_path, broker_config(strict.port, more)))
    finally:
        strict.stop()
    assert entry.status is Status.OK
    assert rights.status is (Status.PROBLEM if said else Status.OK)
    assert said in rights.text


def test_what_the_doctor_publishes_is_a_result_that_programs_can_read() -> None:
    validator("result").validate(json.loads(broker.nobodys_result("front_door")))


@pytest.mark.parametrize(
    ("days", "expected"),
    [(200, Status.OK), (29, Status.WARNING), (-1, Status.PROBLEM)],
)
def test_certificates_are_watched_before_they_end(
    tmp_path: Path, days: int, expected: Status, certificates: Certificates
) -> None:
    encrypted = Mosquitto(tmp_path, free_port(), tls=certificates)
    encrypted.start()
    now = datetime.now(UTC)
    past = now - timedelta(days=certificates_made.CERTIFICATE_DAYS - days, hours=-1)
    own = certificates_made.issue_client(certificates_made.make_authority("x", past), "door", past)
    write(tmp_path / "own.crt", own.certificate.decode())
    write(tmp_path / "own.key", own.key.decode())
    tls = f"  tls: {{ca_file: {certificates.authority}, cert_file: own.crt, key_file: own.key}}\n"
    text = broker_config(encrypted.port, tls).replace("127.0.0.1", "localhost")
    try:
        found = broker.broker(machine(tmp_path, text))
    finally:
        encrypted.stop()
    worst = {one.status for one in found} - {Status.OK} or {Status.OK}
    assert worst == {expected}, found


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file"), ("gibberish", "no certificate")]
)
def test_a_certificate_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        write(tmp_path / "ca.crt", text)
    this = machine(tmp_path, broker_config(free_port(), "  tls: {ca_file: ca.crt}\n"))
    first = broker.certificates(this.settings.mqtt)[0]
    assert (first.status, said in first.text) == (Status.PROBLEM, True)


def test_a_broker_without_encryption_is_told_from_one_that_is_not_there(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    encrypted = machine(tmp_path, broker_config(mosquitto.port, "  tls: {}\n"))
    (row,) = (one for one in CHECKS if one.name == "broker")
    ((_, (finding,)),) = examine.examine([row], encrypted)
    assert (finding.status, "mqtt.tls" in finding.text) == (Status.PROBLEM, True), finding

    mosquitto.stop()
    (finding,) = examine.findings_of(
        check(broker.broker), machine(tmp_path, broker_config(mosquitto.port))
    )
    assert "is the broker running" in finding.text


def test_the_unit_is_compared_with_the_one_that_comes_with_lockd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "run", lambda *command: None)
    where = "etc/systemd/system/lockd.service"
    ours = (ROOT / "systemd/lockd.service").read_text()

    assert statuses(service.unit(machine(tmp_path))) == [Status.SKIPPED]
    assert Status.WARNING not in statuses(service.unit(with_files(tmp_path, {where: ours})))
    other = with_files(tmp_path, {where: ours.replace("RestartSec=1", "RestartSec=9")})
    assert service.unit(other)[0].status is Status.WARNING


@pytest.mark.parametrize(
    ("drop_in", "config", "expected"),
    [
        ("", "", Status.OK),
        ("", "camera: {source: 'rtsp://192.168.1.5/a'}", Status.PROBLEM),
        ("IPAddressAllow=192.168.1.6/32", "mqtt: {host: 192.168.1.5}", Status.PROBLEM),
        ("IPAddressAllow=192.168.1.5/32", "mqtt: {host: 192.168.1.5}", Status.OK),
        ("IPAddressAllow=192.168.1.0/24", "mqtt: {host: 192.168.1.5}", Status.WARNING),
        ("IPAddressAllow=192.168.1.5/32", "", Status.WARNING),
        ("IPAddressDeny=", "mqtt: {host: 192.168.1.5}", Status.WARNING),
    ],
)
def test_a_unit_that_does_not_fit_the_configuration_any_more_is_told(
    drop_in: str, config: str, expected: Status, tmp_path: Path
) -> None:
    where = "etc/systemd/system/lockd.service"
    files = {
        where: (ROOT / "systemd/lockd.service").read_text(),
        f"{where}.d/50-network.conf": f"[Service]\n{drop_in}\n",
    }
    (finding,) = network.network(with_files(tmp_path, files, config))
    assert finding.status is expected
    assert expected is Status.OK or "lockd install" in finding.mend


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"UnitFileState": "enabled", "ActiveState": "active"}, [Status.OK]),
        ({"UnitFileState": "disabled", "ActiveState": "inactive"}, [Status.WARNING] * 2),
        ({"UnitFileState": "enabled", "ActiveState": "failed"}, [Status.PROBLEM]),
        (
            {"UnitFileState": "enabled", "ActiveState": "active", "NRestarts": "7"},
            [Status.OK, Status.WARNING],
        ),
    ],
)
def test_the_services_state_is_told(
    state: dict[str, str],
    expected: list[Status],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Machine, "unit", state)
    monkeypatch.setattr(service, "run", lambda *command: None)
    ours = (ROOT / "systemd/lockd.service").read_text()

    this = with_files(tmp_path, {"etc/systemd/system/lockd.service": ours})
    assert statuses(service.unit(this)) == expected


def test_a_configuration_that_this_user_may_not_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path | None) -> Path | None:
        raise ConfigError("/etc/lockd/lockd.yaml: Permission denied; run the command as root")

    monkeypatch.setattr(software, "find", denied)

    (finding,) = software.configuration(Machine(None, None, tmp_path))

    assert (finding.status, "as root" in finding.text) == (Status.PROBLEM, True)


def test_nothing_is_left_in_the_folder_that_doctor_is_called_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    # A package of this name in the caller's folder must not be taken for lockd.
    write(folder / "lockd/__init__.py", "raise SystemExit('the wrong lockd')")
    monkeypatch.chdir(folder)
    before = sorted(os.listdir(folder))
    (row,) = (one for one in CHECKS if one.name == "pins")

    ((_, findings),) = examine.examine([row], machine(tmp_path, "relay:\n  factory: mock\n"))

    assert statuses(findings) == [Status.SKIPPED]
    assert sorted(os.listdir(folder)) == before
