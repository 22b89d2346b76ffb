"""Keypads and card readers at the door: what is typed and read becomes entries.

    typed.py    keys -> what was typed, once it is entered
    evdev.py    USB keypads and readers, which are keyboards to the kernel
    wiegand.py  readers and keypads on two GPIO lines

None of them knows whose a PIN or a card is. What they read is never logged.
"""

from __future__ import annotations

from lockd.adapters.keypad.evdev import EventDevice
from lockd.adapters.keypad.typed import Typed
from lockd.adapters.keypad.wiegand import Wiegand

__all__ = ["EventDevice", "Typed", "Wiegand"]
