"""Calibration: what a gallery shows, what is suggested, and what is never written."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from lockd.adapters.store import Store, Vault
from lockd.commands.main import main
from lockd.config import Settings, load
from lockd.errors import ConfigError
from lockd.evaluation import calibration, reference
from lockd.evaluation.calibration import Enrolled, gauge, suggest, wanted_fmr
from lockd.evaluation.rewrite import set_number
from lockd.recognition.recogniser import Vision
from lockd.types import Floats
from tests.conftest import PEOPLE, PHOTOS, ROOT
from tests.enroll.faces import kept
from tests.fakes import unit

TABLE = {1e-3: 0.4, 1e-4: 0.45, 1e-5: 0.5}


def enrolled(**people: list[Floats]) -> Enrolled:
    names = sorted(people)
    return Enrolled(
        names,
        np.array([names.index(name) for name in names for _ in people[name]], np.int32),
        [f"{name} {number}" for name in names for number in range(len(people[name]))],
        np.stack([one for name in names for one in people[name]]),
    )


def crowd(people: int, each: int = 2, seed: int = 0) -> Enrolled:
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), each).astype(np.int32)
    vectors = 2.5 * random.standard_normal((people, 64))[owner]
    vectors += random.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"{one:03}" for one in range(people)]
    return Enrolled(names, owner, [str(one) for one in owner], vectors.astype(np.float32))


def test_the_most_alike_are_named() -> None:
    gauged = gauge(enrolled(Ada=[unit(1)], Eve=[unit(0, 0, 1)], Grace=[unit(4, 3), unit(0, 1)]))
    closest = gauged.alike()[0]
    assert (closest.first, closest.second) == ("Ada", "Grace")
    assert closest.similarity == pytest.approx(0.8)
    assert len(gauged.alike()) == 3
    assert [one.similarity for one in gauged.alike(0.7)] == [pytest.approx(0.8)]


def test_a_template_nearer_to_somebody_else_looks_mislabelled() -> None:
    gauged = gauge(
        enrolled(
            Ada=[unit(1), unit(1, 0.1), unit(0, 0, 1, 0.3)],
            Grace=[unit(0, 0, 1), unit(0, 0, 1, 0.1)],
            Solo=[unit(0, 0, 1, 0.2)],  # alone, so nothing to be nearer to
        )
    )
    assert {one.label for one in gauged.misplaced} >= {"Ada 2"}
    worst = next(one for one in gauged.misplaced if one.label == "Ada 2")
    assert (worst.person, worst.other) == ("Ada", "Solo")
    assert worst.own == pytest.approx(0.0, abs=1e-6)
    assert worst.similarity > 0.9
    assert not any(one.person == "Solo" for one in gauged.misplaced)


def test_well_labelled_people_are_left_in_peace() -> None:
    assert gauge(crowd(30)).misplaced == []


def test_every_comparison_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    people, others = crowd(20), crowd(15, seed=1).embeddings
    monkeypatch.setattr(calibration, "BLOCK", 7)
    gauged = gauge(people, others)
    between = people.embeddings @ people.embeddings.T
    two = between[np.triu(people.owner[:, None] != people.owner[None, :])]
    all_of_them = np.sort(np.concatenate([two, (others @ people.embeddings.T).ravel()]))
    assert gauged.impostors == len(all_of_them) == gauged.histogram.sum()
    np.testing.assert_allclose(gauged.impostor, all_of_them, atol=1e-6)
    assert len(gauged.genuine) == 20
    quantiles = np.quantile(all_of_them, calibration.QUANTILES, method="inverted_cdf")
    np.testing.assert_allclose(gauged.impostor_quantiles(), quantiles, atol=2e-4)
    best = (others @ people.embeddings.T).max(axis=1)
    np.testing.assert_allclose(gauged.strangers, best, atol=1e-6)


def test_one_person_alone_can_be_gauged() -> None:
    gauged = gauge(enrolled(Ada=[unit(1)]))
    assert (gauged.alike(), gauged.impostors, gauged.impostor_quantiles()) == ([], 0, [])
    assert suggest(gauged, 1e-4, TABLE).accept == 0.45


@given(st.floats(1e-6, 0.5), st.integers(1, 1000), st.integers(1, 50))
def test_the_wanted_rate_gives_back_the_visits(fpir: float, templates: int, frames: int) -> None:
    fmr = wanted_fmr(fpir, templates, frames)
    assert 1 - (1 - fmr) ** (templates * frames) == pytest.approx(fpir, rel=1e-3)


def test_a_rate_by_hand() -> None:
    assert wanted_fmr(0.19, 2, 1) == pytest.approx(0.1)  # 1 - 0.9 * 0.9


def test_with_enough_comparisons_the_threshold_is_measured() -> None:
    gauged = gauge(crowd(60))
    suggestion = suggest(gauged, 0.01, TABLE)
    assert suggestion.source == "measured"
    assert suggestion.accept is not None
    accepted = int(np.sum(gauged.impostor >= suggestion.accept))
    assert suggestion.rests_on == accepted <= 0.01 * gauged.impostors
    just_less = int(np.sum(gauged.impostor >= suggestion.accept - 0.002))
    assert just_less >= 0.01 * gauged.impostors - 10


def test_with_too_few_the_table_answers() -> None:
    gauged = gauge(crowd(60))
    assert (suggest(gauged, 1e-4, TABLE).accept, suggest(gauged, 1e-4, TABLE).source) == (
        0.45,
        "reference",
    )
    assert suggest(gauged, 1e-4, TABLE).comparisons == 100_000
    beyond = suggest(gauged, 1e-6, TABLE)
    assert (beyond.accept, beyond.source) == (0.55, "extrapolated")


def test_people_more_alike_than_the_tables_raise_the_threshold() -> None:
    twins = enrolled(**{f"P{n}": [unit(1, *([0] * n), 0.5)] for n in range(6)})
    suggestion = suggest(gauge(twins), 1e-4, TABLE)
    assert suggestion.source == "reference"
    assert suggestion.accept is not None
    assert suggestion.accept > 0.79  # every two of them are 0.8 alike


def test_without_a_table_and_without_enough_nothing_is_suggested() -> None:
    assert suggest(gauge(crowd(10)), 1e-6, {}).accept is None


def test_a_threshold_beyond_one_is_no_suggestion() -> None:
    assert suggest(gauge(crowd(10)), 1e-9, {1e-2: 0.3, 1e-3: 0.5}).accept is None


def test_the_table_between_and_beyond_its_entries() -> None:
    assert reference.threshold(TABLE, 10**-3.5) == (pytest.approx(0.425), False)
    assert reference.threshold(TABLE, 0.1) == (0.4, False)
    assert reference.threshold(TABLE, 1e-7) == (pytest.approx(0.6), True)
    assert reference.threshold({1e-3: 0.4}, 1e-3) is None


def test_the_table_is_read_from_the_manifest() -> None:
    manifest = {"operating_points": {"light": {"1e-4": 0.6}}}
    assert reference.operating_points(manifest, "light") == {1e-4: 0.6}
    assert reference.operating_points(manifest, "accurate") == {}
    assert reference.operating_points({}, "light") == {}


CONFIG = """\
# The door of the lab.
door: {id: lab}   # flow style
recognition:
  margin: 0.04
  accept: 0.60    # chosen in March
