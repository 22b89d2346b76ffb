"""What a picture file claims is read from its header, before any decoder sees it."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.errors import ImageError
from lockd.vision.headers import MAX_PIXELS, read_header
from lockd.vision.pictures import decode
from tests.bombs import BOMBS

SUFFIXES = {".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".tiff": "TIFF", ".bmp": "BMP"}


def encoded(suffix: str, width: int = 33, height: int = 21, *how: int) -> bytes:
    rng = np.random.default_rng(width * height)
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    done, buffer = cv2.imencode(suffix, picture, list(how))
    assert done
    return buffer.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("size", [(1, 1), (33, 21), (640, 3), (257, 4000)])
def test_the_size_is_the_one_that_comes_out(suffix: str, size: tuple[int, int]) -> None:
    content = encoded(suffix, *size)
    header = read_header(content)
    assert header is not None
    assert (header.kind, header.width, header.height, header.whole) == (
        *(SUFFIXES[suffix], *size),
        True,
    )
    assert decode(content, "picture").shape[1::-1] == size


@pytest.mark.parametrize(
    "content",
    [
        encoded(".jpg", 33, 21, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".webp", 33, 21, cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(".webp", 33, 21, cv2.IMWRITE_WEBP_QUALITY, 50),
    ],
    ids=["progressive", "lossless", "lossy"],
)
def test_the_other_sorts_of_a_format_are_read_too(content: bytes) -> None:
    header = read_header(content)
    assert header is not None
    assert (header.width, header.height) == (33, 21)


@pytest.mark.parametrize("name", BOMBS)
def test_a_header_that_claims_a_huge_picture_is_refused_before_decoding(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoder(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decoder)
    with pytest.raises(ImageError, match=r"^bomb: says it has \d+ x \d+ pixels"):
        decode(BOMBS[name], "bomb")


def test_the_largest_photograph_of_a_telephone_is_not_too_large() -> None:
    phone = bytearray(encoded(".jpg"))
    place = phone.index(b"\xff\xc0")
    phone[place + 5 : place + 9] = struct.pack(">HH", 8192, 6144)
    header = read_header(bytes(phone))
    assert header is not None
    assert header.width * header.height < MAX_PIXELS
    assert not header.too_large


def test_a_jpeg_with_two_headers_is_no_picture() -> None:
    # A small one before a huge one, or the other way round: no guess which one counts.
    small, large = encoded(".jpg"), encoded(".jpg", 64, 64)
    start, end = large.index(b"\xff\xc0"), large.index(b"\xff\xda")
    assert read_header(small[:2] + large[start:end] + small[2:]) is None


@settings(deadline=None)
@given(st.sampled_from(sorted(SUFFIXES)), st.data())
def test_a_broken_header_is_no_picture_or_one_with_a_size(suffix: str, data: st.DataObject) -> None:
    content = bytearray(encoded(suffix))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    header = read_header(bytes(content[: data.draw(st.integers(0, len(content)))]))
    assert header is None or min(header.width, header.height) > 0


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"II*\0", b"RIFF", b"BM", b""]))
def test_junk_never_raises(junk: bytes, magic: bytes) -> None:
    read_header(magic + junk)
