"""The camera goes, hangs, lies or sends rubbish. None of it ever opens the door."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lockd.types import Image
from lockd.vision.pictures import encode_jpeg
from tests.adapters.rtspcamera import RtspCamera, rtsp_camera
from tests.faults.faults import RESTART_S, Spoilt
from tests.faults.site import KNOWN, NOBODY, PICTURES, STRANGER, Site, film_of
from tests.patience import eventually
from tests.porch import StreamCamera, filmed, porch

Sites = Callable[..., Site]


def test_the_camera_is_gone_and_comes_back(site: Site) -> None:
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.camera.switch_off()
    assert "camera" in problem()["reason"]
    eventually(lambda: site.listener.state()["camera"] == "problem")
    site.camera.switch_on()
    recovered()
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_the_camera_hangs(site: Site) -> None:
    lives = site.manager.count("started")
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.camera.stuck.set()
    problem()
    site.camera.stuck.clear()
    recovered()
    site.let_in()
    site.judge()
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
def test_the_camera_hangs_in_the_midst_of_a_visit(site: Site) -> None:
    """What was seen before counts no more when the pictures come again."""
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.open()
    site.camera.stuck.set()
    site.await_locked()
    problem()
    site.show(NOBODY)
    site.camera.stuck.clear()
    recovered()
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_the_camera_sends_garbage(site: Site) -> None:
    lives = site.manager.count("started")
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.camera.show(Spoilt(STRANGER, lambda _: os.urandom(20_000)))
    problem()
    site.show(NOBODY)
    recovered()
    site.let_in()
    site.judge()
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
def test_the_camera_sends_pictures_that_break_off(site: Site) -> None:
    lives = site.manager.count("started")
    granted = len(site.events("access_granted"))
    sent = site.camera.sent
    site.show(STRANGER, Spoilt(STRANGER, lambda jpeg: jpeg[: len(jpeg) // 2]))
    eventually(lambda: site.camera.sent > sent + 25)
    assert len(site.events("access_granted")) == granted
    site.show(NOBODY)
    site.let_in()
    site.judge()
    assert "mjpeg" not in (site.folder / "log").read_text(), "FFmpeg floods the log"
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
@pytest.mark.parametrize("size", [(1280, 720), (320, 240)], ids=["larger", "smaller"])
def test_the_pictures_change_their_size(site: Site, size: tuple[int, int]) -> None:
    image = porch(PICTURES[NOBODY])
    site.camera.show(filmed(np.asarray(cv2.resize(image, size), np.uint8)))
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_a_picture_of_one_pixel(site: Site) -> None:
    site.camera.show(encode_jpeg(np.zeros((1, 1, 3), np.uint8)))
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_a_frozen_picture_of_somebody_enrolled(sites: Sites) -> None:
    """One picture again and again is no evidence, whomever it shows."""
    site = sites(camera={"frozen_after_s": 1.0})
    site.start()
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.camera.show(encode_jpeg(porch(PICTURES[KNOWN])))
    assert problem()["trouble"] == "frozen"
    assert site.events("access_granted") == []
    site.show(NOBODY)
    recovered()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
@pytest.mark.parametrize("luma", [4, 128], ids=["dark", "covered"])
def test_the_lens_is(sites: Sites, luma: int, request: pytest.FixtureRequest) -> None:
    site = sites(camera={"covered_after_s": 0.5})
    site.start()
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.camera.show(filmed(np.full((480, 640, 3), luma, np.uint8)))
    assert problem()["trouble"] == request.node.callspec.id
    site.show(NOBODY)
    recovered()
    site.let_in()
    site.end()


@pytest.fixture
def ribbon(sites: Sites) -> Site:
    """A door with a ribbon camera, running."""
    site = sites(camera={"source": "csi"})
    site.ribbon.install()
    site.start()
    return site


@pytest.mark.fault_slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_the_ribbon_cameras_program_is(ribbon: Site, number: int) -> None:
    problem, recovered = ribbon.hear("camera_problem"), ribbon.hear("camera_recovered")
    ribbon.ribbon.kill(number)
    problem()
    recovered()
    ribbon.let_in()
    ribbon.end()
    assert ribbon.manager.processes() == []


@pytest.mark.fault_slow
def test_the_ribbon_cameras_program_sends_noise(ribbon: Site) -> None:
    sees = len(ribbon.events("access_granted"))
    ribbon.ribbon.order("noise")
    ribbon.show(KNOWN)
    eventually(lambda: ribbon.manager.told("WATCHDOG=1"))
    assert len(ribbon.events("access_granted")) == sees
    ribbon.show(NOBODY)
    ribbon.ribbon.order("")
    ribbon.let_in()
    ribbon.end()


@pytest.mark.fault_slow
def test_the_ribbon_camera_is_pulled_out_and_put_in_again(ribbon: Site) -> None:
    problem, recovered = ribbon.hear("camera_problem"), ribbon.hear("camera_recovered")
    ribbon.ribbon.order("gone")
    ribbon.ribbon.kill(signal.SIGKILL)
    problem()
    starts = ribbon.ribbon.starts()
    eventually(lambda: ribbon.ribbon.starts() > starts + 2)
    ribbon.ribbon.order("")
    recovered()
    ribbon.let_in()
    ribbon.end()


@pytest.mark.fault_slow
def test_the_ribbon_cameras_program_outlives_a_service_that_was_killed(sites: Sites) -> None:
    """Stopped, it does not even hear that it should end; the relay does not wait for it."""
    site = sites(camera={"source": "csi"}, door={"open_s": 60}, unit={"stop_s": 60.0})
    site.ribbon.install()
    site.start()
    site.open()
    site.ribbon.kill(signal.SIGSTOP)
    site.kill(signal.SIGKILL)
    site.longest_s = RESTART_S
    site.await_locked()
    assert site.locked_by() == "relay-safe"
    site.await_ready(1)
    site.open()
    site.end()


@pytest.mark.fault_slow
def test_the_device_is_not_there(sites: Sites) -> None:
    site = sites()
    stream = site.sections["camera"]["source"]
    site.configure(camera={"source": "/dev/lockd-no-such-camera"})
    site.manager.start()
    assert site.await_event("camera_problem")["trouble"] == "missing"
    site.press_exit()
    site.configure(camera={"source": stream})
    site.manager.reload()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_the_stream_comes_late(sites: Sites) -> None:
    """Somebody enrolled is in pictures of twenty seconds ago, and long gone."""

    def known(number: int) -> Image:
        noise = np.random.default_rng(number).integers(-3, 4, (480, 640, 3))
        return np.clip(porch(PICTURES[KNOWN]) + noise, 0, 255).astype(np.uint8)

    with rtsp_camera(RtspCamera(fps=10, behind_s=20.0, picture=known)) as stream:
        site = sites(camera={"source": stream.url, "clock": "synchronized"})
        site.manager.start()
        assert site.await_event("camera_problem")["trouble"] == "delayed"
        eventually(lambda: stream.opened > 3)
        site.press_exit()
        assert not site.events("access_granted")
        site.show(KNOWN)
        stream.behind_s = 0.0
        assert site.await_event("access_granted")["person"] == KNOWN
        site.await_event("camera_recovered")
        site.end()


@pytest.mark.fault_slow
def test_the_second_camera_sees_nobody_or_nothing(sites: Sites) -> None:
    """A telephone is held before the first camera; then somebody comes; then the second goes."""
    second = StreamCamera(film_of(NOBODY), fps=12)
    site = sites(
        camera={"infrared": {"source": second.url, "retry_longest_s": 0.3, "covered_after_s": 0}},
        liveness={"policy": "challenge"},
        signals={"screen": True},
    )
    site.start()
    assert site.appear(KNOWN, "spoof_suspected")["reason"] == "infrared"
    site.show(NOBODY)
    second.show(film_of(KNOWN))
    before = len(site.events("spoof_suspected"))
    site.appear(KNOWN, "challenge_started")
    assert len(site.events("spoof_suspected")) == before
    assert not site.events("access_granted")
    second.switch_off()
    assert "camera.infrared" in site.await_event("liveness_problem")["reason"]
    second.switch_on()
    site.await_event("liveness_recovered")
    site.press_exit()
    second.switch_off()
    site.end()
