"""The camera goes, hangs, lies or sends rubbish. None of it ever opens the door."""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lockd.vision.pictures import encode_jpeg
from tests.conftest import eventually
from tests.faults.faults import Spoilt
from tests.faults.site import KNOWN, NOBODY, PICTURES, STRANGER, Site
from tests.porch import filmed, porch

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


def test_the_camera_hangs_in_the_midst_of_a_visit(site: Site) -> None:
    """What was seen before counts no more when the pictures come again."""
    problem, recovered = site.hear("camera_problem"), site.hear("camera_recovered")
    site.show(KNOWN)
    site.await_open()
    site.camera.stuck.set()
    site.await_locked()
    problem()
    site.show(NOBODY)
    site.camera.stuck.clear()
    recovered()
    site.let_in()
    site.judge()


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
    assert site.manager.count("started") == lives


@pytest.mark.parametrize("size", [(1280, 720), (320, 240)], ids=["larger", "smaller"])
def test_the_pictures_change_their_size(site: Site, size: tuple[int, int]) -> None:
    image = porch(PICTURES[NOBODY])
    site.camera.show(filmed(np.asarray(cv2.resize(image, size), np.uint8)))
    site.let_in()
    site.judge()


def test_a_picture_of_one_pixel(site: Site) -> None:
    site.camera.show(encode_jpeg(np.zeros((1, 1, 3), np.uint8)))
    site.let_in()
    site.judge()
