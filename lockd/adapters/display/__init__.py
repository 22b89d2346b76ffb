"""A small OLED or LCD at the door: `device` drives it, `picture` draws."""

from __future__ import annotations

from lockd.adapters.display.device import BLIND, Display, open_device
from lockd.adapters.display.picture import Typeface, typeface

__all__ = ["BLIND", "Display", "Typeface", "open_device", "typeface"]
