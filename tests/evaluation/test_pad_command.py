"""`lockd evaluate pad` as it is used, on portraits and prints of them held up."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lockd.commands.main import main
from tests.pad import PORTRAITS, write_clips

pytestmark = pytest.mark.slow

FEW = ("--resamples", "40", "--refuse-below", "0.1", "--open-above", "0.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pad")
    write_clips(made)
    return made


def run(*words: object) -> Result:
    return CliRunner(env={"LOCKD_CONFIG": None}).invoke(main, ["evaluate", "pad", *map(str, words)])


@pytest.fixture(scope="module")
def out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    files = ("--json", out / "a.json", "--csv", out / "a.csv", "--plot", out / "a.png")
    result = run(folder, "--enrol", 2, *FEW, *files)
    assert result.exit_code == 0, result.output
    (out / "said").write_text(result.stdout)
    return out


def data(out: Path) -> Any:
    return json.loads((out / "a.json").read_text())


def is_rate(rate: Any) -> bool:
    ordered: bool = 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
    return ordered and rate.keys() == {"value", "low", "high"}


def test_every_rate_is_there_by_policy_and_type_with_its_interval(out: Path) -> None:
    found = data(out)
    assert (found["schema"], found["protocol"]) == (1, "pad")
    assert found["visits"] == {"live": 6, "print": 3}
    assert found["people"] == len(PORTRAITS)
    policies = {"off", "passive", "graded", "challenge", "second_factor"}
    assert found["apcer"].keys() == found["bpcer"].keys() == found["iapmr"].keys() == policies
    for policy in policies:
        assert is_rate(found["apcer"][policy]["print"])
        assert is_rate(found["bpcer"][policy])
        assert is_rate(found["acer"][policy])
        assert is_rate(found["iapmr"][policy]["print"])
        assert is_rate(found["door"][policy]["opens"])
    assert is_rate(found["at_bpcer"]["5e-2"]["apcer"]["print"])
    assert found["unreadable"] == {}
    assert found["unknown_person"] == []
    assert found["networks"]["liveness"] == ["liveness"]


def test_a_door_that_is_off_opens_to_prints_of_the_people_it_knows(out: Path) -> None:
    found = data(out)
    assert found["not_enrolled"] == []
    assert found["iapmr"]["off"]["print"]["value"] == 1
    assert found["door"]["off"]["opens"]["value"] == 1
    assert found["iapmr"]["challenge"]["print"]["value"] == 0
    assert found["iapmr"]["graded"]["print"]["value"] <= found["iapmr"]["passive"]["print"]["value"]


def test_it_says_so_and_draws_and_lists_the_curve(out: Path) -> None:
    said = (out / "said").read_text()
    assert "off: 1,000 (at most 1,000) of 1,000 attacks (print) open the door" in said
    assert (out / "a.png").read_bytes().startswith(b"\x89PNG")
    with (out / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0].keys() == {"type", "threshold", "apcer", "bpcer"}
    assert {row["type"] for row in rows} == {"print"}


def test_the_same_seed_gives_the_same_figures(folder: Path, out: Path, tmp_path: Path) -> None:
    assert run(folder, "--enrol", 2, *FEW, "--json", tmp_path / "b.json").exit_code == 0
    assert json.loads((tmp_path / "b.json").read_text()) == data(out)


def test_a_door_that_learnt_elsewhere_is_measured_as_it_is(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--calibrate", folder, *FEW, "--json", tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["calibration"] == {"visits": 6, "of": "folder", "a_door_asks_for": 100}
    assert found["iapmr"] == {}
    assert found["bpcer"]["passive"]["value"] == 0
    assert "of --calibrate" in result.stdout


def test_what_is_no_clip_is_told_and_the_others_count(folder: Path, tmp_path: Path) -> None:
    for one in ("live", "attack_print"):
        (tmp_path / one).symlink_to(folder / one)
    (tmp_path / "attack_video").mkdir()
    (tmp_path / "attack_video" / "notes.txt").write_text("no video")
    result = run(tmp_path, *FEW, "--json", tmp_path / "a.json")
    assert result.exit_code == 8
    assert "attack_video/notes.txt: left out" in result.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["unreadable"].keys() == {"attack_video/notes.txt"}
    assert found["visits"]["live"] == 6


def test_bounds_the_wrong_way_round_are_refused(folder: Path) -> None:
    result = run(folder, "--open-above", "0.1", "--refuse-below", "0.2")
    assert result.exit_code == 2
    assert "0.2 lies above 0.1" in result.stderr


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 8
    assert "no clips" in result.stderr
