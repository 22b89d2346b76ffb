"""Boxes and pixels, against slower ways of saying the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lockd.types import Box, Floats, Image
from lockd.vision.geometry import (
    Octaves,
    iou,
    similarity,
    square,
    squared,
    suppress,
    suppress_nested,
)

coordinates = st.floats(-200, 200, width=32)
sides = st.floats(0.5, 200, width=32)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinates, coordinates, sides, sides
)


def rows(some: list[Box]) -> Floats:
    return np.array([[b.x0, b.y0, b.x1, b.y1] for b in some], np.float32).reshape(-1, 4)


def picture(width: int, height: int, seed: int = 1) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def smooth(width: int, height: int) -> Image:
    """Levels that rise by one a pixel along x in blue and along y in green."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, (x + y) // 2], axis=2).astype(np.uint8)


class TestIntersectionOverUnion:
    @given(boxes, boxes)
    def test_it_is_symmetric_and_from_0_to_1(self, first: Box, second: Box) -> None:
        overlap = iou(first, second)
        assert overlap == iou(second, first)
        assert 0.0 <= overlap <= 1.0 + 1e-9

    @given(boxes)
    def test_of_a_box_with_itself_it_is_1(self, box: Box) -> None:
        assert iou(box, box) == pytest.approx(1.0)

    @given(boxes, boxes, st.integers(-50, 50), st.integers(-50, 50))
    def test_it_moves_with_the_boxes(self, first: Box, second: Box, dx: int, dy: int) -> None:
        moved = [Box(b.x0 + dx, b.y0 + dy, b.x1 + dx, b.y1 + dy) for b in (first, second)]
        assert iou(*moved) == pytest.approx(iou(first, second), abs=1e-5)

    def test_of_boxes_that_only_touch_it_is_0(self) -> None:
        assert iou(Box(0, 0, 10, 10), Box(10, 0, 20, 10)) == 0.0
        assert iou(Box(0, 0, 10, 10), Box(0, 10, 10, 20)) == 0.0

    def test_of_boxes_apart_both_ways_it_is_0(self) -> None:
        assert iou(Box(0, 0, 10, 10), Box(20, 20, 30, 30)) == 0.0

    def test_of_a_known_pair_it_is_the_known_ratio(self) -> None:
        assert iou(Box(0, 0, 10, 10), Box(5, 0, 15, 10)) == pytest.approx(50 / 150)


class TestSquares:
    @given(boxes)
    def test_a_square_keeps_the_centre_and_the_longer_side(self, box: Box) -> None:
        found = square(box)
        longer = max(box.width, box.height)
        assert found.width == pytest.approx(longer, rel=1e-5)
        assert found.height == pytest.approx(longer, rel=1e-5)
        assert found.centre == pytest.approx(box.centre, abs=1e-4)

    @given(boxes)
    def test_a_square_holds_its_box(self, box: Box) -> None:
        found = square(box)
        assert found.x0 <= box.x0 + 1e-4
        assert found.y0 <= box.y0 + 1e-4
        assert found.x1 >= box.x1 - 1e-4
        assert found.y1 >= box.y1 - 1e-4

    @given(st.lists(boxes, max_size=5))
    def test_an_array_of_boxes_is_squared_like_each_of_them(self, some: list[Box]) -> None:
        expected = rows([square(box) for box in some])
        np.testing.assert_allclose(squared(rows(some)), expected, atol=1e-3)


def greedy(some: Floats, confidences: Floats, limit: float, *, nested: bool) -> list[int]:
    """Suppression as one would explain it."""
    kept: list[int] = []
    for index in sorted(range(len(some)), key=lambda i: -confidences[i]):
        if all(_overlap(some[index], some[other], nested=nested) <= limit for other in kept):
            kept.append(index)
    return kept


def _overlap(first: Floats, second: Floats, *, nested: bool) -> float:
    a, b = (Box(*(float(side) for side in one)) for one in (first, second))
    if not nested:
        return iou(a, b)
    shared = max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(
        0.0, min(a.y1, b.y1) - max(a.y0, b.y0)
    )
    return shared / min(a.width * a.height, b.width * b.height)


# Whole pixels, and a limit no ratio of such boxes meets exactly, so that rounding decides nothing.
cells = st.integers(0, 40)
whole = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    cells,
    cells,
    st.integers(1, 30),
    st.integers(1, 30),
)
LIMITS = st.sampled_from([0.3 + 1e-4 * np.pi, 0.5 + 1e-4 * np.pi, 0.7 + 1e-4 * np.pi])


