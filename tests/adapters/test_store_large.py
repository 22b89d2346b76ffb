"""Very many people: the door keeps levels of their templates and asks the store for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.store import Store, Vault, gallery
from lockd.identity.gallery import Gallery
from lockd.identity.large import LargeFaces
from lockd.vision.space import Space

MODEL, SIZE = "model", 64
SPACE = Space.plain(MODEL, SIZE)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(gallery, "LARGE", 100)
    path = tmp_path / "lockd.db"
    made = Store.open(path, Vault.beside(path))
    chance = np.random.default_rng(0)
    for one in range(60):
        rows = chance.normal(size=(2, SIZE)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        made.people.add(f"Person {one}", MODEL, list(rows), by="test")
    yield made
    made.close()


def galleries(store: Store) -> tuple[Gallery, Gallery]:
    whole = store.gallery.read(SPACE)
    levels = store.gallery.read(SPACE, compact=True)
    assert isinstance(levels.faces, LargeFaces)
    empty = Gallery((), SIZE)
    return empty.updated(whole.faces, ()), empty.updated(levels.faces, ())


def test_the_store_gives_what_levels_leave_open(store: Store) -> None:
    whole, levels = galleries(store)
    for one in store.people.all():
        probe = store.templates.of(one.person.name)[0].embedding
        a, b = (each.identify(probe, accept=0.5, margin=0.1) for each in (whole, levels))
        assert a.person == b.person == one.person
        assert b.similarity == pytest.approx(1.0, abs=1e-5)
        assert a.runner_up == pytest.approx(b.runner_up, abs=1e-5)


def test_whoever_is_removed_or_disabled_is_nobody_even_before_the_gallery_knows(
    store: Store,
) -> None:
    _, levels = galleries(store)
    probes = [store.templates.of(f"Person {one}")[0].embedding for one in (3, 4)]
    store.people.remove("Person 3", by="test")
    store.people.set_enabled("Person 4", False, by="test")
    for probe in probes:
        assert levels.identify(probe, accept=0.5, margin=0.1).person is None


def test_whoever_is_clear_enough_is_known_though_the_store_cannot_be_read(store: Store) -> None:
    _, levels = galleries(store)
    probe = store.templates.of("Person 3")[0].embedding
    store.close()
    match = levels.identify(probe, accept=0.5, margin=0.1)
    assert match.person is not None
    assert match.person.name == "Person 3"
    assert match.similarity < 1.0


def test_few_templates_are_kept_as_they_always_were(store: Store) -> None:
    for one in range(20):
        store.people.remove(f"Person {one}", by="test")
    assert not isinstance(store.gallery.read(SPACE, compact=True).faces, LargeFaces)
