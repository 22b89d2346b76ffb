"""The picture of the last stranger."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from lockd.config import SnapshotSettings
from lockd.publishing.snapshots import NOTHING, Snapshots
from lockd.types import Box, Image
from lockd.vision.pictures import around, jpeg_within
from tests.conftest import PHOTOS
from tests.fakes import face_at


class ScriptedBus:
    def __init__(self) -> None:
        self.session: object | None = object()
        self.told: list[tuple[str, bytes, float | None]] = []
        self.bytes: int | None = None

    def room(self, topic: str) -> int | None:
        return self.bytes

    def takes(self, topic: str, size: int) -> bool:
        return self.bytes is None or size <= self.bytes

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: float | None = None
    ) -> None:
        assert retain
        assert self.session is not None
        self.told.append((topic, payload, expiry_s))


class Wall:
    """Snapshots, their broker and their clock."""

    def __init__(self, **settings: Any) -> None:
        self.bus = ScriptedBus()
        self.now = 0.0
        wanted = SnapshotSettings.model_validate(settings)
        bus: Any = self.bus
        self.snapshots = Snapshots(wanted, "snapshot", bus, lambda: self.now)

    def shown(self) -> Image:
        _, payload, _ = self.bus.told[-1]
        image = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return image  # type: ignore[return-value]


def picture() -> Image:
    image = cv2.imread(str(PHOTOS / "barack-obama.jpg"))
    assert image is not None
    return image  # type: ignore[return-value]


def test_by_default_none_is_taken_and_one_of_before_is_taken_back() -> None:
    wall = Wall()
    assert not wall.snapshots.take(picture(), face_at(10, 10))
    wall.snapshots.serve()
    wall.snapshots.serve()
    assert wall.bus.told == [("snapshot", b"", None)]


def test_a_frame_is_shown_for_its_time_then_a_grey_one_takes_its_place() -> None:
    wall = Wall(of="frame", keep_s=100)
    wall.snapshots.serve()
    image = picture()
    wall.now = 5.0
    assert wall.snapshots.take(image, None)
    wall.snapshots.serve()
    assert wall.shown().shape == image.shape
    wall.now = 104.9
    wall.snapshots.serve()
    wall.now = 105.0
    wall.snapshots.serve()
    wall.snapshots.serve()
    assert [(payload == NOTHING, expiry) for _, payload, expiry in wall.bus.told] == [
        (True, None),
        (False, 100.0),
        (True, None),
    ]


def test_of_a_face_only_its_surroundings_are_shown() -> None:
    wall = Wall(of="face")
    image = np.zeros((480, 640, 3), np.uint8)
    assert not wall.snapshots.take(image, None)
    assert wall.snapshots.take(image, face_at(200, 100, side=100))
    wall.snapshots.serve()
    assert wall.shown().shape == (181, 181, 3)


def test_a_broker_that_is_new_is_shown_it_again_for_the_time_that_is_left() -> None:
    wall = Wall(of="frame", keep_s=100)
    wall.bus.session = None
    wall.snapshots.take(picture(), None)
    wall.snapshots.serve()
    assert wall.bus.told == []
    wall.now = 40.0
    wall.bus.session = object()
    wall.snapshots.serve()
    wall.snapshots.serve()
    assert [expiry for *_, expiry in wall.bus.told] == [60.0]


@pytest.mark.parametrize("limit", [2000, 5000, 30_000])
def test_a_picture_is_made_small_enough(limit: int) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    for image in (noise, picture()):
        assert len(jpeg_within(image, limit)) <= limit


def test_a_picture_that_is_small_enough_keeps_its_size() -> None:
    image = picture()
    content = jpeg_within(image, 10_000_000)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == image.shape


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        (Box(-50, -50, 10, 10), (35, 35, 3)),
        (Box(90, 70, 200, 200), (62, 54, 3)),
        (Box(300, 300, 400, 400), (1, 1, 3)),
        (Box(40, 40, 60, 60), (37, 37, 3)),
    ],
)
def test_a_face_at_the_edge_or_beyond_it_still_gives_a_picture(
    box: Box, shape: tuple[int, int, int]
) -> None:
    part = around(np.zeros((80, 100, 3), np.uint8), box)
    assert part.shape == shape


def test_a_picture_becomes_as_small_as_the_broker_takes_and_grey_if_that_is_too_small() -> None:
    wall = Wall(of="frame")
    wall.snapshots.take(picture(), None)
    wall.snapshots.serve()
    sizes = [len(wall.bus.told[-1][1])]
    for room in (20_000, 3_000, 1_500):
        wall.bus.bytes = room
        wall.snapshots.serve()
        sizes.append(len(wall.bus.told[-1][1]))
    wall.snapshots.serve()
    assert sizes[0] > 20_000 >= sizes[1] > 3_000 >= sizes[2] > sizes[3] == len(NOTHING)
    assert len(wall.bus.told) == 4
