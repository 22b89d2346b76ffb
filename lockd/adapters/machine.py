"""What the machine says of itself and of this process."""

from __future__ import annotations

import os
from pathlib import Path

_TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")  # of a Raspberry Pi's processor
_MEMORY = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def temperature_c(file: Path = _TEMPERATURE) -> float | None:
    """Return the processor's temperature in degrees Celsius, None where nothing measures it."""
    try:
        return round(int(file.read_text("ascii")) / 1000, 1)
    except (OSError, ValueError):
        return None


def memory_mb(file: Path = _MEMORY) -> float | None:
    """Return how much memory this process has, resident, in MB; None where nobody says."""
    try:
        return round(int(file.read_text("ascii").split()[1]) * _PAGE / 1e6, 1)
    except (OSError, ValueError, IndexError):
        return None
