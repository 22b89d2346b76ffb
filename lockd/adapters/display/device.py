"""A small OLED or LCD that tells whoever stands at the door what to do, in one sign and few words.

It is driven by luma (luma.oled, luma.lcd) over I2C or SPI. A thread of its own opens it, draws
when something else is to be shown, and touches nothing else: a display that is missing, unplugged
or hangs is logged once, tried again at growing intervals, and never disturbs the door. Nothing of
what the camera sees is ever shown, and nobody's name but that of whoever was just let in.
"""

from __future__ import annotations

import fcntl
import importlib
import logging
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from lockd.adapters.display.picture import Sign, picture, typeface
from lockd.config import DisplaySettings
from lockd.identity.observation import Observation
from lockd.messages import Event, EventType
from lockd.ports import Observer, Output
from lockd.types import Frame, Signal

log = logging.getLogger(__name__)

ONCE_S = 3.0
"""How long is shown that somebody may come in, or not."""
RETRY_FIRST_S, RETRY_LONGEST_S = 2.0, 60.0
_ONCE = frozenset({Signal.GRANTED, Signal.DENIED})
_SIGNS: Mapping[Signal, Sign] = {
    Signal.IDLE: Sign.LOOK,
    Signal.ALARM: Sign.LOOK,
    Signal.LOOKING: Sign.LOOK,
    Signal.GRANTED: Sign.YES,
    Signal.DENIED: Sign.NO,
    Signal.FAULT: Sign.NO,
    Signal.LOCKED_DOWN: Sign.NO,
    Signal.ASK_FRONT: Sign.LOOK,
    Signal.ASK_LEFT: Sign.LEFT,
    Signal.ASK_RIGHT: Sign.RIGHT,
}
BLIND = "blind"
"""The word for a camera that sees nothing."""

Shown = tuple[Sign, str]


