"""One line of a GPIO chip, driven through the kernel alone.

For `lockd relay-safe`, which must be quick and must work when nothing else does: this
needs neither gpiozero nor lgpio, whose import takes a writable folder and some time. It
speaks version 2 of the kernel's GPIO interface, in Linux since 5.10 (``linux/gpio.h``).
Its errors are plain OSErrors, for lockd's own would bring NumPy with them.
"""

from __future__ import annotations

import fcntl
import os
import struct

CHIP = "/dev/gpiochip{}"

GET_LINE = 0xC250B407
"""GPIO_V2_GET_LINE_IOCTL: takes and returns a gpio_v2_line_request."""

GET_VALUES = 0xC010B40E
"""GPIO_V2_LINE_GET_VALUES_IOCTL: takes and returns a gpio_v2_line_values."""

# gpio_v2_line_request: 64 offsets, the consumer's name, then a gpio_v2_line_config (flags,
# number of attributes, padding, ten attributes of id, padding, value, mask), then the number
# of lines, a buffer's size, padding, and the handle that comes back.
_REQUEST = struct.Struct("=64I32s" + "QI20x" + "IIQQ" * 10 + "II20xi")
_VALUES = struct.Struct("=QQ")
_OUTPUT = 1 << 3
_ATTRIBUTE_VALUES = 2


def drive(chip: int, line: int, *, high: bool) -> None:
    """Make a line an output at a level, in one step, and read it back.

    The line is given back at once. Whether it keeps its level then is the kernel
    driver's affair: Raspberry Pi's kernels let it.

    Args:
        chip: number of the GPIO chip.
        line: of the chip; on a Raspberry Pi the BCM number.
        high: the level.

    Raises:
        OSError: if the line cannot be had or does not have the level.
    """
    path = CHIP.format(chip)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            request = bytearray(_request(line, high))
            fcntl.ioctl(handle, GET_LINE, request)
        finally:
            os.close(handle)
        handle = _REQUEST.unpack(request)[-1]
        try:
            values = bytearray(_VALUES.pack(0, 1))
            fcntl.ioctl(handle, GET_VALUES, values)
        finally:
            os.close(handle)
    except OSError as error:
        raise OSError(f"{path}: line {line} cannot be driven: {error.strerror}") from error
    if bool(_VALUES.unpack(values)[0] & 1) != high:
        raise OSError(
            f"{path}: line {line} was driven {_name(high)} and is {_name(not high)}; "
            "is something else driving it?"
        )


def _request(line: int, high: bool) -> bytes:
    """A request for one line as an output at a level."""
    offsets = [line] + [0] * 63
    attribute = [_ATTRIBUTE_VALUES, 0, int(high), 1]
    attributes = attribute + [0] * 4 * 9
    return _REQUEST.pack(*offsets, b"lockd relay-safe", _OUTPUT, 1, *attributes, 1, 0, 0)


def _name(high: bool) -> str:
    return "high" if high else "low"
