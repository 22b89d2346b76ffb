"""What is tried on a virtual machine with a real systemd, kernel and GPIO chip.

Runs inside it, as root, once; its arguments, if any, are the names of the trials. Each trial
prints a line, `passed` or `FAILED`, with what was measured.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lines import Recorder

SOURCE = Path("/mnt/source")
WHEELS = Path("/mnt/wheels")
PICTURES = Path("/mnt/pictures")
CONFIG = Path("/etc/lockd/lockd.yaml")
SHOW = Path("/run/show")
PIN = 5
OPEN_S = 4
VISIT_GAP_S = 12
SETTINGS = """\
door: {{id: vm, open_s: {open_s}}}
camera:
  source: http://127.0.0.1:8099/
  open_timeout_s: 60
  read_timeout_s: 60
  max_age_s: 30
  frozen_after_s: 0
  covered_after_s: 0
recognition:
  profile: light
  threads: 2
  search_face_px: 140
  agree_frames: 2
  window_s: 120
  visit_gap_s: {gap_s}
relay: {{factory: lgpio, pin: {pin}, active_high: {active_high}}}
store: {{folder: /var/lib/lockd}}
mqtt: {{host: 127.0.0.1}}
"""
# An emulated processor is some slow: the unit gets more time, and is otherwise as installed.
PATIENCE = """\
[Service]
TimeoutStartSec=900
TimeoutStopSec=90
WatchdogSec=60
"""
failures: list[str] = []


def say(text: str) -> None:
    """Print a line that the outside can see at once."""
    print(f"vm: {text}", flush=True)


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program and keep what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
    return done


def show(what: str) -> None:
    """Let the camera see a folder of pictures from now on."""
    SHOW.with_suffix(".new").write_text(what)
    SHOW.with_suffix(".new").replace(SHOW)


def unit(name: str) -> str:
    """Return a property of the service."""
    return run("systemctl", "show", "lockd", "--value", "--property", name).stdout.strip()


def eventually(what: Callable[[], object], timeout_s: float) -> float:
    """Wait for something to be true, and return how long it took."""
    start = time.monotonic()
    while not what():
        if time.monotonic() - start > timeout_s:
            raise AssertionError(f"not within {timeout_s:g} s; {unit('ActiveState')}")
        time.sleep(0.05)
    return time.monotonic() - start


def configure(active_high: bool, open_s: float = OPEN_S) -> None:
    """Write the configuration of the trials."""
    level = str(active_high).lower()
    CONFIG.write_text(SETTINGS.format(pin=PIN, active_high=level, open_s=open_s, gap_s=VISIT_GAP_S))


def start() -> float:
    """Start the service with nobody at the door, and return how long it took to be ready."""
    show("nobody")
    began = time.monotonic()
    run("systemctl", "start", "lockd")
    return time.monotonic() - began


def main() -> None:
    """Try everything, in order: each trial builds on those before."""
    systemd = run("systemctl", "--version").stdout.splitlines()[0]
    say(f"{os.uname().machine}, Linux {os.uname().release}, {systemd}")
    show("nobody")
    camera = [sys.executable, str(Path(__file__).with_name("camera.py")), str(PICTURES), str(SHOW)]
    subprocess.Popen(camera)
    published = open("/run/published", "w+")  # noqa: SIM115
    subprocess.Popen(["mosquitto_sub", "-v", "-t", "lockd/#"], stdout=published)
    trials = Trials(Recorder(chip_base() + PIN))
    wanted = [f"t_{name}" for name in sys.argv[1:]]
    for name in wanted or [name for name in vars(Trials) if name.startswith("t_")]:
        began = time.monotonic()
        try:
            measured = getattr(trials, name)()
        except Exception as error:
            failures.append(name)
            say(f"FAILED {name[2:]}: {error}")
            traceback.print_exc()
            say(run("journalctl", "-u", "lockd", "-n", "30", "--no-pager", check=False).stdout)
        else:
            say(f"passed {name[2:]}: {measured} [{time.monotonic() - began:.0f} s]")
    say(f"{len(failures)} failed")
    sys.exit(bool(failures))


def chip_base() -> int:
    """Return the kernel's number of the first line of /dev/gpiochip0."""
    (folder,) = Path("/sys/bus/gpio/devices/gpiochip0").resolve().parent.glob("gpio/gpiochip*")
    return int((folder / "base").read_text())


