"""Video files of every kind: their times are the container's, and whole ones are whole."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.cameras.containers import Times, breaks_off
from lockd.adapters.cameras.sources import VideoSource
from lockd.errors import CameraError
from lockd.types import Image
from tests.recordings import CODECS, record, stamps

CONSTANT = [number / 10 for number in range(40)]
# What a camera does that looks seldom while nothing moves, and hurries when something does.
IDLE = [*range(5), *(5 + number / 10 for number in range(20)), 9, 12, 15]
_random = random.Random(1)
JITTER = [number / 10 + _random.uniform(0, 0.06) for number in range(40)]
RATES = {"constant": CONSTANT, "idle": IDLE, "jitter": JITTER}
BROWSER = {"live": "1"}
"""An option of WebM: as browsers record, with neither duration nor index."""


def pictures(times: list[float]) -> list[tuple[Image, float]]:
    """Noise, which does not compress, so that every part of the file holds some of it."""
    noise = np.random.default_rng(1)
    return [(noise.integers(0, 255, (96, 128, 3), np.uint8), t) for t in times]


def read(path: Path) -> tuple[list[float], str]:
    """The time of every picture, and what was wrong."""
    times: list[float] = []
    source = VideoSource(path)
    try:
        while (picture := source.read()) is not None:
            times.append(picture[1])
    except CameraError as error:
        return times, str(error)
    finally:
        source.close()
    return times, ""


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("suffix", CODECS)
def test_a_whole_file_is_read_to_its_end_by_the_times_of_its_container(
    tmp_path: Path, suffix: str, rate: str
) -> None:
    # AVI has a place for each tick of its clock, filled or not.
    ticks = 100 if suffix == "avi" else 1000
    film = record(tmp_path / f"film.{suffix}", pictures(RATES[rate]), rate=ticks)
    times, wrong = read(film)
    assert wrong == ""
    assert times == pytest.approx(stamps(film), abs=0.01)
    assert times == pytest.approx([t - RATES[rate][0] for t in RATES[rate]], abs=0.02)


def test_what_a_browser_recorded_takes_the_time_that_it_took(tmp_path: Path) -> None:
    film = record(tmp_path / "browser.webm", pictures(IDLE), options=BROWSER)
    assert read(film) == (pytest.approx(IDLE, abs=0.01), "")


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
def test_times_begin_with_the_recording_though_its_stamps_begin_later(
    tmp_path: Path, suffix: str
) -> None:
    late = [t + 3600 for t in CONSTANT]
    film = record(tmp_path / f"film.{suffix}", pictures(late))
    assert read(film) == (pytest.approx(CONSTANT, abs=0.01), "")


def test_recordings_put_behind_one_another_go_on_in_time(tmp_path: Path) -> None:
    once = record(tmp_path / "once.ts", pictures(CONSTANT)).read_bytes()
    twice = tmp_path / "twice.ts"
    twice.write_bytes(once + once)
    times, wrong = read(twice)
    assert wrong == ""
    assert times[:40] == pytest.approx(CONSTANT, abs=0.01)
    assert np.diff(times).min() > 0
    assert times[-1] == pytest.approx(8, abs=0.2)


def test_pictures_without_time_stamps_come_at_a_usual_rate(tmp_path: Path) -> None:
    film = record(tmp_path / "film.mp4", pictures(CONSTANT), rate=10)
    bare = tmp_path / "film.h264"
    import av

    with av.open(str(film)) as packed, av.open(str(bare), "w", format="h264") as container:
        stream = container.add_stream_from_template(packed.streams.video[0])
        for packet in packed.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    times, wrong = read(bare)
    assert wrong == ""
    assert len(times) == 40
    assert np.diff(times) == pytest.approx(times[1])
    assert 1 / 60 < times[1] < 1 / 5


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("rate", ["constant", "idle"])
@pytest.mark.parametrize("suffix", [*CODECS, "browser"])
def test_a_file_cut_short_says_so_after_what_it_shows(
    tmp_path: Path, suffix: str, rate: str, kept: float
) -> None:
    options = {
        "mp4": {"movflags": "faststart"},
        "mov": {"movflags": "frag_keyframe+empty_moov"},
        "browser": BROWSER,
    }.get(suffix)
    suffix = "webm" if suffix == "browser" else suffix
    film = record(
        tmp_path / f"film.{suffix}",
        pictures(RATES[rate]),
        rate=100 if suffix == "avi" else 1000,
        options=options,
    )
    content = film.read_bytes()
    film.write_bytes(content[: int(len(content) * kept) // 188 * 188 + 7])
    times, wrong = read(film)
    assert wrong.startswith(f"{film}: breaks off after {len(times)} ")
    assert times == pytest.approx(RATES[rate][: len(times)], abs=0.02)


@pytest.mark.parametrize("suffix", ["mkv", "webm", "flv", "avi", "ts", "mp4"])
def test_a_file_that_got_its_room_and_not_all_of_its_content_breaks_off(
    tmp_path: Path, suffix: str
) -> None:
    options = {"movflags": "faststart"} if suffix == "mp4" else None
    film = record(tmp_path / f"film.{suffix}", pictures(CONSTANT), rate=100, options=options)
    content = film.read_bytes()
    kept = len(content) * 6 // 10
    film.write_bytes(content[:kept] + bytes(len(content) - kept))
    assert "breaks off" in read(film)[1]


def test_what_was_cut_out_of_a_film_without_coding_it_anew_is_whole(tmp_path: Path) -> None:
    """Such a file holds more pictures than it shows."""
    import av

    film = record(tmp_path / "film.mp4", pictures(CONSTANT))
    part = tmp_path / "part.mp4"
    with av.open(str(film)) as packed, av.open(str(part), "w") as container:
        stream = container.add_stream_from_template(packed.streams.video[0])
        for packet in packed.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                packet.pts -= packet.time_base.denominator
                packet.dts -= packet.time_base.denominator
                container.mux(packet)
    times, wrong = read(part)
    assert wrong == ""
    assert 20 < len(times) <= 40


def test_a_file_that_is_gone_at_its_end_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"gone\.mkv: No such file"):
        breaks_off(tmp_path / "gone.mkv")


@pytest.mark.parametrize(
    "content", [b"", b"G", b"\x1a\x45\xdf\xa3", b"FLV", bytes(999), b"RIFF" * 9]
)
def test_any_content_has_an_end(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(content)
    assert breaks_off(path) in (True, False)


class TestTimes:
    def test_a_stamp_is_kept_as_it_is(self) -> None:
        times = Times(0.1)
        assert [times.of(t) for t in (0.0, 0.5, 60.0, 60.1)] == [0.0, 0.5, 60.0, 60.1]

    def test_repeated_stamps_rise_and_lose_nothing(self) -> None:
        times = Times(0.1)
        found = [times.of(t) for t in (0.0, 0.5, 0.5, 0.5, 0.4, 1.0)]
        assert found == pytest.approx([0.0, 0.5, 0.501, 0.502, 0.503, 1.0])

    def test_stamps_that_begin_anew_go_on(self) -> None:
        times = Times(0.1)
        found = [times.of(t) for t in (0.0, 10.0, 0.0, 0.1, 0.2)]
        assert np.diff(found).min() > 0
        assert found[-1] == pytest.approx(10.3, abs=0.11)

    def test_a_clock_that_was_set_forward_is_no_gap_of_years(self) -> None:
        times = Times(0.1)
        assert [times.of(t) for t in (0.0, 1.0, 1e9, 1e9 + 1)] == pytest.approx([0, 1, 1.1, 2.1])

    @pytest.mark.parametrize("none", [0.0, -1.0, math.nan, math.inf])
    def test_where_nothing_is_known_the_rate_holds(self, none: float) -> None:
        times = Times(0.1)
        assert [times.of(none) for _ in range(4)] == pytest.approx([0, 0.1, 0.2, 0.3])

    def test_stamps_that_begin_far_from_nothing_are_counted_from_there(self) -> None:
        times = Times(0.1)
        assert [times.of(t) for t in (1e6, 1e6 + 5)] == pytest.approx([0, 5])
