"""What a feed gives, as server-sent events, for as long as whoever asked is logged in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from lockd.web.hub import Feed
from lockd.web.problems import ProblemError
from lockd.web.reception import Reception, reception_of

KEEP_ALIVE_S = 15.0
"""After so long without anything to tell, a comment says that the line is still there."""


def streamed(feed: Feed, request: Request) -> StreamingResponse:
    """Return a stream of what a feed gives, for as long as whoever asked is logged in."""
    reception: Reception = reception_of(request)

    async def lines() -> AsyncIterator[bytes]:
        listening = feed.listen()
        yield b"retry: 2000\n\n"
        waiting: asyncio.Task[dict[str, Any]] | None = None
        try:
            while not await request.is_disconnected():
                waiting = waiting or asyncio.ensure_future(anext(listening))
                done, _ = await asyncio.wait({waiting}, timeout=KEEP_ALIVE_S)
                reception.actor(request)  # who logged out hears no more
                if not done:
                    yield b": still here\n\n"
                    continue
                item, waiting = waiting.result(), None
                yield b"data: " + json.dumps(item, ensure_ascii=False).encode() + b"\n\n"
        except ProblemError:
            return
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            await listening.aclose()

    return StreamingResponse(lines(), media_type="text/event-stream")
