"""Faults that can be caused at any time: what the soak draws from."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lockd.errors import ControlError
from lockd.vision.pictures import encode_jpeg
from tests.faults.callers import OTHER, TOPICS, junk, signed
from tests.faults.flood import Flood
from tests.faults.site import EXIT, KNOWN, NOBODY, PICTURES, RELAY, Site
from tests.patience import eventually
from tests.porch import Film, filmed, porch
from tests.remote.orders import OTHER_KEY

Undo = Callable[[], object]
TEN_YEARS_S = 10 * 365.25 * 86400
RESTART_S = 45.0
"""What a busy machine takes to start Python twice, for relay-safe and for the service."""


@dataclass(frozen=True)
class Fault:
    """Something that breaks.

    Attributes:
        name: in reports.
        begin: breaks it; what it returns mends it.
        lasts_s: from, to.
        ends: whether the service's process ends, and another one takes over.
        longer_s: how much longer than configured the relay may be on, besides the time that
            the fault lasts; 0 if not at all.
    """

    name: str
    begin: Callable[[Site, random.Random], Undo]
    lasts_s: tuple[float, float] = (3.0, 12.0)
    ends: bool = False
    longer_s: float = 0.0


class Spoilt(Film):
    """A film of somebody, of whose every frame something else is made."""

    def __init__(self, who: str, spoil: Callable[[bytes], bytes]) -> None:
        super().__init__(porch(PICTURES[who]))
        self._spoil = spoil

    def frame(self) -> bytes:
        return self._spoil(super().frame())


def without_files(pid: int) -> Undo:
    """No more file can be opened: the lowest free number is the limit."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def nothing() -> None:
    """What mends itself."""


def _kill(number: int) -> Callable[[Site, random.Random], Undo]:
    def begin(site: Site, _: random.Random) -> Undo:
        site.manager.kill(number)
        return nothing

    return begin


def _stop(site: Site, _: random.Random) -> Undo:
    pid = site.manager.pid
    os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        with contextlib.suppress(ProcessLookupError):  # the manager may have ended it
            os.kill(pid, signal.SIGCONT)

    return go_on


def _stick(site: Site, chance: random.Random) -> Undo:
    site.order("stick", seconds=chance.uniform(1.0, 3.0))
    return nothing


def _stick_for_good(site: Site, _: random.Random) -> Undo:
    site.order("stick", seconds=3600)
    return nothing


GOES_ON_WITHOUT = (
    "outbox",
    "store-writer",
    "mqtt",
    "paho",
    "control",
    "signals",
    "voice",
    "display",
)
"""Threads that are replaced when they die; those of the signals where a door has `SIGNALS`."""
SIGNALS = {
    "led": {"pin": 22},
    "voice": {"device": "null"},
    "display": {"driver": "ssd1306", "port": 32},
}
ENDS_WITH = ("main", "camera", "pins", "strike-guard", "signal-listener")
"""Threads with which the service ends, and is started again."""


def end_thread(site: Site, name: str) -> None:
    """A thread dies; what it waits for is given to it, or it would not notice."""
    threads = {"main": "MainThread"}
    assert site.order("end_thread", name=threads.get(name, name)) >= 1
    if name == "control":
        with contextlib.suppress(ControlError):
            site.command("status")
    elif name == "pins":
        site.order("drive", pin=EXIT, level=1)  # where it is already
    elif name == "signal-listener":
        site.manager.reload()


def _end_thread(name: str) -> Callable[[Site, random.Random], Undo]:
    def begin(site: Site, _: random.Random) -> Undo:
        end_thread(site, name)
        return nothing

    return begin


def _end_threads(site: Site, chance: random.Random) -> Undo:
    for name in chance.sample(GOES_ON_WITHOUT, len(GOES_ON_WITHOUT)):
        end_thread(site, name)
    return nothing


def _lose_power(site: Site, _: random.Random) -> Undo:
    site.lose_power()

    def come_back() -> None:
        site.restart_broker()
        site.manager.start()

    return come_back


def _camera_off(site: Site, _: random.Random) -> Undo:
    site.camera.switch_off()
    return site.camera.switch_on


def _camera_stuck(site: Site, _: random.Random) -> Undo:
    site.camera.stuck.set()
    return site.camera.stuck.clear


def _camera_shows(film: Callable[[], bytes | Film]) -> Callable[[Site, random.Random], Undo]:
    def begin(site: Site, _: random.Random) -> Undo:
        site.camera.show(film())
        return nothing  # the soak shows its clip again

    return begin


def _broker_killed(site: Site, _: random.Random) -> Undo:
    site.proxy.cut()
    site.broker.stop()
    return site.restart_broker


def _broker_stopped(site: Site, _: random.Random) -> Undo:
    site.broker.signal(signal.SIGSTOP)
    return lambda: site.broker.signal(signal.SIGCONT)


def _broker_slow(site: Site, _: random.Random) -> Undo:
    site.proxy.delay_s = 0.5

    def mend() -> None:
        site.proxy.delay_s = 0.0

    return mend


def _broker_silent(site: Site, _: random.Random) -> Undo:
    site.proxy.silent = True
    site.proxy.cut()
    site.proxy.join()

    def mend() -> None:
        site.proxy.silent = False
        site.proxy.cut()
        site.proxy.join()

    return mend


