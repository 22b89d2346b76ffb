"""One-time passwords by the clock: RFC 6238, with SHA-1 and six digits, as every app has them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote

STEP_S = 30
_DIGITS = 6
_SECRET_BYTES = 20


def new_secret() -> str:
    """Return a secret, base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def uri(secret: str, user: str, door: str) -> str:
    """Return what an app is set up with."""
    return f"otpauth://totp/{quote(f'lockd {door}:{user}')}?secret={secret}&issuer=lockd"


def code(secret: str, step: int) -> str:
    """Return the password of one step of 30 seconds since 1970."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    start = mac[-1] & 15
    number = struct.unpack(">I", mac[start : start + 4])[0] & 0x7FFFFFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)


def accepted(secret: str, typed: str, utc_s: float, after: int) -> int | None:
    """Return the step whose password was typed, now or half a minute off; None if it is wrong.

    Args:
        utc_s: seconds since 1970.
        after: the last step that was used: each counts once.
    """
    typed = "".join(one for one in typed if one in "0123456789")
    now = int(utc_s // STEP_S)
    for step in (now, now - 1, now + 1):
        if step > after and hmac.compare_digest(
            code(secret, step), typed.encode("ascii", "replace").decode()
        ):
            return step
    return None
