"""Small files that claim to be huge pictures, and files that are no pictures at all."""

from __future__ import annotations

import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(pixels, 9))
        + _chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(
        [1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]
    )
    scan = struct.pack(">H", 12) + bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda" + scan + bytes(64) + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int, *, tile: int = 0) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1}
    if tile:
        tags |= {322: tile, 323: tile}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def tiff_named_twice(first: int, second: int) -> bytes:
    """20,000 x 20,000 grey pixels, compressed, with two widths and two heights."""
    pixels = zlib.compress(bytes(20_000 * 20_000), 9)
    tags = [
        (256, first), (256, second), (257, first), (257, second), (258, 8), (259, 8), (262, 1),
        (273, 8 + 2 + 12 * 11 + 4), (277, 1), (278, 20_000), (279, len(pixels)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 4096, 0, 0, 54) + info + bytes(4096)


BOMBS = {
    "png": png(20_000, 20_000, bytes(1 << 20)),
    "jpeg": jpeg(20_000, 20_000),
    "jpeg-largest": jpeg(65_535, 65_535),
    "webp": webp(20_000, 20_000),
    "webp-largest": webp(1 << 24, 1 << 24),
    "tiff": tiff(20_000, 20_000),
    "tiff-tile": tiff(100, 100, tile=1 << 20),
    "bmp": bmp(20_000, 20_000),
    "bmp-upside-down": bmp(-20_000, -(1 << 31)),
    "png-largest": png((1 << 31) - 1, (1 << 31) - 1),
}
"""Each claims to have 20,000 x 20,000 pixels or more."""

JUNK = {
    "text": b"hello\n" * 1000,
    "gif": b"GIF89a" + bytes(50),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "zip": b"PK\x03\x04" + bytes(200),
    "pnm": b"P6\n100000 100000\n255\n",
    "hdr": b"#?RADIANCE\n\n-Y 100000 +X 100000\n",
    "jpeg-2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100),
    "zeros": bytes(4096),
}
"""No photographs; some are pictures of kinds that go to no decoder."""
