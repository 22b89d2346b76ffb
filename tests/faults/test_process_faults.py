"""The service is killed, stopped, stuck or asked to end, at the worst of times."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.faults.faults import RESTART_S
from tests.faults.records import openings
from tests.faults.site import LATE_S, OPEN_S, RELAY, Site
from tests.patience import PATIENCE_S, eventually

Sites = Callable[..., Site]


def test_killed_while_the_relay_is_on(sites: Sites) -> None:
    site = sites(door={"open_s": 60})
    site.start()
    site.open()
    site.kill(signal.SIGKILL)
    site.longest_s = RESTART_S
    site.await_locked()
    assert site.locked_by() == "relay-safe"  # the service had a minute left
    site.await_ready(1)
    site.open()
    site.end()


@pytest.mark.fault_slow
def test_stopped_for_longer_than_the_watchdog_waits(sites: Sites) -> None:
    site = sites(unit={"watchdog_s": 5.0})
    site.start()
    site.open()
    site.kill(signal.SIGSTOP)
    site.await_locked()
    assert site.locked_by() == "relay-safe"
    # SIGABRT is followed by SIGCONT, or it would not be heard.
    assert [one.detail for one in site.manager.notes if one.what == "signal"] == ["SIGABRT"]
    site.await_ready(1)
    site.let_in()
    site.longest_s = 5.0 + RESTART_S
    site.end()


def test_stopped_for_less_than_the_watchdog_waits(site: Site) -> None:
    lives = site.manager.count("started")
    site.open()
    site.manager.kill(signal.SIGSTOP)
    time.sleep(1.0)
    site.manager.kill(signal.SIGCONT)
    went_on = time.monotonic()
    site.await_locked()
    assert time.monotonic() - went_on < LATE_S
    assert site.locked_by() == "service"
    site.let_in()
    assert site.manager.count("started") == lives
    site.longest_s, usual = 1.0 + OPEN_S + LATE_S, site.longest_s
    site.judge()
    site.longest_s = usual


@pytest.mark.fault_slow
def test_the_main_loop_is_stuck_while_the_relay_is_on(sites: Sites) -> None:
    site = sites(unit={"watchdog_s": 2 * PATIENCE_S})
    site.start()
    site.open()
    site.order("stick", seconds=PATIENCE_S)
    site.await_locked()  # by the guard, while the main loop does nothing
    site.order("unstick")
    assert site.locked_by() == "service"
    site.let_in()
    site.end()
    assert site.manager.count("started") == 1


@pytest.mark.fault_slow
def test_the_main_loop_is_stuck_for_good(sites: Sites) -> None:
    site = sites(unit={"watchdog_s": 5.0})
    site.start()
    site.open()
    site.forgiven.append(site.manager.pid)
    site.order("stick", seconds=600)
    site.await_ready(1)
    assert site.manager.count("watchdog") == 1
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_asked_to_end_while_the_relay_is_on(sites: Sites) -> None:
    site = sites(door={"open_s": 60})
    site.start()
    site.open()
    site.manager.kill(signal.SIGTERM)
    eventually(lambda: site.manager.count("ended"))
    assert len(openings(site.board.changes(RELAY))) == 1
    assert site.locked_by() == "service"  # it had a minute left
    site.await_ready(1)
    assert site.manager.count("died") == 0, "it said that it was stopping"
    site.longest_s = RESTART_S
    site.end()


@pytest.mark.fault_slow
def test_everything_loses_its_power_while_the_relay_is_on(sites: Sites) -> None:
    site = sites(door={"open_s": 60})
    site.start()
    site.proxy.cut()
    granted = site.hear("access_granted")
    site.open()
    eventually(lambda: site.events("access_granted"))
    site.longest_s = RESTART_S
    site.lose_power()
    site.await_locked()
    site.restart_broker()
    site.start()
    granted()  # the event of before
    site.open()
    site.end()


def test_a_second_service_on_the_same_line_and_store(site: Site) -> None:
    second = subprocess.run(
        site.manager.unit.start,
        env={**site.manager.environment(), "NOTIFY_SOCKET": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert second.returncode == 7
    assert "GPIO busy" in second.stderr
    assert site.command("status")["result"] == "ok"
    site.let_in()
    site.judge()
