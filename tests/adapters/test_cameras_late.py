"""How late a stream is: what can be known of it, and what a camera with bad stamps does to that."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.adapters.cameras import LiveCamera
from lockd.adapters.cameras.lateness import PLAUSIBLE_S, Lateness
from lockd.clock import RealClock
from lockd.errors import CameraTrouble
from tests.adapters.rtspcamera import RtspCamera, noisy, rtsp_camera
from tests.adapters.studio import of
from tests.patience import PATIENCE_S, eventually
from tests.porch import StreamCamera, filmed

LIMIT_S = 3.0
FPS = 20.0

Reads = Iterable[tuple[float, float]]
"""(monotonic seconds of a read, stamp)."""


def lateness(reads: Reads, *, stamped: bool = True) -> list[float]:
    late = Lateness(stamped=stamped, limit_s=LIMIT_S)
    return [late.of(t, stamp) for t, stamp in reads]


def taken(seconds: float, fps: float = FPS) -> list[float]:
    return [number / fps for number in range(round(seconds * fps))]


def arrived(
    seconds: float,
    delay: Callable[[float], float],
    stamp: Callable[[float], float] = lambda t: t,
    fps: float = FPS,
) -> Iterator[tuple[float, float]]:
    """Pictures that are taken at a rate, and come one behind the other after a delay each."""
    last = 0.0
    for t in taken(seconds, fps):
        last = max(last, 1000 + t + delay(t))
        yield last, stamp(t)


def jitter(most_s: float, seed: int = 1) -> Callable[[float], float]:
    chance = random.Random(seed)
    return lambda _: chance.random() * most_s


# What is late


def test_a_stream_on_a_nervous_network_is_not_late() -> None:
    assert max(lateness(arrived(600, jitter(0.4)))) < 0.5


def test_one_that_comes_later_and_later_is_as_late_as_it_is() -> None:
    late = lateness(arrived(100, lambda t: 0.2 * t))
    assert late[-1] == pytest.approx(0.2 * 100, abs=0.1)
    assert next(t for t, one in zip(taken(100), late, strict=True) if one > LIMIT_S) < 16


def test_after_a_stall_what_was_queued_is_late_until_it_has_drained() -> None:
    """Nothing for ten seconds, and then all of it as fast as it can be read."""
    late = lateness(arrived(40, lambda t: max(0.0, 20 - t) if t >= 10 else 0.0))
    by_time = dict(zip(taken(40), late, strict=True))
    assert by_time[10.0] == pytest.approx(10, abs=0.1)
    assert by_time[15.0] == pytest.approx(5, abs=0.1)
    assert max(one for t, one in by_time.items() if t > 20.5 or t < 10) < 0.1


def test_after_a_stall_whose_pictures_are_lost_nothing_is_late() -> None:
    reads = [(t, stamp) for t, stamp in arrived(40, lambda _: 0.0) if not 10 < stamp < 20]
    assert max(lateness(reads)) < 0.1


def test_a_queue_that_is_dropped_on_the_way_is_late_no_more() -> None:
    late = lateness(arrived(60, lambda t: 0.2 * t if t < 30 else 0.0))
    by_time = dict(zip(taken(60), late, strict=True))
    assert by_time[29.0] == pytest.approx(5.8, abs=0.1)
    assert by_time[59.0] < 0.1


@given(
    st.lists(st.tuples(st.floats(0.01, 3), st.floats(0, 30)), min_size=1, max_size=80),
    st.floats(0, 0.9),
)
def test_whatever_the_network_does_a_stream_is_as_late_as_its_stamps_say(
    steps: list[tuple[float, float]], first_s: float
) -> None:
    late = Lateness(stamped=True, limit_s=LIMIT_S)
    t, read, least = 0.0, first_s, first_s
    late.of(read, t)
    for gap, delay in steps:
        t += gap
        read = max(read, t + delay)
        true_s = read - t
        least = min(least, true_s)
        assert late.of(read, t) == pytest.approx(true_s - least, abs=0.1)


# What cannot be seen, and the camera's clock


def test_a_delay_from_the_start_shows_by_the_cameras_clock_alone() -> None:
    late = Lateness(stamped=True, limit_s=LIMIT_S)
    assert max(late.of(t, stamp) for t, stamp in arrived(60, lambda _: 20.0)) < 0.01
    assert late.know(20.0)
    assert late.of(1080.0, 60.0) == pytest.approx(20, abs=0.1)
    assert late.of(1085.05, 60.05) == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize("age_s", [-5.0, PLAUSIBLE_S + 1, 1e9, math.nan, math.inf])
def test_a_clock_that_is_plainly_wrong_is_not_gone_by(age_s: float) -> None:
    late = Lateness(stamped=True, limit_s=LIMIT_S)
    late.of(1000.0, 0.0)
    assert not late.know(age_s)
    assert late.of(1000.05, 0.05) == 0.0


# Cameras whose stamps are nonsense, and which are good nevertheless


@pytest.mark.parametrize(
    "stamp",
    [
        lambda t: 0.0,
        lambda t: 7.25,
        lambda t: math.nan,
        lambda t: math.inf,
        lambda t: -1e300 if round(t * FPS) % 2 else 1e300,
        lambda t: t % 10,
        lambda t: t + 3600 * (t // 10),
        lambda t: t - 3600 * (t // 10),
        lambda t: 40 - t,
        lambda t: random.Random(t).random() * 1e6,
        lambda t: 2 * t,
        lambda t: t * (1 - 50e-6),
        lambda t: t * (1 + 50e-6),
        lambda t: t // 1,  # one stamp for all pictures of a second
        lambda t: (t + 2**32 / 90000 - 20) % (2**32 / 90000),
    ],
    ids=range(15),
)
def test_a_good_camera_stays_good_whatever_its_stamps_are(stamp: Callable[[float], float]) -> None:
    assert max(lateness(arrived(1800, jitter(0.1), stamp))) < 1.5


def test_stamps_that_run_too_slow_look_late_and_can_be_ignored() -> None:
    reads = list(arrived(60, lambda _: 0.0, lambda t: t / 2))
    assert max(lateness(reads)) > LIMIT_S
    assert max(lateness(reads, stamped=False)) == 0.0


@pytest.mark.parametrize("leap_s", [3600.0, -3600.0, -4.0])
def test_a_stamp_that_leaps_forgives_nothing(leap_s: float) -> None:
    late = lateness(
        arrived(60, lambda t: min(0.2 * t, 6), lambda t: t + (leap_s if t > 40 else 0.0))
    )
    assert late[-1] == pytest.approx(6, abs=0.2)


# Motion JPEG over HTTP, which has no stamps


def untimed(seconds: float, delay: Callable[[float], float], fps: float = FPS) -> list[float]:
    return lateness(arrived(seconds, delay, fps=fps), stamped=False)


@pytest.mark.parametrize("fps", [1.0, 5.0, 12.0, 30.0])
def test_a_steady_pace_is_never_late(fps: float) -> None:
    assert max(untimed(1800, jitter(0.3 / fps), fps)) == 0.0


def test_pictures_that_come_in_clumps_are_not_late() -> None:
    assert max(untimed(600, lambda t: 0.5 - t % 0.5)) == 0.0


def test_what_comes_in_a_burst_at_the_beginning_makes_nothing_late() -> None:
    assert max(untimed(600, lambda t: max(0.0, 3 - t))) == 0.0


def test_a_stall_is_in_doubt_until_what_was_queued_has_come() -> None:
    late = untimed(40, lambda t: max(0.0, 20 - t) if t >= 10 else 0.0)
    by_time = dict(zip(taken(40), late, strict=True))
    assert by_time[10.0] == pytest.approx(10, abs=0.2)
    assert by_time[15.0] == pytest.approx(5, abs=0.5)
    assert max(one for t, one in by_time.items() if t > 20.5 or t < 10) == 0.0


def test_stalls_after_which_nothing_catches_up_add_up() -> None:
    """Four seconds at a time, as a read may last, somebody gets to sixteen seconds."""
    late = untimed(60, lambda t: 4.0 * min(4, t // 10))
    by_time = dict(zip(taken(60), late, strict=True))
    assert by_time[9.0] == 0.0
    assert by_time[50.0] == pytest.approx(16, abs=0.5)


def test_a_pace_that_becomes_slower_is_in_doubt() -> None:
    late = untimed(120, lambda t: max(0.0, t - 30) * 0.5)
    assert max(late[: round(30 * FPS)]) == 0.0
    assert late[-1] > LIMIT_S


def test_a_pace_that_becomes_faster_is_none() -> None:
    slow = [(1000 + number / 8, math.nan) for number in range(400)]
    fast = [(slow[-1][0] + number / 25, math.nan) for number in range(1, 2000)]
    assert max(lateness([*slow, *fast], stamped=False)) == 0.0


# Real streams


def camera_of(url: str, **values: Any) -> LiveCamera:
    return LiveCamera(
        of(url, **{"retry_first_s": 0.1, "frozen_after_s": 0, "covered_after_s": 0, **values}),
        RealClock(),
    )


@pytest.fixture
def closing() -> Iterator[list[LiveCamera]]:
    opened: list[LiveCamera] = []
    yield opened
    for camera in opened:
        camera.close()


def test_a_good_rtsp_camera_is_good(closing: list[LiveCamera]) -> None:
    with rtsp_camera(RtspCamera(behind_s=0.0)) as rtsp:
        camera = camera_of(rtsp.url, clock="synchronized")
        closing.append(camera)
        for _ in range(20):
            assert camera.next(PATIENCE_S) is not None
        assert camera.problem is None


def test_a_stream_whose_time_falls_behind_is_opened_again(closing: list[LiveCamera]) -> None:
    with rtsp_camera(RtspCamera(stamp=lambda t: t * 0.2)) as rtsp:
        camera = camera_of(rtsp.url, delayed_after_s=1.0)
        closing.append(camera)
        eventually(lambda: camera.trouble is CameraTrouble.DELAYED)
        eventually(lambda: rtsp.opened > 1)
        eventually(lambda: camera.trouble is None)


def test_a_stream_that_is_late_from_the_start_shows_nobody_where_the_cameras_clock_is_right(
    closing: list[LiveCamera], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with rtsp_camera(RtspCamera(behind_s=20.0)) as rtsp:
        camera = camera_of(rtsp.url, clock="synchronized")
        closing.append(camera)
        eventually(lambda: rtsp.opened > 1)
        assert camera.trouble is CameraTrouble.DELAYED
        assert camera.next(0.0) is None
        unknown = camera_of(rtsp.url)
        closing.append(unknown)
        assert unknown.next(PATIENCE_S) is not None
        eventually(lambda: "set camera.clock: synchronized" in caplog.text)


def test_motion_jpeg_that_stalls_and_goes_on_as_before_is_opened_again(
    closing: list[LiveCamera],
) -> None:
    stream = StreamCamera(filmed(noisy(1)), fps=20)
    try:
        camera = camera_of(stream.url, delayed_after_s=1.0, read_timeout_s=30.0)
        closing.append(camera)
        for _ in range(20):
            assert camera.next(PATIENCE_S) is not None
        stream.stuck.set()
        begun = time.monotonic()
        threading.Event().wait(max(0.0, begun + 2.5 - time.monotonic()))
        stream.stuck.clear()
        eventually(lambda: camera.trouble is CameraTrouble.DELAYED)
        eventually(lambda: camera.trouble is None)
        assert camera.next(PATIENCE_S) is not None
    finally:
        stream.close()
