"""Photographs of every usual format become pixels, whatever they are called; bombs do not."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from lockd.errors import ImageError
from lockd.types import Image
from lockd.vision.decoding import HEAD_BYTES, MAX_PIXELS, decode, is_picture
from tests.bombs import BOMBS, JUNK, tiff_named_twice
from tests.conftest import PHOTOS
from tests.memory import growth_kib
from tests.pictures import OBAMA, read

HEIC = PHOTOS / "barack-obama.heic"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")


def encoded(form: str, width: int = 33, height: int = 21, **how: object) -> bytes:
    rng = np.random.default_rng(width * height)
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(picture).save(file, form, **how)  # type: ignore[arg-type]
    return file.getvalue()


def flat(form: str, *colours: tuple[int, int, int], **how: object) -> bytes:
    """A file with one or several pictures, each of one colour (red, green, blue)."""
    first, *others = (Pillow.new("RGB", (64, 48), colour) for colour in colours)
    file = io.BytesIO()
    more = {"save_all": True, "append_images": others} if others else {}
    first.save(file, form, **more, **how)  # type: ignore[arg-type]
    return file.getvalue()


def colour(image: Image) -> list[int]:
    """Its middle, as (blue, green, red)."""
    return [int(level) for level in image[image.shape[0] // 2, image.shape[1] // 2]]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (33, 21), (640, 3), (257, 4000)])
def test_every_format_is_decoded_at_its_size(form: str, size: tuple[int, int]) -> None:
    content = encoded(form, *size)
    assert is_picture(content[:HEAD_BYTES])
    assert decode(content, "picture").shape[1::-1] == size


@pytest.mark.parametrize("form", FORMATS)
def test_colours_come_out_as_blue_green_red(form: str) -> None:
    found = colour(decode(flat(form, (200, 100, 20)), "flat"))
    assert np.abs(np.subtract(found, (20, 100, 200))).max() <= 4


def test_a_telephones_heic_is_the_photograph_upright() -> None:
    content = HEIC.read_bytes()
    assert is_picture(content[:HEAD_BYTES])
    found, expected = decode(content, "heic"), read(OBAMA)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 6


def test_a_jpeg_gives_the_same_pixels_as_the_cameras_decoder() -> None:
    content = OBAMA.read_bytes()
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert expected is not None
    np.testing.assert_allclose(decode(content, "obama"), expected, atol=2)


@pytest.mark.parametrize(
    ("form", "how"), [("JPEG", {"progressive": True}), ("WEBP", {"lossless": True})]
)
def test_the_other_sorts_of_a_format_are_read_too(form: str, how: dict[str, object]) -> None:
    assert decode(encoded(form, **how), "picture").shape == (21, 33, 3)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_picture_is_taken(form: str) -> None:
    found = colour(decode(flat(form, (200, 0, 0), (0, 0, 200)), "moving"))
    assert found[2] > 150
    assert found[0] < 50


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_blue_green_red(mode: str) -> None:
    form = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    file = io.BytesIO()
    Pillow.new(mode, (20, 10), 128 * 256 if mode == "I;16" else None or 0).save(file, form)
    found = decode(file.getvalue(), mode)
    assert (found.shape, found.dtype) == ((10, 20, 3), np.uint8)
    if mode == "I;16":
        assert (found == 128).all()


@pytest.mark.parametrize("name", BOMBS)
def test_a_huge_picture_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match=r"^bomb: "):
        decode(BOMBS[name], "bomb")


@pytest.mark.parametrize("name", ["png", "jpeg", "bmp"])
def test_a_picture_that_says_so_is_refused_for_its_size(name: str) -> None:
    with pytest.raises(ImageError, match=r"^bomb: says it has more than the 67 million pixels"):
        decode(BOMBS[name], "bomb")


def test_a_little_more_than_the_most_is_refused_too() -> None:
    phone = bytearray(encoded("JPEG"))
    place = phone.index(b"\xff\xc0")
    phone[place + 5 : place + 9] = struct.pack(">HH", 8192, 8193)
    with pytest.raises(ImageError, match="says it has more than"):
        decode(bytes(phone), "phone")
    assert 8192 * 6144 < MAX_PIXELS < 8192 * 8193


@pytest.mark.parametrize(("first", "second"), [(20_000, 100), (100, 20_000)])
def test_a_size_named_twice_costs_no_more_than_the_most(
    first: int, second: int, tmp_path: Path
) -> None:
    """A TIFF of 400 kB that is 20,000 pixels wide to whoever believes the other number."""
    (tmp_path / "bomb").write_bytes(tiff_named_twice(first, second))
    prepare = "from lockd.errors import ImageError\nfrom lockd.vision.decoding import decode"
    work = "try: decode(file.read_bytes(), 'bomb')\nexcept ImageError: pass"
    assert growth_kib(prepare, work, tmp_path / "bomb", address_space=1 << 30) < 100 << 10


@pytest.mark.parametrize("name", JUNK)
def test_what_is_no_photograph_is_refused_with_what_to_use(name: str) -> None:
    with pytest.raises(ImageError, match=r"^junk: ") as caught:
        decode(JUNK[name], "junk")
    assert "use a JPEG" in str(caught.value) or "mistakes" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"BMW is no picture", b"hello", b"%PDF-1.7", b"ftyp"])
def test_text_does_not_begin_as_a_picture(content: bytes) -> None:
    assert is_picture(content) == content.startswith(b"BM")


@settings(deadline=None)
@given(st.sampled_from(FORMATS), st.data())
def test_a_broken_photograph_is_an_error_or_a_picture(form: str, data: st.DataObject) -> None:
    content = bytearray(encoded(form))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        found = decode(bytes(content[: data.draw(st.integers(0, len(content)))]), "broken")
        assert found.ndim == 3


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"II*\0", b"RIFF", b"BM", b""]))
def test_junk_is_never_more_than_an_image_error(junk: bytes, magic: bytes) -> None:
    is_picture((magic + junk)[:HEAD_BYTES])
    with contextlib.suppress(ImageError):
        decode(magic + junk, "junk")
