"""The report of `lockd-enroll report` as a page: one file, without scripts, to read or print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lockd.publishing.wording import sentence

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  overflow-wrap: anywhere }
th { font-weight: 600; white-space: nowrap }
img { max-width: 12rem; max-height: 12rem; margin: 0 .5rem .5rem 0 }
"""
_ABOUT = (
    ("name", "Name"), ("id", "Number at this door"), ("external_id", "Number elsewhere"),
    ("created_utc", "Enrolled (UTC)"), ("enabled", "Known to the door"), ("groups", "Groups"),
    ("valid_from", "Valid from"), ("valid_until", "Valid until"), ("notes", "Notes"),
    ("consent_by", "Consent recorded by"), ("consent_utc", "Consent given"),
)  # fmt: skip
_FACTORS = {"pin": "PIN", "card": "Card"}


def page(data: Mapping[str, Any]) -> str:
    """Return the page of what `report.gather` found."""
    person, door, kept = data["person"], data["door"], data["kept_for_days"]
    title = f"What the door {door['name']} holds on {person['name']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>As of {escape(data['made_utc'])}, door {escape(door['id'])}.</p>",
        "<h2>Person</h2>",
        _table((), [(label, _said(person[key])) for key, label in _ABOUT]),
        "<h2>Templates</h2><p>What the face is compared with: lists of numbers made of pictures, "
        "kept encrypted until the person is removed.</p>",
        _table(
            ("Number", "Made (UTC)", "Photograph kept"),
            [
                (one["id"], one["created_utc"], _said(one["photograph"]))
                for one in person["templates"]
            ],
        ),
        *([_damaged(person)] if _damaged(person) else []),
        "<h2>Photographs</h2>",
        "".join(map(_picture, data["photographs"])) or "<p>None are kept.</p>",
        "<h2>PIN, cards and keys</h2>",
        _table(
            ("What", "Since (UTC)"),
            [(_FACTORS[one["kind"]], one["created_utc"]) for one in person["factors"]]
            + [(f"Key for commands: {one}", "") for one in data["command_keys"]],
        ),
        f"<p>Wrong ones in a row: {data['wrong_pins_and_cards_in_a_row']}.</p>",
        f"<h2>Events</h2><p>Kept for {kept['events']} days. On their way to the broker: "
        f"{data['messages_on_their_way']} messages.</p>",
        _table(("When (UTC)", "What"), [(one["utc"], sentence(one)) for one in data["events"]]),
        f"<h2>Who changed what</h2><p>Kept for {kept['audit']} days.</p>",
        _table(
            ("When (UTC)", "Who", "What", "Note"),
            [(one["utc"], one["by"], one["action"], one["note"]) for one in data["audit"]],
        ),
        "<h2>Where else something may be</h2>",
        _list([*(f"the backup {one}" for one in data["backups"]), *data["not_in_here"]]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; without titles the first cell of a row is its title."""
    written = []
    for row in rows:
        cells = [escape("" if one is None else str(one)) for one in row]
        first = cells.pop(0) if not titles else None
        head = "" if first is None else f'<th scope="row">{first}</th>'
        written.append(f"<tr>{head}{''.join(f'<td>{one}</td>' for one in cells)}</tr>")
    if not written:
        return "<p>None.</p>"
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in titles)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}{''.join(written)}</table>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in items)}</ul>"


def _damaged(person: Mapping[str, Any]) -> str:
    templates, factors = person["unreadable_templates"], person["unreadable_factors"]
    if not templates and not factors:
        return ""
    return f"<p>Damaged and not used: templates {templates}, PINs and cards {factors}.</p>"


def _picture(one: Mapping[str, Any]) -> str:
    source = f"data:{one['type']};base64,{one['base64']}"
    number = one["template"]
    if not one["type"].startswith("image/"):
        return f'<a download="photograph-{number}" href="{source}">photograph {number}</a> '
    return f'<img alt="photograph of template {number}" src="{source}">'
