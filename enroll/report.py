"""All that is held on one person, in two files for them: a page to read, and JSON.

Whoever is recognised may ask what is known of them (in the EU: Article 15 GDPR).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from enroll.opened import name_argument
from enroll.page import page
from enroll.showing import held
from lockd.adapters.keys import keys_file, read_keys
from lockd.adapters.store import UNREACHED, EventFilter, Store
from lockd.adapters.store import opened as open_store
from lockd.config import Settings, find, load
from lockd.console import administrator, config_option, err, reported
from lockd.errors import BusError, StoreError
from lockd.files import write_over
from lockd.messages import utc_text

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}


@click.command()
@name_argument()
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("."),
    help="The folder to write into [default: this one].",
)
@config_option
@reported
def report(name: str, folder: Path, config_file: Path | None) -> None:
    """Write all that is held on NAME: a page to read, and the same as JSON.

    Details, rights, consent, kept photographs, when templates, PIN and cards were made, events, and
    the audit trail. Give the files to nobody but them; docs/privacy.md says how to answer.
    """
    settings = load(find(config_file))
    with open_store(settings.store, writable=True) as store:
        one = store.people.named(name)
        store.audit.note_report(administrator(), one.person.id)
        data = gather(settings, store, one.person.name)
    stem = f"lockd-report-{_slug(one.person.name)}-{data['made_utc'][:10]}"
    written = {
        folder / f"{stem}.html": page(data),
        folder / f"{stem}.json": json.dumps(data, ensure_ascii=False, indent=2) + "\n",
    }
    for path, text in written.items():
        _write_new(path, text)
        click.echo(path)
    err.print("give them to nobody else, and delete them here", style="dim")


def gather(settings: Settings, store: Store, name: str) -> dict[str, Any]:
    """Return all that is held on somebody, for programs.

    Raises:
        PersonError: if nobody of that name is enrolled.
    """
    one = store.people.named(name)
    id_ = one.person.id
    identities = _identities(settings, id_)
    by = [f"mqtt:{identity}" for identity in identities]
    about = store.events.find(EventFilter(person=id_))
    given = store.events.find(EventFilter(by=by)) if by else []
    events = {event["id"]: event for event in [*about, *given]}
    return {
        "schema": 1,
        "made_utc": utc_text(timespec="seconds"),
        "door": {"id": settings.door.id, "name": settings.door.name},
        "kept_for_days": {
            "events": settings.store.keep_events_days,
            "audit": settings.store.keep_audit_days,
        },
        "person": held(store, one, settings),
        "photographs": [
            {"template": number, "type": _type(content), "base64": _text(content)}
            for number, content in store.templates.photographs(name).items()
        ],
        "wrong_pins_and_cards_in_a_row": store.factors.wrong_tries().get(id_, 0),
        "command_keys": identities,
        "events": sorted(events.values(), key=lambda event: str(event["utc"]), reverse=True),
        "messages_on_their_way": sum(
            json.loads(one.payload).get("person_id") == id_
            for one in store.outbox.waiting(0, settings.mqtt.outbox_events)
        ),
        "audit": [asdict(entry) for entry in store.audit.about(id_, by)],
        "backups": [str(path) for path in store.audit.backups()],
        "not_in_here": [
            "the templates themselves, numbers that faces are compared with, and what PINs and "
            "are checked with: they are secrets of the door; `lockd-enroll export` writes them "
            "encrypted",
            *UNREACHED,
        ],
    }


def _identities(settings: Settings, person_id: str) -> list[str]:
    """Whose keys for commands from afar are theirs."""
    file = keys_file(settings)
    if not file.exists():
        return []
    try:
        keys = read_keys(file)
    except BusError as error:
        raise StoreError(f"{error}\nso it is not known which keys are theirs") from error
    return sorted(identity for identity, key in keys.items() if key.person == person_id)


def _type(content: bytes) -> str:
    found = (kind for start, kind in _KINDS.items() if content.startswith(start))
    return next(found, "application/octet-stream")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _slug(name: str) -> str:
    """What of a name can be part of a file's."""
    return re.sub(r"\W+", "-", name).strip("-") or "person"


def _write_new(path: Path, text: str) -> None:
    try:
        write_over(path, text.encode(), new=True)
    except FileExistsError:
        raise StoreError(
            f"{path}: is there already; move it away, or name another folder with --to"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
