"""Pages in two languages, from one catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment

import lockd.web
from lockd.door.events import State
from lockd.identity.challenge import Prompt
from lockd.messages import EventType
from lockd.types import Unfit
from lockd.web.texts import LANGUAGES, catalogue, chosen, read_catalogue
from lockd.web.words import CHALLENGES, KINDS, PAGES, SHOWN_KINDS, STATES, UNFIT
from tests.web.house import Console

WEB = Path(lockd.web.__file__).parent


def texts() -> Iterator[str]:
    reader = Environment(
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    for file in sorted(WEB.glob("templates/*.html")):
        yield from (str(text) for *_, text in reader.extract_translations(file.read_text("utf-8")))
    for table in (KINDS, STATES, UNFIT, CHALLENGES, PAGES):
        yield from table.values()


def fields(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_text_is_in_every_language_and_none_is_there_for_nothing(language: str) -> None:
    known = catalogue(language).texts
    assert set(texts()) == set(known)
    assert all(fields(text) == fields(other) and other for text, other in known.items())


def test_the_scripts_say_only_what_is_there_and_all_of_it() -> None:
    scripts = "".join(file.read_text("utf-8") for file in WEB.glob("static/*.js"))
    said = set(re.findall(r"words\.say\.(\w+)", scripts))
    prefixes = ("sure_", "leaf_", "relay_", "found_", "fact_")
    made = {name for name in PAGES if name.startswith(prefixes)}
    facts = {"leaf", "relay", "alarm", "tamper"}
    pages = "".join(file.read_text("utf-8") for file in WEB.glob("templates/*.html"))
    said |= set(re.findall(r"words\.say\.(\w+)", pages))
    assert said | made | facts == set(PAGES)


def test_whatever_the_service_says_has_words() -> None:
    assert set(KINDS) == {one.value for one in EventType}
    assert set(SHOWN_KINDS) <= set(KINDS)
    assert set(STATES) == set(State)
    assert set(UNFIT) == set(Unfit)
    assert set(CHALLENGES) == {one.value for one in Prompt}


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"), (None, "de-DE,de;q=0.9,en;q=0.8", "de"), (None, "fr,en;q=0.5", "en"),
        (None, "en;q=0.1, de;q=0.9", "de"), ("de", "en", "de"), ("xx", "de", "de"),
        (None, "de;q=x,en", "en"), (None, "x" * 10_000, "en"),
    ],
)  # fmt: skip
def test_the_language_is_what_was_chosen_or_what_the_browser_prefers(
    cookie: str | None, accepted: str, language: str
) -> None:
    assert chosen(cookie, accepted) == language


def test_a_catalogue_may_break_its_lines() -> None:
    text = 'msgid ""\nmsgstr "head"\n\n# why\nmsgid "a "\n"b"\nmsgstr "c "\n"\\"d\\""\n'
    assert read_catalogue(text) == {"a b": 'c "d"'}


def test_pages_are_in_the_language_of_whoever_looks(console: Console) -> None:
    client = console.anybody()
    assert "Anmelden" in client.get("/login", headers={"Accept-Language": "de"}).text
    client.post("/preferences", data={"language": "de", "theme": "dark"})
    page = client.get("/login").text
    assert "Anmelden" in page
    assert 'data-theme="dark"' in page
