"""What is worth a search is searched, and nobody is lost for what is not."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from lockd.config import Settings
from lockd.identity.gallery import Gallery
from lockd.identity.observation import Effort
from lockd.recognition.attention import Attention
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Box, Face, Frame, Image
from lockd.vision.geometry import Octaves, iou
from tests.fakes import ScriptedVision, face_at, unit
from tests.pictures import COLLINS, read

FPS = 10
EMPTY = np.full((480, 640, 3), 110, np.uint8)


def shown(x: int, y: int = 60, side: int = 160, *, on: Image = EMPTY) -> Image:
    """A picture with a real face in it."""
    image = on.copy()
    image[y : y + side, x : x + side] = cv2.resize(read(COLLINS), (side, side))
    return image


class CountingDetector:
    """Finds what the test says is there, and notes how it was asked."""

    min_face_px = 60

    def __init__(self) -> None:
        self.there: list[Face] = []
        self.unfollowed = False
        self.asked: list[str] = []

    def detect_in(self, octaves: Octaves, within: Box | None = None) -> list[Face]:
        self.asked.append("all" if within is None else "part")
        return list(self.there)

    def follow(self, octaves: Octaves, boxes: Sequence[Box]) -> list[Face | None]:
        self.asked.append("follow")
        near = {box: [one for one in self.there if iou(one.box, box) > 0.3] for box in boxes}
        return [near[box][0] if near[box] and not self.unfollowed else None for box in boxes]


class Watcher:
    def __init__(self, still_search_s: float = 2.0, follow_search_s: float = 0.3) -> None:
        self.detector = CountingDetector()
        self.attention = Attention(
            self.detector,  # type: ignore[arg-type]
            still_search_s=still_search_s,
            follow_search_s=follow_search_s,
        )
        self.count = 0

    def see(self, image: Image, *expected: Box, missing: bool = False, closely: bool = False):  # type: ignore[no-untyped-def]
        self.count += 1
        frame = Frame(image, self.count / FPS, self.count)
        octaves = Octaves(image)
        return self.attention.look(octaves, frame, list(expected), missing=missing, closely=closely)

    def efforts(self, image: Image, frames: int, *expected: Box) -> list[Effort]:
        return [self.see(image, *expected).effort for _ in range(frames)]


def settled() -> Watcher:
    watcher = Watcher()
    watcher.efforts(EMPTY, 25)
    return watcher


def test_an_empty_scene_is_searched_every_so_often_and_not_between() -> None:
    efforts = settled().efforts(EMPTY, 60)
    assert set(efforts) == {Effort.STILL, Effort.SEARCHED}
    assert efforts.count(Effort.SEARCHED) == 3
    assert efforts.index(Effort.SEARCHED) < 20


def test_who_comes_is_searched_for_in_the_very_frame_and_where_they_are() -> None:
    watcher = settled()
    watcher.detector.there = [face_at(20, 60, 160)]
    look = watcher.see(shown(20))
    assert look.effort is Effort.PARTLY
    assert look.faces == watcher.detector.there


def test_what_has_stopped_moving_is_searched_for_a_while() -> None:
    watcher = settled()
    efforts = watcher.efforts(shown(20), 20)
    assert Effort.STILL not in efforts[:10]
    assert Effort.STILL in efforts[12:]


def test_a_change_of_all_the_picture_is_searched_everywhere() -> None:
    assert settled().see(EMPTY // 2).effort is Effort.SEARCHED


def test_a_face_is_followed_and_newcomers_are_searched_for_every_few_frames() -> None:
    watcher = settled()
    watcher.detector.there = [face_at(20, 60, 160)]
    watcher.see(shown(20))
    box = watcher.detector.there[0].box
    efforts = watcher.efforts(shown(20), 30, box)
    assert set(efforts) == {Effort.FOLLOWED, Effort.SEARCHED}
    assert 8 <= efforts.count(Effort.SEARCHED) <= 12


def test_a_face_that_is_lost_is_searched_for_in_the_same_frame() -> None:
    watcher = settled()
    watcher.detector.there = [face_at(20, 60, 160)]
    watcher.see(EMPTY, Box(20, 60, 180, 220))
    watcher.detector.there = [face_at(400, 60, 160)]
    look = watcher.see(EMPTY, Box(20, 60, 180, 220))
    assert look.effort is Effort.SEARCHED
    assert look.faces == watcher.detector.there


def test_two_faces_that_become_one_are_searched_for() -> None:
    watcher = settled()
    watcher.detector.there = [face_at(20, 60, 160)]
    watcher.see(EMPTY, Box(20, 60, 180, 220))
    two = Box(20, 60, 180, 220), Box(40, 60, 200, 220)
    assert watcher.see(EMPTY, *two).effort is Effort.SEARCHED


@pytest.mark.parametrize("how", ["missing", "closely"])
def test_while_somebody_is_missing_or_challenged_every_frame_is_searched(how: str) -> None:
    watcher = settled()
    looks = [watcher.see(EMPTY, **{how: True}) for _ in range(15)]
    assert {look.effort for look in looks} == {Effort.SEARCHED}


def test_who_is_challenged_is_not_followed() -> None:
    watcher = settled()
    watcher.detector.asked.clear()
    watcher.see(EMPTY, Box(20, 60, 180, 220), closely=True)
    assert watcher.detector.asked == ["all"]


def test_who_comes_slowly_is_noticed_though_something_else_moves_all_the_time() -> None:
    watcher = Watcher(still_search_s=10)
    watcher.efforts(EMPTY, 15)
    there = shown(460, 60, 160).astype(np.float32)
    efforts = []
    for step in range(80):
        picture = (EMPTY + (there - EMPTY) * step / 80).astype(np.uint8)
        picture[300 + 50 * (step % 3) :][:40, 10:60] = 20
        efforts.append(watcher.see(picture).effort)
    # Both together are more than half of the picture.
    assert efforts[0] is Effort.PARTLY
    assert Effort.SEARCHED in efforts


class TestWiring:
    """What the recogniser tells of its visits."""

    def looks(self, *pictures: Image, challenged: frozenset[int] = frozenset()) -> list[Effort]:
        gallery = Gallery([], self.vision.size)
        recogniser = Recogniser(Settings(), self.vision, gallery)  # type: ignore[arg-type]
        recogniser.challenged = challenged
        frames = (Frame(one, number / FPS, number + 1) for number, one in enumerate(pictures))
        return [recogniser.look(frame).effort for frame in frames]

    def setup_method(self) -> None:
        self.vision = ScriptedVision()
        self.there, self.gone = self.vision.scene(unit(1)), self.vision.scene()

    def test_who_vanished_a_moment_ago_is_searched_for_in_every_frame(self) -> None:
        efforts = self.looks(*[self.there] * 3, *[self.gone] * 40)
        assert efforts[1] is Effort.FOLLOWED
        assert set(efforts[3:22]) == {Effort.SEARCHED}
        assert Effort.STILL in efforts[24:]

    def test_while_somebody_is_challenged_every_frame_is_searched(self) -> None:
        efforts = self.looks(*[self.there] * 10, challenged=frozenset({1}))
        assert set(efforts) == {Effort.SEARCHED}


def test_switched_off_every_frame_is_searched() -> None:
    watcher = Watcher(0, 0)
    assert set(watcher.efforts(EMPTY, 15)) == {Effort.SEARCHED}
    assert set(watcher.efforts(EMPTY, 15, Box(20, 60, 180, 220))) == {Effort.SEARCHED}
    assert set(watcher.detector.asked) == {"all"}


class TestWithTheNetworks:
    """The same faces as by searching every frame."""

    def watched(self, vision: Vision, clip: list[Image], **settings: float) -> list[list[Box]]:
        some = Settings.model_validate({"recognition": settings})
        recogniser = Recogniser(some, vision, Gallery([], vision.embedder.size))
        looks = [
            recogniser.look(Frame(image, number / FPS, number + 1))
            for number, image in enumerate(clip)
        ]
        self.efforts = [look.effort for look in looks]
        return [[one.face.box for one in look.sightings] for look in looks]

    def test_who_comes_stays_and_goes_is_seen_in_every_frame(self, vision: Vision) -> None:
        walk = [shown(x, 100, 320) for x in range(10, 300, 30)]
        clip = [EMPTY] * 8 + walk + [walk[-1]] * 8 + walk[::-1] + [EMPTY] * 4
        searched = self.watched(vision, clip, still_search_s=0, follow_search_s=0)
        found = self.watched(vision, clip)
        assert sum(map(len, searched)) >= 25
        for each, every in zip(found, searched, strict=True):
            assert all(any(iou(box, one) > 0.5 for one in each) for box in every)
        assert self.efforts.count(Effort.SEARCHED) < 0.7 * len(clip)
        assert Effort.FOLLOWED in self.efforts

    def test_of_two_who_wait_alike_the_better_picture_is_judged(self, vision: Vision) -> None:
        blurred = cv2.GaussianBlur(shown(10, 10, 310), (0, 0), 1.2).astype(np.uint8)
        both = shown(360, 160, 260, on=blurred)
        some = Settings.model_validate(
            {
                "recognition": {"faces_per_frame": 1, "search_face_px": 40},
                "quality": {"min_face_px": 40},
            }
        )
        recogniser = Recogniser(some, vision, Gallery([], vision.embedder.size))
        look = recogniser.look(Frame(both, 0.0, 1))
        assert len(look.sightings) == 2
        assert look.sightings[0].face.box.x0 < 320, "the larger comes first"
        assert [one.face.box.x0 > 320 for one in look.sightings if one.match] == [True]

    def test_a_part_of_the_picture_shows_the_faces_that_reach_into_it(self, vision: Vision) -> None:
        image = shown(330, 160, 310, on=shown(10, 10, 310))
        octaves = Octaves(image)
        whole = vision.detector.detect_in(octaves)
        assert len(whole) == 2
        for face in whole:
            x, y = face.box.centre
            found = vision.detector.detect_in(octaves, Box(x, y, x + 8, y + 8))
            assert max(iou(one.box, face.box) for one in found) > 0.9

    def test_following_finds_the_face_that_a_search_finds(self, vision: Vision) -> None:
        octaves = Octaves(shown(200, 60, 320))
        (face,) = vision.detector.detect_in(octaves)
        box = face.box
        for x, y in ((0.0, 0.0), (0.2, -0.1), (-0.2, 0.0), (0.1, 0.2)):
            dx, dy = x * box.height, y * box.height
            moved = Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy)
            (found,) = vision.detector.follow(octaves, [moved])
            assert found is not None
            assert iou(found.box, face.box) > 0.75
            assert np.abs(found.landmarks - face.landmarks).max() < 0.08 * box.width

    def test_following_finds_nobody_where_nobody_is(self, vision: Vision) -> None:
        nowhere = [Box(300, 200, 400, 300), Box(5, 5, 5, 5), Box(-900, -900, -800, -800)]
        assert vision.detector.follow(Octaves(EMPTY), nowhere) == [None, None, None]
