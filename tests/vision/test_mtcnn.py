"""Faces are found where they are, in real photographs, and nowhere else."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakSet

import cv2
import numpy as np
import pytest

from lockd.recognition.recogniser import Vision
from lockd.types import Box, Face, Floats, Image
from lockd.vision import mtcnn
from lockd.vision.geometry import Octaves, iou
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector, Thresholds
from tests.conftest import PEOPLE, PHOTOS, ROOT, SCENES
from tests.pictures import COLLINS, OBAMA, read, side_by_side

PORTRAITS = sorted([*PHOTOS.glob("*.jpg"), *PEOPLE.glob("*/*.jpg")])
FRONTAL = [path for path in PORTRAITS if "profile" not in path.stem]


def collins() -> Image:
    return read(COLLINS)


def obama() -> Image:
    return read(OBAMA)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class SpoiledModels:
    """The real networks, with part of one network's answer replaced."""

    def __init__(self, models: Models, spoiled: str, channels: slice, value: float) -> None:
        self.manifest = models.manifest
        self._models = models
        self._spoiled = models.manifest["detector"][spoiled]
        self._channels, self._value = channels, value

    def network(self, name: str, shape: Any = None, *, threads: int = 1) -> Any:
        network = self._models.network(name, shape, threads=threads)
        return (
            _SpoiledNetwork(network, self._channels, self._value)
            if name == self._spoiled
            else network
        )


class _SpoiledNetwork:
    def __init__(self, network: Any, channels: slice, value: float) -> None:
        self._network, self._channels, self._value = network, channels, value
        self.input_shape = network.input_shape

    def __call__(self, pixels: Floats) -> Floats:
        answer: Floats = self._network(pixels)
        answer[..., self._channels] = self._value
        return answer


def same(first: Iterable[Face], second: Iterable[Face]) -> bool:
    one, other = list(first), list(second)
    return len(one) == len(other) and all(
        a.box == b.box and a.confidence == b.confidence and (a.landmarks == b.landmarks).all()
        for a, b in zip(one, other, strict=True)
    )


