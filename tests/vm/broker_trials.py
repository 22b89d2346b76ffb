"""What is tried of MQTT: a broker of one's own, secrets by systemd, commands, enrolment from afar.

What an administrator has to type is taken from the documents, so that they are tried, too.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from machine import (
    OPEN_S,
    SOURCE,
    Door,
    eventually,
    journal,
    processes,
    run,
    show,
    start,
    unit,
)
from steps import block, carry_out, edited, fenced

DOCS = SOURCE / "docs"
HOME = Path("/root")
SITE = HOME / "site"
DOOR = "front-door"
LAST_TYPED = "# write what lockd-mqtt.yaml has into /etc/lockd/lockd.yaml, then\n"
BROKER = ["--host", "broker.lan", "--port", "8883", "--ca", "ca.crt", "--password-file", "password"]
CLIENTS = "-h broker.lan\n-p 8883\n--cafile {folder}/ca.crt\n-u {user}\n-P {password}\n"
WATCHED = Path("/run/watched")
BOOK = Path("/run/visitors.csv")
KEY = HOME / "ada_phone.key"
NEW = "Eileen Collins"
# As much as a clock may move without the door taking it for wrong.
STEP_S = 55
COMMANDS = ("lock", "unlock", "lock-down", "lift", "enrol", "people")
ALLOW = "".join(f"      {command}: [ada_phone]\n" for command in COMMANDS)
MORE = f"""\
  snapshot: {{of: face}}
  commands:
    keys_file: /etc/lockd/command-keys
    allow:
{ALLOW}\
access: {{clock: trusted}}
"""


class BrokerTrials:
    """The door, a mosquitto that knows everybody, and those who listen and command."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def t_broker(self) -> str:
        """The steps of docs/broker.md and of the README that it makes, on this mosquitto."""
        run("systemctl", "stop", "lockd")
        installed, setup = block(DOCS / "broker.md", "this is a recipe").split("\n", 1)
        assert installed == "sudo apt install mosquitto"
        carry_out(setup, HOME)
        carry_out(block(SITE / "README", "The broker, on its machine", 2), SITE)
        typed = block(SITE / "README", f"The door {DOOR}, on its machine", 2)
        files, then = typed.split(LAST_TYPED)
        carry_out(files, SITE)
        self._configure()
        said = carry_out(then, SITE)
        start()
        assert "lets the door in" in said, said
        return "certificates, rights and passwords by the README; doctor: " + " ".join(said.split())

    def t_credentials(self) -> str:
        """Password and keys are root's; systemd hands them to the service, and doctor agrees."""
        run("systemctl", "stop", "lockd")
        password = (SITE / f"door-{DOOR}/mqtt-password").read_text().strip()
        handed = edited(block(DOCS / "installing.md", "let systemd"))
        carry_out(handed.replace("'the password'", f"'{password}'"), HOME)
        carry_out(edited(block(DOCS / "commands.md", "hand the keys over")), HOME)
        self._configure(password_file=False)
        before = self._doctor()
        run("systemctl", "start", "lockd")
        after = self._doctor()
        for file in ("mqtt-password", "command-keys"):
            read = run("runuser", "-u", "lockd", "--", "cat", f"/etc/lockd/{file}", check=False)
            assert read.returncode != 0, f"the service's user may read {file}"
        pid = unit("MainPID")
        seen = Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
        key = KEY.read_text().split()[1]
        assert not [one for one in (password, key) if one in seen + journal()]
        return f"doctor before the start: {before}; after: {after}"

    def t_watched(self) -> str:
        """State and availability are heard over TLS, with the rights of a reader."""
        folder = SITE / "user-visitors-book"
        lines = (SITE / "README").read_text().splitlines()
        (watch,) = [line for line in lines if line.startswith("  lockd watch")]
        self._listen(f"{watch} --json > {WATCHED}".replace("NAME", "visitors-book"), folder)
        book = f"/opt/lockd/.venv/bin/python {DOCS}/examples/visitors_book.py --book {BOOK}"
        self._listen(f"{book} --user visitors-book {' '.join(BROKER)}", folder)
        for program in ("mosquitto_sub", "mosquitto_pub"):
            user = "visitors-book" if program == "mosquitto_sub" else "porter"
            self._client(program, user)
        eventually(lambda: heard("availability", "online"), 120)
        (state,) = heard("state")[:1]
        assert (state["lock"], state["service"]) == ("LOCKED", "ok"), state
        eventually(BOOK.exists, 120)
        once = block_of_subscribers("Is the door online?")
        assert carry_out(once, HOME) == "online\n"
        return f"lockd watch: online, {state}; mosquitto_sub: online"

    def t_commanded(self) -> str:
        """Signed commands are obeyed: lock-down, lift, and an unlock that the line shows."""
        start()
        assert self._send("lock-down")[0] == 0
        eventually(lambda: heard("state")[-1]["locked_down"], 30)
        refused = self._send("unlock")
        assert (refused[0], refused[1]["reason"]) == (1, "locked_down"), refused
        assert self._send("lift")[0] == 0
        since = time.monotonic()
        assert self._send("unlock")[0] == 0
        on = self.door.recorder.wait(self.door.high, 30, since=since)
        assert on is not None, "the relay did not go on"
        assert self._send("lock")[0] == 0
        off = self.door.recorder.wait(not self.door.high, 30, since=on.t)
        assert off is not None, "the relay was left on"
        assert off.t < on.t + OPEN_S - 1
        on_s, off_s = on.t - since, off.t - on.t
        return f"unlock: on {on_s:.1f} s after it was typed; lock: off after {off_s:.1f} s"

    def t_forged(self) -> str:
        """Who has not the key is refused, and the line stays as it is."""
        start()
        forged = HOME / "forged.key"
        forged.write_text(f"ada_phone {secrets.token_hex(32)}\n")
        forged.chmod(0o600)
        since = time.monotonic()
        code, result = self._send("unlock", key=forged)
        assert (code, result["reason"]) == (1, "not_authentic"), result
        assert not self.door.recorder.levels(since)
        return f"{result['result']}: {result['reason']}; nothing was written to the line"

    def t_replayed_after_a_kill(self) -> str:
        """A command that was obeyed is refused after SIGKILL and a restart, within its 30 s."""
        start()
        began = int(unit("ExecMainStartTimestampMonotonic"))
        expected_s = (int(unit("ActiveEnterTimestampMonotonic")) - began) / 1e6
        restarts = int(unit("NRestarts"))
        payload = self._signed("unlock")
        sent, since = time.time(), time.monotonic()
        publish = "mosquitto_pub -t lockd/front-door/command -q 1 -s < payload"
        carry_out(publish, HOME)
        assert self.door.recorder.wait(self.door.high, 30, since=since), "it was not obeyed"
        os.kill(int(unit("MainPID")), signal.SIGKILL)
        # However long the start takes in here, the command shall not be too old after it.
        time.clock_settime(time.CLOCK_REALTIME, sent - expected_s)
        off = self.door.recorder.wait(not self.door.high, 60, since=since)
        assert off is not None, "the relay was left on"
        eventually(lambda: int(unit("NRestarts")) > restarts, 180)
        start()
        step = sent + 5 - time.time()
        assert abs(step) < STEP_S, f"this start took {step:+.0f} s longer than the one before"
        time.clock_settime(time.CLOCK_REALTIME, sent + 5)
        carry_out(publish, HOME)
        name = json.loads(payload)["id"]
        eventually(lambda: len([one for one in heard("result") if one["id"] == name]) > 1, 30)
        result = [one for one in heard("result") if one["id"] == name][-1]
        assert (result["result"], result["reason"]) == ("replayed", "known"), result
        levels = {one.high for one in self.door.recorder.levels(off.t)}
        assert levels == {not self.door.high}, levels
        return f"{result['result']}: {result['reason']}; the door stayed locked"

    def t_entered_while_the_broker_is_away(self) -> str:
        """Broker stopped, somebody enters, SIGKILL at once: the event arrives, none is missing."""
        start()
        granted = len(events("access_granted"))
        run("systemctl", "stop", "mosquitto")
        on = self.door.open()
        os.kill(int(unit("MainPID")), signal.SIGKILL)
        killed = time.monotonic()
        off = self.door.recorder.wait(not self.door.high, 60, since=on.t)
        assert off is not None, "the relay was left on"
        run("systemctl", "start", "mosquitto")
        eventually(lambda: len(events("access_granted")) > granted, 300)
        took_s = time.monotonic() - killed
        (event,) = events("access_granted")[granted:]
        assert event["delayed"] == "True", event
        eventually(lambda: events()[-1]["type"] == "service_started", 120)
        return (
            f"killed {killed - on.t:.3f} s after the relay went on, locked {off.t - killed:.1f} s "
            f"after that; the event came {took_s:.0f} s after the kill; {without_gap()}"
        )

    def t_snapshot(self) -> str:
        """A stranger's face is published by the hardened service, and a reader saves it."""
        start()
        before = len(heard("snapshot"))
        show("stranger")
        eventually(lambda: heard("alert", "stranger"), 120)
        eventually(lambda: len(heard("snapshot")) > before, 60)
        show("nobody")
        carry_out(block_of_subscribers("Save the last stranger's picture"), HOME)
        picture = (HOME / "stranger.jpg").read_bytes()
        assert picture[:3] == b"\xff\xd8\xff", picture[:20]
        assert len(picture) < 100_000
        return f"a JPEG of {len(picture)} bytes"

    def t_enrolled_from_afar(self) -> str:
        """Somebody is enrolled by a child of the hardened service, and nothing of it is left."""
        start()
        show("nobody")
        pid, files, before = unit("MainPID"), left_behind(), processes()
        sending = self._sending("enrol", "--name", NEW)
        eventually(lambda: len(processes()) > len(before), 180)
        show("stranger")
        (child,) = processes() - before
        status = Path(f"/proc/{child}/status").read_text().splitlines()
        wanted = ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd")
        kept = dict(line.split(":\t", 1) for line in status if line.split(":")[0] in wanted)
        assert {name: int(value, 16) for name, value in kept.items()} == {
            "NoNewPrivs": 1, "Seccomp": 2, "CapEff": 0, "CapBnd": 0,
        }, kept  # fmt: skip
        said, _ = sending.communicate(timeout=400)
        show("nobody")
        results = [json.loads(line) for line in said.splitlines()]
        assert sending.returncode == 0, said
        assert NEW in run("lockd-enroll", "list").stdout
        eventually(lambda: processes() == before, 10)
        assert left_behind() == files, left_behind() ^ files
        assert unit("MainPID") == pid
        peak = Path("/sys/fs/cgroup/system.slice/lockd.service/memory.peak").read_text()
        self.door.open("stranger")
        return (
            f"{results[-1]['accepted']} pictures of {NEW} after {len(results)} results, "
            f"{int(peak) / 1e6:.0f} MB at most with the service; nothing is left; she was let in"
        )

    def t_reload_and_stop_with_it_all(self) -> str:
        """With all of that configured, a reload is heard and a stop leaves nothing."""
        start()
        before = len(events("config_reloaded"))
        run("systemctl", "reload", "lockd")
        reloaded_s = eventually(lambda: len(events("config_reloaded")) > before, 180)
        start()
        code, result = self._send("people")
        names = [one["name"] for one in result["people"]]
        assert code == 0
        assert len(names) >= 2, result
        began = time.monotonic()
        run("systemctl", "stop", "lockd")
        stopped_s = time.monotonic() - began
        assert unit("Result") == "success"
        eventually(lambda: heard("availability")[-1]["availability"] == "offline", 30)
        assert not os.path.exists("/run/credentials/lockd.service")
        assert not os.path.exists("/run/lockd")
        return (
            f"reloaded after {reloaded_s:.1f} s; {len(names)} people; stopped within "
            f"{stopped_s:.1f} s; offline was heard; {without_gap()}"
        )

    def _configure(self, *, password_file: bool = True) -> None:
        """Write what lockd-mqtt.yaml has into the configuration, and the trials' own."""
        text = (SITE / f"door-{DOOR}/lockd-mqtt.yaml").read_text()
        if password_file:
            self.door.configure(text.replace("door:\n", f"door:\n  open_s: {OPEN_S}\n"))
            return
        lines = [line for line in text.splitlines() if "password" not in line]
        text = "\n".join([*lines, MORE])
        self.door.configure(text.replace("door:\n", f"door:\n  open_s: {OPEN_S}\n"))

    def _doctor(self) -> str:
        """See that doctor is content with what it can tell of all this."""
        checks = ("configuration", "files", "unit", "broker", "commands")
        only = [part for check in checks for part in ("--only", check)]
        rows = json.loads(run("lockd", "doctor", "--json", *only, check=False).stdout)["checks"]
        wrong = [row for row in rows if row["status"] == "problem"]
        assert not wrong, wrong
        return "; ".join(f"{row['check']} {row['status']}: {row['text']}" for row in rows)

    def _listen(self, command: str, folder: Path) -> None:
        """Let a program listen until the machine is switched off."""
        subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=folder)

    def _client(self, program: str, user: str) -> None:
        """Write the options of mosquitto's programs where docs/subscribers.md says."""
        folder = SITE / f"user-{user}"
        file = HOME / ".config" / program
        file.parent.mkdir(exist_ok=True)
        password = (folder / "password").read_text().strip()
        file.write_text(CLIENTS.format(folder=folder, user=user, password=password))

    def _sending(self, *command: str, key: Path = KEY) -> subprocess.Popen[str]:
        typed = block(DOCS / "commands.md", "So log in there as one", 8).replace("\\\n", "")
        words = typed.replace("ada_phone.key", str(key)).split()
        at = words.index("unlock")
        return subprocess.Popen(
            [*words[:at], *command, *words[at + 1 :], "--json"],
            cwd=SITE / "user-porter",
            stdout=subprocess.PIPE,
            text=True,
        )

    def _send(self, *command: str, key: Path = KEY) -> tuple[int, dict[str, Any]]:
        """Send a command; return how it ended, and the last result."""
        sending = self._sending(*command, "--timeout", "60", key=key)
        said, _ = sending.communicate(timeout=120)
        return sending.returncode, json.loads(said.splitlines()[-1])

    def _signed(self, command: str) -> str:
        """Sign a command with the shell script of docs/commands.md, into the file `payload`."""
        (HOME / "sign.sh").write_text(fenced(DOCS / "commands.md", "`sign.sh`"))
        (HOME / "anna.key").write_text(KEY.read_text())
        carry_out(f"sh sign.sh {DOOR} {command} > payload", HOME)
        return (HOME / "payload").read_text()


