"""The door's own screen: what it says, and to whom it says anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockd.web.kiosk import sign_of
from tests.web.house import Console, a_house

QUIET = {"lock": "LOCKED", "locked_down": False, "challenge": "none"}


def face(verdict: str | None = None, unfit: str | None = None, px: int = 100) -> dict[str, Any]:
    return {"verdict": verdict, "unfit": unfit, "px": px, "name": "Ada", "similarity": 0.9}


@pytest.mark.parametrize(
    ("seen", "sign"),
    [
        ({"result": "down"}, {"sign": "down"}),
        ({"result": "ok", "state": {**QUIET, "lock": "JAMMED"}}, {"sign": "fault"}),
        ({"result": "ok", "state": {**QUIET, "locked_down": True}}, {"sign": "closed"}),
        ({"result": "ok", "state": {**QUIET, "challenge": "left"}},
         {"sign": "challenge", "what": "left"}),
        ({"result": "ok", "state": QUIET, "faces": []}, {"sign": "idle"}),
        ({"result": "no_picture", "state": QUIET}, {"sign": "blind"}),
        ({"result": "ok", "state": QUIET, "faces": [face(unfit="too_small", px=20), face()]},
         {"sign": "looking"}),
        ({"result": "ok", "state": QUIET, "faces": [face(unfit="too_dark")]},
         {"sign": "hint", "what": "too_dark"}),
        ({"result": "ok", "state": QUIET, "faces": [face("stranger")]}, {"sign": "unknown"}),
        ({"result": "ok", "state": QUIET, "faces": [face("recognised")]}, {"sign": "idle"}),
    ],
)  # fmt: skip
def test_it_says_what_to_do_and_never_who_is_seen(
    seen: dict[str, Any], sign: dict[str, Any]
) -> None:
    assert sign_of(seen) == sign


def test_it_is_there_only_where_the_owner_wants_it(console: Console) -> None:
    assert console.anybody().get("/kiosk").status_code == 404


def test_it_is_for_this_machine_and_not_behind_somebody_elses_server(tmp_path: Path) -> None:
    with a_house(tmp_path, kiosk=True) as (_, console):
        client = console.anybody()
        assert client.get("/kiosk").status_code == 200
        forwarded = {"X-Forwarded-For": "192.0.2.4"}
        for path in ("/kiosk", "/kiosk/signs"):
            assert client.get(path, headers=forwarded).status_code == 403
