"""Starts lockd as it is, on a simulated board, and can break things inside its process.

    python -m tests.faults.service BOARD-FOLDER run --config ...

The service itself knows nothing of this. Before it is imported gpiozero's mock pins are
put on a `Board`, its log is copied, line by line and with the monotonic time, to the
file `journal` in the board's folder, and a thread waits at an abstract socket for
commands: one JSON object a connection, `{"do": NAME, ...}`, answered by another.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.board import Board, factory_on

STICK = signal.SIGRTMIN + 5


def control_address(folder: Path) -> str:
    """Where the service on a board listens; abstract, for it must be short and leave nothing."""
    return f"\0lockd-fault-{folder.stat().st_ino}"


class Journal(logging.Handler):
    """Copies the log into a file, so that it survives the process and has its times."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def emit(self, record: logging.LogRecord) -> None:
        line = {
            "t": time.monotonic(),
            "pid": os.getpid(),
            "level": record.levelname,
            "thread": record.threadName,
            "text": record.getMessage(),
            "event": getattr(record, "event", None),
        }
        with contextlib.suppress(OSError):  # a log that cannot be written ends no service
            os.write(self._file, (json.dumps(line) + "\n").encode())


class Clock:
    """The wall clock of this process, which can be stepped; the monotonic one cannot."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        clock, true_time, true_datetime = self, time.time, datetime.datetime

        class Stepped(true_datetime):  # type: ignore[valid-type, misc]
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> Any:
                return cls.fromtimestamp(true_time() + clock.ahead_s, tz)

            @classmethod
            def utcnow(cls) -> Any:
                return cls.now(datetime.UTC).replace(tzinfo=None)

        time.time = lambda: true_time() + clock.ahead_s
        time.time_ns = lambda: int(time.time() * 1e9)
        datetime.datetime = Stepped  # type: ignore[misc]


class Saboteur:
    """Carries out the commands, each a method; their answers are what they return."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stick_s = 0.0
        self._unstuck = threading.Event()
        signal.signal(STICK, lambda *_: self._stay())

    def serve(self, address: str) -> None:
        """The thread."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            try:
                server.bind(address)
            except OSError:  # a second service on the same board
                return
            server.listen()
            while True:
                self._answer(server)

    def _answer(self, server: socket.socket) -> None:
        caller, _ = server.accept()
        with caller:
            order = json.loads(caller.recv(65536))
            try:
                answer = getattr(self, order.pop("do"))(**order)
            except Exception as error:
                answer = {"error": repr(error)}
            caller.sendall(json.dumps(answer).encode())

    def ping(self) -> int:
        return os.getpid()

    def stick(self, seconds: float) -> None:
        """The main loop does nothing for so long, or until unstuck; other threads go on."""
        self._stick_s = seconds
        self._unstuck.clear()
        signal.pthread_kill(threading.main_thread().ident or 0, STICK)

    def unstick(self) -> None:
        """The main loop goes on."""
        self._unstuck.set()

    def _stay(self) -> None:
        self._unstuck.wait(self._stick_s)

    def threads(self) -> list[str]:
        return sorted(thread.name for thread in threading.enumerate())

    def end_thread(self, name: str) -> int:
        """Raise in a thread whose name begins so, as an error nobody foresaw would."""
        found = [one for one in threading.enumerate() if one.name.startswith(name)]
        raised = ctypes.pythonapi.PyThreadState_SetAsyncExc
        return sum(
            raised(ctypes.c_ulong(one.ident or 0), ctypes.py_object(_Unforeseen)) for one in found
        )

    def step_clock(self, seconds: float) -> float:
        """Step the wall clock."""
        self._clock.ahead_s += seconds
        return time.time()

    def drive(self, pin: int, level: int) -> None:
        """Something outside gives an input line its level."""
        for factory in FACTORIES:
            for one in factory.pins.values():
                if one.info.name == f"GPIO{pin}":
                    factory.edge(one, level)


class _Unforeseen(BaseException):
    """No code expects this one, not even an `except Exception`."""


FACTORIES: list[Any] = []
"""Those that the service has made."""


def prepare(folder: Path) -> Callable[[], None]:
    """Put the process on the board; return lockd's own entry point."""
    import gpiozero.pins.mock

    clock = Clock()
    made = factory_on(Board(folder))

    class Kept(made):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            super().__init__()
            FACTORIES.append(self)

    gpiozero.pins.mock.MockFactory = Kept
    logging.getLogger("lockd").addHandler(Journal(folder / "journal"))
    if sys.argv[1:2] == ["run"]:
        saboteur = Saboteur(clock)
        threading.Thread(
            target=saboteur.serve, args=(control_address(folder),), name="saboteur", daemon=True
        ).start()

    from lockd.__main__ import main

    return main


if __name__ == "__main__":
    board_folder = Path(sys.argv.pop(1))
    sys.argv[0] = "lockd"
    prepare(board_folder)()
