"""Files, memory, threads and time run out, or run off."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.faults.site import RELAY, Site
from tests.faults.test_process_faults import opened

Sites = Callable[..., Site]
TEN_YEARS_S = 10 * 365.25 * 86400


def without_files(pid: int) -> None:
    """No more file can be opened: the lowest free number is the limit."""
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = next(number for number in range(len(used) + 1) if number not in used)
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, hard))


def test_out_of_file_descriptors(site: Site) -> None:
    limits = resource.prlimit(site.manager.pid, resource.RLIMIT_NOFILE)
    without_files(site.manager.pid)
    site.proxy.cut()
    site.proxy.join()
    site.let_in(heard=False)
    site.camera.switch_off()
    eventually(lambda: site.logged("camera"))
    site.camera.switch_on()
    resource.prlimit(site.manager.pid, resource.RLIMIT_NOFILE, limits)
    site.let_in()
    site.judge()


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


@pytest.mark.parametrize("seconds", [TEN_YEARS_S, -TEN_YEARS_S], ids=["ahead", "back"])
def test_the_clock_is_stepped_ten_years_while_the_relay_is_on(site: Site, seconds: float) -> None:
    opened(site)
    wall = site.order("step_clock", seconds=seconds)
    assert abs(wall - time.time() - seconds) < 60
    site.await_locked()
    assert len({one.t for one in site.board.changes(RELAY)}) > 2
    site.let_in()
    stranger = site.hear("stranger")
    site.turn_away()
    assert stranger()["utc"][:4] == time.strftime("%Y", time.gmtime(wall))
    site.order("step_clock", seconds=-seconds)
    site.let_in()
    site.judge()
