"""What is looked at before any request is served, and what every answer says to browsers.

Nothing of it needs to know who is logged in: for whom a request may be meant (a page of
somebody else's whose name was made to lead here asks under another name), whether it comes
from a page of ours, and how much it may bring along.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from lockd.web.problems import problem_response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 40 * 2**20
"""Of what brings photographs."""
MOST_OTHERWISE = 64 * 2**10
LARGE = re.compile(r"/api/v1/(people|people/[^/]+/templates|recognise)")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})

_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:",
        "connect-src 'self'", "media-src 'self' blob:", "manifest-src 'self'", "form-action 'self'",
        "frame-ancestors 'none'", "base-uri 'none'",
    )
)  # fmt: skip
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With no-referrer browsers send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def names_of(host: str, further: Iterable[str]) -> frozenset[str]:
    """Return the names that browsers may ask for, in lower case.

    Args:
        host: where the console listens; everywhere it is asked for by any of its addresses, which
            no page can make another name lead to.
        further: as the owner set them.
    """
    own = {"localhost", "127.0.0.1", "::1", host, *further}
    name = socket.gethostname().partition(".")[0]
    own |= {name, f"{name}.local", f"{name}.lan", f"{name}.home"}
    return frozenset(one.casefold().rstrip(".") for one in own if one)


class Guards:
    """Stands before the application."""

    def __init__(
        self, app: Asgi, names: frozenset[str], *, encrypted: bool, anywhere: bool
    ) -> None:
        """Guard it.

        Args:
            names: by which it may be asked for.
            encrypted: whether it speaks TLS.
            anywhere: whether it listens at all addresses, and any address is a name of it.
        """
        self._app = app
        self._names = names
        self._encrypted = encrypted
        self._anywhere = anywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        send = self._guarded(send, scope["path"])
        refused = self._refusal(scope, headers)
        if refused is not None:
            await problem_response(*refused)(scope, receive, send)
            return
        most = MOST_BYTES if LARGE.fullmatch(scope["path"]) else MOST_OTHERWISE
        if int(headers.get(b"content-length", b"0") or 0) > most:
            await problem_response(413, "too_large", f"more than {most >> 10} KiB")(
                scope, receive, send
            )
            return
        await self._app(scope, _bounded(receive, most), send)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if not self._is_ours(host):
            return 421, "unknown_host", "that is no name of this console; see console.names"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return 400, "malformed", "Content-Length is no number"
        if scope["method"] in SAFE:
            return None
        site = headers.get(b"sec-fetch-site", b"same-origin").decode("latin-1")
        origin = headers.get(b"origin")
        scheme = "https" if self._encrypted else "http"
        ours = f"{scheme}://{host}".casefold().encode("latin-1")
        if site not in _OURS or (origin is not None and origin.lower() != ours):
            return 403, "cross_origin", "asked by a page of another origin"
        return None

    def _is_ours(self, host: str) -> bool:
        found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", host)
        if found is None:
            return False
        name = found[1].strip("[]").casefold().rstrip(".")
        return name in self._names or (self._anywhere and _is_address(name))

    def _guarded(self, send: Send, path: str) -> Send:
        static = path.startswith("/static/")

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                told = dict(_HEADERS)
                told["cache-control"] = "max-age=3600" if static else "no-store"
                if self._encrypted:
                    told["strict-transport-security"] = "max-age=31536000"
                kept = [pair for pair in message["headers"] if pair[0].decode() not in told]
                message["headers"] = kept + [(k.encode(), v.encode()) for k, v in told.items()]
            await send(message)

        return guarded


def _is_address(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except OSError:
            continue
        return True
    return False


def _bounded(receive: Receive, most: int) -> Receive:
    """What comes in pieces, of which nobody said how much it is, ends at the same bound."""
    taken = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            return {"type": "http.disconnect"}
        return message

    return bounded
