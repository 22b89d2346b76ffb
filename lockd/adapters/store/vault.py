"""The key, and what is sealed with it: AES-256-GCM.

The key is looked for in this order: the systemd credential `template-key`; the file that
`store.key_file` names; the file `template-key` beside the store, which is made on first
use. Only the last is ever made without being asked for, and never once something has been
sealed: a new key would open none of it.

What is sealed is bound to what it was sealed for (associated data of the cipher): a
person's template that somebody moves to another person's row no longer opens.
"""

from __future__ import annotations

import functools
import json
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockd.config import StoreSettings
from lockd.errors import StoreError
from lockd.files import UnreadableError, acting_for, read_file, write_over
from lockd.paths import credential

CREDENTIAL = "template-key"
KEY_FILE = "template-key"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD = NONCE_BYTES + TAG_BYTES

_LONGEST = 4096
_LABEL = "lockd seal 1"


class SealError(Exception):
    """Something sealed does not open: altered, moved, or sealed with another key."""


class Vault:
    """A key that may not be there yet.

    Attributes:
        key_file: where the key is, or will be.
    """

    def __init__(self, key_file: Path, *, may_make: bool) -> None:
        """Name the key's file; it is not looked at before it is needed.

        Args:
            key_file: 64 hexadecimal digits and a line feed.
            may_make: whether a key is made where there is none.
        """
        self.key_file = key_file
        self._may_make = may_make
        self._cipher: AESGCM | None = None

    @classmethod
    def open(cls, settings: StoreSettings) -> Vault:
        """Find out where the key of a store is.

        Raises:
            StoreError: if `store.key_file` names a file that is not there.
        """
        if (handed := credential(CREDENTIAL)) is not None:
            return cls(handed, may_make=False)
        if settings.key_file is not None:
            return cls(settings.key_file, may_make=False)
        return cls.beside(settings.path())

    @classmethod
    def beside(cls, store: Path) -> Vault:
        """Return the vault whose key lies in the folder of its store."""
        return cls(store.with_name(KEY_FILE), may_make=True)

    def need_key(self, *, for_the_first_time: bool = False) -> AESGCM:
        """Take the key, and make one if nothing was ever sealed.

        Args:
            for_the_first_time: whether nothing is sealed yet.

        Raises:
            StoreError: if there is none and none may be made, or it is no key.
        """
        if self._cipher is not None:
            return self._cipher
        if for_the_first_time and self._may_make:
            make_key(self.key_file)
        key = read_key(self.key_file)
        if key is not None:
            self._cipher = AESGCM(key)
            return self._cipher
        if for_the_first_time:
            raise StoreError(
                f"{self.key_file}: no key is there; make one with "
                f"`lockd store make-key {self.key_file}`"
            )
        raise StoreError(
            f"{self.key_file}: the key is gone, and without it nobody's templates open; "
            "put it back (nothing was changed), or move the store away to start anew"
        )

    def read_ahead(self) -> None:
        """Take the key if there is one, while whoever runs the command is still who they are."""
        with suppress(StoreError):  # which `need_key` says
            if self._cipher is None and (key := read_key(self.key_file)) is not None:
                self._cipher = AESGCM(key)

    def seal(self, plain: bytes, *purpose: str) -> bytes:
        """Encrypt and bind to a purpose.

        A nonce must never come twice with one key. Random ones of 96 bits stay below a
        chance of 2**-32 for 2**32 messages (NIST SP 800-38D, 8.3): all templates of ten
        thousand people, twenty each, could be renewed every week for four centuries.

        Args:
            purpose: what it is for, and whose it is.

        Returns:
            Nonce, encrypted text and tag, `OVERHEAD` bytes longer than what was given.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self.need_key().encrypt(nonce, plain, _bound_to(purpose))

    def unseal(self, sealed: bytes, *purpose: str) -> bytes:
        """Decrypt what was sealed for exactly this purpose.

        Raises:
            SealError: if it was altered, or sealed for another purpose or with another key.
        """
        if len(sealed) < OVERHEAD:
            raise SealError
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self.need_key().decrypt(nonce, text, _bound_to(purpose))
        except InvalidTag:
            raise SealError from None


def read_key(path: Path) -> bytes | None:
    """Return the key in a file, or None if there is no such file.

    Raises:
        StoreError: if it cannot be read, or is no key.
    """
    try:
        with acting_for(path.parent):
            if not path.exists():
                return None
            key = bytes.fromhex(read_file(path, _LONGEST).decode("ascii").strip())
    except (UnreadableError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(
            f"{path}: the key cannot be read: {reason}; run the command as root, or as "
            "the service's user"
        ) from error
    except ValueError:  # also of bytes that are no ASCII
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: not a key of lockd's; put the right file back")
    return key


def make_key(path: Path) -> bool:
    """Make a key, whole or not at all; return whether there was none yet.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        write_over(path, f"{secrets.token_hex(KEY_BYTES)}\n".encode(), new=True)
    except FileExistsError:  # another process was quicker
        return False
    return True


@functools.lru_cache(maxsize=64)  # somebody's templates come one after the other
def _bound_to(purpose: tuple[str, ...]) -> bytes:
    """Associated data; JSON, so that no two lists of texts give the same bytes."""
    return json.dumps([_LABEL, *purpose]).encode()
