"""Enrolling again after the networks have changed."""

from __future__ import annotations

import functools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from enroll.cli import main
from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding
from lockd.vision.embedder import Embedder
from lockd.vision.geometry import Octaves
from tests.conftest import PEOPLE, SCENES
from tests.enroll.faces import kept
from tests.fakes import unit
from tests.invoking import Run, invoke
from tests.pictures import BIDEN_ENROLLED, read

FUSED = "0da04e7523f657f2eaa2f648082ae50330a959d920ea10507e122889d55cbb41"
FACENET = "e788a9e0baa7cb4471077942e8ef94f275c391f8b5784c9234ef0d8423bfe00f"
"""The models of lockd 0.2's profiles `accurate` and `light`, as stores have them."""


@pytest.fixture
def run(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; its networks are the ones of the whole session."""
    monkeypatch.setattr("enroll.people.Vision", lambda settings: vision)
    return functools.partial(invoke, main)


@pytest.fixture
def old() -> Path:
    """A store whose people an earlier release enrolled."""
    path = Settings().store.path()
    store = Store.open(path, Vault.beside(path))
    store.people.add("Barack Obama", "earlier", [unit(1), unit(2)], by="root")
    store.people.add("Zoë", "earlier", [unit(3)], by="root")
    store.close()
    return path


def usable(path: Path, vision: Vision) -> tuple[list[str], int]:
    """Whose templates count, one name for each, and how many do not."""
    store = Store.open(path, Vault.beside(path))
    try:
        templates, refused = store.gallery.usable(vision.embedder.space)
    finally:
        store.close()
    return sorted(template.person.name for template in templates), refused


def test_templates_are_replaced_from_photographs_and_the_person_stays_the_same(
    run: Run, old: Path, vision: Vision, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(PEOPLE / "Barack Obama", folder / "BARACK_OBAMA")
    store = Store.open(old, Vault.beside(old))
    before = {one.person for one in store.people.all()}
    result = run("re-embed", folder)
    assert {one.person for one in store.people.all()} == before
    store.close()
    assert usable(old, vision) == (["Barack Obama", "Barack Obama"], 1)
    assert "Zoë: no photographs in" in result.stderr
    assert result.exit_code == 8


def test_somebody_without_a_usable_photograph_keeps_what_there_was(
    run: Run, old: Path, vision: Vision, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "Zoë").mkdir(parents=True)
    shutil.copy(SCENES / "cat.jpg", folder / "Zoë")
    result = run("re-embed", folder)
    assert result.exit_code == 8
    assert "no face found" in result.stderr
    assert usable(old, vision) == ([], 3)


def test_people_who_need_it_not_are_left_alone(run: Run, vision: Vision) -> None:
    run("folder", PEOPLE)
    before = usable(Settings().store.path(), vision)
    result = run("re-embed", PEOPLE)
    assert result.exit_code == 0
    assert "Everybody's templates are of the networks in use." in result.stdout
    assert usable(Settings().store.path(), vision) == before


def test_nobody_new_is_enrolled(run: Run, old: Path, vision: Vision) -> None:
    run("re-embed", PEOPLE)
    assert "Joe Biden" not in usable(old, vision)[0]


def test_without_a_folder_the_photographs_kept_will_do(
    run: Run, old: Path, vision: Vision, tmp_path: Path
) -> None:
    config = tmp_path / "lockd.yaml"
    config.write_text("store: {keep_photographs: true}\n")
    store = Store.open(old, Vault.beside(old))
    store.people.add(
        "Joe Biden", "earlier", [unit(5)], by="root", photographs=[BIDEN_ENROLLED.read_bytes()]
    )
    store.close()
    result = run("re-embed", "--config", config)
    assert usable(old, vision) == (["Joe Biden"], 3)
    assert "Zoë: no photograph is kept" in result.stderr
    assert result.exit_code == 8
    assert (
        "sface and facenet, with the mirror image, photograph kept"
        in run("show", "Joe Biden").stdout
    )
    assert "other networks (earlier)" in run("show", "Zoë").stdout


def test_changing_the_profile_needs_nothing_of_the_kind(
    run: Run, vision: Vision, tmp_path: Path
) -> None:
    run("folder", PEOPLE)
    store = Store.open(Settings().store.path(), Vault.beside(Settings().store.path()))
    by_profile = {
        profile: store.gallery.usable(Embedder(vision.models, profile).space)
        for profile in ("accurate", "light", "facenet")
    }
    store.close()
    assert {refused for _, refused in by_profile.values()} == {0}
    first, second = (
        {one.embedding.size for one in by_profile[p][0]} for p in ("light", "accurate")
    )
    assert (first, second) == ({128}, {256})


def test_templates_of_before_serve_as_they_are(vision: Vision, tmp_path: Path) -> None:
    """Of lockd 0.2: both networks' unit vectors at 0.7 and 0.3, and FaceNet's alone."""
    octaves = Octaves(read(BIDEN_ENROLLED))
    face = vision.detector.detect_in(octaves)[0]
    plain = {
        name: Embedder(vision.models, name).embed(octaves, face) for name in ("light", "facenet")
    }
    sface = direction(vision, plain["light"])
    fused = np.concatenate([sface * math.sqrt(0.7), plain["facenet"] * math.sqrt(0.3)]).astype("f4")
    space = vision.embedder.space
    brought = space.brought(FUSED, fused)
    assert brought is not None
    np.testing.assert_allclose(brought, vision.embedder.embed(octaves, face), atol=2e-3)
    assert space.brought(FACENET, plain["facenet"]) is None
    alone = Embedder(vision.models, "facenet").space.brought(FACENET, plain["facenet"])
    np.testing.assert_allclose(alone, plain["facenet"], atol=1e-6)


def direction(vision: Vision, compared: Embedding) -> Embedding:
    """What SFace said, of what is compared of it."""
    space = Embedder(vision.models, "light").space
    answer: Embedding = kept(space, compared[None])[0]
    return answer
