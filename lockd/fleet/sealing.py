"""Bytes that only the fleet can read, and that only one administrator can have written.

What is said is signed (Ed25519, RFC 8032), then sealed (AES-256-GCM, NIST SP 800-38D) under the
fleet's key, so that a broker sees neither what is said nor who says it. Both are bound to the
fleet and to the topic: a message that somebody copies to another topic opens nowhere.

    sealed:  version (1 byte), number of the key (4), nonce (12), what was encrypted, tag (16)
    signed:  kind (1 byte), signature (64), length of the head (4), head (JSON), data

What is for one door alone is boxed: sealed under what an X25519 exchange (RFC 7748) with its key
gives, by HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LONGEST_MESSAGE = 1 << 18
"""Bytes; twenty templates of three compositions of networks are shorter."""
LONGEST_HEAD = 1 << 15
KEY_BYTES = 32
_VERSION = 1
_NONCE, _TAG, _SIGNATURE, _PUBLIC = 12, 16, 64, 32
_BEFORE = 5
_LABEL = "lockd fleet 1"


class Kind(IntEnum):
    """What a message is; none can pass for another."""

    PERSON = 1
    TOMBSTONE = 2
    GONE = 3
    HEAD = 4
    CHARTER = 5
    REPORT = 6
    CERTIFICATE = 7
    KEY = 8
    PACKAGE = 9


class Refused(ValueError):  # noqa: N818  # it is what it says
    """A message that is not taken; `reason` says why in one stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Signed:
    """What was said, its signature not yet looked at.

    Attributes:
        kind: what it is.
        head: a JSON object.
        data: what follows it.
        plain: all of it, as it is sealed.
    """

    kind: Kind
    head: Mapping[str, Any]
    data: bytes = field(repr=False)
    plain: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """What names exactly this: SHA-256, hexadecimal."""
        return hashlib.sha256(self.plain).hexdigest()

    def verify(self, public: bytes, fleet: str, topic: str) -> None:
        """Make sure who said it, in which fleet and where.

        Raises:
            Refused: `signature`.
        """
        signature, said = self.plain[1 : 1 + _SIGNATURE], self.plain[1 + _SIGNATURE :]
        try:
            key = Ed25519PublicKey.from_public_bytes(public)
            key.verify(signature, _to_sign(self.kind, fleet, topic, said))
        except (InvalidSignature, ValueError):
            raise Refused("signature") from None


