"""A face that is there scores higher than a picture of it, and every doubt is not live."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.errors import ModelError
from lockd.recognition.recogniser import Vision
from lockd.types import Box, Face, Floats, Image
from lockd.vision.liveness import LIVE, Liveness, context, log_odds
from lockd.vision.models import Models
from tests.conftest import ROOT
from tests.pad import held_up
from tests.pictures import COLLINS, OBAMA, read

PORTRAITS = sorted((ROOT / "demo").rglob("*.jpg"))
NO_LANDMARKS = np.zeros((5, 2), np.float32)


@pytest.fixture(scope="module")
def liveness(vision: Vision) -> Liveness:
    return Liveness(vision.models)


def face_in(vision: Vision, image: Image) -> Face:
    return vision.detector.detect(image)[0]


class TestPhotographs:
    @pytest.mark.parametrize("path", PORTRAITS, ids=lambda path: "-".join(path.parts[-2:]))
    def test_somebody_scores_higher_than_a_print_of_them(
        self, vision: Vision, liveness: Liveness, path: Path
    ) -> None:
        image = read(path)
        held = held_up(image)
        there = liveness.score(image, face_in(vision, image))
        assert there > 0 < there - liveness.score(held, face_in(vision, held)) - 0.5

    def test_red_and_blue_in_the_wrong_order_look_less_alive(
        self, vision: Vision, liveness: Liveness
    ) -> None:
        def mean(swap: bool) -> float:
            found = []
            for path in PORTRAITS:
                image = read(path)
                face = face_in(vision, image)
                seen = np.ascontiguousarray(image[..., ::-1]) if swap else image
                found.append(liveness.score(seen, face))
            return float(np.mean(found))

        assert mean(swap=False) - mean(swap=True) > 2

    def test_the_same_picture_always_gives_the_same_score(
        self, vision: Vision, liveness: Liveness
    ) -> None:
        image = read(COLLINS)
        face = face_in(vision, image)
        first = liveness.score(image, face)
        liveness.score(read(OBAMA), face)
        assert liveness.score(image, face) == first

    def test_mirrored_is_as_in_a_mirror(self, vision: Vision, liveness: Liveness) -> None:
        image = read(COLLINS)
        # From even pixels to even ones, so that both are halved along the same pixels.
        found = face_in(vision, image).box
        sides = (found.x0, found.y0, found.x1, found.y1)
        face = Face(Box(*(2.0 * round(side / 2) for side in sides)), NO_LANDMARKS, 1.0)
        width = image.shape[1]
        box = Box(width - face.box.x1, face.box.y0, width - face.box.x0, face.box.y1)
        turned = np.ascontiguousarray(image[:, ::-1])
        seen = liveness.score(image, face, mirrored=True)
        as_well = liveness.score(turned, Face(box, NO_LANDMARKS, 1.0))
        assert seen == pytest.approx(as_well, abs=0.2)
        assert seen != liveness.score(image, face)


class TestComposition:
    @staticmethod
    def changed(vision: Vision, change: Callable[[dict[str, Any]], object]) -> Models:
        manifest = copy.deepcopy(vision.models.manifest)
        change(manifest)
        return dataclasses.replace(vision.models, manifest=manifest)

    def test_the_fingerprint_is_that_of_the_networks_not_of_the_object(
        self, vision: Vision, liveness: Liveness
    ) -> None:
        again = Liveness(Models.load(vision.models.folder), threads=2)
        assert again.fingerprint == liveness.fingerprint
        assert len(bytes.fromhex(again.fingerprint)) == 32

    @pytest.mark.parametrize(
        "change",
        [
            lambda m: m["liveness"]["shipped"]["networks"][0].update(enlarged=2.8),
            lambda m: m["networks"]["liveness"].update(sha256="0" * 64),
            lambda m: m["liveness"].update(more=m["liveness"]["shipped"]),
        ],
        ids=["crop", "file", "another network"],
    )
    def test_the_fingerprint_differs_with_whatever_makes_scores_differ(
        self, vision: Vision, liveness: Liveness, change: Callable[[dict[str, Any]], object]
    ) -> None:
        other = Liveness(self.changed(vision, change))
        assert other.fingerprint != liveness.fingerprint

    def test_the_scores_of_several_networks_are_summed(
        self, vision: Vision, liveness: Liveness
    ) -> None:
        twice = self.changed(vision, lambda m: m["liveness"].update(more=m["liveness"]["shipped"]))
        image = read(COLLINS)
        face = face_in(vision, image)
        once = liveness.score(image, face)
        assert Liveness(twice).score(image, face) == pytest.approx(2 * once, rel=1e-6)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda m: m.pop("liveness"), "composes no network for liveness"),
            (lambda m: m["liveness"].clear(), "composes no network for liveness"),
            (
                lambda m: m["liveness"]["shipped"]["networks"][0].update(crop="square"),
                "the crop 'square' of liveness is unknown",
            ),
            (
                lambda m: m["networks"]["liveness"]["output"].update(channels=["attack", LIVE]),
                "the first channel 'attack' of liveness is unknown",
            ),
        ],
        ids=["none", "empty", "crop", "classes"],
    )
    def test_what_it_does_not_know_is_refused(
        self, vision: Vision, change: Callable[[dict[str, Any]], object], said: str
    ) -> None:
        with pytest.raises(ModelError, match=said):
            Liveness(self.changed(vision, change))


class TestLogOdds:
    def test_they_are_those_of_the_softmax(self) -> None:
        logits = np.array([2.0, -1.0, 0.5], np.float32)
        share = math.exp(2) / (math.exp(2) + math.exp(-1) + math.exp(0.5))
        assert log_odds(logits) == pytest.approx(math.log(share / (1 - share)))

    def test_great_logits_do_not_overflow(self) -> None:
        assert log_odds(np.array([5e3, -5e3, -5e3], np.float32)) == pytest.approx(1e4 - math.log(2))

    @pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_network_without_an_answer_says_neither(self, broken: float, place: int) -> None:
        logits: Floats = np.zeros(3, np.float32)
        logits[place] = broken
        assert math.isnan(log_odds(logits))


def picture(height: int, width: int) -> Image:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)


class TestContext:
    def test_the_cut_has_the_boxs_middle_where_there_is_room(self) -> None:
        image = picture(200, 300)
        found = context(image, Box(140, 90, 160, 110), 2.0, 40)
        np.testing.assert_array_equal(found, image[80:120, 130:170])

    def test_it_is_moved_into_the_picture(self) -> None:
        image = picture(200, 300)
        found = context(image, Box(-5, 185, 15, 205), 2.0, 40)
        np.testing.assert_array_equal(found, image[160:200, 0:40])

    def test_it_is_made_smaller_in_proportion_and_then_moved(self) -> None:
        image = picture(60, 300)
        # 40 by 80 around (150, 30) does not fit into 60 rows: 30 by 60 does.
        found = context(image, Box(140, 10, 160, 50), 2.0, 60)
        np.testing.assert_array_equal(found, context(image[:, 135:165], Box(0, 0, 30, 60), 1, 60))

    def test_it_is_stretched_to_a_square(self) -> None:
        image = picture(200, 300)
        found = context(image, Box(140, 80, 160, 120), 1.0, 20)
        assert found is not None
        assert found.shape == (20, 20, 3)

    @pytest.mark.parametrize(
        "box", [Box(10, 10, 10, 20), Box(10, 10, 20, 5), Box(math.nan, 0, 10, 10)]
    )
    def test_a_box_without_area_is_not_live(self, liveness: Liveness, box: Box) -> None:
        image = picture(60, 60)
        assert context(image, box, 2.7, 16) is None
        assert math.isnan(liveness.score(image, Face(box, NO_LANDMARKS, 1.0)))

    @given(
        st.floats(-400, 800),
        st.floats(-400, 800),
        st.floats(0.1, 900),
        st.floats(0.1, 900),
        st.sampled_from([(48, 64), (240, 320), (97, 31)]),
    )
    def test_whatever_the_box_the_cut_lies_within_the_picture(
        self, x: float, y: float, width: float, height: float, size: tuple[int, int]
    ) -> None:
        image = np.full((*size, 3), 90, np.uint8)
        found = context(image, Box(x, y, x + width, y + height), 2.7, 16)
        assert found is not None
        assert (found == 90).all()
