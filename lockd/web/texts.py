"""Pages in English and German: one catalogue, as gettext has them.

The catalogue is read as it was written (``.po``), so that nothing is to be compiled.
"""

from __future__ import annotations

import ast
import gettext
import re
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "de": "Deutsch"}
_HERE = Path(__file__).parent
_STRING = re.compile(r'^(msgid|msgstr)? ?(".*")$')


class Catalogue(gettext.NullTranslations):
    """The texts of one language."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self.texts = texts

    def gettext(self, message: str) -> str:
        """Return a text in this language, or as it is."""
        return self.texts.get(message) or message


@cache
def catalogue(language: str) -> Catalogue:
    """Return the texts of one of `LANGUAGES`."""
    file = _HERE / "locale" / language / "console.po"
    return Catalogue(read_catalogue(file.read_text("utf-8")) if file.exists() else {})


def read_catalogue(text: str) -> dict[str, str]:
    """Return the texts of a ``.po`` file, by what they are in English."""
    found: dict[str, str] = {}
    parts = {"msgid": "", "msgstr": ""}
    part = "msgid"
    for line in [*text.splitlines(), 'msgid ""']:
        match = _STRING.match(line.strip())
        if match is None:
            continue
        if match[1] == "msgid":
            found[parts["msgid"]] = parts["msgstr"]
            parts = {"msgid": "", "msgstr": ""}
        part = match[1] or part
        parts[part] += ast.literal_eval(match[2])
    found.pop("", None)
    return found


def chosen(cookie: str | None, accepted: str) -> str:
    """Return the language to be used.

    Args:
        cookie: what the user chose, if they did.
        accepted: the header ``Accept-Language``.
    """
    if cookie in LANGUAGES:
        return str(cookie)
    wishes = []
    for place, part in enumerate(accepted.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        try:
            wishes.append((-float(weight or 1), place, name[:2].casefold()))
        except ValueError:
            continue
    return next((name for _, _, name in sorted(wishes) if name in LANGUAGES), "en")
