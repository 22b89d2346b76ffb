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
from lines import Recorder, Written

SOURCE = Path("/mnt/source")
ENVIRONMENT = Path("/opt/environment")
RELEASES = Path("/opt/lockd/releases")
PICTURES = Path("/mnt/pictures")
CONFIG = Path("/etc/lockd/lockd.yaml")
SHOW = Path("/run/show")
PIN = 5
# Long, so that what locks an open door is not the access time that is over, and SURE_S more
# tells the two apart.
OPEN_S = 40
SURE_S = 5
VISIT_GAP_S = 12
SETTINGS = """\
door: {{id: vm, open_s: {open_s}}}
camera:
  source: http://127.0.0.1:8099/
  open_timeout_s: 60
  read_timeout_s: 60
  max_age_s: 60
  frozen_after_s: 0
  covered_after_s: 0
recognition:
  profile: light
  threads: 2
  search_face_px: 140
  agree_frames: 2
  window_s: 300
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
WatchdogSec=90
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


def start() -> float:
    """See that the service runs and is ready, and return how long that took."""
    began = time.monotonic()
    if unit("ActiveState") in ("inactive", "failed"):
        run("systemctl", "start", "lockd")
    eventually(lambda: (unit("ActiveState"), unit("SubState")) == ("active", "running"), 900)
    return time.monotonic() - began


def threads(pid: int) -> set[int]:
    """Return the threads of a process."""
    return {int(one.name) for one in Path(f"/proc/{pid}/task").iterdir()}


def told(event: str) -> int:
    """Return how often an event was published."""
    return Path("/run/published").read_text().count(f'"type":"{event}"')


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
        first_s = self._install()
        again = run(SOURCE / "tools/install.sh").stdout
        assert "nothing was changed" in again, again
        drop_in = Path("/etc/systemd/system/lockd.service.d/emulated.conf")
        drop_in.parent.mkdir()
        drop_in.write_text(PATIENCE)
        run("systemctl", "daemon-reload")
        self._configure()
        assert unit("UnitFileState") == "enabled"
        assert unit("ActiveState") == "inactive"
        return f"{first_s:.0f} s with the environment made before; a second run changed nothing"

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
        assert unit("ActiveState") == "inactive"
        ready_s = start()
        levels = self._never_pulsed(0.0)
        return f"ready after {ready_s:.1f} s; written: {levels}; {self.recorder.directions[:4]}"

    def t_reload(self) -> str:
        """A good configuration is taken, a bad one refused, the service runs on."""
        start()
        show("nobody")
        pid, since = unit("MainPID"), time.monotonic()
        good = CONFIG.read_text()
        refused, taken = told("config_problem"), told("config_reloaded")
        CONFIG.write_text(good.replace("open_s:", "opne_s:"))
        run("systemctl", "reload", "lockd")
        refused_s = eventually(lambda: told("config_problem") > refused, 180)
        assert "did you mean" in journal()
        assert told("config_reloaded") == taken
        CONFIG.write_text(good)
        run("systemctl", "reload", "lockd")
        taken_s = eventually(lambda: told("config_reloaded") > taken, 300)
        start()
        assert unit("MainPID") == pid
        return (
            f"refused with the reason after {refused_s:.1f} s, then taken after {taken_s:.1f} s, "
            f"in the same process; written: {self._never_pulsed(since)}"
        )

    def t_opens_for_a_person(self) -> str:
        """Somebody enrolled comes; the door opens for as long as configured, and says so."""
        granted = told("access_granted")
        on = self._open()
        off = self.recorder.wait(not self.high, OPEN_S + 60, since=on.t)
        assert off is not None, "the relay was left on"
        eventually(lambda: told("access_granted") > granted, 30)
        assert OPEN_S - 1 < off.t - on.t < OPEN_S + 1, off.t - on.t
        return f"on for {off.t - on.t:.3f} s of {OPEN_S}; access_granted was published"

    def t_killed_while_open(self) -> str:
        """SIGKILL while the relay is on: relay-safe locks long before the time is over."""
        return self._ended_while_open(signal.SIGKILL)

    def t_stopped_process_while_open(self) -> str:
        """SIGSTOP while the relay is on: the watchdog kills it, and relay-safe locks."""
        return self._ended_while_open(signal.SIGSTOP)

    def t_stop_while_open(self) -> str:
        """Asked to stop, the process itself locks long before the time is over, and ends."""
        on = self._open()
        began = time.monotonic()
        run("systemctl", "stop", "lockd")
        took_s = time.monotonic() - began
        off = self.recorder.wait(not self.high, 10, since=on.t)
        assert off is not None, "the relay was left on"
        measured = (
            f"locked {off.t - began:.3f} s after the request, {off.t - on.t:.1f} s on of {OPEN_S}"
        )
        assert began < off.t < on.t + OPEN_S - SURE_S, measured
        ended = int(unit("ExecMainExitTimestampMonotonic")) / 1e6
        assert off.t < ended, f"{measured}; not by the service, for it had ended"
        assert self.recorder.levels()[-1].high is not self.high
        assert unit("Result") == "success", unit("Result")
        return f"{measured}, by the service, which ended after {took_s:.1f} s"

    def t_restarts_for_ever(self) -> str:
        """A start that fails is tried again and again, with the door locked, until it works."""
        run("systemctl", "stop", "lockd")
        since = time.monotonic()
        good = CONFIG.read_text()
        CONFIG.write_text(good + "nonsense: 1\n")
        run("systemctl", "start", "lockd", check=False)
        eventually(lambda: int(unit("NRestarts")) >= 3, 900)
        CONFIG.write_text(good)
        took_s = eventually(lambda: unit("ActiveState") == "active", 900)
        self._never_pulsed(since)
        return f"{unit('NRestarts')} restarts, then ready after {took_s:.0f} s"

    def t_active_low(self) -> str:
        """A board that switches on at a low level: no pulse at the start, killed while open."""
        run("systemctl", "stop", "lockd")
        self.high = False
        self._configure()
        since = time.monotonic()
        start()
        levels = self._never_pulsed(since)
        return f"written at start: {levels}; {self._ended_while_open(signal.SIGKILL)}"

    def t_uninstall(self) -> str:
        """Nothing but configuration and people is left, then nothing at all."""
        run("lockd", "uninstall")
        assert self.recorder.levels()[-1].high is not self.high
        assert CONFIG.exists()
        assert Path("/var/lib/lockd/lockd.db").exists()
        for path in ("/opt/lockd", "/usr/local/bin/lockd", "/etc/systemd/system/lockd.service"):
            assert not os.path.lexists(path), path
        self._install()
        run("lockd", "uninstall", "--purge")
        left = [path for path in ("/etc/lockd", "/var/lib/lockd") if os.path.lexists(path)]
        assert not left, left
        assert run("getent", "passwd", "lockd", check=False).returncode != 0
        return "all removed, the door locked"

    def _install(self) -> float:
        """Install, with the environment that was made outside, and return how long it took."""
        if str(SOURCE) not in sys.path:
            sys.path.insert(0, str(SOURCE))
        from lockd.install import environment

        RELEASES.mkdir(parents=True, exist_ok=True)
        release = RELEASES / environment._fingerprint(SOURCE)
        run("cp", "--archive", "--link", ENVIRONMENT, release)
        began = time.monotonic()
        run(SOURCE / "tools/install.sh")
        return time.monotonic() - began

    def _configure(self) -> None:
        """Write the configuration of the trials."""
        level = str(self.high).lower()
        CONFIG.write_text(
            SETTINGS.format(pin=PIN, active_high=level, open_s=OPEN_S, gap_s=VISIT_GAP_S)
        )

    def _never_pulsed(self, since: float) -> list[bool]:
        """See that the line was driven since then, only to its locked level; return its levels."""
        levels = [one.high for one in self.recorder.levels(since)]
        assert levels, "the line was never driven"
        assert set(levels) == {not self.high}, levels
        return levels

    def _open(self) -> Written:
        """Bring somebody enrolled before a running service's camera, and see the relay go on."""
        start()
        show("nobody")
        time.sleep(VISIT_GAP_S + 3)  # whoever was there has left: one grant a visit
        since = time.monotonic()
        show("person")
        on = self.recorder.wait(self.high, 600, since=since)
        show("nobody")
        assert on is not None, "the door did not open"
        return on

    def _ended_while_open(self, how: signal.Signals) -> str:
        """End the service's process while the door is open, and see what locks.

        A killed one's door must be locked by another process, well before the access time
        is over. A stopped one's is locked after the watchdog has had enough.
        """
        start()
        restarts, pid = int(unit("NRestarts")), int(unit("MainPID"))
        on = self._open()
        service = threads(pid)
        ended = time.monotonic()
        os.kill(pid, how)
        off = self.recorder.wait(not self.high, 300, since=on.t)
        assert off is not None, "the relay was left on"
        measured = f"locked {off.t - ended:.3f} s after {how.name}, {off.t - on.t:.1f} s on"
        assert off.t > ended, f"{measured}: too soon"
        if how == signal.SIGKILL:
            assert off.by not in service, f"{measured}: by the service itself"
            assert off.t < on.t + OPEN_S - SURE_S, f"{measured} of {OPEN_S}"
        eventually(lambda: int(unit("NRestarts")) > restarts, 180)
        back_s = start()
        who = "the service" if off.by in service else "another process"
        return f"{measured} of {OPEN_S}, by {who}; back after {back_s:.0f} s more"


def journal() -> str:
    """Return what the service has logged."""
    return run("journalctl", "-u", "lockd", "--no-pager", "-o", "cat", check=False).stdout


if __name__ == "__main__":
    main()