class TestRealPhotographs:
    @pytest.mark.parametrize("path", PORTRAITS, ids=name)
    def test_a_portrait_shows_exactly_one_face(self, vision: Vision, path: Path) -> None:
        (face,) = vision.detector.detect(read(path))
        assert 0.8 <= face.confidence <= 1.0

    @pytest.mark.parametrize("path", FRONTAL, ids=name)
    def test_the_landmarks_lie_as_in_a_face(self, vision: Vision, path: Path) -> None:
        (face,) = vision.detector.detect(read(path))
        assert face.landmarks.shape == (5, 2)
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
        inside = (face.landmarks >= (face.box.x0, face.box.y0)) & (
            face.landmarks <= (face.box.x1, face.box.y1)
        )
        assert inside.all()

    @pytest.mark.parametrize("path", sorted(SCENES.glob("*.jpg")), ids=name)
    def test_a_scene_without_people_shows_no_face(self, vision: Vision, path: Path) -> None:
        assert vision.detector.detect(read(path)) == []

    def test_a_face_may_reach_beyond_the_read(self, vision: Vision) -> None:
        (face,) = vision.detector.detect(read(PHOTOS / "barack-obama-left-edge.jpg"))
        assert face.box.x0 < 0

    def test_a_grey_photograph_shows_the_same_face(self, vision: Vision) -> None:
        (coloured,) = vision.detector.detect(collins())
        grey = cv2.cvtColor(cv2.cvtColor(collins(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        (found,) = vision.detector.detect(grey.astype(np.uint8))
        assert iou(coloured.box, found.box) > 0.85

    def test_two_people_are_two_faces_the_larger_first(self, vision: Vision) -> None:
        faces = vision.detector.detect(side_by_side(collins(), obama()))
        assert len(faces) == 2
        assert faces[0].box.x0 > 512 > faces[1].box.x1
        assert faces[0].box.width > faces[1].box.width

    def test_neighbours_do_not_change_where_a_face_is(self, vision: Vision) -> None:
        (alone,) = vision.detector.detect(obama())
        with_others = vision.detector.detect(side_by_side(obama(), collins(), collins()))
        assert len(with_others) == 3
        assert iou(alone.box, with_others[0].box) > 0.85


class TestWhere:
    @pytest.mark.parametrize(
        ("dx", "dy"), [(1, 0), (0, 1), (3, 5), (16, 0), (0, 37), (50, 50), (-40, 0), (-33, -20)]
    )
    def test_a_face_moved_by_whole_pixels_moves_its_box_along(
        self, vision: Vision, dx: int, dy: int
    ) -> None:
        image = collins()
        (before,) = vision.detector.detect(image)
        moved = np.roll(image, (dy, dx), axis=(0, 1))
        (after,) = vision.detector.detect(moved)
        box = before.box
        expected = Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy)
        assert iou(expected, after.box) > 0.85
        off = np.abs(after.landmarks - (before.landmarks + np.float32([dx, dy])))
        assert off.max() < 0.05 * box.width

    def test_a_mirrored_photograph_mirrors_box_and_landmarks(self, vision: Vision) -> None:
        image = collins()
        (face,) = vision.detector.detect(image)
        (found,) = vision.detector.detect(np.ascontiguousarray(image[:, ::-1]))
        width = image.shape[1]
        mirrored = Box(width - face.box.x1, face.box.y0, width - face.box.x0, face.box.y1)
        assert iou(mirrored, found.box) > 0.75
        expected = face.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (width, 0)
        assert np.abs(found.landmarks - expected).max() < 0.06 * face.box.width

    @pytest.mark.parametrize("scale", [0.8, 1.5, 2.0])
    def test_a_photograph_of_another_size_scales_the_box(
        self, vision: Vision, scale: float
    ) -> None:
        image = collins()
        (face,) = vision.detector.detect(image)
        other = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        (found,) = vision.detector.detect(other.astype(np.uint8))
        box = found.box
        back = Box(box.x0 / scale, box.y0 / scale, box.x1 / scale, box.y1 / scale)
        assert iou(face.box, back) > 0.8
        assert np.abs(found.landmarks / scale - face.landmarks).max() < 0.06 * face.box.width


class TestWhatIsLookedFor:
    def test_a_face_below_the_least_size_is_not_looked_for(self, vision: Vision) -> None:
        small = cv2.resize(collins(), (128, 128), interpolation=cv2.INTER_AREA).astype(np.uint8)
        assert vision.detector.detect(small) == []
        (found,) = Detector(vision.models, min_face_px=20).detect(small)
        assert found.box.height < 40

    @pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
    def test_each_stage_asks_for_its_own_confidence(self, vision: Vision, stage: str) -> None:
        strict = Thresholds(**{stage: 1 - 1e-12})
        assert Detector(vision.models, thresholds=strict).detect(collins()) == []

    def test_searching_halvings_made_before_changes_nothing(self, vision: Vision) -> None:
        octaves = Octaves(collins())
        octaves.resized(60, 60)
        assert same(vision.detector.detect_in(octaves), vision.detector.detect(collins()))

    def test_the_same_picture_always_shows_the_same(self, vision: Vision) -> None:
        first = vision.detector.detect(collins())
        vision.detector.detect(obama())
        assert same(first, vision.detector.detect(collins()))


class TestWhatIsHandedOn:
    """The cascade's own stages, done the slow way, find the same boxes."""

    def test_patches_are_judged_alike_in_batches_and_one_by_one(self, vision: Vision) -> None:
        crowd = side_by_side(*[collins(), obama()] * 4)
        one_by_one = Detector(SingleModels(vision.models))  # type: ignore[arg-type]
        expected, found = one_by_one.detect(crowd), vision.detector.detect(crowd)
        assert len(found) == len(expected) == 8
        for a, b in zip(found, expected, strict=True):
            assert np.abs(a.landmarks - b.landmarks).max() < 1


class TestOddPictures:
    @pytest.mark.parametrize(
        "shape",
        [(1, 1), (1, 1000), (1000, 1), (2, 2), (11, 11), (12, 12), (13, 400), (59, 59), (60, 60)],
    )
    @pytest.mark.parametrize("least", [20, 60])
    def test_a_tiny_or_thin_picture_shows_no_face(
        self, vision: Vision, shape: tuple[int, int], least: int
    ) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
        assert Detector(vision.models, min_face_px=least).detect(noise) == []

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_a_plain_surface_shows_no_face(self, vision: Vision, level: int) -> None:
        assert vision.detector.detect(np.full((480, 640, 3), level, np.uint8)) == []

    def test_noise_shows_no_face(self, vision: Vision) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)
        assert vision.detector.detect(noise) == []

    def test_a_picture_that_is_a_view_of_another_is_searched_alike(self, vision: Vision) -> None:
        wide = side_by_side(collins(), collins())
        view = wide[:, :512]
        assert not view.flags.c_contiguous
        assert same(vision.detector.detect(view), vision.detector.detect(collins()))

    def test_the_picture_is_not_changed(self, vision: Vision) -> None:
        image = collins()
        vision.detector.detect(image)
        np.testing.assert_array_equal(image, collins())


class TestBrokenNetworks:
    @pytest.mark.filterwarnings("ignore:invalid value")
    @pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_answers_that_are_not_finite_are_no_face(
        self, vision: Vision, stage: str, value: float
    ) -> None:
        broken: Any = SpoiledModels(vision.models, stage, slice(None), value)
        assert Detector(broken).detect(collins()) == []

    @pytest.mark.parametrize(
        ("stage", "channels"),
        [
            ("pnet", slice(0, 1)),
            ("pnet", slice(1, 2)),
            ("rnet", slice(0, 1)),
            ("rnet", slice(4, 5)),
            ("onet", slice(0, 1)),
            ("onet", slice(1, 5)),
            ("onet", slice(14, 15)),
        ],
    )
    def test_a_single_nan_in_an_answer_is_no_face(
        self, vision: Vision, stage: str, channels: slice
    ) -> None:
        broken: Any = SpoiledModels(vision.models, stage, channels, math.nan)
        assert Detector(broken).detect(collins()) == []


class CountingModels:
    """The real networks, and how often one was built."""

    def __init__(self, models: Models) -> None:
        self.manifest = models.manifest
        self.built = 0
        self.kept: WeakSet[Any] = WeakSet()
        self._models = models

    def network(self, name: str, shape: Any = None, *, threads: int = 1) -> Any:
        self.built += 1
        network = self._models.network(name, shape, threads=threads)
        self.kept.add(network)
        return network


class SingleModels(CountingModels):
    """The real networks, which judge one patch at a time, whatever batch is asked for."""

    def network(self, name: str, shape: Any = None, *, threads: int = 1) -> Any:
        if shape is None or shape[0] == 1:
            return super().network(name, shape, threads=threads)
        return _OneByOne(super().network(name, (1, *shape[1:]), threads=threads), shape)


class _OneByOne:
    def __init__(self, network: Any, shape: tuple[int, ...]) -> None:
        self._network, self.input_shape = network, shape

    def __call__(self, pixels: Floats) -> Floats:
        assert pixels.shape == self.input_shape
        return np.concatenate([self._network(one[None]) for one in pixels])


class TestTiles:
    @pytest.mark.parametrize("side", range(12, 200, 7))
    def test_every_window_lies_in_a_tile(self, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mtcnn, "TILE_PX", 40)
        starts = mtcnn.tile_starts(side)
        assert all(0 <= start <= max(0, side - 40) for start in starts)
        windows = range(0, side - 11, 2)
        assert all(any(one <= w and w + 12 <= one + 40 for one in starts) for w in windows)

    def test_in_tiles_the_same_faces_are_found(
        self, vision: Vision, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = vision.detector.detect(collins())
        monkeypatch.setattr(mtcnn, "TILE_PX", 40)
        tiled = Detector(vision.models).detect(collins())
        assert len(tiled) == len(whole) == 1
        assert iou(tiled[0].box, whole[0].box) > 0.95


class TestKeptNetworks:
    def test_a_second_frame_of_the_same_size_builds_nothing(self, vision: Vision) -> None:
        models: Any = CountingModels(vision.models)
        detector = Detector(models)
        detector.detect(collins())
        built = models.built
        assert same(detector.detect(collins()), vision.detector.detect(collins()))
        assert models.built == built

    def test_networks_of_sizes_long_gone_are_given_up(
        self, vision: Vision, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mtcnn, "KEPT_PX", 3000)
        models: Any = CountingModels(vision.models)
        detector = Detector(models)
        other_networks = len(models.kept)
        for _ in range(2):
            for image in (collins(), obama()):
                assert same(detector.detect(image), vision.detector.detect(image))
        gc.collect()
        assert len(models.kept) <= other_networks + 3
