"""What the kernel knows of GPIO chips and lines, asked without claiming any.

The second version of the GPIO character device's questions, `linux/gpio.h`, from Linux
5.10 on. Asking for a line's information never touches the line.
"""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockd.errors import PinError

_CHIP_INFO = struct.Struct("=32s32sI")
_LINE_INFO = struct.Struct("=32s32sIIQ160x16x")
_GET_CHIP_INFO = 0x8044B401
_GET_LINE_INFO = 0xC100B405
_USED, _OUTPUT = 1 << 0, 1 << 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chip.

    Attributes:
        name: that the board gives it, such as GPIO17; may be empty.
        consumer: who has claimed it, in their own words; may be empty.
        used: whether somebody has.
        output: whether it is an output now.
    """

    name: str
    consumer: str
    used: bool
    output: bool


class Chip:
    """One open GPIO chip.

    Attributes:
        path: of the device.
        label: of its driver, such as pinctrl-rp1.
        lines: how many it has.

    Raises:
        PinError: if it cannot be opened, or is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise PinError(f"{path}: {error.strerror}; is this user in the group gpio?") from error
        try:
            _, label, self.lines = self._ask(_CHIP_INFO, _GET_CHIP_INFO, b"", b"", 0)
        except BaseException:
            self.close()
            raise
        self.label = _text(label)

    def line(self, number: int) -> Line:
        """Return what is known of a line.

        Raises:
            PinError: if the chip has no such line.
        """
        if not 0 <= number < self.lines:
            raise PinError(f"{self.path}: has {self.lines} lines, and no line {number}")
        asked = (b"", b"", number, 0, 0)
        name, consumer, _, _, flags = self._ask(_LINE_INFO, _GET_LINE_INFO, *asked)
        return Line(_text(name), _text(consumer), bool(flags & _USED), bool(flags & _OUTPUT))

    def close(self) -> None:
        """Close the chip."""
        os.close(self._fd)

    def _ask(self, layout: struct.Struct, question: int, *given: bytes | int) -> tuple[Any, ...]:
        asked = bytearray(layout.pack(*given))
        try:
            fcntl.ioctl(self._fd, question, asked)
        except OSError as error:
            raise PinError(f"{self.path}: not a GPIO chip of Linux 5.10 or later") from error
        return layout.unpack(asked)


def chips(devices: Path = Path("/dev")) -> list[Path]:
    """Return the GPIO chips of this machine."""
    return sorted(devices.glob("gpiochip*"))


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