class Display(Observer):
    """Shows signals, and what is to be done about a face that is not judged.

    Args:
        device: opens it, as luma has it; may raise anything.
        words: by signals, by what is wrong with a face (`lockd.types.Unfit`), and for `BLIND`.
        font: a TrueType file, or None for one that is there.
        rests_s: after so long with nobody there it is dark; 0 for never.
        now: monotonic seconds.
    """

    def __init__(
        self,
        device: Callable[[], Any],
        words: Mapping[str, str],
        font: str | None = None,
        rests_s: float = 60.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = device
        self._words = words
        self._typeface = typeface(font)
        self._rests_s = rests_s or math.inf
        self._now = now
        self._lock = threading.Condition()
        self._standing = Signal.IDLE
        self._since = now()
        self._once: tuple[Signal, str | None, float] | None = None
        self._hint: str | None = None
        self._blind = False
        self._changed = True
        self._closing = False
        self._failed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to show."""
        self._thread = threading.Thread(target=self._work, name="display", daemon=True)
        self._thread.start()

    def show(self, signal: Signal, name: str | None = None) -> None:
        """Show a signal; from any thread, without waiting.

        Args:
            name: shown with `Signal.GRANTED` alone.
        """
        if self._thread is not None and not self._thread.is_alive() and not self._closing:
            log.error("the thread that shows has died; starting another")
            self.start()
        with self._lock:
            if signal in _ONCE:
                name = name if signal is Signal.GRANTED else None
                self._once = signal, name, self._now() + ONCE_S
            elif signal is not self._standing:
                self._standing, self._since = signal, self._now()
            else:
                return
            self._tell()

    def silence(self, seconds: float) -> None:
        """A display makes no noise."""

    def event(self, event: Event) -> None:
        """Hear that the camera sees nothing, or again."""
        if event.type in (EventType.CAMERA_PROBLEM, EventType.CAMERA_RECOVERED):
            with self._lock:
                self._blind = event.type is EventType.CAMERA_PROBLEM
                self._tell()

    def observed(self, frame: Frame, observation: Observation) -> None:
        """Look what is wrong with the largest face, if it is not judged for that."""
        faces = [(one.face.box.width, one) for one in observation.sightings]
        largest = max(faces, key=lambda pair: pair[0])[1] if faces else None
        hint = None if largest is None or largest.unfit is None else largest.unfit.value
        if hint != self._hint:
            with self._lock:
                self._hint = hint
                self._tell()

    def close(self) -> None:
        """Make it dark."""
        with self._lock:
            self._closing = True
            self._tell()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def due(self) -> tuple[Shown | None, float]:
        """Return what is to be shown now, None for nothing, and for how many seconds."""
        with self._lock:
            now = self._now()
            if self._once is not None and now >= self._once[2]:
                self._once = None
            if self._once is not None:
                signal, name, until = self._once
                return (_SIGNS[signal], self._said(signal, name)), until - now
            signal = self._standing
            if signal in (Signal.IDLE, Signal.LOOKING) and self._blind:
                return (Sign.NO, self._words[BLIND]), math.inf
            if signal is Signal.LOOKING and self._hint is not None:
                return (Sign.LOOK, self._words[self._hint]), math.inf
            left = self._since + self._rests_s - now if signal is Signal.IDLE else math.inf
            if left <= 0:
                return None, math.inf
            return (_SIGNS[signal], self._said(signal)), left

    def _said(self, signal: Signal, name: str | None = None) -> str:
        words = self._words[signal]
        return f"{words}, {name}" if name and self._typeface.has(name) else words

    def _tell(self) -> None:
        self._changed = True
        self._lock.notify()

    def _work(self) -> None:
        """Show what is due, on a device that is opened again when it fails."""
        pause_s = RETRY_FIRST_S
        while not self._closing:
            device = None
            try:
                device = self._open()
                pause_s = RETRY_FIRST_S
                self._draw_on(device)
            except Exception as error:
                if not self._failed:
                    log.error("the display shows nothing: %s; `lockd doctor` looks at it", error)
                self._failed = True
            finally:
                _end(device)
            with self._lock:
                self._lock.wait_for(lambda: self._closing, pause_s)
            pause_s = min(2 * pause_s, RETRY_LONGEST_S)

    def _draw_on(self, device: Any) -> None:
        shown: Shown | None = None
        dark = True
        while not self._closing:
            with self._lock:
                self._changed = False
            wanted, seconds = self.due()
            if wanted is None and not dark:
                device.hide()
                dark = True
            elif wanted is not None and (dark or wanted != shown):
                device.display(picture(device.size, device.mode, wanted, self._typeface))
                if dark:
                    device.show()
                if self._failed:
                    log.info("the display shows again")
                shown, dark, self._failed = wanted, False, False
            with self._lock:
                patience = None if math.isinf(seconds) else seconds
                self._lock.wait_for(lambda: self._changed or self._closing, patience)


def open_device(
    settings: DisplaySettings, lines: Mapping[int, Output], bus: Any = None, spi: Any = None
) -> Any:
    """Open what the settings name.

    Args:
        lines: the pins that it needs, by BCM number, claimed for it.
        bus: of I2C, as smbus2 has it; None for the kernel's.
        spi: as spidev has it; None for the kernel's.

    Raises:
        Exception: whatever luma, the kernel or a missing package has to say.
    """
    serial = importlib.import_module("luma.core.interface.serial")
    gpio = _Lines(lines)
    if settings.bus == "i2c":
        at = serial.i2c(bus=bus, port=settings.bus_number, address=settings.address)
    else:
        at = serial.spi(
            spi=spi or _Spi(), gpio=gpio, port=settings.bus_number, device=settings.chip_select,
            gpio_DC=settings.dc_pin, gpio_RST=settings.reset_pin,
        )  # fmt: skip
    options: dict[str, Any] = {"rotate": settings.rotate}
    if settings.width is not None:
        options |= {"width": settings.width, "height": settings.height}
    if not settings.is_lcd:
        devices = importlib.import_module("luma.oled.device")
        return getattr(devices, settings.driver)(at, **options)
    devices = importlib.import_module("luma.lcd.device")
    # Without a pin of its own the backlight is wired to the supply.
    light = {"gpio_LIGHT": settings.light_pin} if settings.light_pin else {"backlight": _no_light}
    return getattr(devices, settings.driver)(at, gpio=gpio, **light, **options)


def _no_light(_: bool) -> None:
    """Switch nothing."""


def _end(device: Any) -> None:
    """Make a device dark and give its bus back, if it still answers."""
    if device is None:
        return
    try:
        device.cleanup()
    except Exception as error:
        log.debug("the display does not end: %s", error)


class _Lines:
    """Pins as luma wants them, which asks for RPi.GPIO's functions."""

    OUT, LOW, HIGH = 0, 0, 1

    def __init__(self, lines: Mapping[int, Output]) -> None:
        self._lines = lines

    def setup(self, pin: int, _: int) -> None:
        """They are outputs already."""

    def output(self, pin: int, level: int) -> None:
        """Switch one."""
        line = self._lines[pin]
        (line.on if level else line.off)()

    def cleanup(self, _: object) -> None:
        """Whoever claimed them gives them back."""


class _Spi:
    """The kernel's SPI, as much of spidev as luma asks for (linux/spi/spidev.h)."""

    _WRITE_MODE, _WRITE_SPEED = 0x40016B01, 0x40046B04

    def __init__(self) -> None:
        self._file = -1

    def open(self, port: int, device: int) -> None:
        """Open a bus and one of its chip selects."""
        self._file = os.open(f"/dev/spidev{port}.{device}", os.O_WRONLY | os.O_CLOEXEC)
        fcntl.ioctl(self._file, self._WRITE_MODE, struct.pack("B", 0))

    @property
    def max_speed_hz(self) -> int:
        """Of the bus; cannot be asked for."""
        return 0

    @max_speed_hz.setter
    def max_speed_hz(self, hertz: int) -> None:
        fcntl.ioctl(self._file, self._WRITE_SPEED, struct.pack("I", hertz))

    def writebytes(self, content: Any) -> None:
        """Send up to 4096 bytes."""
        os.write(self._file, bytes(content))

    def close(self) -> None:
        """Give it back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
