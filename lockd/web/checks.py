"""What an administrator has looked at: the machine, the thresholds, whether there is an update."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lockd.web.interface import ToService
from lockd.web.models import Door, Out
from lockd.web.problems import ANSWERS
from lockd.web.reception import Administrator

CHECK_S = 250.0
"""The service ends one a little before."""

router = APIRouter(prefix="/api/v1", responses=ANSWERS, tags=["set-up"])

Check = Literal["doctor", "thresholds", "update"]


class Checked(Out):
    """What a check said, and when; what else there is of it depends on which it is.

    Attributes:
        utc: when.
    """

    model_config = ConfigDict(extra="allow")
    utc: str


class Checks(Out):
    """What each check said last.

    Attributes:
        checks: by name; those that were not made since the service started are not in it.
        update_listed: whether it is configured where releases are listed.
        update_due: whether it is time to look there again, as the configuration has it.
    """

    checks: dict[str, Checked]
    update_listed: bool
    update_due: bool


class WiringTest(BaseModel):
    """The word that the strike is disconnected: the relay switches as for a visitor."""

    model_config = ConfigDict(extra="forbid")
    strike_disconnected: Annotated[bool, Field(strict=True)]


@router.get("/checks")
async def checks(actor: Administrator, link: ToService) -> Checks:
    """What was looked at, and what was found."""
    return Checks(**await link.ask("checks", actor))


@router.post("/checks/{name}")
async def check(name: Check, actor: Administrator, link: ToService) -> Checked:
    """Look now; it takes up to four minutes.

    `doctor` is `lockd doctor`, `thresholds` `lockd calibrate` without names, `update`
    `lockd update --check`.
    """
    answer: dict[str, Any] = await link.ask("check", actor, patience_s=CHECK_S, name=name)
    return Checked(**{key: one for key, one in answer.items() if key != "result"})


@router.post("/wiring-test")
async def wiring_test(word: WiringTest, actor: Administrator, link: ToService) -> Door:
    """Release once with the strike disconnected, to see the relay switch; 409 says why not."""
    answer = await link.ask("wiring", actor, strike_disconnected=word.strike_disconnected)
    return Door(**{name: one for name, one in answer.items() if name not in ("result", "bytes")})
