"""A face becomes one unit vector, near those of the same person and far from others."""

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
from lockd.identity.gallery import Gallery, Template
from lockd.recognition.recogniser import Vision
from lockd.types import Box, Embedding, Face, Floats, Image, Person
from lockd.vision.embedder import (
    ARCFACE_112,
    Embedder,
    aligned_crop,
    square_crop,
    standardise,
)
from lockd.vision.geometry import Octaves
from lockd.vision.models import Models
from tests.conftest import PHOTOS
from tests.fakes import blank, face_at
from tests.pictures import (
    BIDEN_ENROLLED,
    COLLINS,
    OBAMA,
    OBAMA_ENROLLED,
    OBAMA_ENROLLED_TOO,
    read,
)

THREE_OF_OBAMA = [OBAMA, OBAMA_ENROLLED, OBAMA_ENROLLED_TOO]


def embedding(vision: Vision, image: Image) -> Embedding:
    octaves = Octaves(image)
    (face,) = vision.detector.detect_in(octaves)
    return vision.embedder.embed(octaves, face)


def of(vision: Vision, path: Path) -> Embedding:
    return embedding(vision, read(path))


class TestRealPhotographs:
    @pytest.mark.parametrize(
        "path", [*THREE_OF_OBAMA, BIDEN_ENROLLED, COLLINS], ids=lambda path: path.stem
    )
    def test_an_embedding_is_a_unit_vector_of_the_stated_size(
        self, vision: Vision, path: Path
    ) -> None:
        found = of(vision, path)
        assert found.shape == (vision.embedder.size,)
        assert found.dtype == np.float32
        assert float(np.linalg.norm(found)) == pytest.approx(1.0, abs=1e-5)

    def test_the_same_picture_always_gives_the_same_vector(self, vision: Vision) -> None:
        first = of(vision, COLLINS)
        of(vision, BIDEN_ENROLLED)
        np.testing.assert_array_equal(first, of(vision, COLLINS))

    def test_another_embedder_of_the_same_networks_gives_the_same_vector(
        self, vision: Vision
    ) -> None:
        octaves = Octaves(read(COLLINS))
        (face,) = vision.detector.detect_in(octaves)
        np.testing.assert_allclose(
            Embedder(vision.models, "accurate", threads=2).embed(octaves, face),
            vision.embedder.embed(octaves, face),
            atol=1e-5,
        )

    def test_pictures_of_one_person_are_nearer_than_any_two_people(self, vision: Vision) -> None:
        obama = np.stack([of(vision, path) for path in THREE_OF_OBAMA])
        others = np.stack([of(vision, path) for path in (BIDEN_ENROLLED, COLLINS)])
        same = obama @ obama.T
        different = np.concatenate([(obama @ others.T).ravel(), [others[0] @ others[1]]])
        assert same.min() > vision.embedder.accept + 0.15
        assert different.max() < vision.embedder.accept - 0.15

    def test_a_darker_picture_is_still_the_same_person(self, vision: Vision) -> None:
        dark = (read(COLLINS) * 0.5).astype(np.uint8)
        assert float(embedding(vision, dark) @ of(vision, COLLINS)) > 0.9

    def test_a_mirrored_picture_is_still_the_same_person(self, vision: Vision) -> None:
        mirrored = np.ascontiguousarray(read(COLLINS)[:, ::-1])
        assert float(embedding(vision, mirrored) @ of(vision, COLLINS)) > 0.8

    def test_a_face_cut_by_the_border_is_still_the_same_person(self, vision: Vision) -> None:
        cut = of(vision, PHOTOS / "barack-obama-left-edge.jpg")
        assert float(cut @ of(vision, OBAMA)) > 0.8


def composed(models: Models, change: Callable[[dict[str, Any]], object]) -> Models:
    """The models with another composition in their manifest."""
    manifest = copy.deepcopy(models.manifest)
    change(manifest)
    return dataclasses.replace(models, manifest=manifest)


