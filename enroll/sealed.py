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
LOG_N, _R, _P = 16, 8, 1  # 64 MiB and a fraction of a second
_MOST_LOG_N, _MOST_R, _MOST_P = 17, 8, 4


def seal(content: bytes, passphrase: str) -> bytes:
    """Encrypt.

    Args:
        passphrase: at least `LEAST_PASSPHRASE` characters.

    Raises:
        TransferError: if the passphrase is too short, or the content too large.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise TransferError(
            f"a passphrase of {len(passphrase)} characters; use at least {LEAST_PASSPHRASE}, "
            "such as five words"
        )
    if _HEADER.size + len(content) + _TAG > MAX_BYTES:
        raise TransferError(
            f"{len(content) >> 20} MiB are too much for one file, which holds "
            f"{MAX_BYTES >> 20}; name the people to export"
        )
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    header = _HEADER.pack(_MAGIC, VERSION, LOG_N, _R, _P, salt, nonce)
    key = _key(passphrase, salt, LOG_N, _R, _P)
    return header + AESGCM(key).encrypt(nonce, content, header)


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
    _, version, log_n, r, p, salt, nonce = _HEADER.unpack(header)
    if version != VERSION:
        raise TransferError(
            f"{name}: version {version}, this lockd reads version {VERSION}; "
            "export it again with the same lockd on both doors"
        )
    if not (10 <= log_n <= _MOST_LOG_N and 1 <= r <= _MOST_R and 1 <= p <= _MOST_P):
        raise TransferError(f"{name}: its key would cost too much to make, so no file of ours")
    try:
        return AESGCM(_key(passphrase, salt, log_n, r, p)).decrypt(
            nonce, sealed[_HEADER.size :], header
        )
    except InvalidTag:
        raise TransferError(
            f"{name}: the passphrase is another one, or the file was altered or cut short"
        ) from None


def _key(passphrase: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    n = 1 << log_n
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=n, r=r, p=p, dklen=32, maxmem=128 * r * (n + p + 2) + 4096
    )