class TestSuppression:
    @given(st.lists(whole, max_size=12), LIMITS, st.randoms(use_true_random=False))
    def test_it_is_the_greedy_one(self, some, limit, random) -> None:  # type: ignore[no-untyped-def]
        confidences = np.array(random.sample(range(-500, 500), len(some)), np.float32) / 50
        found = suppress(rows(some), confidences, limit)
        assert list(found) == greedy(rows(some), confidences, limit, nested=False)

    @given(st.lists(whole, max_size=12), LIMITS, st.randoms(use_true_random=False))
    def test_the_nested_one_is_the_greedy_one_over_the_smaller_box(  # type: ignore[no-untyped-def]
        self, some, limit, random
    ) -> None:
        confidences = np.array(random.sample(range(-500, 500), len(some)), np.float32) / 50
        found = suppress_nested(rows(some), confidences, limit)
        assert list(found) == greedy(rows(some), confidences, limit, nested=True)

    @pytest.mark.parametrize("function", [suppress, suppress_nested])
    def test_no_boxes_stay_no_boxes(self, function) -> None:  # type: ignore[no-untyped-def]
        found = function(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.5)
        assert found.shape == (0,)
        assert found.dtype == np.int64

    def test_a_box_of_negative_confidence_takes_part(self) -> None:
        some = rows([Box(0, 0, 10, 10), Box(50, 50, 60, 60)])
        assert list(suppress(some, np.array([-3, -7], np.float32), 0.5)) == [0, 1]

    def test_a_mouth_inside_a_face_falls_only_by_the_nested_rule(self) -> None:
        face_and_mouth = rows([Box(0, 0, 100, 100), Box(30, 70, 70, 90)])
        confidences = np.array([9, 4], np.float32)
        assert list(suppress(face_and_mouth, confidences, 0.7)) == [0, 1]
        assert list(suppress_nested(face_and_mouth, confidences, 0.7)) == [0]

    def test_boxes_beyond_the_border_are_suppressed_like_others(self) -> None:
        some = rows([Box(-40, -40, 10, 10), Box(-38, -40, 10, 10)])
        assert list(suppress(some, np.array([1, 2], np.float32), 0.5)) == [1]

    def test_the_boxes_given_are_not_touched(self) -> None:
        some = rows([Box(1, 2, 30, 40), Box(2, 2, 30, 40)])
        kept = some.copy()
        suppress(some, np.array([1, 2], np.float32), 0.5)
        suppress_nested(some, np.array([1, 2], np.float32), 0.5)
        np.testing.assert_array_equal(some, kept)


