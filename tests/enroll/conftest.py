"""What the tests of `lockd-enroll` share: the command, and people in the store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from enroll.cli import main
from lockd.adapters.store import Details, Store, Vault
from lockd.config import Settings
from lockd.recognition.recogniser import Vision
from tests.enroll.faces import at, kept
from tests.invoking import Run, invoke

Enrol = Callable[..., None]


@pytest.fixture
def run(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; its networks are the ones of the whole session."""
    monkeypatch.setattr("enroll.people.Vision", lambda settings: vision)
    monkeypatch.setattr("lockd.recognition.recogniser.Vision", lambda settings: vision)
    monkeypatch.setattr("enroll.importing.Vision", lambda settings: vision)
    return functools.partial(invoke, main)


@contextmanager
def opened() -> Iterator[Store]:
    """The store that the command uses."""
    settings = Settings()
    store = Store.open(settings.store.path(), Vault.open(settings.store))
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def enrol(vision: Vision) -> Enrol:
    """Enrols somebody with templates at these angles; see `at`."""

    def enrol(name: str, *degrees: float, model: str | None = None, **how: object) -> None:
        space = vision.embedder.space
        embeddings = kept(space, at(*degrees, size=space.size))
        with opened() as store:
            store.people.add(
                name,
                model or space.model,
                embeddings,
                by="tests",
                **how,  # type: ignore[arg-type]
            )

    return enrol


DETAILS = Details("B-17", "works at night", "Ann", "2026-11-01")
