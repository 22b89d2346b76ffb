"""What the camera sees, handed out: the newest only, not too often, told to the log."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from lockd.adapters.control import Answer, Request
from lockd.service.frame_server import LEAST_GAP_S, FrameServer
from lockd.types import Frame, Image
from lockd.vision.decoding import decode
from tests.pictures import OBAMA, read


@pytest.fixture
def showing() -> FrameServer:
    return FrameServer()


def ask(
    showing: FrameServer, now: float, problem: str | None = None, by: str = "root", **values: Any
) -> Answer:
    request = Request({"command": "frame", **values}, by)
    showing.answer(request, now, problem)
    return request.answers.get_nowait()


def plain() -> Image:
    return np.full((48, 64, 3), 90, np.uint8)


def test_the_newest_frame_comes_as_a_jpeg_with_its_number_and_age(showing: FrameServer) -> None:
    image = read(OBAMA)
    showing.frame = Frame(image, 10.0, 7)
    values, picture = ask(showing, 10.25)
    assert values == {"result": "ok", "seq": 7, "age_s": 0.25}
    assert picture is not None
    got = decode(picture(), "it")
    assert got.shape == image.shape
    assert np.abs(got.astype(int) - image).mean() < 2.0


def test_nobody_gets_the_same_frame_twice(showing: FrameServer) -> None:
    showing.frame = Frame(plain(), 1.0, 7)
    assert ask(showing, 1.0)[0]["result"] == "ok"
    assert ask(showing, 9.0, after=7) == ({"result": "no_news"}, None)
    showing.frame = Frame(plain(), 9.5, 8)
    assert ask(showing, 9.5, after=7)[0]["result"] == "ok"


def test_a_service_that_began_anew_counts_from_one_again_and_is_believed(
    showing: FrameServer,
) -> None:
    showing.frame = Frame(plain(), 0.1, 1)
    assert ask(showing, 0.1, after=4000)[0]["result"] == "ok"


def test_however_often_it_is_asked_a_picture_goes_out_only_now_and_then(
    showing: FrameServer,
) -> None:
    given = []
    for step in range(256):  # two seconds of asking, by two people
        now = step / 128
        showing.frame = Frame(plain(), now, step + 1)
        values, picture = ask(showing, now, by="root" if step % 2 else "ada")
        assert (picture is None) == (values["result"] != "ok")
        if values["result"] == "ok":
            given.append(now)
        else:
            assert values["result"] == "too_often"
            assert 0 < values["wait_s"] <= LEAST_GAP_S
    assert len(given) == 10
    assert np.diff(given).min() >= LEAST_GAP_S - 1e-9


def test_without_a_picture_the_reason_is_told(showing: FrameServer) -> None:
    assert ask(showing, 0.0)[0] == {
        "result": "no_picture",
        "reason": "the camera has shown nothing yet",
    }
    showing.frame = Frame(plain(), 0.0, 1)
    assert ask(showing, 0.0, "busy: another program has it") == (
        {"result": "no_picture", "reason": "busy: another program has it"},
        None,
    )


def test_the_log_says_who_begins_to_look_and_says_it_once(
    showing: FrameServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for step, by in enumerate(["ada", "ada", "root", "ada"]):
        showing.frame = Frame(plain(), float(step), step)
        ask(showing, float(step), by=by)
    showing.frame = Frame(plain(), 100.0, 9)
    ask(showing, 100.0, by="ada")
    assert [message.split()[0] for message in caplog.messages] == ["ada", "root", "ada"]
