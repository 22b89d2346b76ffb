"""Users and tokens: one file, which the console reads and `lockd console` writes.

Of passwords their Argon2id hash is kept, of tokens their SHA-256: 32 random bytes need no more.
A user's `epoch` rises with each change, and sessions of an earlier one are over.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lockd.errors import LockdError, StoreError
from lockd.files import UnreadableError, alone_in, identity, make_folder, read_file, write_over
from lockd.identity.factors import hash_pin, is_pin
from lockd.messages import utc_text
from lockd.remote.roles import Role

FILE = "accounts.json"
LEAST_PASSWORD, LONGEST_PASSWORD = 10, 256
_PREFIX = "lockd_"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_MOST_BYTES = 2**20
_NOBODYS = hash_pin(secrets.token_urlsafe(16))


class AccountError(LockdError, ValueError):
    """A user or a token cannot be made or changed so."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    Attributes:
        name: theirs, in lower case.
        role: what they may.
        password: its hash, a PHC string.
        totp: the secret of their one-time passwords, or None.
        epoch: rises when their sessions are to end.
        created_utc: since when.
    """

    name: str
    role: Role
    password: str = field(repr=False)
    totp: str | None = field(default=None, repr=False)
    epoch: int = 0
    created_utc: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A program that may ask.

    Attributes:
        name: the program's.
        role: what it may.
        hash: of the token, hexadecimal.
        created_utc: since when.
    """

    name: str
    role: Role
    hash: str = field(repr=False)
    created_utc: str = ""


class Accounts:
    """The users and tokens of one console."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet.

        Args:
            folder: of the console's state.
        """
        self._file = folder / FILE
        self._seen: tuple[object, ...] | None = None
        self._users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}

    def users(self) -> Mapping[str, User]:
        """Return everybody, by name, as the file has them now.

        Raises:
            StoreError: if it cannot be read.
        """
        self._look()
        return self._users

    def tokens(self) -> Mapping[str, Token]:
        """Return all tokens, by name.

        Raises:
            StoreError: if they cannot be read.
        """
        self._look()
        return self._tokens

    def checked(self, name: str, password: str) -> User | None:
        """Return whose name and password these are, or None; takes as long either way."""
        user = self.users().get(name)
        good = is_pin(user.password.encode() if user else _NOBODYS, password[:LONGEST_PASSWORD])
        return user if good else None

    def owner_of(self, token: str) -> Token | None:
        """Return whose token it is, or None."""
        wanted = _hashed(token)
        for one in self.tokens().values():
            if hmac.compare_digest(one.hash, wanted):
                return one
        return None

    # Changes

    def add_user(self, name: str, password: str, role: Role) -> None:
        """Let somebody log in.

        Raises:
            AccountError: if they cannot be called that, are there, or the password is weak.
        """
        name, hashed = _clean(name), hash_pin(_good_password(password, name)).decode()
        with self._changing():
            if name in self._users:
                raise AccountError(f"{name}: there is a user of that name; see passwd and remove")
            self._users[name] = User(name, role, hashed, created_utc=_now())

    def change_user(
        self,
        name: str,
        *,
        password: str | None = None,
        role: Role | None = None,
        totp: str | None = None,
    ) -> None:
        """Change somebody, which ends their sessions; with nothing else it only does that.

        Args:
            totp: a new secret; empty for none.

        Raises:
            AccountError: if they are not there, or the password is weak.
        """
        with self._changing():
            user = self._user(name)
            if password is not None:
                hashed = hash_pin(_good_password(password, name)).decode()
                user = replace(user, password=hashed)
            if role is not None:
                user = replace(user, role=role)
            if totp is not None:
                user = replace(user, totp=totp or None)
            self._users[name] = replace(user, epoch=user.epoch + 1)

    def remove_user(self, name: str) -> None:
        """Let somebody log in no more.

        Raises:
            AccountError: if they are not there.
        """
        with self._changing():
            self._user(name)
            del self._users[name]

    def add_token(self, name: str, role: Role) -> str:
        """Make a token and return it: it cannot be had again.

        Raises:
            AccountError: if it cannot be called that, or is there.
        """
        name, token = _clean(name), _PREFIX + secrets.token_urlsafe(32)
        with self._changing():
            if name in self._tokens:
                raise AccountError(f"{name}: there is a token of that name; revoke it first")
            self._tokens[name] = Token(name, role, _hashed(token), _now())
        return token

    def remove_token(self, name: str) -> None:
        """Make a token worthless.

        Raises:
            AccountError: if it is not there.
        """
        with self._changing():
            if self._tokens.pop(name, None) is None:
                raise AccountError(f"{name}: no such token; see `lockd console token list`")

    def _user(self, name: str) -> User:
        if name not in self._users:
            raise AccountError(f"{name}: there is no such user; see `lockd console user list`")
        return self._users[name]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        folder = self._file.parent
        try:
            make_folder(folder)
            with alone_in(folder):
                self._look()
                yield
                content = {
                    "users": [asdict(one) for one in self._users.values()],
                    "tokens": [asdict(one) for one in self._tokens.values()],
                }
                write_over(self._file, json.dumps(content, indent=1).encode())
        except OSError as error:
            self._seen = None
            if isinstance(error, LockdError):
                raise
            raise StoreError(f"{self._file}: {error.strerror or error}") from error
        except AccountError:
            self._seen = None
            raise

    def _look(self) -> None:
        """Read the file if it is another than before."""
        try:
            status = self._file.stat()
            seen = (identity(self._file), status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            self._users, self._tokens, self._seen = {}, {}, None
            return
        except OSError as error:
            raise StoreError(f"{self._file}: {error.strerror}") from error
        if seen == self._seen:
            return
        try:
            content = json.loads(read_file(self._file, _MOST_BYTES))
            users = [User(**{**one, "role": Role(one["role"])}) for one in content["users"]]
            tokens = [Token(**{**one, "role": Role(one["role"])}) for one in content["tokens"]]
        except (UnreadableError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._file}: cannot be read: {error}") from error
        self._users = {one.name: one for one in users}
        self._tokens = {one.name: one for one in tokens}
        self._seen = seen


def _clean(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"{name!r}: a name has 1 to 32 of a to z, 0 to 9, dot, _ and -, and begins with "
            "a letter or digit"
        )
    return name


def _good_password(password: str, name: str) -> str:
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(
            f"a password of {len(password)} characters; use {LEAST_PASSWORD} to {LONGEST_PASSWORD}"
        )
    if len(set(password)) < 4 or name in password.casefold():
        raise AccountError("a password that is soon guessed; use another, of several words say")
    return password


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return utc_text(timespec="seconds")
