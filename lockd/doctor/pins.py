"""The pins: can the factory drive them, are they there, and does nobody else use them?

No line is ever claimed, let alone driven: the kernel is only asked about it.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.version import Version
from pydantic import BaseModel

from lockd.adapters.gpiochip import Chip, chips
from lockd.doctor.findings import INSTALL, USER, Finding, Machine, ok, problem, skipped
from lockd.errors import PinError

_PI_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2712", "pinctrl-bcm2711", "pinctrl-bcm2835")
_MODULES = {"lgpio": "gpiozero.pins.lgpio", "rpigpio": "gpiozero.pins.rpigpio"}
_LEAST_LGPIO = Version("0.2.2")
_OWN = ("lg", "lockd")  # how lgpio signs the lines that it claims


def pins(machine: Machine) -> list[Finding]:
    """Look at the pin factory and at every pin that the configuration names."""
    named = dict(_named(machine.settings))
    findings = _shared(named)
    factory = machine.settings.relay.factory
    if factory == "mock":
        return [*findings, skipped("relay.factory: mock: the pins are not looked at")]
    findings += _factory(factory)
    chip, more = _open_chip(machine)
    findings += more
    if chip is None:
        return findings
    try:
        for name, number in named.items():
            findings.append(_line(machine, chip, name, number))
    finally:
        chip.close()
    return findings


def _named(settings: BaseModel, above: str = "") -> Iterator[tuple[str, int]]:
    """Yield (path, BCM number) of every setting that names a pin."""
    for key in type(settings).model_fields:
        value, path = getattr(settings, key), f"{above}{key}"
        if isinstance(value, BaseModel):
            yield from _named(value, f"{path}.")
        elif isinstance(value, int) and (key == "pin" or key.endswith("_pin")):
            yield path, value


def _shared(named: dict[str, int]) -> list[Finding]:
    users = defaultdict(list)
    for name, number in named.items():
        users[number].append(name)
    return [
        problem(f"GPIO{number} is used twice: {' and '.join(names)}", "give each a pin of its own")
        for number, names in users.items()
        if len(names) > 1
    ]


def _factory(name: str) -> list[Finding]:
    """Import the factory; this claims nothing."""
    package = {"lgpio": "python3-lgpio", "rpigpio": "python3-rpi.gpio"}[name]
    mend = f"`sudo apt install {package}` and a virtual environment with --system-site-packages"
    try:
        importlib.import_module(_MODULES[name])
    except Exception as error:
        return [problem(f"the factory {name} cannot be imported: {error}", mend)]
    try:
        version = metadata.version("lgpio") if name == "lgpio" else None
    except metadata.PackageNotFoundError:
        version = None  # a distribution's package may bring none
    if version is not None and Version(version) < _LEAST_LGPIO:
        return [problem(f"lgpio {version} is an empty placeholder or too old", mend)]
    return [ok(f"the factory {name} can be imported")]


def _open_chip(machine: Machine) -> tuple[Chip | None, list[Finding]]:
    """Open the chip of the pin header: a Raspberry Pi's own, or else the first."""
    paths = chips(machine.path("/dev"))
    if not paths:
        mend = "is this a Raspberry Pi? To try lockd without a relay: relay.factory: mock"
        return None, [problem("there is no /dev/gpiochip*", mend)]
    opened: list[Chip] = []
    failures = []
    for path in paths:
        try:
            opened.append(Chip(path))
        except PinError as error:
            failures.append(str(error))
    if not opened:
        return None, [problem(failures[0], f"add yourself to the group gpio, or {INSTALL}")]
    chip = next((one for one in opened if one.label in _PI_CHIPS), opened[0])
    for one in opened:
        if one is not chip:
            one.close()
    text = f"{chip.path} ({chip.label}) has {chip.lines} lines"
    return chip, [_access(machine, chip.path, text)]


def _access(machine: Machine, path: Path, text: str) -> Finding:
    """Find out whether the service's user may open the chip as well."""
    status = path.stat()
    group = machine.group_name(status.st_gid)
    if machine.installed and not (status.st_mode & 0o060 == 0o060 and group == "gpio"):
        return problem(
            f"{text}, but belongs to the group {group}, so {USER} may not open it",
            f"{INSTALL}, which brings a udev rule, and restart the machine",
        )
    return ok(text)


def _line(machine: Machine, chip: Chip, name: str, number: int) -> Finding:
    try:
        line = chip.line(number)
    except PinError as error:
        return problem(f"{name}: {error}", "choose a pin of the header")
    text = f"{name}: GPIO{number}, {'output' if line.output else 'input'}"
    if not line.used:
        return ok(f"{text}, used by nobody else")
    if machine.service_runs and line.consumer in _OWN:
        return ok(f"{text}, held by the running service")
    return problem(
        f"{text}, is used by {line.consumer or 'somebody'}",
        "stop that program, or choose another pin; `gpioinfo` shows every line",
    )
