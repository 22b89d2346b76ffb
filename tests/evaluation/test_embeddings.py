"""Folders to embeddings: which face counts, what is left out, and what is remembered."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockd.errors import ImageError
from lockd.evaluation.cache import Cache, Found, digest_of
from lockd.evaluation.embeddings import (
    NO_ANSWER,
    NO_FACE,
    UNREADABLE,
    Collection,
    collect,
    listed,
    listed_strangers,
    recipe,
    subject,
)
from lockd.recognition.photographs import Photograph, people_in
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Face
from lockd.vision.geometry import Octaves
from lockd.vision.quality import Limits
from tests.fakes import blank, face_at


class Counting:
    """The real networks, counting what they embed."""

    def __init__(self, vision: Vision) -> None:
        self._embedder = vision.embedder
        self.detector, self.models = vision.detector, vision.models
        self.embedder = self
        self.size, self.fingerprint = vision.embedder.size, vision.embedder.fingerprint
        self.embedded = 0

    def embed(self, octaves: Octaves, face: Face) -> Embedding:
        self.embedded += 1
        return self._embedder.embed(octaves, face)

    def enrolled(self, octaves: Octaves, face: Face) -> Embedding:
        return self._embedder.enrolled(octaves, face)


def gathered(folder: Path, vision: Any, where: Path | None, **more: Any) -> Collection:
    cache = Cache(where, recipe(vision, more.get("limits")), vision.embedder.size)
    return collect(listed(people_in(folder)), folder, vision, cache, **more)


def test_photographs_without_a_face_are_listed_and_not_dropped(
    collection: Path, vision: Vision, shared_cache: Path
) -> None:
    faces = gathered(collection, vision, shared_cache)
    assert faces.images == 8
    assert faces.without_face == ["Joe_Biden/Joe_Biden_0002.jpg"]
    assert faces.people == ["Barack Obama", "Eileen Collins", "Joe Biden"]
    assert faces.owner.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert faces.embeddings.shape == (7, vision.embedder.size)
    assert faces.paths[0] == "Barack_Obama/Barack_Obama_0001.jpg"


def test_the_second_run_embeds_nothing(collection: Path, vision: Vision, tmp_path: Path) -> None:
    counting = Counting(vision)
    first = gathered(collection, counting, tmp_path)
    assert (counting.embedded, first.computed) == (7, 8)
    second = gathered(collection, counting, tmp_path)
    assert (counting.embedded, second.computed) == (7, 0)
    np.testing.assert_array_equal(first.embeddings, second.embeddings)
    assert second.without_face == first.without_face


def test_a_photograph_is_known_by_what_it_shows_not_by_its_name(
    collection: Path, vision: Vision, tmp_path: Path
) -> None:
    counting = Counting(vision)
    gathered(collection, counting, tmp_path / "cache")
    moved = tmp_path / "moved" / "Somebody"
    moved.mkdir(parents=True)
    shutil.copy(collection / "Joe_Biden" / "Joe_Biden_0001.jpg", moved / "x.jpg")
    assert gathered(tmp_path / "moved", counting, tmp_path / "cache").computed == 0


def test_only_its_owner_may_read_a_cache(collection: Path, vision: Vision, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    shutil.copytree(collection / "Joe_Biden", folder / "Joe_Biden")
    gathered(folder, vision, None)
    assert list(tmp_path.iterdir()) == [folder]  # without a cache nothing is written
    gathered(folder, vision, tmp_path / "new")
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def kept(folder: Path, size: int = 4) -> Path:
    cache = Cache(folder, "ab" * 32, size)
    cache.put(digest_of(b"one"), Found(*np.eye(2, size, dtype=np.float32)))
    cache.put(digest_of(b"two"), Found(None, reason=NO_FACE))
    cache.save()
    assert cache.path is not None
    return cache.path


def test_a_cache_remembers_faces_and_their_absence(tmp_path: Path) -> None:
    kept(tmp_path)
    cache = Cache(tmp_path, "ab" * 32, 4)
    one, two = cache.get(digest_of(b"one")), cache.get(digest_of(b"two"))
    assert one is not None
    assert one.embedding is not None
    assert one.embedding.tolist() == [1, 0, 0, 0]
    assert two is not None
    assert (two.embedding, two.reason) == (None, NO_FACE)
    assert cache.get(digest_of(b"three")) is None
    assert not cache.damaged


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(500))
    elif how == "one bit":
        middle = content.index(np.float32(1).tobytes())
        path.write_bytes(content[:middle] + b"\1" + content[middle + 1 :])
    elif how == "not unit":
        arrays = dict(np.load(path))
        np.savez(path, **{**arrays, "embeddings": arrays["embeddings"] * 2})
    elif how == "not a number":
        arrays = dict(np.load(path))
        np.savez(path, **{**arrays, "embeddings": arrays["embeddings"] * np.nan})
    elif how == "another kind":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif how == "missing part":
        np.savez(path, digests=np.load(path)["digests"])


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "cut short",
        "noise",
        "one bit",
        "not unit",
        "not a number",
        "another kind",
        "missing part",
    ],
)
def test_a_damaged_cache_is_ignored_and_written_anew(tmp_path: Path, how: str) -> None:
    damage(kept(tmp_path), how)
    cache = Cache(tmp_path, "ab" * 32, 4)
    assert cache.damaged
    assert len(cache) == 0
    kept(tmp_path)
    assert not Cache(tmp_path, "ab" * 32, 4).damaged


def test_a_cache_of_another_size_is_damaged(tmp_path: Path) -> None:
    kept(tmp_path, 4)
    assert Cache(tmp_path, "ab" * 32, 8).damaged


def test_a_cache_that_cannot_be_written_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lockd.files.os.replace", full)
    with pytest.raises(ImageError, match="No space left on device; name another folder"):
        kept(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_keeps_what_it_has(
    collection: Path, vision: Vision, tmp_path: Path
) -> None:
    counting = Counting(vision)

    def interrupted() -> None:
        if counting.embedded == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gathered(collection, counting, tmp_path, step=interrupted)
    assert gathered(collection, counting, tmp_path).computed == 6


def test_other_limits_are_another_recipe(vision: Vision) -> None:
    recipes = {recipe(vision, None), recipe(vision, Limits()), recipe(vision, Limits(min_luma=41))}
    assert len(recipes) == 3


def test_with_the_doors_limits_unfit_faces_are_left_out(collection: Path, vision: Vision) -> None:
    faces = gathered(collection, vision, None, limits=Limits(min_face_px=150))
    assert faces.left_out["too_small"] == [
        "Eileen_Collins/Eileen_Collins_0001.jpg",
        "Eileen_Collins/Eileen_Collins_0002.jpg",
    ]
    assert len(faces.paths) == 5


def test_when_nobody_is_fit_that_is_said(collection: Path, vision: Vision) -> None:
    with pytest.raises(ImageError, match="not one of 8 photographs"):
        gathered(collection, vision, None, limits=Limits(min_face_px=100_000))


def test_a_file_that_is_no_photograph_is_left_out(
    collection: Path, vision: Vision, shared_cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "people"
    shutil.copytree(collection / "Joe_Biden", folder / "Joe_Biden")
    (folder / "Joe_Biden" / "broken.jpg").write_bytes(b"no picture")
    (folder / "Joe_Biden" / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    faces = gathered(folder, vision, shared_cache)
    assert faces.left_out[UNREADABLE] == ["Joe_Biden/broken.jpg", "Joe_Biden/dangling.jpg"]
    assert (len(faces.paths), faces.images) == (1, 4)


def test_an_answer_that_is_not_finite_is_none(collection: Path, vision: Vision) -> None:
    counting = Counting(vision)
    counting.embed = (  # type: ignore[method-assign]
        lambda octaves, face: (
            np.full(counting.size, np.nan, np.float32) if face.box.width > 0 else None
        )
    )
    cache = Cache(None, recipe(counting, None), counting.size)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="not one of 8"):
        collect(listed(people_in(collection)), collection, counting, cache)  # type: ignore[arg-type]
    everything = listed(people_in(collection))
    known = [cache.get(digest_of(one.path.read_bytes())) for one in everything]
    assert {found.reason for found in known if found} == {NO_ANSWER, NO_FACE}
    assert None not in known


def photograph(*faces: Face) -> Photograph:
    image = blank(640, 480)
    return Photograph(Octaves(image), list(faces))


def test_of_several_large_faces_the_most_central_is_meant() -> None:
    largest, central = face_at(10, 10, 150), face_at(270, 190, 110)
    assert subject(photograph(largest, central)) is central


def test_a_small_face_in_the_middle_is_a_passer_by() -> None:
    largest, central = face_at(10, 10, 150), face_at(290, 210, 60)
    assert subject(photograph(largest, central)) is largest


def test_no_face_is_nobody() -> None:
    assert subject(photograph()) is None


def test_strangers_may_lie_loose_or_in_folders(collection: Path) -> None:
    loose, _ = listed_strangers(collection / "Joe_Biden")
    assert len({one.person for one in loose}) == len(loose) == 2
    people = {one.person for one in listed_strangers(collection)[0]}
    assert people == {"Barack Obama", "Eileen Collins", "Joe Biden"}


def test_among_loose_photographs_of_strangers_what_is_none_is_listed(
    collection: Path, vision: Vision, tmp_path: Path
) -> None:
    folder = tmp_path / "strangers"
    shutil.copytree(collection / "Joe_Biden", folder)
    (folder / "notes.txt").write_text("not a photograph")
    (folder / "more").mkdir()
    os.mkfifo(folder / "pipe")
    wanted, _ = listed_strangers(folder)
    faces = collect(wanted, folder, vision, Cache(None, recipe(vision, None), vision.embedder.size))
    assert faces.left_out[UNREADABLE] == ["more", "notes.txt", "pipe"]
