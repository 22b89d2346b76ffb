"""The service over recordings, with the real networks, as fast as it can."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from lockd.commands.demo import segments_of
from lockd.commands.main import main
from lockd.vision.decoding import decode
from lockd.vision.pictures import encode_jpeg
from tests.conftest import CLIP, PEOPLE, PHOTOS, ROOT, SCENES
from tests.patience import PATIENCE_S, running
from tests.recordings import clip, record

pytestmark = pytest.mark.slow


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def of_type(result: Result, kind: str) -> list[dict[str, Any]]:
    return [line for line in lines(result) if line["type"] == kind]


@pytest.fixture(scope="module")
def porch() -> Result:
    return replay(CLIP, "--gallery", PEOPLE)


def test_the_door_opens_for_the_person_enrolled_and_for_nobody_else(porch: Result) -> None:
    assert porch.exit_code == 0, porch.output
    (granted,) = of_type(porch, "access_granted")
    (visit,) = [one for one in segments_of(CLIP) if one.person == granted["person"]]
    assert visit.start < granted["t"] < visit.end
    assert of_type(porch, "summary")[0]["relay"] == [
        [granted["t"], "on"],
        [pytest.approx(granted["t"] + 5, abs=1e-3), "off"],
    ]


def test_the_stranger_is_reported_once_and_in_their_time(porch: Result) -> None:
    (stranger,) = of_type(porch, "stranger")
    (visit,) = [one for one in segments_of(CLIP) if one.person == "stranger"]
    assert visit.start < stranger["t"] < visit.end
    assert "person" not in stranger


def test_every_line_is_an_event_and_the_last_one_the_summary(porch: Result) -> None:
    first, *events, summary = lines(porch)
    assert (first["type"], first["liveness"]) == ("recording", "off")
    assert "398 of 400" in first["warning"]
    assert all({"schema", "id", "utc", "door", "type", "t"} <= event.keys() for event in events)
    times = [event["t"] for event in events]
    assert times == sorted(times)
    assert summary["liveness"] == "off"
    assert summary["frames"] == 354
    assert 0 < summary["judged"] <= summary["faces"] <= summary["frames"]


def folder_of(tmp_path: Path, photo: Path, count: int) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    content = photo.read_bytes()
    for number in range(count):
        (folder / f"{number:03}.jpg").write_bytes(content)
    return folder


def test_a_folder_of_pictures_is_a_recording(tmp_path: Path) -> None:
    result = replay(folder_of(tmp_path, PHOTOS / "barack-obama.jpg", 5), "--gallery", PEOPLE)
    assert result.exit_code == 0
    assert [event["person"] for event in of_type(result, "access_granted")] == ["Barack Obama"]
    assert of_type(result, "summary")[0]["frames"] == 5


@pytest.mark.parametrize("scene", sorted(SCENES.glob("*.jpg")), ids=lambda path: path.stem)
def test_a_scene_without_people_is_no_visit(tmp_path: Path, scene: Path) -> None:
    result = replay(folder_of(tmp_path, scene, 3), "--gallery", PEOPLE)
    summary = of_type(result, "summary")[0]
    assert (summary["faces"], summary["relay"]) == (0, [])


def test_a_cut_off_face_is_judged_by_what_is_left_or_not_at_all(tmp_path: Path) -> None:
    result = replay(
        folder_of(tmp_path, PHOTOS / "photographer-in-profile.jpg", 30), "--gallery", PEOPLE
    )
    assert of_type(result, "access_granted") == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of two people side by side, one of them enrolled in the demo."""
    people = []
    for name in ("barack-obama.jpg", "eileen-collins.jpg"):
        picture = decode((PHOTOS / name).read_bytes(), name)
        scale = 480 / picture.shape[0]
        people.append(np.asarray(cv2.resize(picture, None, fx=scale, fy=scale), np.uint8))
    folder = tmp_path_factory.mktemp("both")
    photo = folder / "both.jpg"
    photo.write_bytes(encode_jpeg(np.hstack(people)))
    return folder_of(folder, photo, 30)


@pytest.fixture(scope="module")
def seen(both: Path) -> Result:
    return replay(both, "--gallery", PEOPLE)


def test_two_people_in_view_are_two_visits(seen: Result) -> None:
    (granted,) = of_type(seen, "access_granted")
    (stranger,) = of_type(seen, "stranger")
    assert granted["person"] == "Barack Obama"
    assert granted["visit"] != stranger["visit"]


def test_a_recording_judged_twice_is_judged_alike(seen: Result, both: Path) -> None:
    own = ("id", "utc")
    first, again = (
        [{key: line[key] for key in line if key not in own} for line in lines(one)]
        for one in (seen, replay(both, "--gallery", PEOPLE))
    )
    assert again == first


