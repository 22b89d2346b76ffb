r"""One encrypted, authenticated file: what `lockd-enroll export` writes. Pure but for chance.

    b"lockd people\n"  version  log2 N    r      p     salt      nonce     sealed
         13 bytes        u8       u8      u8     u8    16 bytes  12 bytes  AES-256-GCM, tag last

The key is scrypt's (RFC 7914) of the passphrase. The whole header is associated data of the
seal, so that no byte of the file can be altered unnoticed. Sizes are bounded before
anything is computed: a file from a stranger must not cost more memory than our own do.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockd.errors import TransferError

VERSION = 1
MAX_BYTES = 256 << 20
"""The largest file that is written or read."""

LEAST_PASSPHRASE = 10
"""Characters; with scrypt's cost, what an owner can be asked for."""

_MAGIC = b"lockd people\n"
_HEADER = struct.Struct(f">{len(_MAGIC)}sBBBB16s12s")
_TAG = 16
LOG_N = 16


class Cost(NamedTuple):
    """What scrypt's key costs: by default 64 MiB and a fraction of a second."""

    log_n: int
    r: int = 8
    p: int = 1


_MOST = Cost(17, 8, 4)


def seal(content: bytes, passphrase: str) -> bytes:
    """Encrypt.

    Args:
        passphrase: at least `LEAST_PASSPHRASE` characters.

    Raises:
        TransferError: if the passphrase is too short, or the content too large.
    """
    if _HEADER.size + len(content) + _TAG > MAX_BYTES:
        raise TransferError(
            f"{len(content) >> 20} MiB are too much for one file, which holds "
            f"{MAX_BYTES >> 20}; name the people to export"
        )
    cost, salt = Cost(LOG_N), secrets.token_bytes(16)
    header = _HEADER.pack(_MAGIC, VERSION, *cost, salt, secrets.token_bytes(12))
    nonce = header[-12:]
    return header + AESGCM(new_key(passphrase, salt, cost)).encrypt(nonce, content, header)


def unseal(sealed: bytes, passphrase: str, name: str) -> bytes:
    """Decrypt.

    Args:
        passphrase: it was sealed with.
        name: of the file, for the error message.

    Raises:
        TransferError: if it is no such file, of another version, cut short, too large or
            altered, or the passphrase is another.
    """
    if not sealed.startswith(_MAGIC):
        raise TransferError(f"{name}: not a file that `lockd-enroll export` wrote")
    if len(sealed) < _HEADER.size + _TAG:
        raise TransferError(f"{name}: cut short; copy it again")
    if len(sealed) > MAX_BYTES:
        raise TransferError(f"{name}: larger than {MAX_BYTES >> 20} MiB, so no file of ours")
    header = sealed[: _HEADER.size]
    _, version, *cost, salt, nonce = _HEADER.unpack(header)
    if version != VERSION:
        raise TransferError(
            f"{name}: version {version}, this lockd reads version {VERSION}; "
            "export it again with the same lockd on both doors"
        )
    key = key_of(passphrase, salt, Cost(*cost), name)
    try:
        return AESGCM(key).decrypt(nonce, sealed[_HEADER.size :], header)
    except InvalidTag:
        raise TransferError(
            f"{name}: the passphrase is another one, or the file was altered or cut short"
        ) from None


def new_key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """Return the key of a new file.

    Raises:
        TransferError: if the passphrase is too short.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise TransferError(
            f"a passphrase of {len(passphrase)} characters; use at least {LEAST_PASSPHRASE}, "
            "such as five words"
        )
    return key_of(passphrase, salt, cost, "")


def key_of(passphrase: str, salt: bytes, cost: Cost, name: str) -> bytes:
    """Return the key of a file, 32 bytes, by scrypt (RFC 7914).

    Args:
        name: of the file, for the error message.

    Raises:
        TransferError: if the file wants the key to cost more than ours do.
    """
    if not all(1 <= one <= most for one, most in zip(cost, _MOST, strict=True)) or cost.log_n < 10:
        raise TransferError(f"{name}: its key would cost too much to make, so no file of ours")
    n, r, p = 1 << cost.log_n, cost.r, cost.p
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=n, r=r, p=p, dklen=32, maxmem=128 * r * (n + p + 2) + 4096
    )
