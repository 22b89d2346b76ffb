"""A small collection of the photographs that come with lockd."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import PEOPLE, PHOTOS, ROOT, SCENES

VISITORS = ROOT / "demo" / "visitors"


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs of Obama, one of Biden, two of Collins, and one of a cat."""
    folder = tmp_path_factory.mktemp("collection")
    places = {
        "Barack_Obama": [
            PEOPLE / "Barack Obama" / "blue-room-2010.jpg",
            PEOPLE / "Barack Obama" / "congress-2009.jpg",
            PHOTOS / "barack-obama.jpg",
            VISITORS / "barack-obama.jpg",
        ],
        "Eileen_Collins": [PHOTOS / "eileen-collins.jpg", VISITORS / "eileen-collins.jpg"],
        "Joe_Biden": [PEOPLE / "Joe Biden" / "blue-room-2010.jpg", SCENES / "cat.jpg"],
    }
    for person, paths in places.items():
        (folder / person).mkdir()
        for number, path in enumerate(paths, 1):
            shutil.copy(path, folder / person / f"{person}_{number:04}.jpg")
    return folder


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this session fill for each other."""
    return tmp_path_factory.mktemp("embeddings")
