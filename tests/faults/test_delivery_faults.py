"""Nothing that happened goes untold, whoever dies on the way."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from lockd.errors import ControlError
from tests.faults.records import undelivered
from tests.faults.site import RELAY, Site
from tests.patience import eventually
from tests.schemas import validator

SEED = 5


@pytest.mark.fault_slow
@pytest.mark.parametrize(("events", "deaths"), [(400, 2), (10_000, 20)])
def test_broker_and_service_are_killed_again_and_again(
    sites: Callable[..., Site], events: int, deaths: int
) -> None:
    """They are commands of an administrator, each of which is an event."""
    site = sites(fps=2, mqtt={"reconnect_longest_s": 1.0})
    site.start()
    rng = random.Random(SEED)
    fates = [kill_broker, kill_service] * deaths
    rng.shuffle(fates)
    dooms = dict(zip(sorted(rng.sample(range(events), 2 * deaths)), fates, strict=True))
    obeyed = 0
    while obeyed < events:
        if obeyed in dooms:
            dooms.pop(obeyed)(site)
        try:
            obeyed += site.command("lock")["result"] == "ok"
        except ControlError:
            eventually(lambda: site.answers("status"))
    assert dooms == {}
    eventually(lambda: not site.missing())
    assert site.manager.stop() == 0
    happened = site.events()
    eventually(lambda: not site.missing())
    heard = list(site.listener.published)
    assert undelivered(happened, heard) == []
    for event in heard:
        validator("event").validate(event)
    commands = {event["id"] for event in heard if event["type"] == "command"}
    assert len(commands) >= events
    assert any(event["delayed"] for event in heard)
    assert all(change.level == 0 for change in site.board.changes(RELAY))


def kill_broker(site: Site) -> None:
    site.broker.stop()
    site.restart_broker()


def kill_service(site: Site) -> None:
    ready = site.manager.count("running")
    site.kill(signal.SIGKILL)
    site.await_ready(ready)