log: warning
"""


def config(tmp_path: Path, text: str = CONFIG) -> Path:
    path = tmp_path / "lockd.yaml"
    path.write_bytes(text.encode())
    path.chmod(0o640)
    return path


def test_one_number_changes_and_nothing_else(tmp_path: Path) -> None:
    path = config(tmp_path)
    backup = set_number(path, "recognition", "accept", 0.712)
    assert path.read_text() == CONFIG.replace("0.60 ", "0.712 ")
    assert backup.read_text() == CONFIG
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(tmp_path.glob("*lockd.yaml*")) == [path, backup]


@pytest.mark.parametrize(
    "text",
    [
        "recognition: {accept: 0.6, margin: 0.1}\n",
        "recognition:\r\n  accept: 0.6\r\nlog: info\r\n",
        "door: {name: Über}\nrecognition:\n  accept:   6.0e-1\n",
        '"recognition":\n    "accept": 0.6',
    ],
)
def test_however_it_is_written_it_is_found(tmp_path: Path, text: str) -> None:
    path = config(tmp_path, text)
    set_number(path, "recognition", "accept", 0.5)
    assert load(path).recognition.accept == 0.5
    assert path.read_bytes().count(b"\r") == text.count("\r")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recognition:\n", "cannot be set without touching anything else; write `accept: 0.5`"),
        ("recognition: {margin: 0.1}\n", "by hand"),
        ("{log: info}\n", "by hand"),
        ("recognition:\n  margin: &one 0.6\n  accept: *one\n", "was not changed"),
        ("recognition: {accept: 9}\n", "is wrong"),
    ],
)
def test_what_cannot_be_changed_safely_is_left(tmp_path: Path, text: str, message: str) -> None:
    path = config(tmp_path, text)
    with pytest.raises(ConfigError, match=message):
        set_number(path, "recognition", "accept", 0.5)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", "recognition:\n  accept: 0.5\n"),
        ("log: info", "log: info\nrecognition:\n  accept: 0.5\n"),
        ("# nothing\n", "# nothing\nrecognition:\n  accept: 0.5\n"),
        (
            "recognition:\n    # near\n    margin: 0.1\nlog: info\n",
            "recognition:\n    # near\n    accept: 0.5\n    margin: 0.1\nlog: info\n",
        ),
        (
            "recognition:\r\n  threads: 1\r\n  # accept: 0.7\r\n  margin: 0.1\r\n",
            "recognition:\r\n  threads: 1\r\n  # accept: 0.7\r\n  accept: 0.5\r\n  margin: 0.1\r\n",
        ),
        (
            "# accept: 1\nrecognition: {accept: 0.6}\n",
            "# accept: 1\nrecognition: {accept: 0.5}\n",
        ),
    ],
)
def test_a_number_that_was_not_set_gets_a_line(tmp_path: Path, text: str, changed: str) -> None:
    path = config(tmp_path, text)
    set_number(path, "recognition", "accept", 0.5)
    assert path.read_bytes().decode() == changed


def test_the_annotated_configuration_can_be_calibrated(tmp_path: Path) -> None:
    text = (ROOT / "config" / "lockd.yaml").read_text("utf-8")
    path = config(tmp_path, text)
    set_number(path, "recognition", "accept", 0.512)
    new = path.read_text("utf-8").splitlines()
    added = [line for line in new if line not in text.splitlines()]
    assert added == ["  accept: 0.512"]
    assert len(new) - len(text.splitlines()) in (0, 1)
    assert load(path).recognition.accept == 0.512


def test_a_value_out_of_range_is_not_written(tmp_path: Path) -> None:
    path = config(tmp_path)
    with pytest.raises(ConfigError, match="was not changed"):
        set_number(path, "recognition", "accept", 0.05)
    assert path.read_text() == CONFIG


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path = config(tmp_path / "real")
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    set_number(link, "recognition", "accept", 0.7)
    assert link.is_symlink()
    assert load(path).recognition.accept == 0.7


def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockd.evaluation import rewrite

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = config(tmp_path)
    monkeypatch.setattr(rewrite.os, "replace", full)
    with pytest.raises(ConfigError, match="No space left"):
        set_number(path, "recognition", "accept", 0.7)
    assert path.read_text() == CONFIG
    assert not list(tmp_path.glob(".lockd.yaml.*"))


def calibrated(*words: object) -> Result:
    return CliRunner().invoke(main, ["calibrate", *map(str, words)])


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, and one photograph of the first among those of the second."""
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copytree(PEOPLE / "Joe Biden", folder / "Joe_Biden")
    shutil.copytree(PEOPLE / "Barack Obama", folder / "Barack_Obama")
    shutil.copy(PHOTOS / "barack-obama.jpg", folder / "Joe_Biden" / "strayed.jpg")
    return folder


