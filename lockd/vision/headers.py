"""What a picture file says of itself, read before any decoder sees it.

A few bytes can claim a picture of terabytes. So the size is read here, by code that
looks at no more than the header, and what is not one of five kinds of file goes to no
decoder at all. Formats: ITU T.81 B.2 (JPEG), W3C PNG 5 and 11.2, RFC 9649 (WebP),
TIFF 6.0 section 2, BITMAPINFOHEADER (BMP).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

MAX_PIXELS = 2**26
"""The most that is decoded: 67 million, 192 MiB as BGR. Telephones have about 50 million."""

_Kind = Literal["JPEG", "PNG", "WebP", "TIFF", "BMP"]

# Start-of-frame markers; 0xC4, 0xC8 and 0xCC in between are something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}  # markers without a length


@dataclass(frozen=True, slots=True)
class Header:
    """What a file claims.

    Attributes:
        kind: of file.
        width: pixels, as stored.
        height: the same.
        whole: whether the file's own end is in it.
    """

    kind: _Kind
    width: int
    height: int
    whole: bool

    @property
    def too_large(self) -> bool:
        """Whether decoding it is out of the question."""
        return self.width * self.height > MAX_PIXELS


def read_header(content: bytes) -> Header | None:
    """Return what a file says of itself; None if it is no picture, or its header is broken."""
    for magic, reader in _READERS:
        if content.startswith(magic):
            try:
                header = reader(content)
            except (struct.error, IndexError):
                return None
            return header if header and min(header.width, header.height) > 0 else None
    return None


def _jpeg(content: bytes) -> Header | None:
    place, size = 2, None
    while True:
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker == 0xDA:  # the pixels; a 0xFF in them is followed by 0, so D9 is the end
            whole = content.find(b"\xff\xd9", place) >= 0
            return Header("JPEG", size[1], size[0], whole) if size else None
        else:
            if marker in _FRAMES:
                if size:  # a second frame could contradict the first
                    return None
                size = struct.unpack_from(">HH", content, place + 5)
            place += 2 + int(struct.unpack_from(">H", content, place + 2)[0])


def _png(content: bytes) -> Header | None:
    length, name, width, height = struct.unpack_from(">I4sII", content, 8)
    if (length, name) != (13, b"IHDR"):
        return None
    place, whole = 8, False
    while not whole and place + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        place += 12 + length
        whole = name == b"IEND" and place <= len(content)
    return Header("PNG", width, height, whole)


def _webp(content: bytes) -> Header | None:
    if content[8:12] != b"WEBP":
        return None
    whole = struct.unpack_from("<I", content, 4)[0] + 8 <= len(content)
    chunk = content[12:16]
    if chunk == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    elif chunk == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8X":
        low, high = struct.unpack_from("<IH", content, 24)
        canvas = low | high << 32
        width, height = (canvas & 0xFFFFFF) + 1, (canvas >> 24 & 0xFFFFFF) + 1
    else:
        return None
    return Header("WebP", width, height, whole)


def _bmp(content: bytes) -> Header | None:
    start, least = struct.unpack_from("<II", content, 10)
    if least < 40:  # older than Windows 3
        return None
    width, height = struct.unpack_from("<ii", content, 18)
    return Header("BMP", abs(width), abs(height), start < len(content))


def _tiff(content: bytes) -> Header | None:
    """The first page. Tiles and strips larger than it would be decoded as large as they are."""
    order = "<" if content[:2] == b"II" else ">"
    place = struct.unpack_from(order + "I", content, 4)[0]
    sides: dict[int, int] = {}
    for entry in range(struct.unpack_from(order + "H", content, place)[0]):
        at = place + 2 + 12 * entry
        tag, kind = struct.unpack_from(order + "HH", content, at)
        if kind in (3, 4):  # 16 or 32 bits
            sides[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), content, at + 8)[0]
    width, height, tile_width, tile_height = (sides.get(tag, 0) for tag in (256, 257, 322, 323))
    if not width or not height:
        return None
    return Header("TIFF", max(width, tile_width), max(height, tile_height), True)


_READERS: tuple[tuple[bytes, Callable[[bytes], Header | None]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"BM", _bmp),
)
