"""Who is logged in: in memory only, so that a restart logs everybody out."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from lockd.web.accounts import User

_MOST = 200
_MOST_EACH = 20


@dataclass(slots=True)
class Session:
    """One browser of somebody logged in.

    Attributes:
        user: who.
        csrf: what each change must bring along.
        epoch: of the user's, when they logged in.
        began: monotonic seconds.
        seen: when they last asked.
        address: from where they logged in.
    """

    user: str
    csrf: str
    epoch: int
    began: float
    seen: float
    address: str


class Sessions:
    """The sessions of one console, by the hash of what the cookie has."""

    def __init__(self, idle_s: float, longest_s: float) -> None:
        """Begin with none.

        Args:
            idle_s: a session ends after so long without a request.
            longest_s: and after so long in any case.
        """
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._sessions: dict[bytes, Session] = {}

    def begin(self, user: User, address: str, now: float) -> str:
        """Begin one and return what the cookie is to have: always new, whatever came before."""
        self._clean(now)
        own = sorted(
            (one.seen, key) for key, one in self._sessions.items() if one.user == user.name
        )
        for _, key in own[: max(0, len(own) - _MOST_EACH + 1)]:
            del self._sessions[key]
        if len(self._sessions) >= _MOST:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
        cookie = secrets.token_urlsafe(32)
        session = Session(user.name, secrets.token_urlsafe(32), user.epoch, now, now, address)
        self._sessions[_key(cookie)] = session
        return cookie

    def find(self, cookie: str, user: User | None, now: float) -> Session | None:
        """Return the session of a cookie, if it is not over.

        Args:
            user: whoever it would be, as they are now; None if they are gone.
        """
        session = self.peek(cookie)
        if session is None:
            return None
        over = now - session.seen > self._idle_s or now - session.began > self._longest_s
        if over or user is None or user.epoch != session.epoch or user.name != session.user:
            self._sessions.pop(_key(cookie), None)
            return None
        session.seen = now
        return session

    def peek(self, cookie: str) -> Session | None:
        """Return the session of a cookie, over or not."""
        return self._sessions.get(_key(cookie))

    def end(self, cookie: str) -> None:
        """End one."""
        self._sessions.pop(_key(cookie), None)

    def count(self, user: str) -> int:
        """Return how many somebody has."""
        return sum(one.user == user for one in self._sessions.values())

    def _clean(self, now: float) -> None:
        self._sessions = {
            key: one
            for key, one in self._sessions.items()
            if now - one.seen <= self._idle_s and now - one.began <= self._longest_s
        }


def same(one: str, other: str) -> bool:
    """Return whether two secrets are the same, in a time that does not tell."""
    return hmac.compare_digest(one.encode(), other.encode())


def _key(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
