"""`lockd identify`: who is in a photograph, for people, for machines and drawn."""

from __future__ import annotations

import functools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import Result

from enroll.people import Enroller
from lockd.adapters.store import Store, Vault
from lockd.commands.main import main
from lockd.config import Settings
from lockd.recognition.recogniser import Vision
from lockd.vision.decoding import decode
from lockd.vision.pictures import encode_jpeg
from tests.conftest import PEOPLE, PHOTOS, SCENES
from tests.invoking import Run, invoke
from tests.pictures import (
    BIDEN_ENROLLED,
    COLLINS,
    OBAMA,
    OBAMA_ENROLLED,
    OBAMA_ENROLLED_TOO,
    as_stored,
    read,
    side_by_side,
    with_orientation,
)

CAT = SCENES / "cat.jpg"
RIGHT_EDGE = PHOTOS / "barack-obama-right-edge.jpg"


@pytest.fixture
def run(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; its networks are the ones of the whole session."""
    monkeypatch.setattr("lockd.recognition.identifier.Vision", lambda settings: vision)
    return functools.partial(invoke, main, "identify")


@pytest.fixture
def obama_enrolled(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that holds Barack Obama."""
    monkeypatch.setattr("enroll.people.Vision", lambda settings: vision)
    store = Store.open(Settings().store.path(), Vault.beside(Settings().store.path()))
    Enroller(Settings(), store).add("Barack Obama", [OBAMA_ENROLLED], lambda: None)
    store.close()


def faces(result: Result) -> list[dict[str, Any]]:
    """The faces of the only picture."""
    (line,) = result.stdout.splitlines()
    found: list[dict[str, Any]] = json.loads(line)["faces"]
    return found


class TestText:
    def test_somebody_enrolled_is_named_with_similarity_and_place(self, run: Run) -> None:
        result = run(OBAMA, "--gallery", PEOPLE)
        assert result.exit_code == 0
        first, second = result.stdout.splitlines()
        assert first == f"{OBAMA}:"
        assert second.startswith("  Barack Obama 0.")
        assert " at 2" in second
        assert result.stderr == ""

    def test_somebody_else_is_a_stranger(self, run: Run) -> None:
        assert "  stranger at most 0." in run(COLLINS, "--gallery", PEOPLE).stdout

    def test_a_picture_without_a_face_says_so(self, run: Run) -> None:
        result = run(CAT, "--gallery", PEOPLE)
        assert result.stdout == f"{CAT}: no face\n"
        assert result.exit_code == 0

    def test_a_face_that_a_door_would_not_judge_is_marked(self, run: Run) -> None:
        assert "cut off for a door" in run(RIGHT_EDGE, "--gallery", PEOPLE).stdout


class TestJson:
    def test_each_picture_is_one_line(self, run: Run) -> None:
        result = run("--json", OBAMA, CAT, COLLINS, "--gallery", PEOPLE)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert [line["image"] for line in lines] == [str(OBAMA), str(CAT), str(COLLINS)]
        assert [[face["person"] for face in line["faces"]] for line in lines] == [
            ["Barack Obama"],
            [],
            ["stranger"],
        ]
        assert (lines[1]["width"], lines[1]["height"]) == (451, 300)

    def test_a_face_has_all_that_is_known_of_it(self, run: Run) -> None:
        (face,) = faces(run("--json", OBAMA, "--gallery", PEOPLE))
        assert face["known"] is True
        assert 0.7 < face["similarity"] <= 1
        assert 0.8 < face["confidence"] <= 1
        assert face["unfit"] is None
        assert len(face["landmarks"]) == 5
        x0, y0, x1, y1 = face["box"]
        assert 0 <= x0 < x1 <= 592
        assert 0 <= y0 < y1 <= 739

    def test_a_stranger_is_not_known_and_the_nearest_name_is_not_told(self, run: Run) -> None:
        result = run("--json", COLLINS, "--gallery", PEOPLE)
        (face,) = faces(result)
        assert (face["person"], face["known"]) == ("stranger", False)
        assert face["similarity"] < 0.7
        assert "Obama" not in result.stdout
        assert "Biden" not in result.stdout

    def test_two_people_in_one_picture_are_each_named(self, run: Run, tmp_path: Path) -> None:
        pair = tmp_path / "pair.jpg"
        pair.write_bytes(encode_jpeg(side_by_side(read(COLLINS), read(OBAMA))))
        people = {
            face["person"]: face["box"] for face in faces(run("--json", pair, "--gallery", PEOPLE))
        }
        assert people.keys() == {"Barack Obama", "stranger"}
        assert people["stranger"][2] < 512 < people["Barack Obama"][0]

    def test_similarities_are_numbers_or_null_and_never_nan(self, run: Run) -> None:
        (face,) = faces(run("--json", OBAMA))
        assert face["similarity"] is None

    def test_a_face_that_a_door_would_not_judge_tells_why(self, run: Run) -> None:
        assert faces(run("--json", RIGHT_EDGE))[0]["unfit"] == "cut_off"


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_photograph_taken_with_the_camera_turned_shows_the_same_person_upright(
        self, run: Run, tmp_path: Path, orientation: int
    ) -> None:
        turned = tmp_path / "turned.jpg"
        stored = encode_jpeg(as_stored(read(OBAMA), orientation), 95)
        turned.write_bytes(with_orientation(stored, orientation))
        result = run("--json", turned, "--gallery", PEOPLE)
        (face,) = faces(result)
        assert face["person"] == "Barack Obama"
        assert (json.loads(result.stdout)["width"], json.loads(result.stdout)["height"]) == (
            592,
            739,
        )
        (upright,) = faces(run("--json", OBAMA, "--gallery", PEOPLE))
        # Compressed once more, it is not the same picture to the last pixel.
        side = upright["box"][3] - upright["box"][1]
        assert np.abs(np.array(face["box"]) - upright["box"]).max() < 0.08 * side


class TestFailures:
    def test_pictures_that_cannot_be_read_stop_no_other_and_end_in_exit_code_8(
        self, run: Run, tmp_path: Path
    ) -> None:
        torn, gone = tmp_path / "torn.jpg", tmp_path / "gone.jpg"
        torn.write_bytes(OBAMA.read_bytes()[:9000])
        result = run("--json", torn, OBAMA, gone, tmp_path, COLLINS, "--gallery", PEOPLE)
        assert result.exit_code == 8
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert [line["image"] for line in lines] == [str(OBAMA), str(COLLINS)]
        for path in (torn, gone, tmp_path):
            assert f"error: {path}: " in result.stderr

    def test_a_photograph_of_the_gallery_that_is_refused_is_told_and_the_rest_counts(
        self, run: Run, tmp_path: Path
    ) -> None:
        folder = tmp_path / "people" / "Barack Obama"
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(CAT.read_bytes())
        (folder / "b.jpg").write_bytes(OBAMA_ENROLLED.read_bytes())
        result = run("--json", OBAMA, "--gallery", folder.parent)
        assert "refused: " in result.stderr
        assert "a.jpg: no face found" in result.stderr
        assert faces(result)[0]["person"] == "Barack Obama"
        assert result.exit_code == 0

    def test_a_gallery_of_nobody_is_an_error(self, run: Run, tmp_path: Path) -> None:
        result = run(OBAMA, "--gallery", tmp_path)
        assert result.exit_code == 8
        assert "no sub-folder with photographs" in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize("arguments", [[], [OBAMA, "--gallery", "/nowhere"]])
    def test_wrong_usage_is_exit_code_2(self, run: Run, arguments: list[object]) -> None:
        assert run(*arguments).exit_code == 2


class TestStore:
    def test_without_a_store_everyone_is_a_stranger_and_none_is_made(self, run: Run) -> None:
        result = run(OBAMA)
        assert result.exit_code == 0
        assert "  stranger  (" in result.stdout
        assert not Settings().store.path().parent.exists()

    def test_an_empty_store_makes_everyone_a_stranger(self, run: Run) -> None:
        Store.open(Settings().store.path(), Vault.beside(Settings().store.path())).close()
        assert "  stranger  (" in run(OBAMA).stdout

    @pytest.mark.usefixtures("obama_enrolled")
    def test_the_people_of_the_store_are_known(self, run: Run) -> None:
        assert faces(run("--json", OBAMA))[0]["person"] == "Barack Obama"
        assert faces(run("--json", COLLINS))[0]["person"] == "stranger"

    @pytest.mark.usefixtures("obama_enrolled")
    def test_a_gallery_takes_the_place_of_the_store(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "p" / "Joe").mkdir(parents=True)
        (tmp_path / "p" / "Joe" / "1.jpg").write_bytes(BIDEN_ENROLLED.read_bytes())
        result = run("--json", OBAMA, "--gallery", tmp_path / "p")
        assert faces(result)[0]["person"] == "stranger"

    @pytest.mark.usefixtures("obama_enrolled")
    def test_the_threshold_is_that_of_the_configuration(self, run: Run, tmp_path: Path) -> None:
        config = tmp_path / "lockd.yaml"
        for accept, person in ((0.99, "stranger"), (0.7, "Barack Obama")):
            config.write_text(f"recognition:\n  accept: {accept}\n")
            assert faces(run("--json", OBAMA, "--config", config))[0]["person"] == person

    def test_a_damaged_store_is_an_error_and_stays_as_it_is(self, run: Run) -> None:
        path = Settings().store.path()
        path.parent.mkdir(parents=True)
        path.write_bytes(b"not a database" * 100)
        result = run(OBAMA)
        assert result.exit_code == 5
        assert str(path) in result.stderr
        assert path.read_bytes() == b"not a database" * 100


def differs(first: Path, second: Path) -> Any:
    """Where two pictures of one size differ clearly."""
    one, other = (decode(path.read_bytes(), path.name).astype(int) for path in (first, second))
    return np.abs(one - other).max(axis=2) > 60


class TestAnnotate:
    def test_pictures_with_names_are_written_into_the_folder(
        self, run: Run, tmp_path: Path
    ) -> None:
        folder = tmp_path / "new" / "folder"
        before = OBAMA.read_bytes()
        result = run(OBAMA, COLLINS, "--gallery", PEOPLE, "--annotate", folder)
        assert result.exit_code == 0
        names = ["barack-obama.annotated.jpg", "eileen-collins.annotated.jpg"]
        assert sorted(path.name for path in folder.iterdir()) == names
        for name in names:
            assert f"  written: {folder / name}" in result.stdout
        assert OBAMA.read_bytes() == before

    @pytest.mark.parametrize(("path", "channel"), [(OBAMA, 1), (COLLINS, 2)])
    def test_the_frame_is_green_for_somebody_known_and_red_for_a_stranger(
        self, run: Run, tmp_path: Path, path: Path, channel: int
    ) -> None:
        (face,) = faces(run("--json", path, "--gallery", PEOPLE, "--annotate", tmp_path))
        drawn = read(tmp_path / f"{path.stem}.annotated.jpg")
        x0, y0, x1, y1 = (round(side) for side in face["box"])
        for x, y in ((x0, (y0 + y1) // 2), (x1, (y0 + y1) // 2), ((x0 + x1) // 2, y1)):
            assert int(np.argmax(drawn[y, x])) == channel

    def test_only_the_face_and_its_caption_are_drawn_over(self, run: Run, tmp_path: Path) -> None:
        run(OBAMA, "--gallery", PEOPLE, "--annotate", tmp_path)
        changed = differs(OBAMA, tmp_path / "barack-obama.annotated.jpg")
        assert changed.any()
        assert not changed[300:].any()

    def test_for_machines_the_written_files_are_told_on_standard_error(
        self, run: Run, tmp_path: Path
    ) -> None:
        result = run("--json", OBAMA, "--gallery", PEOPLE, "--annotate", tmp_path)
        assert len(faces(result)) == 1
        assert "written: " in result.stderr

    def test_photographs_of_one_name_in_several_folders_are_all_written(
        self, run: Run, tmp_path: Path
    ) -> None:
        assert OBAMA_ENROLLED_TOO.name == BIDEN_ENROLLED.name
        paths = [OBAMA_ENROLLED_TOO, BIDEN_ENROLLED]
        for _ in range(2):  # and again over those of the last time
            run(*paths, "--gallery", PEOPLE, "--annotate", tmp_path)
        names = ["blue-room-2010-2.annotated.jpg", "blue-room-2010.annotated.jpg"]
        assert sorted(path.name for path in tmp_path.glob("*.annotated.jpg")) == names
        assert read(tmp_path / names[1]).shape == read(paths[0]).shape
        assert read(tmp_path / names[0]).shape == read(paths[1]).shape

    def test_a_large_photograph_is_drawn_at_its_own_size(self, run: Run, tmp_path: Path) -> None:
        large = tmp_path / "large.jpg"
        image = cv2.resize(read(COLLINS), (2048, 2048)).astype(np.uint8)
        large.write_bytes(encode_jpeg(image))
        run(large, "--annotate", tmp_path / "out")
        assert read(tmp_path / "out" / "large.annotated.jpg").shape == (2048, 2048, 3)

    def test_a_folder_that_cannot_be_made_is_an_error(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        result = run(OBAMA, "--annotate", tmp_path / "file" / "folder")
        assert result.exit_code == 8
        assert "cannot be written" in result.stderr


class TestGalleriesOfAnyName:
    def test_two_folders_of_one_man_are_no_rivals(self, run: Run, tmp_path: Path) -> None:
        for name, path in (
            ("José", OBAMA_ENROLLED),
            ("Jose\u0301", OBAMA_ENROLLED_TOO),
            ("jose\u0301", OBAMA_ENROLLED),
        ):
            (tmp_path / "people" / name).mkdir(parents=True)
            shutil.copy(path, tmp_path / "people" / name)
        result = run(OBAMA, "--gallery", tmp_path / "people", "--json")
        assert result.exit_code == 0
        (face,) = json.loads(result.stdout)["faces"]
        assert face["known"]
        assert "the same person as" in result.stderr

    def test_a_name_that_is_no_text_is_passed_over(self, run: Run, tmp_path: Path) -> None:
        for name in (b"J\xfcrgen", b"Barack"):
            folder = os.path.join(os.fsencode(tmp_path), b"people", name)
            os.makedirs(folder)
            shutil.copy(os.fsencode(OBAMA_ENROLLED), os.path.join(folder, b"\xff.jpg"))
        shutil.copy(os.fsencode(OBAMA), os.path.join(os.fsencode(tmp_path), b"\xfe.jpg"))
        probe = tmp_path / os.fsdecode(b"\xfe.jpg")
        for more in ((), ("--json",), ("--annotate", tmp_path / "drawn")):
            result = run(probe, "--gallery", tmp_path / "people", *more)
            assert result.exit_code == 0
            assert "Barack" in result.stdout
            assert "passed over: " in result.stderr
