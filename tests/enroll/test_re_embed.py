"""Enrolling again after the networks have changed."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest

from enroll.cli import main
from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.recognition.recogniser import Vision
from tests.conftest import PEOPLE, SCENES
from tests.fakes import unit
from tests.invoking import Run, invoke


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
        templates, refused = store.gallery.usable(vision.embedder.fingerprint, vision.embedder.size)
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
