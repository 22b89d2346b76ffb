"""Every thread of the service dies, one by one and by name, as docs/architecture.md lists them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable

import pytest

from tests.conftest import ROOT
from tests.faults.faults import ENDS_WITH, GOES_ON_WITHOUT, SIGNALS, end_thread
from tests.faults.site import Site
from tests.patience import eventually

Sites = Callable[..., Site]

FOR_A_MOMENT = {"control-caller", "camera-name", "seal", "enrolling"}
"""Threads that end by themselves, each with a test of its own beside what it belongs to."""
OF_A_FACTOR = {"keypad", "wiegand", "factor-check"}
"""Threads that are there with a second factor, and have their tests beside it."""
OF_A_FLEET = {"fleet"}
"""The same with other doors."""
HARNESS = {"saboteur"}
ELSEWHERE = {
    "lockd/adapters/broker.py",
    "lockd/commands/demo.py",
    "lockd/commands/doctor/examine.py",
}
"""Files whose threads are none of the service's."""


def table() -> dict[str, str]:
    """The threads of docs/architecture.md, with what happens when each dies."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|$", text, re.M)
    return dict(rows)


def started_by_the_service() -> set[str]:
    """The names of all threads that lockd's code starts."""
    found = set()
    for file in ROOT.glob("lockd/**/*.py"):
        if file.relative_to(ROOT).as_posix() in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "threading.Thread":
                names = [one.value for one in node.keywords if one.arg == "name"]
                assert names, f"{file}:{node.lineno}: a thread without a name"
                found |= {ast.literal_eval(name) for name in names}
    return found


def running(site: Site) -> set[str]:
    """The names of the service's threads, as the table has them."""
    names = {name.split("-mqtt-client")[0] for name in site.order("threads")} - HARNESS
    return {name.replace("MainThread", "main") for name in names}


def test_every_thread_is_in_the_table_and_dies_in_a_test(sites: Sites) -> None:
    site = sites(control={"socket": "run/control"}, signals=SIGNALS)
    site.start()
    eventually(lambda: site.answers("status"))
    eventually(lambda: "paho" in running(site))
    known = set(table())
    assert known == {*ENDS_WITH, *GOES_ON_WITHOUT, *FOR_A_MOMENT, *OF_A_FACTOR, *OF_A_FLEET}
    assert running(site) - FOR_A_MOMENT == known - FOR_A_MOMENT - OF_A_FACTOR - OF_A_FLEET
    assert started_by_the_service() <= known
    site.end()


def connections(site: Site) -> int:
    """How often the broker was reached."""
    return sum(line.text == "mqtt: connected" for line in site.journal())


def open_files(site: Site) -> int:
    """How many the service has."""
    return len(os.listdir(f"/proc/{site.manager.pid}/fd"))


@pytest.mark.fault_slow
@pytest.mark.parametrize("name", [*GOES_ON_WITHOUT, *ENDS_WITH])
def test_a_thread_dies(sites: Sites, name: str) -> None:
    site = sites(control={"socket": "run/control"}, signals=SIGNALS, unit={"watchdog_s": 5.0})
    site.start()
    lives, ready = site.manager.count("started"), site.manager.count("running")
    site.forgiven.append(site.manager.pid)
    connected, files = connections(site), open_files(site)
    end_thread(site, name)
    if name in ENDS_WITH:
        site.await_ready(ready)
    site.press_exit()
    site.let_in()
    eventually(lambda: site.answers("status"))
    assert (site.manager.count("started") > lives) is (name in ENDS_WITH)
    if name in {"mqtt", "paho"}:
        eventually(lambda: connections(site) > connected)
    eventually(lambda: name in running(site))
    assert not site.logged("the outbox stumbled")
    if name in GOES_ON_WITHOUT:  # it left nothing open
        eventually(lambda: open_files(site) <= files)
    site.end()


def test_a_display_is_not_there(sites: Sites) -> None:
    site = sites(signals={"display": SIGNALS["display"]})
    site.start()
    eventually(lambda: site.logged("the display shows nothing"))
    site.let_in()
    site.press_exit()
    told = [line for line in site.journal() if "the display shows nothing" in line.text]
    assert len(told) == 1
    site.end()


@pytest.mark.fault_slow
def test_threads_die_one_after_the_other(sites: Sites) -> None:
    site = sites(control={"socket": "run/control"}, signals=SIGNALS)
    site.start()
    lives, connected = site.manager.count("started"), connections(site)
    for name in GOES_ON_WITHOUT:
        end_thread(site, name)
    site.let_in()
    eventually(lambda: site.answers("status"))
    eventually(lambda: connections(site) > connected)
    eventually(lambda: running(site) >= {*GOES_ON_WITHOUT})
    assert site.manager.count("started") == lives
    site.end()
