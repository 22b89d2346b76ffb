"""What somebody knows or has beside their face: PINs and cards, and what is kept of them.

Of a PIN its Argon2id hash is kept (RFC 9106), of a card's number a keyed one: HMAC-SHA256
(RFC 2104) with a key of its own, made at random. Neither the PIN nor the number can be read
back, though both are short enough to be tried: so both are sealed in the store besides.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from itertools import pairwise

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

from lockd.errors import FactorError


class FactorKind(StrEnum):
    """What can be shown beside a face."""

    PIN = "pin"
    CARD = "card"
    CONFIRM = "confirm"
    """The signed command of a telephone; nothing is kept of it but its key."""


MOST_CARDS = 8
"""Of one person."""
LEAST_DIGITS, MOST_DIGITS = 4, 12
"""Of any PIN."""
LONGEST_ENTRY = 64
"""Characters; what is longer is neither a PIN nor a card's number."""

# OWASP's least for Argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(
    time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
_MOST_MEMORY_KIB, _MOST_PASSES, _MOST_LANES = 65_536, 8, 4
_LONGEST_HASH = 200
_KEY_BYTES = 32
CARD_BYTES = _KEY_BYTES + hashlib.sha256().digest_size
"""What is kept of a card: a key, and the hash of the number with it."""

_FACILITY = re.compile(r"([0-9]{1,3})[,/]([0-9]{1,5})")
_SEPARATORS = re.compile(r"[\s:.-]")
_CARD = re.compile(r"[0-9A-Z]{4,64}")
_DECIMAL_DIGITS = 10
"""Readers write 32 bits with so many; leading zeros mean nothing."""


def clean_pin(text: str, least: int = LEAST_DIGITS, most: int = MOST_DIGITS) -> str:
    """Return a PIN that may be chosen.

    Args:
        least: how many digits it must have.
        most: how many it may have.

    Raises:
        FactorError: if it may not; the message never has the PIN in it.
    """
    pin = text.strip()
    if not (pin.isascii() and pin.isdecimal()):
        raise FactorError(f"a PIN has digits only; choose {least} to {most} of them")
    if not least <= len(pin) <= most:
        raise FactorError(f"a PIN of {len(pin)} digits; choose {least} to {most}")
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise FactorError("a PIN that is tried first, such as 1111 or 1234; choose another")
    return pin


def clean_card(text: str) -> str:
    """Return a card's number as every reader's and every hand's way of writing it has it.

    Digits without leading zeros, but ten at least; of other numbers the letters and digits. The
    facility and the number of a 26-bit card may be written as 123,45678.

    Raises:
        FactorError: if it is none; the message never has the number in it.
    """
    text = text.strip().upper()
    if found := _FACILITY.fullmatch(text):
        facility, number = int(found[1]), int(found[2])
        if facility > 0xFF or number > 0xFFFF:
            raise FactorError("a card's facility is 0 to 255, and its number 0 to 65535")
        text = str(facility << 16 | number)
    text = _SEPARATORS.sub("", text)
    if text.isascii() and text.isdecimal():
        text = text.lstrip("0") and text.lstrip("0").rjust(_DECIMAL_DIGITS, "0")
    if not _CARD.fullmatch(text):
        raise FactorError(
            "that is no card's number; write it as the reader does: 4 to 64 digits or letters "
            "from A to Z, or facility,number"
        )
    return text


def hash_pin(pin: str) -> bytes:
    """Return what is kept of a PIN, an Argon2id hash in its usual form (PHC string)."""
    return _HASHER.hash(pin).encode()


def is_pin_hash(kept: bytes) -> bool:
    """Return whether this can be the hash of a PIN, and one that costs no more than it should."""
    try:
        found = extract_parameters(kept[:_LONGEST_HASH].decode("ascii"))
    except (InvalidHashError, UnicodeDecodeError, ValueError):
        return False
    cheap = (
        found.memory_cost <= _MOST_MEMORY_KIB
        and found.time_cost <= _MOST_PASSES
        and found.parallelism <= _MOST_LANES
    )
    return found.type is Type.ID and len(kept) <= _LONGEST_HASH and cheap


def is_pin(kept: bytes, typed: str) -> bool:
    """Return whether this is the PIN that a hash was made of; takes tens of milliseconds."""
    try:
        return bool(is_pin_hash(kept) and _HASHER.verify(kept.decode("ascii"), typed))
    except (Argon2Error, InvalidHashError):
        return False


def hash_card(number: str) -> bytes:
    """Return what is kept of a card's number, as `clean_card` returns it: `CARD_BYTES`."""
    key = secrets.token_bytes(_KEY_BYTES)
    return key + _card_mac(key, number)


def is_card(kept: bytes, number: str) -> bool:
    """Return whether this is the number that a keyed hash was made of."""
    key, mac = kept[:_KEY_BYTES], kept[_KEY_BYTES:]
    return len(kept) == CARD_BYTES and hmac.compare_digest(mac, _card_mac(key, number))


def is_kept(kind: FactorKind, kept: bytes) -> bool:
    """Return whether something can be what is kept of a factor."""
    return is_pin_hash(kept) if kind is FactorKind.PIN else len(kept) == CARD_BYTES


def is_shown(kind: FactorKind, kept: bytes, entered: str) -> bool:
    """Return whether what was entered is what something is kept of."""
    return is_pin(kept, entered) if kind is FactorKind.PIN else is_card(kept, entered)


def _card_mac(key: bytes, number: str) -> bytes:
    return hmac.new(key, b"lockd card 1\n" + number.encode(), hashlib.sha256).digest()
