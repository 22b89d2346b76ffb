"""A face that cannot be judged is refused for the reason that a person could mend."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lockd.recognition.recogniser import Vision
from lockd.types import Box, Face, Image, Unfit
from lockd.vision.geometry import Octaves
from lockd.vision.quality import Limits, Quality, measure, merit, unfit
from tests.conftest import PEOPLE, PHOTOS, ROOT
from tests.fakes import face_at
from tests.pictures import COLLINS, OBAMA, PROFILE, read

GOOD = Quality(size_px=150, inside=1.0, luma=120, sharpness=0.5, yaw=0.0, pitch=0.5, confidence=1.0)


def judged(vision: Vision, image: Image) -> Unfit | None:
    """What is said of the one face that the detector finds."""
    octaves = Octaves(image)
    (face,) = vision.detector.detect_in(octaves)
    return unfit(measure(octaves, face), Limits())


def with_light(image: Image, gain: float, offset: float = 0.0) -> Image:
    return np.clip(image.astype(float) * gain + offset, 0, 255).astype(np.uint8)


def moved(face: Face, **landmarks: tuple[float, float]) -> Face:
    """The face with some landmarks moved by so many pixels."""
    names = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    points = face.landmarks.copy()
    for name, by in landmarks.items():
        points[names.index(name)] += by
    return dataclasses.replace(face, landmarks=points)


class TestRealPhotographs:
    @pytest.mark.parametrize(
        "path",
        [COLLINS, OBAMA, *sorted(PEOPLE.glob("*/*.jpg"))],
        ids=lambda path: path.relative_to(ROOT).as_posix(),
    )
    def test_a_portrait_is_fit(self, vision: Vision, path: Path) -> None:
        assert judged(vision, read(path)) is None

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda image: with_light(image, 0.15), Unfit.TOO_DARK),
            (lambda image: with_light(image, 0.5, 150), Unfit.TOO_BRIGHT),
            (lambda image: cv2.GaussianBlur(image, (0, 0), 6), Unfit.BLURRED),
            (lambda image: cv2.resize(image, (320, 320)), Unfit.TOO_SMALL),
            (lambda image: image[:, :240], Unfit.CUT_OFF),
        ],
        ids=["dark", "bright", "blurred", "small", "cut"],
    )
    def test_a_spoiled_portrait_is_unfit_for_what_spoiled_it(
        self, vision: Vision, spoil: Callable[[Image], Image], reason: Unfit
    ) -> None:
        assert judged(vision, np.ascontiguousarray(spoil(read(COLLINS)))) == reason

    @pytest.mark.parametrize("sigma", [10, 12])
    def test_a_face_blurred_beyond_recognition_is_no_stranger(
        self, vision: Vision, sigma: int
    ) -> None:
        image = read(OBAMA)
        sharp = vision.embedder.embed(*found(vision, image))
        octaves, face = found(vision, cv2.GaussianBlur(image, (0, 0), sigma).astype(np.uint8))
        assert float(vision.embedder.embed(octaves, face) @ sharp) < vision.embedder.accept
        assert unfit(measure(octaves, face), Limits()) == Unfit.BLURRED

    def test_motion_blurs_a_portrait_too(self, vision: Vision) -> None:
        streak = np.zeros((25, 25), np.float32)
        streak[12] = 1 / 25
        streaked = cv2.filter2D(read(COLLINS), -1, streak).astype(np.uint8)
        sharp = measure(*found(vision, read(COLLINS))).sharpness
        assert measure(*found(vision, streaked)).sharpness < 0.6 * sharp

    def test_a_face_in_profile_is_turned_away(self, vision: Vision) -> None:
        large = cv2.resize(read(PROFILE), (1024, 1024))
        assert judged(vision, large.astype(np.uint8)) == Unfit.TURNED_AWAY

    def test_a_face_cut_by_the_border_is_cut_off(self, vision: Vision) -> None:
        assert judged(vision, read(PHOTOS / "barack-obama-right-edge.jpg")) == Unfit.CUT_OFF

    def test_sharpness_is_measured_alike_at_every_distance(self, vision: Vision) -> None:
        image = read(OBAMA)
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        near = measure(*found(vision, image)).sharpness
        far = measure(*found(vision, half.astype(np.uint8))).sharpness
        assert far == pytest.approx(near, rel=0.2)

    def test_sharpness_does_not_depend_on_the_contrast_of_the_light(self, vision: Vision) -> None:
        octaves, face = found(vision, read(COLLINS))
        flat = Octaves(with_light(octaves.image, 0.4, 60))
        assert measure(flat, face).sharpness == pytest.approx(
            measure(octaves, face).sharpness, rel=0.05
        )


def found(vision: Vision, image: Image) -> tuple[Octaves, Face]:
    octaves = Octaves(image)
    (face,) = vision.detector.detect_in(octaves)
    return octaves, face


class TestMeasures:
    def test_the_size_is_the_longer_side(self) -> None:
        octaves = Octaves(np.full((300, 300, 3), 100, np.uint8))
        tall = dataclasses.replace(face_at(50, 50), box=Box(50, 50, 110, 140))
        assert measure(octaves, tall).size_px == 90

    @pytest.mark.parametrize(
        ("x", "y", "inside"),
        [(50, 50, 1.0), (-50, 50, 0.5), (50, -20, 0.8), (250, 50, 0.5), (-500, 50, 0.0)],
    )
    def test_the_part_inside_is_that_of_the_area(self, x: float, y: float, inside: float) -> None:
        octaves = Octaves(np.full((300, 300, 3), 100, np.uint8))
        assert measure(octaves, face_at(x, y, 100)).inside == pytest.approx(inside)

    @pytest.mark.parametrize("level", [0, 90, 255])
    def test_the_luma_is_that_of_the_middle_of_the_face(self, level: int) -> None:
        image = np.full((200, 200, 3), 255 - level, np.uint8)
        image[60:140, 60:140] = level
        assert measure(Octaves(image), face_at(50, 50, 100)).luma == pytest.approx(level, abs=1)

    def test_a_plain_surface_has_no_sharpness(self) -> None:
        image = np.full((200, 200, 3), 100, np.uint8)
        assert measure(Octaves(image), face_at(50, 50)).sharpness == 0.0

    def test_a_frontal_face_looks_ahead(self) -> None:
        image = np.full((200, 200, 3), 100, np.uint8)
        quality = measure(Octaves(image), face_at(50, 50))
        assert quality.yaw == pytest.approx(0, abs=1e-6)
        assert quality.pitch == pytest.approx(0.2 / 0.38, abs=1e-3)

    @pytest.mark.parametrize("roll", [-60, -20, 45, 90, 180])
    def test_a_head_laid_on_its_side_is_not_turned(self, roll: float) -> None:
        face = moved(face_at(50, 50), nose=(8, 3))
        turn = cv2.getRotationMatrix2D((100, 100), roll, 1.0)
        rolled = cv2.transform(face.landmarks[None], turn)[0].astype(np.float32)
        octaves = Octaves(np.full((200, 200, 3), 100, np.uint8))
        before = measure(octaves, face)
        after = measure(octaves, dataclasses.replace(face, landmarks=rolled))
        assert after.yaw == pytest.approx(before.yaw, abs=1e-4)
        assert after.pitch == pytest.approx(before.pitch, abs=1e-4)

    @pytest.mark.parametrize(
        "turn",
        [
            {"nose": (25, 0)},
            {"nose": (-25, 0)},
            {"nose": (0, 15)},
            {"nose": (0, -15)},
        ],
        ids=["right", "left", "down", "up"],
    )
    def test_a_turned_head_is_turned_away(self, turn: dict[str, tuple[float, float]]) -> None:
        image = np.random.default_rng(1).integers(80, 160, (200, 200, 3)).astype(np.uint8)
        octaves = Octaves(image)
        assert unfit(measure(octaves, face_at(50, 50)), Limits()) is None
        assert unfit(measure(octaves, moved(face_at(50, 50), **turn)), Limits()) == (
            Unfit.TURNED_AWAY
        )

    @pytest.mark.parametrize(
        "face",
        [
            moved(face_at(50, 50), right_eye=(-40, 0)),
            moved(face_at(50, 50), left_mouth=(0, -38), right_mouth=(0, -38)),
            moved(face_at(50, 50), left_mouth=(0, -70), right_mouth=(0, -70)),
        ],
        ids=["one eye", "mouth on the eyes", "mouth above the eyes"],
    )
    def test_landmarks_of_no_face_are_turned_away_and_divide_by_nothing(self, face: Face) -> None:
        octaves = Octaves(np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8))
        assert unfit(measure(octaves, face), Limits()) == Unfit.TURNED_AWAY

    def test_landmarks_that_are_nan_are_turned_away(self) -> None:
        octaves = Octaves(np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8))
        lost = dataclasses.replace(face_at(50, 50), landmarks=np.full((5, 2), np.nan, np.float32))
        assert unfit(measure(octaves, lost), Limits()) == Unfit.TURNED_AWAY


class TestLimits:
    @pytest.mark.parametrize(
        ("measure_name", "limit", "reason", "sign"),
        [
            ("size_px", "min_face_px", Unfit.TOO_SMALL, -1),
            ("inside", "min_inside", Unfit.CUT_OFF, -1),
            ("confidence", "min_confidence", Unfit.HARDLY_A_FACE, -1),
            ("luma", "min_luma", Unfit.TOO_DARK, -1),
            ("luma", "max_luma", Unfit.TOO_BRIGHT, 1),
            ("sharpness", "min_sharpness", Unfit.BLURRED, -1),
            ("yaw", "max_yaw", Unfit.TURNED_AWAY, 1),
            ("pitch", "min_pitch", Unfit.TURNED_AWAY, -1),
            ("pitch", "max_pitch", Unfit.TURNED_AWAY, 1),
        ],
    )
    def test_a_limit_itself_passes_and_a_hair_beyond_it_does_not(
        self, measure_name: str, limit: str, reason: Unfit, sign: int
    ) -> None:
        value = float(getattr(Limits(), limit))
        beyond = math.nextafter(value, math.inf * sign)
        assert unfit(dataclasses.replace(GOOD, **{measure_name: value}), Limits()) is None
        assert unfit(dataclasses.replace(GOOD, **{measure_name: beyond}), Limits()) == reason

    def test_a_head_may_turn_as_far_to_either_side(self) -> None:
        assert unfit(dataclasses.replace(GOOD, yaw=-0.45), Limits()) is None
        assert unfit(dataclasses.replace(GOOD, yaw=-0.46), Limits()) == Unfit.TURNED_AWAY

    @pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Quality)])
    def test_a_measure_that_is_nan_is_refused(self, name: str) -> None:
        spoiled = dataclasses.replace(GOOD, **{name: math.nan})
        assert unfit(spoiled, Limits()) is not None

    def test_what_is_easiest_to_mend_is_said_first(self) -> None:
        nothing_good = Quality(
            size_px=1, inside=0, luma=0, sharpness=0, yaw=9, pitch=9, confidence=0
        )
        assert unfit(nothing_good, Limits()) == Unfit.TOO_SMALL
        whole_and_near = dataclasses.replace(nothing_good, size_px=200, inside=1)
        assert unfit(whole_and_near, Limits()) == Unfit.TOO_DARK


class TestMerit:
    GOOD = Quality(
        size_px=160, inside=1, luma=120, sharpness=0.5, yaw=0.0, pitch=0.5, confidence=1.0
    )

    @pytest.mark.parametrize(
        "worse",
        [{"size_px": 90.0}, {"sharpness": 0.2}, {"yaw": 0.3}, {"yaw": -0.3}, {"confidence": 0.9}],
    )
    def test_a_picture_worse_in_one_way_has_less_of_it(self, worse: dict[str, float]) -> None:
        assert (
            0
            < merit(dataclasses.replace(self.GOOD, **worse), Limits())
            < merit(self.GOOD, Limits())
            <= 1
        )
