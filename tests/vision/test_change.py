"""What changed is noticed, and what only flickers is not."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from lockd.types import Box, Image
from lockd.vision.change import Change, ChangeGate
from lockd.vision.geometry import Octaves
from tests.conftest import SCENES
from tests.pictures import COLLINS, read

EVERYTHING = Box(0, 0, 640, 480)
SHIFTS = 100_003
NOISE = np.random.default_rng(1).standard_normal(640 * 480 * 3 + SHIFTS, np.float32)


@cache
def porch() -> Image:
    scene = cv2.resize(read(SCENES / "coffee.jpg"), (640, 480), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(scene, (0, 0), 3).astype(np.uint8)


def visited(image: Image, x: int, y: int, side: int = 120) -> Image:
    """The picture with somebody's face in it."""
    face = cv2.resize(read(COLLINS), (side, side), interpolation=cv2.INTER_AREA)
    image = image.copy()
    image[y : y + side, x : x + side] = face
    return image


def noisy(image: Image, seed: int, sigma: float = 4.0) -> Image:
    start = 7919 * seed % SHIFTS
    field = NOISE[start : start + image.size].reshape(image.shape)
    return cv2.add(image, np.round(field * sigma), dtype=cv2.CV_8U)  # type: ignore[return-value]


def lit(image: Image, factor: float) -> Image:
    return np.clip(image * factor, 0, 255).astype(np.uint8)


class Watched:
    """A gate that has seen a noisy porch for a while, and searched it once."""

    def __init__(self, sigma: float = 4.0, seen: int = 25) -> None:
        self.gate = ChangeGate(60)
        self.sigma, self.seed = sigma, 0
        for _ in range(seen):
            self.see(porch())
        self.gate.searched()

    def see(self, image: Image) -> Change:
        self.seed += 1
        return self.gate.compare(Octaves(noisy(image, self.seed, self.sigma)))


def encloses(outer: Box | None, x: int, y: int, side: int) -> bool:
    return (
        outer is not None
        and outer.x0 <= x + 0.2 * side
        and outer.y0 <= y + 0.2 * side
        and outer.x1 >= x + 0.8 * side
        and outer.y1 >= y + 0.8 * side
    )


def test_the_first_picture_is_all_new() -> None:
    change = ChangeGate(60).compare(Octaves(porch()))
    assert (change.where, change.share) == (EVERYTHING, 1.0)


def test_a_picture_of_another_size_is_all_new() -> None:
    watched = Watched()
    small = np.full((240, 320, 3), 90, np.uint8)
    assert watched.gate.compare(Octaves(small)).where == Box(0, 0, 320, 240)


@pytest.mark.parametrize("sigma", [0.0, 2.0, 6.0, 12.0])
def test_the_noise_of_a_camera_is_no_change(sigma: float) -> None:
    watched = Watched(sigma)
    assert all(watched.see(porch()).where is None for _ in range(40))


def test_noise_is_measured() -> None:
    loud, quiet = Watched(12.0).see(porch()), Watched(2.0).see(porch())
    assert loud.noise > 1.5 * quiet.noise > 0


@pytest.mark.parametrize(("x", "y", "side"), [(0, 0, 60), (300, 200, 60), (40, 320, 120)])
def test_somebody_who_comes_is_a_change_where_they_are(x: int, y: int, side: int) -> None:
    change = Watched().see(visited(porch(), x, y, side))
    assert encloses(change.where, x, y, side)
    assert 0 < change.share < 0.5


def test_somebody_who_has_gone_is_a_change_too() -> None:
    watched = Watched()
    watched.see(visited(porch(), 300, 200))
    watched.gate.searched()
    assert encloses(watched.see(porch()).where, 300, 200, 120)


def test_who_comes_slower_than_any_step_shows_adds_up() -> None:
    watched = Watched()
    there, away = visited(porch(), 300, 200).astype(np.float32), porch().astype(np.float32)
    shares = np.linspace(0, 1, 100)
    steps = (watched.see((away * (1 - one) + there * one).astype(np.uint8)) for one in shares)
    first = next(share for share, step in zip(shares, steps, strict=True) if step.where)
    assert first < 0.4


def test_a_picture_stays_changed_until_it_is_searched() -> None:
    watched = Watched()
    there = visited(porch(), 300, 200)
    assert all(watched.see(there).where for _ in range(10))
    watched.gate.searched()
    assert watched.see(there).where is None


def test_a_search_of_one_part_settles_that_part_alone() -> None:
    watched = Watched()
    both = visited(visited(porch(), 40, 200), 440, 200)
    watched.see(both)
    watched.gate.searched(Box(0, 0, 320, 480))
    where = watched.see(both).where
    assert encloses(where, 440, 200, 120)
    assert where is not None
    assert where.x0 > 300


def test_dusk_is_searched_now_and_then_and_not_all_the_time() -> None:
    watched = Watched()
    searches = 0
    for step in range(100):
        if watched.see(lit(porch(), 1 - 0.6 * step / 100)).where:
            searches += 1
            watched.gate.searched()
    assert 1 <= searches <= 20


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.5])
def test_a_lamp_that_is_switched_is_one_change(factor: float) -> None:
    watched = Watched()
    assert watched.see(lit(porch(), factor)).where is not None
    for _ in range(60):  # the noise is another one now
        watched.see(lit(porch(), factor))
    watched.gate.searched()
    assert all(watched.see(lit(porch(), factor)).where is None for _ in range(20))


def test_light_is_a_change_where_there_is_nothing_to_see_but_light() -> None:
    gate = ChangeGate(60)
    wall = np.full((480, 640, 3), 110, np.uint8)
    gate.compare(Octaves(wall))
    gate.searched()
    assert gate.compare(Octaves(lit(wall, 0.95))).where is None
    assert gate.compare(Octaves(lit(wall, 0.6))).where == EVERYTHING


def test_a_face_that_only_the_lamp_shows_is_found_by_the_change_of_light() -> None:
    watched = Watched(sigma=1.0)
    there = visited(porch(), 300, 200)
    watched.see(lit(there, 0.1))
    watched.gate.searched()
    assert watched.see(there).where is not None


def test_what_always_flickers_ceases_to_count_and_a_face_in_it_still_does() -> None:
    watched = Watched()
    random = np.random.default_rng(1)

    def leaves() -> Image:
        image = porch()
        image[:160, :320] = np.repeat(
            np.repeat(random.integers(80, 100, (10, 20, 3), np.uint8), 16, axis=0), 16, axis=1
        )
        return image

    for _ in range(100):
        watched.see(leaves())
    watched.gate.searched()
    quiet = 0
    for _ in range(20):
        quiet += watched.see(leaves()).where is None
        watched.gate.searched()
    assert quiet >= 15
    assert watched.see(visited(leaves(), 60, 20)).where is not None


def test_the_picture_is_not_altered() -> None:
    image = porch()
    ChangeGate(60).compare(Octaves(image))
    np.testing.assert_array_equal(image, porch())


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (17, 33), (2000, 2000)])
def test_odd_pictures_are_compared(shape: tuple[int, int]) -> None:
    gate = ChangeGate(60)
    image = np.full((*shape, 3), 77, np.uint8)
    gate.compare(Octaves(image))
    gate.searched()
    assert gate.compare(Octaves(image)).where is None
