"""The virtual machine as its trials use it: its programs, the service and the relay's line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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
"""
# How the door is called, and its broker: at first one that asks nobody who he is.
PLAIN = f"""\
door: {{id: vm, open_s: {OPEN_S}}}
mqtt: {{host: 127.0.0.1}}
"""
# An emulated processor is some slow: the unit gets more time, and is otherwise as installed.
PATIENCE = """\
[Service]
TimeoutStartSec=900
TimeoutStopSec=90
WatchdogSec=90
"""


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


def processes() -> set[int]:
    """Return the service's processes."""
    group = Path("/sys/fs/cgroup/system.slice/lockd.service/cgroup.procs")
    return {int(one) for one in group.read_text().split()}


def threads(pid: int) -> set[int]:
    """Return the threads of a process."""
    return {int(one.name) for one in Path(f"/proc/{pid}/task").iterdir()}


def told(event: str) -> int:
    """Return how often an event was published."""
    return Path("/run/published").read_text().count(f'"type":"{event}"')


def journal() -> str:
    """Return what the service has logged."""
    return run("journalctl", "-u", "lockd", "--no-pager", "-o", "cat", check=False).stdout


def chip_base() -> int:
    """Return the kernel's number of the first line of /dev/gpiochip0."""
    (folder,) = Path("/sys/bus/gpio/devices/gpiochip0").resolve().parent.glob("gpio/gpiochip*")
    return int((folder / "base").read_text())


class Door:
    """The service and its relay. A high level unlocks where the board is active-high."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.high = True

    def install(self) -> float:
        """Install, with the environment that was made outside, and return how long it took."""
        if str(SOURCE) not in sys.path:
            sys.path.insert(0, str(SOURCE))
        from lockd.commands.install import environment

        RELEASES.mkdir(parents=True, exist_ok=True)
        release = RELEASES / environment.fingerprint(SOURCE)
        run("cp", "--archive", "--link", ENVIRONMENT, release)
        began = time.monotonic()
        run(SOURCE / "tools/install.sh")
        return time.monotonic() - began

    def configure(self, rest: str = PLAIN) -> None:
        """Write the configuration of the trials, with that of the door's name and broker."""
        level = str(self.high).lower()
        CONFIG.write_text(SETTINGS.format(pin=PIN, active_high=level, gap_s=VISIT_GAP_S) + rest)

    def never_pulsed(self, since: float) -> list[bool]:
        """See that the line was driven since then, only to its locked level; return its levels."""
        levels = [one.high for one in self.recorder.levels(since)]
        assert levels, "the line was never driven"
        assert set(levels) == {not self.high}, levels
        return levels

    def open(self, who: str = "person") -> Written:
        """Bring somebody enrolled before a running service's camera, and see the relay go on."""
        start()
        show("nobody")
        time.sleep(VISIT_GAP_S + 3)  # whoever was there has left: one grant a visit
        since = time.monotonic()
        show(who)
        on = self.recorder.wait(self.high, 600, since=since)
        show("nobody")
        assert on is not None, "the door did not open"
        return on

    def ended_while_open(self, how: signal.Signals) -> str:
        """End the service's process while the door is open, and see what locks.

        A killed one's door must be locked by another process, well before the access time
        is over. A stopped one's is locked after the watchdog has had enough.
        """
        start()
        restarts, pid = int(unit("NRestarts")), int(unit("MainPID"))
        on = self.open()
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
