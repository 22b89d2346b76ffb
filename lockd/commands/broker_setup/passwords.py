"""Passwords, and mosquitto's file of their hashes.

A line is ``user:$7$iterations$salt$hash``: PBKDF2 with SHA-512, salt and hash in base64, as
`mosquitto_passwd` writes it. It is made here rather than by that program, which wants the
password as an argument (where every user of the machine may read it) or from a terminal.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

# What mosquitto_passwd takes. More would not help: nobody guesses 192 random bits, and the
# broker does this sum at every connection, while everybody else waits.
_ITERATIONS = 101
_SALT_BYTES = 12  # mosquitto 2.0 refuses any other length


def make_password() -> str:
    """Return 192 random bits as text that needs no quotes anywhere."""
    return secrets.token_urlsafe(24)


def hashed(password: str, salt: bytes | None = None, iterations: int = _ITERATIONS) -> str:
    """Return a password as mosquitto keeps it.

    Args:
        salt: 12 bytes; random ones by default.
        iterations: of PBKDF2.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${_text(salt)}${_text(digest)}"


def users_in(text: str) -> set[str]:
    """Return who has a line in a password file."""
    return {line.partition(":")[0] for line in text.splitlines() if ":" in line}


def with_users(text: str, passwords: dict[str, str]) -> str:
    """Return a password file with the users that it did not have; nobody's line changes.

    Args:
        text: of the file as it is, empty for a new one.
        passwords: by user.
    """
    there = users_in(text)
    new = [f"{user}:{hashed(word)}" for user, word in passwords.items() if user not in there]
    return "".join(f"{line}\n" for line in [*text.splitlines(), *new])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
