"""Run the checks, each kept from harming the others."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence

from lockd.commands.doctor.findings import Check, Finding, Machine, Status, problem, skipped
from lockd.errors import ConfigError, LockdError


def examine(checks: Sequence[Check], machine: Machine) -> Iterator[tuple[Check, list[Finding]]]:
    """Yield what each check found, in their order, as soon as it is known."""
    for check in checks:
        yield check, _apart(check, machine) if check.apart else _in_a_thread(check, machine)


def findings_of(check: Check, machine: Machine) -> list[Finding]:
    """Run a check; whatever it raises becomes a finding."""
    try:
        return list(check.look(machine))
    except ConfigError:
        return [skipped("needs a configuration without mistakes")]
    except LockdError as error:
        return [Finding(Status.PROBLEM, str(error))]  # its message names the way out
    except Exception as error:
        return [_unforeseen(f"{type(error).__name__}: {error}")]


def _in_a_thread(check: Check, machine: Machine) -> list[Finding]:
    answer: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    threading.Thread(target=lambda: answer.put(findings_of(check, machine)), daemon=True).start()
    try:
        return answer.get(timeout=check.limit_s)
    except queue.Empty:
        return [_too_long(check)]


def _apart(check: Check, machine: Machine) -> list[Finding]:
    """Run a check in a Python of its own, from a folder where lgpio may leave its pipe."""
    asked = {"check": check.name, "config_file": machine.config_file, "root": machine.root}
    asked["save_frame"] = machine.save_frame and machine.save_frame.absolute()
    if machine.config_file is not None:
        asked["config_file"] = machine.config_file.absolute()
    # The same modules as here, and -P: none from the folder that the user happens to be in.
    paths = os.pathsep.join(path for path in sys.path if path)
    with tempfile.TemporaryDirectory(prefix="lockd-doctor-") as folder:
        environment = {**os.environ, "PYTHONPATH": paths, "LG_WD": folder}
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "lockd.commands.doctor"],
                input=json.dumps(asked, default=str),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=check.limit_s,
                cwd=folder,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return [_too_long(check)]
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return [_unforeseen(f"ended by {name}; {_last_line(done.stderr)}")]
    try:
        said = json.loads(done.stdout.splitlines()[-1])
        return [Finding(Status(one["status"]), one["text"], one["mend"]) for one in said]
    except (IndexError, ValueError, KeyError, TypeError):
        return [_unforeseen(f"exit code {done.returncode}; {_last_line(done.stderr)}")]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _too_long(check: Check) -> Finding:
    return problem(
        f"no answer within {check.limit_s:g} s",
        "a device or a network that hangs; unplug and plug it, or restart the machine",
    )


def _unforeseen(what: str) -> Finding:
    return problem(
        f"the check itself failed: {what}",
        "what it looks at is in a state that lockd does not know; please report this line",
    )
