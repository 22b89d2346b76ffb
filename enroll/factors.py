"""PINs and cards: `pin` and `card`. Neither is ever an argument, which everybody could read."""

from __future__ import annotations

import sys
import time
from base64 import b64decode
from pathlib import Path

import click

from enroll.opened import name_argument, on_a_terminal, opened, sure
from lockd.adapters.control import SYSTEM_SOCKET, ask
from lockd.adapters.store import Store
from lockd.config import Settings
from lockd.console import administrator, config_option, counted, err, reported
from lockd.errors import ControlError, FactorError
from lockd.identity.factors import (
    LONGEST_ENTRY,
    FactorKind,
    clean_card,
    clean_pin,
    hash_card,
    hash_pin,
    is_shown,
)

_EVERY_S = 0.5  # more often than the service forgets that it is asked
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@name_argument()
@click.option("--remove", is_flag=True, help="Take it away.")
@_yes
@config_option
@reported
def pin(name: str, remove: bool, yes: bool, config_file: Path | None) -> None:
    """Give NAME a PIN for the keypad, in the place of the one they had.

    It is asked for, unseen; where there is no terminal it is the first line of standard input.
    """
    with opened(config_file, revoking=remove) as (settings, store):
        person = store.people.named(name).person
        if remove:
            _remove(store, person.name, FactorKind.PIN, yes)
            return
        wanted = settings.second_factor
        entered = clean_pin(_entered("PIN", confirm=True), wanted.least_digits, wanted.most_digits)
        if "pin" in wanted.alone:
            _check_free(store, FactorKind.PIN, entered, but=person.id)
        store.factors.set_pin(person.name, hash_pin(entered), by=administrator())
    click.echo(f"{person.name} has a new PIN.")
    _warn_without(settings, "pin")


@click.command()
@name_argument()
@click.option(
    "--number", is_flag=True, help="Ask for the card's number instead of reading it at the door."
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=60.0,
    metavar="SECONDS",
    help="How long to wait for the card [default: 60].",
)
@click.option("--remove", is_flag=True, help="Take all their cards away.")
@click.option("--drop", type=int, metavar="ID", help="Take one away, by its id in `show`.")
@_yes
@config_option
@reported
def card(
    name: str,
    number: bool,
    timeout: float,
    remove: bool,
    drop: int | None,
    yes: bool,
    config_file: Path | None,
) -> None:
    """Give NAME a card more: hold it to the reader at the door when told to.

    With --number the number is asked for, unseen; where there is no terminal it is the first line
    of standard input.
    """
    if sum((number, remove, drop is not None)) > 1:
        raise click.UsageError("--number, --remove and --drop exclude each other")
    with opened(config_file, revoking=remove or drop is not None) as (settings, store):
        person = store.people.named(name).person
        if remove:
            _remove(store, person.name, FactorKind.CARD, yes)
            return
        if drop is not None:
            _drop(store, person.name, drop)
            return
        if number:
            entered = clean_card(_entered("Card number", confirm=False))
            _check_free(store, FactorKind.CARD, entered)
            kept = hash_card(entered)
        else:
            kept = _read_at_the_door(settings, timeout)
        store.factors.add_card(person.name, kept, by=administrator())
        cards = sum(one.kind is FactorKind.CARD for one in store.factors.of(person.name))
    click.echo(f"{person.name} has {counted(cards, 'card')} now.")
    _warn_without(settings, "card")


def _remove(store: Store, name: str, kind: FactorKind, yes: bool) -> None:
    what = "the PIN" if kind is FactorKind.PIN else "all cards"
    sure(f"Take {what} of {name} away?", yes)
    if not store.factors.remove(name, kind, by=administrator()):
        raise FactorError(f"{name} has no {kind.value}; see `lockd-enroll show`")
    click.echo(f"Took {what} of {name} away.")


def _drop(store: Store, name: str, number: int) -> None:
    own = {one.id for one in store.factors.of(name) if one.kind is FactorKind.CARD}
    if number not in own:
        raise FactorError(f"{name} has no card {number}; see `lockd-enroll show`")
    store.factors.remove_card(number, by=administrator())
    click.echo(f"Took card {number} of {name} away.")


def _entered(what: str, *, confirm: bool) -> str:
    """Ask for what nobody else is to see, or take it from standard input."""
    if on_a_terminal():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True))
    line = sys.stdin.readline(LONGEST_ENTRY + 2).rstrip("\r\n")
    if len(line) > LONGEST_ENTRY:
        raise FactorError(f"the first line is longer than {LONGEST_ENTRY} characters")
    return line


def _check_free(store: Store, kind: FactorKind, entered: str, but: str = "") -> None:
    """See that nobody else has it: it alone is to tell who comes.

    Raises:
        FactorError: if somebody has.
    """
    for one in store.people.all():
        for other in store.factors.of(one.person.name):
            taken = other.kind is kind and is_shown(kind, other.kept, entered)
            if taken and one.person.id != but:
                raise _taken(kind)


def _taken(kind: FactorKind) -> FactorError:
    if kind is FactorKind.PIN:
        return FactorError("that PIN cannot be used; choose another")
    return FactorError("that card is somebody's already; take it away from them first")


def _read_at_the_door(settings: Settings, timeout_s: float) -> bytes:
    """Have the service read the next card; its number stays there.

    Raises:
        ControlError: if it does not run, reads no cards, or none came in time.
        FactorError: if the card is somebody's already.
    """
    socket = settings.control.path() or SYSTEM_SOCKET
    end = time.monotonic() + timeout_s
    told = False
    while True:
        answer = ask(socket, {"command": "card"})
        match answer.get("result"):
            case "card":
                return b64decode(str(answer.get("kept")))
            case "taken":
                raise _taken(FactorKind.CARD)
            case "no_card":
                if not told:
                    err.print("Hold the card to the reader at the door.")
                    told = True
                if (problem := answer.get("reason")) is not None:
                    raise ControlError(f"no card can be read: {problem}")
            case "off":
                raise ControlError(
                    "the door has no card reader (second_factor.reader or wiegand); "
                    "with --number it is asked for"
                )
            case result:
                raise ControlError(f"{socket}: {answer.get('reason') or result}")
        if time.monotonic() >= end:
            raise ControlError(f"no card was shown within {timeout_s:g} s")
        time.sleep(_EVERY_S)


def _warn_without(settings: Settings, kind: str) -> None:
    if kind not in settings.second_factor.kinds:
        what = "keypad" if kind == "pin" else "reader"
        err.print(
            f"this door has nothing that takes it yet: see second_factor.{what}", style="yellow"
        )