def block_of_subscribers(after: str) -> str:
    """Return commands of docs/subscribers.md, for this door."""
    return fenced(DOCS / "subscribers.md", after).replace("front_door", DOOR)


def heard(kind: str, word: str | None = None) -> list[Any]:
    """Return the messages of a kind that `lockd watch` has told, or those with a word in them."""
    lines = WATCHED.read_text().splitlines() if WATCHED.exists() else []
    told = [json.loads(line) for line in lines]
    mine = [one["message"] for one in told if (one["door"], one["kind"]) == (DOOR, kind)]
    return [one for one in mine if word is None or word in str(one)]


def events(type_: str | None = None) -> list[dict[str, str]]:
    """Return the events in the visitors' book."""
    with BOOK.open(newline="") as file:
        return [row for row in csv.DictReader(file) if type_ in (None, row["type"])]


def without_gap() -> str:
    """See that no number of any series is missing, and none came twice."""
    series: dict[str, list[int]] = defaultdict(list)
    for row in events():
        assert row["type"] != "gap", row
        series[row["series"]].append(int(row["seq"]))
    for numbers in series.values():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    return ", ".join(
        f"series {name}: {len(numbers)} without a gap" for name, numbers in series.items()
    )


def left_behind() -> set[str]:
    """Return what could be left of a child: files in all folders that the service may write to."""
    folders = ("/run/lockd", "/var/lib/lockd", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
    return {str(one) for folder in folders for one in Path(folder).rglob("*")}
