"""Files, memory, threads and time run out, or run off."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.faults import TEN_YEARS_S, without_files
from tests.faults.site import RELAY, Site
from tests.patience import PATIENCE_S, eventually

Sites = Callable[..., Site]


def test_out_of_file_descriptors(site: Site) -> None:
    mend = without_files(site.manager.pid)
    site.proxy.cut()
    site.proxy.join()
    site.let_in(heard=False)
    site.camera.switch_off()
    eventually(lambda: site.logged("camera"))
    site.camera.switch_on()
    mend()
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_out_of_memory(sites: Sites) -> None:
    site = sites()
    site.start()
    site.let_in()
    pid = site.manager.pid
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    site.forgiven.append(pid)
    resource.prlimit(pid, resource.RLIMIT_AS, (size, hard))
    site.turn_away()
    # It goes on with what it has, or it ends and is started again: either way
    site.let_in()
    site.end()


@pytest.mark.fault_slow
@pytest.mark.parametrize("seconds", [TEN_YEARS_S, -TEN_YEARS_S], ids=["ahead", "back"])
def test_the_clock_is_stepped_ten_years_while_the_relay_is_on(site: Site, seconds: float) -> None:
    site.open()
    wall = site.order("step_clock", seconds=seconds)
    assert abs(wall - time.time() - seconds) < PATIENCE_S
    site.await_locked()
    assert len({one.t for one in site.board.changes(RELAY)}) > 2
    site.let_in()
    stranger = site.hear("stranger")
    site.turn_away()
    assert stranger()["utc"][:4] == time.strftime("%Y", time.gmtime(wall))
    site.order("step_clock", seconds=-seconds)
    site.let_in()
    site.judge()
