"""In a container, what systemd is to the service on a machine; nothing but Python's own library.

    python -I supervise.py --config FILE

Runs `lockd run` and hears what it tells by sd_notify(3). A service that does not get ready in time,
or whose loop no longer says that it goes on, is ended: it may hang with the relay on. After any end
of it `lockd relay-safe` drives the relay to locked. Then this ends, too, and the engine starts it
again.

SIGTERM and SIGINT end the service, SIGHUP has it read its configuration again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# As in systemd/lockd.service.
WATCHDOG_S = 10.0
START_S = 60.0
STOP_S = 15.0
ABORT_S = 2.0
_TICK_S = 0.2


class Supervisor:
    """Watches one run of the service.

    Args:
        lockd: the program, with what comes before its command's name.
        options: of `run` and `relay-safe`.
        folder: where the service tells how it is.
    """

    def __init__(self, lockd: Sequence[str], options: Sequence[str], folder: Path) -> None:
        self._lockd, self._options = lockd, options
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.settimeout(_TICK_S)
        self._path = folder / "notify"
        self._path.unlink(missing_ok=True)
        self._told.bind(str(self._path))
        self._ready = self._stopping = False
        self._deadline = time.monotonic() + START_S

    def run(self) -> int:
        """Run it to its end, lock the door, and return the exit code of whichever failed first."""
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self._path),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        service = subprocess.Popen(
            [*self._lockd, "run", *self._options], env=environment, start_new_session=True
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda asked, _: self._pass_on(service, asked))
        while service.poll() is None:
            self._hear()
            if time.monotonic() >= self._deadline:
                self._end(service)
        # Children of its own, such as a camera's; relay-safe waits until they are gone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)
        safe = subprocess.run([*self._lockd, "relay-safe", *self._options], check=False)
        if safe.returncode:
            print("supervise: relay-safe failed; is the door locked?", file=sys.stderr)
        code = service.returncode or safe.returncode
        return code if code >= 0 else 128 - code

    def _pass_on(self, service: subprocess.Popen[bytes], asked: int) -> None:
        if asked == signal.SIGHUP:
            service.send_signal(asked)
        elif not self._stopping:
            self._stop()
            service.send_signal(signal.SIGTERM)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._deadline = time.monotonic() + STOP_S

    def _hear(self) -> None:
        try:
            words = self._told.recv(4096).decode("utf-8", "replace").splitlines()
        except TimeoutError:
            return
        now = time.monotonic()
        for word in words:
            name, _, value = word.partition("=")
            if name == "STOPPING":
                self._stop()
            elif self._stopping:
                continue
            elif name == "EXTEND_TIMEOUT_USEC" and not self._ready and value.isdecimal():
                self._deadline = max(self._deadline, now + int(value) / 1e6)
            elif name == "READY" or (name == "WATCHDOG" and self._ready):
                self._ready = True
                self._deadline = now + WATCHDOG_S

    def _end(self, service: subprocess.Popen[bytes]) -> None:
        print("supervise: lockd hangs; it is ended", file=sys.stderr)
        service.send_signal(signal.SIGABRT)
        try:
            service.wait(ABORT_S)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()


def main() -> int:
    """Watch the service of this image."""
    folder = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/lockd"))
    return Supervisor([str(Path(sys.prefix) / "bin/lockd")], sys.argv[1:], folder).run()


if __name__ == "__main__":
    sys.exit(main())
