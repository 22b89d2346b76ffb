"""What people really have in their folders: nothing is passed over in silence, nothing lost."""

from __future__ import annotations

import io
import json
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image as Pillow

from lockd.recognition.recogniser import Vision
from tests.conftest import PEOPLE, PHOTOS, SCENES
from tests.enroll.conftest import Enrol, opened
from tests.enroll.test_adding import templates
from tests.invoking import Run
from tests.pictures import BIDEN_ENROLLED, OBAMA, OBAMA_ENROLLED, OBAMA_ENROLLED_TOO

JOSE = "José"
JOSE_APART = unicodedata.normalize("NFD", JOSE)


def put(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    return target


def saved_as(form: str, target: Path) -> None:
    file = io.BytesIO()
    Pillow.open(OBAMA_ENROLLED_TOO).convert("RGB").save(file, form)
    target.write_bytes(file.getvalue())


class TestNothingInSilence:
    @pytest.mark.parametrize("command", ["folder", "re-embed"])
    def test_all_that_is_nobodys_is_listed_with_its_reason(
        self, run: Run, tmp_path: Path, command: str
    ) -> None:
        folder = tmp_path / "people"
        put(OBAMA_ENROLLED, folder / "Barack" / "1.jpg")
        put(BIDEN_ENROLLED, folder / "loose.jpg")
        (folder / "Nobody").mkdir()
        result = run(command, folder)
        assert result.exit_code == 8
        for name in ("loose.jpg", "Nobody"):
            assert f"refused: {folder / name}: " in result.stderr

    def test_in_a_persons_folder_everything_is_looked_at(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "people"
        put(OBAMA_ENROLLED, folder / "Barack" / "photo")
        put(OBAMA, folder / "Barack" / "more" / "1.jpg")
        put(SCENES / "cat.jpg", folder / "Barack" / "clip.mov")
        (folder / "Barack" / "photo.aae").write_text("<plist/>")
        (folder / "Barack" / ".DS_Store").touch()
        (folder / "Barack" / "Thumbs.db").touch()
        result = run("folder", folder, "--json")
        assert result.exit_code == 8
        (barack,) = json.loads(result.stdout)
        assert barack["accepted"] == 1
        why = {Path(one["picture"]).name: one["message"] for one in barack["refused"]}
        assert why.keys() == {"more", "clip.mov", "photo.aae"}
        assert "a folder" in why["more"]
        assert "no face found" in why["clip.mov"]
        assert "not a photograph" in why["photo.aae"]

    def test_what_is_nobodys_is_told_to_programs_too(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "people"
        put(OBAMA_ENROLLED, folder / "Barack" / "1.jpg")
        put(OBAMA, folder / "loose.jpg")
        barack, loose = json.loads(run("folder", folder, "--json").stdout)
        assert (barack["accepted"], loose["accepted"]) == (1, 0)
        assert loose["name"] == "loose.jpg"
        assert "nobody's folder" in loose["error"]

    @pytest.mark.parametrize("form", ["AVIF", "WEBP", "TIFF", "BMP", "PNG", "JPEG"])
    @pytest.mark.parametrize("name", ["photo", "photo.jfif", "photo.txt"])
    def test_a_photograph_is_what_is_in_it(
        self, run: Run, tmp_path: Path, form: str, name: str
    ) -> None:
        folder = tmp_path / "people" / "Barack"
        folder.mkdir(parents=True)
        saved_as(form, folder / name)
        assert run("folder", folder.parent).exit_code == 0
        assert templates() == {"Barack": 1}

    def test_a_telephones_heic_is_enrolled(self, run: Run) -> None:
        assert run("add", "Barack", PHOTOS / "barack-obama.heic").exit_code == 0
        assert run("add", "Barack", OBAMA).exit_code == 0
        assert templates() == {"Barack": 2}


class TestAFolderForOne:
    def test_all_photographs_in_it_are_taken(self, run: Run) -> None:
        assert run("add", "Barack", PEOPLE / "Barack Obama").exit_code == 0
        assert templates() == {"Barack": 2}

    def test_one_with_people_in_it_is_refused_with_the_right_command(self, run: Run) -> None:
        result = run("add", "Everybody", PEOPLE)
        assert result.exit_code == 8
        assert "`lockd-enroll folder`" in result.stderr

    def test_an_empty_one_says_so(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        result = run("add", "Nobody", tmp_path / "empty")
        assert result.exit_code == 8
        assert "an empty folder" in result.stderr


class TestOnePerson:
    @pytest.fixture
    def twice(self, tmp_path: Path) -> Path:
        """Two folders whose names look the same, with one photograph each."""
        folder = tmp_path / "people"
        put(OBAMA_ENROLLED, folder / JOSE / "1.jpg")
        put(OBAMA_ENROLLED_TOO, folder / JOSE_APART / "2.jpg")
        assert len(list(folder.iterdir())) == 2
        return folder

    def test_two_folders_of_one_person_are_put_together_and_it_is_said(
        self, run: Run, twice: Path
    ) -> None:
        result = run("folder", twice)
        assert result.exit_code == 0
        assert templates() == {JOSE: 2}
        assert "the same person as" in result.stderr

    def test_enrolling_again_loses_none_of_them(self, run: Run, twice: Path, enrol: Enrol) -> None:
        enrol(JOSE, 0, 10, model="earlier")
        assert run("re-embed", twice).exit_code == 0
        assert templates() == {JOSE: 2}

    def test_a_name_with_an_underscore_is_found_again(
        self, run: Run, tmp_path: Path, enrol: Enrol, vision: Vision
    ) -> None:
        enrol("Barack_Obama", 0, model="earlier")
        put(OBAMA_ENROLLED, tmp_path / "people" / "BARACK  OBAMA" / "1.jpg")
        assert run("re-embed", tmp_path / "people").exit_code == 0
        with opened() as store:
            (kept,) = store.templates.of("Barack Obama")
        assert kept.model == vision.embedder.space.model

    @pytest.mark.parametrize("bad", [b"J\xfcrgen", b"x" * 70, "a\u202eb".encode()], ids=ascii)
    @pytest.mark.parametrize("command", ["folder", "re-embed"])
    def test_one_bad_name_stops_nothing(
        self, run: Run, enrol: Enrol, tmp_path: Path, bad: bytes, command: str
    ) -> None:
        enrol("Barack", 0, model="earlier")
        folder = tmp_path / "people"
        put(OBAMA_ENROLLED, folder / "Barack" / "1.jpg")
        os.mkdir(os.path.join(os.fsencode(folder), bad))
        result = run(command, folder)
        assert result.exit_code == 9
        assert "rename the folder" in result.stderr
        assert "Barack: 1 enrolled" in result.stdout