class TestOctaves:
    @given(st.integers(1, 40), st.data())
    def test_a_whole_pixel_box_at_its_own_size_is_the_slice(self, size: int, data) -> None:  # type: ignore[no-untyped-def]
        image = picture(64, 48)
        x = data.draw(st.integers(0, 64 - size))
        y = data.draw(st.integers(0, 48 - size))
        found = Octaves(image).cut(Box(x, y, x + size, y + size), size)
        np.testing.assert_array_equal(found, image[y : y + size, x : x + size])

    @given(st.integers(0, 100), st.integers(0, 60), st.integers(8, 40))
    def test_a_patch_cut_and_put_back_changes_nothing(self, x: int, y: int, size: int) -> None:
        image = picture(160, 120)
        copy = image.copy()
        copy[y : y + size, x : x + size] = Octaves(image).cut(Box(x, y, x + size, y + size), size)
        np.testing.assert_array_equal(copy, image)

    @given(st.integers(-30, 30), st.integers(-30, 30))
    def test_beyond_the_border_it_is_black_or_repeats_the_outermost_pixels(
        self, x: int, y: int
    ) -> None:
        image = np.maximum(picture(32, 24), 1)  # nothing black inside
        box = Box(x, y, x + 24, y + 24)
        columns, lines = np.arange(x, x + 24), np.arange(y, y + 24)
        repeated = image[np.clip(lines, 0, 23)][:, np.clip(columns, 0, 31)]
        inside = np.logical_and.outer((lines >= 0) & (lines < 24), (columns >= 0) & (columns < 32))[
            ..., None
        ]
        np.testing.assert_array_equal(Octaves(image).cut(box, 24, replicate=True), repeated)
        np.testing.assert_array_equal(Octaves(image).cut(box, 24), repeated * inside)

    @pytest.mark.parametrize("shrink", [2, 4])
    def test_a_shrunk_patch_is_the_mean_of_the_pixels_it_covers(self, shrink: int) -> None:
        image = smooth(200, 160)
        found = Octaves(image).cut(Box(20, 12, 20 + 24 * shrink, 12 + 24 * shrink), 24)
        covered = image[12 : 12 + 24 * shrink, 20 : 20 + 24 * shrink].astype(float)
        mean = covered.reshape(24, shrink, 24, shrink, 3).mean(axis=(1, 3))
        assert np.abs(found.astype(float) - mean).max() <= 1.0

    @pytest.mark.parametrize("shrink", [2, 4])
    def test_every_pixel_counts_in_a_shrunk_patch(self, shrink: int) -> None:
        image = picture(160, 160)
        found = Octaves(image).cut(Box(8, 16, 8 + 32 * shrink, 16 + 32 * shrink), 32)
        covered = image[16 : 16 + 32 * shrink, 8 : 8 + 32 * shrink].astype(float)
        mean = covered.reshape(32, shrink, 32, shrink, 3).mean(axis=(1, 3))
        assert np.abs(found.astype(float) - mean).max() <= 1.5

    @pytest.mark.parametrize("shrink", [1.5, 3.0, 5.0])
    def test_between_the_octaves_a_gradient_stays_where_it_was(self, shrink: float) -> None:
        image = smooth(240, 200)
        side = 24 * shrink
        found = Octaves(image).cut(Box(31, 17, 31 + side, 17 + side), 24).astype(float)
        centre = (np.arange(24) + 0.5) * shrink - 0.5
        assert np.abs(found[..., 0] - (31 + centre)[None, :]).max() <= 1.0
        assert np.abs(found[..., 1] - (17 + centre)[:, None]).max() <= 1.0

    @given(st.floats(0, 20), st.floats(0, 20))
    def test_a_fraction_of_a_pixel_moves_a_gradient_by_as_much(self, x: float, y: float) -> None:
        found = Octaves(smooth(64, 64)).cut(Box(x, y, x + 24, y + 24), 24).astype(float)
        assert np.abs(found[..., 0] - (x + np.arange(24))[None, :]).max() <= 1.0
        assert np.abs(found[..., 1] - (y + np.arange(24))[:, None]).max() <= 1.0

    @pytest.mark.parametrize("shrink", [1, 2, 4, 8])
    def test_the_whole_image_is_resized_without_a_shift(self, shrink: int) -> None:
        width, height = 192 // shrink, 128 // shrink
        found = Octaves(smooth(192, 128)).resized(width, height).astype(float)
        assert found.shape == (height, width, 3)
        x, y = ((np.arange(side) + 0.5) * shrink - 0.5 for side in (width, height))
        assert np.abs(found[..., 0] - x[None, :]).max() <= 1.5
        assert np.abs(found[..., 1] - y[:, None]).max() <= 1.5

    @pytest.mark.parametrize("size", [(97, 73), (50, 38), (25, 19)])
    def test_odd_sides_shift_the_whole_image_by_less_than_a_pixel_of_the_result(
        self, size: tuple[int, int]
    ) -> None:
        width, height = size
        found = Octaves(smooth(199, 151)).resized(width, height).astype(float)
        x = (np.arange(width) + 0.5) * 199 / width - 0.5
        y = (np.arange(height) + 0.5) * 151 / height - 0.5
        assert np.abs(found[..., 0] - x[None, :]).max() < 199 / width
        assert np.abs(found[..., 1] - y[:, None]).max() < 151 / height

    @pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 2), (17, 33)])
    def test_an_image_too_small_for_octaves_is_still_cut(self, shape: tuple[int, int]) -> None:
        image = np.full((*shape, 3), 77, np.uint8)
        found = Octaves(image).cut(Box(0, 0, 600, 600), 12, replicate=True)
        assert found.shape == (12, 12, 3)
        assert (found == 77).all()

    def test_an_odd_image_is_cut_where_its_pixels_are(self) -> None:
        image = smooth(201, 151)
        found = Octaves(image).cut(Box(0, 0, 96, 96), 24)
        even = Octaves(smooth(200, 150)).cut(Box(0, 0, 96, 96), 24)
        np.testing.assert_array_equal(found, even)

    @given(
        st.lists(
            st.tuples(st.floats(-60, 300), st.floats(-60, 200), st.floats(3, 200)), max_size=20
        ),
        st.sampled_from([24, 48]),
    )
    def test_many_patches_at_once_are_those_cut_one_by_one(
        self, some: list[tuple[float, float, float]], size: int
    ) -> None:
        octaves = Octaves(picture(301, 203))
        wanted = rows([Box(x, y, x + side, y + side) for x, y, side in some])
        found, squares = octaves.patches(wanted, size)
        assert found.shape == (len(some), size, size, 3)
        assert squares.dtype == np.float32
        # Half a pixel of the octave that is read, and at least a pixel of it.
        step = np.maximum((wanted[:, 2:] - wanted[:, :2]) / size, 1)
        assert (np.abs(squares - wanted).reshape(-1, 2, 2) <= step[:, None] + 1e-3).all()
        np.testing.assert_allclose(
            squares[:, 2] - squares[:, 0], squares[:, 3] - squares[:, 1], atol=1e-3
        )
        for patch, one in zip(found, squares.tolist(), strict=True):
            # A square that is enlarged ends with its own pixels, not with those beside it.
            rim = int(size / (one[2] - one[0]))
            inside = slice(rim, size - rim)
            expected = octaves.cut(Box(*one), size)
            difference = np.abs(patch.astype(int) - expected)[inside, inside]
            assert difference.max(initial=0) <= 2

    def test_the_image_itself_is_never_changed(self) -> None:
        image = picture(128, 128)
        kept: NDArray[np.uint8] = image.copy()
        octaves = Octaves(image)
        octaves.cut(Box(-20, -20, 200, 200), 24)
        octaves.resized(20, 20)
        assert octaves.image is image
        np.testing.assert_array_equal(image, kept)


