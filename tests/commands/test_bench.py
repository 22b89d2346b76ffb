"""`lockd bench` measures what it says, and two runs can be set beside each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lockd.commands.bench.command import bench
from lockd.commands.bench.scenes import crowd, nobody, one_face, walking_up
from lockd.commands.bench.stages import Stopwatch
from lockd.recognition.recogniser import Vision
from tests.invoking import invoke

STAGES = {
    "decode", "pyramid", "gate", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet", "detect", "follow",
    "quality", "embed", "match", "decide", "publish",
    "noted for viewers", "a picture for viewers",
}  # fmt: skip
FRAMES = ["nobody", "one face", "three faces", "eight faces"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run as JSON, and drawn."""
    folder = tmp_path_factory.mktemp("bench")
    picture = folder / "run.svg"
    result = invoke(bench, "--seconds", "0.5", "--json", "--plot", picture)
    assert result.exit_code == 0
    file = folder / "run.json"
    file.write_text(result.stdout, "utf-8")
    return file, picture


def read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8")))


def test_every_stage_and_every_kind_of_frame_is_measured(saved: tuple[Path, Path]) -> None:
    run = read(saved[0])
    assert set(run["stages"]) >= STAGES
    assert list(run["frames"])[:4] == FRAMES
    assert run["runs"] >= 1
    assert run["memory_mb"] > 10
    for part in ("stages", "frames", "detection"):
        for one in run[part].values():
            assert 0 <= one["p50"] <= one["p95"] <= one["p99"]


def test_it_says_on_what_it_was_measured(saved: tuple[Path, Path]) -> None:
    machine = read(saved[0])["machine"]
    assert machine["board"]
    assert machine["cores"] >= 1
    assert machine["kernel"].startswith("Linux")
    assert {"governor", "temperature_c", "python"} <= machine.keys()


def test_who_walks_up_is_recognised_as_soon_as_enough_frames_agree(
    saved: tuple[Path, Path],
) -> None:
    walk = read(saved[0])["walk_up"]
    assert walk["judged"] == 3
    assert walk["clip_ms"] <= 2.5 * 1000 / 15


@pytest.mark.thorough
def test_it_tells_people_and_what_is_ours_where_asked() -> None:
    told = invoke(bench, "--seconds", "0.5", "--limit").stdout
    assert "frames a second" in told
    assert "one face: ours on top" in told


def test_the_plot_is_a_picture(saved: tuple[Path, Path]) -> None:
    root = ElementTree.parse(saved[1]).getroot()  # noqa: S314  # written by this very test
    assert root.tag.endswith("svg")
    assert "eight faces" in "".join(root.itertext())


def test_two_runs_are_set_beside_each_other(saved: tuple[Path, Path], tmp_path: Path) -> None:
    run = read(saved[0])
    run["frames"]["one face"]["p50"] *= 2
    other = tmp_path / "other.json"
    other.write_text(json.dumps(run), "utf-8")
    told = invoke(bench, "--compare", saved[0], other)
    assert told.exit_code == 0
    (row,) = [line for line in told.stdout.splitlines() if line.split()[:2] == ["one", "face"]]
    assert row.endswith("2.00")


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "not JSON"), ("[]", "schema None"), ('{"schema": 99}', "schema 99"), (None, "No such")],
)
def test_what_is_no_run_is_refused(
    saved: tuple[Path, Path], tmp_path: Path, content: str | None, said: str
) -> None:
    other = tmp_path / "other.json"
    if content is not None:
        other.write_text(content, "utf-8")
    result = invoke(bench, "--compare", saved[0], other)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("seconds", ["0", "0.4", "601", "soon"])
def test_a_time_that_makes_no_sense_is_wrong_usage(seconds: str) -> None:
    assert invoke(bench, "--seconds", seconds).exit_code == 2


@pytest.mark.parametrize("people", [0, 1, 3, 8])
def test_a_crowd_shows_as_many_faces_as_it_is_said_to(vision: Vision, people: int) -> None:
    assert len(vision.detector.detect(crowd(people))) == people


def test_the_other_scenes_show_what_they_are_said_to(vision: Vision) -> None:
    assert len(vision.detector.detect(one_face())) == 1
    assert all(not vision.detector.detect(nobody(step)) for step in range(0, 20, 5))
    assert vision.detector.detect(walking_up(10)[-1])


def test_what_is_timed_twice_in_a_run_is_added_up() -> None:
    watch = Stopwatch()
    watch.add("a", 1.0, 0.5)
    watch.add("a", 2.0, 0.25)
    watch.lap()
    watch.add("a", 4.0, 1.0)
    watch.lap()
    assert watch.times["a"] == [(3.0, 0.75), (4.0, 1.0)]