def sign(
    key: bytes, kind: Kind, fleet: str, topic: str, head: Mapping[str, Any], data: bytes = b""
) -> bytes:
    """Return what is said with its signature, as `parse` reads it.

    Args:
        key: Ed25519, private, 32 bytes.
        topic: below the fleet's.
    """
    text = json.dumps(dict(head), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    encoded = text.encode()
    said = len(encoded).to_bytes(4) + encoded + data
    signer = Ed25519PrivateKey.from_private_bytes(key)
    return bytes([kind]) + signer.sign(_to_sign(kind, fleet, topic, said)) + said


def parse(plain: bytes, *kinds: Kind) -> Signed:
    """Read what `sign` wrote; its signature is not looked at.

    Raises:
        Refused: `too_large`, `kind` or `malformed`.
    """
    if len(plain) > LONGEST_MESSAGE:
        raise Refused("too_large")
    start = 1 + _SIGNATURE + 4
    length = int.from_bytes(plain[start - 4 : start])
    # A charter is all head, and must have room for whoever is thrown out.
    longest = LONGEST_MESSAGE if plain[:1] == bytes([Kind.CHARTER]) else LONGEST_HEAD
    if len(plain) < start + length or length > longest:
        raise Refused("malformed")
    if plain[0] not in kinds:
        raise Refused("kind")
    try:
        head = json.loads(plain[start : start + length])
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    if not isinstance(head, dict):
        raise Refused("malformed")
    return Signed(Kind(plain[0]), head, plain[start + length :], plain)


class Seal:
    """The fleet's keys, by their numbers; the latest seals."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        self._ciphers = {number: AESGCM(key) for number, key in keys.items()}
        self.current = max(self._ciphers, default=0)

    def seal(self, plain: bytes, fleet: str, topic: str) -> bytes:
        """Encrypt, and bind to fleet and topic.

        A random nonce of 96 bits may be drawn 2**32 times with one key (SP 800-38D, 8.3).
        """
        start = bytes([_VERSION]) + self.current.to_bytes(4)
        nonce = secrets.token_bytes(_NONCE)
        bound = _bound(start, fleet, topic)
        return start + nonce + self._ciphers[self.current].encrypt(nonce, plain, bound)

    def open(self, message: bytes, fleet: str, topic: str) -> bytes:
        """Decrypt what was sealed for exactly this fleet and topic.

        Raises:
            Refused: `too_large`, `malformed`, `unknown_key`, or `seal` if it was altered or moved.
        """
        if len(message) > LONGEST_MESSAGE:
            raise Refused("too_large")
        if len(message) < _BEFORE + _NONCE + _TAG or message[0] != _VERSION:
            raise Refused("malformed")
        start, nonce = message[:_BEFORE], message[_BEFORE : _BEFORE + _NONCE]
        cipher = self._ciphers.get(number_of(message))
        if cipher is None:
            raise Refused("unknown_key")
        try:
            bound = _bound(start, fleet, topic)
            return cipher.decrypt(nonce, message[_BEFORE + _NONCE :], bound)
        except InvalidTag:
            raise Refused("seal") from None


def number_of(message: bytes) -> int:
    """Return the number of the key that a message says it is sealed with."""
    return int.from_bytes(message[1:_BEFORE])


def box(public: bytes, plain: bytes, purpose: str) -> bytes:
    """Seal for whoever has a key, X25519; nobody else reads it, the writer included."""
    once = X25519PrivateKey.generate()
    mine = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public))
    # The key is used this once, so that its nonce need not differ from any other.
    return mine + AESGCM(_derived(shared, mine + public, purpose)).encrypt(
        bytes(_NONCE), plain, b""
    )


def unbox(private: bytes, message: bytes, purpose: str) -> bytes:
    """Open what `box` sealed for this key.

    Raises:
        Refused: `too_large`, or `box` if it is for another, or was altered.
    """
    if len(message) > LONGEST_MESSAGE:
        raise Refused("too_large")
    key = X25519PrivateKey.from_private_bytes(private)
    theirs, text = message[:_PUBLIC], message[_PUBLIC:]
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(theirs))
        bound = theirs + key.public_key().public_bytes_raw()
        return AESGCM(_derived(shared, bound, purpose)).decrypt(bytes(_NONCE), text, b"")
    except (InvalidTag, ValueError):
        raise Refused("box") from None


def new_signer() -> bytes:
    """Return a new Ed25519 key, private, 32 bytes."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def new_boxer() -> bytes:
    """Return a new X25519 key, private, 32 bytes."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_signer(key: bytes) -> bytes:
    """Return what others verify with."""
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()


def public_boxer(key: bytes) -> bytes:
    """Return what others box with."""
    return X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()


def id_of(public: bytes) -> str:
    """Return what names a key: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def _derived(shared: bytes, bound: bytes, purpose: str) -> bytes:
    info = f"{_LABEL} {purpose}".encode()
    return HKDF(SHA256(), KEY_BYTES, salt=bound, info=info).derive(shared)


def _to_sign(kind: Kind, fleet: str, topic: str, said: bytes) -> bytes:
    return json.dumps([_LABEL, int(kind), fleet, topic]).encode() + b"\n" + said


def _bound(start: bytes, fleet: str, topic: str) -> bytes:
    return start + json.dumps([_LABEL, fleet, topic]).encode()
