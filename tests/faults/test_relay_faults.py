"""The relay's line fails."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.faults import RESTART_S
from tests.faults.records import openings
from tests.faults.site import KNOWN, LATE_S, NOBODY, OPEN_S, RELAY, Site
from tests.patience import eventually

Sites = Callable[..., Site]
HEARTBEAT = 18


def test_the_relay_cannot_be_switched_on(site: Site) -> None:
    site.board.spoil(RELAY, 1, "raise")
    assert "the GPIO chip does not answer" in site.appear(KNOWN, "relay_fault")["reason"]
    site.show(NOBODY)
    site.board.mend()
    site.let_in()
    site.judge()


def test_the_relay_cannot_be_switched_off(sites: Sites) -> None:
    site = sites()
    site.start()
    site.open()
    site.board.spoil(RELAY, 0, "raise")
    eventually(lambda: site.logged("cannot be switched off"))
    # The guard does not give up.
    refused = [one for one in site.board.changes(RELAY) if one.what == "refused"]
    eventually(
        lambda: (
            len([o for o in site.board.changes(RELAY) if o.what == "refused"]) > len(refused) + 5
        )
    )
    site.board.mend()
    mended = time.monotonic()
    site.await_locked()
    assert time.monotonic() - mended < LATE_S
    site.let_in()
    site.longest_s = max(one.seconds(0) for one in openings(site.board.changes(RELAY)))
    site.end()


@pytest.mark.fault_slow
def test_the_driver_hangs_while_it_switches_off(sites: Sites) -> None:
    site = sites(unit={"watchdog_s": 5.0})
    site.start()
    site.open()
    site.board.spoil(RELAY, 0, "hang")
    site.forgiven.append(site.manager.pid)
    eventually(lambda: site.manager.count("ended"))
    site.board.mend()  # the chip is well again when its process has gone
    site.longest_s = 5.0 + site.manager.unit.stop_s + RESTART_S
    site.await_locked()
    assert site.locked_by() == "relay-safe"
    site.await_ready(1)
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_the_guard_dies_while_the_relay_is_on(sites: Sites) -> None:
    site = sites(unit={"watchdog_s": 5.0})
    site.start()
    # It is raised in the guard when that wakes up: at the next release.
    site.order("end_thread", name="strike-guard")
    site.open()
    site.await_locked()  # by the main loop, which ends when it sees that the guard has gone
    site.await_ready(1)
    assert site.events("access_granted") or site.forgiven
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_a_hardware_limit_is_fed_only_while_the_relay_is_on(sites: Sites) -> None:
    site = sites(relay={"heartbeat": {"pin": HEARTBEAT, "hz": 10.0}})
    site.start()
    site.let_in()
    assert len(beats(site)) > 1
    before = len(beats(site))
    site.open()
    eventually(lambda: len(beats(site)) > before)
    site.kill(signal.SIGKILL)
    killed = time.monotonic()
    site.longest_s = OPEN_S + RESTART_S
    site.await_locked()
    eventually(lambda: site.board.level(HEARTBEAT) == 0)
    assert max(beats(site)) < killed
    on = openings(site.board.changes(RELAY))
    assert all(any(one.on <= t <= (one.off or t) for one in on) for t in beats(site))
    site.let_in()
    site.end()
    assert site.board.level(HEARTBEAT) == 0


def beats(site: Site) -> list[float]:
    """When the line that feeds the limit went high."""
    changes = site.board.changes(HEARTBEAT)
    return [one.t for one in changes if one.what == "level" and one.level]
