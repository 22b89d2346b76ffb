"""What else is kept of somebody, as it is given to and told by the commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from enroll.rights import NONE, day
from lockd.adapters.store import Details

_C = TypeVar("_C", bound=Callable[..., Any])


def details_options(command: _C) -> _C:
    """Let a command take `external_id`, `note`, `consent_by` and `consent_date`."""
    for option in (
        click.option("--consent-date", metavar="DATE", callback=day, help="[default: today]"),
        click.option(
            "--consent-by", metavar="WHO", help="Who took their consent to be recognised, or none."
        ),
        click.option("--note", metavar="TEXT", help="Anything worth keeping, or none."),
        click.option(
            "--external-id", metavar="ID", help="Their number in another register, or none."
        ),
    ):
        command = option(command)
    return command


def changed(
    external_id: str | None, note: str | None, consent_by: str | None, consent_date: str | None
) -> Callable[[Details], Details] | None:
    """Return what makes the options' changes to somebody's details; None for no change."""
    if consent_date is not None and consent_by is None:
        raise click.UsageError("--consent-date without --consent-by; say who took the consent")
    given: dict[str, str | None] = {}
    if external_id is not None:
        given["external_id"] = _value(external_id)
    if note is not None:
        given["notes"] = _value(note)
    if consent_by is not None:
        given["consent_by"] = _value(consent_by)
        given["consent_utc"] = given["consent_by"] and _moment(consent_date)
    return (lambda details: replace(details, **given)) if given else None


def consent_told(details: Details) -> str:
    """Return somebody's consent as a list shows it, or an empty text without."""
    return f"{(details.consent_utc or '')[:10]} {details.consent_by}" if details.consent_by else ""


def _value(text: str) -> str | None:
    return None if text == NONE else text


def _moment(consent_date: str | None) -> str:
    today = datetime.now(UTC).astimezone().date().isoformat()
    if consent_date in (None, NONE):
        return today
    if str(consent_date) > today:
        raise click.UsageError(f"--consent-date {consent_date} is yet to come")
    return str(consent_date)
