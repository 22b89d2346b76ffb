"""What systemd does with our unit, in seconds instead of half minutes.

From systemd.service(5), sd_notify(3) and systemd.kill(5):

    start       run ExecStart; READY=1 makes it running; past TimeoutStartSec: SIGTERM
    running     the watchdog runs; past WatchdogSec since its last feeding: SIGABRT
    stopping    asked to stop: SIGTERM to the main process alone (KillMode=mixed); or STOPPING=1
    killing     past TimeoutStopSec after either signal, or the main process ended by itself:
                SIGKILL to all
    stop-post   the main process has ended, and all that was killed: run ExecStopPost, for
                TimeoutStopSec at the most, then SIGKILL to what is left
    restarting  Restart=always: start again after RestartSec, unless asked to stop

After SIGTERM and SIGABRT comes SIGCONT: a process that is stopped dies of them, too.

EXTEND_TIMEOUT_USEC moves the timeout of the state, and the watchdog's, but never nearer.
Only the main process is listened to (NotifyAccess=main). All processes of the unit are
those that carry its INVOCATION_ID in their environment.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import PATIENCE_S, eventually

_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Unit:
    """The directives that matter here."""

    start: Sequence[str]
    stop_post: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_s: float = PATIENCE_S
    watchdog_s: float = 10.0
    stop_s: float = PATIENCE_S
    abort_s: float | None = None  # as stop_s
    restart_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Note:
    """Something the manager did or was told, with the monotonic time."""

    t: float
    what: str
    detail: str = ""


class Manager:
    """Keeps one unit running. Its thread does everything; the methods only ask it to."""

    def __init__(self, unit: Unit, log: Path, now: Callable[[], float] = time.monotonic) -> None:
        self.unit = unit
        self._now = now
        self.state = "inactive"
        self.notes: list[Note] = []
        self.main: subprocess.Popen[bytes] | None = None
        self._log = log
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._post: subprocess.Popen[bytes] | None = None
        self._invocation = ""
        self._result = "success"
        self._stop_wanted = False
        self._deadline = 0.0
        self._watchdog = 0.0
        self._address = f"lockd-manager-{uuid.uuid4().hex}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + self._address)
        self._socket.settimeout(_POLL_S)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)
        self._thread.start()

    # What may be asked for

    def start(self) -> None:
        """`systemctl start`, without waiting."""
        self._asked.put("start")

    def stop(self) -> int | None:
        """`systemctl stop`: returns the main process's exit status when all is over."""
        self._asked.put("stop")
        eventually(lambda: self.state == "inactive" and self._asked.empty())
        return None if self.main is None else self.main.returncode

    def reload(self) -> None:
        """`systemctl reload` with `ExecReload=kill -HUP $MAINPID`."""
        self.kill(signal.SIGHUP)

    def kill(self, number: int) -> None:
        """`kill` of the main process."""
        assert self.main is not None
        os.kill(self.main.pid, number)

    def lose_power(self) -> None:
        """Everything ends at once, and nobody is left to clean up."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        if self.main is not None:
            self.main.wait()
        self.main = None
        self._enter("inactive")

    def close(self) -> None:
        """Kill whatever is left, run nothing more."""
        self._ended = True
        self._thread.join()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        for process in (self.main, self._post):
            if process is not None:
                process.kill()
                process.wait()
        self._socket.close()

    # What can be seen

    @property
    def pid(self) -> int:
        assert self.main is not None
        return self.main.pid

    def count(self, what: str) -> int:
        """How often something was noted."""
        return sum(note.what == what for note in list(self.notes))

    def told(self, start: str) -> list[str]:
        """What the service has told, of the messages that begin so."""
        return [
            note.detail
            for note in list(self.notes)
            if note.what == "told" and note.detail.startswith(start)
        ]

    def processes(self) -> list[int]:
        """The unit's living processes: those of its cgroup."""
        mark = f"INVOCATION_ID={self._invocation}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and self._invocation:
                try:
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    # The thread

    def _run(self) -> None:
        while not self._ended:
            self._listen()
            while not self._asked.empty():
                self._serve(self._asked.get())
            self._step(self._now())

    def _note(self, what: str, detail: str = "") -> None:
        self.notes.append(Note(self._now(), what, detail))

    def _enter(self, state: str, within_s: float = float("inf")) -> None:
        self.state = state
        self._deadline = self._now() + within_s
        self._note(state)

    def _serve(self, wanted: str) -> None:
        self._stop_wanted = wanted == "stop"
        if wanted == "start" and self.state == "inactive":
            self._start()
        elif wanted == "stop" and self.state in ("start", "running"):
            self._signal(signal.SIGTERM)
            self._enter("stopping", self.unit.stop_s)
        elif wanted == "stop" and self.state == "restarting":
            self._enter("inactive")

    def _start(self) -> None:
        self._invocation = uuid.uuid4().hex
        self._result = "success"
        with self._log.open("ab") as log:
            self.main = subprocess.Popen(
                self.unit.start, stdin=subprocess.DEVNULL, stderr=log, env=self.environment()
            )
        self._note("started", str(self.main.pid))
        self._enter("start", self.unit.start_s)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.unit.environment,
            "INVOCATION_ID": self._invocation,
            "NOTIFY_SOCKET": "@" + self._address,
            "WATCHDOG_USEC": str(round(self.unit.watchdog_s * 1e6)),
        }

    def _listen(self) -> None:
        try:
            message, extra, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
        except TimeoutError:
            return
        sender = struct.unpack("3i", extra[0][2])[0]
        if self.main is None or sender != self.main.pid:
            self._note("ignored", message.decode())
            return
        for line in message.decode().splitlines():
            self._hear(line)

    def _hear(self, line: str) -> None:
        now = self._now()
        if line == "WATCHDOG=1":
            self._watchdog = now + self.unit.watchdog_s
            if self.notes[-1].detail != line:
                self._note("told", line)
            return
        self._note("told", line)
        if line == "READY=1" and self.state == "start":
            self._watchdog = now + self.unit.watchdog_s
            self._enter("running")
        elif line == "STOPPING=1" and self.state in ("start", "running"):
            self._enter("stopping", self.unit.stop_s)
        elif line.startswith("EXTEND_TIMEOUT_USEC="):
            until = now + int(line.partition("=")[2]) / 1e6
            self._deadline = max(self._deadline, until)
            self._watchdog = max(self._watchdog, until)

    def _step(self, now: float) -> None:
        if self.main is None:
            return
        if self.state in ("start", "running") and self.main.poll() is not None:
            self._ended_by_itself(self.main.returncode)
        elif self.state == "start" and now > self._deadline:
            self._result = "timeout"
            self._signal(signal.SIGTERM)
            self._enter("stopping", self.unit.stop_s)
        elif self.state == "running" and now > self._watchdog:
            self._result = "watchdog"
            self._note("watchdog")
            self._signal(signal.SIGABRT)
            abort_s = self.unit.abort_s
            self._enter("stopping", self.unit.stop_s if abort_s is None else abort_s)
        elif self.state in ("stopping", "killing"):
            self._await_the_end(now)
        elif self.state == "stop-post":
            self._await_stop_post(now)
        elif self.state == "restarting" and now > self._deadline:
            self._start()

    def _ended_by_itself(self, status: int) -> None:
        self._result = "success" if status == 0 else "exit-code" if status > 0 else "signal"
        self._note("died", str(status))
        self._signal(signal.SIGKILL)  # what it left behind
        self._enter("killing")

    def _await_the_end(self, now: float) -> None:
        assert self.main is not None
        if self.main.poll() is not None and (self.state == "stopping" or not self.processes()):
            self._note("ended", str(self.main.returncode))
            with self._log.open("ab") as log:
                self._post = subprocess.Popen(
                    self.unit.stop_post,
                    stdin=subprocess.DEVNULL,
                    stderr=log,
                    env={**self.environment(), "SERVICE_RESULT": self._result},
                )
            self._enter("stop-post", self.unit.stop_s)
        elif now > self._deadline and self.state == "stopping":
            self._signal(signal.SIGKILL)
            self._enter("killing")

    def _await_stop_post(self, now: float) -> None:
        assert self._post is not None
        if self._post.poll() is None:
            if now > self._deadline:
                self._note("stop-post timeout")
                self._post.kill()
            return
        self._note("stop-post ended", str(self._post.returncode))
        self._signal(signal.SIGKILL)
        if self._stop_wanted:
            self._enter("inactive")
        else:
            self._enter("restarting", self.unit.restart_s)

    def _signal(self, number: signal.Signals) -> None:
        """Kill all there is, or tell the main process."""
        assert self.main is not None
        if number == signal.SIGKILL:
            signalled = self.processes()
        else:
            signalled = [] if self.main.poll() is not None else [self.main.pid]
        if signalled:
            self._note("signal", number.name)
        for pid in signalled:
            try:
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
