"""Can whoever stands at the door read on a display what to do?"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

from lockd.commands.doctor.findings import (
    INSTALL,
    Finding,
    Machine,
    ok,
    problem,
    skipped,
    warning,
)
from lockd.config import DisplaySettings
from lockd.paths import DISPLAY_DROP_IN

_OVERLAY = {"i2c": "dtparam=i2c_arm=on", "spi": "dtparam=spi=on"}


def display(machine: Machine) -> list[Finding]:
    """Look at what drives it, at its bus and at its letters; nothing is shown."""
    wanted = machine.settings.signals.display
    if wanted is None:
        return [skipped("signals.display: there is none")]
    wrong = list(_wrong(machine, wanted))
    return wrong or [ok(f"signals.display: {wanted.driver} at {wanted.device}")]


def _wrong(machine: Machine, wanted: DisplaySettings) -> Iterator[Finding]:
    from lockd.adapters.display import typeface  # noqa: PLC0415  # needs Pillow

    package = "luma.lcd" if wanted.is_lcd else "luma.oled"
    if importlib.util.find_spec("luma") is None or importlib.util.find_spec(package) is None:
        yield problem(f"{package} is not installed", "pip install 'lockd[display]', or " + INSTALL)
    if machine.installed and machine.text(DISPLAY_DROP_IN) is None:
        yield problem(f"{DISPLAY_DROP_IN} is missing: the service may write to no bus", INSTALL)
    device = machine.path(wanted.device)
    if not device.exists():
        yield problem(
            f"signals.display: {wanted.device} is not there",
            f"`{_OVERLAY[wanted.bus]}` in /boot/firmware/config.txt, and start the machine anew; "
            "or set signals.display.port",
        )
    elif not os.access(device, os.W_OK):
        mend = f"`sudo usermod --append --groups {wanted.bus} USER`, or run as root"
        yield problem(f"signals.display: {wanted.device} may not be written to", mend)
    if typeface(str(wanted.font) if wanted.font else None).file is None:
        found = f"signals.display.font: {wanted.font or 'no font with all letters'} is not there"
        yield warning(found, "`sudo apt install fonts-dejavu-core`; until then names are left out")
