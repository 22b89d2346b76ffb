"""Readers and keypads with a Wiegand output: two lines, a short low pulse on one for each bit.

A pulse on D0 is a 0, one on D1 a 1; they last some 20 to 100 microseconds and come 0.2 to 20
milliseconds apart (SIA AC-01-1996.10). A card is a burst of 26 bits (1 even parity bit, 8 of the
facility, 16 of the number, 1 odd parity bit) or of 34 (16 and 16 between the same); a key one of
4, or of 8 with the complement in the upper half. Whatever else comes is noise.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from lockd.adapters.keypad.typed import CLEAR, ENTER, Typed, entry
from lockd.errors import PinError
from lockd.identity.factors import FactorKind
from lockd.types import FactorEntry

log = logging.getLogger(__name__)

GAP_S = 0.05
"""Between two bits at most; by the pulses' own times."""
QUIET_S = 0.2
"""After so long without a pulse the burst is over, however late pulses are told of."""
_CARD_BITS = (26, 34)
_KEYS: Sequence[str] = (*"0123456789", CLEAR, ENTER)
_MOST_BITS = 64
_LOOK_AROUND_S = 1.0
_DEAD_AFTER_S = 30.0
_STUCK_S = 2.0


def decode_card(bits: Sequence[int]) -> int | None:
    """Return the number in a card's burst, 24 or 32 bits; None if it is no card."""
    if len(bits) not in _CARD_BITS:
        return None
    half = len(bits) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        return None
    return _number(bits[1:-1]) or None


def decode_key(bits: Sequence[int]) -> str | None:
    """Return the key of a keypad's burst, as `Typed` has it; None if it is no key."""
    if len(bits) == 8:
        if any(upper == lower for upper, lower in zip(bits[:4], bits[4:], strict=True)):
            return None
        bits = bits[4:]
    if len(bits) != 4 or (number := _number(bits)) >= len(_KEYS):
        return None
    return _KEYS[number]


def _number(bits: Sequence[int]) -> int:
    number = 0
    for bit in bits:
        number = number << 1 | bit
    return number


class Wiegand:
    """One reader, whose pulses are put together by a thread of its own.

    Attributes:
        problem: why nothing comes from it, or None. One that is not connected cannot be told
            from one that nobody uses.
    """

    def __init__(
        self,
        typed: Typed,
        heard: Callable[[FactorEntry], None],
        *,
        levels: Callable[[], Sequence[bool]] = tuple,
    ) -> None:
        """Begin to listen.

        Args:
            typed: makes PINs of its keys.
            heard: called with each PIN and card, from the thread; must not block.
            levels: returns whether D0 and D1 are high, as they are while nothing is sent;
                nothing, while they are not known.
        """
        self._typed, self._heard, self._levels = typed, heard, levels
        self._pulses: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
        self._bits: list[int] = []
        self._last = 0.0
        self._low_since: float | None = None
        self._beat = time.monotonic()
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="wiegand", daemon=True)
        self._thread.start()

    def pulse(self, bit: int, t: float) -> None:
        """Take a pulse; may be called from the pins' thread.

        Args:
            bit: 0 or 1, by the line.
            t: when, in seconds of the pins' clock.
        """
        self._pulses.put((bit, t))

    @property
    def alive(self) -> bool:
        """Whether the thread goes on."""
        return self._thread.is_alive() and time.monotonic() - self._beat < _DEAD_AFTER_S

    def close(self) -> None:
        """Stop listening."""
        self._pulses.put(None)
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while True:
            self._beat = time.monotonic()
            try:
                pulse = self._pulses.get(timeout=QUIET_S if self._bits else _LOOK_AROUND_S)
            except queue.Empty:
                self._burst_over()
                self._look_at_levels()
                continue
            if pulse is None:
                return
            bit, t = pulse
            if not 0 <= t - self._last <= GAP_S:
                self._burst_over()
            self._last = t
            if len(self._bits) <= _MOST_BITS:  # more is noise already
                self._bits.append(bit)

    def _burst_over(self) -> None:
        """Make of the bits what they are."""
        bits, self._bits = self._bits, []
        if not bits:
            return
        found: FactorEntry | None = None
        key = decode_key(bits)
        if key is not None:
            found = self._typed.key(key, self._last)
        elif (number := decode_card(bits)) is not None:
            self._typed.clear()
            found = entry(FactorKind.CARD, str(number))
        else:
            log.warning("second_factor.wiegand: %d bits are neither a card nor a key", len(bits))
        if found is not None:
            self._heard(found)

    def _look_at_levels(self) -> None:
        """Nothing is sent: then both lines are high, or something is wrong with them."""
        try:
            stuck = [f"D{line}" for line, high in enumerate(self._levels()) if not high]
        except PinError as error:
            self.problem = f"second_factor.wiegand: {error}"
            return
        now = time.monotonic()
        if not stuck:
            self._low_since = self.problem = None
        elif self._low_since is None:
            self._low_since = now
        elif now - self._low_since >= _STUCK_S:
            self.problem = (
                f"second_factor.wiegand: {' and '.join(stuck)} stays low; has the reader power, "
                "and is it wired as docs/wiring.md says?"
            )
