"""Photographs in files, and the people in a folder of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lockd.errors import ImageError
from lockd.identity.gallery import Gallery
from lockd.recognition.photographs import (
    REMEDY,
    gallery_of,
    people_in,
    read,
    reduced,
    search,
    template_in,
    template_of,
)
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Image, Unfit
from lockd.vision.geometry import iou
from lockd.vision.pictures import encode_jpeg
from lockd.vision.quality import Limits
from tests import pictures
from tests.conftest import PEOPLE, SCENES
from tests.memory import growth_kib
from tests.pictures import BIDEN_ENROLLED, COLLINS, OBAMA, OBAMA_ENROLLED, as_stored, side_by_side

LIMITS = Limits()


def save(image: Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(image, 95))
    return path


def scaled(path: Path, scale: float) -> Image:
    image = pictures.read(path)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )


def refusal(path: Path, vision: Vision) -> str:
    with pytest.raises(ImageError) as caught:
        template_of(path, vision, LIMITS)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


class TestReading:
    def test_a_small_photograph_is_searched_as_it_is(self, vision: Vision) -> None:
        (found,) = read(COLLINS, vision).faces
        (expected,) = vision.detector.detect(pictures.read(COLLINS))
        assert found.box == expected.box

    def test_faces_in_a_large_photograph_are_told_in_its_own_pixels(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        (small,) = read(COLLINS, vision).faces
        large = read(save(scaled(COLLINS, 5), tmp_path / "large.jpg"), vision)
        assert large.image.shape == (2560, 2560, 3)
        (face,) = large.faces
        box = face.box
        back = type(box)(box.x0 / 5, box.y0 / 5, box.x1 / 5, box.y1 / 5)
        assert iou(back, small.box) > 0.8
        assert np.abs(face.landmarks / 5 - small.landmarks).max() < 6

    def test_a_large_photograph_gives_the_same_template(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        large = save(scaled(COLLINS, 4), tmp_path / "large.jpg")
        similarity = template_of(large, vision, LIMITS) @ template_of(COLLINS, vision, LIMITS)
        assert float(similarity) > 0.95

    @pytest.mark.parametrize("orientation", [3, 6, 8])
    def test_a_photograph_taken_with_the_camera_turned_gives_the_same_template(
        self, vision: Vision, tmp_path: Path, orientation: int
    ) -> None:
        turned = tmp_path / "turned.jpg"
        stored = encode_jpeg(as_stored(pictures.read(COLLINS), orientation), 95)
        turned.write_bytes(pictures.with_orientation(stored, orientation))
        similarity = template_of(turned, vision, LIMITS) @ template_of(COLLINS, vision, LIMITS)
        assert float(similarity) > 0.95

    def test_a_file_that_is_not_there_is_an_image_error(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        with pytest.raises(ImageError, match=r"gone\.jpg: No such file"):
            read(tmp_path / "gone.jpg", vision)

    def test_what_is_no_file_is_refused_without_waiting_for_it(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
            with pytest.raises(ImageError, match="no file, but a folder or device"):
                read(path, vision)

    def test_a_file_without_end_is_not_read_to_its_end(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        with (tmp_path / "large.jpg").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(ImageError, match="larger than 64 MiB"):
            read(tmp_path / "large.jpg", vision)


def pasted(small: Image, width: int, height: int, x: float, y: float) -> Image:
    """A large picture with a small one in it, whose middle is at a part of its sides."""
    canvas = np.full((height, width, 3), (150, 140, 130), np.uint8)
    top = round((height - small.shape[0]) * y)
    left = round((width - small.shape[1]) * x)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


class TestLargePhotographs:
    @pytest.mark.parametrize(
        "size", [(4032, 3024), (8160, 6120), (16_000, 1500), (1500, 12_000)], ids=str
    )
    @pytest.mark.parametrize("place", [(0.0, 0.0), (0.37, 0.61), (1.0, 1.0)], ids=str)
    def test_a_face_that_the_door_would_take_is_found_wherever_it_is(
        self, vision: Vision, size: tuple[int, int], place: tuple[float, float]
    ) -> None:
        small = pictures.read(OBAMA)
        photograph = search(pasted(small, *size, *place), vision)
        embedding = template_in(photograph, vision, LIMITS, "large")
        assert float(embedding @ template_of(OBAMA, vision, LIMITS)) > 0.97

    def test_a_face_of_the_least_size_is_found_too(self, vision: Vision) -> None:
        small = scaled(OBAMA, 0.54)
        (alone,) = search(small, vision).faces
        assert 80 <= max(alone.box.width, alone.box.height) < 125
        photograph = search(pasted(small, 6000, 4000, 0.3, 0.8), vision)
        template_in(photograph, vision, LIMITS, "least")

    def test_a_passer_by_who_is_fit_for_the_door_does_not_count_beside_a_portrait(
        self, vision: Vision
    ) -> None:
        portrait = pasted(scaled(OBAMA, 4), 4032, 3024, 0.0, 0.5)
        passer_by = pictures.read(COLLINS)
        portrait[:512, -512:] = passer_by
        photograph = search(portrait, vision)
        assert len(photograph.faces) == 2
        embedding = template_in(photograph, vision, LIMITS, "portrait")
        assert float(embedding @ template_of(OBAMA, vision, LIMITS)) > 0.9

    def test_two_people_far_away_are_two(self, vision: Vision) -> None:
        pair = side_by_side(pictures.read(COLLINS), pictures.read(OBAMA))
        photograph = search(pasted(pair, 6000, 4000, 0.5, 0.5), vision)
        with pytest.raises(ImageError, match="shows 2 faces"):
            template_in(photograph, vision, LIMITS, "pair")

    def test_what_is_found_in_the_reduced_picture_stays_found(self, vision: Vision) -> None:
        large = pasted(scaled(OBAMA, 3), 3000, 2600, 0.5, 0.5)
        first = vision.detector.detect(reduced(large))
        found = search(large, vision).faces
        scale = 1280 / 3000
        for face in first:
            box = face.box
            whole = type(box)(*(s / scale for s in (box.x0, box.y0, box.x1, box.y1)))
            assert max(iou(whole, one.box) for one in found) > 0.999

    @pytest.mark.thorough
    def test_it_takes_little_more_memory_than_the_picture(self, tmp_path: Path) -> None:
        save(pasted(pictures.read(OBAMA), 8160, 6144, 0.4, 0.4), tmp_path / "50mp.jpg")
        prepare = (
            "from lockd.config import Settings\n"
            "from lockd.recognition.photographs import read\n"
            "from lockd.recognition.recogniser import Vision\n"
            "vision = Vision(Settings(recognition={'threads': 1}))"
        )
        work = "assert len(read(file, vision).faces) == 1"
        assert growth_kib(prepare, work, tmp_path / "50mp.jpg") < 480 << 10


class TestTemplates:
    def test_a_template_is_a_unit_vector(self, vision: Vision) -> None:
        template = template_of(OBAMA, vision, LIMITS)
        assert float(np.linalg.norm(template)) == pytest.approx(1.0, abs=1e-5)

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda image: (image * 0.15).astype(np.uint8), Unfit.TOO_DARK),
            (lambda image: (image * 0.25 + 190).astype(np.uint8), Unfit.TOO_BRIGHT),
            (lambda image: cv2.GaussianBlur(image, (0, 0), 7), Unfit.BLURRED),
            (lambda image: cv2.resize(image, (320, 320)), Unfit.TOO_SMALL),
            (lambda image: image[:, :240], Unfit.CUT_OFF),
        ],
        ids=["dark", "bright", "blurred", "small", "cut"],
    )
    def test_a_photograph_that_no_door_could_judge_is_refused_with_the_remedy(
        self, vision: Vision, tmp_path: Path, spoil: Callable[[Image], Image], reason: Unfit
    ) -> None:
        spoiled = np.ascontiguousarray(spoil(pictures.read(COLLINS)))
        message = refusal(save(spoiled, tmp_path / "spoiled.jpg"), vision)
        assert message == f"the face is {reason.value.replace('_', ' ')}; {REMEDY[reason]}"

    def test_there_is_a_remedy_for_every_reason(self) -> None:
        assert REMEDY.keys() == set(Unfit)

    def test_a_photograph_without_a_face_is_refused(self, vision: Vision) -> None:
        assert refusal(SCENES / "cat.jpg", vision).startswith("no face found")

    def test_a_photograph_of_two_people_is_refused(self, vision: Vision, tmp_path: Path) -> None:
        pair = side_by_side(pictures.read(COLLINS), pictures.read(OBAMA))
        message = refusal(save(pair, tmp_path / "pair.jpg"), vision)
        assert message.startswith("shows 2 faces")
        assert "alone" in message

    def test_a_passer_by_in_the_background_does_not_count(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        passer_by = scaled(COLLINS, 0.66)  # too small to be judged, large enough to be seen
        path = save(side_by_side(pictures.read(OBAMA), passer_by), tmp_path / "background.jpg")
        assert len(read(path, vision).faces) == 2
        similarity = template_of(path, vision, LIMITS) @ template_of(OBAMA, vision, LIMITS)
        assert float(similarity) > 0.9

    def test_a_face_for_which_the_networks_have_no_answer_is_refused(
        self, vision: Vision, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nothing(*_: object) -> Embedding:
            return np.full(vision.embedder.size, np.nan, np.float32)

        monkeypatch.setattr(vision.embedder, "template", nothing)
        assert "no answer" in refusal(OBAMA, vision)


class TestFolders:
    def test_people_come_by_name_with_their_pictures_by_name(self) -> None:
        people = people_in(PEOPLE).photographs
        assert list(people) == ["Barack Obama", "Joe Biden"]
        obama = people["Barack Obama"]
        assert [path.name for path in obama] == ["blue-room-2010.jpg", "congress-2009.jpg"]

    def test_what_is_nobodys_is_told_and_what_is_hidden_is_not(self, tmp_path: Path) -> None:
        hidden = (".cache/b.jpg", "Ada/.DS_Store", "Ada/Thumbs.db", "desktop.ini", ".a.jpg")
        for name in ("Ada/a.heic", "Ada/more/b.jpg", "Ada/notes.txt", *hidden, "group.jpg"):
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).touch()
        (tmp_path / "Nobody").mkdir()
        (tmp_path / "Eve\x1b[2J").mkdir()
        found = people_in(tmp_path)
        names = ("a.heic", "more", "notes.txt")
        assert found.photographs == {"Ada": [tmp_path / "Ada" / name for name in names]}
        why = {path.name: str(error) for path, error in found.passed_over.items()}
        assert why.keys() == {"group.jpg", "Nobody", "Eve\x1b[2J"}
        assert "in nobody's folder" in why["group.jpg"]
        assert "empty folder" in why["Nobody"]
        assert "cannot be part of a name" in why["Eve\x1b[2J"]

    @pytest.mark.parametrize(
        "names",
        [
            ("José García", "Jose\u0301 Garci\u0301a"),
            ("Ada_Lovelace", "Ada Lovelace", "ada  lovelace"),
            ("STRASSE", "Straße"),
            ("\u0645\u06cc\u062e", "\u0645\u06cc\u200c\u062e"),
        ],
        ids=ascii,
    )
    def test_folders_that_mean_one_person_are_put_together_and_it_is_said(
        self, tmp_path: Path, names: tuple[str, ...]
    ) -> None:
        for number, name in enumerate(names):
            (tmp_path / name).mkdir()
            (tmp_path / name / f"{number}.jpg").touch()
        found = people_in(tmp_path)
        ((_, photographs),) = found.photographs.items()
        assert {path.stem for path in photographs} == set(map(str, range(len(names))))
        assert len(found.remarks) == len(names) - 1
        assert all("the same person as" in one for one in found.remarks)

    def test_a_folder_whose_name_is_no_text_is_passed_over(self, tmp_path: Path) -> None:
        for name in (b"J\xfcrgen", b"Ok"):
            path = os.path.join(os.fsencode(tmp_path), name)
            os.mkdir(path)
            with open(os.path.join(path, b"a.jpg"), "wb"):
                pass
        found = people_in(tmp_path)
        assert list(found.photographs) == ["Ok"]
        assert ["rename the folder" in str(one) for one in found.passed_over.values()] == [True]

    def test_a_folder_of_nobody_says_how_it_should_look(self, tmp_path: Path) -> None:
        (tmp_path / "ada.jpg").touch()
        with pytest.raises(ImageError, match="make one per person") as caught:
            people_in(tmp_path)
        assert "ada.jpg: in nobody's folder" in str(caught.value)

    def test_a_folder_that_is_not_there_is_an_image_error(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="No such file"):
            people_in(tmp_path / "gone")

    def test_underscores_are_spaces(self, tmp_path: Path) -> None:
        (tmp_path / "Ada_King_Lovelace_").mkdir()
        (tmp_path / "Ada_King_Lovelace_" / "a.jpg").touch()
        assert list(people_in(tmp_path).photographs) == ["Ada King Lovelace"]

    def test_photographs_inside_a_folder_of_a_folder_are_told_of(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        (tmp_path / "more").mkdir()
        assert refusal(tmp_path / "more", vision).startswith("a folder, no photograph")


class TestGalleryOfFolder:
    @staticmethod
    def made(folder: Path, vision: Vision) -> tuple[Gallery, list[str]]:
        refused: list[str] = []
        gallery = gallery_of(
            people_in(folder), vision, LIMITS, lambda error: refused.append(str(error))
        )
        return gallery, refused

    def test_it_knows_the_people_and_nobody_else(self, vision: Vision) -> None:
        gallery, refused = self.made(PEOPLE, vision)
        assert refused == []
        assert len(gallery) == 3
        for path, name in ((OBAMA, "Barack Obama"), (COLLINS, None)):
            probe = template_of(path, vision, LIMITS)
            person = gallery.identify(probe, accept=0.7, margin=0.05).person
            assert (person.name if person else None) == name

    def test_what_is_refused_is_told_and_the_rest_is_enrolled(
        self, vision: Vision, tmp_path: Path
    ) -> None:
        for name, path in (
            ("Barack_Obama/good.jpg", OBAMA_ENROLLED),
            ("Barack_Obama/cat.jpg", SCENES / "cat.jpg"),
            ("Cat/cat.jpg", SCENES / "cat.jpg"),
            ("Joe/good.jpg", BIDEN_ENROLLED),
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(path.read_bytes())
        (tmp_path / "Joe" / "torn.jpg").write_bytes(b"torn")
        gallery, refused = self.made(tmp_path, vision)
        assert sorted(person.name for person in gallery.people) == ["Barack Obama", "Joe"]
        assert len(gallery) == 2
        assert [message.split(": ")[0] for message in refused] == [
            str(tmp_path / name) for name in ("Barack_Obama/cat.jpg", "Cat/cat.jpg", "Joe/torn.jpg")
        ]

    def test_a_persons_id_is_the_same_every_time(self, vision: Vision) -> None:
        first, second = (self.made(PEOPLE, vision)[0] for _ in range(2))
        assert first.people == second.people
        assert len({person.id for person in first.people}) == 2
