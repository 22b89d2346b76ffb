"""The networks here against those they were made from, on real photographs.

``tests/data/reference`` holds what PyPI ``mtcnn`` 1.0.0 and the float FaceNet answer;
``models/build`` makes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lockd.recognition.recogniser import Vision
from lockd.types import Box, Embedding, Face, Floats, Image
from lockd.vision.embedder import Embedder, standardise
from lockd.vision.geometry import Octaves, iou
from lockd.vision.models import as_input
from tests.conftest import ROOT
from tests.pictures import read

FOLDER = ROOT / "tests" / "data" / "reference"


def stored(name: str) -> dict[str, Any]:
    photographs: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())["photographs"]
    return photographs


DETECTIONS, EMBEDDINGS = stored("detections"), stored("embeddings")
LIVENESS = stored("liveness")
PATHS = sorted(DETECTIONS)


def picture(path: str) -> Image:
    return read(ROOT / path)


def cosine(first: Embedding, second: list[float]) -> float:
    other = np.array(second)
    return float(first @ other / np.linalg.norm(first) / np.linalg.norm(other))


@pytest.fixture(scope="module")
def facenet(vision: Vision) -> Embedder:
    return Embedder(vision.models, "facenet")


def ours(facenet: Embedder, path: str) -> Embedding:
    x0, y0, x1, y1 = EMBEDDINGS[path]["box"]
    face = Face(Box(x0, y0, x1, y1), np.zeros((5, 2), np.float32), 1.0)
    return facenet.embed(Octaves(picture(path)), face)


def test_there_is_a_reference_for_every_portrait() -> None:
    portraits = {
        path.relative_to(ROOT).as_posix()
        for folder in ("tests/data/photos", "demo/people", "demo/visitors")
        for path in Path(ROOT, folder).rglob("*.jpg")
    }
    assert portraits == DETECTIONS.keys() == EMBEDDINGS.keys() == LIVENESS.keys()


@pytest.mark.parametrize("path", PATHS)
def test_the_detector_finds_the_faces_that_mtcnn_finds(vision: Vision, path: str) -> None:
    found = vision.detector.detect(picture(path))
    expected = DETECTIONS[path]
    assert len(found) == len(expected)
    for face, reference in zip(found, expected, strict=True):
        assert iou(face.box, Box(*reference["box"])) > 0.75
        assert face.confidence == pytest.approx(reference["confidence"], abs=0.02)


@pytest.mark.parametrize("path", PATHS)
def test_the_landmarks_are_where_mtcnn_has_them(vision: Vision, path: str) -> None:
    for face, reference in zip(
        vision.detector.detect(picture(path)), DETECTIONS[path], strict=True
    ):
        off = np.linalg.norm(face.landmarks - np.array(reference["landmarks"]), axis=1)
        side = Box(*reference["box"]).width
        assert off.mean() < 0.05 * side
        assert off.max() < 0.08 * side


@pytest.mark.parametrize("path", PATHS)
def test_the_quantised_facenet_answers_like_the_float_one(vision: Vision, path: str) -> None:
    x0, y0, x1, y1 = EMBEDDINGS[path]["box"]
    crop = cv2.resize(picture(path)[y0:y1, x0:x1], (160, 160), interpolation=cv2.INTER_AREA)
    network = vision.models.network("facenet")
    answer = network(standardise(crop.astype(np.uint8))).reshape(-1)
    assert cosine(answer, EMBEDDINGS[path]["embedding"]) > 0.999


@pytest.mark.parametrize("path", PATHS)
def test_the_requantised_sface_answers_like_the_published_one(vision: Vision, path: str) -> None:
    x0, y0, x1, y1 = EMBEDDINGS[path]["box"]
    crop = cv2.resize(picture(path)[y0:y1, x0:x1], (112, 112), interpolation=cv2.INTER_AREA)
    answer = vision.models.network("sface")(as_input(crop)).reshape(-1)
    assert cosine(answer, EMBEDDINGS[path]["sface"]) > 0.995


@pytest.mark.parametrize("path", PATHS)
def test_a_face_cut_and_embedded_here_is_the_float_networks(facenet: Embedder, path: str) -> None:
    assert cosine(ours(facenet, path), EMBEDDINGS[path]["embedding"]) > 0.995


def live_network(vision: Vision, path: str, *, swapped: bool = False) -> Floats:
    """How far its logits lie from the published network's."""
    x0, y0, x1, y1 = LIVENESS[path]["box"]
    crop = cv2.resize(picture(path)[y0:y1, x0:x1], (128, 128), interpolation=cv2.INTER_AREA)
    answer = vision.models.network("liveness")(as_input(crop[..., ::-1] if swapped else crop))
    return np.abs(answer.reshape(-1) - np.float32(LIVENESS[path]["logits"]))


@pytest.mark.parametrize("path", PATHS)
def test_the_quantised_liveness_network_answers_like_the_published_one(
    vision: Vision, path: str
) -> None:
    assert live_network(vision, path).max() < 0.5


def test_the_liveness_network_would_notice_red_and_blue_in_the_wrong_order(vision: Vision) -> None:
    far = np.stack([live_network(vision, path, swapped=True) for path in PATHS])
    assert far.mean() > 1  # one of them is a photograph in grey


def test_quantising_changes_no_similarity_between_two_photographs(facenet: Embedder) -> None:
    here = np.stack([ours(facenet, path) for path in PATHS])
    there = np.array([EMBEDDINGS[path]["embedding"] for path in PATHS])
    there /= np.linalg.norm(there, axis=1, keepdims=True)
    assert np.abs(here @ here.T - there @ there.T).max() < 0.05


def test_red_and_blue_in_the_wrong_order_would_be_noticed(vision: Vision) -> None:
    x0, y0, x1, y1 = EMBEDDINGS[PATHS[0]]["box"]
    crop = cv2.resize(picture(PATHS[0])[y0:y1, x0:x1], (160, 160), interpolation=cv2.INTER_AREA)
    network = vision.models.network("facenet")
    answer = network(standardise(crop[..., ::-1].astype(np.uint8))).reshape(-1)
    assert cosine(answer, EMBEDDINGS[PATHS[0]]["embedding"]) < 0.99


def test_the_references_are_of_the_networks_that_come_with_lockd(facenet: Embedder) -> None:
    sizes = {len(one["embedding"]) for one in EMBEDDINGS.values()}
    assert sizes == {facenet.size}