def test_without_those_people_in_the_gallery_both_are_strangers(both: Path, tmp_path: Path) -> None:
    shutil.copytree(PEOPLE / "Joe Biden", tmp_path / "Joe Biden")
    result = replay(both, "--gallery", tmp_path)
    assert result.exit_code == 0
    assert len({one["visit"] for one in of_type(result, "stranger")}) == 2
    assert of_type(result, "summary")[0]["relay"] == []


def test_in_real_time_a_recording_takes_its_time(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, PHOTOS / "barack-obama.jpg", 30)
    result = replay(folder, "--gallery", PEOPLE, "--realtime")
    assert result.exit_code == 0
    summary = of_type(result, "summary")[0]
    # It may skip frames, as a camera's would be, but not time: 30 at 15 a second, and
    # five more until the door has locked.
    assert 3 <= summary["frames"] <= 30
    assert [state for _, state in summary["relay"]] == ["on", "off"]
    on, off = (t for t, _ in summary["relay"])
    assert off - on == pytest.approx(5, abs=0.5)
    assert of_type(result, "service_stopped")[0]["t"] >= off


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="whole", marks=pytest.mark.thorough),
        pytest.param({"live": "1"}, id="of a browser"),
    ],
)
def test_a_recording_that_looked_seldom_while_nobody_came_keeps_its_time(
    tmp_path: Path, options: dict[str, str]
) -> None:
    (empty, _), *visit = clip(2.5, 7)
    film = record(
        tmp_path / "film.webm",
        [*((empty, t) for t in (0, 4, 8, 12)), *((image, 12 + t) for image, t in visit)],
        options=options,
    )
    result = replay(film, "--gallery", PEOPLE)
    assert result.exit_code == 0, result.output
    (granted,) = of_type(result, "access_granted")
    assert 12.5 < granted["t"] < 16.5
    assert of_type(result, "summary")[0]["frames"] == len(visit) + 4


def all_of(terminal: int) -> bytes:
    """What was written to a terminal, until nobody has it open any more."""
    seen = b""
    with contextlib.suppress(OSError):  # which is how a terminal ends
        while part := os.read(terminal, 9999):
            seen += part
    return seen


def test_how_far_it_has_come_is_shown_on_a_terminal_only(tmp_path: Path, porch: Result) -> None:
    assert porch.stderr == ""
    folder = folder_of(tmp_path, PHOTOS / "barack-obama.jpg", 5)
    shown, terminal = pty.openpty()
    command = [sys.executable, "-m", "lockd", "replay", folder, "--gallery", PEOPLE]
    environment = {**os.environ, "TERM": "xterm"}
    pipes = {"stdout": subprocess.PIPE, "stderr": terminal}
    with (
        ThreadPoolExecutor(1) as pool,
        running(*command, env=environment, cwd=ROOT, **pipes) as done,
    ):
        # A terminal has room for 4 kB: unread, whoever takes long to load waits for it for ever.
        looking = pool.submit(all_of, shown)
        os.close(terminal)
        assert done.stdout is not None
        events = done.stdout.read().decode()
        done.wait(PATIENCE_S)
        seen = looking.result(PATIENCE_S)
    os.close(shown)
    assert done.returncode == 0
    assert b"loading" in seen
    assert b" s " in seen
    assert all(line.startswith("{") for line in events.splitlines())
    assert json.loads(events.splitlines()[-1])["frames"] == 5


def test_a_video_that_breaks_off_is_an_error_after_what_it_showed(tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    content = CLIP.read_bytes()
    # The index comes first in the clip, so that what is there can still be read.
    cut.write_bytes(content[: len(content) * 6 // 10])
    result = replay(cut, "--gallery", PEOPLE)
    assert result.exit_code == 6, result.output
    assert "cut.mp4" in result.stderr
    if of_type(result, "summary"):
        assert of_type(result, "access_granted")
        assert of_type(result, "summary")[0]["relay"][-1][1] == "off"


@pytest.mark.parametrize(
    ("source", "said"),
    [("nowhere.mp4", "no such file"), ("/dev/video63", "not there"), ("rtsp://127.0.0.1:1/x", "")],
)
def test_what_cannot_be_replayed_is_an_error(source: str, said: str) -> None:
    result = replay(source, "--gallery", PEOPLE)
    assert result.exit_code == 6
    assert said in result.stderr


def test_a_file_that_is_no_video_is_an_error(tmp_path: Path) -> None:
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"junk" * 1000)
    result = replay(junk, "--gallery", PEOPLE)
    assert result.exit_code == 6
    assert "not a video" in result.stderr
