"""What somebody may do, as it is given to and told by the commands."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from lockd.adapters.store import Access
from lockd.config import Settings
from lockd.door.validity import is_moment
from lockd.errors import PersonError
from lockd.types import Person

NONE = "none"
_C = TypeVar("_C", bound=Callable[..., Any])


def day(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Take a date such as 2026-12-31, or `none` for no such limit."""
    try:
        good = value in (None, NONE) or date.fromisoformat(value).isoformat() == value
    except ValueError:
        good = False
    if not good:
        raise click.BadParameter(f"{value!r} is no date; use one such as 2026-12-31, or {NONE}")
    return value


def moment(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Take a date, a minute such as 2026-12-31T14:30, or `none` for no such limit."""
    if value in (None, NONE):
        return value
    text = value.replace(" ", "T", 1)
    if not is_moment(text):
        raise click.BadParameter(
            f"{value!r} is no date; use one such as 2026-12-31, one with a time such as "
            f"2026-12-31T14:30, or {NONE}"
        )
    return text


def rights_options(command: _C) -> _C:
    """Let a command take groups and validity: `group`, `valid_from`, `valid_until`."""
    for option in (
        click.option(
            "--valid-until",
            metavar="DATE",
            callback=moment,
            help="Last day; or, with a time, until then; or none.",
        ),
        click.option(
            "--valid-from",
            metavar="DATE",
            callback=moment,
            help="First day; or, with a time, from then on; or none.",
        ),
        click.option(
            "--group",
            "groups",
            multiple=True,
            metavar="GROUP",
            help="A group of access.groups whose rights they get; may be given again.",
        ),
    ):
        command = option(command)
    return command


def given(
    settings: Settings, groups: tuple[str, ...], valid_from: str | None, valid_until: str | None
) -> Access:
    """Return the rights that the options give; what was not given is not in them.

    Raises:
        PersonError: if the configuration has no such group.
    """
    access = Access()
    if groups:
        for name in groups:
            _check_group(name, settings)
        access["groups"] = frozenset(groups)
    if valid_from is not None:
        access["valid_from"] = None if valid_from == NONE else valid_from
    if valid_until is not None:
        access["valid_until"] = None if valid_until == NONE else valid_until
    return access


def groups_told(person: Person, settings: Settings) -> str:
    """Return somebody's groups as a list shows them, or an empty text for none."""
    known = settings.access.groups
    return ", ".join(
        name if name in known else f"{name} (unknown)" for name in sorted(person.groups)
    )


def days_told(person: Person) -> str:
    """Return somebody's validity as a list shows it, or an empty text without limits."""
    parts = (("from", person.valid_from), ("until", person.valid_until))
    return " ".join(f"{word} {day}" for word, day in parts if day)


def told(person: Person, settings: Settings) -> str:
    """Return somebody's rights as one line."""
    default = settings.access.default_group
    without = f"none, so {default} by default" if default else "none, so always admitted"
    groups = groups_told(person, settings) or without
    return f"{person.name}: groups: {groups}; valid: {days_told(person) or 'without limit'}"


def _check_group(name: str, settings: Settings) -> None:
    known = list(settings.access.groups)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        hint = f"did you mean {close[0]}?"
    elif known:
        hint = f"there are {', '.join(known)}"
    else:
        hint = "there are none; add it to access.groups first, see docs/access.md"
    raise PersonError(f"{name!r}: no such group in the configuration; {hint}")
