"""Photographs come out upright or not at all; drawings go onto a copy."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.errors import ImageError
from lockd.types import Box, Face, Image
from lockd.vision.decoding import decode
from lockd.vision.pictures import View, annotate, encode_jpeg
from tests.fakes import blank, face_at
from tests.pictures import COLLINS, as_stored, read, with_orientation

UPRIGHT = np.zeros((64, 96, 3), np.uint8)
UPRIGHT[:32, :48] = (0, 0, 255)
UPRIGHT[:32, 48:] = (0, 255, 0)
UPRIGHT[32:, :48] = (255, 0, 0)
UPRIGHT[32:, 48:] = (255, 255, 255)


def png(image: np.ndarray) -> bytes:  # type: ignore[type-arg]
    done, buffer = cv2.imencode(".png", image)
    assert done
    return buffer.tobytes()


class TestDecode:
    @pytest.mark.parametrize("byte_order", ["<", ">"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_photograph_is_upright_however_the_camera_was_held(
        self, orientation: int, byte_order: str
    ) -> None:
        stored = encode_jpeg(as_stored(UPRIGHT, orientation))
        file = with_orientation(stored, orientation, byte_order)
        found = decode(file, "held.jpg")
        assert found.shape == UPRIGHT.shape
        # The middles of the quarters: edges between them are blurred by the compression.
        for y in (16, 48):
            for x in (24, 72):
                assert np.abs(found[y, x].astype(int) - UPRIGHT[y, x]).max() < 12

    def test_without_orientation_a_photograph_stays_as_it_is(self) -> None:
        assert decode(encode_jpeg(UPRIGHT), "plain.jpg").shape == UPRIGHT.shape

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_an_orientation_that_does_not_exist_changes_nothing(self, orientation: int) -> None:
        found = decode(with_orientation(encode_jpeg(UPRIGHT), orientation), "odd.jpg")
        np.testing.assert_array_equal(found, decode(encode_jpeg(UPRIGHT), "plain.jpg"))

    def test_a_lossless_picture_comes_out_as_it_went_in(self) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        found = decode(png(noise), "noise.png")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, noise)

    def test_a_grey_picture_has_three_equal_channels(self) -> None:
        grey = np.random.default_rng(1).integers(0, 256, (20, 30)).astype(np.uint8)
        np.testing.assert_array_equal(decode(png(grey), "grey.png"), np.dstack([grey] * 3))

    def test_transparency_is_dropped(self) -> None:
        colours = np.random.default_rng(1).integers(0, 256, (20, 30, 4)).astype(np.uint8)
        np.testing.assert_array_equal(decode(png(colours), "clear.png"), colours[..., :3])

    def test_sixteen_bits_become_eight(self) -> None:
        deep = np.full((8, 8, 3), 128 * 256, np.uint16)
        found = decode(png(deep), "deep.png")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, 128)

    def test_an_empty_file_says_that_it_is_empty(self) -> None:
        with pytest.raises(ImageError, match=r"nothing\.jpg: the file is empty"):
            decode(b"", "nothing.jpg")

    @pytest.mark.parametrize(
        "content",
        [
            b"\0",
            b"hello",
            b"<svg/>",
            b"GIF89a" + bytes(50),
            b"\xff\xd8\xff\xe0" + bytes(200),
            b"\x89PNG\r\n\x1a\n" + bytes(200),
            b"RIFF\x10\0\0\0WEBPVP8 ",
            np.random.default_rng(1).bytes(5000),
        ],
        ids=["zero", "text", "svg", "gif", "jpeg", "png", "webp", "noise"],
    )
    def test_what_is_no_photograph_is_refused_by_name(self, content: bytes) -> None:
        with pytest.raises(ImageError, match=r"^shoes\.jpg: "):
            decode(content, "shoes.jpg")

    @pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
    def test_a_photograph_cut_short_is_refused(self, suffix: str, kept: float) -> None:
        done, buffer = cv2.imencode(suffix, read(COLLINS))
        assert done
        whole = buffer.tobytes()
        assert decode(whole, "whole").shape == read(COLLINS).shape
        with pytest.raises(ImageError, match=r"^half: "):
            decode(whole[: int(len(whole) * kept)], "half")

    def test_a_small_file_that_unfolds_to_a_huge_picture_is_refused(self) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            body = kind + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)
        bomb += chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        with pytest.raises(ImageError, match=r"bomb\.png: says it has more than"):
            decode(bomb, "bomb.png")


def is_green(pixel: Image) -> bool:
    blue, green, red = (int(level) for level in pixel)
    return green > 120 and green > blue + 60 and green > red + 60


def is_red(pixel: Image) -> bool:
    blue, green, red = (int(level) for level in pixel)
    return red > 150 and red > blue + 60 and red > green + 60


class TestAnnotate:
    @pytest.mark.parametrize(("known", "colour"), [(True, is_green), (False, is_red)])
    def test_somebody_known_is_framed_in_green_and_a_stranger_in_red(self, known, colour) -> None:  # type: ignore[no-untyped-def]
        drawn = annotate(blank(320, 240), [(face_at(100, 80, 100), "x", known)])
        for x, y in ((100, 130), (200, 130), (150, 180)):
            assert colour(drawn[y, x])

    def test_everyone_has_their_own_colour(self) -> None:
        known, stranger = face_at(20, 80, 80), face_at(200, 80, 80)
        drawn = annotate(blank(320, 240), [(known, "Ada", True), (stranger, "stranger", False)])
        assert is_green(drawn[120, 20])
        assert is_red(drawn[120, 200])

    def test_the_picture_given_is_not_drawn_on(self) -> None:
        image = blank(320, 240)
        drawn = annotate(image, [(face_at(100, 80), "Ada", True)])
        assert drawn.any()
        assert not image.any()

    def test_landmarks_are_marked(self) -> None:
        face = face_at(100, 80, 100)
        drawn = annotate(blank(320, 240), [(face, "", True)])
        for x, y in face.landmarks:
            assert (drawn[round(float(y)), round(float(x))] == 255).all()

    def test_nobody_leaves_the_picture_as_it_was(self) -> None:
        np.testing.assert_array_equal(annotate(read(COLLINS), []), read(COLLINS))

    def test_a_caption_stands_above_the_box_in_its_colour(self) -> None:
        drawn = annotate(blank(320, 240), [(face_at(100, 80, 100), "Ada", True)])
        above = drawn[60:78, 100:140].reshape(-1, 3)
        assert any(is_green(pixel) for pixel in above)
        assert (above > 200).all(axis=1).any()

    @pytest.mark.parametrize(
        "caption", ["Zoë Müller", "Ὀδυσσεύς", "田中さん", "🙂", "a\nb", "", "x" * 500]
    )
    def test_any_name_can_be_drawn(self, caption: str) -> None:
        drawn = annotate(blank(320, 240), [(face_at(100, 80), caption, True)])
        assert drawn.shape == (240, 320, 3)

    def test_letters_that_cannot_be_drawn_are_question_marks(self) -> None:
        face = face_at(100, 80)
        np.testing.assert_array_equal(
            annotate(blank(320, 240), [(face, "Zoë", True)]),
            annotate(blank(320, 240), [(face, "Zo?", True)]),
        )

    @pytest.mark.parametrize(
        "box",
        [
            Box(-50, -50, 40, 40),
            Box(280, 200, 400, 300),
            Box(-1000, -1000, 2000, 2000),
            Box(500, 500, 600, 600),
        ],
        ids=["upper left", "lower right", "around", "outside"],
    )
    def test_a_face_beyond_the_border_is_drawn_as_far_as_it_is_seen(self, box: Box) -> None:
        face = Face(box, np.zeros((5, 2), np.float32), 0.9)
        drawn = annotate(blank(320, 240), [(face, "Ada", True)])
        assert drawn.shape == (240, 320, 3)

    def test_a_caption_at_the_upper_right_stays_inside_the_picture(self) -> None:
        drawn = annotate(blank(320, 240), [(face_at(300, 2, 60), "Ada Lovelace 0.93", True)])
        text = (drawn > 200).all(axis=2)
        assert text[:40, 150:].sum() > 100

    def test_a_single_pixel_can_be_annotated(self) -> None:
        assert annotate(blank(1, 1), [(face_at(0, 0), "Ada", True)]).shape == (1, 1, 3)


class TestEncode:
    def test_a_picture_survives_its_jpeg(self) -> None:
        found = decode(encode_jpeg(read(COLLINS)), "again.jpg")
        assert np.abs(found.astype(int) - read(COLLINS)).mean() < 4

    def test_a_picture_too_large_for_jpeg_is_an_image_error(self) -> None:
        with pytest.raises(ImageError):
            encode_jpeg(np.zeros((1, 70_000, 3), np.uint8))


class TestView:
    IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)

    @pytest.mark.parametrize("rotate", [0, 90, 180, 270])
    @pytest.mark.parametrize("mirror", [False, True])
    def test_it_turns_clockwise_and_then_swaps_left_and_right(
        self, rotate: int, mirror: bool
    ) -> None:
        expected = np.rot90(self.IMAGE, -rotate // 90)
        expected = expected[:, ::-1] if mirror else expected
        assert np.array_equal(View(rotate, mirror).of(self.IMAGE), expected)

    def test_a_region_is_cut_from_the_upright_picture(self) -> None:
        seen = View(90, region=(0.5, 0.0, 0.5, 0.5)).of(self.IMAGE)
        assert np.array_equal(seen, np.rot90(self.IMAGE, -1)[:3, 2:])
        assert seen.flags.c_contiguous
        assert not np.shares_memory(seen, self.IMAGE)

    @given(
        st.integers(1, 40),
        st.integers(1, 40),
        st.sampled_from([0, 90, 180, 270]),
        st.tuples(st.floats(0, 0.95), st.floats(0, 0.95)),
        st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    )
    def test_whatever_the_region_there_is_a_picture_within_the_picture(
        self,
        height: int,
        width: int,
        rotate: int,
        start: tuple[float, float],
        size: tuple[float, float],
    ) -> None:
        image = np.zeros((height, width, 3), np.uint8)
        seen = View(rotate, region=(*start, *size)).of(image)
        turned = image.shape if rotate % 180 == 0 else (width, height, 3)
        assert 1 <= seen.shape[0] <= turned[0]
        assert 1 <= seen.shape[1] <= turned[1]

    def test_parts_side_by_side_share_no_pixel_and_leave_none_out(self) -> None:
        image = np.arange(101, dtype=np.uint8).reshape(1, 101, 1).repeat(3, axis=2)
        parts = [View(region=(x, 0, 0.1, 1)).of(image) for x in np.arange(10) / 10]
        assert np.array_equal(np.concatenate(parts, axis=1), image)
