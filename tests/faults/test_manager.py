"""The manager does with a unit what systemd.service(5) and sd_notify(3) say."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.manager import Manager, Unit
from tests.patience import eventually

PROGRAM = """
import os, signal, socket, sys, time
def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.sendto(text.encode(), "\\0" + os.environ["NOTIFY_SOCKET"][1:])
"""


class SetClock:
    """The manager's time, which goes on only when told to."""

    def __init__(self) -> None:
        self.t = 100.0

    def __call__(self) -> float:
        return self.t

    def hurry_when(self, true: Callable[[], bool], seconds: float) -> None:
        """Let so much time pass once something is true."""
        eventually(true)
        self.t += seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def manage(tmp_path: Path, clock: SetClock) -> Iterator[Callable[..., Manager]]:
    made: list[Manager] = []

    def make(program: str, **times: float) -> Manager:
        post = f"open({str(tmp_path / 'post')!r}, 'a').write(os.environ['SERVICE_RESULT'] + ' ')"
        unit = Unit(
            start=[sys.executable, "-c", PROGRAM + program],
            stop_post=[sys.executable, "-c", "import os; " + post],
            **times,  # type: ignore[arg-type]
        )
        made.append(Manager(unit, tmp_path / "log", clock))
        made[-1].start()
        return made[-1]

    yield make
    for manager in made:
        manager.close()


def signals(manager: Manager) -> list[str]:
    return [one.detail for one in list(manager.notes) if one.what == "signal"]


def posts(folder: Path) -> list[str]:
    file = folder / "post"
    return file.read_text().split() if file.exists() else []


def test_a_service_that_is_fed_and_then_not_is_aborted_and_started_again(
    manage: Callable[..., Manager], clock: SetClock, tmp_path: Path
) -> None:
    manager = manage("tell('READY=1'); tell('WATCHDOG=1'); signal.pause()", watchdog_s=3.0)
    eventually(lambda: manager.told("WATCHDOG=1"))
    clock.t += 3.1
    eventually(lambda: manager.count("restarting"))
    clock.t += 0.2
    eventually(lambda: manager.count("running") == 2)
    assert signals(manager)[0] == "SIGABRT"
    assert posts(tmp_path)[0] == "watchdog"


def test_a_service_that_ends_by_itself_is_started_again(
    manage: Callable[..., Manager], clock: SetClock, tmp_path: Path
) -> None:
    manager = manage("tell('READY=1'); sys.exit(3)")
    eventually(lambda: manager.count("restarting"))
    clock.t += 0.2
    eventually(lambda: manager.count("started") == 2)
    assert posts(tmp_path)[0] == "exit-code"


def test_a_service_that_is_not_ready_in_time_is_ended_unless_it_asks_for_more(
    manage: Callable[..., Manager], clock: SetClock, tmp_path: Path
) -> None:
    manager = manage("signal.pause()", start_s=30.0)
    eventually(lambda: manager.state == "start")
    clock.t += 30.1
    eventually(lambda: posts(tmp_path))
    assert posts(tmp_path)[0] == "timeout"
    assert signals(manager)[0] == "SIGTERM"
    go_on = tmp_path / "go on"
    os.mkfifo(go_on)
    patient = (
        f"tell('EXTEND_TIMEOUT_USEC=60000000'); open({str(go_on)!r}).read(); tell('READY=1');"
        "signal.pause()"
    )
    manager = manage(patient, start_s=30.0, watchdog_s=600.0)
    eventually(lambda: manager.told("EXTEND"))
    clock.t += 59.0
    go_on.write_text("")
    eventually(lambda: manager.state == "running")
    assert manager.count("started") == 1


def test_a_service_that_does_not_hear_is_killed_with_its_children(
    manage: Callable[..., Manager], clock: SetClock
) -> None:
    manager = manage(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); tell('READY=1'); signal.pause()",
        stop_s=15.0,
    )
    eventually(lambda: manager.state == "running")
    eventually(lambda: len(manager.processes()) == 2)
    hurrying = threading.Thread(
        target=clock.hurry_when, args=(lambda: manager.state == "stopping", 15.1)
    )
    hurrying.start()
    assert manager.stop() == -9
    hurrying.join()
    assert signals(manager) == ["SIGTERM", "SIGKILL"]
    assert manager.processes() == []


def test_what_a_dead_service_leaves_behind_is_killed_before_the_relay_is_locked(
    manage: Callable[..., Manager], tmp_path: Path
) -> None:
    manager = manage(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if not os.fork(): signal.pause()\n"
        "tell('READY=1'); signal.pause()",
        stop_s=60.0,
        restart_s=60.0,
    )
    eventually(lambda: len(manager.processes()) == 2)
    eventually(lambda: manager.state == "running")
    manager.kill(signal.SIGKILL)
    eventually(lambda: manager.count("stop-post ended"))
    assert signals(manager) == ["SIGKILL"]
    assert manager.processes() == []


def test_asked_to_stop_the_service_alone_hears_it_and_what_it_leaves_is_killed_last(
    manage: Callable[..., Manager], tmp_path: Path
) -> None:
    manager = manage("os.fork(); tell('READY=1'); signal.pause()", stop_s=60.0)
    eventually(lambda: manager.state == "running")
    eventually(lambda: len(manager.processes()) == 2)
    assert manager.stop() == -signal.SIGTERM
    assert signals(manager) == ["SIGTERM", "SIGKILL"]
    assert posts(tmp_path) == ["success"]


def test_only_the_main_process_is_listened_to(manage: Callable[..., Manager]) -> None:
    manager = manage("os.fork() or (tell('READY=1'), os._exit(0)); signal.pause()")
    eventually(lambda: manager.count("ignored"))
    assert manager.state == "start"


def test_it_is_told_what_the_unit_says() -> None:
    """What the manager takes for granted stands in the unit."""
    unit = (ROOT / "systemd" / "lockd.service").read_text()
    for line in ("Type=notify", "Restart=always", "StartLimitIntervalSec=0", "KillMode=mixed"):
        assert re.search(f"^{line}$", unit, re.M), line
    assert re.search("^ExecStopPost=.* relay-safe ", unit, re.M)
    assert re.search("^ExecReload=/bin/kill -HUP ", unit, re.M)