class Trials:
    """The trials. A high level unlocks where the board is active-high."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.high = True

    def t_install(self) -> str:
        """A fresh machine: one command, and a second time nothing."""
        command = (SOURCE / "tools/install.sh", "--wheels", WHEELS)
        began = time.monotonic()
        run(*command)
        first_s = time.monotonic() - began
        again = run(*command).stdout
        assert "nothing was changed" in again, again
        drop_in = Path("/etc/systemd/system/lockd.service.d/emulated.conf")
        drop_in.parent.mkdir()
        drop_in.write_text(PATIENCE)
        run("systemctl", "daemon-reload")
        configure(active_high=True)
        assert unit("UnitFileState") == "enabled"
        assert unit("ActiveState") == "inactive"
        return f"first run {first_s:.0f} s; the second changed nothing"

    def t_unit(self) -> str:
        """The installed unit is sound and closed."""
        run("systemd-analyze", "verify", "--man=no", "lockd.service")
        said = run("systemd-analyze", "security", "lockd.service", "--no-pager").stdout
        return said.strip().splitlines()[-1].strip("→ ")

    def t_doctor(self) -> str:
        """Nothing but the clock and nobody enrolled is wrong."""
        done = run("lockd", "doctor", "--json", check=False)
        rows = json.loads(done.stdout)["checks"]
        wrong = [row for row in rows if row["status"] == "problem"]
        assert not wrong, wrong
        return ", ".join(f"{row['check']} {row['status']}" for row in rows)

    def t_enrol(self) -> str:
        """Root enrols into the service's store, and it stays the service's."""
        said = run("lockd-enroll", "folder", SOURCE / "demo/people").stdout
        owner = Path("/var/lib/lockd/lockd.db").stat()
        assert owner.st_uid != 0
        assert owner.st_mode & 0o777 == 0o600
        return said.strip().splitlines()[-1]

    def t_start_never_pulses(self) -> str:
        """From boot to ready the line is written at its locked level only."""
        ready_s = start()
        assert unit("ActiveState") == "active"
        levels = [high for _, high in self.recorder.levels()]
        assert levels, "the line was never driven"
        assert set(levels) == {not self.high}, levels
        return f"ready after {ready_s:.1f} s; written: {levels}; {self.recorder.directions[:4]}"

    def t_reload(self) -> str:
        """A good configuration is taken, a bad one refused, the service runs on."""
        pid = unit("MainPID")
        CONFIG.write_text(CONFIG.read_text().replace("open_s: 4", "opne_s: 4"))
        run("systemctl", "reload", "lockd")
        eventually(lambda: "did you mean" in journal(), 180)
        configure(active_high=True, open_s=OPEN_S)
        run("systemctl", "reload", "lockd")
        time.sleep(5)
        assert unit("ActiveState") == "active"
        assert unit("MainPID") == pid
        assert {high for _, high in self.recorder.levels()} == {not self.high}
        return "refused with the reason, then taken, in the same process"

    def t_opens_for_a_person(self) -> str:
        """Somebody enrolled comes; the door opens for as long as configured, and says so."""
        on = self._open()
        off = self.recorder.wait(not self.high, 60, since=on)
        assert off is not None
        eventually(lambda: "access_granted" in Path("/run/published").read_text(), 30)
        assert off - on < OPEN_S + 2
        show("nobody")
        return f"on for {off - on:.3f} s of {OPEN_S}; access_granted was published"

    def t_killed_while_open(self) -> str:
        """SIGKILL while the relay is on: ExecStopPost locks."""
        return self._ended_while_open(lambda: run("systemctl", "kill", "-s", "KILL", "lockd"))

    def t_stopped_process_while_open(self) -> str:
        """SIGSTOP while the relay is on: the watchdog kills it, and ExecStopPost locks."""
        pid = int(unit("MainPID"))
        return self._ended_while_open(lambda: os.kill(pid, signal.SIGSTOP))

    def t_stop_while_open(self) -> str:
        """SIGTERM locks first, and the service ends within five seconds."""
        on = self._open()
        began = time.monotonic()
        run("systemctl", "stop", "lockd")
        took_s = time.monotonic() - began
        off = self.recorder.wait(not self.high, 10, since=on)
        assert off is not None
        assert self.recorder.levels()[-1][1] is not self.high
        assert unit("Result") == "success", unit("Result")
        return f"locked after {off - began:.3f} s, ended after {took_s:.1f} s"

    def t_restarts_for_ever(self) -> str:
        """A start that fails is tried again and again, with the door locked, until it works."""
        since = time.monotonic()
        good = CONFIG.read_text()
        CONFIG.write_text(good + "nonsense: 1\n")
        run("systemctl", "start", "lockd", check=False)
        eventually(lambda: int(unit("NRestarts")) >= 3, 900)
        CONFIG.write_text(good)
        took_s = eventually(lambda: unit("ActiveState") == "active", 900)
        assert {high for t, high in self.recorder.levels() if t > since} == {not self.high}
        return f"{unit('NRestarts')} restarts, then ready after {took_s:.0f} s"

    def t_active_low_never_pulses(self) -> str:
        """The same with a board that switches on at a low level."""
        run("systemctl", "stop", "lockd")
        configure(active_high=False)
        self.high = False
        since = time.monotonic()
        start()
        levels = [high for t, high in self.recorder.levels() if t > since]
        assert set(levels) == {True}, levels
        on = self._open()
        off = self.recorder.wait(True, 60, since=on)
        assert off is not None
        run("systemctl", "kill", "-s", "KILL", "lockd")
        return f"written at start: {levels}; open for {off - on:.3f} s"

    def t_uninstall(self) -> str:
        """Nothing but configuration and people is left, then nothing at all."""
        run("lockd", "uninstall")
        assert self.recorder.levels()[-1][1] is not self.high
        assert CONFIG.exists()
        assert Path("/var/lib/lockd/lockd.db").exists()
        for path in ("/opt/lockd", "/usr/local/bin/lockd", "/etc/systemd/system/lockd.service"):
            assert not os.path.lexists(path), path
        run(SOURCE / "tools/install.sh", "--wheels", WHEELS)
        run("lockd", "uninstall", "--purge")
        left = [path for path in ("/etc/lockd", "/var/lib/lockd") if os.path.lexists(path)]
        assert not left, left
        assert run("getent", "passwd", "lockd", check=False).returncode != 0
        return "all removed, the door locked"

    def _open(self) -> float:
        """Bring somebody enrolled before the camera, and return when the relay was on."""
        eventually(lambda: unit("ActiveState") == "active", 900)
        show("nobody")
        time.sleep(VISIT_GAP_S + 3)  # whoever was there has left: one grant a visit
        since = time.monotonic()
        show("person")
        on = self.recorder.wait(self.high, 240, since=since)
        assert on is not None, "the door did not open"
        return on

    def _ended_while_open(self, end: Callable[[], object]) -> str:
        restarts = int(unit("NRestarts"))
        on = self._open()
        ended = time.monotonic()
        end()
        off = self.recorder.wait(not self.high, 180, since=ended)
        assert off is not None, "the relay was left on"
        show("nobody")
        eventually(lambda: int(unit("NRestarts")) > restarts, 180)
        back_s = eventually(lambda: unit("ActiveState") == "active", 900)
        return (
            f"locked {off - ended:.3f} s after the end ({off - on:.1f} s on in all), "
            f"back after {back_s:.0f} s more"
        )


def journal() -> str:
    """Return what the service has logged."""
    return run("journalctl", "-u", "lockd", "--no-pager", "-o", "cat", check=False).stdout


if __name__ == "__main__":
    main()
