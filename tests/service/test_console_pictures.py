"""Photographs of the console's are judged by a child process, whatever is wrong with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lockd.adapters.store import opened
from lockd.config import Settings, parse
from lockd.service.console_pictures import PictureDesk
from tests.bombs import jpeg, png, webp
from tests.conftest import PHOTOS

ADA = PHOTOS / "eileen-collins.jpg"
BY = "ada@192.0.2.4 (console)"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("store")
    return parse(f"store: {{folder: {folder}}}\nrecognition: {{profile: light, threads: 1}}\n")


@pytest.fixture(scope="module")
def desk(settings: Settings) -> Iterator[PictureDesk]:
    made = PictureDesk(settings)
    yield made
    made.close()


def ask(desk: PictureDesk, command: str, *pictures: bytes, **values: Any) -> dict[str, Any]:
    values = {"sizes": [len(one) for one in pictures], **values}
    answer, body = desk.ask(command, values, b"".join(pictures), BY)
    return dict(json.loads(body)) if answer.get("json") else answer


def test_somebody_is_judged_then_enrolled_and_recognised(
    desk: PictureDesk, settings: Settings
) -> None:
    photo = ADA.read_bytes()
    judged = ask(desk, "judge", photo, b"rubbish", name="Eileen Collins")
    assert [one["accepted"] for one in judged["pictures"]] == [True, False]
    assert judged["pictures"][1]["reason"] == "unreadable"
    assert judged["pictures"][0]["face"]
    assert (judged["known"], judged["templates"]) == (False, 0)

    told = ask(desk, "enrol", photo, name="Eileen Collins", new=True, consent_by="ada",
               consent_utc="2026-11-29")  # fmt: skip
    assert (told["accepted"], told["templates"]) == (1, 1)
    with opened(settings.store) as store:
        assert store.people.named("Eileen Collins").details.consent_utc == "2026-11-29"
        assert [one.by for one in store.audit.latest()] == [BY]

    seen = ask(desk, "recognise", photo)
    assert [one["person"] for one in seen["faces"]] == ["Eileen Collins"]
    stranger = ask(desk, "recognise", (PHOTOS / "barack-obama.jpg").read_bytes())
    assert [one["person"] for one in stranger["faces"]] == ["stranger"]

    again = ask(desk, "enrol", photo, name="eileen collins", new=True)
    assert again["result"] == "refused"
    other = ask(desk, "judge", photo, name="Somebody Else")
    assert [one["reason"] for one in other["pictures"]] == ["too_like_somebody_else"]


@pytest.mark.parametrize(
    "picture",
    [b"", b"\x00" * 1000, b"GIF89a", b"\xff\xd8\xff", b"<svg/>",
     png(60_000, 60_000), jpeg(60_000, 60_000), webp(16_000, 16_000),
     b"%PDF-1.7", ADA.read_bytes()[:2000]],
)  # fmt: skip
@pytest.mark.parametrize("command", ["recognise", "judge", "enrol"])
def test_what_is_no_photograph_is_refused_and_the_next_one_is_judged(
    desk: PictureDesk, command: str, picture: bytes
) -> None:
    answer = ask(desk, command, picture, name="Nobody")
    if command == "recognise":
        assert answer["result"] == "refused"
        assert answer["code"] == "unreadable"
    else:
        assert [one["accepted"] for one in answer["pictures"]] == [False]
        assert answer["id"] is None
    assert ask(desk, "recognise", ADA.read_bytes())["faces"]


@pytest.mark.parametrize(
    "values",
    [{"sizes": [-1]}, {"sizes": [True]}, {"sizes": ["1"]}, {"sizes": None}, {"sizes": [5]},
     {"sizes": [1] * 21}, {"sizes": [2**40]}, {"sizes": []}, {"name": "\x1b[2J"}, {"name": ""}],
)  # fmt: skip
def test_a_request_that_is_none_is_refused_in_words(
    desk: PictureDesk, values: dict[str, Any]
) -> None:
    answer, body = desk.ask("enrol", {"name": "Nobody", "sizes": [3], **values}, b"abc", BY)
    told = json.loads(body) if body else answer
    assert told["result"] in ("malformed", "refused")


def test_a_child_that_dies_costs_one_answer(settings: Settings) -> None:
    dying = PictureDesk(settings, (sys.executable, "-c", "raise SystemExit(3)"))
    assert ask(dying, "recognise", b"x")["result"] == "failed"
    assert ask(dying, "recognise", b"x")["result"] == "failed"
    dying.close()


def test_who_closed_it_asks_in_vain(settings: Settings) -> None:
    closed = PictureDesk(settings)
    closed.close()
    assert ask(closed, "recognise", b"x")["result"] == "failed"
