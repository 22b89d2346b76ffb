"""USB keypads and card readers, read as the kernel's input devices.

The device is taken for this process alone (``EVIOCGRAB``), so that what is typed at the door goes
to no console. One that is unplugged is opened again when it comes back. There are no wheels of
python-evdev for the boards that lockd runs on, and what is needed of it is one struct and one call:
see ``linux/input.h`` and the kernel's documentation of the input subsystem.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lockd.adapters.keypad.typed import BACK, CLEAR, ENTER, Typed
from lockd.clock import Backoff
from lockd.types import FactorEntry

log = logging.getLogger(__name__)

EVENT = struct.Struct("llHHi")
"""``struct input_event``: seconds, microseconds, type, code, value."""
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
PRESSED = 1
_GRAB = 0x40044590  # EVIOCGRAB: _IOW('E', 0x90, int)
_LOOK_AROUND_S = 1.0
_DEAD_AFTER_S = 30.0
_READ = 64 * EVENT.size

# linux/input-event-codes.h
_ROWS = ((2, "1234567890"), (16, "QWERTYUIOP"), (30, "ASDFGHJKL"), (44, "ZXCVBNM"))
_PAD = {71: "7", 72: "8", 73: "9", 75: "4", 76: "5", 77: "6", 79: "1", 80: "2", 81: "3", 82: "0"}
KEYS: dict[int, str] = {
    **{first + place: key for first, row in _ROWS for place, key in enumerate(row)},
    **_PAD,
    **{0x200 + digit: str(digit) for digit in range(10)},  # KEY_NUMERIC_0...
    **dict.fromkeys((28, 96, 15, 0x20B), ENTER),  # enter, keypad's enter, tab, #
    **dict.fromkeys((1, 55, 111, 0x20A), CLEAR),  # escape, keypad's *, delete, *
    14: BACK,
}
"""What a key's code means here; others mean nothing."""


def grab(descriptor: int) -> None:
    """Take an input device for this process alone.

    Raises:
        OSError: if it is none, or somebody else has it.
    """
    fcntl.ioctl(descriptor, _GRAB, 1)


class EventDevice:
    """One device, read by a thread of its own.

    Attributes:
        problem: why nothing comes from it, or None.
    """

    def __init__(
        self,
        device: Path,
        typed: Typed,
        heard: Callable[[FactorEntry], None],
        *,
        setting: str,
        grab: Callable[[int], None] = grab,
        retry_s: tuple[float, float] = (1.0, 30.0),
    ) -> None:
        """Begin to read.

        Args:
            device: such as ``/dev/input/by-id/usb-...-event-kbd``.
            typed: makes lines of its keys.
            heard: called with each, from the thread; must not block.
            setting: that names the device, for what is said of it.
            grab: takes it for this process alone.
            retry_s: the first and the longest wait before it is opened again.
        """
        self._device, self._typed, self._heard = device, typed, heard
        self._setting, self._grab = setting, grab
        self._backoff = Backoff(*retry_s)
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._closing = False
        self._rest = b""
        self._beat = time.monotonic()
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="keypad", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread goes on."""
        return self._thread.is_alive() and time.monotonic() - self._beat < _DEAD_AFTER_S

    def close(self) -> None:
        """Stop reading and let go of the device."""
        self._closing = True
        os.eventfd_write(self._end, 1)
        self._thread.join(timeout=2.0)
        if not self._thread.is_alive():
            os.close(self._end)

    def _run(self) -> None:
        while not self._closing:
            try:
                self._read_on()
            except OSError as error:
                self._note(error)
            except Exception:
                log.exception("%s: %s", self._setting, self._device)
                self.problem = f"{self._setting}: {self._device}: its keys cannot be understood"
            self._typed.clear()
            self._rest = b""
            self._wait(self._backoff.next())

    def _read_on(self) -> None:
        """Open the device and read until it is gone, or this is to end.

        Raises:
            OSError: if it cannot be opened, taken or read.
        """
        descriptor = os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._grab(descriptor)
            if self.problem is not None:
                log.info("%s: %s is there again", self._setting, self._device)
            self.problem = None
            while not self._closing:
                if self._readable(descriptor):
                    self._take(os.read(descriptor, _READ))
                    self._backoff.reset()
        finally:
            os.close(descriptor)

    def _readable(self, descriptor: int) -> bool:
        self._beat = time.monotonic()
        ready, _, _ = select.select([descriptor, self._end], [], [], _LOOK_AROUND_S)
        return descriptor in ready

    def _take(self, read: bytes) -> None:
        """Take what was read, whole events and the beginning of the next.

        Raises:
            OSError: if the device is at its end.
        """
        if not read:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        read = self._rest + read
        whole = len(read) - len(read) % EVENT.size
        self._rest = read[whole:]
        for seconds, micros, kind, code, value in EVENT.iter_unpack(read[:whole]):
            if (kind, code) == (EV_SYN, SYN_DROPPED):
                self._typed.clear()  # some keys were lost: the rest would be another line
            elif kind == EV_KEY and value == PRESSED and code in KEYS:
                line = self._typed.key(KEYS[code], seconds + micros / 1e6)
                if line is not None:
                    self._heard(line)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._closing and (left := end - time.monotonic()) > 0:
            self._beat = time.monotonic()
            select.select([self._end], [], [], min(left, _LOOK_AROUND_S))

    def _note(self, error: OSError) -> None:
        """Remember why nothing comes, and say so once."""
        mend = {
            errno.EACCES: "`sudo lockd install` lets the service read it",
            errno.EPERM: "`sudo lockd install` lets the service read it",
            errno.EBUSY: "another program has it to itself; end that",
            errno.ENOTTY: "it is no input device; see `ls -l /dev/input/by-id`",
        }.get(error.errno or 0, "is it plugged in?")
        problem = f"{self._setting}: {self._device}: {error.strerror}; {mend}"
        if problem != self.problem and not self._closing:
            log.error("%s; trying again", problem)
            self.problem = problem
