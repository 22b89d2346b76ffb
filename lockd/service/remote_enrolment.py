"""Enrols somebody at the door though nobody is at a terminal: `lockd-enroll` as a child process.

It takes its frames from this service over the control socket, like the same command in a
terminal, says on its standard output how it goes, a JSON object a line, and at the end what
came of it. A thread reads that and puts it into a queue; everything else is done in the
service's thread. What it complains of goes to the service's log. Whom it enrols it reads from its
standard input, for everybody on the machine may read command lines.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from lockd.adapters.store.records import key_of
from lockd.errors import (
    CameraError,
    ConfigError,
    ControlError,
    ImageError,
    ModelError,
    PersonError,
    StoreError,
)
from lockd.paths import ON_BEHALF_OF
from lockd.remote.outcome import CommandOutcome, CommandProgress

log = logging.getLogger(__name__)

LASTS_S = 120.0
"""How long somebody has to show their face."""
_LOADING_S = 60.0  # the networks' loading may take; then it is ended
CONFIRM_S = 900.0
"""How long whoever was enrolled waits to be confirmed; after that they stay a stranger."""
_PATIENCE_S = 1.0
_LONGEST_LINE = 16_384
_LINES = 64
_COMMAND = (
    sys.executable, "-P", "-m", "enroll", "add", "--camera", "configured", "--yes", "--json",
    "--json-progress",
)  # fmt: skip
_REASONS = {
    ConfigError.exit_code: "configuration",
    ModelError.exit_code: "networks",
    StoreError.exit_code: "store",
    CameraError.exit_code: "camera",
    ImageError.exit_code: "pictures",
    PersonError.exit_code: "name_refused",
    ControlError.exit_code: "camera",
}


@dataclass(slots=True)
class _Child:
    """One enrolment that goes on.

    Attributes:
        id: of the command.
        by: who gave it.
        process: the child.
        ends_at: when it is ended, monotonic seconds.
        lines: that it said, the newest.
        reader: fills them; ends with its output.
        name: of whoever is enrolled.
        result: the last it said of what it did.
        picture: a JPEG of the face that was taken, in base64.
        ended: why it was ended, if it was.
    """

    id: str
    by: str
    process: subprocess.Popen[bytes]
    ends_at: float
    lines: deque[bytes]
    reader: threading.Thread
    name: str
    result: dict[str, Any] = field(default_factory=dict)
    picture: str | None = None
    ended: str | None = None


class RemoteEnrolments:
    """Enrols people at the camera, one at a time."""

    def __init__(
        self,
        command: Sequence[str] = _COMMAND,
        loading_s: float = _LOADING_S,
        *,
        confirm: bool = True,
    ) -> None:
        """Enrol nobody yet.

        Args:
            command: enrols whom the first line of its standard input names.
            loading_s: how much longer it may take than somebody has before the camera.
            confirm: whether whoever is enrolled stays a stranger until they are confirmed.
        """
        self._command = tuple(command)
        self._loading_s = loading_s
        self._confirm = confirm
        self._child: _Child | None = None
        self._unconfirmed: dict[str, float] = {}

    def start(
        self,
        id_: str,
        name: str,
        by: str,
        now: float,
        lasts_s: float = 0.0,
        valid: tuple[str | None, str | None] = (None, None),
    ) -> str | None:
        """Begin to enrol somebody; return why not, in a word, if that cannot be.

        Args:
            by: who gave it; the audit trail says so.
            lasts_s: how long whoever asked waits; 0 is as long as it may last.
            valid: from when on and until when they may come in.
        """
        if self._child is not None:
            return "busy"
        lasts_s = min(lasts_s or LASTS_S, LASTS_S)
        lines: deque[bytes] = deque(maxlen=_LINES)
        terms = ["--unconfirmed"] if self._confirm else []
        for option, moment in zip(("--valid-from", "--valid-until"), valid, strict=True):
            terms += [option, moment] if moment else []
        try:
            process = subprocess.Popen(
                [*self._command, *terms, "--timeout", f"{max(1.0, lasts_s):g}", "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(by),
            )
        except OSError as error:
            log.error("nobody can be enrolled: %s", error)
            return "failed"
        _say(process, name)
        reader = threading.Thread(
            target=_read, args=(process.stdout, lines), name="enrolling", daemon=True
        )
        reader.start()
        # Whoever asked and waits for so long must not be told of it when they have gone.
        ends_at = now + (lasts_s if lasts_s < LASTS_S else LASTS_S + self._loading_s)
        self._child = _Child(id_, by, process, ends_at, lines, reader, name)
        return None

    def cancel(self) -> str | None:
        """End what goes on, with nobody enrolled; return why not, in a word."""
        if self._child is None:
            return "nothing"
        self._child.ended = "cancelled"
        self._child.process.kill()
        return None

    def take_unconfirmed(self, name: str, now: float) -> bool:
        """Return whether somebody waits to be confirmed; they do no longer then."""
        return self._unconfirmed.pop(key_of(name), -1.0) >= now

    def news(self, now: float) -> list[CommandProgress]:
        """Return what happened since the last call."""
        child = self._child
        if child is None:
            return []
        late = now >= child.ends_at
        if late and child.process.poll() is None:
            child.ended = "timed_out"
            child.process.kill()
        over = child.process.poll() is not None and (late or not child.reader.is_alive())
        found = [*_progress(child)]
        if over:
            self._child = None
            if child.result.get("accepted") and child.ended is None and self._confirm:
                self._unconfirmed[key_of(child.name)] = now + CONFIRM_S
            found.append(CommandProgress(child.id, "enrol", child.by, _end(child), over=True))
        return found

    def close(self) -> None:
        """End one that goes on; whoever it was is not enrolled."""
        child, self._child = self._child, None
        if child is None:
            return
        child.process.terminate()
        try:
            child.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        child.reader.join(_PATIENCE_S)


def _say(process: subprocess.Popen[bytes], line: str) -> None:
    """Give a child its only line; one that has ended already tells by its exit code."""
    assert process.stdin is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(f"{line}\n".encode())


def _environment(by: str) -> dict[str, str]:
    """The child's: what it does is done on somebody's behalf, and it is no service."""
    notices = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    kept = {name: value for name, value in os.environ.items() if name not in notices}
    return {**kept, ON_BEHALF_OF: by}


def _read(output: IO[bytes], lines: deque[bytes]) -> None:
    """The thread: take lines in until there are no more."""
    with output:
        while line := output.readline(_LONGEST_LINE):
            lines.append(line)


def _progress(child: _Child) -> Iterator[CommandProgress]:
    """What a child said of how it goes; what it did in the end is kept for the end."""
    while child.lines:
        try:
            said = json.loads(child.lines.popleft())
        except ValueError:
            continue
        if isinstance(said, list) and said:
            child.result = dict(said[0])
        elif isinstance(said, dict) and isinstance(said.get("picture"), str):
            child.picture = said["picture"]
        elif isinstance(said, dict):
            details = {"stage": "progress", **said}
            yield CommandProgress(
                child.id, "enrol", child.by, CommandOutcome(details=details), over=False
            )


def _end(child: _Child) -> CommandOutcome:
    """What came of it."""
    code = child.process.returncode
    accepted, refused = child.result.get("accepted", 0), child.result.get("refused", [])
    details: dict[str, Any] = {"stage": "finished", "accepted": accepted, "refused": len(refused)}
    if child.ended is not None:
        return CommandOutcome(child.ended, details)
    if accepted and child.picture is not None:
        details["picture"] = child.picture
    return CommandOutcome(None if accepted else _REASONS.get(code, "failed"), details)
