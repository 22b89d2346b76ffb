"""The configuration, the networks or everything else is broken or missing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lockd.errors import ControlError
from tests.conftest import ROOT
from tests.faults.faults import RESTART_S
from tests.faults.site import KNOWN, NOBODY, RELAY, STRANGER, Site
from tests.patience import eventually

Sites = Callable[..., Site]
BROKEN = "door: {open_s: forever}\ncamrea: {}\n"


@pytest.mark.fault_slow
def test_the_configuration_is_broken_when_it_is_read_again(site: Site) -> None:
    lives = site.manager.count("started")
    good = site.file.read_text()
    problem = site.hear("config_problem")
    site.file.write_text(BROKEN)
    site.manager.reload()
    assert "did you mean camera" in problem()["reason"]
    site.let_in()
    reloaded = site.hear("config_reloaded")
    site.file.write_text(good)
    site.manager.reload()
    reloaded()
    site.let_in()
    site.judge()
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
def test_the_configuration_names_a_relay_that_cannot_be_had_when_it_is_read_again(
    site: Site,
) -> None:
    lives = site.manager.count("started")
    problem = site.hear("config_problem")
    site.configure(relay={"factory": "rpigpio"})
    site.manager.reload()
    assert "rpigpio" in problem()["reason"]
    site.let_in()
    site.configure(relay={"factory": "mock"})
    site.judge()
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
def test_the_configuration_is_broken_when_it_starts_again_with_the_relay_on(sites: Sites) -> None:
    site = sites(door={"open_s": 60})
    site.start()
    good = site.file.read_text()
    site.open()
    site.file.write_text(BROKEN)
    site.kill(signal.SIGKILL)
    site.longest_s = RESTART_S
    site.await_locked()
    assert site.locked_by() == "relay-safe"  # by the word that the service left, not by the file
    eventually(lambda: site.manager.count("died") > 1)  # it does not start, again and again
    site.file.write_text(good)
    site.await_ready(1, patient=True)
    site.open()
    site.end()


@pytest.mark.fault_slow
def test_the_exit_button_is_pressed_while_the_configuration_is_read_again(site: Site) -> None:
    for _ in range(3):
        reloaded = site.hear("config_reloaded")
        site.manager.reload()
        reloaded()
        site.press_exit()
    site.judge()


@pytest.mark.fault_slow
def test_a_network_was_altered(sites: Sites) -> None:
    site = sites()
    models = site.folder / "models"
    shutil.copytree(ROOT / "models", models, ignore=shutil.ignore_patterns("build"))
    network = next(models.glob("*.tflite"))
    content = network.read_bytes()
    network.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    site.configure(recognition={"models": str(models)})
    site.manager.start()
    eventually(lambda: site.manager.count("stop-post ended"))
    assert next(one.detail for one in site.manager.notes if one.what == "died") == "4"
    assert site.board.level(RELAY) == 0
    network.write_bytes(content)
    site.await_ready(0, patient=True)
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_everything_is_missing_at_the_start(sites: Sites) -> None:
    site = sites(people=None)
    store = site.state / "deeper" / "lockd.db"
    site.state.write_text("a file where the folder should be")
    site.configure(store={"folder": str(store.parent)})
    site.camera.switch_off()
    site.proxy.cut()
    site.manager.start()
    eventually(lambda: site.events("camera_problem") and site.events("store_problem"))
    site.press_exit()
    assert site.manager.count("running") == 0
    assert site.manager.told("EXTEND_TIMEOUT_USEC")
    site.state.unlink()
    site.camera.switch_on()
    site.proxy.join()
    site.await_ready(0)
    site.turn_away()
    site.end()


def test_the_exit_button_lets_out_while_the_door_is_locked_down(site: Site) -> None:
    assert site.command("lock-down")["result"] == "ok"
    granted = len(site.events("access_granted"))
    assert site.appear(KNOWN, "access_denied")["reason"] == "locked_down"
    site.show(NOBODY)
    assert len(site.events("access_granted")) == granted
    site.press_exit()
    assert site.command("lift")["result"] == "ok"
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_lock_down_outlives_a_kill(sites: Sites) -> None:
    site = sites()
    site.start()
    assert site.command("lock-down")["result"] == "ok"
    site.kill(signal.SIGKILL)
    site.await_ready(1)
    site.appear(KNOWN, "access_denied")
    site.show(NOBODY)
    assert site.command("lift")["result"] == "ok"
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_strangers_lock_the_faces_out_and_not_for_good(sites: Sites) -> None:
    rules = {"denials": 2, "within_s": 60, "lasts_s": 5, "rest_s": 60}
    site = sites(door={"lock_out": rules})
    site.start()
    locked_out, ended = site.hear("locked_out"), site.hear("lock_out_ended")
    site.turn_away()
    site.turn_away()
    locked_out()
    site.press_exit()
    ended()
    site.let_in()
    site.end()


def test_the_control_socket_is_fed_junk(site: Site) -> None:
    for junk in (b"", b"\n", b"[1]\n", b'{"command": 7}\n', b"x" * 9000, b'{"command": "unlock"'):
        site.say_to_control(junk)
        assert site.command("status")["result"] == "ok"
    with pytest.raises(ControlError):
        site.command("x" * 5000)
    assert site.command("no such command")["result"] == "malformed"
    assert not site.is_open()
    site.show(STRANGER)
    site.show(NOBODY)
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_the_configuration_is_read_again_and_again(site: Site) -> None:
    files = Path(f"/proc/{site.manager.pid}/fd")
    open_files = set()
    for _ in range(3):
        reloaded = site.hear("config_reloaded")
        site.manager.reload()
        reloaded()
        eventually(lambda: "control" in site.order("threads"))
        site.let_in()
        open_files.add(len(list(files.iterdir())))
    assert len(open_files) == 1  # each time there are networks and sockets to be given back
    site.judge()