def with_table(monkeypatch: pytest.MonkeyPatch, thresholds: dict[float, float]) -> None:
    monkeypatch.setattr(reference, "operating_points", lambda *_: thresholds)


def test_a_gallery_is_described(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = calibrated("--gallery", PEOPLE, "--strangers", PHOTOS, "--json", out)
    assert result.exit_code == 0, result.output
    data = json.loads(out.read_text())
    assert (data["people"], data["templates"]) == (2, 3)
    assert data["closest"]["people"] == ["Barack Obama", "Joe Biden"]
    assert "The most alike: Barack Obama and Joe Biden" in result.stdout
    assert data["genuine"]["pairs"] == 1
    assert sum(data["genuine"]["histogram"]) == 1
    assert data["impostor"]["pairs"] == 2 + 3 * data["strangers"]["photographs"]
    assert data["mislabelled"] == []
    assert data["wanted"]["frames"] == Settings().recognition.stranger_frames
    assert data["wanted"]["fmr"] == pytest.approx(wanted_fmr(1e-3, 3, data["wanted"]["frames"]))
    assert data["written"] is False
    # The folder of strangers shows Barack Obama.
    assert data["strangers"]["let_in"][0]["person"] == "Barack Obama"
    assert "A stranger who would be let in" in result.stdout


def test_a_photograph_in_the_wrong_folder_is_pointed_out(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = calibrated("--gallery", people, "--json", out)
    assert result.exit_code == 0, result.output
    labels = [one["template"] for one in json.loads(out.read_text())["mislabelled"]]
    assert labels[0] == "Joe_Biden/strayed.jpg"
    assert "Mislabelled? Joe Biden, Joe_Biden/strayed.jpg" in result.stdout


def test_a_suggestion_is_written_only_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_table(monkeypatch, {1e-2: 0.5, 1e-6: 0.6})
    path = config(tmp_path)
    words = ("--gallery", PEOPLE, "--config", path, "--fpir", "0.0001")
    result = calibrated(*words)
    assert result.exit_code == 0, result.output
    assert "Suggested: accept" in result.stdout
    assert path.read_text() == CONFIG
    result = calibrated(*words, "--write")
    assert result.exit_code == 0, result.output
    written = load(path).recognition.accept
    assert written is not None
    assert 0.55 < written < 0.6  # loosened from 0.6: nobody is that alike
    assert "# chosen in March" in path.read_text()
    assert (tmp_path / "lockd.yaml.bak").read_text() == CONFIG


def test_the_door_is_never_loosened_between_people_who_can_be_confused(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_table(monkeypatch, {1e-2: 0.4, 1e-6: 0.5})
    path, out = config(tmp_path), tmp_path / "out.json"
    result = calibrated("--gallery", people, "--config", path, "--write", "--json", out)
    assert result.exit_code == 3
    assert "recognition.accept stays 0.6" in result.stderr
    assert "Barack Obama and Joe Biden" in result.stderr
    assert path.read_text() == CONFIG
    assert not (tmp_path / "lockd.yaml.bak").exists()
    data = json.loads(out.read_text())
    assert data["written"] is False
    assert data["suggested"]["confusable"][0]["people"] == ["Barack Obama", "Joe Biden"]


def test_tightening_is_never_refused(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_table(monkeypatch, {1e-2: 0.7, 1e-6: 0.7})
    path = config(tmp_path)
    result = calibrated("--gallery", people, "--config", path, "--write")
    assert result.exit_code == 0, result.output
    assert load(path).recognition.accept == 0.7


def test_nothing_to_write_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_table(monkeypatch, {})
    path = config(tmp_path)
    result = calibrated("--gallery", PEOPLE, "--config", path, "--write")
    assert result.exit_code == 3
    assert "nothing was written" in result.stderr
    with_table(monkeypatch, TABLE)
    monkeypatch.setattr("lockd.commands.calibrate.find", lambda given: given)
    result = calibrated("--gallery", PEOPLE, "--write")
    assert result.exit_code == 3
    assert "--config" in result.stderr


def test_the_store_is_the_gallery_unless_another_is_named(
    tmp_path: Path, vision: Vision, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(tmp_path, f"store: {{folder: {tmp_path / 'state'}}}\n")
    result = calibrated("--config", path)
    assert result.exit_code == 9
    assert "nobody is enrolled" in result.stderr
    assert not (tmp_path / "state").exists()  # looking must not make a store
    space = vision.embedder.space
    store = Store.open(
        tmp_path / "state" / "lockd.db", Vault.beside(tmp_path / "state" / "lockd.db")
    )
    for name, values in (("Ada", (1.0,)), ("Grace", (0.6, 0.8))):
        two = np.stack([unit(*values, size=256), unit(*values, 0.1, size=256)])
        store.people.add(name, space.model, kept(space, two), by="root")
    store.people.add("Old", "another", [unit(1, size=256)], by="root")
    store.close()
    out = tmp_path / "out.json"
    result = calibrated("--config", path, "--json", out)
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(out.read_text())
    assert (data["people"], data["templates"]) == (2, 4)
    assert data["closest"]["people"] == ["Ada", "Grace"]
    assert "1 template of other networks left out" in " ".join(result.stderr.split())
