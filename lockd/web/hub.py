"""One watcher of the service for all browsers that look; none where nobody does."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from lockd.remote.roles import Role
from lockd.web.link import Actor, Link, LinkError

log = logging.getLogger(__name__)

PERIOD_S = 0.12
"""From one live picture to the next."""
_RETRY_S = 1.0
_QUEUED = 100

Item = dict[str, Any]
Items = AsyncGenerator[Item, None]


class Feed:
    """Gives what a source makes to everybody who listens, while anybody does."""

    def __init__(self, source: Callable[[], Items], *, newest_only: bool) -> None:
        """Wait for somebody.

        Args:
            source: begins to make.
            newest_only: whether who is slow misses what was before the newest.
        """
        self._source = source
        self._size = 1 if newest_only else _QUEUED
        self._listeners: set[asyncio.Queue[Item]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def listen(self) -> Items:
        """Give what comes from now on."""
        queue: asyncio.Queue[Item] = asyncio.Queue(self._size)
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _work(self) -> None:
        async for item in self._source():
            for queue in list(self._listeners):
                if queue.full():
                    with suppress(asyncio.QueueEmpty):
                        queue.get_nowait()
                queue.put_nowait(item)


class Hub:
    """All feeds of one console: for each role, as the service shows each what it may see."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._feeds: dict[tuple[str, Role], Feed] = {}

    def live(self, role: Role) -> Feed:
        """Return the picture with who is in it."""
        return self._feed("live", role, lambda: self._live(role, picture=True), newest_only=True)

    def signs(self) -> Feed:
        """Return what is seen, without any picture, as the least of viewers may."""
        role = Role.VIEWER
        return self._feed("signs", role, lambda: self._live(role, picture=False), newest_only=True)

    def news(self, role: Role) -> Feed:
        """Return events as they happen."""
        return self._feed("news", role, lambda: self._news(role), newest_only=False)

    def viewers(self) -> int:
        """Return how many look at anything."""
        return sum(feed.listeners for feed in self._feeds.values())

    def _feed(
        self,
        kind: str,
        role: Role,
        source: Callable[[], Items],
        *,
        newest_only: bool,
    ) -> Feed:
        if (kind, role) not in self._feeds:
            self._feeds[kind, role] = Feed(source, newest_only=newest_only)
        return self._feeds[kind, role]

    async def _live(self, role: Role, *, picture: bool) -> Items:
        after: int | None = None
        state: Item | None = None
        while True:
            answer, content = await _patiently(
                lambda after=after: self._link.ask_both(  # type: ignore[misc]
                    "live", _itself(role), after=after, picture=picture
                )
            )
            if answer["result"] == "ok":
                after = answer.pop("seq")
                if picture:
                    answer["picture"] = base64.b64encode(content).decode()
                state = answer.get("state", state)
                yield answer
            elif answer.get("state") != state or answer["result"] in ("down", "no_picture"):
                state = answer.get("state")
                yield answer
            await asyncio.sleep(PERIOD_S if answer["result"] != "down" else _RETRY_S)

    async def _news(self, role: Role) -> Items:
        last = -1
        while True:
            try:
                answer = await self._link.ask("news", _itself(role), after=last, patience_s=20.0)
            except LinkError:
                await asyncio.sleep(_RETRY_S)
                continue
            begun, last = last < 0, int(answer["last"])
            for event in () if begun else answer["events"]:
                yield event


async def _patiently(
    ask: Callable[[], Awaitable[tuple[Item, bytes]]],
) -> tuple[Item, bytes]:
    try:
        return await ask()
    except LinkError as error:
        return {"result": "down", "reason": error.reason}, b""


def _itself(role: Role) -> Actor:
    """The console, which asks once for all of a role."""
    return Actor("console", role, "127.0.0.1")
