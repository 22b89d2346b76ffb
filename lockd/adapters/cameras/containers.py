"""What the container of a video file says: when each picture was taken, and whether all is there.

A number of pictures is seldom said, and is an estimate where the rate varies; browsers and
whatever records for hours say none at all. What a container does say is how long each of its
parts is, so a file that was cut short has a part that reaches beyond its end, or ends in nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lockd.errors import CameraError

# A camera that waits for something to move may give no picture for minutes.
_LONGEST_GAP_S = 3600.0
_LATEST_START_S = 60.0
_SET_BACK_S = 1.0
_LEAST_STEP_S = 0.001


class Times:
    """Time stamps as they come -> times that always rise.

    A stamp is kept as it is, also where the rate varies. Without stamps, as in raw H.264,
    the pictures come at a constant rate; where stamps begin anew, as in files put behind one
    another, the times go on.
    """

    def __init__(self, period_s: float) -> None:
        """Begin.

        Args:
            period_s: between two pictures of which nothing else is known.
        """
        self._period_s = period_s
        self._t: float | None = None
        self._stamp = self._shift = 0.0

    def of(self, stamp: float) -> float:
        """Return a picture's time.

        Args:
            stamp: in seconds from the start of the recording; 0 or less if it has none.
        """
        if not math.isfinite(stamp):
            stamp = 0.0
        if self._t is None:
            self._shift = 0.0 if 0 <= stamp <= _LATEST_START_S else -stamp
            self._t = stamp + self._shift
        elif stamp <= 0:
            self._t += self._period_s
            return self._t
        else:
            if not -_SET_BACK_S <= stamp - self._stamp <= _LONGEST_GAP_S:
                self._shift = self._t + self._period_s - stamp
            self._t = max(stamp + self._shift, self._t + _LEAST_STEP_S)
        self._stamp = stamp
        return self._t


def breaks_off(path: Path) -> bool:
    """Return whether a video file ends before its parts do.

    Of containers other than MP4, Matroska (WebM), FLV, AVI and MPEG-TS nothing is known, and
    they never do.

    Raises:
        CameraError: if the file cannot be read any more.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            start = file.read(400)
            walk = next((walk for known, walk in _KINDS if known(start)), None)
            return walk is not None and walk(file, size)
    except OSError as error:
        raise CameraError(f"{path}: {error.strerror}") from error


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    """So many bytes from a place on, zeros behind the file's end."""
    file.seek(place)
    return file.read(count).ljust(count, b"\0")


def _mp4_breaks_off(file: BinaryIO, size: int) -> bool:
    """Boxes: a length, a name. Without ``moov`` or ``moof`` nothing tells where pictures are."""
    place, described = 0, False
    while place + 8 <= size:
        length, name = struct.unpack(">I4s", _at(file, place, 8))
        if length == 1:
            (length,) = struct.unpack(">Q", _at(file, place + 8, 8))
        elif length == 0 and name == b"mdat":
            length = size - place
        if name in (b"mdat", b"moov", b"moof") and place + length > size:
            return True
        # What was never filled: a download that got its room before its content.
        tail = min(length // 10, 1 << 18)
        if name == b"mdat" and tail and not any(_at(file, place + length - tail, tail)):
            return True
        if length < 8:
            break
        described |= name in (b"moov", b"moof")
        place += length
    return not described


_SEGMENT, _CLUSTER = bytes.fromhex("18538067"), bytes.fromhex("1f43b675")


def _matroska_breaks_off(file: BinaryIO, size: int) -> bool:
    """Elements: a number whose leading zeros tell how long it is, then a length written alike.

    A length of ones only is not known; the parts follow.
    """
    place = 0
    while place < size:
        head = _at(file, place, 12)
        name = head[: 9 - head[0].bit_length()]
        code = head[len(name) :]
        width = 9 - code[0].bit_length()
        if len(name) > 4 or width > 8:
            return True
        most = (1 << 7 * width) - 1
        length = int.from_bytes(code[:width]) & most
        place += len(name) + width
        if name == _SEGMENT or (name == _CLUSTER and length == most):
            if length != most:
                if place + length > size:
                    return True
                size = place + length
            continue
        place += length
    return place > size


def _flv_breaks_off(file: BinaryIO, size: int) -> bool:
    """Tags of a kind and a length, with the length of the one before between them."""
    (place,) = struct.unpack(">I", _at(file, 5, 4))
    while place + 4 < size:
        head = _at(file, place + 4, 4)
        if head[0] & 0x1F not in (8, 9, 18):  # sound, pictures, what describes them
            return True
        place += 15 + int.from_bytes(head[1:])
    return bool(place > size)


def _avi_breaks_off(file: BinaryIO, size: int) -> bool:
    """Chunks: a name, a length; what was written into a pipe never learnt the outermost."""
    place = 0
    while place + 12 <= size:
        name, length = struct.unpack("<4sI", _at(file, place, 8))
        if name == b"RIFF" and length in (0, 0xFFFFFFFF):
            return False
        if name == b"RIFF" and place + 8 + length <= size:
            place += 12
            continue
        place += 8 + length + length % 2
        if not name.isascii() or b"\0" in name or place > size + 1:
            return True
    return False


def _ts_breaks_off(file: BinaryIO, size: int) -> bool:
    """Packets of one length, each beginning with 0x47; Blu-ray's have four bytes before that."""
    width = 188 if _at(file, 0, 1) == b"G" else 192
    return size % width > 0 or _at(file, size - 188, 1) != b"G"


_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], bool]], ...] = (
    (
        lambda start: start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"),
        _mp4_breaks_off,
    ),
    (lambda start: start[:4] == b"\x1a\x45\xdf\xa3", _matroska_breaks_off),
    (lambda start: start[:3] == b"FLV", _flv_breaks_off),
    (lambda start: start[:4] == b"RIFF" and start[8:12] == b"AVI ", _avi_breaks_off),
    (lambda start: start[0:189:188] == b"GG" or start[4:197:192] == b"GG", _ts_breaks_off),
)
"""How each container begins, and what walks through it."""