def part(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["embedders"]["facenet"]["networks"][0]
    return found


def cropped(manifest: dict[str, Any]) -> None:
    """FaceNet sees another crop, in templates too."""
    for kind in (manifest["embedders"]["facenet"], *manifest["templates"]):
        for one in kind["networks"]:
            one["crop_px"] += one["network"] == "facenet"


def facenet(vision: Vision) -> Embedder:
    return Embedder(vision.models, "facenet")


class TestComposition:
    def test_each_profile_has_its_own_fingerprint_size_and_threshold(self, vision: Vision) -> None:
        accurate, plain = vision.embedder, facenet(vision)
        assert accurate.fingerprint != plain.fingerprint
        assert (accurate.size, plain.size) == (256, 128)
        assert 0 < accurate.accept < plain.accept < 1

    def test_a_profile_that_the_manifest_lacks_is_refused_with_those_it_has(
        self, vision: Vision
    ) -> None:
        with pytest.raises(ModelError, match=r"profile 'best' is unknown.*accurate, light"):
            Embedder(vision.models, "best")

    def test_the_fingerprint_is_that_of_the_composition_not_of_the_object(
        self, vision: Vision
    ) -> None:
        again = Embedder(Models.load(vision.models.folder), "facenet", threads=2)
        assert again.fingerprint == facenet(vision).fingerprint
        assert len(bytes.fromhex(again.fingerprint)) == 32

    @pytest.mark.parametrize(
        "change",
        [
            lambda m: part(m).update(weight=2.0),
            cropped,
            lambda m: part(m).update(centre="facenet"),
            lambda m: m["networks"]["facenet"].update(sha256="0" * 64),
            lambda m: m["embedders"]["facenet"]["networks"].append(part(m)),
        ],
        ids=["weight", "crop", "centre", "file", "another network"],
    )
    def test_the_fingerprint_differs_with_whatever_makes_embeddings_differ(
        self, vision: Vision, change: Callable[[dict[str, Any]], object]
    ) -> None:
        other = Embedder(composed(vision.models, change), "facenet")
        assert other.fingerprint != facenet(vision).fingerprint

    def test_the_detectors_networks_have_no_part_in_the_fingerprint(self, vision: Vision) -> None:
        def change(manifest: dict[str, Any]) -> None:
            manifest["networks"]["mtcnn-pnet"]["sha256"] = "0" * 64

        other = Embedder(composed(vision.models, change), "facenet")
        assert other.fingerprint == facenet(vision).fingerprint

    def test_the_order_of_keys_in_the_manifest_has_no_part_in_the_fingerprint(
        self, vision: Vision
    ) -> None:
        def change(manifest: dict[str, Any]) -> None:
            manifest["embedders"]["facenet"]["networks"][0] = dict(
                reversed(list(part(manifest).items()))
            )

        other = Embedder(composed(vision.models, change), "facenet")
        assert other.fingerprint == facenet(vision).fingerprint

    @pytest.mark.parametrize(
        ("key", "known"), [("crop", "square"), ("preprocessing", "standardise")]
    )
    def test_what_this_version_does_not_know_is_refused_with_what_it_does(
        self, vision: Vision, key: str, known: str
    ) -> None:
        models = composed(vision.models, lambda m: part(m).update({key: "oval"}))
        with pytest.raises(ModelError) as caught:
            Embedder(models, "facenet")
        assert f"{key} 'oval' is unknown" in str(caught.value)
        assert known in str(caught.value)
        assert "manifest.json" in str(caught.value)


class ScriptedModels:
    """Networks that answer with what is written down for them."""

    def __init__(self, answers: dict[str, Floats], weights: dict[str, float]) -> None:
        self._answers = answers
        self.seen: list[Floats] = []
        self.manifest: dict[str, Any] = {
            "embedders": {
                "scripted": {
                    "networks": [
                        {
                            "network": name,
                            "crop": "square",
                            "crop_px": 16,
                            "preprocessing": "standardise",
                            "weight": weight,
                        }
                        for name, weight in weights.items()
                    ],
                    "embedding_size": sum(answer.size for answer in answers.values()),
                    "accept": 0.5,
                }
            },
            "centres": {},
            "networks": {
                name: {"output": {"shape": [1, answer.size]}, "sha256": name}
                for name, answer in answers.items()
            },
        }
        parts = self.manifest["embedders"]["scripted"]["networks"]
        self.manifest["templates"] = [{"networks": parts, "mirrored": True}]

    def sha256(self, name: str) -> str:
        return name

    def network(self, name: str, *, threads: int = 1) -> Callable[[Floats], Floats]:
        def answer(pixels: Floats) -> Floats:
            self.seen.append(pixels)
            return self._answers[name][None].copy()

        return answer


def embed(answers: dict[str, Floats], weights: dict[str, float]) -> Embedding:
    models: Any = ScriptedModels(answers, weights)
    return Embedder(models, "scripted").embed(Octaves(blank()), face_at(0, 0, 40))


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


vectors = st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4).filter(
    lambda values: math.hypot(*values) > 0.1
)


class TestSeveralNetworks:
    @given(vectors, vectors, vectors, vectors, st.floats(0.1, 10), st.floats(0.1, 10))
    def test_the_cosine_is_the_weighted_mean_of_the_networks_cosines(  # type: ignore[no-untyped-def]
        self, a1, a2, b1, b2, weight_1, weight_2
    ) -> None:
        weights = {"one": weight_1, "two": weight_2}
        first = embed({"one": floats(*a1), "two": floats(*a2)}, weights)
        second = embed({"one": floats(*b1), "two": floats(*b2)}, weights)
        cosines = [
            float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
            for a, b in ((a1, b1), (a2, b2))
        ]
        expected = (weight_1 * cosines[0] + weight_2 * cosines[1]) / (weight_1 + weight_2)
        assert float(first @ second) == pytest.approx(expected, abs=1e-4)
        assert float(np.linalg.norm(first)) == pytest.approx(1.0, abs=1e-5)

    @given(vectors, st.floats(0.01, 1000))
    def test_the_length_of_a_networks_answer_does_not_matter(  # type: ignore[no-untyped-def]
        self, values, factor
    ) -> None:
        short = embed({"one": floats(*values)}, {"one": 1.0})
        long = embed({"one": floats(*values) * np.float32(factor)}, {"one": 1.0})
        np.testing.assert_allclose(short, long, atol=1e-5)


