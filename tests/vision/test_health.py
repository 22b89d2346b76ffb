"""What a camera's pictures say about the camera."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.errors import CameraTrouble
from lockd.types import Image
from lockd.vision.decoding import decode
from lockd.vision.health import Health, Patience
from lockd.vision.pictures import encode_jpeg
from tests.conftest import CLIP, PHOTOS, SCENES

FPS = 8.0  # a power of two, so that times are exact
PATIENCE = Patience(frozen_s=5, covered_s=2, garbled_s=1)
PICTURES = sorted([*PHOTOS.glob("*.jpg"), *SCENES.glob("*.jpg")])


def scene(name: str = "coffee", width: int = 160, height: int = 120) -> Image:
    photo = decode((SCENES / f"{name}.jpg").read_bytes(), name)
    return cv2.resize(photo, (width, height)).astype(np.uint8)


def noisy(image: Image, sigma: float = 2.0, seed: int = 1) -> Iterator[Image]:
    """What a sensor makes of something that does not move."""
    random = np.random.default_rng(seed)
    while True:
        noise = random.normal(0, sigma, image.shape).astype(np.float32)
        yield np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def feed(health: Health, images: Iterable[Image], seconds: float, start: float = 0.0) -> list[str]:
    """What was found at each picture; "-" for nothing."""
    found = []
    for number, image in enumerate(itertools.islice(images, round(seconds * FPS))):
        found.append(health.feed(image, start + number / FPS) or "-")
    return found


def said(found: list[str]) -> list[tuple[str, int]]:
    """The same, with equal neighbours counted."""
    return [(one, len(list(same))) for one, same in itertools.groupby(found)]


def clock_in(image: Image, count: int) -> Image:
    """The picture with the time written into a corner, as many cameras do."""
    drawn = image.copy()
    cv2.rectangle(drawn, (4, 4), (90, 16), (0, 0, 0), -1)
    cv2.putText(drawn, f"{count:08}", (6, 14), 0, 0.4, (255, 255, 255), 1)
    return drawn


class TestFrozen:
    def test_the_same_picture_again_and_again_is_frozen_after_the_time_set(self) -> None:
        found = feed(Health(PATIENCE), itertools.repeat(scene()), 8)
        assert said(found) == [("-", 40), ("frozen", 24)]

    def test_noise_alone_shows_that_a_camera_is_alive(self) -> None:
        assert said(feed(Health(PATIENCE), noisy(scene(), 0.5), 60)) == [("-", 480)]

    def test_the_first_picture_that_shows_anything_new_ends_it(self) -> None:
        health = Health(PATIENCE)
        live = noisy(scene())
        feed(health, itertools.repeat(next(live)), 8)
        assert said(feed(health, live, 1, start=8)) == [("-", 8)]

    @pytest.mark.parametrize("length", [2, 3, 7, 40])
    def test_a_loop_is_frozen_although_each_picture_differs_from_the_last(
        self, length: int
    ) -> None:
        loop = list(itertools.islice(noisy(scene()), length))
        found = feed(Health(PATIENCE), itertools.cycle(loop), 12)
        assert said(found) == [("-", length + 39), ("frozen", 96 - length - 39)]

    def test_a_frame_that_is_encoded_anew_in_turns_is_frozen(self) -> None:
        versions = [decode(encode_jpeg(scene(), quality), "") for quality in (30, 60, 90)]
        found = feed(Health(PATIENCE), itertools.cycle(versions), 10)
        assert found[48:] == ["frozen"] * 32

    def test_a_clock_drawn_into_a_frozen_picture_does_not_hide_it(self) -> None:
        images = (clock_in(scene(), count // 8) for count in itertools.count())
        assert said(feed(Health(PATIENCE), images, 10)) == [("-", 40), ("frozen", 40)]

    @pytest.mark.parametrize("quality", [25, 50, 90])
    def test_a_live_camera_that_compresses_a_still_scene_strongly_is_not_frozen(
        self, quality: int
    ) -> None:
        images = (decode(encode_jpeg(one, quality), "") for one in noisy(scene(), 1.5))
        assert said(feed(Health(PATIENCE), images, 12)) == [("-", 96)]

    def test_a_stream_may_repeat_itself_between_key_frames(self) -> None:
        keys = noisy(scene())
        images = itertools.chain.from_iterable(itertools.repeat(key, 32) for key in keys)
        assert said(feed(Health(PATIENCE), images, 30)) == [("-", 240)]

    def test_it_is_not_asked_of_pictures_without_light_whose_noise_is_clipped(self) -> None:
        black = itertools.repeat(np.zeros((120, 160, 3), np.uint8))
        assert CameraTrouble.FROZEN not in feed(Health(PATIENCE), black, 20)

    def test_what_is_remembered_outlasts_an_interruption(self) -> None:
        health = Health(PATIENCE)
        feed(health, itertools.repeat(scene()), 8)
        assert said(feed(health, itertools.repeat(scene()), 1, start=60)) == [("frozen", 8)]

    def test_repeats_do_not_push_out_what_was_shown_before_them(self) -> None:
        health = Health(Patience(frozen_s=3600, covered_s=0, garbled_s=0))
        film = noisy(scene())
        before, now = next(film), next(film)
        feed(health, [before, *[now] * 600], 601 / FPS)
        health.feed(before, 100.0)
        assert not health.usable

    def test_a_live_camera_that_was_away_is_not_frozen_when_it_comes_back(self) -> None:
        health = Health(PATIENCE)
        live = noisy(scene())
        feed(health, live, 2)
        assert said(feed(health, live, 2, start=900)) == [("-", 16)]

    def test_with_no_time_set_nothing_is_frozen_and_every_picture_usable(self) -> None:
        health = Health(Patience(frozen_s=0, covered_s=2, garbled_s=1))
        for number in range(100):
            assert health.feed(scene(), float(number)) is None
            assert health.usable

    @pytest.mark.slow
    @settings(max_examples=25, deadline=None)
    @given(
        sigma=st.floats(0.4, 12),
        level=st.floats(0.25, 1.3),
        width=st.sampled_from([160, 324, 640]),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_no_live_picture_is_ever_unusable_or_frozen(
        self, sigma: float, level: float, width: int, seed: int
    ) -> None:
        health = Health(Patience(frozen_s=1, covered_s=1, garbled_s=1))
        image = np.clip(scene(width=width) * np.float32(level), 0, 255).astype(np.uint8)
        for number, one in enumerate(itertools.islice(noisy(image, sigma, seed), 25)):
            assert health.feed(one, number / FPS) is None
            assert health.usable

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
    def test_a_picture_is_usable_exactly_when_it_was_never_shown_before(
        self, shown: list[int]
    ) -> None:
        health = Health(PATIENCE)
        pictures = list(itertools.islice(noisy(scene()), 4))
        usable = []
        for number, which in enumerate(shown):
            health.feed(pictures[which], number / FPS)
            usable.append(health.usable)
        assert usable == [which not in shown[:number] for number, which in enumerate(shown)]


class TestLight:
    def test_almost_no_light_for_the_time_set_is_dark_and_ends_with_the_light(self) -> None:
        health = Health(PATIENCE)
        dark = noisy((scene() * 0.05).astype(np.uint8), 3)
        assert said(feed(health, dark, 4)) == [("-", 16), ("dark", 16)]
        found = feed(health, noisy(scene()), 2, start=4)
        assert found[-12:] == ["-"] * 12

    def test_a_lamp_at_night_is_light_enough(self) -> None:
        night = np.zeros((120, 160, 3), np.uint8)
        cv2.circle(night, (80, 40), 30, (200, 220, 255), -1)
        assert said(feed(Health(PATIENCE), noisy(night), 4)) == [("-", 32)]

    @pytest.mark.parametrize("brightness", [60, 130, 250])
    def test_something_on_the_lens_is_covered(self, brightness: int) -> None:
        y, x = np.mgrid[0:120, 0:160].astype(np.float32)
        glow = 1 - 0.4 * ((x / 160 - 0.6) ** 2 + (y / 120 - 0.4) ** 2)
        lens = np.repeat((brightness * glow)[..., None], 3, axis=2).astype(np.uint8)
        found = feed(Health(PATIENCE), noisy(lens, 3), 4)
        assert found[24:] == ["covered"] * 8

    def test_what_covers_the_lens_may_be_seen_through_and_is_gone_soon_after_it_goes(self) -> None:
        health = Health(PATIENCE)
        foil = cv2.GaussianBlur(scene(), (0, 0), 15)
        assert feed(health, noisy(foil.astype(np.uint8)), 4)[-1] == "covered"
        assert feed(health, noisy(scene()), 2, start=4)[-12:] == ["-"] * 12

    def test_a_hand_before_the_lens_for_a_moment_is_nothing(self) -> None:
        hand = noisy(np.full((120, 160, 3), (60, 90, 150), np.uint8))
        porch = noisy(scene())
        images = (next(hand if count % 28 < 12 else porch) for count in itertools.count())
        assert said(feed(Health(PATIENCE), images, 10.5)) == [("-", 84)]

    @pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
    @pytest.mark.parametrize("light", [0.2, 1.0])
    @pytest.mark.parametrize("blur", [0, 2])
    def test_no_photograph_is_taken_for_a_covered_lens(
        self, picture: str, light: float, blur: int
    ) -> None:
        image = cv2.resize(cv2.imread(str(picture)), (160, 120))
        image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
        dimmed = (image * light).astype(np.uint8)
        assert CameraTrouble.COVERED not in feed(Health(PATIENCE), noisy(dimmed), 4)

    def test_with_no_time_set_neither_is_looked_for(self) -> None:
        health = Health(Patience(frozen_s=5, covered_s=0, garbled_s=1))
        for level in (0, 120):
            plain = noisy(np.full((120, 160, 3), level, np.uint8))
            assert said(feed(health, plain, 5)) == [("-", 40)]


class TestGarbled:
    @pytest.mark.parametrize("planes", [False, True])
    def test_random_bytes_are_no_picture(self, planes: bool) -> None:
        random = np.random.default_rng(1)

        def garbage() -> Iterator[Image]:
            while True:
                if planes:
                    raw = random.integers(0, 256, (180, 160), np.uint8)
                    yield cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_I420).astype(np.uint8)
                else:
                    yield random.integers(0, 256, (120, 160, 3), np.uint8)

        health = Health(PATIENCE)
        assert said(feed(health, garbage(), 2)) == [("-", 8), ("garbled", 8)]
        assert not health.usable
        assert feed(health, noisy(scene()), 1, start=2) == ["-"] * 8
        assert health.usable

    @pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
    def test_no_photograph_is_garbled_even_with_the_noise_of_the_night(self, picture: str) -> None:
        image = cv2.resize(cv2.imread(str(picture)), (160, 120)).astype(np.uint8)
        assert said(feed(Health(PATIENCE), noisy(image, 15), 2)) == [("-", 16)]


def test_nothing_is_wrong_with_a_filmed_porch() -> None:
    health = Health(Patience(frozen_s=1, covered_s=1, garbled_s=0.5))
    video = cv2.VideoCapture(str(CLIP))
    for number in range(200):
        done, image = video.read()
        assert done
        assert health.feed(image.astype(np.uint8), number / 25) is None
    video.release()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 2), (48, 64), (97, 131), (1080, 1920)])
def test_pictures_of_any_size_are_judged(size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    health = Health(PATIENCE)
    for t in range(3):
        health.feed(random.integers(90, 160, (*size, 3), np.uint8), float(t))


def test_a_picture_is_only_read() -> None:
    image = scene()
    image.setflags(write=False)
    before = image.copy()
    Health(PATIENCE).feed(image, 0.0)
    assert np.array_equal(image, before)
