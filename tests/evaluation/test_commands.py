"""Each command as it is used, on the photographs that come with lockd."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lockd.commands.main import main
from lockd.evaluation import plots

pytestmark = pytest.mark.slow

RATE = {"value", "low", "high"}
FEW = ("--resamples", "40")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, words)])


def evaluated(command: str, folder: Path, cache: Path, out: Path, *words: object) -> Any:
    """Run a command with every kind of output; return its JSON."""
    files = ("--json", out / "a.json", "--csv", out / "a.csv", "--plot", out / "a.png")
    result = run(command, folder, "--cache", cache, *FEW, *files, *words)
    assert result.exit_code == 0, result.output
    assert (out / "a.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((out / "a.json").read_text())
    assert data["protocol"] == command
    last = result.stdout.splitlines()[-1]
    assert last.startswith("Of 1,000 ")
    assert " %" in last
    assert (data["images"], data["people"], data["without_face"]) == (8, 3, 1)
    assert data["without_face_photographs"] == ["Joe_Biden/Joe_Biden_0002.jpg"]
    assert "Joe_Biden/Joe_Biden_0002.jpg" in result.stderr
    return data


def is_rate(rate: Any) -> bool:
    ordered: bool = 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
    return rate.keys() == RATE and ordered


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_verification_of_all_pairs(collection: Path, shared_cache: Path, tmp_path: Path) -> None:
    data = evaluated("verification", collection, shared_cache, tmp_path)
    assert (data["pairs"], data["genuine_pairs"], data["impostor_pairs"]) == (21, 7, 14)
    assert data["accuracy"]["value"] == 1.0
    assert data["eer"]["value"] == 0.0
    assert data["tar"].keys() == data["threshold"].keys() == {"1e-2", "1e-3", "1e-4", "1e-5"}
    rates = [data["accuracy"], data["eer"], *data["tar"].values(), data["configured"]["far"]]
    assert all(is_rate(rate) for rate in rates)
    assert data["tar"]["1e-4"]["value"] == 1.0
    assert data["rests_on"]["1e-4"] == 0  # so few pairs say nothing of it
    assert -1 < data["threshold"]["1e-4"] < 1
    points = table(tmp_path / "a.csv")
    assert points[0].keys() == {"threshold", "far", "fnmr"}
    assert len(points) == 200


def test_verification_of_given_pairs(collection: Path, shared_cache: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "first,second,same\n"
        "Barack_Obama/Barack_Obama_0001.jpg,Barack_Obama/Barack_Obama_0003.jpg,1\n"
        "Barack_Obama/Barack_Obama_0001.jpg,Joe_Biden/Joe_Biden_0001.jpg,0\n"
        "Barack_Obama/Barack_Obama_0002.jpg,Joe_Biden/Joe_Biden_0002.jpg,0\n"
    )
    out = tmp_path / "out.json"
    result = run(
        "verification", collection, "--cache", shared_cache, "--pairs", pairs, "--json", out, *FEW
    )
    assert result.exit_code == 0, result.output
    data = json.loads(out.read_text())
    assert (data["pairs"], data["pairs_left_out"], data["images"]) == (2, 1, 5)
    assert data["accuracy"]["value"] == 1.0


def test_lfws_own_list(collection: Path, shared_cache: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.txt"
    lines = ["2\t1", "Barack_Obama\t1\t2", "Barack_Obama\t1\tJoe_Biden\t1"]
    lines += ["Eileen_Collins\t1\t2", "Eileen_Collins\t1\tBarack_Obama\t3"]
    pairs.write_text("\n".join(lines) + "\n")
    result = run("verification", collection, "--cache", shared_cache, "--pairs", pairs, *FEW)
    assert result.exit_code == 0, result.output
    assert "100.00 %" in result.stdout


def test_identification(collection: Path, shared_cache: Path, tmp_path: Path) -> None:
    data = evaluated(
        "identification", collection, shared_cache, tmp_path,
        "--people", 2, "--enrolled", 1, "--draws", 5, "--classifier", "nearest",
    )  # fmt: skip
    assert data["top1"]["value"] == 1.0
    assert is_rate(data["top1"])
    assert data["top1_by_people"] == {"2": data["top1"]}
    assert data["classifiers"]["nearest"]["top1_by_people"]["2"]["value"] == 1.0
    assert (data["probes"], data["draws"], data["enrolled"]) == ({"2": 10}, 5, 1)
    rows = table(tmp_path / "a.csv")
    assert len(rows) == 10
    assert rows[0] == {"people": "2", "rule": "lockd", "draw": "0", "top1": "1.0"}


def test_open_set(collection: Path, shared_cache: Path, tmp_path: Path) -> None:
    data = evaluated(
        "open-set", collection, shared_cache, tmp_path,
        "--people", 1, "--enrolled", 1, "--draws", 6,
        *(word for name in ("nearest", "centroid", "svm", "softmax")
          for word in ("--classifier", name)),
    )  # fmt: skip
    assert data["fnir"].keys() == data["threshold"].keys() == {"1e-1", "1e-2", "1e-3"}
    assert all(is_rate(rate) for rate in data["fnir"].values())
    assert data["fnir"]["1e-2"]["value"] == 0.0
    assert data["configured"]["fpir"]["value"] == 0.0
    assert is_rate(data["configured"]["fnir"])
    assert data["with_margin"]["fnir"].keys() == data["fnir"].keys()
    # Without a threshold a stranger always gets a name.
    used = {name: one["as_used"]["fpir"]["value"] for name, one in data["classifiers"].items()}
    assert used == {"nearest": 1.0, "centroid": 1.0, "svm": 1.0, "softmax": 1.0}
    assert {row["rule"] for row in table(tmp_path / "a.csv")} == {"lockd", *used}


def test_the_second_run_says_the_same_and_embeds_nothing(collection: Path, tmp_path: Path) -> None:
    answers = []
    for number in (1, 2):
        out = tmp_path / f"{number}.json"
        result = run("verification", collection, "--json", out, *FEW)
        assert result.exit_code == 0
        answers.append(json.loads(out.read_text()))
    assert [one.pop("computed") for one in answers] == [8, 0]
    assert answers[0] == answers[1]


def test_a_damaged_cache_is_mentioned_and_made_anew(collection: Path, tmp_path: Path) -> None:
    assert run("verification", collection, "--cache", tmp_path, *FEW).exit_code == 0
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    result = run("verification", collection, "--cache", tmp_path, *FEW)
    assert result.exit_code == 0
    assert "damaged; embedding everything anew" in result.stderr.replace("\n", "")
    assert "damaged" not in run("verification", collection, "--cache", tmp_path, *FEW).stderr


def test_an_unreadable_photograph_is_listed_and_ends_in_its_exit_code(
    collection: Path, shared_cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "people"
    shutil.copytree(collection, folder)
    (folder / "Joe_Biden" / "broken.jpg").write_bytes(b"no picture")
    result = run("verification", folder, "--cache", shared_cache, *FEW)
    assert result.exit_code == 8
    assert "Accuracy" in result.stdout
    assert "Joe_Biden/broken.jpg" in result.stderr


def test_what_is_nobodys_is_listed_and_names_that_are_no_text_end_nothing(
    collection: Path, shared_cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "people"
    shutil.copytree(collection, folder)
    os.mkdir(os.path.join(os.fsencode(folder), b"J\xfcrgen"))
    (folder / "Joe_Biden" / os.fsdecode(b"\xff.jpg")).write_bytes(b"no picture")
    (folder / "loose.jpg").touch()
    files = ("--json", tmp_path / "a.json")
    result = run("verification", folder, "--cache", shared_cache, *FEW, *files)
    assert result.exit_code == 8
    assert "Accuracy" in result.stdout
    for said in ("loose.jpg: in nobody's folder", "rename the folder", "Joe_Biden/\ufffd.jpg"):
        assert said in result.stderr
    assert json.loads((tmp_path / "a.json").read_text())["people"] == 3


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        (("verification", "nowhere"), 8, "No such file"),
        (("verification", "empty"), 8, "no sub-folder with photographs"),
        (("identification", "people", "--people", "20"), 8, "only 2 people have 2 photographs"),
        (("open-set", "people", "--people", "2", "--strangers", "9"), 8, "ask for fewer"),
        (("open-set", "people"), 2, "--people"),
        (("identification", "people", "--people", "1"), 2, "--people"),
        (("verification", "people", "--plot", "x.gif"), 2, "should end in .png"),
        (("verification", "people", "--json", "no/such/a.json"), 8, "is no folder"),
        (("verification", "people", "--config", "none.yaml"), 3, "cannot be read"),
        (("open-set", "people", "--people", "1", "--classifier", "magic"), 2, "magic"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(
    words: tuple[str, ...],
    exit_code: int,
    message: str,
    collection: Path,
    shared_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "people").symlink_to(collection)
    monkeypatch.chdir(tmp_path)
    result = run(*words, "--cache", shared_cache, *FEW)
    assert result.exit_code == exit_code, result.output
    assert message in " ".join(result.stderr.split())


def test_a_plot_without_matplotlib_is_refused_before_the_work(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("verification", collection, "--cache", tmp_path, "--plot", tmp_path / "a.png")
    assert result.exit_code == 1
    assert "pip install 'lockd[evaluate]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_plots_are_of_the_kinds_the_command_allows() -> None:
    from lockd.commands.evaluate_outputs import PLOTS

    assert plots.SUFFIXES == PLOTS