class TestBrokenNetworks:
    @pytest.mark.parametrize(
        "answer",
        [
            (0, 0, 0, 0),
            (math.nan, 0, 1, 0),
            (math.nan,) * 4,
            (math.inf, 0, 1, 0),
            (-math.inf, math.inf, 0, 0),
        ],
        ids=str,
    )
    def test_zeros_or_anything_not_finite_become_a_vector_of_nan(
        self, answer: tuple[float, ...]
    ) -> None:
        found = embed(
            {"good": floats(1, 2, 3, 4), "bad": floats(*answer)}, {"good": 1.0, "bad": 1.0}
        )
        assert found.shape == (8,)
        assert found.dtype == np.float32
        assert np.isnan(found).all()

    def test_a_vector_of_nan_is_nobody(self) -> None:
        somebody = Person("1", "Ada Lovelace")
        gallery = Gallery([Template(somebody, floats(0.5, 0.5, 0.5, 0.5))], 4)
        broken = embed({"one": floats(0, 0, 0, 0)}, {"one": 1.0})
        assert gallery.identify(broken, accept=-1.0, margin=0.0).person is None


class TestPreprocessing:
    @given(st.integers(0, 255), st.integers(0, 255), st.integers(1, 9))
    def test_a_standardised_image_has_mean_0_and_spread_1(
        self, low: int, high: int, seed: int
    ) -> None:
        image = np.random.default_rng(seed).integers(
            min(low, high), max(low, high) + 1, (16, 16, 3)
        )
        found = standardise(image.astype(np.uint8))
        assert found.shape == (1, 16, 16, 3)
        assert found.dtype == np.float32
        assert float(found.mean()) == pytest.approx(0.0, abs=1e-3)
        if image.std() > 0.1:
            assert float(found.std()) == pytest.approx(1.0, abs=1e-3)

    def test_a_plain_image_becomes_zeros_and_not_nan(self) -> None:
        np.testing.assert_array_equal(standardise(np.full((8, 8, 3), 200, np.uint8)), 0.0)

    def test_brightness_and_contrast_of_the_light_cancel_out(self) -> None:
        image = np.random.default_rng(1).integers(0, 100, (16, 16, 3)).astype(np.uint8)
        brighter = (image * 2 + 40).astype(np.uint8)
        np.testing.assert_allclose(standardise(image), standardise(brighter), atol=1e-4)

    def test_the_crop_is_the_square_around_the_box_in_proportion(self) -> None:
        image = np.random.default_rng(1).integers(0, 256, (100, 100, 3)).astype(np.uint8)
        tall = Face(Box(30, 20, 60, 80), np.zeros((5, 2), np.float32), 1.0)
        np.testing.assert_array_equal(square_crop(Octaves(image), tall, 60), image[20:80, 15:75])

    def test_the_crop_repeats_the_border_of_the_read(self) -> None:
        image = np.full((50, 50, 3), 90, np.uint8)
        beyond = Face(Box(-30, -30, 30, 30), np.zeros((5, 2), np.float32), 1.0)
        assert (square_crop(Octaves(image), beyond, 60) == 90).all()

    def test_the_template_is_the_published_one_counted_from_the_corner_of_a_pixel(self) -> None:
        published = [
            [38.2946, 51.6963],
            [73.5318, 51.5014],
            [56.0252, 71.7366],
            [41.5493, 92.3655],
            [70.7299, 92.2041],
        ]
        np.testing.assert_allclose(ARCFACE_112, np.array(published) + 0.5, atol=1e-4)

    def test_a_face_that_lies_as_it_should_is_aligned_to_itself(self) -> None:
        image = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
        face = Face(Box(0, 0, 1, 1), ARCFACE_112 + np.float32([30, 50]), 1.0)
        found = aligned_crop(Octaves(image), face, 112)
        np.testing.assert_array_equal(found, image[50:162, 30:142])

    def test_a_head_laid_on_its_side_is_set_upright(self, vision: Vision) -> None:
        octaves = Octaves(read(COLLINS))
        (face,) = vision.detector.detect_in(octaves)
        turned = np.ascontiguousarray(np.rot90(octaves.image))
        x, y = face.landmarks.T
        lying = Face(face.box, np.stack([y, 512 - x], axis=1), 1.0)
        difference = aligned_crop(Octaves(turned), lying, 112).astype(int)
        difference -= aligned_crop(octaves, face, 112)
        assert np.abs(difference).mean() < 1.0

    def test_a_network_sees_the_standardised_crop_of_its_own_size(self) -> None:
        models: Any = ScriptedModels({"one": floats(1, 0)}, {"one": 1.0})
        image = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
        face = Face(Box(8, 8, 24, 24), np.zeros((5, 2), np.float32), 1.0)
        Embedder(models, "scripted").embed(Octaves(image), face)
        (seen,) = models.seen
        np.testing.assert_array_equal(seen, standardise(image[8:24, 8:24]))
