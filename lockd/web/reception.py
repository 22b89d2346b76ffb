"""Says who asks: by a session's cookie or a program's token; logs people in and out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Response

from lockd.remote.roles import Role
from lockd.web import totp
from lockd.web.accounts import Accounts, User
from lockd.web.guards import SAFE
from lockd.web.guesses import Guesses
from lockd.web.link import Actor, Link, LinkError
from lockd.web.problems import ProblemError
from lockd.web.sessions import Session, Sessions, same

CSRF_HEADER = "x-csrf-token"
_LONGEST = 256


class Reception:
    """Knows who is who.

    Attributes:
        accounts: users and tokens.
        sessions: who is logged in.
    """

    def __init__(
        self, accounts: Accounts, sessions: Sessions, link: Link, *, encrypted: bool
    ) -> None:
        """Let in those of the accounts.

        Args:
            encrypted: whether browsers may be told to send cookies encrypted only.
        """
        self.accounts = accounts
        self.sessions = sessions
        self._link = link
        self._encrypted = encrypted
        self.cookie = "__Host-lockd" if encrypted else "lockd_session"
        self._guesses = Guesses()
        self._steps: dict[str, int] = {}
        self._one_at_a_time = asyncio.Semaphore(1)

    # Who asks

    def session(self, request: Request) -> tuple[Session, User] | None:
        """Return the session of a browser, and whose it is; None if nobody is logged in."""
        cookie = request.cookies.get(self.cookie, "")[:_LONGEST]
        begun = self.sessions.peek(cookie) if cookie else None
        user = self.accounts.users().get(begun.user) if begun else None
        found = self.sessions.find(cookie, user, time.monotonic()) if begun else None
        return None if found is None or user is None else (found, user)

    def actor(self, request: Request) -> Actor:
        """Return who asks.

        Raises:
            ProblemError: if nobody is logged in, or a change may be somebody else's wish.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        address = address_of(request)
        if kind.casefold() == "bearer":
            owner = self.accounts.owner_of(token.strip()[:_LONGEST])
            if owner is None:
                raise ProblemError(
                    401, "bad_token", "no such token", {"WWW-Authenticate": "Bearer"}
                )
            return Actor(owner.name, owner.role, address)
        found = self.session(request)
        if found is None:
            raise ProblemError(401, "no_session", "log in first", {"WWW-Authenticate": "Bearer"})
        session, user = found
        sent = request.headers.get(CSRF_HEADER, "")
        if request.method not in SAFE and not same(sent, session.csrf):
            raise ProblemError(403, "csrf", "the page is out of date; load it again")
        return Actor(user.name, user.role, address)

    # Logging in and out

    async def log_in(
        self, request: Request, response: Response, name: str, password: str, code: str
    ) -> str | None:
        """Log somebody in; return why not, in a word, if that cannot be.

        Args:
            response: gets the cookie.
            code: a one-time password, for whoever has set that up.

        Raises:
            ProblemError: if there were too many wrong tries just now.
        """
        name, address = name.strip().casefold()[:_LONGEST], address_of(request)
        await self._hold_up(name, address)
        async with self._one_at_a_time:  # each takes 19 MiB; who guesses waits
            await self._hold_up(name, address)
            user = await asyncio.to_thread(self.accounts.checked, name, password)
            step = self._step(user, code) if user is not None else None
            good = user is not None and (user.totp is None or step is not None)
            if not good:
                self._guesses.wrong(name, address, time.monotonic())
        known = name if name in self.accounts.users() else "unknown"
        if not good or user is None:
            await self._tell(Actor(known, Role.VIEWER, address), "login refused")
            return "wrong"
        self._guesses.right(name)
        if step is not None:
            self._steps[name] = step
        self.sessions.end(request.cookies.get(self.cookie, "")[:_LONGEST])
        cookie = self.sessions.begin(user, address, time.monotonic())
        response.set_cookie(
            *(self.cookie, cookie), path="/", secure=self._encrypted, httponly=True,
            samesite="strict",
        )  # fmt: skip
        await self._tell(Actor(name, user.role, address), "logged in")
        return None

    async def log_out(self, request: Request, response: Response, actor: Actor) -> None:
        """End this session."""
        self.sessions.end(request.cookies.get(self.cookie, "")[:_LONGEST])
        response.delete_cookie(self.cookie, path="/", secure=self._encrypted, httponly=True)
        await self._tell(actor, "logged out")

    async def log_out_everywhere(self, actor: Actor) -> None:
        """End all sessions of somebody."""
        await asyncio.to_thread(self.accounts.change_user, actor.name)
        await self._tell(actor, "logged out everywhere")

    async def change_password(self, actor: Actor, old: str, new: str) -> bool:
        """Give somebody another password, which ends their sessions; return whether.

        Raises:
            AccountError: if the new one is weak.
            ProblemError: if there were too many wrong tries just now.
        """
        await self._hold_up(actor.name, actor.address)
        async with self._one_at_a_time:
            if await asyncio.to_thread(self.accounts.checked, actor.name, old) is None:
                self._guesses.wrong(actor.name, actor.address, time.monotonic())
                return False
            await asyncio.to_thread(self.accounts.change_user, actor.name, password=new)
        await self._tell(actor, "changed their password")
        return True

    async def _hold_up(self, name: str, address: str) -> None:
        wait_s = self._guesses.wait_s(name, address, time.monotonic())
        if wait_s > 0:
            raise ProblemError(
                *(429, "too_often", f"too many wrong tries; wait {wait_s:.0f} s"),
                {"Retry-After": str(int(wait_s) + 1)},
            )

    def _step(self, user: User, code: str) -> int | None:
        if user.totp is None:
            return None
        return totp.accepted(user.totp, code, time.time(), self._steps.get(user.name, -1))

    async def _tell(self, actor: Actor, what: str) -> None:
        """Have it written into the service's audit trail, if the service is there."""
        with contextlib.suppress(LinkError):
            await self._link.ask("note", actor, what=what)


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client else "unknown"


def reception_of(request: Request) -> Reception:
    """Return the reception of the application that serves a request."""
    found: Reception = request.app.state.reception
    return found


def needs(role: Role) -> Callable[..., Actor]:
    """Return a dependency that gives who asks, if they may what a role may.

    The service looks once more; this only says it sooner.
    """

    def look(request: Request) -> Actor:
        actor = reception_of(request).actor(request)
        if not actor.role.may_act_as(role):
            raise ProblemError(403, "not_allowed", f"needs the role {role.value}")
        return actor

    return look


Viewer = Annotated[Actor, Depends(needs(Role.VIEWER))]
Porter = Annotated[Actor, Depends(needs(Role.PORTER))]
Administrator = Annotated[Actor, Depends(needs(Role.ADMINISTRATOR))]
