"""What the console asks of the store: who is enrolled, who came, who changed what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from lockd.adapters.store import Details, Enrolled, Store
from lockd.adapters.store.events import EventFilter
from lockd.config import Settings
from lockd.errors import PersonError

MOST = 500
"""Events or entries in one answer."""
_MOST_KINDS = 50
_SEARCHED = 2_000
_DETAILS = ("external_id", "notes", "consent_by", "consent_utc")


def looked_up(store: Store, command: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one of `LOOKS` asks for."""
    return LOOKS[command](store, values)


def changed(
    store: Store, command: str, values: Mapping[str, Any], by: str, settings: Settings
) -> dict[str, Any]:
    """Change what one of `CHANGES` says.

    Raises:
        PersonError: if it cannot be.
        StoreError: if it cannot be written.
    """
    return CHANGES[command](store, values, by, settings)


def _people(store: Store, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"people": [_short(one) for one in store.people.all()]}


def _person(store: Store, values: Mapping[str, Any]) -> dict[str, Any]:
    one = _by_id(store, values["id"])
    templates = [
        {"id": kept.id, "created_utc": kept.created_utc, "model": kept.model[:12]}
        for kept in store.templates.of(one.person.name)
    ]
    own = [asdict(entry) for entry in store.audit.latest(_SEARCHED) if entry.person_id ==
           one.person.id][:50]  # fmt: skip
    return {**_short(one), **asdict(one.details), "templates_kept": templates, "audit": own}


def _visits(store: Store, values: Mapping[str, Any]) -> dict[str, Any]:
    """Events that are kept: the last first, those that the filters let through."""
    wanted = EventFilter(
        since=_when(values.get("since")),
        until=_when(values.get("until")),
        types=[str(one) for one in values.get("kinds") or ()][:_MOST_KINDS],
        person=str(values["person"]) if values.get("person") else None,
    )
    limit = min(max(int(values.get("limit", 100)), 1), MOST)
    skip = min(max(int(values.get("skip", 0)), 0), 10**9)
    found = store.events.find(wanted, limit=limit, offset=skip)
    pictures = {one.event_id: one.id for one in store.strangers.all()}
    for event in found:
        if (number := pictures.get(event["id"])) is not None:
            event["picture"] = number
    return {"events": found, "total": store.events.count(wanted)}


def _gallery(store: Store, _: Mapping[str, Any]) -> dict[str, Any]:
    """The strangers whose pictures the owner keeps, the last first."""
    return {"pictures": [asdict(one) for one in store.strangers.all()]}


def _audit(store: Store, values: Mapping[str, Any]) -> dict[str, Any]:
    limit = min(max(int(values.get("limit", 100)), 1), MOST)
    return {"entries": [asdict(one) for one in store.audit.latest(limit)]}


def _change(store: Store, values: Mapping[str, Any], by: str, settings: Settings) -> dict[str, Any]:
    one = _by_id(store, values["id"])
    name = one.person.name
    access: dict[str, Any] = {}
    if "groups" in values:
        groups = frozenset(str(group) for group in values["groups"])
        if unknown := sorted(groups - settings.access.groups.keys()):
            raise PersonError(f"{', '.join(unknown)}: access.groups has no such group")
        access["groups"] = groups
    for day in ("valid_from", "valid_until"):
        if day in values:
            access[day] = values[day] or None
    if access:
        store.people.change_access(name, by=by, **access)
    new = {key: values[key] or None for key in _DETAILS if key in values}
    if new:
        store.people.change_details(name, replace(one.details, **new), by=by)
    if "enabled" in values:
        store.people.set_enabled(name, bool(values["enabled"]), by=by)
    if values.get("name") and values["name"] != name:
        store.people.rename(name, str(values["name"]), by=by)
    return _short(_by_id(store, values["id"]))


def _merge(store: Store, values: Mapping[str, Any], by: str, _: Settings) -> dict[str, Any]:
    source, target = _by_id(store, values["id"]), _by_id(store, values["into"])
    person = store.people.merge(source.person.name, target.person.name, by=by)
    return _short(_by_id(store, person.id))


def _remove(store: Store, values: Mapping[str, Any], by: str, _: Settings) -> dict[str, Any]:
    removal = store.people.remove(_by_id(store, values["id"]).person.name, by=by)
    return {
        "templates": removal.templates,
        "photographs": removal.photographs,
        "events": removal.events,
        "verified": removal.verified,
        "left": removal.left,
        "backups": [str(one) for one in removal.backups],
    }


def _forget(store: Store, values: Mapping[str, Any], by: str, _: Settings) -> dict[str, Any]:
    return {"forgotten": store.strangers.forget([int(values["number"])], by=by)}


def _drop(store: Store, values: Mapping[str, Any], by: str, _: Settings) -> dict[str, Any]:
    one = _by_id(store, values["id"])
    own = {kept.id for kept in store.templates.of(one.person.name)}
    wanted = {int(number) for number in values["templates"]} & own
    if wanted == own:
        raise PersonError(f"{one.person.name}: no template would be left; remove them instead")
    store.templates.drop(sorted(wanted), by=by)
    return _short(_by_id(store, values["id"]))


def _short(one: Enrolled) -> dict[str, Any]:
    details: Details = one.details
    return {
        "id": one.person.id,
        "name": one.person.name,
        "enabled": one.enabled,
        "groups": sorted(one.person.groups),
        "valid_from": one.person.valid_from,
        "valid_until": one.person.valid_until,
        "templates": one.templates,
        "created_utc": one.created_utc,
        "consent": details.consent_utc is not None,
    }


def _by_id(store: Store, wanted: object) -> Enrolled:
    for one in store.people.all():
        if one.person.id == wanted:
            return one
    raise PersonError("nobody with that id is enrolled")


def _when(text: object) -> datetime | None:
    """A time that was given with or without an offset."""
    if not text:
        return None
    when = datetime.fromisoformat(str(text))
    return when if when.tzinfo else when.replace(tzinfo=UTC)


LOOKS: Mapping[str, Callable[[Store, Mapping[str, Any]], dict[str, Any]]] = {
    "people": _people,
    "person": _person,
    "visits": _visits,
    "gallery": _gallery,
    "audit": _audit,
}
"""What is only looked up."""

CHANGES: Mapping[str, Callable[[Store, Mapping[str, Any], str, Settings], dict[str, Any]]] = {
    "change": _change,
    "merge": _merge,
    "remove": _remove,
    "drop": _drop,
    "forget": _forget,
}
"""What changes something."""
