"""Judges photographs for the console: `enroll.desk` as a child process.

Photographs come from whoever has a browser, and decoding them is where programs break: so the
service does not do it. The child is started when it is needed, and ended when nobody has asked
for a while; while it lasts it takes about as much memory as the service. It judges as
`lockd-enroll add` does. A request is a line of JSON and so many bytes; so is an answer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from lockd.config import Settings

log = logging.getLogger(__name__)

IDLE_S = 120.0
"""The child ends by itself when so long nothing was asked."""
PATIENCE_S = 60.0
"""For one answer, loading the networks included."""
_COMMAND = (sys.executable, "-P", "-m", "enroll.desk")
_LONGEST_ANSWER = 8 * 2**20
_MOST_AT_ONCE = 4

Told = tuple[dict[str, Any], bytes]


class PictureDesk:
    """One child process, asked by one caller after the other."""

    def __init__(self, settings: Settings, command: Sequence[str] = _COMMAND) -> None:
        self._settings = settings
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def ask(self, command: str, values: Mapping[str, Any], body: bytes, by: str) -> Told:
        """Have something done with photographs; called from the control socket's threads.

        Args:
            command: what.
            body: the photographs, one after the other; ``sizes`` of values says where each ends.
            by: who asks, for the audit trail.
        """
        if not self._places.acquire(blocking=False):
            return {"result": "busy", "reason": "others are being judged; try again"}, b""
        try:
            with self._lock:
                return self._ask({**values, "command": command, "by": by}, body)
        except (OSError, ValueError) as error:
            log.error("console: photographs cannot be judged: %s", error)
            self._end()
            return {"result": "failed", "reason": "photographs cannot be judged just now"}, b""
        finally:
            self._places.release()

    def close(self) -> None:
        """End the child, whatever it does."""
        self._closed = True
        self._end()

    def _ask(self, values: dict[str, Any], body: bytes) -> Told:
        child = self._running()
        assert child.stdin is not None  # noqa: S101
        assert child.stdout is not None  # noqa: S101
        values["bytes"] = len(body)
        child.stdin.write(json.dumps(values).encode() + b"\n" + body)
        child.stdin.flush()
        content = _answer(child.stdout, time.monotonic() + PATIENCE_S)
        answer = json.loads(content)
        if not isinstance(answer, dict):
            raise ValueError("no answer")
        if answer.get("result") != "ok":
            return answer, b""
        return {"result": "ok", "json": True}, content

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise OSError("the service ends")
        if self._child is None or self._child.poll() is not None:
            self._end()
            child = subprocess.Popen(
                [*self._command, "--idle", f"{IDLE_S:g}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(),
            )  # fmt: skip
            assert child.stdin is not None  # noqa: S101
            self._child = child
            child.stdin.write(self._settings.model_dump_json().encode() + b"\n")
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _environment() -> dict[str, str]:
    notices = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    return {name: value for name, value in os.environ.items() if name not in notices}


def _answer(output: IO[bytes], end: float) -> bytes:
    """Read a line that says how many bytes follow, and those; not for ever."""
    raw, wanted, handle = b"", None, output.fileno()
    while wanted is None or len(raw) < wanted:
        left = end - time.monotonic()
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            raise OSError("no answer in time")
        piece = os.read(handle, 2**16)
        if not piece:
            raise OSError("the child ended")
        raw += piece
        if wanted is None and b"\n" in raw:
            line, _, raw = raw.partition(b"\n")
            wanted = int(line)
            if not 0 <= wanted <= _LONGEST_ANSWER:
                raise ValueError(f"an answer of {wanted} bytes")
    return raw
