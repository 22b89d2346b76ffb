"""What an administrator may have looked at from the console: commands, each as a child process.

`lockd doctor`, `calibrate` and `update --check` import what the service has no use for, take
their time, and may break: so the service starts them as anybody would in a terminal, and keeps
what they said last. They change nothing. Called in the control socket's threads.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lockd.config import Settings
from lockd.messages import utc_text
from lockd.paths import ASKED_BY_SERVICE

log = logging.getLogger(__name__)

LONGEST_S = 240.0
"""For one of them; the doctor's checks have limits of their own."""
LOCKD = (sys.executable, "-P", "-m", "lockd")
_NOT_FOR_CHILDREN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

Told = dict[str, Any]


class ConsoleChecks:
    """Starts one after the other, and remembers."""

    def __init__(
        self, settings: Settings, lockd: Sequence[str] = LOCKD, longest_s: float = LONGEST_S
    ) -> None:
        """Have looked at nothing yet.

        Args:
            lockd: the command.
            longest_s: how long one of them may take.
        """
        self._update = settings.update
        self._lockd = tuple(lockd)
        self._longest_s = longest_s
        self._alone = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._closed = threading.Event()
        self._last: dict[str, Told] = {}

    def last(self) -> Told:
        """Return what each said last, and whether it is time to look for an update again."""
        last = self._last.get("update")
        hours = self._update.check_h
        old = last is None or time.monotonic() - last["t"] >= hours * 3600.0
        told = {
            name: {key: one for key, one in said.items() if key != "t"}
            for name, said in self._last.items()
        }
        return {
            "checks": told,
            "update_listed": self._update.index is not None,
            "update_due": bool(hours) and old and self._update.index is not None,
        }

    def run(self, name: str) -> Told:
        """Have something looked at now; return what was said, or why not."""
        if name not in CHECKS:
            return {"result": "malformed", "reason": f"checks: {', '.join(CHECKS)}"}
        if not self._alone.acquire(blocking=False):
            return {"result": "busy", "reason": "something is being looked at; try again"}
        try:
            words, told = CHECKS[name]
            with tempfile.TemporaryDirectory(prefix="lockd-check-") as folder:
                code, said, wrong = self._told(words, Path(folder))
                found = told(said) if said else None
            if self._closed.is_set():
                return {"result": "refused", "reason": "the service ended meanwhile"}
            if found is None:
                reason = wrong.strip().splitlines()[-1:] or [f"exit code {code}"]
                return {"result": "refused", "reason": reason[0][:500]}
            kept = {"t": time.monotonic(), "utc": utc_text(timespec="seconds"), **found}
            self._last[name] = kept
            return {"result": "ok", **{key: one for key, one in kept.items() if key != "t"}}
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("console: %s: %s", name, error)
            return {"result": "refused", "reason": f"{name} said nothing that is understood"}
        finally:
            self._alone.release()

    def close(self) -> None:
        """End what is looked at."""
        self._closed.set()
        if (child := self._child) is not None:
            _end(child)

    def _told(self, words: Sequence[str], folder: Path) -> tuple[int, str, str]:
        """Run a command; return its exit code, its JSON and what it complained of."""
        file = folder / "said.json"
        if self._closed.is_set():
            raise OSError("the service ends")
        child = subprocess.Popen(
            [*self._lockd, *(str(file) if word == "FILE" else word for word in words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", env=_environment(), start_new_session=True,
        )  # fmt: skip
        self._child = child
        if self._closed.is_set():  # by now: `close` may have looked before there was a child
            _end(child)
        with suppress(OSError):  # short of memory, this one goes, not the service
            Path(f"/proc/{child.pid}/oom_score_adj").write_text("1000", "ascii")
        try:
            said, wrong = child.communicate(timeout=self._longest_s)
        except subprocess.TimeoutExpired:
            _end(child)
            child.communicate()
            return -9, "", f"took more than {self._longest_s:.0f} s"
        finally:
            self._child = None
        if "FILE" in words:
            said = file.read_text("utf-8") if file.exists() else ""
        return child.returncode, said, wrong


def _end(child: subprocess.Popen[str]) -> None:
    """End a command with whatever it started, which has its output open, too."""
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """The children's: no service, and told that there is one, which has camera and pins."""
    kept = {name: one for name, one in os.environ.items() if name not in _NOT_FOR_CHILDREN}
    return {**kept, ASKED_BY_SERVICE: "1", "NO_COLOR": "1"}


def _doctor(said: str) -> Told:
    rows = json.loads(said)["checks"]
    return {"findings": [{key: str(one[key]) for key in _FINDING} for one in rows]}


def _thresholds(said: str) -> Told:
    """Numbers, and nobody's name."""
    data = json.loads(said)
    suggested = data["suggested"]
    return {
        "people": data["people"],
        "templates": data["templates"],
        "accept": data["configured"]["accept"],
        "suggested": suggested["accept"],
        "source": suggested["source"],
        "refused": suggested["genuine_refused"],
        "confusable": len(suggested["confusable"]),
        "one_person": data["genuine"]["histogram"],
        "two_people": data["impostor"]["histogram"],
    }


def _newer(said: str) -> Told:
    data = json.loads(said)
    return {"version": data["version"], "newer": data["newer"], "date": data["date"]}


_FINDING = ("check", "status", "text", "mend")
CHECKS: Mapping[str, tuple[Sequence[str], Callable[[str], Told]]] = {
    "doctor": (("doctor", "--json"), _doctor),
    "thresholds": (("calibrate", "--json", "FILE"), _thresholds),
    "update": (("update", "--check", "--json"), _newer),
}
"""By their names: the words of a command, FILE for where its JSON goes, and what is kept of it."""
