"""A GPIO chip as the kernel and lgpio show it, which outlives the processes that use it.

What lgpio and the kernel do that matters to a relay, seen on a real GPIO chip with lgpio
0.2.2: claiming an output that the same process holds already succeeds and does not write;
closing the chip, or being killed, leaves an output at its level; a line that is claimed
by somebody else is refused.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

IS_OUT = 1 << 1


class LgpioError(Exception):
    """lgpio's own `error` derives from nothing but Exception, too."""


@dataclass
class Line:
    """One line.

    Attributes:
        seen: what a relay board at the line sees: 0 or 1 driven, None let go of; each
            time that it changes.
        outside: level that the wiring gives an input.
    """

    seen: list[int | None] = field(default_factory=lambda: [None])
    outside: int = 0
    holder: int | None = None
    pull: int = 0
    alert: Callable[..., object] | None = None
    debounce_us: int = 0

    def become(self, level: int | None) -> None:
        if self.seen[-1] != level:
            self.seen.append(level)


class Chip:
    """The chip, and the module through which a process uses it."""

    def __init__(self) -> None:
        self.lines: dict[int, Line] = {}
        self._handles = 0
        self.lgpio = types.ModuleType("lgpio")
        for name in (
            "gpiochip_open", "gpiochip_close", "gpio_claim_output", "gpio_claim_input",
            "gpio_write", "gpio_free", "gpio_read", "gpio_get_mode", "gpio_claim_alert",
            "gpio_set_debounce_micros", "callback",
        ):  # fmt: skip
            setattr(self.lgpio, name, getattr(self, name))
        constants = {"RISING_EDGE": 1, "FALLING_EDGE": 2, "BOTH_EDGES": 3}
        constants |= {"SET_PULL_UP": 32, "SET_PULL_DOWN": 64, "SET_PULL_NONE": 128}
        for name, value in constants.items():
            setattr(self.lgpio, name, value)
        self.lgpio.error = LgpioError  # type: ignore[attr-defined]

    def line(self, number: int) -> Line:
        return self.lines.setdefault(number, Line())

    def kill_everybody(self) -> None:
        """SIGKILL: the kernel takes the lines back and leaves their levels."""
        for line in self.lines.values():
            line.holder = line.alert = None

    def drive(self, number: int, level: int) -> None:
        """Let the wiring change an input's level, as lgpio's thread reports it."""
        line = self.line(number)
        changed = line.outside != level
        line.outside = level
        if changed and line.alert is not None:
            line.alert(0, number, level, 1_000_000_000)

    # --- lgpio's functions, with its names and parameters ---

    def gpiochip_open(self, gpiochip: int) -> int:
        self._handles += 1
        return self._handles

    def gpiochip_close(self, handle: int) -> int:
        for line in self.lines.values():
            if line.holder == handle:
                line.holder = line.alert = None
        return 0

    def gpio_claim_output(self, handle: int, gpio: int, level: int = 0, lFlags: int = 0) -> int:  # noqa: N803
        line = self._claim(handle, gpio)
        if line.holder is None or line.seen[-1] is None:
            line.become(level)
        line.holder = handle
        return 0

    def gpio_claim_input(self, handle: int, gpio: int, lFlags: int = 0) -> int:  # noqa: N803
        line = self._claim(handle, gpio)
        line.holder, line.pull = handle, lFlags
        line.become(None)
        return 0

    def gpio_claim_alert(
        self,
        handle: int,
        gpio: int,
        eFlags: int,  # noqa: N803
        lFlags: int = 0,  # noqa: N803
        notify_handle: int | None = None,
    ) -> int:
        return self.gpio_claim_input(handle, gpio, lFlags)

    def gpio_write(self, handle: int, gpio: int, level: int) -> int:
        line = self._claim(handle, gpio)
        if line.holder is None or line.seen[-1] is None:
            raise LgpioError("GPIO not set as an output")
        line.become(int(level))
        return 0

    def gpio_free(self, handle: int, gpio: int) -> int:
        line = self._claim(handle, gpio)
        line.holder = line.alert = None
        return 0

    def gpio_read(self, handle: int, gpio: int) -> int:
        line = self._claim(handle, gpio)
        return line.outside if line.seen[-1] is None else line.seen[-1]

    def gpio_get_mode(self, handle: int, gpio: int) -> int:
        line = self.line(gpio)
        return line.pull if line.seen[-1] is None else IS_OUT

    def gpio_set_debounce_micros(self, handle: int, gpio: int, debounce_micros: int) -> int:
        self.line(gpio).debounce_us = debounce_micros
        return 0

    def callback(
        self, handle: int, gpio: int, edge: int = 1, func: Callable[..., object] | None = None
    ) -> Any:
        line = self.line(gpio)
        line.alert = func

        def cancel() -> None:
            line.alert = None

        return types.SimpleNamespace(cancel=cancel)

    def _claim(self, handle: int, gpio: int) -> Line:
        line = self.line(gpio)
        if line.holder not in (None, handle):
            raise LgpioError("GPIO busy")
        return line