def _cut(site: Site, _: random.Random) -> Undo:
    site.proxy.cut()
    return site.proxy.join


def _store_locked(site: Site, _: random.Random) -> Undo:
    writer = sqlite3.connect(site.state / "lockd.db", isolation_level=None)
    eventually(lambda: _locks(writer))

    def mend() -> None:
        writer.execute("ROLLBACK")
        writer.close()

    return mend


def _locks(writer: sqlite3.Connection) -> bool:
    try:
        writer.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


def _store_away(site: Site, _: random.Random) -> Undo:
    away = site.state.with_name("away")
    site.state.rename(away)
    return lambda: away.rename(site.state)


def _relay_fails(level: int) -> Callable[[Site, random.Random], Undo]:
    def begin(site: Site, _: random.Random) -> Undo:
        site.board.spoil(RELAY, level, "raise")
        return site.board.mend

    return begin


def _clock(seconds: float) -> Callable[[Site, random.Random], Undo]:
    def begin(site: Site, _: random.Random) -> Undo:
        site.order("step_clock", seconds=seconds)
        return lambda: site.order("step_clock", seconds=-seconds)

    return begin


def _bad_configuration(site: Site, _: random.Random) -> Undo:
    good = site.file.read_text()
    site.file.write_text(good + "\nno_such_section: {}\n")
    site.manager.reload()

    def mend() -> None:
        site.file.write_text(good)

    return mend


def _reloaded_again_and_again(site: Site, chance: random.Random) -> Undo:
    done = threading.Event()

    def storm() -> None:
        while not done.wait(0.3):
            site.manager.reload()

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()

    def end() -> None:
        done.set()
        thread.join()

    return end


def _slow_disk(site: Site, chance: random.Random) -> Undo:
    site.disk.set(chance.randint(30, 200))
    return lambda: site.disk.set(0)


def _junk(site: Site, _: random.Random) -> Undo:
    noise = itertools.cycle(junk(signed("people", OTHER, OTHER_KEY)))
    return Flood(site.broker.port, TOPICS.command, noise, 3000).stop


def _hostile_key(site: Site, chance: random.Random) -> Undo:
    """Bert has a key, and may do nothing with it."""
    commands = ["unlock", "lift", "lock", "lock-down", "people", "dance"]
    forever = (signed(chance.choice(commands), OTHER, OTHER_KEY) for _ in itertools.count())
    return Flood(site.broker.port, TOPICS.command, forever, 200).stop


FAULTS = (
    Fault("killed", _kill(signal.SIGKILL), ends=True, longer_s=RESTART_S),
    Fault("aborted", _kill(signal.SIGABRT), ends=True, longer_s=RESTART_S),
    Fault("asked to end", _kill(signal.SIGTERM), ends=True),
    Fault("stopped briefly", _stop, lasts_s=(0.5, 2.5), longer_s=0.5),
    Fault("stopped for good", _stop, lasts_s=(8, 15), ends=True, longer_s=RESTART_S),
    Fault("main loop stuck", _stick),
    Fault("main loop stuck for good", _stick_for_good, lasts_s=(8, 12), ends=True),
    Fault("power lost", _lose_power, ends=True),
    Fault("configuration read again", _kill(signal.SIGHUP)),
    Fault("configuration spoilt", _bad_configuration),
    Fault("camera gone", _camera_off),
    Fault("camera hangs", _camera_stuck),
    Fault("camera sends garbage", _camera_shows(lambda: Spoilt(KNOWN, lambda _: os.urandom(9999)))),
    Fault("camera breaks off", _camera_shows(lambda: Spoilt(NOBODY, lambda j: j[: len(j) // 2]))),
    Fault("camera frozen", _camera_shows(lambda: encode_jpeg(porch(PICTURES[KNOWN])))),
    Fault("camera dark", _camera_shows(lambda: filmed(np.full((480, 640, 3), 4, np.uint8)))),
    Fault(
        "camera of another size",
        _camera_shows(
            lambda: filmed(np.asarray(cv2.resize(porch(PICTURES[NOBODY]), (320, 240)), np.uint8))
        ),
    ),
    Fault("broker killed", _broker_killed),
    Fault("broker stopped", _broker_stopped),
    Fault("broker slow", _broker_slow),
    Fault("broker silent", _broker_silent),
    Fault("network cut", _cut),
    Fault("store locked", _store_locked),
    Fault("store taken away", _store_away),
    Fault("relay does not switch on", _relay_fails(1)),
    Fault("relay does not switch off", _relay_fails(0), lasts_s=(1, 6), longer_s=1.0),
    Fault("no file descriptors", lambda site, _: without_files(site.manager.pid)),
    Fault("clock ten years ahead", _clock(TEN_YEARS_S)),
    Fault("clock ten years back", _clock(-TEN_YEARS_S)),
    Fault("threads die one by one", _end_threads),
    *(Fault(f"the thread {name} dies", _end_thread(name)) for name in GOES_ON_WITHOUT),
    *(
        Fault(f"the thread {name} dies", _end_thread(name), ends=True, longer_s=RESTART_S)
        for name in ENDS_WITH
    ),
    Fault("configuration read again and again", _reloaded_again_and_again),
    Fault("slow disk", _slow_disk),
    Fault("junk", _junk),
    Fault("hostile key", _hostile_key),
)
