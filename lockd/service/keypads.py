"""Opens what PINs and cards come from, and what judges them."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from functools import partial

from lockd.adapters.keypad import EventDevice, Typed, Wiegand
from lockd.adapters.pins import Board, Pulses
from lockd.adapters.store import Store
from lockd.config import SecondFactorSettings, Settings, WiegandSettings
from lockd.identity.factors import FactorKind
from lockd.ports import Keypad, Keys, LocalTime
from lockd.service.second_factor import MOST_WAITING, SecondFactor
from lockd.service.store_writer import Work
from lockd.types import FactorEntry

log = logging.getLogger(__name__)


def open_second_factor(
    settings: Settings,
    board: Board,
    store: Callable[[], Store | None],
    keys: Keys | None,
    wall: LocalTime,
    wake: Callable[[], None],
    have_done: Callable[[Work], None],
) -> SecondFactor | None:
    """Open every keypad and reader that the settings name; None if nothing is taken.

    Args:
        board: has the pins.
        store: returns the store in use.
        keys: of those who command from afar.
        wall: the local time.
        wake: called when there is something for the service.
        have_done: has something written to the store, and waits for nothing.

    Raises:
        PinError: if a pin cannot be had. A device that is not there is waited for.
    """
    wanted = settings.second_factor
    if not wanted.kinds:
        return None
    entries: queue.Queue[FactorEntry] = queue.Queue(MOST_WAITING)

    def heard(entry: FactorEntry) -> None:
        try:
            entries.put_nowait(entry)
        except queue.Full:
            log.warning("second factor: a %s was not heard, there were too many", entry.kind)
        wake()

    keypads = [*_usb(wanted, heard)]
    if wanted.wiegand is not None:
        keypads.append(_wiegand(wanted.wiegand, wanted.key_gap_s, board, heard))
    return SecondFactor(
        wanted,
        entries=entries,
        store=store,
        wall=wall,
        wake=wake,
        have_done=have_done,
        keypads=keypads,
        keys=keys,
    )


def _usb(wanted: SecondFactorSettings, heard: Callable[[FactorEntry], None]) -> list[Keypad]:
    return [
        EventDevice(
            one.device,
            Typed(gives, wanted.key_gap_s),
            heard,
            setting=f"second_factor.{name}.device",
        )
        for name, one, gives in (
            ("keypad", wanted.keypad, FactorKind.PIN),
            ("reader", wanted.reader, FactorKind.CARD),
        )
        if one is not None
    ]


def _wiegand(
    wanted: WiegandSettings, gap_s: float, board: Board, heard: Callable[[FactorEntry], None]
) -> Wiegand:
    lines: list[Pulses] = []
    wiegand = Wiegand(
        Typed(FactorKind.PIN, gap_s), heard, levels=lambda: [line.high() for line in lines]
    )
    try:
        for bit, pin in enumerate((wanted.d0_pin, wanted.d1_pin)):
            setting = f"second_factor.wiegand.d{bit}_pin"
            lines.append(board.pulses(pin, wanted.pull, setting, partial(wiegand.pulse, bit)))
    except BaseException:
        wiegand.close()
        raise
    return wiegand
