"""Nothing that can be put off holds up the exit button, or an order to lock."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockd.door.events import DoorRules
from tests.faults.callers import IDENTITY, OTHER, TOPICS, Callers, Sent, junk, signed
from tests.faults.disk import SlowDisk
from tests.faults.flood import Flood
from tests.faults.site import EXIT, RELAY, STRANGER, Site
from tests.patience import eventually
from tests.remote.orders import OTHER_KEY

Sites = Callable[..., Site]
JUNK_PER_S = 6000
COMMANDS = 120
RESTED_S = 1.2 * DoorRules().pulse_gap_s
ALL = ("lock", "unlock", "lock-down", "lift", "people", "silence")


@pytest.fixture
def commanded(sites: Sites, tmp_path: Path) -> Iterator[tuple[Site, Callers]]:
    """A door that anna may command, and bert may lock."""
    mqtt = Callers.settings(tmp_path)
    mqtt["commands"]["allow"] |= {one: [IDENTITY] for one in ALL}
    mqtt["commands"]["allow"]["lock"] = [IDENTITY, OTHER]
    site = sites(mqtt=mqtt, access={"clock": "trusted"})
    site.start()
    callers = Callers(site.broker.port, 1)
    eventually(lambda: obeyed(callers, "lock") is not None)
    yield site, callers
    callers.close()


def obeyed(callers: Callers, command: str, within_s: float = 20.0) -> float | None:
    """How long it took until anna heard that a command was obeyed; None if it was not."""
    order = callers.order(command)
    heard(order, within_s)
    return None if order.result != "ok" or order.heard is None else order.heard - order.t


def heard(order: Sent, within_s: float) -> None:
    end = time.monotonic() + within_s
    while order.result is None and time.monotonic() < end:
        time.sleep(0.005)


def let_out(site: Site) -> float:
    """How long it takes from the exit button to the relay.

    Pressed once the strike has rested: until then any order to lock ends the wait for it.
    """
    site.await_locked()
    eventually(lambda: time.monotonic() - site.board.changes(RELAY)[-1].t > RESTED_S)
    before = len(site.board.changes(RELAY))
    pressed = time.monotonic()
    site.pressed.append(pressed)
    site.order("drive", pin=EXIT, level=0)
    changes = eventually(lambda: site.board.changes(RELAY)[before:])
    site.order("drive", pin=EXIT, level=1)
    return float(changes[0].t - pressed)


@pytest.mark.fault_slow
def test_six_thousand_junk_messages_a_second_hide_no_lock_down(
    commanded: tuple[Site, Callers],
) -> None:
    site, callers = commanded
    site.show(STRANGER)
    calm = [seconds for _ in range(4) for seconds in (obeyed(callers, "lock-down"), let_out(site))]
    busy_s = max(one or 0.0 for one in calm)  # what the machine's other work takes
    noise = itertools.cycle(junk(signed("lock-down")))
    locked, left = [], []
    with Flood(site.broker.port, TOPICS.command, noise, JUNK_PER_S) as flood:
        for _ in range(20):
            locked.append(obeyed(callers, "lock-down"))
            left.append(let_out(site))
    print(f"\n{flood.sent} messages; let out after {sorted(left)} s, obeyed after {locked}")
    print(f"without them {busy_s} s at most")
    assert None not in locked
    assert max(one for one in locked if one is not None) < 1.0 + busy_s
    assert max(left) < 0.3 + busy_s
    assert site.manager.count("started") == 1
    assert eventually(lambda: obeyed(callers, "lift") is not None)
    site.judge()


@pytest.mark.fault_slow
@pytest.mark.skipif(not SlowDisk.available(), reason="there is no C compiler")
@pytest.mark.parametrize("who", ["least", "anna"])
def test_a_slow_disk_and_many_signed_commands_keep_nobody_in(
    commanded: tuple[Site, Callers], who: str
) -> None:
    site, callers = commanded
    busy_s = max(let_out(site) for _ in range(4))  # what the machine's other work takes
    site.disk.set(200)
    payloads = (
        signed("lock", OTHER, OTHER_KEY) if who == "least" else signed(ALL[number % len(ALL)])
        for number in range(COMMANDS)
    )
    left, took = [], []
    with Flood(site.broker.port, TOPICS.command, payloads, 20) as flood:
        while not flood.done.is_set():
            left.append(let_out(site))
            if who == "least":
                took.append(obeyed(callers, "silence"))
    print(f"\nlet out after {sorted(left)} s; somebody else was obeyed after {took}")
    assert max(left) < 0.5 + busy_s
    assert None not in took
    assert site.manager.count("watchdog") == 0
    assert site.manager.count("started") == 1
    site.disk.set(0)
