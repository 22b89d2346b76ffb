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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from broker_trials import BrokerTrials
from lines import Recorder
from machine import (
    CONFIG,
    OPEN_S,
    PATIENCE,
    PICTURES,
    PIN,
    SHOW,
    SOURCE,
    SURE_S,
    Door,
    chip_base,
    eventually,
    journal,
    run,
    say,
    show,
    start,
    told,
    unit,
)

failures: list[str] = []


def main() -> None:
    """Try everything, in order: each trial builds on those before."""
    systemd = run("systemctl", "--version").stdout.splitlines()[0]
    say(f"{os.uname().machine}, Linux {os.uname().release}, {systemd}")
    os.environ["HOME"] = "/root"
    show("nobody")
    camera = [sys.executable, str(Path(__file__).with_name("camera.py")), str(PICTURES), str(SHOW)]
    subprocess.Popen(camera)
    published = open("/run/published", "w+")  # noqa: SIM115
    subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-v", "-t", "lockd/#"], stdout=published)
    door = Door(Recorder(chip_base() + PIN))
    trials = {
        name[2:]: getattr(some, name)
        for some in (Trials(door), BrokerTrials(door), Removal(door))
        for name in vars(type(some))
        if name.startswith("t_")
    }
    for name in sys.argv[1:] or trials:
        began = time.monotonic()
        try:
            measured = trials[name]()
        except Exception as error:
            failures.append(name)
            say(f"FAILED {name}: {error}")
            traceback.print_exc()
            say(run("journalctl", "-u", "lockd", "-n", "30", "--no-pager", check=False).stdout)
        else:
            say(f"passed {name}: {measured} [{time.monotonic() - began:.0f} s]")
    say(f"{len(failures)} failed")
    sys.exit(bool(failures))


class Trials:
    """The installed service, its relay and its restarts."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def t_install(self) -> str:
        """A fresh machine: one command, and a second time nothing."""
        first_s = self.door.install()
        again = run(SOURCE / "tools/install.sh").stdout
        assert "nothing was changed" in again, again
        drop_in = Path("/etc/systemd/system/lockd.service.d/emulated.conf")
        drop_in.parent.mkdir()
        drop_in.write_text(PATIENCE)
        run("systemctl", "daemon-reload")
        self.door.configure()
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
        levels = self.door.never_pulsed(0.0)
        return (
            f"ready after {ready_s:.1f} s; written: {levels}; {self.door.recorder.directions[:4]}"
        )

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
            f"in the same process; written: {self.door.never_pulsed(since)}"
        )

    def t_opens_for_a_person(self) -> str:
        """Somebody enrolled comes; the door opens for as long as configured, and says so."""
        granted = told("access_granted")
        on = self.door.open()
        off = self.door.recorder.wait(not self.door.high, OPEN_S + 60, since=on.t)
        assert off is not None, "the relay was left on"
        eventually(lambda: told("access_granted") > granted, 30)
        assert OPEN_S - 1 < off.t - on.t < OPEN_S + 1, off.t - on.t
        return f"on for {off.t - on.t:.3f} s of {OPEN_S}; access_granted was published"

    def t_killed_while_open(self) -> str:
        """SIGKILL while the relay is on: relay-safe locks long before the time is over."""
        return self.door.ended_while_open(signal.SIGKILL)

    def t_stopped_process_while_open(self) -> str:
        """SIGSTOP while the relay is on: the watchdog kills it, and relay-safe locks."""
        return self.door.ended_while_open(signal.SIGSTOP)

    def t_stop_while_open(self) -> str:
        """Asked to stop, the process itself locks long before the time is over, and ends."""
        on = self.door.open()
        began = time.monotonic()
        run("systemctl", "stop", "lockd")
        took_s = time.monotonic() - began
        off = self.door.recorder.wait(not self.door.high, 10, since=on.t)
        assert off is not None, "the relay was left on"
        measured = (
            f"locked {off.t - began:.3f} s after the request, {off.t - on.t:.1f} s on of {OPEN_S}"
        )
        assert began < off.t < on.t + OPEN_S - SURE_S, measured
        ended = int(unit("ExecMainExitTimestampMonotonic")) / 1e6
        assert off.t < ended, f"{measured}; not by the service, for it had ended"
        assert self.door.recorder.levels()[-1].high is not self.door.high
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
        self.door.never_pulsed(since)
        return f"{unit('NRestarts')} restarts, then ready after {took_s:.0f} s"

    def t_active_low(self) -> str:
        """A board that switches on at a low level: no pulse at the start, killed while open."""
        run("systemctl", "stop", "lockd")
        self.door.high = False
        self.door.configure()
        since = time.monotonic()
        start()
        levels = self.door.never_pulsed(since)
        return f"written at start: {levels}; {self.door.ended_while_open(signal.SIGKILL)}"


class Removal:
    """What comes last."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def t_uninstall(self) -> str:
        """Nothing but configuration and people is left, then nothing at all."""
        run("lockd", "uninstall")
        assert self.door.recorder.levels()[-1].high is not self.door.high
        assert CONFIG.exists()
        assert Path("/var/lib/lockd/lockd.db").exists()
        for path in ("/opt/lockd", "/usr/local/bin/lockd", "/etc/systemd/system/lockd.service"):
            assert not os.path.lexists(path), path
        self.door.install()
        run("lockd", "uninstall", "--purge")
        left = [path for path in ("/etc/lockd", "/var/lib/lockd") if os.path.lexists(path)]
        assert not left, left
        assert run("getent", "passwd", "lockd", check=False).returncode != 0
        return "all removed, the door locked"


if __name__ == "__main__":
    main()
