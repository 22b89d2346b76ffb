"""The pins: can the factory drive them, are they there, and does nobody else use them?

No line is ever claimed, let alone driven: the kernel is only asked about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from lockd.adapters.gpiochip import Chip, chips
from lockd.adapters.pins import Board
from lockd.commands.doctor.findings import INSTALL, Finding, Machine, Status, ok, problem, skipped
from lockd.errors import PinError
from lockd.paths import USER

_OWN = ("lg", "lockd")  # how lgpio signs the lines that it claims


def pins(machine: Machine) -> list[Finding]:
    """Look at the pin factory and at every pin that the configuration names."""
    factory = machine.settings.relay.factory
    if factory == "mock":
        return [skipped("relay.factory: mock: the pins are not looked at")]
    number, findings = _factory(factory)
    chip, more = _open_chip(machine, number)
    findings += more
    if chip is None:
        return findings
    try:
        for name, pin in _named(machine.settings):
            findings.append(_line(machine, chip, name, pin))
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


def _factory(name: str) -> tuple[int | None, list[Finding]]:
    """Open the factory, which claims no pin, and ask which chip it would use."""
    try:
        board = Board(name)
    except PinError as error:
        return None, [Finding(Status.PROBLEM, str(error))]  # its message names the way out
    try:
        return board.chip, [ok(f"the factory {name} can be used")]
    finally:
        board.close()


def _open_chip(machine: Machine, number: int | None) -> tuple[Chip | None, list[Finding]]:
    """Open the factory's chip, or the first one if there is no factory to ask."""
    paths = chips(machine.path("/dev"))
    if not paths:
        mend = "is this a Raspberry Pi? To try lockd without a relay: relay.factory: mock"
        return None, [problem("there is no /dev/gpiochip*", mend)]
    wanted = machine.path(f"/dev/gpiochip{number}")
    try:
        chip = Chip(wanted if wanted in paths else paths[0])
    except PinError as error:
        return None, [problem(str(error), f"add yourself to the group gpio, or {INSTALL}")]
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
