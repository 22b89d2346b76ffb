"""A GPIO chip that outlives the processes which use it, as a real one does.

A folder holds what the chip would: which level every line has, which process holds it
(a lock that the kernel drops with the process), and every change of it with its time. A
line whose process was killed keeps its level until the next process claims it.

    pins     one line of text for each change, in order, of all processes
    levels   a character for each line: 0, 1, or a blank if nobody ever gave it one
    held-N   locked by the process that has claimed line N
    faults   "17 1 raise": what goes wrong when line 17 is driven high
"""

from __future__ import annotations

import fcntl
import os
import queue
import threading
import time
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

from tests.faults.records import Change, Tail

_LINES = 64
_FAULT_BYTES = 32


class Board:
    """The chip, as seen from outside and from the process that drives it.

    Every file is opened at once and stays open: a driver that has its lines needs no
    further file descriptor.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._pins = self._open("pins", os.O_APPEND)
        self._levels = self._open("levels")
        self._faults = self._open("faults")
        self._tail = Tail(folder / "pins")
        self._changes: list[Change] = []

    def level(self, pin: int) -> int | None:
        """The level of a line, or None if nobody ever gave it one."""
        written = os.pread(self._levels, 1, pin)
        return int(written) if written in (b"0", b"1") else None

    def put(self, pin: int, level: int) -> None:
        """Give a line its level."""
        os.pwrite(self._levels, b"%d" % level, pin)

    def note(self, pin: int, what: str, level: int) -> None:
        """Write a change down; it survives whatever becomes of this process."""
        line = f"{time.monotonic():.6f} {os.getpid()} {pin} {what} {level}\n"
        os.write(self._pins, line.encode())

    def changes(self, pin: int) -> list[Change]:
        """Everything that happened to a line, oldest first."""
        for line in self._tail.lines():
            t, pid, number, what, level = line.split()
            self._changes.append(Change(float(t), int(pid), int(number), what, int(level)))
        return [change for change in self._changes if change.pin == pin]

    def spoil(self, pin: int, level: int, how: str) -> None:
        """From now on driving the line to this level will ``raise`` or ``hang``."""
        os.pwrite(self._faults, f"{pin} {level} {how}".ljust(_FAULT_BYTES).encode(), 0)

    def mend(self) -> None:
        """No line fails any more."""
        os.pwrite(self._faults, b" " * _FAULT_BYTES, 0)

    def obey_faults(self, pin: int, level: int) -> None:
        """Do what `spoil` asked for."""
        how = self._fault(pin, level)
        if how:
            self.note(pin, "refused", level)
        if how == "raise":
            raise OSError(5, "the GPIO chip does not answer")
        while self._fault(pin, level) == "hang":
            time.sleep(0.01)

    def lose_power(self) -> None:
        """Every line becomes an input again; its resistor pulls it to level 0."""
        for pin in range(_LINES):
            if self.level(pin):
                self.note(pin, "level", 0)
        os.pwrite(self._levels, b" " * _LINES, 0)

    def hold(self, pin: int) -> int:
        """Claim a line, as the kernel lets one process do; keep what is returned.

        Raises:
            OSError: if another process has it.
        """
        handle = self._open(f"held-{pin}")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise OSError(16, "GPIO busy") from None
        return handle

    def close(self) -> None:
        """Close the files."""
        for handle in (self._pins, self._levels, self._faults):
            os.close(handle)

    def _fault(self, pin: int, level: int) -> str:
        """What goes wrong with a line that is driven to a level, if anything does."""
        words = os.pread(self._faults, _FAULT_BYTES, 0).decode().split()
        return words[2] if words[:2] == [str(pin), str(level)] else ""

    def _open(self, name: str, flag: int = 0) -> int:
        return os.open(self.folder / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | flag, 0o600)


def factory_on(board: Board) -> type[MockFactory]:
    """Return a class to stand in for gpiozero's MockFactory, with its pins on a board."""

    class BoardPin(MockPin):  # type: ignore[misc]
        """A line of the board; becomes an output at the wanted level in one step."""

        def output_with_state(self, state: bool) -> None:
            self.factory.hold(self._number)
            board.obey_faults(self._number, int(state))
            self._function = "output"
            self._state = bool(state)
            board.put(self._number, int(state))
            board.note(self._number, "claimed", int(state))

        def _set_function(self, value: str) -> None:
            was = self._function
            if value == "output" and was != "output":
                # What gpiozero's own pins do: an output first, its level afterwards.
                self.output_with_state(False)
                return
            super()._set_function(value)

        def _set_pull(self, value: str) -> None:
            super()._set_pull(value)
            outside = board.level(self._number)
            if outside is not None:
                self.drive(outside)

        def _set_state(self, value: Any) -> None:
            if self._function == "output" and bool(value) != self._state:
                board.obey_faults(self._number, int(value))
                board.put(self._number, int(value))
                board.note(self._number, "level", int(value))
            super()._set_state(value)

        def drive(self, level: int) -> None:
            """Something outside gives an input its level."""
            if level:
                self.drive_high()
            else:
                self.drive_low()

    class BoardFactory(MockFactory):  # type: ignore[misc]
        def __init__(self, revision: str | None = None, pin_class: Any = BoardPin) -> None:
            super().__init__(revision, pin_class)
            self._held: dict[int, int] = {}
            self._edges: queue.SimpleQueue[tuple[BoardPin, int] | None] = queue.SimpleQueue()
            # As lgpio has one: it brings every edge, and none comes when it has died.
            self.listeners = [threading.Thread(target=self._listen, name="pins", daemon=True)]
            self.listeners[0].start()

        def edge(self, pin: BoardPin, level: int) -> None:
            """Something outside gives an input its level."""
            self._edges.put((pin, level))

        def _listen(self) -> None:
            while (edge := self._edges.get()) is not None:
                edge[0].drive(edge[1])

        def hold(self, pin: int) -> None:
            """Claim a line for this process, if it has not got it."""
            if pin not in self._held:
                self._held[pin] = board.hold(pin)

        def close(self) -> None:
            """Let go of every line, as the kernel does when the chip's handle is closed."""
            super().close()
            self._edges.put(None)
            while self._held:
                pin, handle = self._held.popitem()
                board.note(pin, "released", board.level(pin) or 0)
                os.close(handle)

    return BoardFactory
