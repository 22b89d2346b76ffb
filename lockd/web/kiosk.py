"""A screen for whoever stands before the door: what to do, and never what the camera sees.

It is for browsers on this machine alone, for it asks nobody who they are. Only whoever was let
in is called by name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from lockd.remote.roles import Role
from lockd.web.hub import Hub
from lockd.web.interface import Watched
from lockd.web.pages import show
from lockd.web.problems import ProblemError
from lockd.web.reception import address_of

router = APIRouter(include_in_schema=False)

_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
_WELCOME_S = 5.0
_TOLD = {
    "access_granted": "welcome", "access_denied": "refused", "spoof_suspected": "refused",
    "factor_refused": "refused", "exit_requested": "open",
}  # fmt: skip


def _only_here(request: Request) -> None:
    if address_of(request) not in _LOOPBACK or "x-forwarded-for" in request.headers:
        raise ProblemError(403, "not_here", "the door's screen is for this machine only")


@router.get("/kiosk")
async def kiosk_page(request: Request) -> Response:
    """The screen."""
    _only_here(request)
    return show(request, "kiosk.html")


@router.get("/kiosk/signs")
async def signs(request: Request, hub: Watched) -> StreamingResponse:
    """What the screen is to show."""
    _only_here(request)
    return StreamingResponse(_signs(hub), media_type="text/event-stream")


async def _signs(hub: Hub) -> AsyncIterator[bytes]:
    """One sign after the other, whenever it is another one."""
    loop = asyncio.get_running_loop()
    shown: dict[str, Any] = {}
    told: dict[str, Any] | None = None
    until = 0.0
    async with aclosing(_both(hub)) as items:
        async for kind, item in items:
            if kind == "news" and item.get("type") in _TOLD:
                told = {"sign": _TOLD[item["type"]], "name": item.get("person")}
                if told["sign"] != "welcome":
                    told["name"] = None
                until = loop.time() + _WELCOME_S
            sign = told if told and loop.time() < until else None
            if sign is None and kind == "live":
                sign = sign_of(item)
            if sign is not None and sign != shown:
                shown = sign
                yield b"data: " + json.dumps(sign, ensure_ascii=False).encode() + b"\n\n"


def sign_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return what to show of what is seen, in words of which none says who anybody is."""
    state = item.get("state") or {}
    if item["result"] == "down":
        return {"sign": "down"}
    if state.get("lock") == "JAMMED":
        return {"sign": "fault"}
    if state.get("locked_down"):
        return {"sign": "closed"}
    if state.get("challenge", "none") != "none":
        return {"sign": "challenge", "what": state["challenge"]}
    if item["result"] == "no_picture":
        return {"sign": "blind"}
    faces = item.get("faces") or []
    if not faces:
        return {"sign": "idle"}
    largest = max(faces, key=lambda face: face["px"])
    if largest["verdict"] == "recognised":  # what became of them was told
        return {"sign": "idle"}
    if largest["verdict"] is None and largest["unfit"]:
        return {"sign": "hint", "what": largest["unfit"]}
    if largest["verdict"] == "stranger":
        return {"sign": "unknown"}
    return {"sign": "looking"}


async def _both(hub: Hub) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
    """What is seen and what happens, one after the other."""
    queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(32)

    async def carry(kind: str, items: AsyncIterator[dict[str, Any]]) -> None:
        async for item in items:
            await queue.put((kind, item))

    tasks = [
        asyncio.create_task(carry("live", hub.signs().listen())),
        asyncio.create_task(carry("news", hub.news(Role.VIEWER).listen())),
    ]
    try:
        while True:
            yield await queue.get()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
