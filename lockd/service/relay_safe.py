"""`lockd relay-safe`: drive the relay's pin to its locked level, from a fresh process.

The service manager runs it after the service has ended in whatever way: a process that was
killed leaves its pin as it was. Every millisecond of it is one in which the door may be
open, so nothing is imported here that is not needed.

The service leaves word of the relay that it drives, in its runtime directory. That word
goes before the configuration file: it is quicker to read; it names the pin that was really
driven, even if the file names another one since; and a file that was being edited, or has a
mistake in it, must not leave the door open. Without it the configuration counts.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lockd.adapters import line
from lockd.paths import by_systemd

if TYPE_CHECKING:
    from lockd.config import RelaySettings

RUNTIME_DIRECTORY = Path("/run/lockd")
NAME = "relay.json"


class Relay(NamedTuple):
    """A relay to be locked.

    Attributes:
        factory: of gpiozero's pins.
        chip: number of the GPIO chip that has the pin; None if it has none or nobody knows.
        pin: BCM number.
        locked_high: whether the locked level is high.
        heartbeat: BCM number of the line that feeds its hardware limit; None without one.
    """

    factory: str
    chip: int | None
    pin: int
    locked_high: bool
    heartbeat: int | None = None

    def __str__(self) -> str:
        return f"GPIO{self.pin} is {'high' if self.locked_high else 'low'}: locked"


def relay_of(settings: RelaySettings, chip: int | None = None) -> Relay:
    """Return the relay that is configured."""
    heartbeat = None if settings.heartbeat is None else settings.heartbeat.pin
    return Relay(settings.factory, chip, settings.pin, not settings.unlocks_high, heartbeat)


def leave_word(relay: Relay) -> None:
    """Write down which relay this process drives, if a service manager runs it.

    A word that cannot be written is logged: it is the quicker of two ways.
    """
    folder = by_systemd("RUNTIME")
    if folder is None:
        return
    from lockd.files import write_over  # noqa: PLC0415  # not needed where speed counts

    path = folder / NAME
    try:
        path.unlink(missing_ok=True)  # an old one may name another pin
        write_over(path, json.dumps(relay._asdict()).encode())
    except OSError as error:
        import logging  # noqa: PLC0415  # not needed where speed counts

        logging.getLogger(__name__).error("%s: cannot be written: %s", path, error.strerror)


def word_left() -> Relay | None:
    """Return the relay that the service was driving, or None if it left no good word."""
    path = (by_systemd("RUNTIME") or RUNTIME_DIRECTORY) / NAME
    try:
        relay = Relay(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    good = (
        isinstance(relay.factory, str)
        and isinstance(relay.chip, int | None)
        and isinstance(relay.pin, int)
        and isinstance(relay.locked_high, bool)
        and isinstance(relay.heartbeat, int | None)
    )
    return relay if good else None


def lock(config_file: Path | None) -> Relay:
    """Drive the relay's pin to its locked level.

    Args:
        config_file: read if the service left no word.

    Returns:
        The relay, which is locked.

    Raises:
        ConfigError: if the configuration has to be read and has mistakes.
        PinError: if the level could not be written.
    """
    relay = word_left()
    if relay is None:
        from lockd.config import find, load  # noqa: PLC0415  # slow

        relay = relay_of(load(find(config_file)).relay)
    if not _locked_by_the_kernel(relay):
        from lockd.adapters.pins import Board  # noqa: PLC0415  # slow

        board = Board(relay.factory)
        board.output(relay.pin, active_high=not relay.locked_high, setting="relay.pin").off()
        if relay.heartbeat is not None:
            board.output(relay.heartbeat, active_high=True, setting="relay.heartbeat.pin").off()
    return relay


def _locked_by_the_kernel(relay: Relay) -> bool:
    """Try the quick way; return whether it worked."""
    if relay.chip is None:
        return False
    try:
        line.drive(relay.chip, relay.pin, high=relay.locked_high)
    except OSError as error:
        print(f"{error}; trying {relay.factory}", file=sys.stderr)
        return False
    if relay.heartbeat is not None:
        # Only for a line that is not left high: one that stands still feeds nobody.
        with contextlib.suppress(OSError):
            line.drive(relay.chip, relay.heartbeat, high=False)
    return True


def main(arguments: list[str]) -> bool:
    """Lock by the word that the service left, if that is all there is to do.

    Args:
        arguments: of `lockd relay-safe`; all but --config are left to the full command.

    Returns:
        Whether it is done.
    """
    plain = not arguments or (len(arguments) == 2 and arguments[0] == "--config")
    relay = word_left() if plain else None
    if relay is None or not _locked_by_the_kernel(relay):
        return False
    print(relay)
    return True
