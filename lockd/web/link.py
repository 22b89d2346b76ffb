"""Asks the service, over the console's socket, in the name of whoever is logged in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockd.remote.roles import Role

ANSWER_S = 8.0
LONG_ANSWER_S = 75.0
"""For photographs, whose networks may have to be loaded."""
_LONGEST_LINE = 2**16
_LONGEST_BODY = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Actor:
    """In whose name something is asked.

    Attributes:
        name: of the user or the token.
        role: what they may.
        address: where they are.
    """

    name: str
    role: Role
    address: str

    def as_dict(self) -> dict[str, str]:
        """Return it as requests have it."""
        return {"name": self.name, "role": self.role.value, "address": self.address}


class LinkError(Exception):
    """The service did not do it.

    Attributes:
        result: why, in a word: `down` if it does not answer, else what it said.
        reason: why, for people.
        code: of a photograph, what is wrong with it, in a word; or None.
    """

    def __init__(self, result: str, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason
        self.code = code


class Link:
    """One service."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(
        self,
        command: str,
        actor: Actor | None,
        *,
        pictures: Sequence[bytes] = (),
        patience_s: float = ANSWER_S,
        **values: Any,
    ) -> dict[str, Any]:
        """Ask for something that is answered in words.

        Args:
            pictures: photographs to send along.
            values: the request's others.

        Raises:
            LinkError: if it is not done.
        """
        answer, body = await self.ask_both(
            command, actor, pictures=pictures, patience_s=patience_s, **values
        )
        return json.loads(body) if answer.get("json") else answer

    async def ask_both(
        self,
        command: str,
        actor: Actor | None,
        *,
        pictures: Sequence[bytes] = (),
        patience_s: float = ANSWER_S,
        **values: Any,
    ) -> tuple[dict[str, Any], bytes]:
        """Ask for something that is answered in words and bytes.

        Raises:
            LinkError: if it is not done.
        """
        request: dict[str, Any] = {"command": command, **values}
        if actor is not None:
            request["as"] = actor.as_dict()
        if pictures:
            request |= {"sizes": [len(one) for one in pictures], "bytes": sum(map(len, pictures))}
        try:
            async with asyncio.timeout(patience_s):
                answer, body = await self._converse(request, pictures)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise LinkError("down", "the service does not answer; does lockd run?") from error
        if answer.get("result") not in ("ok", "no_news", "no_picture"):
            result = str(answer.get("result"))
            code = answer.get("code")
            raise LinkError(result, str(answer.get("reason") or result), code)
        return answer, body

    async def _converse(
        self, request: dict[str, Any], pictures: Sequence[bytes]
    ) -> tuple[dict[str, Any], bytes]:
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=_LONGEST_LINE)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            for one in pictures:
                writer.write(one)
                await writer.drain()
            await writer.drain()
            answer = dict(json.loads(await reader.readline()))
            size = answer.get("bytes", 0)
            if not isinstance(size, int) or not 0 <= size <= _LONGEST_BODY:
                raise ValueError(f"an answer of {size} bytes")
            return answer, await reader.readexactly(size)
        finally:
            writer.close()
