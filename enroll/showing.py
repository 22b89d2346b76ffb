"""Who is enrolled: `list` and `show`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click
from rich.markup import escape
from rich.table import Table

from enroll.details import consent_told
from enroll.opened import looked_at, name_argument, nobody
from enroll.rights import days_told, groups_told, told
from lockd.adapters.store import Enrolled, KeptFactor, Store, StoredTemplate
from lockd.config import Settings
from lockd.console import config_option, counted, print_table, reported
from lockd.errors import ModelError
from lockd.identity.factors import FactorKind

FactorCounts: TypeAlias = "Mapping[str, Counter[FactorKind]]"

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("list")
@config_option
@as_json_option
@reported
def list_(config_file: Path | None, as_json: bool) -> None:
    """Show who is enrolled."""
    with looked_at(config_file) as (settings, store):
        people = store.people.all() if store else []
        factors = store.factors.counts() if store else {}
    if as_json:
        data = [{**as_data(one), **_factor_data(factors, one)} for one in people]
        click.echo(json.dumps(data, ensure_ascii=False))
    elif not people:
        click.echo("Nobody is enrolled, so everyone is a stranger.")
    else:
        print_table(_table(people, factors, settings), "Name", "Enrolled (UTC)")


@click.command()
@name_argument()
@config_option
@as_json_option
@reported
def show(name: str, config_file: Path | None, as_json: bool) -> None:
    """Show what is kept of NAME."""
    with looked_at(config_file) as (settings, store):
        if store is None:
            raise nobody(name)
        one = store.people.named(name)
        if as_json:
            click.echo(json.dumps(held(store, one, settings), ensure_ascii=False))
            return
        templates = store.templates.of(name)
        photographs = set(store.templates.photographs(name))
        factors = store.factors.of(name)
        damaged = _damaged_factors(store, one, factors)
        kinds = _kinds(settings)
    click.echo(told(one.person, settings))
    for line in [*_lines(one, templates, photographs, kinds), *_factor_lines(factors, damaged)]:
        click.echo(line)


def held(store: Store, one: Enrolled, settings: Settings) -> dict[str, Any]:
    """Return what is kept of somebody, for programs; no likeness and no secret is in it."""
    name = one.person.name
    templates, photographs = store.templates.of(name), set(store.templates.photographs(name))
    factors, kinds = store.factors.of(name), _kinds(settings)
    return {
        **as_data(one),
        "templates": [_template_data(kept, photographs, kinds) for kept in templates],
        "unreadable_templates": one.templates - len(templates),
        "factors": [_one_factor_data(kept) for kept in factors],
        "unreadable_factors": _damaged_factors(store, one, factors),
    }


def _damaged_factors(store: Store, one: Enrolled, factors: list[KeptFactor]) -> int:
    return store.factors.counts().get(one.person.id, Counter()).total() - len(factors)


def as_data(one: Enrolled) -> dict[str, Any]:
    """Return a person for programs."""
    return {
        "id": one.person.id,
        "name": one.person.name,
        "enabled": one.enabled,
        "templates": one.templates,
        "created_utc": one.created_utc,
        "groups": sorted(one.person.groups),
        "valid_from": one.person.valid_from,
        "valid_until": one.person.valid_until,
        "external_id": one.details.external_id,
        "notes": one.details.notes,
        "consent_by": one.details.consent_by,
        "consent_utc": one.details.consent_utc,
    }


def _kinds(settings: Settings) -> dict[str, str]:
    """How templates are made, by their model, as far as the networks here know."""
    from lockd.vision.embedder import template_kinds  # noqa: PLC0415
    from lockd.vision.models import manifest_of  # noqa: PLC0415

    try:
        return template_kinds(manifest_of(settings.recognition.folder()))
    except ModelError:
        return {}


def _template_data(
    one: StoredTemplate, photographs: set[int], kinds: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "id": one.id,
        "model": one.model,
        "made": kinds.get(one.model),
        "created_utc": one.created_utc,
        "photograph": one.id in photographs,
    }


def _factor_data(counts: FactorCounts, one: Enrolled) -> dict[str, Any]:
    """Whether somebody has a PIN and how many cards, and nothing more of them."""
    own = counts.get(one.person.id, Counter())
    return {"pin": own[FactorKind.PIN] > 0, "cards": own[FactorKind.CARD]}


def _one_factor_data(one: KeptFactor) -> dict[str, Any]:
    return {"id": one.id, "kind": one.kind.value, "created_utc": one.created_utc}


def _factors_told(counts: FactorCounts, one: Enrolled) -> str:
    own = _factor_data(counts, one)
    cards = counted(own["cards"], "card") if own["cards"] else ""
    return ", ".join(filter(None, ["PIN" if own["pin"] else "", cards]))


def _factor_lines(factors: list[KeptFactor], damaged: int) -> list[str]:
    lines = [
        f"{'PIN' if one.kind is FactorKind.PIN else f'card {one.id}'}: "
        f"since {_minute(one.created_utc)} UTC"
        for one in factors
    ]
    if damaged:
        lines.append(f"{damaged} PINs or cards damaged and not used; enrol them again")
    return lines


def _table(people: list[Enrolled], factors: FactorCounts, settings: Settings) -> Table:
    columns = {
        "Name": [one.person.name for one in people],
        "Disabled": ["" if one.enabled else "disabled" for one in people],
        "Id": [one.details.external_id or "" for one in people],
        "Groups": [groups_told(one.person, settings) for one in people],
        "Valid": [days_told(one.person) for one in people],
        "Consent": [consent_told(one.details) for one in people],
        "PIN, cards": [_factors_told(factors, one) for one in people],
        "Templates": [str(one.templates) for one in people],
        "Enrolled (UTC)": [_minute(one.created_utc) for one in people],
    }
    filled = {title: cells for title, cells in columns.items() if any(cells)}
    table = Table(*filled)
    for row in zip(*filled.values(), strict=True):
        table.add_row(*map(escape, row))
    return table


def _lines(
    one: Enrolled,
    templates: list[StoredTemplate],
    photographs: set[int],
    kinds: Mapping[str, str],
) -> list[str]:
    details = one.details
    lines = [] if one.enabled else ["disabled: a stranger to the door; see `lockd-enroll enable`"]
    lines += [f"enrolled: {_minute(one.created_utc)} UTC", f"id at this door: {one.person.id}"]
    for title, value in (
        ("external id", details.external_id),
        ("consent", consent_told(details)),
        ("notes", details.notes),
    ):
        lines += [f"{title}: {value}"] if value else []
    lines.append(f"templates: {one.templates}")
    for template in templates:
        kept = ", photograph kept" if template.id in photographs else ""
        lines.append(
            f"  {template.id}: {_minute(template.created_utc)} UTC, "
            f"{kinds.get(template.model, f'other networks ({template.model[:8]})')}{kept}"
        )
    if one.templates > len(templates):
        lines.append(f"  {one.templates - len(templates)} damaged and not used; enrol them again")
    return lines


def _minute(utc: str) -> str:
    return utc[:16].replace("T", " ")