points = st.lists(
    st.tuples(st.integers(-100, 100), st.integers(-100, 100)), min_size=3, max_size=6, unique=True
).map(lambda some: np.array(some, np.float32))


def placed(some: Floats, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = some @ matrix[:, :2].T + matrix[:, 2]
    return moved


class TestSimilarity:
    @given(points, st.floats(-3.1, 3.1), st.floats(0.1, 10), st.integers(-99, 99))
    def test_a_turn_a_scale_and_a_shift_are_found(
        self, some: Floats, turn: float, scale: float, shift: int
    ) -> None:
        c, s = scale * np.cos(turn), scale * np.sin(turn)
        true = np.array([[c, -s, shift], [s, c, -2 * shift]])
        found = similarity(some, placed(some, true).astype(np.float32))
        np.testing.assert_allclose(found, true, atol=0.01 * max(scale, 1))

    @given(points, points.filter(lambda some: len(some) >= 3))
    def test_nothing_is_sheared_or_mirrored(self, first: Floats, second: Floats) -> None:
        count = min(len(first), len(second))
        (a, b, _), (c, d, _) = similarity(first[:count], second[:count])
        assert (a, b) == pytest.approx((d, -c))

    @given(points, points, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
    def test_no_other_turn_or_scale_comes_nearer(
        self, first: Floats, second: Floats, real: float, imaginary: float
    ) -> None:
        count = min(len(first), len(second))
        source, target = first[:count], second[:count]
        best = similarity(source, target)
        other = best + np.array([[real, -imaginary, 1], [imaginary, real, -1]])
        errors = [float(((placed(source, one) - target) ** 2).sum()) for one in (best, other)]
        assert errors[0] <= errors[1] + 1e-3

    def test_of_points_onto_themselves_it_changes_nothing(self) -> None:
        some = np.array([(0, 0), (9, 2), (4, 7)], np.float32)
        np.testing.assert_allclose(similarity(some, some), [[1, 0, 0], [0, 1, 0]], atol=1e-12)


class TestAlignment:
    TEMPLATE = np.array([(10, 12), (30, 12), (20, 24), (12, 32), (28, 32)], np.float32)

    @given(st.integers(0, 100), st.integers(0, 60))
    def test_points_that_lie_as_in_the_template_are_the_slice(self, x: int, y: int) -> None:
        image = picture(160, 120)
        found = Octaves(image).align(self.TEMPLATE + np.float32([x, y]), self.TEMPLATE, 40)
        np.testing.assert_array_equal(found, image[y : y + 40, x : x + 40])

    @pytest.mark.parametrize("turn", [-90, -40, 0, 25, 90, 180])
    @pytest.mark.parametrize("scale", [1.0, 2.0, 5.0])
    def test_marks_in_the_image_come_to_lie_on_the_template(
        self, turn: float, scale: float
    ) -> None:
        angle = np.radians(turn)
        matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        marks = ((self.TEMPLATE - 20) @ matrix.T + 200).astype(np.float32)
        y, x = np.mgrid[:400, :400] + 0.5
        for mark, expected in zip(marks, self.TEMPLATE, strict=True):
            spot = np.exp(-((x - mark[0]) ** 2 + (y - mark[1]) ** 2) / (2 * (2 * scale) ** 2))
            image = np.repeat((255 * spot).astype(np.uint8)[..., None], 3, axis=2)
            found = Octaves(image).align(marks, self.TEMPLATE, 40)[..., 0].astype(float)
            rows, columns = np.mgrid[:40, :40] + 0.5
            centre = np.array([(found * columns).sum(), (found * rows).sum()]) / found.sum()
            np.testing.assert_allclose(centre, expected, atol=0.15)

    def test_beyond_the_border_the_outermost_pixels_are_repeated(self) -> None:
        image = np.full((30, 30, 3), 90, np.uint8)
        found = Octaves(image).align(self.TEMPLATE - np.float32(25), self.TEMPLATE, 40)
        assert (found == 90).all()

    def test_points_all_in_one_place_are_a_patch_nevertheless(self) -> None:
        found = Octaves(picture(60, 60)).align(np.full((5, 2), 20, np.float32), self.TEMPLATE, 40)
        assert found.shape == (40, 40, 3)
