"""`lockd relay-safe`: drive the relay's pin to its locked level, from a fresh process.

The service manager runs it after the service has ended in whatever way: a process that was
killed leaves its pin as it was. Every millisecond of it is one in which the door may be
open, so nothing is imported here that is not needed.

The service leaves word of the relay that it drives, in its runtime directory: the pin that
was really driven, even if the configuration names another one since. But whoever gets hold of the
service could leave a word of another relay. So the configuration, which is root's, must say
the same: the word is compared with a glance at it. Where they differ, and where a glance is not
enough, both are locked, and it is said. A file that cannot be read, or has a mistake in it,
must not leave the door open: then the word counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lockd.adapters import line
from lockd.paths import CONFIG_VARIABLE, SYSTEM_CONFIG, by_systemd
from lockd.service.relay_glance import glance

if TYPE_CHECKING:
    from lockd.config import RelaySettings

RUNTIME_DIRECTORY = Path("/run/lockd")
NAME = "relay.json"
_LONGEST = 4096
_MOST_PINS = 54
_CHIPS = (None, 0, 4)
"""Those whose lines gpiozero takes for its pins; 4 is some Raspberry Pi 5's."""


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
        relay = Relay(**json.loads(_content(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        relay = None
    good = (
        relay is not None
        and isinstance(relay.factory, str)
        and relay.chip in _CHIPS
        and type(relay.chip) in (int, type(None))
        and type(relay.pin) is int
        and 0 <= relay.pin < _MOST_PINS
        and isinstance(relay.locked_high, bool)
        and type(relay.heartbeat) in (int, type(None))
        and relay.heartbeat != relay.pin  # which is left low, at whichever level that locks
    )
    if not good:
        _say(f"{path}: no good word of a relay; the configuration counts")
    return relay if good else None


def _content(path: Path) -> bytes:
    """What is in a file that somebody else may have made; never waits for a pipe.

    Raises:
        OSError: if it is no ordinary file, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path}: no file")
        return file.read(_LONGEST)


def lock(config_file: Path | None) -> list[Relay]:
    """Drive the relay's pin to its locked level, that of the configuration and that of the word.

    Args:
        config_file: to compare the word with, or to go by if the service left none.

    Returns:
        The relays, which are locked: one, if both are the same.

    Raises:
        ConfigError: if the service left no word and the configuration has mistakes.
        PinError: if a level could not be written; the other one was tried nevertheless.
    """
    from lockd.config import find, load  # noqa: PLC0415  # slow
    from lockd.errors import ConfigError, PinError  # noqa: PLC0415

    word = word_left()
    try:
        file = find(config_file)
        configured = None if file is None and word else relay_of(load(file).relay)
    except ConfigError as error:
        if word is None:
            raise
        _say(f"{error}\nthe configuration says nothing of the relay; its word counts")
        configured = None
    failed: list[PinError] = []
    relays = _to_be_locked(word, configured)
    for relay in relays:
        try:
            _lock(relay)
        except PinError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return relays


def _to_be_locked(word: Relay | None, configured: Relay | None) -> list[Relay]:
    """The word's relay and the configured one; of one pin the configuration says the level."""
    if word is None or configured is None:
        return [one for one in (word, configured) if one is not None]
    if word == configured._replace(chip=word.chip):
        return [word]
    _say(f"the service's word of its relay ({word.factory}: {word}) and the configuration differ")
    if word.pin == configured.pin:
        return [configured._replace(chip=word.chip if word.factory == configured.factory else None)]
    return [word, configured._replace(chip=word.chip)]


def _lock(relay: Relay) -> None:
    if not _locked_by_the_kernel(relay):
        from lockd.adapters.pins import Board  # noqa: PLC0415  # slow

        board = Board(relay.factory)
        board.output(relay.pin, active_high=not relay.locked_high, setting="relay.pin").off()
        if relay.heartbeat is not None:
            board.output(relay.heartbeat, active_high=True, setting="relay.heartbeat.pin").off()


def _locked_by_the_kernel(relay: Relay) -> bool:
    """Try the quick way; return whether it worked."""
    if relay.chip is None:
        return False
    try:
        line.drive(relay.chip, relay.pin, high=relay.locked_high)
    except OSError as error:
        _say(f"{error}; trying {relay.factory}")
        return False
    if relay.heartbeat is not None:
        # Only for a line that is not left high: one that stands still feeds nobody.
        with contextlib.suppress(OSError):
            line.drive(relay.chip, relay.heartbeat, high=False)
    return True


def _agrees(relay: Relay, config_file: Path) -> bool:
    """Whether a glance at the configuration, if there is one, shows the same relay."""
    try:
        seen = glance(config_file.read_text("utf-8"))
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return seen == (relay.factory, relay.pin, relay.locked_high)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main(arguments: list[str]) -> bool:
    """Lock by the word that the service left, if that is all there is to do.

    Args:
        arguments: of `lockd relay-safe`; all but --config are left to the full command.

    Returns:
        Whether it is done.
    """
    plain = not arguments or (len(arguments) == 2 and arguments[0] == "--config")
    relay = word_left() if plain else None
    if relay is None:
        return False
    file = arguments[1] if arguments else os.environ.get(CONFIG_VARIABLE, SYSTEM_CONFIG)
    if not (_agrees(relay, Path(file)) and _locked_by_the_kernel(relay)):
        return False
    print(relay)
    return True
